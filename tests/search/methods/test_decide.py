"""From losses to a choice: no change without evidence, no weights without a gain."""

import numpy as np
import pytest

from dashzoo_search.choice import Choice
from dashzoo_search.methods.decide import decide

CHOICES = [Choice.cube(k, d, dims=1) for k in (3, 7, 11) for d in (1, 3)]


def losses(means, n=200, noise=0.1, seed=0):
    """Losses of each choice whose differences have the given noise."""
    rng = np.random.default_rng(seed)
    shared = rng.exponential(1.0, n)
    return np.stack([shared + mean + noise * rng.standard_normal(n) for mean in means])


def test_without_evidence_the_own_kernel_stays():
    for seed in range(30):
        verdict = decide(losses([0.0] * 6, seed=seed), CHOICES, own=5, confidence=3)
        assert verdict.pick == 5
        assert verdict.own_holds


def test_of_equally_good_choices_the_smallest_is_taken():
    verdict = decide(losses([1.0, 0.8, 1.0, 0.002, 1.0, 0.0]), CHOICES, own=0)
    assert verdict.pick == 3
    assert not verdict.own_holds


def test_a_larger_kernel_that_earns_its_weights_is_taken():
    assert decide(losses([1.0, 0.8, 1.0, 0.3, 1.0, 0.0]), CHOICES, own=0).pick == 5


def test_gaps_of_earlier_rounds_set_what_counts():
    means = [0.05, 0.0]
    two = CHOICES[3], CHOICES[5]
    assert decide(losses(means, noise=0.01), two, own=None).pick == 1
    assert decide(losses(means, noise=0.01), two, own=None, spread=1.0).pick == 0


def test_a_tolerance_says_what_counts_whatever_the_worst():
    table = losses([0.2, 0.0, 5.0, 5.0, 5.0, 5.0], noise=0.01)
    assert decide(table, CHOICES, own=0).pick == 0  # a tenth of the spread is half a nat
    assert decide(table, CHOICES, own=0, tolerance=0.1).pick == 1
    assert decide(table, CHOICES, own=0, tolerance=0.3).pick == 0


def test_a_choice_that_broke_is_never_taken():
    table = losses([0.0, 1.0])
    table[0, 3] = np.inf
    assert decide(table, CHOICES[:2], own=0).pick == 1
    table[:] = np.inf
    assert decide(table, CHOICES[:2], own=1).pick == 1
    assert decide(table, CHOICES[:2], own=None).pick == 0


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_verdicts_do_not_depend_on_the_unit_of_the_loss(scale):
    table = losses([1.0, 0.5, 0.2, 0.21, 0.7, 0.6])
    assert decide(scale * table, CHOICES, own=0).pick == decide(table, CHOICES, own=0).pick
