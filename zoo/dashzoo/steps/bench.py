"""How fast a bundle's network runs here: its ONNX files beside torch, on the provider asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dashzoo.catalogue import find
from dashzoo.loading import load_with_config
from dashzoo.prediction import least_sizes, onnx_file
from dashzoo.steps.card import card
from dashzoo_export.bundle import EXPORT, README, SUMS, check_bundle, read_json, write_json
from dashzoo_export.config import read_config
from dashzoo_export.latency import Times, added_memory, bound, take_turns
from dashzoo_export.providers import Provider, trouble
from dashzoo_export.session import open_session, require_runtime
from dashzoo_search.errors import BadData, MissingProvider
from dashzoo_search.ops.latency import machine
from dashzoo_search.training.runtime import cores_at_hand

__all__ = ["bench"]

Call = Callable[[], object]
Samples = NDArray[np.float32]


def bench(
    name: str | PathLike[str],
    *,
    provider: Provider = "cpu",
    dtypes: Sequence[str] = ("fp32",),
    batches: Sequence[int] = (1,),
    threads: int | None = None,
    length: int | None = None,
    compiled: bool = False,
    seconds: float = 1.0,
    save: bool = False,
) -> dict[str, Any]:
    """Time ONNX Runtime and torch on random samples, in turns.

    Args:
        name: of the bundle, as `load` takes it.
        provider: what ONNX Runtime runs on, or nothing is measured; torch runs on the CPU or CUDA.
        dtypes: precisions of the ONNX files; torch runs in float32.
        batches: samples of one call, each measured.
        threads: cores for both; None takes all at hand.
        length: of samples, or the side of images; None takes what the network was trained on.
        compiled: also `torch.compile` it, which takes a minute.
        seconds: for each form and batch.
        save: put what was found into onnx/export.json, and write the card and SHA256SUMS anew.

    Returns:
        ``machine``; ``rows``, one a form and batch: ``engine``, ``provider``, ``dtype``, ``shape``,
        the fields of `Times`, ``samples_per_s`` at the median, ``memory_bytes`` added at its peak
        by loading and one call (None where nobody tells); ``aside``, why a form was not measured.

    Raises:
        BadData: samples of that size do not go into the network; or ``save`` where the bundle is
            not ours to write into.
        BadBundle: the bundle does not load, lacks a file, or, to be saved into, was altered.
        MissingRuntime: ONNX Runtime is not installed.
        MissingProvider: the provider does not run here.
    """
    found = find(name)
    folder = found.own() if save else found.folder
    sealed = (folder / SUMS).is_file()
    if save and sealed:
        check_bundle(folder)  # what was altered must not be sealed as if it were ours
    if not batches or min(batches) < 1:
        raise BadData("A batch holds one sample at least; give --batch 1,8")
    if reason := trouble(provider):  # also brings in all that the runtime loads but once
        raise MissingProvider(reason)
    threads = threads or cores_at_hand()
    device = torch.device("cpu" if provider == "cpu" else "cuda")
    aside: dict[str, str] = {}
    rows: list[dict[str, Any]] = []
    with _threads(threads):
        for batch in batches:
            forms = [
                *(_onnx_form(folder, provider, dtype, batch, length, threads) for dtype in dtypes),
                *_torch_forms(folder, device, batch, length, compiled, aside),
            ]
            times = take_turns({f.name: f.call for f in forms}, seconds=seconds)
            rows += [form.row(times[form.name]) for form in forms]
        where = {**machine(device), "onnxruntime": require_runtime().__version__}
    told = {"machine": where, "rows": rows, "aside": aside}
    if save:
        write_json(folder / EXPORT, {**read_json(folder / EXPORT), "latency": told})
        if (folder / README).is_file():
            card(folder)
    return told


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """One way to run the network on one batch; ``memory`` as `added_memory` found it."""

    engine: str
    provider: Provider
    dtype: str
    shape: tuple[int, ...]
    call: Call
    memory: list[int]

    @property
    def name(self) -> str:
        return f"{self.engine} {self.dtype}"

    def row(self, times: Times) -> dict[str, Any]:
        rounded = {k: round(v, 4) if isinstance(v, float) else v for k, v in asdict(times).items()}
        return {
            "engine": self.engine,
            "provider": self.provider,
            "dtype": self.dtype,
            "shape": list(self.shape),
            **rounded,
            "samples_per_s": round(1000 * self.shape[0] / times.median_ms, 2),
            "memory_bytes": self.memory[0] if self.memory else None,
        }


def _onnx_form(
    folder: Path, provider: Provider, dtype: str, batch: int, length: int | None, threads: int
) -> _Form:
    path = onnx_file(folder, dtype)
    own, least = read_config(folder).size, least_sizes(folder)
    where = "cpu" if provider == "cpu" else "cuda"
    with added_memory(where) as memory:
        # Threads that wait for more work would be in the way of whoever has the next turn.
        config = {"session.force_spinning_stop": "1"}
        session = open_session(path, provider=provider, threads=threads, config=config)
        channels, *takes = session.get_inputs()[0].shape[1:]
        x = _noise((batch, channels, *_sizes(takes, own, length, least)))
        call, _ = bound(session, x, where)
        _try(call, x, "ONNX Runtime")
    return _Form(
        engine="onnxruntime",
        provider=provider,
        dtype=dtype,
        shape=x.shape,
        call=call,
        memory=memory,
    )


def _sizes(
    takes: Sequence[int | str], own: Sequence[int], length: int | None, least: Mapping[str, int]
) -> list[int]:
    """Axes of a sample: what the model takes, or where it is free what is wanted, or its own."""
    sizes = []
    for taken, size in zip(takes, own, strict=True):
        wanted = size if length is None else length
        if isinstance(taken, int) and taken != wanted:
            raise BadData(
                f"The ONNX model takes samples of {list(takes)} only; leave --length out, or "
                "export with --dynamic"
            )
        if isinstance(taken, str) and wanted < least.get(taken, 1):
            raise BadData(
                f"The model needs a {taken} of {least.get(taken, 1)} at least; give such a --length"
            )
        sizes.append(wanted)
    return sizes


def _torch_forms(
    folder: Path,
    device: torch.device,
    batch: int,
    length: int | None,
    compiled: bool,
    aside: dict[str, str],
) -> list[_Form]:
    if device.type == "cuda" and not torch.cuda.is_available():
        aside["torch"] = "torch sees no CUDA; install a torch that is built for it"
        return []
    forms = []

    def add(engine: str, call: Call, memory: list[int]) -> None:
        provider: Provider = "cpu" if device.type == "cpu" else "cuda"
        forms.append(
            _Form(
                engine=engine,
                provider=provider,
                dtype="fp32",
                shape=tuple(x.shape),
                call=call,
                memory=memory,
            )
        )

    with added_memory(device.type) as memory:
        net, config = load_with_config(folder)
        sizes = config.size if length is None else (length,) * len(config.size)
        x = torch.from_numpy(_noise((batch, config.in_chans, *sizes))).to(device)
        net = net.to(device)
        eager = _calling(net, x)
        _try(eager, x, "torch")
    add("torch", eager, memory)
    if compiled and "torch.compile" not in aside:
        try:
            with added_memory(device.type) as memory:
                quick = _calling(torch.compile(net, dynamic=False), x)
                quick()
        except Exception as error:  # no compiler is there, or it does not take the network
            aside["torch.compile"] = " ".join(str(error).split())[:300]
        else:
            add("torch.compile", quick, memory)
    return forms


def _calling(net: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> Call:
    def call() -> None:
        with torch.inference_mode():
            net(x)
        if x.is_cuda:
            torch.cuda.synchronize()

    return call


def _try(call: Call, x: Samples | torch.Tensor, engine: str) -> None:
    try:
        call()
    except Exception as error:  # the runtimes' own types, memory among them
        told = " ".join(str(error).split())[:200]
        raise BadData(
            f"{engine} does not run on samples of {list(x.shape)} ({told}); give another --batch "
            "or --length"
        ) from error


def _noise(shape: tuple[int, ...]) -> Samples:
    return np.random.default_rng(0).standard_normal(shape, np.float32)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Let torch use ``count`` cores in the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
