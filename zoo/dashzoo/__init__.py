"""dashzoo: find the right kernels for your data, and ship the network they make.

    import dashzoo
    dashzoo.run("ucr/GunPoint", "runs/gunpoint")      # search, train, export, card
    net = dashzoo.load("runs/gunpoint")               # a torch module that takes raw samples
    dashzoo.publish("runs/gunpoint", "org/gunpoint", tag="v1")
    net = dashzoo.load("org/gunpoint@v1")             # the same, from the Hub

Importing dashzoo is light: torch is imported by the first verb that needs it. After the import,
timm knows the architecture of a bundle: ``timm.create_model("hf-hub:org/gunpoint@v1",
pretrained=True)``, or ``"local-dir:runs/gunpoint"``.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

import wrapt

if TYPE_CHECKING:
    from dashzoo.loading import load
    from dashzoo.prediction import predict
    from dashzoo.publishing import publish
    from dashzoo.pulling import list_models, pull
    from dashzoo.signing import sign
    from dashzoo.steps.card import card
    from dashzoo.steps.compare import compare
    from dashzoo.steps.export import export
    from dashzoo.steps.report import report
    from dashzoo.steps.run import run
    from dashzoo.steps.search import search
    from dashzoo.steps.train import train
    from dashzoo.steps.tune import tune
    from dashzoo.steps.verify import verify
    from dashzoo_search.errors import DashzooError
    from dashzoo_search.spec import Choice, KernelSpec, SearchSpace

__version__ = "0.1.0"

_HOMES = {
    "Choice": "dashzoo_search.spec",
    "DashzooError": "dashzoo_search.errors",
    "KernelSpec": "dashzoo_search.spec",
    "SearchSpace": "dashzoo_search.spec",
    "card": "dashzoo.steps.card",
    "compare": "dashzoo.steps.compare",
    "export": "dashzoo.steps.export",
    "list_models": "dashzoo.pulling",
    "load": "dashzoo.loading",
    "predict": "dashzoo.prediction",
    "publish": "dashzoo.publishing",
    "pull": "dashzoo.pulling",
    "report": "dashzoo.steps.report",
    "run": "dashzoo.steps.run",
    "search": "dashzoo.steps.search",
    "sign": "dashzoo.signing",
    "train": "dashzoo.steps.train",
    "tune": "dashzoo.steps.tune",
    "verify": "dashzoo.steps.verify",
}

__all__ = [
    "Choice",
    "DashzooError",
    "KernelSpec",
    "SearchSpace",
    "card",
    "compare",
    "export",
    "list_models",
    "load",
    "predict",
    "publish",
    "pull",
    "report",
    "run",
    "search",
    "sign",
    "train",
    "tune",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'dashzoo' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])


def _register_with_timm(_: object) -> None:
    # When it is that package which is importing timm, it registers by itself, a moment later.
    if "dashzoo_search.networks" not in sys.modules:
        importlib.import_module("dashzoo_search.networks.searched")


# timm has no plug-in discovery; this runs when timm has been imported, now or later.
wrapt.register_post_import_hook(_register_with_timm, "timm")
