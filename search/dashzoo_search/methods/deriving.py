"""The rule by which a mixture names its choices, with all that rule needs."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from dashzoo_search.derive import Derived, Rule, derive
from dashzoo_search.derive.restriction import mixed_layers
from dashzoo_search.methods.settling import Settling
from dashzoo_search.methods.shrink import Shrinking
from dashzoo_search.supernet import Supernet
from dashzoo_search.tasks.task import Split
from dashzoo_search.training.objective import Objective

__all__ = ["Deriving"]

DERIVE_SAMPLES = 128


class Deriving:
    """The rule, with all it needs.

    Args:
        rule, slack: see `derive`.
        fitted: samples the weights are fitted to; some of them, spread evenly, go through.
        heldout: samples for the rule that asks held-out ones.
        objective: what they are judged by.
        device: of the supernet.
    """

    def __init__(
        self,
        rule: Rule,
        slack: float,
        fitted: Split,
        heldout: Split,
        objective: Objective,
        device: torch.device,
    ) -> None:
        self._rule, self._slack = rule, slack
        self._samples = _spread(fitted, device)
        self._heldout, self._objective = heldout, objective

    def __call__(self, supernet: Supernet, rule: Rule | None = None) -> Derived:
        return derive(
            supernet,
            rule or self._rule,
            self._samples,
            heldout=self._heldout,
            slack=self._slack,
            objective=self._objective,
        )

    def settle_dilations(self, shrinking: Shrinking) -> None:
        """Leave each layer the dilation that explains its output."""
        whole = shrinking.whole()
        spec = self(whole, "explained").spec
        shrinking.settle_dilations(
            {name: whole.choices(name).index(choice) for name, choice in spec.layers.items()}
        )

    def settle(
        self, supernet: Supernet, shrinking: Shrinking, settling: Settling, epoch: int
    ) -> None:
        """Check whether the search has settled, and if so let it."""
        whole = shrinking.whole()
        # To validate every check would cost more than the search, so a cheap rule stands in.
        cheap = "explained" if self._rule == "validation" else self._rule
        derived = self(whole, cheap)
        if not settling.check(derived.spec, shrinking.shares()):
            return
        if cheap != self._rule:
            derived = self(whole)
        shrinking.settle(
            {name: whole.choices(name).index(c) for name, c in derived.spec.layers.items()}
        )
        for name, fit in derived.fits.items():
            fit.write_into(mixed_layers(supernet)[name], 0)
        settling.settle(epoch, derived.spec, derived.lost)


def _spread(split: Split, device: torch.device) -> Tensor:
    """Samples from all over the split, which may be sorted by class."""
    at = np.linspace(0, len(split) - 1, min(len(split), DERIVE_SAMPLES)).round().astype(int)
    return split.rows(at).to(device)
