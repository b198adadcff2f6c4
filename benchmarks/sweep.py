"""Every family of timm's that convolves, carried through what a search does with a backbone.

    python benchmarks/sweep.py [--only resnet,convnext] [--no-onnx] [--json FILE]

Of every model module the smallest member (by parameters, built on the meta device) that has a
kernel larger than its stride is converted to a supernet, run forward and backward, derived,
folded, rebuilt from its JSON, exported to ONNX and compared with torch: for images, and made
one-dimensional for sequences. Every case runs in a process of its own, with limits on its time and
memory; a sweep that was stopped goes on where it was, and one without ONNX can be completed. All
without ONNX is five minutes of process time, with it an hour.

A family is called convolutional when its forward pass multiplies no activations by activations
as matrices, that is has no attention.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from dashzoo_search.derive import derive
from dashzoo_search.errors import BadBackbone, DashzooError
from dashzoo_search.fold import fold
from dashzoo_search.networks import SearchedNet
from dashzoo_search.spec import SearchSpace
from dashzoo_search.supernet import Supernet, build_supernet

SPACE = SearchSpace(kernels=(3, 5), dilations=(1, 2))
SIDE, LENGTH = 64, 256  # of what is tried first; images then at the model's own size
TOLERANCE = 1e-3  # of the largest output
SECONDS, MEMORY = 1800, 12 * 2**30


def main() -> None:
    """Run all cases, print a line for each, write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="model modules, with commas between them")
    parser.add_argument("--no-onnx", action="store_true", help="leave the export out")
    parser.add_argument("--json", type=Path, help="write results here, and go on from there")
    options = parser.parse_args()
    rows = _known(options.json) or list(smallest_members())
    wanted = options.only.split(",") if options.only else [row["module"] for row in rows]
    _write(options.json, rows)
    tried = [row for row in rows if row["module"] in wanted and row["overlapping"]]
    for row, dims in itertools.product(sorted(tried, key=_convolutional_first), (2, 1)):
        if not _is_done(row.get(f"{dims}d", {}), onnx=not options.no_onnx):
            row[f"{dims}d"] = in_process(row["name"], dims, onnx=not options.no_onnx)
            print(row["name"], dims, row[f"{dims}d"], flush=True)
            _write(options.json, rows)


def _known(path: Path | None) -> list[dict[str, Any]]:
    if path is None or not path.is_file():
        return []
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["families"]
    return found


def _convolutional_first(row: Mapping[str, Any]) -> tuple[bool, int]:
    return row.get("2d", {}).get("attention", False), row["parameters"]


def _is_done(found: Mapping[str, Any], *, onnx: bool) -> bool:
    return found.get("refused", False) or "onnx_error" in found or ("stage" in found and not onnx)


def _write(path: Path | None, rows: Sequence[Mapping[str, Any]]) -> None:
    if path is not None:
        told = {"timm": timm.__version__, "torch": torch.__version__, "families": list(rows)}
        path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def smallest_members() -> Iterator[dict[str, Any]]:
    """Of every model module that has kernels above 1, the smallest model.

    One with a kernel larger than its stride goes before those that only cut patches.
    """
    for module in timm.list_modules():
        members = []
        for name in timm.list_models(module=module):
            if not timm.models.model_entrypoint(name).__module__.startswith("timm."):
                continue
            try:
                with torch.device("meta"):
                    net = timm.create_model(name)
            except Exception as error:  # what a constructor cannot do without numbers
                print(name, error, file=sys.stderr)
                continue
            convs = [
                m for m in net.modules() if isinstance(m, nn.Conv2d) and max(m.kernel_size) > 1
            ]
            if convs:
                patches = all(c.kernel_size <= c.stride for c in convs)
                members.append((patches, sum(p.numel() for p in net.parameters()), name))
        if members:
            patches, parameters, name = min(members)
            yield {
                "module": module,
                "name": name,
                "parameters": parameters,
                "overlapping": not patches,
            }


def in_process(name: str, dims: int, *, onnx: bool = True) -> dict[str, Any]:
    """What `carry` says of one case, in a process of its own."""
    # Forked, so that torch and timm are loaded once.
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(sender, name, dims, onnx))
    process.start()
    sender.close()
    try:
        found: dict[str, Any] = receiver.recv() if receiver.poll(SECONDS) else {}
    except EOFError:  # it died
        process.join()
        return {"stage": "process", "reason": f"ended with exit code {process.exitcode}"}
    process.kill()
    process.join()
    return found or {"stage": "time", "reason": f"more than {SECONDS} s"}


def _send(sender: Connection, name: str, dims: int, onnx: bool) -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    sender.send(carry(name, dims, onnx=onnx))


