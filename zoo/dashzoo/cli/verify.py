"""`dashzoo verify NAME`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dashzoo.cli.options import export_json
from dashzoo.cli.taking import take

if TYPE_CHECKING:
    from dashzoo.steps.verify_all import Verdict


@click.command("verify")
@click.argument("name", metavar="NAME|DIR", required=False)
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Verify the whole shelf, and measure each model's metric again.",
)
@click.option(
    "--public-key",
    metavar="PEM",
    type=click.Path(path_type=Path),
    help="Whose the signature must be; without it none is checked.",
)
@export_json
def command(name: str | None, everything: bool, public_key: Path | None, as_json: bool) -> None:
    """Check a bundle, and prove anew that its ONNX files compute what its weights do.

    NAME is of the shelf, a folder, or org/name@revision on the Hub.
    """
    if everything == (name is not None):
        raise click.UsageError("Give a NAME, or --all for the whole shelf.")
    if name is None:
        _verify_all(public_key, as_json)
        return
    from dashzoo.cli.console import print_json
    from dashzoo.cli.export import summary
    from dashzoo.steps.verify import verify

    told = verify(take(name).folder, public_key=public_key)
    if as_json:
        print_json(told)
        return
    for line in summary(told["certificate"]):
        click.echo(line)
    samples = "random and validation" if told["real_samples"] else "random"
    click.echo(f"{len(told['files'])} files are as they were made and agree, on {samples} samples.")
    if told["signature_checked"]:
        click.echo(f"All of them are signed by the key of {public_key}.")
    elif told["signed"]:
        click.echo("They are signed; give --public-key to check by whom.")


def _verify_all(public_key: Path | None, as_json: bool) -> None:
    from rich.markup import escape

    from dashzoo.cli.console import on_one_line, print_json, table, wide_console
    from dashzoo.steps.verify_all import verify_all

    verdicts = verify_all(public_key=public_key)
    if as_json:
        print_json([asdict(verdict) for verdict in verdicts])
    elif not verdicts:
        click.echo("There is no model on the shelf.")
    else:
        head = ("model", "", "metric", "recorded", "measured", "ONNX error", "files", "s")
        rows = [tuple(escape(on_one_line(cell)) for cell in _cells(each)) for each in verdicts]
        wide_console().print(table(head, rows))
        for verdict in verdicts:
            if verdict.reason:
                click.echo(on_one_line(f"{verdict.name}: {verdict.reason}."))
    if any(verdict.verdict == "fails" for verdict in verdicts):
        click.get_current_context().exit(2)


def _cells(told: Verdict) -> tuple[str, ...]:
    def score(value: float | None) -> str:
        if value is None:
            return "–"
        return f"{value:.2%}" if told.percent else f"{value:.4g}"

    return (
        told.name,
        told.verdict,
        told.metric or "–",
        score(told.recorded),
        score(told.measured),
        "–" if told.error is None else f"{told.error:.1e}",
        "–" if told.files is None else str(told.files),
        f"{told.seconds:.1f}",
    )
