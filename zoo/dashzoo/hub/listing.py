"""Models on the Hub that carry our tag."""

from __future__ import annotations

from dataclasses import dataclass

from huggingface_hub import HfApi, ModelInfo

from dashzoo.hub.failures import ask

__all__ = ["TAG", "Listed", "published"]

TAG = "dashzoo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """What a card tells of a model, as far as it does.

    Attributes:
        name: ``org/name``.
        commit: of its main branch.
        task: what it was trained on.
        metric, value: on the test split.
    """

    name: str
    commit: str | None
    task: str | None
    metric: str | None
    value: float | None


def published() -> list[Listed]:
    """All of them that the token may see.

    Raises:
        HubFailed: see `ask`.
    """

    def once() -> list[Listed]:
        return [_listed(info) for info in HfApi().list_models(filter=TAG, cardData=True)]

    return ask(once, name=None, again="dashzoo list --remote")


def _listed(info: ModelInfo) -> Listed:
    results = iter(() if info.card_data is None else info.card_data.eval_results or ())
    first = next(results, None)
    value = None if first is None else first.metric_value
    return Listed(
        name=info.id,
        commit=info.sha,
        task=None if first is None else str(first.dataset_name),
        metric=None if first is None else str(first.metric_name or first.metric_type),
        value=float(value) if isinstance(value, int | float) else None,
    )
