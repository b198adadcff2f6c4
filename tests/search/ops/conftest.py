"""Shapes here are small, so what pays off only on large ones is forced on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dashzoo_search.ops import paths


@pytest.fixture(autouse=True, scope="module")
def _gather_in_frequency_at_any_size() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "WORTH_GATHERING", -(10**18))
        yield
