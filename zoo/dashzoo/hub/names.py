"""Names on the Hub: ``org/name`` or ``org/name@revision``, with ``hf-hub:`` before it or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from huggingface_hub import parse_hf_uri
from huggingface_hub.errors import HfUriError

__all__ = ["PREFIX", "HubName"]

PREFIX = "hf-hub:"  # as timm has it


@dataclass(frozen=True, slots=True, kw_only=True)
class HubName:
    """A repository, and a branch, tag or commit of it; None for its main branch."""

    repo: str
    revision: str | None = None

    def __str__(self) -> str:
        return self.repo if self.revision is None else f"{self.repo}@{self.revision}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The name ``text`` is, or None where it is none.

        >>> HubName.parse("zoo/gunpoint@v1")
        HubName(repo='zoo/gunpoint', revision='v1')
        >>> HubName.parse("./zoo/gunpoint") is None
        True
        """
        try:
            uri = parse_hf_uri(f"hf://models/{text.removeprefix(PREFIX)}")
        except HfUriError:
            return None
        if uri.path_in_repo or text.startswith("/"):
            return None
        return cls(repo=uri.id, revision=uri.revision)
