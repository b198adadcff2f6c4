"""Electrocardiograms of a dynamical model, and the wave that every sample of them belongs to.

McSharry, Clifford, Tarassenko and Smith, "A dynamical model for generating synthetic
electrocardiogram signals", IEEE Trans. Biomed. Eng. 50(3), 2003. A point runs round the unit
circle, once a beat, and events P, Q, R, S and T at angles θᵢ lift and lower it:

    x' = (1 − r)·x − ω·y,    y' = (1 − r)·y + ω·x,    r² = x² + y²,
    z' = −Σᵢ aᵢ·Δθᵢ·exp(−Δθᵢ² / 2bᵢ²) − (z − z₀),    Δθᵢ = θ − θᵢ within ±π.

Written from these equations, and solved without a loop over time. We start on the circle, where
θ' = ω. A revolution from −π to π lasts one value of the tachogram, so θ is piecewise linear, and
exact; two R peaks are apart by the mean of two such values. z is linear in its forcing f:
z(t + h) = e^(−h)·z(t) + ∫ e^(s−h)·f(t + s) ds, the integral from 0 to h by the trapezoidal rule on
four points a sample, the recursion by doubling. The baseline z₀, a sine of breathing, comes out
as a sine of the same frequency; it is among the noise. At a heart rate of h a minute, with
α = √(h/60), widths bᵢ and the angles of Q and S grow by α, those of P and T by √α: so the
authors' own program, ECGSYN.

Not covered: beats from elsewhere than the sinus node, fibrillatory waves, more than one lead. The
data is synthetic, for networks to be compared on; it is not for medical use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from dashzoo_search.errors import BadData
from dashzoo_search.tasks.generated.problem import Problem
from dashzoo_search.tasks.kinds import Kind

__all__ = ["Electrocardiogram", "Patient", "relax", "tachogram"]

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Labels = NDArray[np.int64]

# Table I: events P, Q, R, S, T.
ANGLES = np.pi * np.array([-1 / 3, -1 / 12, 0.0, 1 / 12, 1 / 2])
HEIGHTS = np.array([1.2, -5.0, 30.0, -7.5, 0.75])
WIDTHS = np.array([0.25, 0.1, 0.1, 0.1, 0.4])
GROWTH = np.array([0.5, 1.0, 1.0, 1.0, 0.5])  # powers of α that angles grow by
VARIED = np.array([0.4, 0.4, 0.2, 0.4, 0.3])  # how far heights differ between patients

MAYER, BREATHING, BAND = 0.1, 0.25, 0.01  # Hz: both peaks of the tachogram's spectrum, their width
HUM = 50.0  # Hz
LOWEST, HIGHEST = -0.4, 1.2  # mV, before a patient's gain
REACH = 2.5  # widths bᵢ to either side of θᵢ; there a wave is down to 4 % of its height
FINE = 4  # points a sample that z is integrated on
WARM = 8.0  # s before the first sample; of what came before, e⁻⁸ is left


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Patient:
    """Whose heart it is.

    Attributes:
        angles, heights, widths: θᵢ (rad), aᵢ and bᵢ (rad), each [5], of P, Q, R, S and T; a height
            of P of 0 where there is none.
        begins: times (s) at which revolutions begin, rising; the first sample's time is 0.
        gain: of the electrodes.
    """

    angles: Floats
    heights: Floats
    widths: Floats
    begins: Floats
    gain: float

    @property
    def has_p(self) -> bool:
        """Whether there are P waves."""
        return bool(self.heights[0])

    @property
    def peaks(self) -> Floats:
        """Times (s) of θ = 0, the R peaks."""
        return (self.begins[1:] + self.begins[:-1]) / 2

    def phase(self, times: Floats) -> Floats:
        """θ [t] in rad, within ±π, at times [t] in s."""
        turns = np.interp(times, self.begins, np.arange(len(self.begins), dtype=np.float64))
        return _wrap(2 * np.pi * turns - np.pi)

    def pull(self, phase: Floats) -> Floats:
        """Forcing [t] of z by the events at phases [t] in rad: z' where z and z₀ are 0."""
        apart = _wrap(phase - self.angles[:, None])
        # In place, as memory is what takes the time.
        bell = apart / self.widths[:, None]
        np.exp(np.multiply(bell, bell, out=bell) / -2, out=bell)
        forcing: Floats = -np.einsum("e,et,et->t", self.heights, apart, bell)
        return forcing

    def trace(self, length: int, frequency: float) -> Floats:
        """The noiseless record [length] in mV, at ``frequency`` Hz."""
        step, before = 1 / (FINE * frequency), FINE * round(WARM * frequency)
        times: Floats = np.arange(-before, FINE * (length - 1) + 1, dtype=np.float64) * step
        z = relax(self.pull(self.phase(times)), step)[before::FINE]
        low, high = float(z.min()), float(z.max())
        return self.gain * (LOWEST + (HIGHEST - LOWEST) * (z - low) / (high - low))

    def labels(self, phase: Floats) -> Labels:
        """The wave [t] at phases [t] in rad: 0 none, 1 P, 2 QRS, 3 T.

        A wave reaches ±2.5 bᵢ from θᵢ; QRS is from where Q begins to where S ends. Where two
        overlap, QRS goes before P, and P before T.
        """
        near = np.abs(_wrap(phase - self.angles[:, None])) <= REACH * self.widths[:, None]
        first = self.angles[1] - REACH * self.widths[1]
        last = self.angles[3] + REACH * self.widths[3]
        y = np.where(near[4], 3, 0)
        if self.has_p:
            y[near[0]] = 1
        y[(first <= phase) & (phase <= last)] = 2
        return y


