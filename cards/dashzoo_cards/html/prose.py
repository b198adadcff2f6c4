"""The card's sentences in a page: Markdown of ours as HTML."""

from __future__ import annotations

import html
import re

from markupsafe import Markup, escape

from dashzoo_cards.markdown import Markdown

__all__ = ["prose"]

_TOKENS = re.compile(r"\\(?P<mark>.)|`(?P<code>[^`]*)`|\*\*(?P<bold>(?:\\.|[^\\])+?)\*\*")


def prose(text: Markdown) -> Markup:
    r"""Bold, code spans and escaped marks, all the Markdown that `words` writes, as HTML.

    >>> prose(Markdown(r"**Neither** `conv1` nor a\_b \< c"))
    Markup('<strong>Neither</strong> <code>conv1</code> nor a_b &lt; c')
    """
    found, end = Markup(""), 0
    for token in _TOKENS.finditer(text):
        found += _plain(text[end : token.start()])
        if token["mark"] is not None:
            found += _plain(token["mark"])
        elif token["code"] is not None:
            found += Markup("<code>{}</code>").format(_plain(token["code"]))
        else:
            found += Markup("<strong>{}</strong>").format(prose(Markdown(token["bold"])))
        end = token.end()
    return found + _plain(text[end:])


def _plain(text: str) -> Markup:
    return escape(html.unescape(text))
