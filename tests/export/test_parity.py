"""When two forms count as the same."""

import numpy as np
import pytest

from dashzoo_export.certificate import Form, certify_network
from dashzoo_export.parity import TOLERANCES, Tolerance, compare
from dashzoo_export.serving import Served
from dashzoo_search.errors import ParityFailed
from dashzoo_search.networks import SearchedNet

FP32 = TOLERANCES["fp32"]
REFERENCE = np.array([[1.0, 2.0]])


@pytest.mark.parametrize(
    "other",
    [[[1.0, 3.0]], [[2.1, 1.0]], [[np.nan, 2.0]], [[1.0, 2.0, 3.0]], [[np.inf, 2.0]]],
)
def test_outputs_that_differ_fail(other):
    with pytest.raises(ParityFailed, match=r"of a copy|in a copy"):
        compare(REFERENCE, np.array(other), FP32, what="a copy")


def test_what_is_measured():
    found = compare(
        np.array([[1.0, -4.0], [2.0, 0.0]]),
        np.array([[1.1, -4.0], [2.0, -0.3]]),
        Tolerance(largest=0.1, mean=0.1, agreement=1.0),
        what="a copy",
    )
    assert found.max_abs == pytest.approx(0.3)
    assert found.relative_to_max == pytest.approx(0.3 / 4)
    assert found.relative_mean == pytest.approx(0.4 / 4 / 4)
    assert (found.agree, found.of) == (2, 2)


def test_a_mean_error_fails_where_no_single_one_does():
    other = REFERENCE + 1.5e-4  # each within 1e-4 of the largest, the mean not within 2e-5
    with pytest.raises(ParityFailed, match="mean 7"):
        compare(REFERENCE, other, FP32, what="a copy")


def test_a_tie_within_tolerance_is_no_disagreement():
    one, other = np.array([[1.0, 1.00001]]), np.array([[1.00001, 1.0]])
    assert compare(one, other, FP32, what="a copy").agree == 1


@pytest.mark.parametrize(("flipped", "fails"), [(0, False), (5, False), (6, True)])
def test_so_many_may_pick_another_class_and_no_more(flipped, fails):
    reference = np.tile([[1.0, 1.05, -9.0]], (100, 1))
    other = reference.copy()
    other[:flipped, :2] = [1.05, 1.0]
    int8 = TOLERANCES["int8"]
    if fails:
        with pytest.raises(ParityFailed, match="another class than torch for 6 of 100"):
            compare(reference, other, int8, what="int8")
    else:
        assert compare(reference, other, int8, what="int8").agree == 100 - flipped


def test_outputs_that_are_no_classes_are_not_counted():
    one, other = np.array([[1.0, 1.05]]), np.array([[1.05, 1.0]])
    found = compare(one, other, TOLERANCES["int8"], what="int8", classes=False)
    assert (found.agree, found.of) == (None, None)


def test_a_sample_with_small_outputs_counts_by_the_largest_of_all():
    few = np.array([[0.001, 0.002]])
    with pytest.raises(ParityFailed):
        compare(few, few + 1e-6, FP32, what="a copy")
    assert compare(few, few + 1e-6, FP32, what="a copy", scale=2.0).relative_to_max < 1e-6


def test_noise_is_no_judge_of_what_was_calibrated():
    net = SearchedNet("chain1d", dims=1, in_chans=2, num_classes=3).eval()
    form = Form(
        name="int8",
        tolerance=TOLERANCES["int8"],
        run=lambda x: np.zeros((len(x), 3), np.float32),
        calibrated=True,
    )
    given = {"size": (32,), "free": {}, "classes": False}
    rows = certify_network(Served(net), [form], real=None, **given)
    assert {row["relative_to_max"] for row in rows if row["batch"] == 16} == {1.0}
    with pytest.raises(ParityFailed, match="int8 on real"):
        certify_network(Served(net), [form], real=np.ones((2, 2, 32), np.float32), **given)