@dataclass(frozen=True, slots=True, kw_only=True)
class Electrocardiogram(Problem):
    """Inputs [n, 1, length] in mV, float32, and a label [n, length] at every sample, int64.

    Labels are 0 baseline, 1 P wave, 2 QRS complex, 3 T wave. Every record is another patient's:
    events and gain differ, a T wave in seven and a P wave in twenty points down, and who has no P
    wave has an irregular rhythm. So what a bump is called hangs on those before and after it.

    Attributes:
        length: samples of a record.
        frequency: of sampling, in Hz.
        rates: lowest and highest of patients' mean heart rates, in beats a minute.
        snr: lowest and highest ratio of signal to noise, in dB of variances; the noise is shared
            out at random among white noise, baseline wander (0.25 Hz) and hum (50 Hz).
        without_p: share of patients that have no P wave.
    """

    length: int = 1000
    frequency: float = 250.0
    rates: tuple[float, float] = (50.0, 110.0)
    snr: tuple[float, float] = (6.0, 30.0)
    without_p: float = 0.15

    name: ClassVar[str] = "ecg"
    kind: ClassVar[Kind] = "dense_labels"
    source: ClassVar[str] = "synthetic electrocardiograms of McSharry's model, P, QRS and T marked"
    counts: ClassVar[tuple[int, int, int]] = (300, 100, 200)

    def __post_init__(self) -> None:
        if not 30 <= self.rates[0] <= self.rates[1] <= 150:
            raise BadData(
                f"Heart rates from {self.rates[0]} to {self.rates[1]} a minute are outside the "
                "model; give the lower first, and both within 30 to 150"
            )
        if not 2 * HUM < self.frequency <= 1e4:
            raise BadData(
                f"At {self.frequency} Hz a hum of {HUM:.0f} Hz cannot be sampled, or much is "
                f"sampled in vain; give a frequency above {2 * HUM:.0f} and up to 10000"
            )
        least = int(np.ceil(2 * 60 / self.rates[0] * self.frequency))
        if self.length < least:
            raise BadData(
                f"A record of {self.length} samples may miss a beat; give a length from {least}"
            )
        if not -20 <= self.snr[0] <= self.snr[1] <= 100:
            raise BadData(
                f"A ratio of signal to noise from {self.snr[0]} to {self.snr[1]} dB cannot be "
                "drawn; give the lower first, and both within -20 to 100"
            )
        if not 0 <= self.without_p <= 1:
            raise BadData(
                f"A share of {self.without_p} patients without P waves cannot be; "
                "give one from 0 to 1"
            )

    def draw(self, rngs: Sequence[np.random.Generator]) -> tuple[Singles, Labels]:
        """Records and labels."""
        X = np.empty((len(rngs), 1, self.length), np.float32)
        y = np.empty((len(rngs), self.length), np.int64)
        times = np.arange(self.length) / self.frequency
        for i, rng in enumerate(rngs):
            patient = self.patient(rng)
            clean = patient.trace(self.length, self.frequency)
            X[i, 0] = clean + clean.std() * self._noise(rng, times)
            y[i] = patient.labels(patient.phase(times))
        return X, y

    def patient(self, rng: np.random.Generator) -> Patient:
        """The patient that a generator's record begins with."""
        rate, has_p = rng.uniform(*self.rates), rng.random() >= self.without_p
        mean, growth = 60 / rate, np.sqrt(rate / 60)
        beats = 8 + int(2 * (WARM + self.length / self.frequency) / mean)  # twice what is needed
        if has_p:
            spread, ratio = mean * rng.uniform(0.02, 0.06), np.exp(rng.uniform(-0.7, 0.7))
            durations = tachogram(rng, beats, mean, spread, ratio)
        else:
            sigma = rng.uniform(0.12, 0.25)
            durations = mean * np.exp(sigma * rng.standard_normal(beats) - sigma**2 / 2)
        heights = HEIGHTS * rng.uniform(1 - VARIED, 1 + VARIED)
        heights[0] *= (1 if rng.random() >= 0.05 else -1) if has_p else 0
        heights[4] *= 1 if rng.random() >= 0.15 else -1
        return Patient(
            angles=ANGLES * growth**GROWTH * rng.uniform(0.92, 1.08, 5),
            heights=heights,
            widths=WIDTHS * growth * rng.uniform(0.9, 1.1, 5),
            begins=np.append(0, durations.cumsum()) - WARM - rng.random() * durations[0],
            gain=float(rng.uniform(0.7, 1.3)),
        )

    def _noise(self, rng: np.random.Generator, times: Floats) -> Floats:
        """Noise [t] for a signal of variance 1."""
        shares = np.sqrt(rng.dirichlet((1, 1, 1)))
        wander, hum = (
            np.sqrt(2) * np.sin(2 * np.pi * (frequency * times + rng.random()))
            for frequency in (BREATHING, HUM)
        )
        kinds = np.stack([rng.standard_normal(len(times)), wander, hum])
        noise: Floats = 10 ** (-rng.uniform(*self.snr) / 20) * (shares @ kinds)
        return noise


