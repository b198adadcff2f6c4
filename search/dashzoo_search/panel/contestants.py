"""Who takes part in a panel: each a function from a `Round` to its rows.

| name | what it trains |
|---|---|
| ours | our search, its proposals from both starts, and what the pipeline ships of them |
| default | the backbone with its own kernels |
| uniform | the best (k, d) for all layers alike, by successive halving on validation |
| random | a random (k, d) for each layer, several draws |
| dash | DASH's recipe: a mixture, α on train, no price, the largest α, trained from scratch |
| rocket | MultiROCKET-Hydra of aeon, for sequences |
| fno | a Fourier neural operator, for fields |
| xd | the backbone as XD-operations, see `methods.xd`; only where it is asked for |

Each opens the test split once, when all is decided.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from dashzoo_search.candidates import Trained
from dashzoo_search.errors import UnknownContestant
from dashzoo_search.panel.halving import halve, rungs, uniform_specs
from dashzoo_search.panel.ours import ours
from dashzoo_search.panel.rocket import rocket
from dashzoo_search.panel.round import Round, Ticks, cost_of
from dashzoo_search.panel.row import Cost, Row, mean_score
from dashzoo_search.pipeline import run_search, run_training
from dashzoo_search.search import SearchOptions, epochs_spent
from dashzoo_search.spec import KernelSpec
from dashzoo_search.tasks.task import Task
from dashzoo_search.training.architecture import usual_optimizer
from dashzoo_search.training.runtime import Stopwatch

__all__ = ["CONTESTANTS", "Contestant", "pick_contestants"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """One who takes part.

    Attributes:
        name: to ask for it by.
        rows: names of the rows it makes.
        run: makes them.
        objection: why it has nothing to do with a task, or None; it fits all where this is None.
        asked: whether it takes part only where it is named.
    """

    name: str
    rows: tuple[str, ...]
    run: Callable[[Round], Iterable[Row]]
    objection: Callable[[Task], str | None] | None = None
    asked: bool = False


def pick_contestants(names: Sequence[str] | None) -> tuple[Contestant, ...]:
    """Contestants by name, in the order of the list; all but those to be asked for None.

    Raises:
        UnknownContestant: no such name.
    """
    known = {each.name: each for each in CONTESTANTS}
    for name in names or ():
        if name not in known:
            raise UnknownContestant(name, known, hint=f"Take some of {', '.join(known)}.")
    if names is None:
        return tuple(each for each in CONTESTANTS if not each.asked)
    return tuple(each for each in CONTESTANTS if each.name in names)


def default(round_: Round) -> list[Row]:
    """The backbone with its own kernels."""
    spec = round_.own()
    watch = Stopwatch()
    trained = round_.trainer().train("default", spec, {"scratch": round_.left()})
    return [_row(round_, "default", trained, spec, train=cost_of(watch, trained.epochs))]


def uniform(round_: Round) -> list[Row]:
    """The best (k, d) for all layers alike; its halving takes about what our search does."""
    specs = uniform_specs(round_.choices(), round_.task.dims)
    plan = rungs(len(specs), round_.search_epochs)
    epochs = sum(count * each for count, each in plan)
    watch = Stopwatch()
    ticks = Ticks(round_.on_epoch, stage="uniform, halving", epochs=epochs)
    best, history = halve(round_, specs, ticks, plan)
    search = cost_of(watch, epochs)
    watch, left = Stopwatch(), round_.left(epochs)
    trained = round_.trainer().train("uniform", specs[best], {"scratch": left})
    train = cost_of(watch, trained.epochs)
    told = {"choice": best, "rungs": history}
    row = _row(round_, "uniform", trained, specs[best], search=search, train=train, details=told)
    return [row]


def random(round_: Round) -> list[Row]:
    """Random kernels: the mean over the draws, and the draw that validation prefers.

    The mean is what one draw is to be expected to give, so it has the epochs and parameters of
    one; the best had to train them all.
    """
    generator = torch.Generator().manual_seed(round_.seed)
    choices, epochs = round_.choices(), round_.left()
    draws: list[tuple[KernelSpec, Trained, Cost]] = []
    for number in range(1, round_.draws + 1):
        layers = {
            name: some[int(torch.randint(len(some), (), generator=generator))]
            for name, some in choices.items()
        }
        spec = KernelSpec(dims=round_.task.dims, layers=layers)
        watch = Stopwatch()
        trained = round_.trainer().train(f"random {number}", spec, {"scratch": epochs})
        draws.append((spec, trained, cost_of(watch, trained.epochs)))
    best = 0
    for i, (_, trained, _) in enumerate(draws):
        if trained.fit.val.better_than(draws[best][1].fit.val):
            best = i
    test = round_.task.test.open()
    told = [trained.to_json(round_.task, test, round_.objective) for _, trained, _ in draws]
    every = Cost()
    for _, _, cost in draws:
        every += cost
    count = len(draws)
    mean = {name: mean_score([one[name] for one in told]) for name in ("val", "test")}
    mean |= {name: round(sum(o[name] for o in told) / count) for name in ("parameters", "macs")}
    each = [
        {"spec": spec.to_json(), "val": one["val"], "test": one["test"]}
        for (spec, _, _), one in zip(draws, told, strict=True)
    ]
    one_draw = replace(
        every,
        epochs=every.epochs // count,
        seconds=every.seconds / count,
        cpu_seconds=every.cpu_seconds / count,
    )
    return [
        round_.row("random", mean, train=one_draw, details={"draws": each}),
        round_.row(
            "random-best", told[best], spec=draws[best][0], train=every, details={"draw": best}
        ),
    ]


def dash(round_: Round) -> list[Row]:
    """DASH's recipe, on our operator and optimiser; a search of half our own one's epochs."""
    ours = round_.options.recipe
    options = SearchOptions.of(
        replace(ours, epochs=max(1, ours.epochs // 2)),
        "mixture",
        alpha_on="train",
        price=0.0,
        rule="argmax",
        shrink=0.0,
        dilations_at=0.0,
    )
    _, found = run_search(
        round_.task,
        round_.network,
        round_.space,
        options,
        objective=round_.objective,
        seed=round_.seed,
        device=round_.device,
        on_epoch=round_.on_epoch,
    )
    spent = epochs_spent(options.to_json())
    search = Cost(epochs=spent, seconds=found.seconds, cpu_seconds=found.cpu_seconds)
    watch, left = Stopwatch(), round_.left(spent)
    trained = round_.trainer().train("dash", found.spec, {"scratch": left})
    return [
        _row(
            round_, "dash", trained, found.spec, search=search,
            train=cost_of(watch, trained.epochs), details={"options": options.to_json()},
        )
    ]  # fmt: skip


def fno(round_: Round) -> list[Row]:
    """A Fourier neural operator of its authors' size, given the same inputs."""
    name = f"fno{round_.task.dims}d"
    network = replace(round_.network, backbone=name, args={})
    watch, left = Stopwatch(), round_.left()
    nothing = KernelSpec(dims=round_.task.dims, layers={})
    trained = round_.trainer(network=network).train("fno", nothing, {"scratch": left})
    cost = cost_of(watch, trained.epochs)
    return [_row(round_, "fno", trained, None, train=cost, details={"backbone": name})]


