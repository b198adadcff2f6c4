"""The networks that training compares: each from one start or from two, scored on each.

Kernels that a search found can be trained from the weights the search left, folded, or from
scratch. With both, validation says which of the two is *the* network of these kernels, and what
the other came to is told beside it.

A validation split of fewer than `ENOUGH` samples is no judge of epochs, and dear to leave out.
There a training of half the length on train alone, as its last epoch leaves it, tells the
validation score; the network itself is trained on train and validation together, and kept as it
ends.

The transforms of XD-operations stay as the search found them; what is trained is the weights.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import torch

from dashzoo_search.errors import BadBundle, BadData
from dashzoo_search.fold import fold
from dashzoo_search.networks.searched import SearchedNet
from dashzoo_search.plan import Network, build_network, count_macs
from dashzoo_search.selection import ENOUGH, Build
from dashzoo_search.spec import KernelSpec
from dashzoo_search.supernet import Supernet
from dashzoo_search.tasks.task import Split, Task
from dashzoo_search.training.architecture import architecture_of
from dashzoo_search.training.batchnorm import reestimate
from dashzoo_search.training.loop import FitResult, fit, memory_guard
from dashzoo_search.training.metrics import evaluate
from dashzoo_search.training.objective import CLASSIFY, Objective, Score, ranked
from dashzoo_search.training.progress import OnEpoch, as_one
from dashzoo_search.training.recipe import Recipe
from dashzoo_search.training.runtime import seed_everything
from dashzoo_search.training.tune import Setting

__all__ = ["Init", "Start", "Trained", "Trainer", "starts"]

Start = Literal["searched", "scratch"]
Init = Literal["searched", "scratch", "both"]

_STARTS: Mapping[str, tuple[Start, ...]] = {
    "searched": ("searched",),
    "scratch": ("scratch",),
    "both": ("searched", "scratch"),
}


def starts(init: str) -> tuple[Start, ...]:
    """What ``init`` starts from.

    Raises:
        BadData: no such word.

    >>> starts("both")
    ('searched', 'scratch')
    """
    if init not in _STARTS:
        raise BadData(f"init must be one of {', '.join(_STARTS)}, not {init!r}")
    return _STARTS[init]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A network that was trained from every start asked for.

    Attributes:
        fits: the network and how its training went, by start.
        start: the one that validation prefers, the first of equals.
    """

    fits: Mapping[Start, tuple[SearchedNet, FitResult]]
    start: Start

    @property
    def network(self) -> SearchedNet:
        """The preferred one."""
        return self.fits[self.start][0]

    @property
    def fit(self) -> FitResult:
        """How its training went."""
        return self.fits[self.start][1]

    @property
    def epochs(self) -> int:
        """Epochs that all of it took."""
        return sum(fit.epochs + fit.judged_epochs for _, fit in self.fits.values())

    def to_json(self, task: Task, test: Split, objective: Objective = CLASSIFY) -> dict[str, Any]:
        """What results.json says of it; ``inits`` only where there was more than one start."""
        each = {
            start: {**fit.to_json(), "test": evaluate(network, test, objective).to_json()}
            for start, (network, fit) in self.fits.items()
        }
        told = {
            **each[self.start],
            "parameters": sum(p.numel() for p in self.network.parameters()),
            "macs": count_macs(self.network, task.size),
            "init": self.start,
        }
        return told if len(each) == 1 else {**told, "inits": each}


