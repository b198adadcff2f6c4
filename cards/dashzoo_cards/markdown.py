"""Text into Markdown: whatever a name holds, it stays the text of one table cell.

`Markdown` marks text that is already Markdown; the card's template passes every other value
through `plain`, so forgetting to escape is not possible.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence

from dashzoo_search.measure import Measure

__all__ = ["Markdown", "code", "finalize", "line", "literal", "plain", "slug"]

LONGEST = 160
_PUNCTUATION = re.compile(r"([\\`*_\[\]#|~$!{}])")
_SAFE_CODE = re.compile(r"[\w.,:;/+=()×·\- ]*", re.ASCII)
_FOLDERS = re.compile(r"^(?:file://)?(?:~[^/\\]*|[A-Za-z]:)?[/\\](?:[^/\\]+[/\\])*(?=[^/\\])")


class Markdown(str):
    """Text that is Markdown already and is not escaped again."""

    __slots__ = ()


def line(text: str) -> str:
    r"""One printable line: no control or direction marks, no local folders, not endless.

    >>> line("/home/ann/signals.npz\n")
    'signals.npz'
    """
    shown = (" " if unicodedata.category(c) in ("Cc", "Zl", "Zp", "Cs") else c for c in text)
    kept = "".join(c for c in shown if unicodedata.bidirectional(c) not in _DIRECTIONS)
    cleaned = _FOLDERS.sub("", " ".join(kept.split()))
    return cleaned if len(cleaned) <= LONGEST else cleaned[: LONGEST - 1] + "…"


def plain(text: str) -> Markdown:
    r"""Text as Markdown that renders as that text.

    >>> plain("a|b <script> *c*")
    'a\\|b &lt;script&gt; \\*c\\*'
    """
    escaped = line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return Markdown(_PUNCTUATION.sub(r"\\\1", escaped))


def code(text: str) -> Markdown:
    r"""Text as a code span, or escaped where a code span could be broken out of.

    >>> code("conv1"), code("`x`")
    ('`conv1`', '\\`x\\`')
    """
    cleaned = line(text)
    return Markdown(f"`{cleaned}`") if cleaned and _SAFE_CODE.fullmatch(cleaned) else plain(text)


def literal(text: str) -> Markdown:
    r"""Text as an ASCII Python string literal, for a snippet.

    >>> literal('in"put')
    '"in\\"put"'
    """
    return Markdown(json.dumps(line(text)))


def slug(text: str) -> Markdown:
    """A folder name made from a name: letters, digits, dots, dashes.

    >>> slug("Gun Point | <b>")
    'Gun-Point-b'
    """
    return Markdown(re.sub(r"[^A-Za-z0-9._-]+", "-", line(text)).strip("-.") or "bundle")


def finalize(value: object) -> str:
    """What the template prints for a value: Markdown as it is, all else escaped."""
    if isinstance(value, Markdown):
        return value
    return plain(_number(value) if isinstance(value, int | float) else str(value))


def sizes(values: Sequence[int]) -> Markdown:
    """One number where all axes agree, else joined: ``(3, 3)`` → 3, ``(1, 3)`` → 1×3."""
    shown = values[:1] if len(set(values)) == 1 else values
    return Markdown("×".join(map(str, shown)))


def percent(fraction: float) -> Markdown:
    """A fraction as a percentage with two decimals."""
    return Markdown(f"{100 * fraction:.2f} %")


def score(metric: Measure, value: float) -> Markdown:
    """A metric's value: a share in percent, others with four digits."""
    return percent(value) if metric.percent else Markdown(f"{value:.4g}")


def scientific(value: float) -> Markdown:
    """A small number with two digits: ``3e-7`` → 3.0e-07."""
    return Markdown(f"{value:.1e}")


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


_DIRECTIONS = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})
