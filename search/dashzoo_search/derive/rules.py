"""The rules by which a trained mixture becomes one choice a layer.

| rule | score of a choice |
|---|---|
| argmax | its α, as in DASH |
| energy | share of the aggregated kernel's energy on its support |
| explained | share of the layer's output that the kernel restricted to its support explains |
| least_squares | share that the best kernel on its support explains |
| validation | minus the held-out loss with this layer so restricted, the others before it already |

**The prior.** Larger supports contain smaller ones, so the largest kernel always scores best, or as
well as any. Every rule but argmax therefore takes, of the choices within ``slack`` of the best, the
one with the fewest taps: a larger kernel must earn its weights. ``slack`` is a share of the best
choice's energy, of the layer's output, or, by validation, of the gap between the best choice and
the worst (there one standard error counts as nothing too, see `methods.decide`). With ``slack=0``
there is no prior but for ties.

argmax needs none, and is the least to be trusted: α is not identifiable where one support contains
another, for a choice can win as a mere helper of the others. energy counts taps that hardly ever
touch the signal as much as the centre. explained and least_squares ask on real samples;
least_squares lets the taps that stay take over what those left out did, as far as the signal is
correlated, and the network is then folded to those weights.

What a choice cannot do is told for every rule: ``lost``, the share of the layer's output that the
folded kernel does not explain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from torch import Tensor

from dashzoo_search.derive.least_squares import Fit, fit_kernels
from dashzoo_search.derive.restriction import energy_shares, explained, mixed_layers
from dashzoo_search.derive.validation import restrict_in_turn
from dashzoo_search.ops import AggConv
from dashzoo_search.spec import KernelSpec
from dashzoo_search.supernet import Supernet
from dashzoo_search.tasks.task import Split
from dashzoo_search.training import world
from dashzoo_search.training.objective import CLASSIFY, Objective

__all__ = ["RULES", "SLACK", "Derived", "Rule", "derive", "settle"]

Rule = Literal["argmax", "energy", "explained", "least_squares", "validation"]
RULES: tuple[str, ...] = get_args(Rule)
SLACK = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    """What a rule found.

    Attributes:
        spec: one choice a layer.
        scores: of every choice of every layer, in the rule's own unit; more is better.
        lost: share of each layer's output, 0 to 1, that its folded kernel does not explain on the
            samples; empty where there were none.
        fits: kernels to fold to, where they are not the aggregated kernel's own taps.
    """

    spec: KernelSpec
    scores: Mapping[str, tuple[float, ...]]
    lost: Mapping[str, float]
    fits: Mapping[str, Fit] = field(default_factory=dict)


def derive(
    supernet: Supernet,
    rule: Rule = "argmax",
    samples: Tensor | None = None,
    *,
    heldout: Split | None = None,
    slack: float = SLACK,
    objective: Objective = CLASSIFY,
) -> Derived:
    """Pick a choice for every layer of ``supernet``, which is left as it was.

    Args:
        supernet: trained, of `AggConv`s.
        rule: see above.
        samples: raw samples [b, c, …], on the supernet's device; explained, least_squares and
            validation need them, and without them nothing is told of what is lost.
        heldout: samples no weight was fitted to; only validation needs them.
        slack: of the prior, see above.
        objective: whose loss they are judged by.

    Raises:
        ValueError: no such rule, or no samples for one that needs them.
    """
    if rule not in RULES:
        raise ValueError(f"no rule {rule!r}; take one of {', '.join(RULES)}")
    layers = mixed_layers(supernet)
    fits: dict[str, Fit] = {}
    scores: dict[str, list[float]]
    if rule == "argmax":
        scores = {name: layer.alpha.tolist() for name, layer in layers.items()}
        picked = {name: max(range(len(s)), key=s.__getitem__) for name, s in scores.items()}
    elif rule == "energy":
        scores = {name: energy_shares(layer) for name, layer in layers.items()}
        picked = {n: fewest_taps(layers[n], s, slack) for n, s in scores.items()}
    elif samples is None:
        raise ValueError(f"the rule {rule!r} needs samples")
    elif rule == "explained":
        scores = explained(supernet, samples)
        picked = {n: fewest_taps(layers[n], s, slack) for n, s in scores.items()}
    elif rule == "least_squares":
        found = fit_kernels(supernet, samples)
        scores = {name: [fit.share for fit in each] for name, each in found.items()}
        picked = {n: fewest_taps(layers[n], s, slack) for n, s in scores.items()}
        fits = {name: found[name][index] for name, index in picked.items()}
    else:
        if heldout is None:
            raise ValueError(f"the rule {rule!r} needs held-out samples")
        picked, scores = restrict_in_turn(supernet, heldout, slack=slack, objective=objective)
    picked = world.from_first(picked)  # GPUs may differ in the last bit
    return Derived(
        spec=KernelSpec(
            dims=supernet.network.dims,
            layers={name: supernet.choices(name)[index] for name, index in picked.items()},
        ),
        scores={name: tuple(each) for name, each in scores.items()},
        lost=_lost(supernet, picked, fits, samples),
        fits=fits,
    )


def settle(supernet: Supernet, derived: Derived) -> None:
    """Settle every layer on its fitted kernel, in place, where the rule has fitted any."""
    for name, fit in derived.fits.items():
        layer = mixed_layers(supernet)[name]
        index = supernet.choices(name).index(derived.spec.layers[name])
        fit.write_into(layer, index)
        layer.select(index)


def fewest_taps(layer: AggConv, scores: Sequence[float], slack: float) -> int:
    """Of the choices within ``slack`` of the best, the smallest; of those, the best."""
    near = [i for i, score in enumerate(scores) if score >= max(scores) - slack]
    return min(near, key=lambda i: (layer.choices[i].taps, -scores[i]))


def _lost(
    supernet: Supernet, picked: Mapping[str, int], fits: Mapping[str, Fit], samples: Tensor | None
) -> dict[str, float]:
    if samples is None:
        return {}
    if fits:
        shares = {name: fit.share for name, fit in fits.items()}
    else:
        shares = {name: one for name, (one,) in explained(supernet, samples, only=picked).items()}
    return {name: round(min(1.0, max(0.0, 1 - share)), 4) for name, share in shares.items()}
