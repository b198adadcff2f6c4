"""How a command fails: one sentence, exit code 2."""

from __future__ import annotations

import json
import sys
from typing import IO, Any

import click

__all__ = ["Failure"]


class Failure(click.ClickException):
    """An error of ours on its way out; as JSON on standard output where ``--json`` was given."""

    exit_code = 2

    def __init__(self, error: Exception) -> None:
        notes: list[str] = getattr(error, "__notes__", [])
        super().__init__(" ".join(" ".join([str(error), *notes]).split()))
        self.kind = type(error).__name__

    def show(self, file: IO[Any] | None = None) -> None:
        if "--json" in sys.argv:
            click.echo(json.dumps({"error": {"type": self.kind, "message": self.message}}))
        super().show(file)
