"""ONNX Runtime's execution providers, by short name, and whether one really runs.

A provider can be listed as available and still not start: its libraries or the GPU are missing.
The runtime then takes the CPU without a word. `start` forbids that in three places: no fallback of
its Python layer, none of single nodes to the CPU, and the providers of the session are read back.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal, cast, get_args

from dashzoo_search.errors import MissingProvider, MissingRuntime

__all__ = [
    "CPU",
    "PROVIDERS",
    "Provider",
    "require_runtime",
    "short_name",
    "start",
    "trouble",
    "wheels",
]

Provider = Literal["cpu", "cuda", "tensorrt"]

CPU = "CPUExecutionProvider"
# What runs a model, and what takes the nodes that the first does not; never the CPU for a GPU.
PROVIDERS: dict[Provider, tuple[str, ...]] = {
    "cpu": (CPU,),
    "cuda": ("CUDAExecutionProvider",),
    "tensorrt": ("TensorrtExecutionProvider", "CUDAExecutionProvider"),
}
_WHEELS = ("onnxruntime", "onnxruntime-gpu")
_ELSEWHERE = "or run it on the provider 'cpu'"


def require_runtime() -> Any:
    """Import onnxruntime.

    Raises:
        MissingRuntime: it is not installed; names the extra.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingRuntime("onnxruntime", "cpu") from error
    return onnxruntime


def short_name(provider: str) -> Provider:
    """``cuda`` for itself and for the runtime's own name of it.

    Raises:
        MissingProvider: no provider has that name.

    >>> short_name("CUDAExecutionProvider")
    'cuda'
    """
    for short in get_args(Provider):
        if provider in (short, PROVIDERS[short][0]):
            return cast(Provider, short)
    raise MissingProvider(f"No provider is called {provider!r}; take one of {', '.join(PROVIDERS)}")


def start(model: bytes | str, provider: Provider, options: Any = None) -> Any:
    """A session that runs on ``provider`` and nowhere else.

    Args:
        model: a file, or its bytes.
        provider: by short name.
        options: `onnxruntime.SessionOptions`; forbidding the CPU is added to them.

    Raises:
        MissingProvider: the runtime took another provider.
        Exception: whatever else the runtime raises; its types are not public.
    """
    runtime = require_runtime()
    options = options or runtime.SessionOptions()
    chain = PROVIDERS[provider]
    with _quiet(runtime):
        if provider != "cpu":
            options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
            # Finds the CUDA libraries that pip installed; since 1.21.
            getattr(runtime, "preload_dlls", lambda: None)()
        session = runtime.InferenceSession(
            model, options, providers=list(chain), enable_fallback=False
        )
    if (taken := session.get_providers())[0] != chain[0]:
        raise MissingProvider(f"ONNX Runtime took {taken[0]} in place of {chain[0]}; {_ELSEWHERE}")
    return session


def trouble(provider: Provider) -> str | None:
    """Why a model of one node does not run on ``provider`` here, with the mend; None if it does.

    Raises:
        MissingRuntime: onnxruntime is not installed.
    """
    runtime = require_runtime()
    listed = runtime.get_available_providers()
    wanted = PROVIDERS[provider][0]
    if wanted not in listed:
        here = ", ".join(short for short, chain in PROVIDERS.items() if chain[0] in listed)
        return (
            f"ONNX Runtime {runtime.__version__} is built without {wanted}, it has: {here}; "
            f"uninstall onnxruntime and run: pip install 'dashzoo[gpu]', {_ELSEWHERE}"
        )
    try:
        start(_one_node(), provider).run(None, {"x": [1.0]})
    except Exception as error:
        if provider == "cpu":
            return f"ONNX Runtime does not run: {error}; install it again"
        libraries, also = (
            ("TensorRT, CUDA", " tensorrt") if provider == "tensorrt" else ("CUDA", "")
        )
        return (
            f"ONNX Runtime lists {wanted}, but it does not start: the libraries of {libraries}, "
            "the driver or the GPU are missing; see that 'nvidia-smi' names a GPU and run: "
            f"pip install 'dashzoo[gpu]'{also}, {_ELSEWHERE}"
        )
    return None


def wheels() -> dict[str, str]:
    """Installed packages that carry ONNX Runtime, and their versions; two overwrite each other."""
    found = {}
    for name in _WHEELS:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _one_node() -> bytes:
    from onnx import TensorProto, helper

    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "one", ports[:1], ports[1:])
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10
    )  # older runtimes refuse what onnx writes by default
    return cast(bytes, model.SerializeToString())


@contextlib.contextmanager
def _quiet(runtime: Any) -> Iterator[None]:
    """Keep off the terminal what the runtime prints of a provider that does not start."""
    fatal, warning = 4, 2  # it cannot be asked for the level it has; this is its own default
    runtime.set_default_logger_severity(fatal)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        runtime.set_default_logger_severity(warning)
