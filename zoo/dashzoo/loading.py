"""From a model's name, or a bundle's folder, to a network that runs."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import torch

from dashzoo.catalogue import find
from dashzoo_export.bundle import CONFIG, WEIGHTS
from dashzoo_export.config import NetworkConfig, read_config
from dashzoo_export.weights import check_shapes, load_weights
from dashzoo_search.errors import BadBundle, DashzooError
from dashzoo_search.networks.searched import SearchedNet

__all__ = ["load", "load_with_config"]


def load(name: str | PathLike[str]) -> SearchedNet:
    """Load the network of a bundle, in eval mode, on the CPU.

    Args:
        name: a model of the shelf, the folder of a bundle, or ``org/name@revision`` on the Hub;
            see `dashzoo.catalogue.find`. From the Hub all files are of one commit, and none is
            code or a pickle.

    Returns:
        A module that takes raw samples [b, c, l] or [b, c, h, w] and gives raw outputs
        [b, num_classes].

    Raises:
        BadBundle: a file is missing, damaged or foreign; names the field or tensor.
        UnknownModel, NotFetched, HubFailed: there is no such model, or it is not within reach.

    >>> net = load("zoo/gunpoint@v1")  # doctest: +SKIP
    """
    return load_with_config(find(name).folder)[0]


def load_with_config(folder: Path) -> tuple[SearchedNet, NetworkConfig]:
    """The network of a bundle and its checked config.json; raises as `load` does."""
    if not folder.is_dir():
        raise BadBundle(f"{folder} is no folder; give a bundle", field=str(folder))
    config = read_config(folder)
    with torch.device("meta"):  # a config that lies about sizes costs no memory
        check_shapes(_build(config), folder / WEIGHTS)
    net = _build(config)
    load_weights(net, folder / WEIGHTS)
    return net.eval(), config


def _build(config: NetworkConfig) -> SearchedNet:
    try:
        return config.build()
    except (DashzooError, RuntimeError, MemoryError) as error:  # torch: more memory than there is
        raise BadBundle(f"{CONFIG} does not build: {error}", field="model_args") from error
