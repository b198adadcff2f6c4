"""model.safetensors: saving a network's weights, and loading them from a file that may lie."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from dashzoo_export.bundle import write_atomically
from dashzoo_search.errors import BadBundle

__all__ = ["check_shapes", "load_weights", "save_weights"]


def save_weights(net: nn.Module, path: Path) -> None:
    """Write all parameters and buffers of ``net`` to ``path``, atomically."""
    state = {k: v.detach().cpu().contiguous() for k, v in net.state_dict().items()}
    write_atomically(path, save(state, metadata={"format": "pt"}))


def check_shapes(net: nn.Module, path: Path) -> None:
    """Hold the tensors ``path`` declares against those ``net`` has; neither holds memory for it.

    Args:
        net: may be on the meta device, so that a config that asks for terabytes is refused before
            they are allocated.
        path: a safetensors file; only its header is read.

    Raises:
        BadBundle: the file is missing or damaged, or a tensor is missing, unexpected or of another
            shape.
    """
    wanted = {key: list(tensor.shape) for key, tensor in net.state_dict().items()}
    with _opened(path) as file:
        held = set(file.keys())
        for key in sorted(held ^ set(wanted)):
            state = "unexpected" if key in held else "missing"
            raise BadBundle(
                f"{path.name} does not fit config.json: tensor {key} is {state}", field=key
            )
        for key, shape in wanted.items():
            if (found := list(file.get_slice(key).get_shape())) != shape:
                raise BadBundle(
                    f"{path.name} does not fit config.json: tensor {key} has shape {found}, "
                    f"not {shape}",
                    field=key,
                )


def load_weights(net: nn.Module, path: Path) -> None:
    """Load ``path`` into ``net``, which must have exactly those tensors.

    Raises:
        BadBundle: as `check_shapes`, or a tensor is of another type, or holds NaN or inf.
    """
    check_shapes(net, path)
    wanted = net.state_dict()
    name = path.name
    with _opened(path) as file:
        loaded = {key: file.get_tensor(key) for key in wanted}
    for key, tensor in loaded.items():
        if tensor.dtype != wanted[key].dtype:
            raise BadBundle(
                f"{name}: tensor {key} is {tensor.dtype}, not {wanted[key].dtype}", field=key
            )
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise BadBundle(f"{name}: tensor {key} holds NaN or inf", field=key)
    net.load_state_dict(loaded)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except FileNotFoundError as error:
        raise BadBundle(f"{path} is missing; is this a whole bundle?", field=path.name) from error
    except (SafetensorError, OSError) as error:
        raise BadBundle(f"{path.name} is damaged: {error}", field=path.name) from error
