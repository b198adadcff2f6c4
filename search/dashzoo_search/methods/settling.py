"""When a mixture has made up its mind: the kernels that stayed the same, check after check.

A search has *settled* when the derived spec was the same in ``patience`` checks in a row and in
every layer the largest share is at least `LEAD`. From then on the architecture stands still: every
layer becomes the one convolution of its choice, with the weights the rule folds it to, and the
epochs that are left train that network, a step of which costs what a plain network's does. So the
weights that can be kept have recovered from the fold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dashzoo_search.errors import BadBundle, BadSpec
from dashzoo_search.spec import KernelSpec
from dashzoo_search.training.tree import Tree

__all__ = ["Settling"]

LEAD = 0.5


class Settling:
    """How long the derived spec has been the same; a part of a stage.

    Args:
        patience: checks in a row; 0 never settles.

    Attributes:
        at: the epoch at which the search settled, or None.
        lost: what the fold lost then, see `Found`.
    """

    def __init__(self, patience: int) -> None:
        self._patience = patience
        self._spec: KernelSpec | None = None
        self._same = 0
        self.at: int | None = None
        self.lost: dict[str, float] = {}

    @property
    def looking(self) -> bool:
        """Whether checks are still worth while."""
        return self._patience > 0 and self.at is None

    @property
    def spec(self) -> KernelSpec:
        """The spec it settled on; only once it has."""
        assert self._spec is not None
        return self._spec

    def check(self, spec: KernelSpec, shares: Mapping[str, Sequence[float]]) -> bool:
        """Whether, with this check, the search has settled on ``spec``."""
        self._same = self._same + 1 if spec == self._spec else 1
        self._spec = spec
        leading = all(max(each) >= LEAD for each in shares.values())
        return leading and self._same >= self._patience

    def settle(self, epoch: int, spec: KernelSpec, lost: Mapping[str, float]) -> None:
        """Take note that it has."""
        self.at, self._spec, self.lost = epoch, spec, dict(lost)

    def state_dict(self) -> Tree:
        """All of it."""
        return {
            "spec": self._spec.to_json() if self._spec else None,
            "same": self._same,
            "at": self.at,
            "lost": dict(self.lost),
        }

    def load_state_dict(self, state: Tree) -> None:
        """Put it back.

        Raises:
            BadBundle: it does not fit.
        """
        if set(state) != {"spec", "same", "at", "lost"}:
            raise BadBundle("settling lacks a part, or has one too many", field="settling")
        spec, same, at, lost = (state[key] for key in ("spec", "same", "at", "lost"))
        sound = type(same) is int and type(at) in (int, type(None)) and isinstance(lost, dict)
        if not sound or any(type(share) is not float for share in lost.values()):
            raise BadBundle("settling holds what it should not", field="settling")
        if spec is None and at is not None:
            raise BadBundle("settling is done, but on nothing", field="settling/spec")
        try:
            self._spec = KernelSpec.from_json(spec) if spec is not None else None
        except BadSpec as error:
            raise BadBundle(f"settling: {error}", field="settling/spec") from error
        self._same, self.at, self.lost = same, at, dict(lost)