def carry(name: str, dims: int, *, onnx: bool = True) -> dict[str, Any]:
    """Carry one backbone through all stages.

    Returns:
        ``stage`` it came to, ``"passed"`` if through all, with the ``reason`` where it is not; how
        many convolutions are ``searched`` and why others are left alone; errors; seconds.
    """
    torch.manual_seed(0)
    torch.set_num_threads(1)
    found: dict[str, Any] = {"stage": "create"}
    start = time.process_time()

    def reached(stage: str) -> None:
        found["stage"] = stage

    try:
        _through(name, dims, found, reached, onnx)
    except Exception as error:  # anything at all is a finding
        ours = isinstance(error, DashzooError)
        kind = "" if ours else f"{type(error).__name__}: "
        found["reason"] = (kind + (str(error).strip() or "no message").splitlines()[0])[:400]
        found["refused"] = ours and found["stage"] in ("create", "convert")
    found["cpu_seconds"] = round(time.process_time() - start, 1)
    return found


def _through(
    name: str, dims: int, found: dict[str, Any], reached: Callable[[str], None], onnx: bool
) -> None:
    net, size = _network(name, dims)
    found["size"] = list(size)
    x = torch.randn(2, net.in_chans, *size)
    found["attention"] = has_attention(net, x)
    reached("convert")
    supernet = build_supernet(net, SPACE, size)
    found["searched"] = len(supernet.layers)
    found["left_alone"] = _counted(supernet.kept)
    reached("backward")
    _step(supernet, x)
    reached("derive")
    with torch.no_grad():
        for alpha in supernet.architecture():
            alpha.normal_()
    spec = derive(supernet).spec
    reached("fold")
    folded = fold(supernet, spec)
    with torch.no_grad():
        y = folded(x)
        found["fold_error"] = _agree(y, supernet.eval()(x))
    reached("rebuild")
    args = json.loads(json.dumps(folded.model_args))
    again = timm.create_model("dashzoo_searched", num_classes=3, **args).eval()
    again.load_state_dict(folded.state_dict())
    with torch.no_grad():
        _agree(again(x), y)
    if onnx:
        reached("onnx")
        found["onnx_error"] = _agree(_by_onnx(folded, size, x), y)
    reached("passed")


def _network(name: str, dims: int) -> tuple[SearchedNet, tuple[int, ...]]:
    """The network, and the size of its samples: small, or its own where it takes no other."""
    net = SearchedNet(name, dims=dims, in_chans=dims + 1, num_classes=3)
    if dims == 1:
        return net, (LENGTH,)
    own = tuple(net.backbone.pretrained_cfg["input_size"][1:])
    try:
        with torch.no_grad():
            net.eval()(net.example_input((SIDE, SIDE)))
    except Exception:  # positions are counted, or windows do not fit
        return net, own
    return net, (SIDE, SIDE)


def _step(supernet: Supernet, x: Tensor) -> None:
    supernet.train()(x).square().sum().backward()
    for name, layer in supernet.layers.items():
        if layer.alpha.grad is None or not layer.alpha.grad.isfinite().all():
            raise BadBackbone(f"no gradient reaches {name}")
    supernet.zero_grad(set_to_none=True)


def _agree(y: Tensor, expected: Tensor) -> float:
    """The largest difference over the largest output."""
    if y.shape != expected.shape:
        raise ArithmeticError(f"shape {list(y.shape)} instead of {list(expected.shape)}")
    error = float((y - expected).abs().max() / expected.abs().max().clamp(min=1e-6))
    if not error <= TOLERANCE:
        raise ArithmeticError(f"off by {error:.1e} of the largest output")
    return float(f"{error:.1e}")


def _by_onnx(net: SearchedNet, size: tuple[int, ...], x: Tensor) -> Tensor:
    from dashzoo_export.onnx import to_onnx
    from dashzoo_export.session import open_session

    session = open_session(to_onnx(net, size=size).SerializeToString(), threads=1)
    outputs: Sequence[np.ndarray[Any, Any]] = session.run(None, {"input": x.numpy()})
    return torch.from_numpy(outputs[0])


def _counted(reasons: Mapping[str, str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for reason in reasons.values():
        counts[reason] = counts.get(reason, 0) + 1
    return counts


class _Products(TorchFunctionMode):
    """Counts products of activations with activations, as matrices."""

    names = frozenset({"scaled_dot_product_attention", "matmul", "__matmul__", "bmm", "einsum"})

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        if getattr(func, "__name__", "") in self.names:
            tensors = [a for a in args if isinstance(a, Tensor)]
            self.count += len(tensors) > 1 and not any(isinstance(t, nn.Parameter) for t in tensors)
        return func(*args, **(kwargs or {}))


def has_attention(net: nn.Module, x: Tensor) -> bool:
    """Whether activations are multiplied by activations, as matrices."""
    with torch.no_grad(), _Products() as products:
        net.eval()(x)
    return products.count > 0


if __name__ == "__main__":
    main()
