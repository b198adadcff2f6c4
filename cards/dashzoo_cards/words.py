"""The card's sentences: what the numbers come to, said plainly and no stronger than they are."""

from __future__ import annotations

import json
from collections import Counter

from dashzoo_cards.facts import Facts
from dashzoo_cards.markdown import Markdown, code, line, plain, score
from dashzoo_cards.results import Task

__all__ = [
    "alt_text",
    "budget",
    "choice",
    "compute",
    "inits",
    "limits",
    "lowering",
    "outputs",
    "parity",
    "precisions",
    "search",
    "table",
    "test_use",
]


def choice(facts: Facts) -> Markdown:
    """Which network the bundle holds, and what decided it, with a space behind; or nothing."""
    told = facts.selection
    if told is None:
        return Markdown("")
    if facts.unchanged:
        return Markdown(
            "**The search found no kernels that held-out data clearly prefers to the backbone's "
            "own, and kept those.** "
        )
    metric = facts.objective.metric
    searched, default = score(metric, told.searched.value), score(metric, told.default.value)
    named, over = f"{plain(metric.name)} ", "on"
    if facts.task.kind == "classification" and metric.percent:
        named, over = "", "of"
    on = f"in {plain(told.how)} ({named}{searched} against {default} "
    on += f"{over} {told.samples:,} examples"
    if searched == default:
        on += f", loss {told.searched.loss:.2g} against {told.default.loss:.2g}"
    if facts.shipped == "default":
        lost = "lost to the default ones"
        if metric.goodness(told.searched.value) > metric.goodness(told.default.value):
            lost = "did not beat the default ones by more than noise"
        found = "XD-operations" if facts.operations else "kernels the search found"
        return Markdown(
            f"**The {found} {lost} {on}), so the default ones "
            "are shipped**; both are reported below. "
        )
    if facts.operations:
        return Markdown(f"The XD-operations beat the convolutions they started as {on}). ")
    kernels = "kernels the search found beat"
    if told.proposal == "uniform":
        kernels = "one kernel for all layers that the search proposed beats"
    if told.proposal in ("growing", "shrinking"):
        kernels = f"dilations {told.proposal} with depth, tried beside what the search found, beat"
    return Markdown(f"The {kernels} the default ones {on}). ")


def table(facts: Facts) -> str:
    """Which of the layer table's columns the shipped network has, if not the searched ones."""
    if facts.unchanged:
        return "The search changed none of them."
    if facts.shipped == "searched":
        return ""
    if facts.operations:
        return "The network shipped has the default kernels, as they are beside the XD-operations."
    return "The network shipped has the default kernels; beside them are those the search found."


def outputs(task: Task) -> str:
    """How many outputs of which sort, and where."""
    many = {"classification": "classes", "dense_labels": "classes", "multilabel": "labels"}
    word = many.get(task.kind, "outputs")
    count = len(task.classes)
    told = f"{count:,} {word if count != 1 else word[:-1]}"
    return f"{told} at every position" if task.kind.startswith("dense") else told


def limits(facts: Facts) -> Markdown:
    """What the outputs are, and what they are not."""
    task = facts.task
    names = ", ".join(map(code, task.classes[:10]))
    if len(task.classes) > 10:
        names += f" and {len(task.classes) - 10:,} more"
    if task.kind == "classification":
        return Markdown(
            f"It tells apart the classes {names}, and no others: an example of anything else gets "
            "one of these labels all the same."
        )
    if task.kind == "dense_labels":
        return Markdown(
            f"At every position it tells apart the classes {names}, and no others: a position of "
            "anything else gets one of these labels all the same."
        )
    if task.kind == "multilabel":
        return Markdown(f"It says which of the labels {names} an example has, and knows no others.")
    at = " for every position" if task.kind == "dense_regression" else ""
    named = "" if task.classes in ((), ("y",)) else f", {names}"
    return Markdown(
        f"It gives {outputs(task).removesuffix(' at every position')}{at}{named}, without saying "
        "how sure they are."
    )


def inits(facts: Facts) -> Markdown:
    """How the two trainings of the searched kernels went, where there were two; or nothing."""
    fits = facts.searched.inits
    if not fits:
        return Markdown("")
    metric = facts.objective.metric
    names = {"searched": "the weights the search left", "scratch": "scratch"}
    told = "; ".join(
        f"from {names[start]}: {score(metric, fit.val.value)} on validation and "
        f"{score(metric, fit.test.value)} on test after {fit.epochs:,} epochs, "
        f"{seconds(fit.seconds)}"
        for start, fit in fits.items()
    )
    kept = names[facts.searched.init or "scratch"]
    searched = "XD-operations" if facts.operations else "searched kernels"
    return Markdown(
        f"The {searched} were trained twice, {told}. Validation kept the start from {kept}."
    )


def search(facts: Facts) -> Markdown:
    """How the kernels were searched, in a line."""
    told = facts.search
    if told is None:
        return Markdown("none")
    settings = ", ".join(
        f"{name.replace('_', ' ')} {value if isinstance(value, float) else code(value)}"
        for name, value in told.settings.items()
    )
    start = {
        None: "",
        True: ", from where a scout pointed",
        False: ", from the backbone's own kernels, which a scout did not beat",
    }[told.believed]
    start = start if told.started is None else f", from the kernels of {plain(told.started)}"
    took = f"{seconds(told.seconds)} ({seconds(told.cpu_seconds)} CPU)"
    return Markdown(f"{told.epochs:,} epochs by {code(told.method)}{start}; {settings}; {took}")


