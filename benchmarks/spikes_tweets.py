"""Real counts: hourly tweets with labelled windows, and daily copyright notices with known days.

Run with ``python -m benchmarks.spikes_tweets`` where the open development data lie (see
`benchmarks.shared`); it rewrites benchmarks/results/spikes_tweets.md.

The score is that of the Numenta Anomaly Benchmark (Lavin & Ahmad 2015, ICMLA, 38-44, sect. II):
the first alarm in a window earns more the earlier it comes, an alarm outside loses more the farther
it is past a window, a missed window loses one; 0 is no alarm at all, 100 is perfect. As there, every
detector gets the threshold that is best for it on these very series. Labels are incomplete and partly
arguable; the published figures are for all 58 files, most of them not counts, at 5 minutes.
"""

import datetime as dt
import json
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.shared import SHARED
from rcakit.spikes import detect
from rcakit.stats.filters import FilterOptions, filter_counts

RESULTS = Path(__file__).parent / "results" / "spikes_tweets.md"
PROFILES = {"standard": (0.11, 1.0), "low FP": (0.22, 1.0), "low FN": (0.11, 2.0)}
PROBATION = 0.15
PUBLISHED = {
    "ARTime": (74.9, 65.1, 80.4),
    "Numenta HTM": (70.5, 62.6, 75.2),
    "CAD OSE": (69.9, 67.0, 73.2),
    "KNN CAD": (58.0, 43.4, 64.8),
    "RCF": (51.7, 38.4, 59.7),
    "Twitter ADVec": (47.1, 33.6, 53.5),
    "windowedGaussian": (39.6, 20.9, 47.4),
    "BayesCP": (17.7, 3.2, 32.2),
    "random": (11.0, 1.2, 19.5),
}


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Worth of an alarm: near 1 at the start of a window, 0 at its end, -1 far beyond."""
    return 2 / (1 + np.exp(5 * np.minimum(x, 3.0))) - 1


class Corpus:
    """Hours of ten companies, in time order, with the hours of each labelled window."""

    def __init__(self) -> None:
        folder = SHARED / "data/counts"
        self.table = pl.read_parquet(folder / "nab_tweets.parquet").sort("series", "hour")
        labels = json.loads((folder / "nab_windows.json").read_text(encoding="utf-8"))
        self.names = sorted(labels)
        self.hours = {
            name: part["hour"].to_list()
            for (name,), part in self.table.partition_by("series", as_dict=True).items()
        }
        self.windows = {name: self._places(name, labels[name]["windows"]) for name in self.names}

    def _places(self, name: str, windows: list[list[str]]) -> list[tuple[int, int]]:
        hours = self.hours[name]
        out = []
        for low, high in windows:
            first, last = (dt.datetime.fromisoformat(x) for x in (low, high))
            first = first.replace(minute=0, second=0, microsecond=0)
            inside = [i for i, hour in enumerate(hours) if first <= hour <= last]
            out.append((inside[0], inside[-1]))
        return out

    def counts(self, name: str) -> np.ndarray:
        """Hourly counts of one company."""
        return self.table.filter(pl.col("series") == name)["count"].to_numpy().astype(float)


def worths(corpus: Corpus) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Per company: the window of each hour (-1 outside) and the worth of an alarm in it."""
    out = {}
    for name in corpus.names:
        n = len(corpus.hours[name])
        inside, worth = np.full(n, -1), np.full(n, -1.0)
        for k, (first, last) in enumerate(corpus.windows[name]):
            length = last - first + 1
            at = np.arange(first, last + 1)
            inside[at] = k
            worth[at] = sigmoid(-(last - at + 1) / length) / sigmoid(np.array(-1.0))
            after = np.arange(last + 1, n)
            worth[after] = sigmoid((after - last) / length)
        out[name] = inside, worth
    return out


def score(corpus: Corpus, scores: dict[str, np.ndarray], threshold: float, weights) -> float:
    """Score of all alarms at or above a threshold, 0 for none and 100 for perfect."""
    false_weight, miss_weight = weights
    total, n_windows = 0.0, 0
    for name, (inside, worth) in worths(corpus).items():
        n = len(inside)
        alarm = scores[name] >= threshold
        alarm[: int(min(PROBATION * n, 750))] = False
        total += false_weight * worth[alarm & (inside < 0)].sum()
        for k in range(len(corpus.windows[name])):
            hits = np.flatnonzero(alarm & (inside == k))
            total += worth[hits[0]] if len(hits) else -miss_weight
            n_windows += 1
    none = -miss_weight * n_windows
    return 100 * (total - none) / (n_windows - none)


def best_scores(corpus: Corpus, scores: dict[str, np.ndarray]) -> list[float]:
    """Best score of each profile over all thresholds of a fine grid."""
    values = np.concatenate(list(scores.values()))
    grid = np.unique(np.quantile(values[np.isfinite(values)], 1 - np.logspace(-4.2, -1, 80)))
    return [max(score(corpus, scores, t, w) for t in grid) for w in PROFILES.values()]


