"""Data generated from first principles: differential equations and diagnostics.

A problem says what is drawn; `generate` draws it, deterministically, on as many processes as asked,
and keeps it on disk.
"""

from dashzoo_search.tasks.generated.burgers import SHARP, VISCOUS, Burgers
from dashzoo_search.tasks.generated.cache import cache_folder
from dashzoo_search.tasks.generated.darcy import DarcyFlow, with_coordinates
from dashzoo_search.tasks.generated.ecg import Electrocardiogram
from dashzoo_search.tasks.generated.permuted import bit_reversal, sequential
from dashzoo_search.tasks.generated.problem import Generated, Problem, generate
from dashzoo_search.tasks.generated.sequences import AddingProblem, CopyMemory, SpacedMotifs

__all__ = [
    "SHARP",
    "VISCOUS",
    "AddingProblem",
    "Burgers",
    "CopyMemory",
    "DarcyFlow",
    "Electrocardiogram",
    "Generated",
    "Problem",
    "SpacedMotifs",
    "bit_reversal",
    "cache_folder",
    "generate",
    "sequential",
    "with_coordinates",
]
