"""One axis of a convolution as a circular one, of a length that is a power of two.

| padding | N at least |
|---|---|
| zeros | n + p, so that what wraps round reads zeros, and the last sample the last output reads |
| circular, n a power of two | n: N is the period |
| circular, any other n | n + 2p: the ends are laid out first |

Legend: n samples, m outputs, k taps, d dilation, s stride, p padding before, N length.
"""

from __future__ import annotations

from dataclasses import dataclass

from dashzoo_search.errors import UnsupportedLayer

__all__ = ["Circulant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Circulant:
    """How one axis is laid out.

    Attributes:
        wrap: samples of the other end that are laid out before and after the input.
        length: N; what lies between the input's end and N is zeros.
        places: of the taps among N samples: y_l = Σ_j w_j x[s·l − places_j mod N].
        stride: between outputs.
        outputs: m.
    """

    wrap: tuple[int, int]
    length: int
    places: tuple[int, ...]
    stride: int
    outputs: int

    @classmethod
    def of(
        cls,
        n: int,
        *,
        taps: int,
        dilation: int = 1,
        stride: int = 1,
        padding: int | str = 0,
        circular: bool = False,
        length: int | None = None,
    ) -> Circulant:
        """Lay out an axis.

        Args:
            n: samples of the input.
            taps: k.
            dilation: d.
            stride: s.
            padding: samples on each side, ``"same"`` or ``"valid"``.
            circular: whether the padding is the signal's other end, rather than zeros.
            length: N; None: the least.

        Raises:
            ValueError: a kernel that does not fit.
            UnsupportedLayer: a length that is too small.

        >>> Circulant.of(10, taps=3, padding=1).length
        16
        >>> Circulant.of(16, taps=3, padding=1, circular=True).places
        (1, 0, 15)
        """
        span = dilation * (taps - 1)
        before = {"same": span // 2, "valid": 0}[padding] if isinstance(padding, str) else padding
        after = span - before if padding == "same" else before
        outputs = (n + before + after - span - 1) // stride + 1
        if n < 1 or outputs < 1:
            raise ValueError(
                f"a kernel of {span + 1} samples does not fit {n} with padding {padding}"
            )
        last = stride * (outputs - 1)
        wrap = (0, 0)
        if circular and n & (n - 1) == 0 and last < n and length in (None, n):
            least = n
        else:
            if circular:
                wrap, before = (before, after), 0
            least = max(n + sum(wrap) + before, last + 1 + max(0, span - before))
        power: int = 1 << (least - 1).bit_length()
        if length is not None and length < power:
            raise UnsupportedLayer(f"Matrices of size {length} are too small; take {power} or more")
        power = length or power
        return cls(
            wrap=wrap,
            length=power,
            places=tuple((before - dilation * tap) % power for tap in range(taps)),
            stride=stride,
            outputs=outputs,
        )

    @property
    def reach(self) -> int:
        """Samples from the first output to the last."""
        return self.stride * (self.outputs - 1) + 1