def xd(round_: Round) -> list[Row]:
    """XD-operations: transforms and weights together, then weights alone for one training.

    What it came to before the second part is in the details, as ``folded``.
    """
    ours = round_.options.recipe
    optimizer = usual_optimizer(round_.task.kind)
    spent = max(1, round_.left() - round_.recipe.epochs)
    options = SearchOptions.of(replace(ours, epochs=spent), "xd", arch_optimizer=optimizer)
    shared: dict[str, Any] = {
        "objective": round_.objective,
        "seed": round_.seed,
        "device": round_.device,
        "on_epoch": round_.on_epoch,
    }
    supernet, found = run_search(round_.task, round_.network, round_.space, options, **shared)
    search = Cost(epochs=spent, seconds=found.seconds, cpu_seconds=found.cpu_seconds)
    watch = Stopwatch()
    done = run_training(
        round_.task,
        round_.network,
        round_.recipe,
        spec=found.spec,
        supernet=supernet,
        init="searched",
        baseline_epochs=None,
        **shared,
    )
    told = done.metrics["searched"]
    train = cost_of(watch, told["epochs"] + told["judged_epochs"])
    details = {"options": options.to_json(), "folded": done.folded}
    return [round_.row("xd", told, spec=found.spec, search=search, train=train, details=details)]


def _row(
    round_: Round, name: str, trained: Trained, spec: KernelSpec | None, **more: object
) -> Row:
    told = trained.to_json(round_.task, round_.task.test.open(), round_.objective)
    return round_.row(name, told, spec=spec, **more)


def _no_sequences(task: Task) -> str | None:
    if task.dims == 1 and task.kind == "classification":
        return None
    return "it classifies sequences, and this is another kind of task"


def _no_fields(task: Task) -> str | None:
    if task.kind == "dense_regression":
        return None
    return "it maps fields to fields, and this is another kind of task"


# The pipeline trains the default kernels too, so it comes before them.
CONTESTANTS = (
    Contestant(name="ours", rows=("default", "ours", "shipped"), run=ours),
    Contestant(name="default", rows=("default",), run=default),
    Contestant(name="uniform", rows=("uniform",), run=uniform),
    Contestant(name="random", rows=("random", "random-best"), run=random),
    Contestant(name="dash", rows=("dash",), run=dash),
    Contestant(name="rocket", rows=("rocket",), run=rocket, objection=_no_sequences),
    Contestant(name="fno", rows=("fno",), run=fno, objection=_no_fields),
    Contestant(name="xd", rows=("xd",), run=xd, asked=True),
)
