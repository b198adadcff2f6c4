"""The operator: a convolution over many kernels at once, and the Fourier convolution under it.

`AggConv` replaces a convolution in a supernet. Read `geometry` (which choice puts which weight
where), `boundary` (what lies beyond the ends), then the two ways to convolve from taps, `direct`
and `fourier` (over `correlation`, `depthwise` and `spectrum`; `shared` for weights that choices
share), `paths` (the ways to compute the sum), `cost` (which is cheapest) and `aggconv` (the layer).
`fft_conv` is `torch.nn.functional.conv1d`, ``conv2d`` and ``conv3d`` in the frequency domain, and
`FFTConv` the module. `XDConv` is a convolution whose transforms are learned (`butterfly`,
`kaleidoscope`, `circulant`).
`calibration` measures a machine: constants for `cost` (`load_costs`), and `measured_latency`.
"""

from dashzoo_search.ops.aggconv import AggConv
from dashzoo_search.ops.costs import load_costs
from dashzoo_search.ops.fftconv import FFTConv
from dashzoo_search.ops.functional import fft_conv
from dashzoo_search.ops.latency import ConvShape, LatencyTable, measured_latency
from dashzoo_search.ops.pathconv import PathConv
from dashzoo_search.ops.xd import XDConv

__all__ = [
    "AggConv",
    "ConvShape",
    "FFTConv",
    "LatencyTable",
    "PathConv",
    "XDConv",
    "fft_conv",
    "load_costs",
    "measured_latency",
]
