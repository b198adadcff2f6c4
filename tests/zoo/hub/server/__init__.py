"""A Hub on loopback, for the unmodified huggingface_hub client; each file has one purpose.

``git`` keeps repositories, ``storage`` large files, ``faults`` what is to go wrong, ``handler``
speaks HTTP; the rest are the routes. What it answers is held against recorded exchanges in
``test_recorded.py``.
"""

from __future__ import annotations

from .hub import Hub

__all__ = ["Hub"]
