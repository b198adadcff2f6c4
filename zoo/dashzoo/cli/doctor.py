"""`dashzoo doctor`, of this machine or of data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dashzoo.cli.data import data_options
from dashzoo.cli.options import export_json

if TYPE_CHECKING:
    from dashzoo_search.tasks.doctor import Report


@click.command("doctor")
@click.argument("data", required=False)
@data_options
@click.option("--seed", type=click.IntRange(0, 2**31), default=0, show_default=True)
@export_json
def command(data: str | None, seed: int, as_json: bool, **options: Any) -> None:
    """Look at DATA before anything runs: what it is, faults and leaks, time and memory.

    Without DATA, at this machine: what is installed, and on what ONNX Runtime really runs.

    Nothing is written. Each finding comes with its mend; the time is that of dashzoo run DATA on
    this machine, from one short step, within a factor of two.
    """
    from dashzoo.cli.console import print_json
    from dashzoo_search.tasks.doctor import doctor
    from dashzoo_search.tasks.options import DataOptions

    if data is None:
        _tell_machine(as_json=as_json)
        return
    report = doctor(data, seed=seed, options=options.get("data_options", DataOptions()))
    if as_json:
        print_json(report.to_json())
        return
    for line in _lines(report):
        click.echo(line)


def _tell_machine(*, as_json: bool) -> None:
    from dashzoo.cli.console import print_json
    from dashzoo.environment import environment

    found = environment()
    if as_json:
        print_json(found)
        return
    for name, number in found["versions"].items():
        click.echo(f"{name:16} {number or 'not installed'}")
    click.echo(f"{'CUDA in torch':16} {found['cuda']['gpu'] or 'no GPU seen'}")
    for provider, reason in found["providers"].items():
        click.echo(f"{provider:16} {f'does not run: {reason}' if reason else 'runs'}")
    for finding in found["findings"]:
        click.echo(f"{finding['severity']}: {finding['what']}. {finding['mend']}")
    if not found["findings"]:
        click.echo("Nothing amiss was found.")


def _lines(report: Report) -> list[str]:
    from dashzoo.cli.console import on_one_line

    lines = []
    for name, array in report.arrays.items():
        shape = " × ".join(map(str, array.shape)) or "one value"
        lengths = f", {array.lengths[0]} to {array.lengths[2]} long" if array.lengths else ""
        odd = f", {array.nan} NaN, {array.infinite} infinite" if array.nan or array.infinite else ""
        lines.append(f"{name}: {shape}, {array.dtype}{lengths}{odd}")
    if task := report.task:
        counts = " / ".join(f"{count} {part}" for part, count in task["counts"].items())
        lines.append(f"{task['kind']}, loss {task['loss']}, metric {task['metric']}: {counts}")
        lines += [f"Guessed: {sentence}." for sentence in task["guessed"]]
    for part, classes in report.classes.items():
        shown = ", ".join(f"{name} {count}" for name, count in list(classes.items())[:12])
        lines.append(f"{part}: {shown}{', …' if len(classes) > 12 else ''}")
    for finding in report.findings:
        lines.append(f"{finding.severity}: {finding.what}. {finding.mend}")
    if not report.findings:
        lines.append("Nothing amiss was found.")
    if report.suggestion:
        resize = f" --resize {report.suggestion.resize}" if report.suggestion.resize else ""
        lines.append(
            f"Suggested: --backbone {report.suggestion.backbone}{resize} "
            f"--kernels {','.join(map(str, report.suggestion.kernels))} "
            f"--dilations {','.join(map(str, report.suggestion.dilations))}"
        )
    if told := report.estimate:
        stages = ", ".join(f"{name} {_span(each)}" for name, each in told.seconds.items() if each)
        lines.append(
            f"dashzoo run: about {_span(told.total_seconds)} on {told.threads} "
            f"thread{'s' if told.threads > 1 else ''} ({stages}), {told.memory / 2**30:.1f} GiB"
        )
    return [on_one_line(line) for line in lines]


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
