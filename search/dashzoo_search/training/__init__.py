"""Training: the recipe, the loop that follows it, and the machine it runs on."""

from dashzoo_search.training.loop import FitResult, fit
from dashzoo_search.training.metrics import Score, evaluate
from dashzoo_search.training.objective import Objective
from dashzoo_search.training.recipe import Recipe

__all__ = ["FitResult", "Objective", "Recipe", "Score", "evaluate", "fit"]
