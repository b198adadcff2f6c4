"""The commands that make a bundle anew, from what results.json says it was made with.

Everything a flag stands for is told, defaults too, since those of another dashzoo may differ.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from dashzoo_cards.fields import Fields
from dashzoo_cards.markdown import line

__all__ = ["Asked", "commands"]

# Of results.json:search, what `dashzoo search` takes under the same name.
_SEARCH = (
    *(
        "method",
        "xd_depth",
        "arch_optimizer",
        "arch_lr",
        "heldout",
        "explore",
        "scout",
        "sparsity",
        "confidence",
    ),
    *("max_params", "max_macs", "max_receptive_field", "max_latency", "latency_table"),
    *("price", "price_on", "weights", "alpha_lr", "alpha_on", "rule", "slack", "relaxation"),
    *("temperature", "temperature_end", "shrink", "dilations_at", "settle"),
)
# Of results.json:data_options.
_DATA = (
    *("kind", "target", "id", "time", "channels", "lengths", "size", "split", "split_column"),
    *("groups", "loss", "metric", "positive_weight"),
)
_XD = "xd"  # is an operator to the command line, and a method on record
_OWN_FILE = "the user's own "
_SAFE = re.compile(r'[\w.,:/+=*?@\[\]{}" -]*', re.ASCII)
_WIDTH = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the commands that made a bundle were told.

    Attributes:
        data: name of the task, or ``DATA`` where it was somebody's own file.
        search: words of `dashzoo search`, but for epochs.
        search_epochs: of the search, a scout's not counted.
        train: words of `dashzoo train`.
        pick: number of the spec that was chosen by hand, if one was.
        tune: trials of the tuning, if there was one.
    """

    data: str
    search: tuple[str, ...]
    search_epochs: int
    train: tuple[str, ...]
    pick: int | None
    tune: int | None

    @classmethod
    def read(cls, results: Fields, said: Mapping[str, Any]) -> Self | None:
        """From ``results.json``; None where kernels were given, or a name is none for a shell.

        Args:
            results: the file.
            said: what it tells of the data.
        """
        search, space = results.inside_or_null("search"), results.inside_or_null("space")
        if search is None or space is None:
            return None
        task, recipe = results.inside("task"), results.inside("recipe")
        own = task.text("source").startswith(_OWN_FILE)
        asked = cls(
            data="DATA" if own else line(task.text("name")),
            search=(
                *_data(said),
                *_network(results.inside("backbone")),
                *(() if search.values.get("method") == _XD else _space(space)),
                *("--batch-size", str(recipe.integer("batch_size", low=1))),
                *("--lr", str(recipe.number("lr"))),
                *("--weight-decay", str(recipe.number("weight_decay"))),
                *_method(search),
                *("--seed", str(results.integer("seed"))),
            ),
            search_epochs=_without_scout(search),
            train=(
                *("--epochs", str(recipe.integer("epochs"))),
                *("--init", line(recipe.text("init"))),
                *_shipping(results),
            ),
            pick=search.integer("pick") if search.values.get("pick") is not None else None,
            tune=results.inside("tuned").integer("trials", low=1)
            if results.values.get("tuned")
            else None,
        )
        words = (asked.data, *asked.search, *asked.train)
        return asked if all(map(_SAFE.fullmatch, words)) else None


def commands(asked: Asked, folder: str) -> str:
    """The commands, each in as many lines as it needs, as a console shows them.

    Args:
        asked: what they are told.
        folder: name of the bundle to be.
    """
    data, epochs = (asked.data, "--out", folder), str(asked.search_epochs)
    if asked.pick is None:
        tune = ("--tune", str(asked.tune)) if asked.tune else ()
        words = (*asked.search, "--search-epochs", epochs, *asked.train, *tune)
        return _command("run", *data, *words)
    shown = [
        _command("search", *data, *asked.search, "--epochs", epochs),
        _command("train", folder, *asked.train, "--pick", str(asked.pick)),
        _command("export", folder),
        _command("card", folder),
    ]
    return "\n".join(shown)


def _command(*words: str) -> str:
    """The command, broken before a flag where it gets too long."""
    lines = ["$ dashzoo"]
    for word in words:
        if word.startswith("--") and len(lines[-1]) > _WIDTH - 30:
            lines[-1] += " \\"
            lines.append("   ")
        lines[-1] += f" {shlex.quote(word)}"
    return "\n".join(lines)


def _data(said: Mapping[str, Any]) -> Iterator[str]:
    for name in _DATA:
        if name in said:
            value = said[name]
            told = ",".join(map(str, value)) if isinstance(value, list) else str(value)
            yield from (_flag(name), line(told))


def _network(backbone: Fields) -> Iterator[str]:
    yield from ("--backbone", line(backbone.text("name")))
    for name, value in backbone.inside("args").values.items():
        told = value if isinstance(value, str) else json.dumps(value)
        yield from ("--backbone-arg", f"{name}={told}")
    for name in ("resize", "input_norm", "output_norm"):
        if backbone.values.get(name) is not None:
            yield from (_flag(name), line(str(backbone.values[name])))
    for name in ("coords", "pretrained"):
        if backbone.values.get(name) is True:
            yield _flag(name)
    for name in ("layers", "exclude"):
        patterns: Any = backbone.values.get(name)
        for pattern in patterns if isinstance(patterns, list) else ():
            yield from (_flag(name), line(str(pattern)))


def _space(space: Fields) -> Iterator[str]:
    for name in ("kernels", "dilations"):
        yield from (_flag(name), ",".join(map(str, space.integers(name))))


def _method(search: Fields) -> Iterator[str]:
    started = search.inside("started") if search.values.get("started") else None
    if started is not None:  # what is told behind the model's name is where it was found
        yield from ("--start-from", line(started.text("model").partition(", ")[0]))
    for name in _SEARCH:
        value = None if name == "scout" and started else search.values.get(name)
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            flag = "--operator" if value == _XD else _flag(name)
            yield from (flag, line(str(value)))


def _shipping(results: Fields) -> tuple[str, ...]:
    if results.inside("metrics").values.get("default") is None:
        return ("--no-baseline",)
    return () if results.values.get("selection") is not None else ("--ship", "searched")


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _without_scout(search: Fields) -> int:
    """Epochs that were asked for; a scout trains two networks for its share of them more."""
    spent = search.integer("epochs")
    share = search.number("scout", low=0) if search.values.get("scout") else 0.0
    if not share:
        return spent
    # Near the root of e + 2·share·e, which rounding shifts by a little.
    root = round(spent / (1 + 2 * share))
    near = range(max(1, root - 3), root + 4)
    return min(near, key=lambda e: abs(e + 2 * max(1, round(share * e)) - spent))
