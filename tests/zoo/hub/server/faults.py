"""What is to go wrong: a status, a broken line, for requests that match."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from .replies import Reply, Request


@dataclass
class Fault:
    """One thing that goes wrong, ``times`` times.

    Attributes:
        method, path: regular expressions that must match.
        reply: what is answered; None to answer truly, or not at all.
        cut: break the line after that many bytes of the body; 0: before any answer.
    """

    method: str = ".*"
    path: str = ".*"
    reply: Reply | None = None
    cut: int | None = None
    times: int = 1


@dataclass
class Faults:
    """Those still to come."""

    waiting: list[Fault] = field(default_factory=list)

    def take(self, request: Request) -> Fault | None:
        """The first that is meant for this request."""
        for fault in self.waiting:
            if re.fullmatch(fault.method, request.method) and re.search(fault.path, request.target):
                fault.times -= 1
                if fault.times == 0:
                    self.waiting.remove(fault)
                return fault
        return None
