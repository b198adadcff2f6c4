"""Kernels whose dilations grow, or shrink, evenly with depth: proposals that no search has to find.

Every layer has the middle one of the kernel sizes; the dilations are gone through in order, as many
layers each as that takes. Growing ones are those of WaveNet (van den Oord et al., 2016) and of
dilated context modules (Yu & Koltun, ICLR 2016). A search that asks one layer at a time does not
see what a dense layer and a far one are worth together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dashzoo_search.choice import Choice

__all__ = ["PYRAMIDS", "pyramids"]

PYRAMIDS = ("growing", "shrinking")


def pyramids(choices: Mapping[str, Sequence[Choice]]) -> dict[str, dict[str, Choice]]:
    """The two by name: a choice for each layer.

    Args:
        choices: of each layer, from the input on. One that has not the choice it should gets the
            farthest of that size that it has, or its first.

    Returns:
        Nothing where there is only one dilation.

    >>> grid = [Choice.cube(k, d, dims=1) for k in (3, 5, 7) for d in (1, 3)]
    >>> [str(choice) for choice in pyramids({"a": grid, "b": grid})["growing"].values()]
    ['k5 d1', 'k5 d3']
    """
    grids = [choice for some in choices.values() for choice in some if choice.kernel[0] > 1]
    dilations = sorted({choice.dilation for choice in grids})
    dilated = sorted({choice.kernel for choice in grids if choice.dilation != dilations[0]})
    if not dilated:
        return {}
    kernel = dilated[len(dilated) // 2]
    shares = [dilations[i * len(dilations) // len(choices)] for i in range(len(choices))]
    found = {}
    for name, wanted in zip(PYRAMIDS, (shares, shares[::-1]), strict=True):
        found[name] = {
            layer: _nearest(some, kernel, dilation)
            for (layer, some), dilation in zip(choices.items(), wanted, strict=True)
        }
    return found


def _nearest(
    choices: Sequence[Choice], kernel: tuple[int, ...], dilation: tuple[int, ...]
) -> Choice:
    near = [c for c in choices if c.kernel == kernel and c.dilation <= dilation]
    return max(near, key=lambda choice: choice.dilation, default=choices[0])
