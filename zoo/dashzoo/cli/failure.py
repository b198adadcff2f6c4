"""How a command fails: one sentence, and exit code 2."""

from __future__ import annotations

import contextlib
import errno
import json
from collections.abc import Collection, Iterator
from typing import IO, Any

import click

from dashzoo_search.errors import DashzooError

__all__ = ["Failure", "failing_well"]


class Failure(click.ClickException):
    """An error on its way out.

    Args:
        error: what happened; its notes are told too.
        as_json: write it as JSON on standard output as well.
    """

    exit_code = 2

    def __init__(self, error: BaseException, *, as_json: bool) -> None:
        told = [_sentence(error), *getattr(error, "__notes__", [])]
        super().__init__(" ".join(part if part[-1:] in ".!?" else f"{part}." for part in told))
        self.kind = type(error).__name__
        self.as_json = as_json

    def show(self, file: IO[Any] | None = None) -> None:
        if self.as_json:
            click.echo(json.dumps({"error": {"type": self.kind, "message": self.message}}))
        super().show(file)


class Interrupted(Failure):
    """Ctrl-C; what was kept is told all the same."""

    exit_code = 130


@contextlib.contextmanager
def failing_well(words: Collection[str]) -> Iterator[None]:
    """Turn what dashzoo raises on purpose, and what the file system refuses, into a `Failure`.

    Args:
        words: of the command line; ``--json`` and ``--debug`` count wherever they stand.
    """
    as_json = "--json" in words
    try:
        yield
    except click.UsageError as error:
        if not as_json:
            raise
        raise Failure(error, as_json=True) from error
    except KeyboardInterrupt as error:
        raise Interrupted(error, as_json=as_json) from error
    except (DashzooError, OSError) as error:
        pipe = isinstance(error, OSError) and error.errno == errno.EPIPE  # click sees to it
        if "--debug" in words or pipe:
            raise
        raise Failure(error, as_json=as_json) from error


def _sentence(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "Interrupted"
    if isinstance(error, click.ClickException):
        return error.format_message()
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return " ".join(str(error).split())
