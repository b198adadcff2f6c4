"""What was published from a shelf: `published.json`, from each model's name to its repository.

```
{"version": 1, "models": {"gunpoint": {"repo": "org/gunpoint", "commit": "…", "sums": "…"}}}
```

``sums`` is the sha256 of the bundle's SHA256SUMS, and so of every byte in it: a name leads to the
same files whether they are on the shelf or come from the Hub.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from dashzoo_cards.fields import Fields, read_json
from dashzoo_export.bundle import write_json

__all__ = ["RECORD", "Release", "read_releases", "write_releases"]

RECORD = "published.json"

_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A model as it was published.

    Attributes:
        name: of the model.
        repo: ``org/name``.
        commit: it is at.
        sums: sha256 of its SHA256SUMS.
    """

    name: str
    repo: str
    commit: str
    sums: str


def read_releases(shelf: Path, file: str = RECORD) -> dict[str, Release]:
    """What was published from ``shelf``, by name; nothing where there is no record.

    Raises:
        BadBundle: the record is damaged; names the field.
    """
    if not (shelf / file).is_file():
        return {}
    fields = read_json(shelf, file)
    fields.one_of("version", (_VERSION,))
    models = fields.inside("models")
    return {name: _release(name, models.inside(name)) for name in models.values}


def write_releases(path: Path, releases: Mapping[str, Release]) -> None:
    """Write the record, whole or not at all."""
    models = {}
    for name, release in sorted(releases.items()):
        models[name] = asdict(release)
        del models[name]["name"]
    write_json(path, {"version": _VERSION, "models": models})


def _release(name: str, fields: Fields) -> Release:
    return Release(
        name=name,
        repo=fields.text("repo"),
        commit=fields.text("commit"),
        sums=fields.sha256("sums"),
    )
