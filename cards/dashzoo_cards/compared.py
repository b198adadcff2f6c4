"""Numbers beside each other as dots on one axis: the test metric by network, latency by runtime.

A card has each of them where its facts hold at least two such numbers, or one latency.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path

from dashzoo_cards.canvas import DEFAULT, SEARCHED, SOFT, WIDTH
from dashzoo_cards.dots import (
    MARGIN,
    Dot,
    decades,
    dots_page,
    draw_dots,
    round_numbers,
)
from dashzoo_cards.facts import Facts, fingerprint
from dashzoo_cards.markdown import score

__all__ = [
    "counts_examples",
    "draw_latency",
    "draw_scores",
    "interval",
    "latency_dots",
    "latency_facts",
    "score_dots",
    "score_facts",
]

MOST = 16  # published figures, or timings
ENGINES = {"onnxruntime": "ONNX Runtime"}


def counts_examples(facts: Facts) -> bool:
    """Whether the metric is a share of the test examples, so that chance in them has a width."""
    return facts.task.kind == "classification" and facts.objective.metric.name == "accuracy"


def interval(share: float, count: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share of ``count`` examples drawn by chance, (low, high).

    Unlike the share ± its standard error it stays within 0 … 1, and has a width at the ends.

    >>> [round(end, 3) for end in interval(1.0, 150)]
    [0.975, 1.0]
    """
    z = 1.96
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + (z / count / 2) ** 2)
    return min(share, max(0.0, centre - half)), max(share, min(1.0, centre + half))


def score_dots(facts: Facts) -> tuple[Dot, ...]:
    """The test metric of both networks, then what others published, best first."""
    metric, count = facts.objective.metric, facts.task.counts["test"]
    networks = {} if facts.unchanged else {facts.candidate: ("searched", facts.searched, SEARCHED)}
    if facts.default is not None:
        networks["default kernels"] = ("default", facts.default, DEFAULT)
    dots = []
    for label, (which, outcome, colour) in networks.items():
        value = outcome.test.value
        low, high = interval(value, count) if counts_examples(facts) else (value, value)
        shipped = which == facts.shipped or facts.unchanged
        dots.append(
            Dot(
                label=f"{label}, shipped" if shipped else label,
                value=value,
                low=low,
                high=high,
                text=score(metric, value),
                colour=colour,
                ours=shipped,
            )
        )
    least = -math.inf if metric.low is None else metric.low
    most = math.inf if metric.high is None else metric.high
    published = [
        Dot(
            label=told.method,
            value=told.value,
            low=told.value,
            high=told.value,
            text=score(metric, told.value),
            colour=SOFT,
            here=False,
        )
        for told in facts.published
        if told.metric == metric.name and least <= told.value <= most
    ]
    published.sort(key=lambda dot: -metric.goodness(dot.value))
    found = (*dots, *published[:MOST])
    return found if len(found) > 1 else ()


def latency_dots(facts: Facts) -> tuple[Dot, ...]:
    """The median time of a call, and its 95th percentile, of each form that was measured."""
    timings = () if facts.export is None else facts.export.timings
    return tuple(
        Dot(
            label=f"{ENGINES.get(told.engine, told.engine)} {told.dtype} on {told.provider}, "
            f"batch {told.batch:,}",
            value=told.median_ms,
            low=told.median_ms,
            high=max(told.median_ms, told.p95_ms),
            text=f"{told.median_ms:.3g} ms",
            colour=SEARCHED if told.engine == "onnxruntime" else DEFAULT,
            ours=told.engine == "onnxruntime",
        )
        for told in timings[:MOST]
        if told.median_ms > 0
    )


def draw_scores(facts: Facts, path: Path) -> Path:
    """Draw the test metric of both networks beside what others published.

    Raises:
        OSError: the file cannot be written.
    """
    metric, dots = facts.objective.metric, score_dots(facts)
    way = "" if metric.larger_is_better else ", smaller is better"
    note = "one seed, and no interval was measured"
    if any(dot.high > dot.low for dot in dots):
        note = (
            f"one seed; lines: 95 % intervals, for chance in {facts.task.counts['test']:,} examples"
        )
    if (shown := sum(not dot.here for dot in dots)) > 0:
        note += "; rings: published by others" + (", the best of them" if shown == MOST else "")
    canvas = dots_page(f"Test {metric.name} on {facts.task.name}{way}", note, len(dots))
    low, high = min(dot.low for dot in dots), max(dot.high for dot in dots)
    pad = 0.06 * (high - low) or 0.01 * abs(high) or 0.01
    low, high = low - pad, high + pad
    ticks = round_numbers(low, high)
    if metric.percent:
        ticks = [tick for tick in ticks if 0 <= tick <= 1]
    digits = max(0, -math.floor(math.log10(high - low)) - 1)
    draw_dots(
        canvas,
        dots,
        ends=(low, high),
        ticks={
            tick: f"{100 * tick:.{digits}f} %" if metric.percent else f"{tick:.6g}"
            for tick in ticks
        },
        scale=float,
    )
    return canvas.save(path, fingerprint=score_facts(facts))


def draw_latency(facts: Facts, path: Path) -> Path:
    """Draw how long each form of the network takes for a call, on a logarithmic axis.

    Raises:
        OSError: the file cannot be written.
    """
    dots, timing = latency_dots(facts), facts.export.timings[0] if facts.export else None
    many = "threads" if timing and timing.threads > 1 else "thread"
    where = f"{timing.machine}, {timing.threads} {many}" if timing else ""
    canvas = dots_page("Time of one call", "dots: median, lines to the 95th percentile", len(dots))
    canvas.write(
        WIDTH - MARGIN, 34, canvas.fit(where, WIDTH / 2), ha="right", color=SOFT
    )  # in the title's line
    low = math.log10(min(dot.low for dot in dots)) - 0.1
    high = math.log10(max(dot.high for dot in dots)) + 0.1
    ticks = decades(low, high)
    draw_dots(
        canvas,
        dots,
        ends=(low, high),
        ticks={math.log10(tick): f"{tick:,.6g} ms" for tick in ticks},
        scale=math.log10,
    )
    return canvas.save(path, fingerprint=latency_facts(facts))


def score_facts(facts: Facts) -> str:
    """Hash of what `draw_scores` draws from."""
    metric, task = facts.objective.metric, facts.task
    dots = list(map(asdict, score_dots(facts)))
    return fingerprint([dots, metric.to_json(), task.name, task.counts["test"]])


def latency_facts(facts: Facts) -> str:
    """Hash of what `draw_latency` draws from."""
    timings = () if facts.export is None else facts.export.timings
    return fingerprint(list(map(asdict, timings)))
