"""Does the regression find outbreaks in Noufaily's 28 scenarios, at equal false alarms?

    python -m benchmarks.noufaily_scenarios run [--repetitions 100]
    python -m benchmarks.noufaily_scenarios r    [--repetitions 5]     (needs R surveillance)

Scenarios of Noufaily et al. (2013), Statistics in Medicine 32, 1206-1222, with the variance
as the paper states it (phi times the mean). 624 weeks; the last 49 are judged, each from the
five years before it. `r` runs farringtonFlexible with the paper's settings on the first
repetitions of the very same series and prints both.
"""

from __future__ import annotations

import argparse
import itertools
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.results_file import printed_to
from rcakit.stats.regression import fit_counts, forecast_counts, seasonal_design

TUNING_SEED, REPORTING_SEED = 501, 2029
N_WEEKS, FIRST, YEARS, GAP = 624, 575, 5, 4
PARAMETERS = (
    (0.1, 1.5, 0.0025, 0.6, 0.6),
    (-2.0, 2.0, 0.005, 0.1, 0.3),
    (1.5, 1.0, 0.003, 0.2, -0.4),
    (0.5, 5.0, 0.002, 0.5, 0.5),
    (2.5, 3.0, 0.001, 1.0, 0.1),
    (3.75, 1.1, 0.001, 0.1, -0.1),
    (5.0, 1.2, 0.0001, 0.05, 0.01),
)
R_SCRIPT = """
suppressMessages(library(surveillance))
args <- commandArgs(TRUE)
y <- as.matrix(read.csv(args[1], header=FALSE)); n <- ncol(y)
con <- list(range=576:624, b=5, w=3, reweight=TRUE, weightsThreshold=2.58, verbose=FALSE,
  glmWarnings=FALSE, alpha=.005, trend=TRUE, pThresholdTrend=1, noPeriods=10,
  pastWeeksNotIncluded=26, thresholdMethod="nbPlugin", limit54=c(0,4), powertrans="2/3",
  fitFun="algo.farrington.fitGLM.flexible", populationOffset=FALSE, factorsBool=FALSE)
con$factorsBool <- NULL
s <- sts(observed=y, frequency=52, start=c(2000,1))
t0 <- proc.time()[1]
out <- suppressWarnings(farringtonFlexible(s, control=con))
cat("cpu", proc.time()[1]-t0, "\\n")
write.table(control(out)$pvalue, args[2], sep=",", row.names=FALSE, col.names=FALSE)
write.table(out@alarm*1, args[3], sep=",", row.names=FALSE, col.names=FALSE)
"""


@dataclass(frozen=True, slots=True)
class Outbreaks:
    """Weekly counts, and the judged weeks that belong to the planted outbreak."""

    counts: np.ndarray  # (n, 624)
    planted: np.ndarray  # (n, 49) bool


def simulate(repetitions: int, seed: int) -> Outbreaks:
    """All 28 scenarios, `repetitions` times; one block of 28 series per repetition."""
    rng = np.random.default_rng(seed)
    week = np.arange(1, N_WEEKS + 1)
    angle = 2 * np.pi * week / 52
    rows = list(itertools.product(PARAMETERS, (0, 1), (0, 1)))
    log_mean = np.array(
        [
            theta + trend * beta * week + m * (g1 * np.cos(angle) + g2 * np.sin(angle))
            for (theta, _, beta, g1, g2), trend, m in rows
        ]
    )
    mean = np.exp(np.tile(log_mean, (repetitions, 1)))
    phi = np.tile([p[1] for p, _, _ in rows], repetitions)[:, None]
    rate = (
        mean
        if not (phi > 1).any()
        else np.where(phi > 1, rng.gamma(mean / np.maximum(phi - 1, 1e-9)) * (phi - 1), mean)
    )
    counts = rng.poisson(rate).astype(float)
    planted = np.zeros((len(counts), N_WEEKS), dtype=bool)
    for i in range(len(counts)):
        for k in (2, 3, 5, 10):
            _outbreak(rng, counts[i], mean[i], phi[i, 0], k, int(rng.integers(312, 570)))
        k, start = int(rng.integers(1, 11)), int(rng.integers(FIRST, N_WEEKS - 6))
        last = _outbreak(rng, counts[i], mean[i], phi[i, 0], k, start)
        planted[i, start : last + 1] = True
    return Outbreaks(counts, planted[:, FIRST:])