def budget(facts: Facts) -> Markdown:
    """What each side was given to train with, and what the search took on top."""
    search = facts.search
    cost = "" if search is None else f" The search took another {seconds(search.seconds)}."
    if facts.default is None:
        return Markdown(f"It was trained for {facts.searched.epochs:,} epochs.{cost}")
    (ours, spent), theirs = facts.searched.spent, facts.default.epochs
    if facts.unchanged:
        return Markdown(f"It was trained for {theirs:,} epochs.{cost}")
    if search is not None and ours + search.epochs == theirs:
        took = seconds(search.seconds + spent)
        took += f" against {seconds(facts.default.seconds)}"
        return Markdown(
            f"Equal budgets in epochs: {search.epochs:,} of search and {ours:,} of training "
            f"against {theirs:,} of training; in time {took}."
        )
    if ours == theirs:
        return Markdown(f"Both were trained for the same {ours:,} epochs.{cost}")
    return Markdown(
        f"The budgets differ: {ours:,} epochs with these kernels, {theirs:,} with the default "
        f"ones.{cost}"
    )


def compute(facts: Facts) -> str:
    """Processor time of all that was done, as far as it is on record."""
    trained = [facts.default or facts.searched] if facts.unchanged else [facts.searched]
    if facts.default is not None and not facts.unchanged:
        trained.append(facts.default)
    stages = [stage for stage in (facts.search, facts.selection, *trained) if stage is not None]
    least = "at least " if any(outcome.inits for outcome in trained) else ""
    took = seconds(sum(stage.cpu_seconds for stage in stages))
    return f"{least}{took} of CPU time in all; emissions were not measured"


def test_use(facts: Facts) -> Markdown:
    """How often the test split was read, and what that does to its figures."""
    reads = facts.test_reads
    if reads == 1:
        return Markdown(
            "The test split was read **once**, after kernels, epoch and weights were fixed."
        )
    if reads == 0:
        return Markdown(
            "The record counts no read of the test split: ask where its figures are from."
        )
    return Markdown(
        f"The test split was read **{reads:,} times**; the more often, the more it flatters."
    )


def lowering(facts: Facts) -> Markdown:
    """How many layers were written to ONNX in which form."""
    forms = Counter(facts.export.lowering.values()) if facts.export else Counter[str]()
    ordered = sorted(forms.items(), key=lambda item: (-item[1], item[0]))
    return Markdown(
        ", ".join(f"{count:,} × {code(form)}" for form, count in ordered) or "none listed"
    )


def parity(facts: Facts, precision: str = "fp32") -> Markdown:
    """The worst difference between a file and torch in float64 over all checks."""
    export = facts.export
    checks = [c for c in export.checks if c.form == precision] if export else []
    if export is None or not checks:
        return Markdown("not measured")
    worst, tolerance = max(c.relative_to_max for c in checks), export.tolerances[precision]
    held = "within" if worst <= tolerance else "**beyond**"
    counted = [c for c in checks if c.inputs == "real" and c.agree is not None and c.of]
    same = ""
    if counted:
        most = max(counted, key=lambda check: check.samples)
        same = f", same class for {most.agree:,} of {most.of:,} in validation"
    return Markdown(
        f"{worst:.1e} of the largest output, {held} the tolerance of {tolerance:.0e} "
        f"({len(checks):,} checks{same})"
    )


def precisions(facts: Facts) -> list[tuple[str, Markdown]]:
    """Files other than that in float32: their names, sizes, and differences from torch."""
    export = facts.export
    if export is None:
        return []
    return [
        (
            name,
            Markdown(
                f"{graph.bytes:,} bytes, opset {graph.opset}; {parity(facts, graph.precision)}"
                + _carried(export.computed[graph.precision])
            ),
        )
        for name, graph in export.graphs.items()
        if graph is not export.main
    ]


def _carried(how: str) -> Markdown:
    return Markdown("" if how == "as it is" else f"; computed {plain(how)}")


def alt_text(facts: Facts) -> Markdown:
    """The kernel picture in words, up to a dozen layers."""
    told = ", ".join(plain(f"{layer.name} {layer.choice}") for layer in facts.layers[:12])
    rest = len(facts.layers) - 12
    more = f", and {rest:,} more in the table below" if rest > 0 else ""
    return Markdown(f"Kernels of {plain(facts.name)} layer by layer: {told}{more}")


def arguments(facts: Facts) -> Markdown:
    """The backbone's own arguments, or a word that there are none, and the size it works at."""
    args = dict(facts.backbone_args)
    told = code(line(json.dumps(args, sort_keys=True))) if args else "no arguments"
    resized = f", on images resized to {facts.resize}×{facts.resize}" if facts.resize else ""
    return Markdown(f"{told}{resized}")


def seconds(value: float) -> str:
    """Seconds with a unit one can feel: ``7.2 s``, ``12 min 5 s``, ``3 h 20 min``."""
    if value < 100:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 100:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
