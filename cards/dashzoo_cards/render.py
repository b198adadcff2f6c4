"""Write a bundle's card and its figures, and hold a card against the files it speaks of.

`write_card` draws the figures first and then measures every file; the text itself is
`dashzoo_cards.page.render_card`, a pure function of the facts. `check_card` renders again and
compares. Neither runs anything that lies in the bundle.
"""

from __future__ import annotations

from pathlib import Path

from dashzoo_cards import differences
from dashzoo_cards.canvas import replace_file
from dashzoo_cards.facts import load_facts
from dashzoo_cards.figures import FIGURES, figures
from dashzoo_cards.metadata import card_data
from dashzoo_cards.page import render_card

__all__ = ["check_card", "render_card", "write_card"]


def write_card(bundle: Path) -> Path:
    """Draw the figures and write ``README.md``, each file whole or not at all.

    Args:
        bundle: the bundle's folder; ``figures/`` is made where it is missing.

    Returns:
        The card's path.

    Raises:
        BadBundle: a file or field the card needs is missing or ill-typed.
        OSError: a file cannot be written.

    >>> write_card(Path("runs/gunpoint"))  # doctest: +SKIP
    PosixPath('runs/gunpoint/README.md')
    """
    bundle = Path(bundle)
    facts = load_facts(bundle)
    card_data(facts)  # refuse bad identifiers before anything is written
    for name, figure in FIGURES.items():
        path = bundle / "figures" / name
        if name in figures(facts):
            figure.draw(facts, path)
        else:
            path.unlink(missing_ok=True)
    card = render_card(load_facts(bundle))
    return replace_file(bundle / "README.md", card.encode())


def check_card(bundle: Path) -> list[str]:
    """Say where the card, the figures, the config and the files disagree.

    Args:
        bundle: the bundle's folder.

    Returns:
        One sentence a difference; empty when everything agrees.

    Raises:
        BadBundle: a file or field the card needs is missing or ill-typed.

    >>> check_card(Path("runs/gunpoint"))  # doctest: +SKIP
    []
    """
    bundle = Path(bundle)
    facts = load_facts(bundle)
    return [
        *differences.in_config(facts),
        *differences.in_export(facts),
        *differences.in_figures(facts, bundle),
        *differences.in_card(facts, bundle),
    ]