class Trainer:
    """Builds and trains the candidates of a task.

    Args:
        task: its train split is fitted, its val split picks the epoch and the start; where it is
            small it picks no epoch, and is fitted too in the end.
        network: backbone and its arguments.
        recipe: of every network; `Trainer.train` is told the epochs.
        objective: what they are trained on, and epoch and start chosen by.
        supernet: the trained supernet, if it is there; left as it is.
        settings: what was tuned, for ``"searched"`` (and any other proposal) and ``"default"``.
        seed: initialises and shuffles, alike for every network.
        device: where to train.
        on_epoch: told after every epoch.
    """

    def __init__(
        self,
        task: Task,
        network: Network,
        recipe: Recipe,
        *,
        objective: Objective = CLASSIFY,
        supernet: Supernet | None,
        settings: Mapping[str, Setting],
        seed: int,
        device: torch.device,
        on_epoch: OnEpoch,
    ) -> None:
        self._task, self._network, self._recipe = task, network, recipe
        self._objective = objective
        self._supernet, self._settings = supernet, dict(settings)
        self._seed, self._device, self._on_epoch = seed, device, on_epoch

    def recipe(self, name: str) -> Recipe:
        """The recipe of candidate ``name``, tuned if it was."""
        setting = self._setting(name)
        return self._recipe if setting is None else setting.recipe(self._recipe)

    def build(self, name: str, kernels: KernelSpec) -> Build:
        """How to make candidate ``name`` from scratch for any training split."""
        return partial(_fresh, self._plan(name), self._task, kernels, self._device)

    def folded(self, kernels: KernelSpec) -> SearchedNet:
        """The supernet folded to ``kernels``, batch statistics taken anew.

        Raises:
            BadBundle: there is no supernet.
            BadSpec: the kernels are none of its choices.
        """
        if self._supernet is None:
            raise BadBundle(
                "The search's supernet is missing, and training was to start from its weights; "
                "search again, or add --init scratch",
                field="supernet",
            )
        with memory_guard():
            network = fold(copy.deepcopy(self._supernet), kernels)
            reestimate(network, self._task.train)
        return network

    def train(
        self, name: str, kernels: KernelSpec, epochs: Mapping[Start, int], *, final: bool = True
    ) -> Trained:
        """Train candidate ``name`` for so many epochs from each start, and let validation choose.

        Args:
            name: what it is called.
            kernels: its own.
            epochs: by start.
            final: whether these may be the networks that are shipped; else only their validation
                scores count, and no sample of validation is fitted, however few there are.

        Raises:
            BadBundle: there is no supernet to start from.
            TrainingFailed: training diverged or ran out of memory.
        """
        title = {"searched": "train", "default": "default kernels"}.get(name, f"{name} kernels")
        fits: dict[Start, tuple[SearchedNet, FitResult]] = {}
        for start, count in epochs.items():
            stage = title if len(epochs) == 1 else f"{title}, {start}"
            fits[start] = self._train(name, kernels, start, count, stage, final)
        best, *others = fits
        for start in others:
            if fits[start][1].val.better_than(fits[best][1].val):
                best = start
        return Trained(fits=fits, start=best)

    def try_out(
        self, candidates: Mapping[str, KernelSpec], start: Start, epochs: int
    ) -> dict[str, Score]:
        """Validation scores of several candidates, to pick one by.

        All are trained for a quarter of ``epochs``, and the best two then for all of them, anew,
        for what a schedule leaves off half way says little.

        Returns:
            Of those two, the better first.

        Raises:
            BadBundle: there is no supernet to start from.
            TrainingFailed: training diverged or ran out of memory.
        """
        heat = max(1, epochs // 4) if len(candidates) > 2 else 0
        total = heat * len(candidates) + epochs * min(2, len(candidates))
        trial = copy.copy(self)
        trial._on_epoch = as_one(self._on_epoch, "proposals tried", total)

        def run(names: Iterable[str], epochs: int) -> dict[str, Score]:
            fits = {n: trial._train(n, candidates[n], start, epochs, "try", False) for n in names}
            return ranked({name: fit.val for name, (_, fit) in fits.items()})

        return run(list(run(candidates, heat))[:2] if heat else candidates, epochs)

    def _train(
        self, name: str, kernels: KernelSpec, start: Start, epochs: int, stage: str, final: bool
    ) -> tuple[SearchedNet, FitResult]:
        train, val = self._task.train, self._task.val

        def run(fitted: Split, epochs: int, stage: str) -> tuple[SearchedNet, FitResult]:
            generator = seed_everything(self._seed)
            if start == "searched":
                network = self.folded(kernels)
            else:
                plan = self._plan(name)
                network = _fresh(plan, self._task, kernels, self._device, fitted)
                self._give_transforms(network)
            result = fit(
                network,
                fitted,
                val,
                replace(self.recipe(name), epochs=epochs),
                objective=self._objective,
                generator=generator,
                on_epoch=self._on_epoch,
                stage=stage,
                keep="best" if len(val) >= ENOUGH else "last",
            )
            return network, result

        if len(val) >= ENOUGH or not final:
            return run(train, epochs, stage)
        _, judged = run(train, max(1, epochs // 2), f"{stage}, judged")
        network, result = run(train.join(val), epochs, stage)
        return network, result.after(judged)

    def _give_transforms(self, network: SearchedNet) -> None:
        """Set the transforms of XD-operations to those the search found."""
        ours = list(architecture_of(network))
        if not ours:
            return
        if self._supernet is None:
            raise BadBundle("The search's transforms are missing; search again", field="supernet")
        with torch.no_grad():
            for mine, found in zip(ours, architecture_of(self._supernet), strict=True):
                mine.copy_(found)

    def _setting(self, name: str) -> Setting | None:
        return self._settings.get("default" if name == "default" else "searched")

    def _plan(self, name: str) -> Network:
        setting = self._setting(name)
        if setting is None:
            return self._network
        return replace(self._network, args=setting.arguments(self._network.args))


def _fresh(
    network: Network, task: Task, spec: KernelSpec, device: torch.device, train: Split
) -> SearchedNet:
    net = build_network(network, task, spec=spec, device=device)
    net.fit_norms(train.X, train.y)
    return net
