"""Our own contestant: the pipeline as `dashzoo run --init both` has it, and its default kernels."""

from __future__ import annotations

from dashzoo_search.panel.round import Round, Ticks, cost_of
from dashzoo_search.panel.row import Cost, Row
from dashzoo_search.pipeline import run_search, run_training
from dashzoo_search.training.runtime import Stopwatch

__all__ = ["ours"]


def ours(round_: Round) -> list[Row]:
    """Search, train what it proposes from both starts, and let held-out data choose.

    Three rows come of it, and one read of test:

    - default: the backbone's own kernels from scratch, as `contestants.default` trains them;
    - ours: the search's best proposal, from the better start;
    - shipped: what the pipeline ships of the two. It has the cost of everything.
    """
    supernet, found = run_search(
        round_.task,
        round_.network,
        round_.space,
        round_.options,
        objective=round_.objective,
        seed=round_.seed,
        device=round_.device,
        on_epoch=round_.on_epoch,
    )
    search = Cost(epochs=round_.search_epochs, seconds=found.seconds, cpu_seconds=found.cpu_seconds)
    ticks, watch = Ticks(round_.on_epoch), Stopwatch()
    done = run_training(
        round_.task,
        round_.network,
        round_.recipe,
        spec=found.spec,
        others=found.others,
        supernet=supernet,
        objective=round_.objective,
        init="both",
        baseline_epochs=round_.left(),
        seed=round_.seed,
        device=round_.device,
        on_epoch=ticks,
    )
    everything = cost_of(watch, ticks.total)
    selection = done.selection
    assert selection is not None  # there is a baseline, and the best is to be shipped
    own = round_.own(found.spec)
    kept = selection.how == "the search itself"
    chosen = found.others.get(selection.proposal, found.spec)

    default = done.metrics["default"]
    baseline = Cost(
        epochs=default["epochs"] + default["judged_epochs"],
        seconds=default["seconds"],
        cpu_seconds=default["cpu_seconds"],
    )
    # Without them, what was decided between the two was no part of finding the proposal.
    beside = Cost() if kept else baseline
    if not kept and len(selection.proposals) == 1:
        beside += Cost(
            epochs=ticks.counts.get("final choice", 0),
            seconds=selection.seconds,
            cpu_seconds=selection.cpu_seconds,
        )
    proposal, shipped = done.metrics["searched"], done.metrics[done.shipped]
    details = {
        "init": proposal["init"],
        "inits": proposal.get("inits", {}),
        "proposal": selection.proposal,
        "others": {name: spec.to_json() for name, spec in found.others.items()},
        "scouted": dict(found.scouted),
        "folded": done.folded,
    }
    return [
        round_.row("default", default, train=baseline, spec=own),
        round_.row(
            "ours",
            proposal,
            search=search,
            train=everything - beside,
            spec=own if kept else chosen,
            details=details,
        ),
        round_.row(
            "shipped",
            shipped,
            search=search,
            train=everything,
            spec=own if done.shipped == "default" else chosen,
            details={"shipped": done.shipped, "selection": selection.to_json()},
        ),
    ]
