"""Which convolutions a search may change, as far as the user has a say.

By default every one of which the operator covers the kernel, but for those on a shortcut or
downsample path and in a decoder. Patterns narrow it, or widen it to these: ``layers`` names what
is searched, ``exclude`` what is not; both are matched with whole qualified names, as
`fnmatch.fnmatchcase` does, where ``*`` goes across dots.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from dashzoo_search.errors import UnknownLayer

__all__ = ["DECODER", "SHORTCUT_NAMES", "Rule"]

SHORTCUT_NAMES = frozenset({"shortcut", "downsample", "skip", "residual", "proj_shortcut"})
DECODER = "decoder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Patterns of the layers a search may change.

    Args:
        layers: a layer has to match one of them, and may then be on any path; none: the default.
        exclude: it must match none of these.

    >>> rule = Rule(layers=("stages.*.conv_dw",), exclude=("stages.3.*",))
    >>> rule.reason("stages.0.blocks.1.conv_dw")
    ''
    >>> rule.reason("stages.3.blocks.0.conv_dw")
    "excluded by 'stages.3.*'"
    >>> Rule().reason("layer2.0.downsample.0")
    'on a shortcut path'
    """

    layers: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def reason(self, name: str) -> str:
        """Why layer ``name`` is not searched, or the empty string."""
        for pattern in self.exclude:
            if fnmatchcase(name, pattern):
                return f"excluded by {pattern!r}"
        if self.layers:
            matched = any(fnmatchcase(name, pattern) for pattern in self.layers)
            return "" if matched else f"not among {', '.join(map(repr, self.layers))}"
        parts = set(name.split("."))
        if parts & SHORTCUT_NAMES:
            return "on a shortcut path"
        return "in the decoder" if DECODER in parts else ""

    def check(self, names: Collection[str]) -> None:
        """Refuse a pattern that none of ``names`` matches.

        Raises:
            UnknownLayer: naming the pattern, and the nearest names.
        """
        for pattern in (*self.layers, *self.exclude):
            if not any(fnmatchcase(name, pattern) for name in names):
                raise UnknownLayer(
                    pattern, names, hint="Give the name of a convolution, or a pattern with *"
                )

    def to_json(self) -> dict[str, list[str]]:
        """The patterns that are given, by name."""
        given = {"layers": self.layers, "exclude": self.exclude}
        return {name: list(patterns) for name, patterns in given.items() if patterns}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Rule:
        """Read what `to_json` wrote."""
        return cls(**{name: tuple(map(str, patterns)) for name, patterns in value.items()})
