"""Planted kernels: a teacher with known kernels and dilations labels noise; find them again.

The teacher is a chain of convolutions, each normalised over the samples and followed by a ReLU,
read out at the centre; its taps have random signs and magnitudes in [0.5, 1], so that no tap is as
good as absent. The label is the largest of ``classes`` random directions in its features, so one
label tells several bits about them. White noise in makes no lag likelier than another.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dashzoo_search.choice import Choice
from dashzoo_search.errors import BadData
from dashzoo_search.tasks.task import Task, classification_task

__all__ = ["load_planted", "planted_choices", "planted_names", "planted_task"]

CLASSES = 16
WIDTH = 4
SAMPLES = 4000
MOST_LAYERS = 6
KERNELS = {1: (3, 7, 11), 2: (3, 5)}
DILATIONS = {1: (1, 3, 7), 2: (1, 3)}

_NAME = re.compile(r"planted/([12])d-([1-9])")


def planted_names() -> tuple[str, ...]:
    """Names `load_planted` knows."""
    return tuple(f"planted/{dims}d-{depth}" for dims in (1, 2) for depth in range(1, 7))


def load_planted(name: str, *, seed: int) -> Task:
    """A planted problem by name, ``planted/1d-3`` being three layers deep and one-dimensional.

    It has 4000 training samples a layer: with fewer, deep ones cannot be learnt even by networks of
    the right kernels.

    Args:
        name: one of `planted_names`.
        seed: chooses the kernels, the teacher and the samples.

    Raises:
        BadData: no such name.
    """
    match = _NAME.fullmatch(name)
    if match is None or int(match[2]) > MOST_LAYERS:
        raise BadData(f"{name} is none of {', '.join(planted_names())}")
    dims, depth = int(match[1]), int(match[2])
    choices = planted_choices(dims, depth, seed=seed)
    return planted_task(choices, samples=SAMPLES * depth, seed=seed, name=name)


def planted_choices(dims: int, depth: int, *, seed: int) -> tuple[Choice, ...]:
    """The kernels of the named problems."""
    rng = np.random.default_rng([seed, dims, depth])
    sizes = rng.choice(KERNELS[dims], depth), rng.choice(DILATIONS[dims], depth)
    return tuple(Choice.cube(int(k), int(d), dims=dims) for k, d in zip(*sizes, strict=True))


def planted_task(
    choices: Sequence[Choice],
    *,
    samples: int = SAMPLES,
    seed: int,
    noise: float = 0.0,
    shuffled: bool = False,
    classes: int = CLASSES,
    width: int = WIDTH,
    name: str = "planted",
) -> Task:
    """White noise, labelled by a teacher.

    Args:
        choices: the teacher's kernels, first layer first.
        samples: of training; a tenth as many for validation, and as many again for test.
        seed: draws the teacher and the samples.
        noise: standard deviation of what is added to the teacher's outputs, which have 1.
        shuffled: whether labels are dealt out at random, so that there is nothing to find.
        classes: labels.
        width: channels of the teacher's layers.
        name: for the report.
    """
    dims = choices[0].dims
    reach = [sum(2 * choice.padding[axis] for choice in choices) for axis in range(dims)]
    # Wide enough that the widest choices of a search fit too, and odd, so that there is a centre.
    size = [max(64 if dims == 1 else 20, 1 + r + r // 4) | 1 for r in reach]
    generator = torch.Generator().manual_seed(seed)
    held = max(classes, samples // 10)
    X = torch.randn(samples + 2 * held, 1, *size, generator=generator)
    outputs = _teach(X, choices, width, classes, generator)
    outputs = outputs + noise * torch.randn(outputs.shape, generator=generator)
    y = outputs.argmax(1)
    if shuffled:
        y = y[torch.randperm(len(y), generator=generator)]
    ends = samples, samples + held
    inputs, labels = (np.split(both.numpy(), ends) for both in (X, y))
    kernels = ", ".join(map(str, choices))
    return classification_task(
        name,
        train=(inputs[0], labels[0]),
        val=(inputs[1], labels[1]),
        test=(inputs[2], labels[2]),
        seed=seed,
        source=f"white noise labelled by a random teacher with kernels {kernels}"
        + (", labels shuffled" if shuffled else ""),
        license="cc0-1.0",
    )


def _teach(
    X: Tensor, choices: Sequence[Choice], width: int, classes: int, generator: torch.Generator
) -> Tensor:
    """Outputs [n, classes] of a teacher drawn by ``generator``, each of mean 0 and deviation 1."""
    convolve = F.conv1d if X.dim() == 3 else F.conv2d
    kernels, channels = [], X.shape[1]
    for choice in choices:
        shape = (width, channels, *choice.kernel)
        sign = torch.randint(0, 2, shape, generator=generator) * 2 - 1
        kernels.append(sign * (0.5 + torch.rand(shape, generator=generator) / 2))
        channels = width
    directions = torch.randn(width, classes, generator=generator)
    features = X
    for kernel, choice in zip(kernels, choices, strict=True):
        features = torch.cat(
            [
                convolve(part, kernel, None, 1, choice.padding, choice.dilation)
                for part in torch.split(features, 500)
            ]
        )
        features = F.relu(_standard(features, (0, *range(2, X.dim()))))
    centre = features.flatten(2)[..., features.flatten(2).shape[2] // 2]
    return _standard(_standard(centre, (0,)) @ directions, (0,))


def _standard(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    deviation, mean = torch.std_mean(x, axes, keepdim=True)
    return (x - mean) / deviation.clamp_min(1e-6)
