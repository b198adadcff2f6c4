"""The paper all figures are drawn on: size, palette, text and bytes.

Figures use matplotlib's object interface on Agg, never pyplot, so nothing global is touched.
Colours are from Okabe and Ito's set, told apart by every common colour vision; text is at
least 9 pt at 1200 px across. A PNG carries the hash of the facts it was drawn from.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from PIL import Image
from PIL.PngImagePlugin import PngInfo

__all__ = ["Canvas", "replace_file"]

WIDTH = 1200  # px
DPI = 150
INK, SOFT, FAINT, PAPER = "#1f2328", "#656d76", "#d8dee4", "#ffffff"
FIELD = "#f4f6f8"
SEARCHED, DEFAULT = "#0072b2", "#8c959f"
FONT = "DejaVu Sans"
FINGERPRINT_KEY = "dashzoo-facts"


class Canvas:
    """A white page of ``WIDTH`` × ``height`` pixels; y counts pixels down from the top.

    Args:
        height: pixels.
    """

    def __init__(self, height: int) -> None:
        self.height = height
        self.figure = Figure(figsize=(WIDTH / DPI, height / DPI), dpi=DPI, facecolor=PAPER)
        self._agg: Any = FigureCanvasAgg(self.figure)  # matplotlib leaves its methods untyped

    def axes(self, left: float, top: float, width: float, height: float) -> Any:
        """Axes over a rectangle given in pixels, without frame or ticks."""
        bottom = 1 - (top + height) / self.height
        box = (left / WIDTH, bottom, width / WIDTH, height / self.height)
        axes = self.figure.add_axes(box)
        axes.set(xticks=[], yticks=[], facecolor="none")
        for spine in axes.spines.values():
            spine.set_visible(False)
        return axes

    def write(self, x: float, y: float, text: str, **style: Any) -> None:
        """Write text at a pixel; names may hold anything, so no math and no TeX."""
        self.figure.text(x / WIDTH, 1 - y / self.height, _drawable(text), **_style(style))

    def width(self, text: str, **style: Any) -> float:
        """Pixels that `write` would need."""
        drawn = self.figure.text(0, 0, _drawable(text), **_style(style))
        extent = drawn.get_window_extent(self._agg.get_renderer())
        drawn.remove()
        return float(extent.width)

    def fit(self, text: str, room: float, **style: Any) -> str:
        """``text``, its middle cut out until it is at most ``room`` pixels wide."""
        if self.width(text, **style) <= room:
            return text
        fits, fails = 0, len(text)
        while fails - fits > 1:
            kept = (fits + fails) // 2
            if self.width(_without_middle(text, kept), **style) <= room:
                fits = kept
            else:
                fails = kept
        return _without_middle(text, fits)

    def block(self, x: float, y: float, width: float, height: float, colour: str) -> None:
        """A filled rectangle, its centre at pixel (x, y)."""
        axes = self.axes(x - width / 2, y - height / 2, width, height)
        axes.set_facecolor(colour)

    def save(self, path: Path, *, fingerprint: str, flat: bool = True) -> Path:
        """Write the PNG in one step; the same facts and matplotlib give the same bytes.

        ``flat`` says that no colour ramp is on the page, so 256 colours look the same.
        """
        self._agg.draw()
        picture = Image.fromarray(np.asarray(self._agg.buffer_rgba())).convert("RGB")
        if flat:
            picture = picture.quantize(256, dither=Image.Dither.NONE)
        label = PngInfo()
        label.add_text(FINGERPRINT_KEY, fingerprint)
        buffer = io.BytesIO()
        picture.save(buffer, format="PNG", optimize=True, pnginfo=label)
        return replace_file(path, buffer.getvalue())


def replace_file(path: Path, content: bytes) -> Path:
    """Write a file whole or not at all: to a neighbour first, then renamed over it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    neighbour = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        neighbour.write_bytes(content)
        neighbour.replace(path)
    finally:
        neighbour.unlink(missing_ok=True)
    return path


def _without_middle(text: str, kept: int) -> str:
    tail = kept * 2 // 3
    return f"{text[: kept - tail]}…{text[len(text) - tail :]}"


def _style(style: dict[str, Any]) -> dict[str, Any]:
    base = {"fontfamily": FONT, "fontsize": 9, "color": INK, "va": "center"}
    return base | {"parse_math": False, "usetex": False} | style


def _drawable(text: str) -> str:
    """``text`` with a box for what the font lacks, so no glyph warning escapes."""
    font = get_font(findfont(FontProperties(family=FONT)))
    line = " ".join(text.split())
    return "".join(c if font.get_char_index(ord(c)) else "□" for c in line)
