"""The report's text: `Facts` and `Record` in, one HTML page out, filled into `report.html.j2`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dashzoo_cards import words
from dashzoo_cards.comparison import comparison
from dashzoo_cards.facts import Facts, load_facts
from dashzoo_cards.html.pages import environment
from dashzoo_cards.html.prose import prose
from dashzoo_cards.markdown import Markdown, line
from dashzoo_cards.report.curves import learning, settling
from dashzoo_cards.report.errors import confusion, fields, scatter
from dashzoo_cards.report.kernels import atlas
from dashzoo_cards.report.reach import reach
from dashzoo_cards.report.record import Breakdown, Record, load_record

__all__ = ["render_report"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One figure among others: who, how it is written, its share of the scale, whose it is."""

    name: str
    value: str
    share: float
    look: str
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """One form of the network in the certificate."""

    form: str
    checks: int
    worst: float
    tolerance: float | None
    agree: str

    @property
    def held(self) -> bool:
        """Whether it is within its tolerance."""
        return self.tolerance is None or self.worst <= self.tolerance


def render_report(bundle: Path, *, fault: str | None = None) -> str:
    """The report of a bundle, one HTML page that loads nothing; the same for the same files.

    Args:
        bundle: its folder; a run without ONNX files is told without them.
        fault: why the bundle is not whole, if it is not.

    Raises:
        BadBundle: a file or field is missing or ill-typed.
    """
    facts = load_facts(bundle)
    record = load_record(bundle, kind=facts.task.kind, names=len(facts.task.classes))
    return (
        environment("report")
        .get_template("report.html.j2")
        .render(**_context(facts, record), fault=None if fault is None else line(fault).rstrip("."))
    )


def _context(facts: Facts, record: Record) -> dict[str, Any]:
    metric = facts.objective.metric
    selection = facts.selection
    return {
        "facts": facts,
        "metric": metric,
        "tiles": list(_tiles(facts, record)),
        "summary": prose(Markdown(words.choice(facts) + comparison(facts))),
        "test_use": prose(words.test_use(facts)),
        "outputs": words.outputs(facts.task),
        "splits": _splits(facts),
        "atlas": atlas(facts),
        "table": words.table(facts),
        "search": prose(words.search(facts)),
        "settled": settling(facts),
        "panels": learning(facts, record.curves),
        "reach": reach(facts, record.windows),
        "errors": _errors(facts, record.breakdown),
        "bars": _bars(facts),
        "budget": prose(words.budget(facts)),
        "inits": prose(words.inits(facts)),
        "selection_seconds": words.seconds(selection.seconds) if selection else "",
        "proofs": list(_proofs(facts)),
        "lowering": prose(words.lowering(facts)),
        "limits": prose(words.limits(facts)),
        "arguments": prose(words.arguments(facts)),
        "seconds": words.seconds,
    }


def _tiles(facts: Facts, record: Record) -> Iterator[tuple[str, str, str]]:
    metric, outcome = facts.objective.metric, facts.network
    beside = f"of {facts.task.counts['test']:,} examples"
    if facts.default is not None and not facts.unchanged:
        other = facts.default if facts.shipped == "searched" else facts.searched
        kind = "default" if facts.shipped == "searched" else "searched"
        beside = f"{metric.text(other.test.value, 2)} with the {kind} kernels"
    yield f"Test {line(metric.name)}", metric.text(outcome.test.value, 2), beside
    changed = sum(
        (layer.choice.kernel, layer.choice.dilation)
        != (layer.default_kernel, layer.default_dilation)
        or layer.xd is not None
        for layer in facts.layers
    )
    of = f"the search changed {changed} of {len(facts.layers)} layers"
    yield "Shipped", facts.shipped, of
    yield "Parameters", _short(outcome.parameters), f"{outcome.parameters:,}"
    yield "MACs an example", _short(outcome.macs), f"{outcome.macs:,}"
    found = reach(facts, record.windows)
    if found is not None:
        seen = found.searched if facts.shipped == "searched" else found.default
        yield "Receptive field", f"{seen:,}", f"samples, of an input of {found.size:,}"


def _splits(facts: Facts) -> list[tuple[str, int, float]]:
    whole = sum(facts.task.counts.values())
    return [(name, count, count / whole) for name, count in facts.task.counts.items()]


def _bars(facts: Facts) -> list[Bar]:
    metric = facts.objective.metric
    rows = [("the default kernels", facts.default, "theirs", "trained here")]
    ours = facts.candidate
    if not facts.unchanged:
        rows.insert(0, (ours, facts.searched, "ours", "trained here"))
    told = [(n, o.test.value, look, how) for n, o, look, how in rows if o is not None]
    told += [
        (line(item.method), item.value, "third", line(item.source))
        for item in facts.published
        if item.metric == metric.name
    ]
    values = [value for _, value, *_ in told]
    most = metric.high if metric.percent and metric.high else max(map(abs, values), default=1)
    return [
        Bar(
            name=name,
            value=metric.text(value, 2),
            share=min(max(value / most if most else 0.0, 0.0), 1.0),
            look=look,
            source=source,
        )
        for name, value, look, source in told
    ]


def _errors(facts: Facts, told: Breakdown | None) -> dict[str, Any] | None:
    if told is None:
        return None
    names = [line(name) for name in facts.task.classes] or ["output"]
    found: dict[str, Any] = {"told": told, "confusion": None}
    found |= {"labels": (), "outputs": (), "fields": ()}
    if told.of:
        found["confusion"] = confusion(facts, told)
    if told.labels:
        found["labels"] = list(zip(names, told.labels, strict=False))
    if told.outputs:
        found["outputs"] = [
            (name, scatter(bins, name), bins)
            for name, bins in zip(names, told.outputs, strict=False)
            if bins
        ]
    if told.example is not None:
        found["fields"] = fields(facts, told.example)
    return found


def _proofs(facts: Facts) -> Iterator[Proof]:
    export = facts.export
    if export is None:
        return
    forms = Counter(check.form for check in export.checks)
    for form, count in forms.items():
        checks = [check for check in export.checks if check.form == form]
        counted = [c for c in checks if c.inputs == "real" and c.agree is not None and c.of]
        most = max(counted, key=lambda check: check.samples, default=None)
        yield Proof(
            form=line(form),
            checks=count,
            worst=max(check.relative_to_max for check in checks),
            tolerance=export.tolerances.get(form),
            agree=f"{most.agree:,} of {most.of:,}" if most and most.of else "–",
        )


def _short(count: int) -> str:
    """A count in three digits and a letter.

    >>> _short(91234), _short(1_300_000), _short(512)
    ('91.2 k', '1.3 M', '512')
    """
    if count < 1000:
        return str(count)
    power = min(int(math.log10(count)) // 3, 4)
    return f"{count / 1000**power:.3g} {' kMGT'[power]}"
