"""Scores of a network, always over the whole split."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dashzoo_search.tasks.task import Split
from dashzoo_search.training import world

__all__ = ["Score", "evaluate", "predict"]


@dataclass(frozen=True, slots=True)
class Score:
    """Accuracy in [0, 1] and mean cross entropy in nats."""

    accuracy: float
    loss: float

    def better_than(self, other: Score | None) -> bool:
        """Higher accuracy, or as high and a lower loss."""
        return other is None or (self.accuracy, -self.loss) > (other.accuracy, -other.loss)

    def to_json(self) -> dict[str, float]:
        """A plain dict."""
        return asdict(self)


def predict(network: nn.Module, X: Tensor, *, batch_size: int = 256) -> Tensor:
    """Raw outputs [n, num_classes] of ``network``, in eval mode on its device, for [n, c, …]."""
    return _outputs(network, torch.split(X, batch_size))


def evaluate(network: nn.Module, split: Split, *, batch_size: int = 256) -> Score:
    """Score ``network`` on the whole of ``split``; several processes share the work."""
    index = torch.arange(len(split))
    alone = len(split) < world.size()
    parts = torch.split(index if alone else world.share(index), batch_size)
    outputs = _outputs(network, (split.rows(part.numpy()) for part in parts))
    outputs = (outputs if alone else world.join_rows(outputs)).double().cpu()
    y = split.targets()
    accuracy = (outputs.argmax(1) == y).double().mean().item()
    return Score(accuracy, F.cross_entropy(outputs, y).item())


def _outputs(network: nn.Module, parts: Iterable[Tensor]) -> Tensor:
    device = next(network.parameters()).device
    training = network.training
    network.eval()
    with torch.inference_mode():
        outputs = [network(part.to(device)) for part in parts]
    network.train(training)
    return torch.cat(outputs)