def tachogram(
    rng: np.random.Generator, beats: int, mean: float, spread: float, ratio: float
) -> Floats:
    """Durations [beats] in s of successive revolutions, of random phases and this spectrum.

    S(f) is the sum of two Gaussians, of low frequency (Mayer waves, 0.1 Hz) and high (breathing,
    0.25 Hz), as in the paper, sampled at beats ``mean`` apart.

    Args:
        rng: of the phases.
        beats: how many.
        mean: of the durations, in s.
        spread: their standard deviation over all phases, in s.
        ratio: power of low over that of high frequencies.

    >>> tachogram(np.random.default_rng(0), 3, 1.0, 0.0, 0.5)
    array([1., 1., 1.])
    """
    frequencies = np.arange(MAYER - 5 * BAND, BREATHING + 5 * BAND, BAND / 4)
    low, high = (np.exp(-(((frequencies - peak) / BAND) ** 2) / 2) for peak in (MAYER, BREATHING))
    power = (ratio * low / low.sum() + high / high.sum()) / (1 + ratio)
    turns = np.outer(mean * np.arange(beats), frequencies) + rng.random(len(frequencies))
    durations: Floats = mean + spread * np.cos(2 * np.pi * turns) @ np.sqrt(2 * power)
    return durations


def relax(forcing: Floats, step: float) -> Floats:
    """Solve z' = f − z from z = 0: z [t] for f [t] at points ``step`` seconds apart.

    After the pass with a shift of s each point holds what the 2s intervals before it bring.

    >>> relax(np.ones(5001), 0.001)[[0, 1000, 5000]].round(4)
    array([0.    , 0.6321, 0.9933])
    """
    z = np.zeros_like(forcing)
    z[1:] = step / 2 * (np.exp(-step) * forcing[:-1] + forcing[1:])
    shift = 1
    while shift < len(z):
        z[shift:] += np.exp(-shift * step) * z[:-shift]
        shift *= 2
    return z


def _wrap(angles: Floats) -> Floats:
    """The same angles within ±π, −π itself included."""
    wrapped: Floats = (angles + np.pi) % (2 * np.pi) - np.pi
    return wrapped
