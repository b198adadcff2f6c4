"""The proof that an export computes what was trained, link by link.

    torch in float64 → supernet, one-hot → folded torch → lowered torch → each ONNX file

Every form is held against the first, on random and on real samples, in several batch sizes and,
where axes are free, several sizes; and every layer by itself, on its own inputs. Beyond the
tolerance of its precision a form fails all.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dashzoo_export.onehot import as_supernet
from dashzoo_export.parity import TOLERANCES, UNJUDGED, Tolerance, compare
from dashzoo_export.serving import Served
from dashzoo_export.sizes import AXES, Size

__all__ = [
    "VALIDATION_SAMPLES",
    "Form",
    "Samples",
    "certify_layers",
    "certify_network",
    "fitted",
    "random_samples",
    "torch_forms",
]

VALIDATION_SAMPLES = 256
_LARGE = 16

Samples = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One form of a network.

    Attributes:
        name: ``"supernet"``, ``"folded"``, ``"lowered"``, or the precision of an ONNX file.
        tolerance: of what `run` gives.
        run: from a batch [b, c, …] to outputs [b, o, …].
        calibrated: on the task's data, so that noise, which leaves its ranges, is no judge of it:
            it is compared on real samples; without any, its errors are told as they are.
    """

    name: str
    tolerance: Tolerance
    run: Callable[[Samples], NDArray[Any]]
    calibrated: bool = False


def torch_forms(served: Served, lowered: Served) -> list[Form]:
    """The supernet set up anew, the folded network, and the lowered one."""
    supernet = Served(as_supernet(served.network), pad=served.pad, outputs=served.outputs)
    modules = {"supernet": supernet, "folded": served, "lowered": lowered}
    return [
        Form(name=name, tolerance=TOLERANCES["fp32"], run=_runner(module))
        for name, module in modules.items()
    ]


def certify_network(
    served: Served,
    forms: list[Form],
    *,
    size: Size,
    free: Mapping[str, int],
    real: Samples | None,
    classes: bool,
) -> list[dict[str, Any]]:
    """Hold every form against ``served`` in float64.

    Args:
        served: the folded network.
        forms: what is compared.
        size: of a sample.
        free: axes that may vary, each with its least extent.
        real: samples [n, c, …] of that size; None where there are none.
        classes: see `compare`.

    Returns:
        A row for every comparison.

    Raises:
        ParityFailed: a form is beyond its tolerance.
    """
    exact = _runner(copy.deepcopy(served).double())
    kinds = {"random": random_samples(served, size, _LARGE)}
    if real is not None and len(real):
        kinds["real"] = real[:VALIDATION_SAMPLES]
    rows = []
    for kind, samples in kinds.items():
        for x in (samples, *(fitted(samples[:3], other) for other in _sizes(size, free))):
            expected = _batches(exact, x, _LARGE)
            scale = float(np.abs(expected).max())
            for batch, count in _counts(len(x)):
                for form in forms:
                    if form.calibrated and kind == "random" and "real" in kinds:
                        continue
                    what = f"{form.name} on {kind} inputs of {list(x.shape[2:])}, batch {batch}"
                    found = compare(
                        expected[:count],
                        _batches(form.run, x[:count], batch),
                        UNJUDGED if form.calibrated and kind == "random" else form.tolerance,
                        what=what,
                        classes=classes,
                        scale=scale,
                    )
                    where = {"size": list(x.shape[2:]), "batch": batch, "samples": count}
                    rows.append({"form": form.name, "inputs": kind, **where, **found.to_json()})
    return rows


def certify_layers(
    served: Served, lowered: Served, names: list[str], x: Samples
) -> dict[str, dict[str, Any]]:
    """Hold every layer of the supernet, the folded and the lowered network against float64.

    Args:
        served: the folded network.
        lowered: the lowered one.
        names: of the layers, in the backbone.
        x: samples from which each layer gets its own inputs, by the folded network.

    Returns:
        By layer and form, the difference.

    Raises:
        ParityFailed: a form is beyond the tolerance of float32.
    """
    supernet = as_supernet(served.network)
    rows: dict[str, dict[str, Any]] = {}

    def hook(name: str) -> Callable[..., None]:
        def check(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            (signal,) = inputs
            exact = copy.deepcopy(layer).double().forward(signal.double()).numpy()
            forms = {"folded": output, "lowered": _layer(lowered.network, name)(signal)}
            if name in served.network.spec.layers:
                forms = {"supernet": _layer(supernet, name)(signal), **forms}
            rows[name] = {
                form: compare(
                    exact,
                    found.numpy(),
                    TOLERANCES["fp32"],
                    what=f"layer {name}, {form}",
                    classes=False,
                ).to_json()
                for form, found in forms.items()
            }

        return check

    hooks = [_layer(served.network, name).register_forward_hook(hook(name)) for name in names]
    try:
        _runner(served)(x)
    finally:
        for handle in hooks:
            handle.remove()
    return {name: rows[name] for name in names if name in rows}


def random_samples(served: Served, size: Size, count: int) -> Samples:
    """Noise with the mean and standard deviation of the training data, [count, c, *size]."""
    net = served.network
    mean, std = (t.cpu().numpy() for t in net.preprocess.like(net.example_input(size)))
    noise = np.random.default_rng(0).standard_normal((count, net.in_chans, *size))
    samples: Samples = (mean + std * noise).astype(np.float32)
    return samples if served.pad is None else samples[:, :-1]


def fitted(samples: Samples, size: Size) -> Samples:
    """``samples`` cut to ``size``, or repeated until they fill it."""
    for axis, n in enumerate(size, 2):
        samples = np.take(samples, np.arange(n) % samples.shape[axis], axis)
    return np.ascontiguousarray(samples)


def _sizes(size: Size, free: Mapping[str, int]) -> Iterator[Size]:
    """The least size, and one half as large again, odd."""
    if not free:
        return
    least = {AXES[len(size)].index(axis): n for axis, n in free.items()}
    yield tuple(least.get(i, n) for i, n in enumerate(size))
    yield tuple(math.ceil(1.5 * n) | 1 if i in least else n for i, n in enumerate(size))


def _counts(n: int) -> list[tuple[int, int]]:
    """Batch sizes, and how many samples are compared in each."""
    few = [(batch, batch) for batch in (1, 3) if batch < n]
    return [*few, (min(n, _LARGE), n)]


def _batches(run: Callable[[Samples], NDArray[Any]], x: Samples, batch: int) -> NDArray[Any]:
    return np.concatenate([run(x[i : i + batch]) for i in range(0, len(x), batch)])


def _runner(module: nn.Module) -> Callable[[Samples], NDArray[Any]]:
    dtype = next(module.parameters()).dtype
    module.eval()

    def run(x: Samples) -> NDArray[Any]:
        with torch.inference_mode():
            y: NDArray[Any] = module(torch.from_numpy(x).to(dtype)).numpy()
            return y

    return run


def _layer(net: nn.Module, name: str) -> nn.Module:
    return net.get_submodule(f"backbone.{name}")
