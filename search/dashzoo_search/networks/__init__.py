"""Backbones: any timm CNN, our own 1-D ones, and the searched network built from one and a spec.

`searched` is the network that is trained, saved and exported; `create` makes its backbone by
name, `planar` makes one for images serve sequences, and `convs` with `rules` tells which of its
convolutions a search may change.
"""

from dashzoo_search.networks.create import create_backbone
from dashzoo_search.networks.searched import SearchedNet

__all__ = ["SearchedNet", "create_backbone"]