def _outbreak(rng, counts, mean, phi, k, start) -> int:
    """Add Poisson(k sd) cases, spread by a log-normal delay; give the last week touched."""
    size = rng.poisson(k * np.sqrt(phi * mean[start]))
    weeks = start + np.floor(rng.lognormal(0, 0.5, size)).astype(int)
    weeks = weeks[weeks < N_WEEKS]
    np.add.at(counts, weeks, 1)
    return int(weeks.max(initial=start))


def rolling_pvalues(counts: np.ndarray, *, gap: int = GAP, n_harmonics: int = 1) -> np.ndarray:
    """One- and two-week p-values of the judged weeks, refitted every week; (2, n, 49)."""
    out, start = [], None
    for t in range(FIRST, N_WEEKS):
        steps = np.arange(t - YEARS * 52, t + 1)
        design = seasonal_design(steps, period=52, n_harmonics=n_harmonics)
        past = slice(0, len(steps) - 1 - gap)
        fit = fit_counts(counts[:, steps[past]], design[past], start=start)
        start = fit.coefficients
        new = forecast_counts(fit, counts[:, steps[-2:]], design[-2:])
        out.append(new.pvalue_upper[:, :, -1])
    return np.stack(out, axis=-1)


def detection(pvalues: np.ndarray, planted: np.ndarray, rates: tuple[float, ...], seed: int = 0):
    """POD at the thresholds that give these false positive rates; ties broken at random."""
    rng = np.random.default_rng(seed)
    jitter = pvalues * (1 + 1e-9 * rng.random(pvalues.shape))
    null = np.sort(jitter[~planted])
    found = np.where(planted, jitter, np.inf).min(axis=1)
    return [float((found <= null[int(rate * len(null))]).mean()) for rate in rates]


RATES = (0.005, 0.01, 0.02)


def report(name: str, p: np.ndarray, planted: np.ndarray) -> None:
    """POD at equal FPR, and FPR and POD at nominal levels."""
    pods = detection(p, planted, RATES)
    sd = np.sqrt(pods[0] * (1 - pods[0]) / len(p))
    nominal = [float((p[~planted] < a).mean()) for a in RATES]
    at = np.where(planted, p, 1).min(axis=1)
    print(
        f"{name:26s} POD at FPR .005/.01/.02: "
        + " ".join(f"{x:.3f}" for x in pods)
        + f" (se {sd:.3f}) | FPR at alpha: "
        + " ".join(f"{x:.4f}" for x in nominal)
        + f" | POD at alpha .005: {(at < 0.005).mean():.3f}",
        flush=True,
    )


def run_r(data: Outbreaks) -> tuple[np.ndarray, np.ndarray, float]:
    """FarringtonFlexible's p-values and alarms."""
    with tempfile.TemporaryDirectory() as folder:
        f = [str(Path(folder) / n) for n in ("y.csv", "p.csv", "a.csv", "run.R")]
        np.savetxt(f[0], data.counts.T, fmt="%d", delimiter=",")
        Path(f[3]).write_text(R_SCRIPT)
        done = subprocess.run(["Rscript", f[3], *f[:3]], capture_output=True, text=True, check=True)
        p = np.genfromtxt(f[1], delimiter=",").T
        alarms = np.genfromtxt(f[2], delimiter=",").T
    return p, alarms, float(done.stdout.split()[-1])


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["run", "r"])
    parser.add_argument("--repetitions", type=int, default=100)
    parser.add_argument("--tune", action="store_true", help="use the tuning seed")
    args = parser.parse_args()
    data = simulate(args.repetitions, TUNING_SEED if args.tune else REPORTING_SEED)
    start = time.process_time()
    p = rolling_pvalues(data.counts)
    seconds = time.process_time() - start
    print(
        f"{p.shape[1]} series x 49 weeks, {1000 * seconds / p[0].size:.3f} CPU ms per series-week"
    )
    report("one week", p[0], data.planted)
    report("two weeks", p[1], data.planted)
    report("smaller of both", p.min(axis=0), data.planted)
    if args.part == "r":
        theirs, alarms, seconds = run_r(data)
        print(f"farringtonFlexible: {1000 * seconds / p[0].size:.3f} CPU ms per series-week")
        theirs = np.where(np.isfinite(theirs), theirs, 1.0)
        report("farringtonFlexible", theirs, data.planted)
        print(
            "its own alarms: FPR",
            alarms[~data.planted].mean(),
            "POD",
            (alarms.astype(bool) & data.planted).any(axis=1).mean(),
        )


if __name__ == "__main__":
    with printed_to("noufaily_scenarios"):
        main()
