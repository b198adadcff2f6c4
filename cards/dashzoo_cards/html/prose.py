"""The card's sentences in a page: Markdown of ours as HTML."""

from __future__ import annotations

from markdown_it import MarkdownIt
from markupsafe import Markup

from dashzoo_cards.markdown import Markdown

__all__ = ["prose"]

# All the Markdown that `words` writes; no links, no pictures, and HTML stays text.
_INLINE = MarkdownIt("zero").enable(["escape", "entity", "emphasis", "backticks"])


def prose(text: Markdown) -> Markup:
    r"""Bold, code spans and escaped marks as HTML, everything else as the text it is.

    >>> prose(Markdown(r"**Neither** `conv1` nor a\_b \< c"))
    Markup('<strong>Neither</strong> <code>conv1</code> nor a_b &lt; c')
    """
    return Markup(_INLINE.renderInline(text))
