"""The card's text: a pure function of `Facts`, filled into `templates/card.md.j2`.

What the template prints is escaped unless it is `Markdown`, so a name from a foreign bundle
stays text. Nothing about a run is written in the template: every number comes from facts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import jinja2

from dashzoo_cards import compared, markdown, words
from dashzoo_cards.comparison import comparison
from dashzoo_cards.dots import in_words
from dashzoo_cards.exported import Port
from dashzoo_cards.facts import Facts
from dashzoo_cards.figures import figures
from dashzoo_cards.markdown import Markdown, code, percent, plain, score
from dashzoo_cards.metadata import card_data
from dashzoo_cards.reproduce import commands
from dashzoo_cards.results import Outcome, Published

__all__ = ["render_card"]


def render_card(facts: Facts) -> str:
    """The card's text, the same for the same facts.

    Args:
        facts: the bundle's facts, its figures among the files.

    Raises:
        BadBundle: the weights' licence is none the Hub knows.
    """
    task = facts.task
    raw_shape = Markdown(f"`({', '.join(map(str, (task.channels, *task.size)))})`")
    selection = facts.selection
    return _template().render(
        facts=facts,
        header=Markdown(card_data(facts).to_yaml()),
        words={
            "alt_text": words.alt_text(facts),
            "arguments": words.arguments(facts),
            "budget": words.budget(facts),
            "choice": words.choice(facts),
            "comparison": comparison(facts),
            "compute": words.compute(facts),
            "inits": words.inits(facts),
            "length": _length(facts),
            "limits": words.limits(facts),
            "lowering": words.lowering(facts),
            "outputs": words.outputs(facts.task),
            "parity": words.parity(facts),
            "precisions": words.precisions(facts),
            "search": words.search(facts),
            "selection_seconds": words.seconds(selection.seconds) if selection else "",
            "table": words.table(facts),
            "test_use": words.test_use(facts),
        },
        column=facts.candidate,
        metrics=list(_metrics(facts)),
        published=_published_value,
        port=_port,
        raw_shape=raw_shape,
        onnx_shape=_onnx_shape(facts),
        folder=markdown.slug(facts.name),
        figures=figures(facts),
        alt_scores=in_words(
            compared.score_dots(facts), f"Test {facts.objective.metric.name}, dots on an axis"
        ),
        alt_latency=in_words(compared.latency_dots(facts), "Median time of a call"),
        engines=compared.ENGINES,
        commands=_commands(facts),
    )


def _commands(facts: Facts) -> Markdown:
    """What makes the bundle anew, or nothing where its kernels were given."""
    return Markdown(commands(facts.asked, markdown.slug(facts.name)) if facts.asked else "")


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("dashzoo_cards", "templates"),
        autoescape=False,  # this is Markdown: finalize escapes it
        finalize=markdown.finalize,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        code=code, literal=markdown.literal, md=Markdown, sizes=markdown.sizes
    )
    return environment.get_template("card.md.j2")


def _metrics(facts: Facts) -> Iterator[tuple[str, str, str]]:
    metric = facts.objective.metric
    way = "" if metric.larger_is_better else ", smaller is better"
    rows: dict[str, Callable[[Outcome], str]] = {
        f"test {metric.name}{way}": lambda o: score(metric, o.test.value),
        "its 95 % interval": lambda o: _interval(facts, o),
        f"validation {metric.name}{way}": lambda o: score(metric, o.val.value),
        "test loss": lambda o: f"{o.test.loss:.4g}",
        "validation loss": lambda o: f"{o.val.loss:.4g}",
        "parameters": lambda o: f"{o.parameters:,}",
        "MACs for one example": lambda o: f"{o.macs:,}",
        "training epochs": lambda o: f"{o.epochs:,}",
        "training time": lambda o: words.seconds(o.seconds),
        "training CPU time": lambda o: words.seconds(o.cpu_seconds),
    }
    if not compared.counts_examples(facts):
        del rows["its 95 % interval"]
    for label, tell in rows.items():
        default = "not trained" if facts.default is None else tell(facts.default)
        yield label, tell(facts.searched), default


def _interval(facts: Facts, outcome: Outcome) -> str:
    low, high = compared.interval(outcome.test.value, facts.task.counts["test"])
    return f"{100 * low:.2f} … {percent(high)}"


def _published_value(item: Published) -> str:
    if item.metric == "accuracy" and 0 <= item.value <= 1:
        return percent(item.value)
    return f"{item.value:g}"


def _port(port: Port) -> Markdown:
    axes = ", ".join(plain(str(axis)) for axis in port.shape)
    return Markdown(f"{code(port.name)}: {code(port.dtype)} of shape ({axes})")


def _onnx_shape(facts: Facts) -> Markdown:
    shape = facts.export.input.shape if facts.export else ()
    return Markdown(repr(tuple(axis if isinstance(axis, int) else 1 for axis in shape)))


def _length(facts: Facts) -> str:
    what = "lengths" if facts.task.dims == 1 else "sizes"
    told = ""
    if facts.export:
        told = "; the ONNX graph takes no other"
    if facts.export and (free := facts.export.shortest):
        least = " and ".join(f"{axis} from {n:,}" for axis, n in free.items())
        told = f" for accuracy; the ONNX graph takes any {least}"
    return f"Other {what} were not tried{told}."
