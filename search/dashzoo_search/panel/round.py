"""What all contestants of one seed share: data, optimiser, and the epochs each may take."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import torch

from dashzoo_search.candidates import Trainer
from dashzoo_search.errors import BadData
from dashzoo_search.panel.row import Cost, Row
from dashzoo_search.plan import Network, build_network, layer_table
from dashzoo_search.search import SearchOptions, epochs_spent
from dashzoo_search.spec import Choice, KernelSpec, SearchSpace
from dashzoo_search.supernet import build_supernet
from dashzoo_search.tasks.task import Task
from dashzoo_search.training.objective import Objective
from dashzoo_search.training.progress import OnEpoch, Progress, quiet
from dashzoo_search.training.recipe import Recipe
from dashzoo_search.training.runtime import Stopwatch

__all__ = ["Equal", "Round", "Ticks", "cost_of"]

Equal = Literal["total", "training"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One seed of a panel.

    Args:
        task: fitted on train, chosen on val; test is read once for each contestant, at its end.
        network: the backbone that is searched, and trained with other kernels.
        space: kernel sizes and dilations.
        recipe: of every training; its epochs are those of one.
        options: of our own search.
        objective: what all are trained on, chosen by and scored with.
        equal: ``"total"`` gives each contestant the epochs that our search and training from both
            starts take together, those of its own search included; ``"training"`` trains each
            network for the recipe's epochs, whatever its search took.
        draws: of random kernels.
        seed: of splits, initialisation and shuffling.
        device: to train on.
        on_epoch: told after every epoch.

    Raises:
        BadData: a value out of range.
    """

    task: Task
    network: Network
    space: SearchSpace
    recipe: Recipe
    options: SearchOptions
    objective: Objective
    equal: Equal = "total"
    draws: int = 3
    seed: int
    device: torch.device
    on_epoch: OnEpoch = quiet

    def __post_init__(self) -> None:
        if self.equal not in get_args(Equal):
            raise BadData(f"equal must be 'total' or 'training', not {self.equal!r:.40}")
        if self.draws < 1:
            raise BadData(f"draws must be at least 1, not {self.draws}")

    @property
    def search_epochs(self) -> int:
        """Epochs that our search takes."""
        return epochs_spent(self.options.to_json())

    @property
    def total_epochs(self) -> int:
        """Epochs of our search and of training what it found from both starts."""
        return self.search_epochs + 2 * self.recipe.epochs

    def left(self, spent: int = 0) -> int:
        """Epochs to train one network after a search that took ``spent``; never below one's own."""
        if self.equal == "training":
            return self.recipe.epochs
        return max(self.recipe.epochs, self.total_epochs - spent)

    def trainer(
        self, *, network: Network | None = None, on_epoch: OnEpoch | None = None
    ) -> Trainer:
        """Trains networks from scratch, all alike."""
        return Trainer(
            self.task,
            network or self.network,
            self.recipe,
            objective=self.objective,
            supernet=None,
            settings={},
            seed=self.seed,
            device=self.device,
            on_epoch=on_epoch or self.on_epoch,
        )

    def choices(self) -> dict[str, tuple[Choice, ...]]:
        """The choices of every layer that can be searched.

        Raises:
            BadBackbone: there is no such layer.
        """
        net = build_network(self.network, self.task)
        supernet = build_supernet(
            net, self.space, self.task.size, weights="shared", rule=self.network.rule
        )
        return {name: supernet.choices(name) for name in supernet.layers}

    def own(self, spec: KernelSpec | None = None) -> KernelSpec:
        """The backbone's own kernels, of the layers of ``spec`` or of all that can be searched."""
        if spec is None:
            first = {name: choices[0] for name, choices in self.choices().items()}
            spec = KernelSpec(dims=self.task.dims, layers=first)
        return layer_table(self.network, self.task, spec)[2]

    def row(self, contestant: str, told: dict[str, Any], **more: Any) -> Row:
        """A row from what `Trained.to_json` says of a network."""
        scored = {name: told[name] for name in ("val", "test", "parameters", "macs")}
        return Row(contestant=contestant, seed=self.seed, data=self.task.sha256, **scored, **more)


class Ticks:
    """Passes progress on, and counts the epochs of each stage.

    Args:
        on_epoch: told.
        stage: what all stages are reported as, one that lasts for all of them together; None leaves
            them their names.
        epochs: of that stage.
    """

    def __init__(self, on_epoch: OnEpoch, *, stage: str | None = None, epochs: int = 0) -> None:
        self._on_epoch, self._stage, self._epochs = on_epoch, stage, epochs
        self.counts: dict[str, int] = {}

    def __call__(self, progress: Progress) -> None:
        self.counts[progress.stage] = self.counts.get(progress.stage, 0) + 1
        if self._stage is not None:
            progress = replace(progress, stage=self._stage, epoch=self.total, epochs=self._epochs)
        self._on_epoch(progress)

    @property
    def total(self) -> int:
        """Epochs of all stages."""
        return sum(self.counts.values())


def cost_of(watch: Stopwatch, epochs: int) -> Cost:
    """What ran since ``watch`` was started."""
    return Cost(epochs=epochs, seconds=watch.seconds, cpu_seconds=watch.cpu_seconds)
