"""The operator: a convolution over many kernels at once, and the Fourier convolution under it.

`AggConv` replaces a convolution in a supernet. Read `taps` (where weights fall), then the two
ways to convolve from taps, `direct` and `fourier` (over `correlation` and `spectrum`), `cost`
(which is cheaper), and `aggconv` (the layer). `fft_conv` is `torch.nn.functional.conv1d` and
``conv2d`` in the frequency domain.
"""

from dashzoo_search.ops.aggconv import AggConv
from dashzoo_search.ops.functional import fft_conv

__all__ = ["AggConv", "fft_conv"]
