"""Lowering: the form in which each convolution of a network is exported.

| form | what it is | where it runs |
|---|---|---|
| ``conv`` | an ordinary, dilated convolution on planes | everywhere, any length |
| ``dft_matmul`` | convolution in the frequency domain by constant matrices | everywhere, one size |
| ``dft_op`` | the same by ONNX's own DFT operator: slow, only on request | few providers |
| ``xd_dense`` | an XD-operation as one matrix | everywhere, one size |
| ``xd_factors`` | an XD-operation as its transforms, a matrix an axis | everywhere, one size |

`lower` takes a network and gives back a copy with every layer in its form, and what was decided.
Read `plane` (one convolution as numbers), `plan` and `matmul` (the matrices), `aggregated` (what
becomes of layers over many kernels), `xd` (of XD-operations), `cost` (which is cheaper), then
`network`. `calibration` measures a target by `timing` single layers and fits the costs, which
`table` keeps.
"""

from dashzoo_export.lower.aggregated import as_conv
from dashzoo_export.lower.cost import LoweringCosts
from dashzoo_export.lower.frequency import FrequencyConv
from dashzoo_export.lower.matmul import DFTMatmulConv
from dashzoo_export.lower.network import FORMS, Lowered, Lowering, lower
from dashzoo_export.lower.record import LoweredLayer
from dashzoo_export.lower.table import lowering_costs

__all__ = [
    "FORMS",
    "DFTMatmulConv",
    "FrequencyConv",
    "Lowered",
    "LoweredLayer",
    "Lowering",
    "LoweringCosts",
    "as_conv",
    "lower",
    "lowering_costs",
]
