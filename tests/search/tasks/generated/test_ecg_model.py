"""The model of the heart: it solves the paper's equations, with its table, spectrum and noise."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from dashzoo_search.tasks.generated import Electrocardiogram
from dashzoo_search.tasks.generated.ecg import relax, tachogram

PROBLEM = Electrocardiogram()
TIMES = np.arange(PROBLEM.length) / PROBLEM.frequency


def rngs(n):
    return [np.random.default_rng([0, i]) for i in range(n)]


def patients(n, problem=PROBLEM):
    return [problem.patient(rng) for rng in rngs(n)]


def solved(patient, baseline):
    """x, y and z of the paper's three equations at all samples, by scipy, started off the circle.

    A revolution a time, as ω jumps between them; ``baseline`` is A, in the units of z.
    """
    integrate = pytest.importorskip("scipy.integrate")

    def slopes(time, state, omega):
        x, y, z = state
        pulled = 1 - np.hypot(x, y)
        apart = np.arctan2(y, x) - patient.angles
        apart = np.arctan2(np.sin(apart), np.cos(apart))
        push = (patient.heights * apart * np.exp(-(apart**2) / (2 * patient.widths**2))).sum()
        breath = baseline * np.sin(2 * np.pi * 0.25 * time)
        return pulled * x - omega * y, pulled * y + omega * x, -push - (z - breath)

    state, found = np.array([-0.7, 0.0, 0.0]), []
    for start, end in pairwise(patient.begins):
        inside = TIMES[(start <= TIMES) & (end > TIMES)]
        done = integrate.solve_ivp(
            slopes, (start, end), state, t_eval=[*inside, end], args=(2 * np.pi / (end - start),),
            rtol=1e-7, atol=1e-9, max_step=0.01,
        )  # fmt: skip
        assert done.success
        state = done.y[:, -1]
        found.append(done.y[:, :-1])
        if end > TIMES[-1]:
            return np.concatenate(found, 1)
    raise AssertionError("the tachogram ends before the record")


@pytest.mark.parametrize("without_p", [0.0, 1.0])
def test_the_papers_equations(without_p):
    patient = replace(PROBLEM, without_p=without_p).patient(np.random.default_rng(3))
    x, y, z = solved(patient, baseline=0.0)
    # Started at r = 0.7, it has come to the circle by then, and has its phase.
    np.testing.assert_allclose(np.hypot(x, y), 1, atol=3e-4)
    turned = np.exp(1j * patient.phase(TIMES))
    np.testing.assert_allclose(x + 1j * y, turned, atol=3e-4)
    wanted = patient.gain * (1.6 * (z - z.min()) / np.ptp(z) - 0.4)
    np.testing.assert_allclose(patient.trace(1000, 250.0), wanted, atol=1e-3)


def test_the_frequency_only_says_how_often_it_is_sampled():
    patient = PROBLEM.patient(np.random.default_rng(3))
    often = patient.trace(2000, 500.0)[::2]
    np.testing.assert_allclose(patient.trace(1000, 250.0), often, atol=0.01)


def test_the_baseline_comes_out_as_a_sine():
    patient = PROBLEM.patient(np.random.default_rng(3))
    wander = solved(patient, baseline=0.1)[2] - solved(patient, baseline=0.0)[2]
    omega = 2 * np.pi * 0.25
    wanted = 0.1 * (1 / (1 + 1j * omega) * np.exp(1j * omega * TIMES)).imag
    np.testing.assert_allclose(wander, wanted, atol=1e-4)
    assert np.ptp(wander) > 0.1


def test_relaxing_is_the_recursion_done_step_by_step():
    forcing, step = np.random.default_rng(0).standard_normal(1000), 0.01
    z = [0.0]
    for before, now in pairwise(forcing):
        z.append(np.exp(-step) * (z[-1] + step / 2 * before) + step / 2 * now)
    np.testing.assert_allclose(relax(forcing, step), z, atol=1e-12)


@pytest.mark.parametrize("ratio", [0.5, 2.0])
def test_tachogram(ratio):
    durations = np.stack([tachogram(rng, 400, 0.8, 0.04, ratio) for rng in rngs(60)])
    assert abs(durations.mean() - 0.8) < 5e-4
    assert abs(durations.std() - 0.04) < 1e-3
    power = (np.abs(np.fft.rfft((durations - 0.8) * np.hanning(400))) ** 2).mean(0)
    frequencies = np.fft.rfftfreq(400, 0.8)
    low, high = (power[np.abs(frequencies - peak) < 0.05].sum() for peak in (0.1, 0.25))
    assert abs(low / high / ratio - 1) < 0.05
    assert low + high > 0.99 * power.sum()


def test_mean_rates_are_those_asked():
    rates = np.array([60 / np.diff(patient.begins).mean() for patient in patients(400)])
    assert rates.min() < 55
    assert rates.max() > 105
    assert abs(rates.mean() - 80) < 3


def test_table_1():
    for rate in (60, 100):
        found = patients(500, replace(PROBLEM, rates=(rate, rate), without_p=0))
        alpha = np.sqrt(rate / 60)
        angles = np.mean([patient.angles for patient in found], 0)
        wanted = np.deg2rad([-60 * alpha**0.5, -15 * alpha, 0, 15 * alpha, 90 * alpha**0.5])
        np.testing.assert_allclose(angles, wanted, rtol=0.01)
        widths = np.mean([patient.widths for patient in found], 0)
        np.testing.assert_allclose(widths, alpha * np.array([0.25, 0.1, 0.1, 0.1, 0.4]), rtol=0.02)
        heights = np.mean([np.abs(patient.heights) for patient in found], 0)
        np.testing.assert_allclose(heights, [1.2, 5, 30, 7.5, 0.75], rtol=0.05)


def test_the_noiseless_record_is_in_millivolts():
    found = patients(200)
    for patient in found[:50]:
        trace = patient.trace(1000, 250.0) / patient.gain
        np.testing.assert_allclose([trace.min(), trace.max()], [-0.4, 1.2])
    gains = [patient.gain for patient in found]
    assert 0.7 <= min(gains) < 0.75
    assert 1.25 < max(gains) <= 1.3


@pytest.mark.parametrize("decibels", [0, 20])
def test_noise(decibels):
    problem = replace(PROBLEM, snr=(decibels, decibels))
    X, y = problem.draw(rngs(150))
    clean = np.stack([patient.trace(1000, 250.0) for patient in patients(150)])
    np.testing.assert_array_equal(y, PROBLEM.draw(rngs(150))[1])
    noise = (X[:, 0] - clean) / clean.std(1, keepdims=True)
    assert abs(10 * np.log10(1 / noise.var(1).mean()) - decibels) < 0.2
    share = np.abs(np.fft.rfft(noise)) ** 2 / 1000 / 500 / noise.var(1, keepdims=True)
    hum, wander = share[:, 200], share[:, 1]  # at 50 and 0.25 Hz, as a record lasts 4 s
    for line in (hum, wander):
        assert abs(line.mean() - 1 / 3) < 0.06
        assert line.min() < 0.1
        assert line.max() > 0.6
    rest = np.delete(share, [1, 200], 1)
    assert rest.max() < 0.03
    # And it is another one for every record, of random phase.
    phases = np.angle(np.fft.rfft(noise)[:, [1, 200]])
    assert np.abs(np.exp(1j * phases).mean(0)).max() < 0.3


def test_the_tachogram_outlasts_the_record():
    for problem in (PROBLEM, Electrocardiogram(length=10000, rates=(110, 110), without_p=1)):
        for patient in patients(200, problem):
            assert (np.diff(patient.begins) > 0).all()
            assert patient.begins[0] <= -8
            assert patient.begins[-1] > problem.length / 250


def test_records_begin_anywhere_in_a_beat():
    problem = replace(PROBLEM, rates=(60, 60), without_p=0)  # else random rates would do it
    phases = np.array([patient.phase(np.zeros(1))[0] for patient in patients(800, problem)])
    counts, _ = np.histogram(phases, 8, (-np.pi, np.pi))
    assert (np.abs(counts - 100) < 45).all()