def rcakit_scores(corpus: Corpus) -> tuple[dict[str, np.ndarray], dict[str, object]]:
    """Surprise of each hour, and the room's own incidents."""
    scores, found = {}, {}
    for name in corpus.names:
        part = corpus.table.filter(pl.col("series") == name)
        result = detect(part, time="hour", value="count", every="1h", direction="up")
        p = np.nan_to_num(result.pvalue[0], nan=1.0)
        scores[name], found[name] = -np.log10(np.maximum(p, 1e-300)), result
    return scores, found


def hour_scores(corpus: Corpus) -> dict[str, np.ndarray]:
    """Surprise of single hours, without scan windows."""
    options = FilterOptions(warmup=336)
    out = {}
    for name in corpus.names:
        found = filter_counts(corpus.counts(name), period=(24, 168), options=options)
        p = np.nan_to_num(found.pvalue_upper[0, 0].astype(float), nan=1.0)
        out[name] = -np.log10(np.maximum(p, 1e-300))
    return out


def gaussian_scores(corpus: Corpus, width: int = 24 * 14) -> dict[str, np.ndarray]:
    """Z-score against the two weeks before, as windowedGaussian does."""
    out = {}
    for name in corpus.names:
        y = corpus.counts(name)
        z = np.zeros(len(y))
        for t in range(24, len(y)):
            past = y[max(0, t - width) : t]
            z[t] = (y[t] - past.mean()) / max(past.std(), 1e-9)
        out[name] = z
    return out


def same_hour_scores(corpus: Corpus) -> dict[str, np.ndarray]:
    """Robust z-score against the same hour of the fourteen days before."""
    out = {}
    for name in corpus.names:
        y = corpus.counts(name)
        z = np.zeros(len(y))
        for t in range(24 * 5, len(y)):
            past = y[t % 24 : t : 24][-14:]
            middle = np.median(past)
            z[t] = (y[t] - middle) / max(1.4826 * np.median(np.abs(past - middle)), 1.0)
        out[name] = z
    return out


def own_alarms(corpus: Corpus, found: dict[str, object]) -> str:
    """What the room reports at its defaults: windows hit, incidents outside windows."""
    hit = outside = total = 0
    weeks = 0.0
    for name in corpus.names:
        hours, windows = corpus.hours[name], corpus.windows[name]
        spans = [(hours[a], hours[b]) for a, b in windows]
        incidents = found[name].incidents
        touched = {
            k
            for item in incidents
            for k, (low, high) in enumerate(spans)
            if item.started_at <= high and item.last_day >= low
        }
        hit, total = hit + len(touched), total + len(windows)
        outside += sum(
            not any(i.started_at <= high and i.last_day >= low for low, high in spans)
            for i in incidents
        )
        weeks += len(hours) / 168
    return (
        f"| windows with an incident, of {total} | {hit} |\n"
        f"| incidents outside every window, a company-week | {outside / weeks:.2f} |"
    )


def notices() -> list[str]:
    """The daily notices of 2015: known days, and what the room says."""
    table = pl.read_parquet(SHARED / "data/dmca/notices.parquet").filter(
        pl.col("notice_date").is_between(dt.date(2014, 6, 1), dt.date(2015, 12, 31))
    )
    counts = detect(table, time="notice_date", direction="up", empty="zero", unit="notices")
    impact = detect(
        table,
        time="notice_date",
        value="repos_affected",
        direction="up",
        empty="zero",
        unit="repositories",
    )
    out = []
    for what, result, day in (
        ("notices", counts, dt.date(2015, 7, 21)),
        ("repositories affected", impact, dt.date(2015, 9, 26)),
    ):
        hit = [i for i in result.incidents if i.started_at <= day <= i.last_day]
        aside = [c for c in result.caveats if "set aside" in c]
        rank = (
            f"incident {hit[0].number} of {len(result.incidents)}"
            if hit
            else " ".join(["no incident.", *aside])
        )
        excess = f", excess {hit[0].excess:.0f}" if hit else ""
        out.append(f"| {what} (family {result.family}): {day} | {rank}{excess} |")
    return out


def main() -> None:
    """Measure, print and write the page."""
    corpus = Corpus()
    ours, found = rcakit_scores(corpus)
    lines = ["# Real counts", "", "By `python -m benchmarks.spikes_tweets`.", ""]
    lines += [
        "Hourly tweets of ten companies, labelled windows; threshold best for each on these series:",
        "",
        "| detector | standard | low FP | low FN |",
        "|---|---|---|---|",
    ]
    measured = {
        "rcakit, scan of 1, 2 and 5 hours": ours,
        "rcakit, single hours": hour_scores(corpus),
        "rolling z, two weeks": gaussian_scores(corpus),
        "same hour, robust z": same_hour_scores(corpus),
    }
    for name, scores in measured.items():
        lines.append(
            f"| {name} | " + " | ".join(f"{s:.1f}" for s in best_scores(corpus, scores)) + " |"
        )
    lines += [
        f"| {name}, as published for all 58 files | " + " | ".join(map(str, figures)) + " |"
        for name, figures in PUBLISHED.items()
    ]
    lines += ["", "The room at its defaults:", "", "| what | measured |", "|---|---|"]
    lines += [own_alarms(corpus, found), "", "Daily copyright notices, 2014-06 to 2015-12:", ""]
    lines += ["| known day | measured |", "|---|---|", *notices(), ""]
    text = "\n".join(lines)
    RESULTS.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
