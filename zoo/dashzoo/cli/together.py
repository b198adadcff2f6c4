"""Commands that torchrun started several times over work as one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import click

__all__ = ["together"]


@contextlib.contextmanager
def together(device: str | None) -> Iterator[bool]:
    """Join the other processes, if there are any; whoever fails first tells, the others are quiet.

    Args:
        device: as the user named it.

    Yields:
        Whether this process is the one to print.
    """
    from dashzoo_search.errors import BadLaunch
    from dashzoo_search.training import world
    from dashzoo_search.training.runtime import resolve_device

    def backend() -> str:
        return "nccl" if resolve_device(device or "auto").type == "cuda" else "gloo"

    with world.joined(backend) as is_first_to_tell:
        alone = world.size() == 1
        try:
            yield world.is_first()
        except (Exception, KeyboardInterrupt) as error:
            # The sentence of the process that failed; what the others say follows from it.
            if not alone and not is_first_to_tell():
                raise click.exceptions.Exit(2) from error
            if not alone and world.lost_the_others(error):
                raise BadLaunch(
                    "Another process of torchrun has ended; start the same command again, and it "
                    "goes on from the last checkpoint"
                ) from error
            raise
