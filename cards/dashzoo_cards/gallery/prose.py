"""A card's Markdown as HTML in which nothing runs, and nothing is fetched.

HTML in the Markdown is shown as the text it is. A picture is shown only if it is one of those
given, which lie beside the page; of any other its words remain. Links lead to https, to http, or
into the page, and say that they leave.
"""

from __future__ import annotations

import re
from collections.abc import Collection, MutableMapping, Sequence
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import OptionsDict
from markupsafe import Markup, escape

__all__ = ["LONGEST", "card_html"]

LONGEST = 1_000_000  # characters

_HEADER = re.compile(r"\A---\r?\n.*?^---\r?\n", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"(https?://|#|figures/)", re.IGNORECASE)


def card_html(text: str, pictures: Collection[str]) -> Markup:
    r"""The card without its YAML header and its title.

    Args:
        text: of the card; what is beyond `LONGEST` characters is left out.
        pictures: relative addresses that may be shown.

    >>> card_html("# Name\n\n<b>x</b> ![a picture](http://x/y.png)", [])
    Markup('<p>&lt;b&gt;x&lt;/b&gt; a picture</p>\n')
    """
    parser = _Parser("commonmark", {"html": False}).enable("table")
    parser.add_render_rule("image", _image(pictures))
    parser.add_render_rule("table_open", _between('<div class="scroll" tabindex="0">', ""))
    parser.add_render_rule("table_close", _between("", "</div>"))
    parser.add_render_rule("link_open", _link)
    tokens = parser.parse(_HEADER.sub("", text[:LONGEST], count=1))
    return Markup(parser.renderer.render(_without_title(tokens), parser.options, {}))


class _Parser(MarkdownIt):
    def validateLink(self, url: str) -> bool:  # noqa: N802  the library's name
        return bool(_LINK.match(url))


def _without_title(tokens: Sequence[Token]) -> list[Token]:
    """All but the first heading, if it is of the first level; others of it become second."""
    kept = list(tokens)
    if kept[:1] and (kept[0].type, kept[0].tag) == ("heading_open", "h1"):
        kept = kept[3:]
    for token in kept:
        if token.tag == "h1":
            token.tag = "h2"
    return kept


def _image(pictures: Collection[str]) -> Any:
    def render(
        self: RendererHTML,
        tokens: Sequence[Token],
        index: int,
        options: OptionsDict,
        env: MutableMapping[str, Any],
    ) -> str:
        token = tokens[index]
        words = self.renderInlineAsText(token.children or [], options, env)
        address = str(token.attrs.get("src", ""))
        if address not in pictures:
            return str(escape(words))
        return f'<img src="{escape(address)}" alt="{escape(words)}">'

    return render


def _between(before: str, after: str) -> Any:
    def render(
        self: RendererHTML,
        tokens: Sequence[Token],
        index: int,
        options: OptionsDict,
        env: MutableMapping[str, Any],
    ) -> str:
        return before + self.renderToken(tokens, index, options, env) + after

    return render


def _link(
    self: RendererHTML,
    tokens: Sequence[Token],
    index: int,
    options: OptionsDict,
    env: MutableMapping[str, Any],
) -> str:
    tokens[index].attrSet("rel", "noopener noreferrer nofollow")
    return self.renderToken(tokens, index, options, env)
