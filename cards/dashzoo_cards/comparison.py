"""The card's verdict: which network won on test, by how much, and what chance has to do with it."""

from __future__ import annotations

import math

from dashzoo_cards.facts import Facts
from dashzoo_cards.markdown import Markdown, code, percent, plain, score
from dashzoo_cards.results import Outcome

__all__ = ["comparison", "noise"]


def comparison(facts: Facts) -> Markdown:
    """Who won on test, by how much, and how many samples that is."""
    if facts.task.kind != "classification" or facts.objective.metric.name != "accuracy":
        return _measured(facts)
    ours, name = facts.searched, code(facts.backbone)
    count = facts.task.counts["test"]
    if facts.unchanged:
        return Markdown(
            f"It classifies {percent(ours.test.value)} of {count:,} test examples, and there is "
            "no other network to compare it with."
        )
    kind = facts.candidate
    score = f"With {kind} it classifies {percent(ours.test.value)} of {count:,} test examples"
    if facts.default is None:
        return Markdown(
            f"{score}. The same backbone with its default kernels was not trained, so nothing "
            "here says whether the kernels help."
        )
    theirs = facts.default.test.value
    samples = round((ours.test.value - theirs) * count)
    beside = f"; {name} with its default kernels gets {percent(theirs)}"
    if samples == 0:
        return Markdown(f"{score}{beside}. **Neither wins on test.**")
    winner = f"The {kind} win" if samples > 0 else "The default kernels win"
    points = abs(ours.test.value - theirs) * 100
    examples = "example" if abs(samples) == 1 else "examples"
    verdict = f"**{winner} by {points:.2f} points, {abs(samples):,} test {examples}.**"
    return Markdown(f"{score}{beside}. {verdict} {noise(ours, facts.default, count)}")


def _measured(facts: Facts) -> Markdown:
    """`comparison`, of what counts no examples."""
    metric, count = facts.objective.metric, facts.task.counts["test"]
    name, better = plain(metric.name), "larger" if metric.larger_is_better else "smaller"
    ours = facts.searched.test.value
    told = f"{name} on {count:,} test examples is {score(metric, ours)} ({better} is better)"
    if facts.unchanged:
        return Markdown(f"Its {told}, and there is no other network to compare it with.")
    kind = facts.candidate
    if facts.default is None:
        return Markdown(
            f"With {kind} its {told}. The same backbone with its default kernels was not trained, "
            "so nothing here says whether the kernels help."
        )
    theirs = facts.default.test.value
    beside = f"; {code(facts.backbone)} with its default kernels gets {score(metric, theirs)}"
    if ours == theirs:
        return Markdown(f"With {kind} its {told}{beside}. **Neither wins on test.**")
    winner = f"The {kind} win" if metric.better(ours, theirs) else "The default kernels win"
    gap = f"{abs(ours - theirs):.4g}"
    if metric.percent:
        gap = f"{100 * abs(ours - theirs):.2f} points"
    return Markdown(
        f"With {kind} its {told}{beside}. **{winner} by {gap}.** "
        "One seed, and how much chance does on a test set of this size was not measured: not proof "
        "of a difference."
    )


def noise(ours: Outcome, theirs: Outcome, count: int) -> str:
    """Whether a difference stands out from the chance of which examples were drawn.

    Twice the binomial standard error of the difference, the two taken as independent: wide
    for two networks on the same examples, so what passes it does stand out.
    """
    spread = sum(p * (1 - p) / count for p in (ours.test.value, theirs.test.value))
    band = 2 * math.sqrt(spread)
    difference = abs(ours.test.value - theirs.test.value)
    if difference <= band:
        return (
            f"That is within ±{100 * band:.2f} points, what chance alone does on a test set of "
            "this size, and it is one seed: not proof of a difference."
        )
    return f"Chance on a test set of this size accounts for ±{100 * band:.2f} points; one seed."
