"""A tree of dicts and lists with tensors and plain values, as one safetensors blob and back.

Tensors lie in the safetensors body under their path; everything else is JSON in its header, where
``{"$tensor": path}`` stands for a tensor. Nothing is pickled. What is read is believed only as far
as it can be checked: `decode` refuses a blob that lies about its own structure, and `expect_like`
one that does not fit what it is to be loaded into.
"""

from __future__ import annotations

import json
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from dashzoo_search.errors import BadBundle

__all__ = ["Tree", "decode", "encode", "expect_like"]

Tree = dict[str, Any]

_TENSOR = "$tensor"
_HEADER = "dashzoo"


def encode(tree: Tree) -> bytes:
    """``tree`` as safetensors; its leaves are tensors, numbers, strings, booleans and None.

    Raises:
        TypeError: a leaf of another type, or a key that is no string.

    >>> import torch
    >>> from pathlib import Path; from tempfile import mkdtemp
    >>> path = Path(mkdtemp()) / "tree"
    >>> _ = path.write_bytes(encode({"a": torch.ones(2), "b": [1, None]}))
    >>> decode(path)
    {'a': tensor([1., 1.]), 'b': [1, None]}
    """
    tensors: dict[str, Tensor] = {}

    def plain(value: Any, path: str) -> Any:
        if isinstance(value, Tensor):
            # A copy, because safetensors refuses tensors that share memory.
            tensors[path] = value.detach().cpu().contiguous().clone()
            return {_TENSOR: path}
        if isinstance(value, dict):
            for key in value:
                if not isinstance(key, str) or key == _TENSOR:
                    raise TypeError(f"{path}: {key!r} cannot be a key")
            return {key: plain(inner, f"{path}/{key}") for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [plain(inner, f"{path}/{i}") for i, inner in enumerate(value)]
        if value is None or isinstance(value, bool | int | float | str):
            return value
        raise TypeError(f"{path}: a {type(value).__name__} cannot be kept")

    header = json.dumps(plain(tree, ""))
    return save(tensors, metadata={_HEADER: header})


def decode(path: Any) -> Tree:
    """Read what `encode` wrote.

    Raises:
        BadBundle: no safetensors file of ours, or tensors and structure contradict each other.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})[_HEADER])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, KeyError, ValueError, RecursionError) as error:
        raise BadBundle(f"the checkpoint is damaged ({error})", field=str(path)) from error

    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            if _TENSOR in value:
                name = value[_TENSOR]
                if not isinstance(name, str) or name not in tensors:
                    raise BadBundle(f"the checkpoint lacks tensor {name}", field=str(name))
                return tensors.pop(name)
            return {key: filled(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [filled(inner) for inner in value]
        return value

    tree = filled(header)
    if not isinstance(tree, dict):
        raise BadBundle("the checkpoint holds no object", field="")
    for name in tensors:
        raise BadBundle(f"the checkpoint holds the unexpected tensor {name}", field=name)
    return tree


def expect_like(found: Any, wanted: Any, where: str) -> None:
    """Refuse a tree that differs from ``wanted`` in keys, lengths, types, shapes or dtypes.

    Raises:
        BadBundle: naming the first difference.
    """
    if isinstance(wanted, Tensor):
        if not isinstance(found, Tensor):
            raise BadBundle(f"{where} is no tensor", field=where)
        shapes = (list(found.shape), list(wanted.shape))
        if shapes[0] != shapes[1]:
            raise BadBundle(f"{where} has shape {shapes[0]}, not {shapes[1]}", field=where)
        if found.dtype != wanted.dtype:
            raise BadBundle(f"{where} is {found.dtype}, not {wanted.dtype}", field=where)
    elif isinstance(wanted, dict):
        if not isinstance(found, dict):
            raise BadBundle(f"{where} is no object", field=where)
        for key in sorted(set(found) ^ set(wanted)):
            state = "unexpected" if key in found else "missing"
            raise BadBundle(f"{where}/{key} is {state}", field=f"{where}/{key}")
        for key, inner in wanted.items():
            expect_like(found[key], inner, f"{where}/{key}")
    elif isinstance(wanted, list | tuple):
        if not isinstance(found, list | tuple) or len(found) != len(wanted):
            raise BadBundle(f"{where} is no list of {len(wanted)}", field=where)
        for index, inner in enumerate(wanted):
            expect_like(found[index], inner, f"{where}/{index}")
    elif wanted is not None and not _same_kind(found, wanted):
        raise BadBundle(f"{where} is {found!r:.40}, no {type(wanted).__name__}", field=where)


def _same_kind(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, bool) or isinstance(found, bool):
        return isinstance(wanted, bool) and isinstance(found, bool)
    # A rate that was given as 1 comes back as 1; a float may take its place.
    if isinstance(wanted, int | float):
        return isinstance(found, int | float)
    return isinstance(found, type(wanted))
