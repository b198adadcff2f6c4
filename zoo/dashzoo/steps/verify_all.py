"""The whole shelf, verified: hashes, certificate, and the metric measured again from the files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from dashzoo.catalogue import bundles
from dashzoo.loading import load
from dashzoo.steps.task import trained_on
from dashzoo.steps.verify import prove
from dashzoo_cards.facts import load_facts
from dashzoo_export.bundle import RESULTS
from dashzoo_export.session import require_runtime
from dashzoo_search.errors import BadBundle, DashzooError
from dashzoo_search.training.metrics import evaluate
from dashzoo_search.training.objective import Objective
from dashzoo_search.training.runtime import Stopwatch

__all__ = ["Verdict", "verify_all"]

CLOSE = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What came of one model.

    Attributes:
        name: of the model.
        verdict: ``"holds"``, ``"fails"``, or ``"no data"`` where all holds that can be told
            without the data of its task.
        task: it was trained on, where the bundle tells.
        files: that are as they were made.
        metric, percent: by which it is judged, and whether that is a share.
        recorded, measured: on the test split, in results.json and just now.
        error: largest difference of the ONNX model in float32, over the largest output.
        reason: why it fails, or why there are no data.
        seconds, cpu_seconds: it took.
    """

    name: str
    verdict: Literal["holds", "fails", "no data"]
    task: str | None = None
    files: int | None = None
    metric: str | None = None
    percent: bool = False
    recorded: float | None = None
    measured: float | None = None
    error: float | None = None
    reason: str | None = None
    seconds: float = 0.0
    cpu_seconds: float = 0.0


def verify_all(
    *,
    public_key: str | PathLike[str] | None = None,
    on_model: Callable[[Verdict], None] = lambda _: None,
) -> list[Verdict]:
    """Verify every model of the shelf; one that fails does not keep the others from their turn.

    The metric is measured on the test split of the task that the bundle names, and may differ from
    the recorded one by what one sample does to a share, or by `CLOSE` in any other metric (of the
    metric, where that is above 1): other machines round otherwise.

    Args:
        public_key: see `verify`.
        on_model: told after each.

    Raises:
        MissingRuntime: onnxruntime is not installed.
    """
    require_runtime()
    verdicts = []
    for folder in bundles():
        verdicts.append(_verdict(folder, public_key))
        on_model(verdicts[-1])
    return verdicts


def _verdict(folder: Path, public_key: str | PathLike[str] | None) -> Verdict:
    watch = Stopwatch()
    verdict: Literal["holds", "fails", "no data"] = "holds"
    told: dict[str, Any] = {}
    try:
        facts = load_facts(folder, files=False)
        metric, recorded = facts.objective.metric, facts.network.test.value
        told |= {"task": facts.task.name, "metric": metric.name, "percent": metric.percent}
        told |= {"recorded": recorded}
        task = None
        try:
            task = trained_on(folder)
        except DashzooError as error:
            verdict, told["reason"] = "no data", _line(error)
        proof = prove(folder, task, public_key=public_key)
        told["files"] = len(proof["files"])
        told["error"] = max(
            row["relative_to_max"]
            for row in proof["certificate"]["network"]
            if row["form"] == "fp32"
        )
        if task is not None:
            measured = evaluate(load(folder), task.test.open(), Objective.of(task)).value
            told["measured"] = measured
            allowed = 1 / len(task.test) if metric.percent else CLOSE * max(1.0, abs(recorded))
            if not abs(measured - recorded) <= allowed:
                raise BadBundle(
                    f"{metric.name} on test is {metric.text(measured, 2)}, and {RESULTS} says "
                    f"{metric.text(recorded, 2)}; train again",
                    field=RESULTS,
                )
    except (DashzooError, OSError) as error:
        verdict, told["reason"] = "fails", _line(error)
    told.update(watch.to_json())
    return Verdict(name=folder.name, verdict=verdict, **told)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
