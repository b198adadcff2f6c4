"""Step four: every file but the card in, a sealed bundle out."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from dashzoo.steps.before import require
from dashzoo_cards.facts import load_facts
from dashzoo_cards.render import write_card
from dashzoo_export.bundle import README, invalidate, seal

__all__ = ["card"]


def card(folder: str | PathLike[str]) -> Path:
    """Draw the figures, write the card, and seal the bundle with SHA256SUMS.

    Args:
        folder: where `export` was.

    Returns:
        The card's path.

    Raises:
        BadBundle: an earlier step's files are missing or damaged.
    """
    folder = Path(folder)
    require(folder, "train", "export")
    load_facts(folder)  # nothing is removed before everything the card needs has been read
    invalidate(folder, "figures", README)
    path = write_card(folder)
    seal(folder)
    return path
