"""Values of options that are lists: comma-separated on the command line, tuples in here."""

from __future__ import annotations

from typing import Any

import click

__all__ = ["Names", "Sizes"]


class Sizes(click.ParamType[tuple[int, ...]]):
    """Comma-separated integers."""

    name = "K,K,…"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """``"3,7"`` → (3, 7); the empty string is the empty set."""
        if isinstance(value, tuple):
            return value
        try:
            return tuple(int(part) for part in str(value).split(",") if part.strip())
        except ValueError:
            self.fail(f"{value!r} is not a list of integers such as 3,7,11", param, ctx)


class Names(click.ParamType[tuple[str, ...]]):
    """Comma-separated names."""

    name = "P,P,…"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """``"fp32,int8"`` → ("fp32", "int8")."""
        if isinstance(value, tuple):
            return value
        return tuple(part.strip() for part in str(value).split(",") if part.strip())
