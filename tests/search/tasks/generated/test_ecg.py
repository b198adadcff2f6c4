"""Electrocardiograms: each its own patient's, with labels where the waves are."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby, pairwise

import numpy as np
import pytest

from dashzoo_search.errors import BadData
from dashzoo_search.tasks.generated import Electrocardiogram, generate
from dashzoo_search.tasks.generated.ecg import ANGLES, REACH, WIDTHS
from dashzoo_search.tasks.kinds import guess_kind

PROBLEM = Electrocardiogram()
TIMES = np.arange(PROBLEM.length) / PROBLEM.frequency


def rngs(n):
    return [np.random.default_rng([0, i]) for i in range(n)]


def patients(n, problem=PROBLEM):
    return [problem.patient(rng) for rng in rngs(n)]


def runs(y):
    """Of one record: label, first sample, end."""
    ends = np.flatnonzero(np.diff(y, append=-1)) + 1
    return [(y[end - 1], start, end) for start, end in pairwise([0, *ends])]


def whole_runs(y, label):
    return [run for run in runs(y)[1:-1] if run[0] == label]


@pytest.fixture(scope="module")
def drawn():
    X, y = PROBLEM.draw(rngs(200))
    return X, y, patients(200)


def test_shapes(drawn):
    X, y, _ = drawn
    assert (X.shape, X.dtype) == ((200, 1, 1000), np.float32)
    assert (y.shape, y.dtype) == ((200, 1000), np.int64)
    assert set(np.unique(y)) == {0, 1, 2, 3}
    assert np.isfinite(X).all()
    assert guess_kind(y, X.shape[2:])[0] == PROBLEM.kind


def test_each_sample_is_its_own_generators(drawn):
    X, y, _ = drawn
    one, label = PROBLEM.draw(rngs(200)[17:18])
    np.testing.assert_array_equal(one[0], X[17])
    np.testing.assert_array_equal(label[0], y[17])
    assert len(np.unique(X, axis=0)) == len(np.unique(y, axis=0)) == 200


def test_few_are_the_first_of_many():
    few, many = generate(PROBLEM, (3, 2, 1)), generate(PROBLEM, (18, 3, 2))
    for part in ("train", "val", "test"):
        for one, other in zip(getattr(few, part), getattr(many, part), strict=True):
            np.testing.assert_array_equal(one, other[: len(one)])


# The spread between R peaks, the mean of two neighbours, over the mean interval: for rhythms
# .0416 times √(mean of cos²(πf·0.8 s) at .1 and .25 Hz), without √((e^(σ²) − 1)/2).
@pytest.mark.parametrize(("without_p", "spread"), [(0.0, 0.037), (1.0, 0.135)])
def test_intervals_between_r_peaks(without_p, spread):
    problem = Electrocardiogram(length=5000, rates=(75, 75), snr=(50, 50), without_p=without_p)
    X, y = problem.draw(rngs(60))
    intervals = []
    for x, labels, patient in zip(X[:, 0], y, patients(60, problem), strict=True):
        tops = np.array([start + x[start:end].argmax() for _, start, end in whole_runs(labels, 2)])
        assert np.abs(patient.peaks - tops[:, None] / 250).min(1).max() < 0.02
        intervals += [*np.diff(tops) / 250]
    assert len(intervals) > 60 * 20
    assert abs(np.mean(intervals) / 0.8 - 1) < 0.02
    assert abs(np.std(intervals) / 0.8 / spread - 1) < 0.12


def test_r_peaks_are_inside_qrs_and_stand_out():
    problem = replace(PROBLEM, snr=(60, 60))
    X, y = problem.draw(rngs(60))
    seen = 0
    for x, labels, patient in zip(X[:, 0], y, patients(60, problem), strict=True):
        for at in np.rint(250 * patient.peaks).astype(int):
            if 20 <= at < 980:
                assert labels[at] == 2
                top = at - 3 + x[at - 3 : at + 4].argmax()
                assert x[top] == x[top - 10 : top + 11].max()
                assert x[top] - x[[top - 10, top + 10]].max() > 0.02 * patient.gain
                seen += 1
    assert seen > 60 * 3


@pytest.mark.parametrize(("event", "label"), [(0, 1), (2, 2), (4, 3)])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_wave_alone_is_where_its_label_is(event, label, sign):
    problem = replace(PROBLEM, rates=(60, 60), without_p=0)
    for patient in patients(10, problem):
        heights = np.full(5, 1e-12)  # no event is left out, so that each has its label
        heights[event] = sign
        trace = sign * replace(patient, heights=heights).trace(1000, 250.0)
        labels = patient.labels(patient.phase(TIMES))
        # Of a unit height, over what is left of the waves before.
        wave = (trace - np.median(trace)) / np.ptp(trace)
        assert np.abs(wave[labels != label]).max() < 0.35
        for _, start, end in whole_runs(labels, label):
            middle = (start + end) / 2
            assert abs(start + wave[start:end].argmax() - middle) < 0.2 * (end - start)
            assert wave[start:end].max() - max(wave[start], wave[end - 1]) > 0.6


def test_shares(drawn):
    _, y, found = drawn
    shares = np.bincount(y.ravel()) / y.size
    for share, (least, most) in zip(
        shares, [(0.2, 0.4), (0.1, 0.2), (0.13, 0.25), (0.25, 0.4)], strict=True
    ):
        assert least < share < most
    assert abs(np.mean([not patient.has_p for patient in found]) - 0.15) < 0.08
    down = np.mean([np.sign(patient.heights) < 0 for patient in patients(1500)], 0)
    np.testing.assert_allclose(down, [0.05 * 0.85, 1, 0, 1, 0.15], atol=0.03)


def test_waves_come_in_order(drawn):
    _, y, found = drawn
    for labels, patient in zip(y, found, strict=True):
        waves = [label for label, _ in groupby(labels[labels > 0])]
        follows = {1: 2, 2: 3, 3: 1} if patient.has_p else {2: 3, 3: 2}
        assert len(waves) >= 6
        assert all(follows[one] == other for one, other in pairwise(waves))
        inside = ((patient.peaks > 0.1) & (patient.peaks < TIMES[-1] - 0.1)).sum()
        assert 0 <= waves.count(2) - inside <= 2


def test_without_p_waves(drawn):
    _, y, found = drawn
    has_p = np.array([patient.has_p for patient in found])
    assert has_p.any()
    assert not has_p.all()
    np.testing.assert_array_equal((y == 1).any(1), has_p)
    varied = np.array([np.diff(p.begins).std() / np.diff(p.begins).mean() for p in found])
    assert np.median(varied[~has_p]) > 3 * np.median(varied[has_p])
    for share, there in ((0, True), (1, False)):
        _, y = replace(PROBLEM, without_p=share).draw(rngs(20))
        assert ((y == 1).any(1) == there).all()


def test_where_waves_overlap():
    patient = replace(patients(1)[0], angles=ANGLES, widths=2 * WIDTHS, heights=np.ones(5))
    phase = np.linspace(-np.pi, np.pi, 4001)[:-1]
    y = patient.labels(phase)
    qrs = np.abs(phase) <= np.pi / 12 + REACH * 0.2
    p = np.abs(phase + np.pi / 3) <= REACH * 0.5
    t = (phase >= np.pi / 2 - REACH * 0.8) | (phase <= -np.pi * 3 / 2 + REACH * 0.8)
    assert (qrs & p).any()
    assert (qrs & t).any()
    assert (p & t).any()
    np.testing.assert_array_equal(y, np.where(qrs, 2, np.where(p, 1, np.where(t, 3, 0))))
    patient.heights[0] = 0
    np.testing.assert_array_equal(patient.labels(phase), np.where(qrs, 2, np.where(t, 3, 0)))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"rates": (29, 60)}, "both within 30 to 150"),
        ({"rates": (60, 151)}, "both within 30 to 150"),
        ({"rates": (90, 60)}, "give the lower first"),
        ({"rates": (float("nan"), 60)}, "give the lower first"),
        ({"frequency": 100.0}, "give a frequency above 100"),
        ({"frequency": float("inf")}, "up to 10000"),
        ({"length": 599}, "give a length from 600"),
        ({"snr": (30, 6)}, "give the lower first"),
        ({"snr": (-21, 6)}, "both within -20 to 100"),
        ({"without_p": -0.1}, "one from 0 to 1"),
        ({"without_p": 1.1}, "one from 0 to 1"),
    ],
)
def test_problems_that_cannot_be(settings, said):
    with pytest.raises(BadData, match=said) as caught:
        Electrocardiogram(**settings)
    assert ". " not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_shortest_and_slowest_record_that_can_be():
    problem = Electrocardiogram(length=404, frequency=101.0, rates=(30, 30), snr=(-20, 100))
    with pytest.raises(BadData):
        replace(problem, length=403)
    X, y = problem.draw(rngs(50))
    assert np.isfinite(X).all()
    assert (y == 2).any(1).all()
