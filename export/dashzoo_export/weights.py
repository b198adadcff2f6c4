"""model.safetensors: saving a network's weights, and loading them from a file that may lie."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from dashzoo_export.bundle import write_atomically
from dashzoo_search.errors import BadBundle

__all__ = ["load_weights", "save_weights"]


def save_weights(net: nn.Module, path: Path) -> None:
    """Write all parameters and buffers of ``net`` to ``path``, atomically."""
    state = {k: v.detach().cpu().contiguous() for k, v in net.state_dict().items()}
    write_atomically(path, save(state, metadata={"format": "pt"}))


def load_weights(net: nn.Module, path: Path) -> None:
    """Load ``path`` into ``net``, which must have exactly those tensors.

    Raises:
        BadBundle: the file is missing or damaged, or a tensor is missing, unexpected, of another
            shape or type, or holds NaN or inf.
    """
    wanted = net.state_dict()
    name = path.name
    try:
        with safe_open(path, framework="pt") as file:
            held = set(file.keys())
            for key in sorted(held ^ set(wanted)):
                state = "unexpected" if key in held else "missing"
                raise BadBundle(
                    f"{name} does not fit config.json: tensor {key} is {state}", field=key
                )
            for key, tensor in wanted.items():
                shape = list(file.get_slice(key).get_shape())
                if shape != list(tensor.shape):
                    raise BadBundle(
                        f"{name} does not fit config.json: tensor {key} has shape {shape}, "
                        f"not {list(tensor.shape)}",
                        field=key,
                    )
            loaded = {key: file.get_tensor(key) for key in wanted}
    except FileNotFoundError as error:
        raise BadBundle(f"{path} is missing; is this a whole bundle?", field=name) from error
    except (SafetensorError, OSError) as error:
        raise BadBundle(f"{name} is damaged: {error}", field=name) from error
    for key, tensor in loaded.items():
        if tensor.dtype != wanted[key].dtype:
            raise BadBundle(
                f"{name}: tensor {key} is {tensor.dtype}, not {wanted[key].dtype}", field=key
            )
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise BadBundle(f"{name}: tensor {key} holds NaN or inf", field=key)
    net.load_state_dict(loaded)
