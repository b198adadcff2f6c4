"""The bundle a command was told of by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dashzoo.cli.network import Command

if TYPE_CHECKING:
    from dashzoo.catalogue import Found

__all__ = ["name_argument", "take"]


def name_argument(command: Command) -> Command:
    """``NAME|DIR``."""
    return click.argument("name", metavar="NAME|DIR")(command)


def take(name: str) -> Found:
    """The bundle of that name; one that is no folder is told on standard error."""
    from dashzoo.catalogue import find

    found = find(name)
    if found.where != "folder":
        click.echo(f"Taking {found}.", err=True)
    return found
