"""A search over operations: convolutions become XD-operations, and their transforms learn.

Nothing is relaxed and nothing derived: the network starts as the backbone it is, weights and
architecture step together on one loss, each by its own optimiser, and what is found is the
matrices as they end. Roberts et al., "Rethinking Neural Operations for Diverse Tasks" (NeurIPS
2021, arXiv:2103.15798).

Samples held out pick the epoch where they are `ENOUGH`; else the last one counts.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from dashzoo_search.errors import BadBackbone, BadData
from dashzoo_search.methods.found import Found
from dashzoo_search.networks.convs import apply_spec, conv_layers, out_of_reach, why_no_xd
from dashzoo_search.networks.rules import Rule
from dashzoo_search.networks.searched import SearchedNet
from dashzoo_search.selection import ENOUGH
from dashzoo_search.spec import KernelSpec, XDChoice
from dashzoo_search.supernet import Supernet
from dashzoo_search.tasks.task import Split
from dashzoo_search.training.architecture import Architect, ArchitectureOptimizer
from dashzoo_search.training.loop import fit
from dashzoo_search.training.objective import CLASSIFY, Objective
from dashzoo_search.training.progress import OnEpoch
from dashzoo_search.training.recipe import Recipe
from dashzoo_search.xd_choice import DEEPEST

__all__ = ["XD", "build_xd", "search_xd", "xd_choices"]


@dataclass(frozen=True, slots=True, kw_only=True)
class XD:
    """How transforms are searched.

    Args:
        xd_depth: butterflies in each matrix; of 3 on they can also permute.
        arch_optimizer: of the transforms, ``"adam"`` or ``"sgd"``; see `Architect`.
        arch_lr: its peak learning rate; None takes the optimiser's own.

    Raises:
        BadData: a value out of range.
    """

    xd_depth: int = 3
    arch_optimizer: ArchitectureOptimizer = "adam"
    arch_lr: float | None = None

    def __post_init__(self) -> None:
        if type(self.xd_depth) is not int or not 1 <= self.xd_depth <= DEEPEST:
            raise BadData(
                f"xd_depth must be 1 to {DEEPEST} butterflies a matrix, not {self.xd_depth!r}"
            )
        _ = self.architect  # refuses what it does not know

    @property
    def architect(self) -> Architect:
        """What steps the transforms."""
        return Architect(optimizer=self.arch_optimizer, lr=self.arch_lr)

    @property
    def saving(self) -> tuple[str, ...]:
        """What helps where memory runs out."""
        return ("lower --xd-depth", "name fewer --layers")

    def to_json(self) -> dict[str, Any]:
        """A plain dict."""
        return {**asdict(self), "arch_lr": self.architect.rate}


def xd_choices(
    network: SearchedNet, size: tuple[int, ...], *, depth: int, rule: Rule | None = None
) -> tuple[dict[str, XDChoice], dict[str, str]]:
    """The convolutions of ``network`` that become XD-operations, and why the others do not.

    Args:
        network: freshly built.
        size: of a raw sample, (l,) or (h, w).
        depth: butterflies in each matrix.
        rule: which convolutions are searched of those that can be; None: the default.

    Raises:
        BadBackbone: the backbone does not take samples of that size, or has no convolution that
            can be an XD-operation.
        UnknownLayer: a pattern of the rule that matches no convolution.
    """
    rule = rule or Rule()
    planes = network.preprocess(network.example_input(size, batch=2))
    found: dict[str, XDChoice] = {}
    kept: dict[str, str] = {}
    for layer in conv_layers(network.backbone, planes, dims=network.dims, rule=rule):
        plane = (1,) * (2 - network.dims) + layer.size
        reason = why_no_xd(layer.conv) or rule.reason(layer.name)
        if not reason and any(k % 2 == 0 for k in layer.conv.kernel_size):
            reason = "even kernel size"
        if not reason and max(plane) == 1:
            reason = "its plane has one sample, and nothing to transform"
        if reason:
            kept[layer.name] = reason
        else:
            found[layer.name] = XDChoice(depth, plane)
    kept |= out_of_reach(network.backbone, {**kept, **found})
    if not found:
        told = "; ".join(sorted(set(kept.values()) - {"kernel size 1"})) or "all of size 1"
        raise BadBackbone(
            f"{network.backbone_name} has no convolution that can be an XD-operation on inputs of "
            f"{list(size)} ({told}); try other --layers, or another backbone"
        )
    return found, kept


def build_xd(
    network: SearchedNet, size: tuple[int, ...], *, depth: int, rule: Rule | None = None
) -> Supernet:
    """Make the convolutions of ``network`` XD-operations that compute the same, in place.

    Raises:
        BadBackbone, UnknownLayer: see `xd_choices`.
    """
    found, kept = xd_choices(network, size, depth=depth, rule=rule)
    spec = KernelSpec(dims=network.dims, layers={}, xd=found)
    apply_spec(network.backbone, spec)
    network.spec = spec
    return Supernet(network, {}, kept, {})


def search_xd(
    supernet: Supernet,
    fitted: Split,
    judge: Split,
    recipe: Recipe,
    options: XD,
    *,
    objective: Objective = CLASSIFY,
    generator: Any,
    on_epoch: OnEpoch,
) -> Found:
    """Train ``supernet``, made by `build_xd`, in place: weights and transforms together.

    Args:
        supernet: on the device to train on.
        fitted: samples that both are fitted to.
        judge: samples that pick the epoch, if they are enough.
        recipe: epochs, batch size and the weights' optimiser.
        options: see `XD`.
        objective: whose loss is stepped on.
        generator: shuffles the batches.
        on_epoch: told after every epoch, with the metric on ``judge``.

    Raises:
        TrainingFailed: ten steps in a row without a finite gradient, or out of memory.
        BadBundle: a checkpoint does not fit.
    """
    done = fit(
        supernet,
        fitted,
        judge,
        recipe,
        objective=objective,
        generator=generator,
        on_epoch=on_epoch,
        stage="search",
        keep="best" if len(judge) >= ENOUGH else "last",
        architect=options.architect,
    )
    return Found(spec=supernet.network.spec, history=(), skipped_steps=done.skipped_steps)
