"""The command line: `dashzoo COMMAND`, a file a command.

Nothing heavy is imported until a command runs, so ``dashzoo --help`` is quick. What dashzoo raises
on purpose ends in one sentence and exit code 2.
"""

from __future__ import annotations

import importlib
import io
import os
import signal
import sys
from typing import Any

import click

from dashzoo import __version__
from dashzoo.cli.failure import failing_well

__all__ = ["cli", "main"]

_COMMANDS = {
    "tasks": "List the tasks that have a name.",
    "generate": "Draw the data of a generated task.",
    "doctor": "Look at data before anything runs: faults, leaks, time and memory.",
    "run": "Search, train, export and describe: data in, a complete bundle out.",
    "search": "Find the kernels for a task.",
    "tune": "Tune the training of what a search found.",
    "train": "Train the network a search found.",
    "export": "Lower a trained network to ONNX and prove it.",
    "verify": "Check a bundle and repeat its certificate.",
    "card": "Draw the figures, write the card, seal the bundle.",
    "report": "Tell a run in one HTML file.",
    "sign": "Sign a sealed bundle.",
    "list": "List the models of the shelf, and of the Hub.",
    "pull": "Fetch a model from the Hub, for use offline.",
    "show": "Print what a bundle holds.",
    "predict": "Classify raw samples with a bundle.",
    "bench": "Time a bundle: ONNX Runtime beside torch.",
    "publish": "Publish a checked bundle, to the Hub or to a folder.",
    "publish-all": "Publish the whole shelf to the Hub.",
    "gallery": "Make a static site of a folder of bundles.",
    "compare": "Train a searched network and its rivals on equal terms.",
    "calibrate": "Measure what convolutions cost on this machine.",
}


class _Commands(click.Group):
    """Imports a command's file when it is asked for, and turns our errors into sentences."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*_COMMANDS]  # cli/list.py makes `list` the name of a module in here

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        command: click.Command = importlib.import_module(_module(name)).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([*_COMMANDS.items()])

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        words = tuple(args)
        with failing_well(words):
            return super().make_context(info_name, args, parent, obj=words, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        with failing_well(ctx.obj):
            return super().invoke(ctx)


def _module(name: str) -> str:
    return f"dashzoo.cli.{name.replace('-', '_')}"


_HELP = """Find the right kernels for your data, and ship the network they make.

\b
dashzoo run ucr/GunPoint --out runs/gunpoint
dashzoo run my-data.npz --out runs/mine
"""


@click.group(cls=_Commands, help=_HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="dashzoo")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(debug: bool) -> None:
    """Run ``dashzoo``; the commands do the work."""


def main() -> None:
    """Entry point of the ``dashzoo`` script."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal without × or ü gets escapes
            stream.reconfigure(errors="backslashreplace")
    if "--json" in sys.argv or not sys.stderr.isatty():  # read when huggingface_hub is imported
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    # A job that is ended is to keep what it did, as on Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    cli(prog_name="dashzoo")
