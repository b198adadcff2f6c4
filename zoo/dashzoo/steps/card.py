"""Step four: every file but the card in, a sealed bundle out."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from dashzoo.steps.before import require
from dashzoo_cards.facts import load_facts
from dashzoo_cards.render import check_card, write_card
from dashzoo_export.bundle import README, check_bundle, invalidate, seal
from dashzoo_search.errors import BadBundle

__all__ = ["card", "differences"]


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


def differences(folder: str | PathLike[str]) -> list[str]:
    """Where card, figures, config and files of a bundle disagree; nothing is written.

    Returns:
        One sentence a difference; what only SHA256SUMS gives away comes where there is no other.

    Raises:
        BadBundle: a file or field the card needs is missing or ill-typed.
    """
    folder = Path(folder)
    if found := check_card(folder):
        return found
    try:
        check_bundle(folder)
    except BadBundle as error:
        return [str(error)]
    return []
