"""HTML pages that look alike: a base template, one style sheet, and what fills them.

A page is one file: style and script stand in it, and its Content-Security-Policy lets a browser
load nothing else, so not even a hostile name that got past the escaping could run or call home.
Templates escape every value that is not `Markup`.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.resources
from functools import cache

import jinja2
from markupsafe import Markup

from dashzoo_cards.markdown import line

__all__ = ["drawing_style", "environment", "policy"]

_HOUSE = "dashzoo_cards"


@cache
def environment(room: str) -> jinja2.Environment:
    """The templates of ``dashzoo_cards/<room>``, with the base ``page.html.j2`` beside them.

    A template extends the base and fills its blocks ``title``, ``description``, ``header``,
    ``contents`` and ``main``. Its own ``<room>.css`` and ``<room>.js`` are taken into the page,
    where there are any. Filters: ``line`` makes any text one printable line, of bounded length.

    Args:
        room: a package inside ``dashzoo_cards``, such as ``"report"``.

    >>> environment("html").from_string("{{ name }}").render(name="<script>")
    '&lt;script&gt;'
    """
    found = jinja2.Environment(
        loader=jinja2.ChoiceLoader(
            [jinja2.PackageLoader(f"{_HOUSE}.{name}", "") for name in dict.fromkeys((room, "html"))]
        ),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = _text(room, f"{room}.js")
    found.globals.update(
        style=Markup(_text("html", "page.css") + _text(room, f"{room}.css")),
        script=Markup(script),
        policy=policy(script),
    )
    found.filters["line"] = lambda value: line(str(value))
    return found


@cache
def drawing_style() -> str:
    """Of the style of pages, what a drawing in a file of its own needs: colours and marks."""
    page = _text("html", "page.css")
    colours = page[page.index(":root {") : page.index("*, *::before")]
    marks = "".join(row for row in page.splitlines(keepends=True) if row.startswith("svg ."))
    return colours + marks


def policy(script: str = "") -> str:
    """The Content-Security-Policy of a page whose one script is ``script``.

    >>> policy()
    "default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'"
    """
    parts = ["default-src 'none'", "img-src 'self' data:", "style-src 'unsafe-inline'"]
    if script:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        parts.append(f"script-src 'sha256-{digest}'")
    return "; ".join(parts)


def _text(room: str, name: str) -> str:
    file = importlib.resources.files(f"{_HOUSE}.{room}") / name
    return file.read_text() if file.is_file() else ""
