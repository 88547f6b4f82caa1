"""Made-up daily user reports with known causes: counts and violations per review, baselines not given.

Seeds 0-99,999 are for development, 400,000-499,999 for the published tables; nothing was tuned on
the latter (100,000+, 200,000+ and 300,000+ were looked at once).
"""

from dataclasses import dataclass, field

import numpy as np

from rcakit.stats.attribution.history import History

DEVELOPMENT_SEED = 0
REPORTING_SEED = 400_000

DIMENSIONS = {
    "policy": 12,
    "surface": 6,
    "language": 20,
    "region": 6,
    "country": 40,
    "app_version": 8,
    "platform": 3,
    "source": 4,
    "vendor": 5,
}
RATIOS = (1.2, 1.5, 2.0, 3.0, 0.5, 0.7)


@dataclass(frozen=True, slots=True)
class Cause:
    """A planted cause: where, by which factor, and how many events it truly added or took away."""

    codes: tuple[int, ...]
    ratio: float
    injected: float
    z: float


@dataclass(frozen=True, slots=True)
class Instance:
    """One case: what the engine sees and what is true.

    `quiet`, `quiet_mean` and `mean` are, per leaf, the counts before any cause was planted, their means, and
    the means afterwards.
    """

    family: str
    codes: np.ndarray
    sizes: tuple[int, ...]
    observed: np.ndarray
    history: History
    causes: tuple[Cause, ...]
    verdict: str
    denominator: np.ndarray | None = None
    settings: dict = field(default_factory=dict)
    quiet: np.ndarray | None = None
    quiet_mean: np.ndarray | None = None
    mean: np.ndarray | None = None

    def truth(self, cause: Cause, own: np.ndarray) -> tuple[float, float]:
        """Events that causes added in these leaves, and the factor they moved by; causes may overlap."""
        if self.quiet is None or self.quiet_mean is None or self.mean is None:
            return cause.injected, cause.ratio
        added = float((self.observed - self.quiet)[own].sum())
        return added, float(self.mean[own].sum() / max(self.quiet_mean[own].sum(), 1e-12))

    def holds_cause(self, own: np.ndarray, excess: float) -> bool:
        """Whether at least half of an excess was planted in these leaves."""
        planted = float((self.observed - self.quiet)[own].sum()) if self.quiet is not None else 0.0
        return planted * np.sign(excess) >= 0.5 * abs(excess)


@dataclass(slots=True)
class World:
    """A quiet world: leaves, their means, days and their factors."""

    rng: np.random.Generator
    names: tuple[str, ...]
    sizes: tuple[int, ...]
    codes: np.ndarray
    mean: np.ndarray
    weekday: np.ndarray
    day_factor: np.ndarray
    n_period: int
    leaf_size: float
    drift: np.ndarray | None = None

    @property
    def n_days(self) -> int:
        """Baseline days."""
        return len(self.weekday) - self.n_period


def world(
    rng: np.random.Generator,
    *,
    names: tuple[str, ...],
    n_leaves: int,
    daily_volume: float,
    n_days: int = 84,
    n_period: int = 1,
    shared_sd: float = 0.05,
    leaf_size: float = 20.0,
    trend: float = 0.0,
    sizes: dict[str, int] | None = None,
) -> World:
    """Draw a world: Zipf values, languages tied to countries and countries to regions, lognormal leaves."""
    table = DIMENSIONS | (sizes or {})
    size = tuple(table[name] for name in names)
    codes = _draw_leaves(rng, names, size, n_leaves)
    mean = rng.lognormal(0.0, rng.uniform(0.3, 0.9), len(codes))
    for j, n_values in enumerate(size):
        mean *= _marginal(rng, n_values)[codes[:, j]]
    mean *= daily_volume / mean.sum()
    weekday = (np.arange(n_days + n_period) + rng.integers(7)) % 7
    profile = np.exp(rng.normal(0.0, 0.12, 7))
    clock = np.arange(n_days + n_period) / n_days
    factor = profile[weekday] * np.exp(trend * clock) * rng.lognormal(0.0, shared_sd, len(weekday))
    return World(rng, names, size, codes, mean, weekday, factor, n_period, leaf_size)


def _marginal(rng: np.random.Generator, n_values: int) -> np.ndarray:
    weights = 1.0 / np.arange(1, n_values + 1) ** rng.uniform(0.5, 1.1)
    return rng.permutation(weights / weights.sum())


def _draw_leaves(
    rng: np.random.Generator, names: tuple[str, ...], sizes: tuple[int, ...], n_leaves: int
) -> np.ndarray:
    draw = int(n_leaves * 1.6) + 50
    columns = {
        n: rng.choice(s, draw, p=_marginal(rng, s)) for n, s in zip(names, sizes, strict=True)
    }
    if "country" in columns and "language" in columns:
        home = rng.integers(0, DIMENSIONS["language"], DIMENSIONS["country"])
        stays = rng.random(draw) < 0.8
        columns["language"] = np.where(stays, home[columns["country"]], columns["language"])
    if "country" in columns and "region" in columns:
        columns["region"] = (columns["country"] * 7 % 40) % DIMENSIONS["region"]
    codes = np.unique(np.column_stack([columns[name] for name in names]), axis=0)
    return rng.permutation(codes)[:n_leaves]


def draw_counts(w: World) -> tuple[History, np.ndarray, np.ndarray]:
    """Draw the history and the quiet period; also the true mean of every leaf over the period."""
    rng, n_leaves, n_all = w.rng, len(w.codes), len(w.weekday)
    mean = w.mean[:, None] * w.day_factor[None]
    if w.drift is not None:
        mean = mean * w.drift
    noisy = (
        mean * rng.gamma(w.leaf_size, 1.0 / w.leaf_size, mean.shape)
        if np.isfinite(w.leaf_size)
        else mean
    )
    table = rng.poisson(noisy)
    leaf, day = np.nonzero(table[:, : w.n_days])
    history = History(
        leaf=leaf,
        day=day,
        value=table[leaf, day].astype(float),
        weekday=w.weekday[: w.n_days],
        period_weekday=w.weekday[w.n_days :],
    )
    period = table[:, w.n_days :]
    assert table.shape == (n_leaves, n_all)
    return history, period.sum(axis=1).astype(float), noisy[:, w.n_days :].sum(axis=1)


def pick_segment(
    w: World,
    mean: np.ndarray,
    *,
    depth: int,
    low: float,
    high: float,
    free: np.ndarray | None = None,
    avoid: tuple[tuple[int, ...], ...] = (),
) -> tuple[int, ...] | None:
    """A random segment of this depth whose expected count lies between the bounds, or None."""
    for _ in range(200):
        dimensions = w.rng.choice(len(w.sizes), min(depth, len(w.sizes)), replace=False)
        leaf = w.rng.choice(len(mean), p=mean / mean.sum())
        codes = tuple(int(w.codes[leaf, j]) if j in dimensions else -1 for j in range(len(w.sizes)))
        inside = members(w.codes, codes)
        share = mean[inside].sum() / mean.sum()
        fits = low <= mean[inside].sum() <= high and share < 0.6 and codes not in avoid
        if (
            fits
            and (free is None or free[inside].all())
            and not _is_reducible(w.codes, codes, inside, mean)
        ):
            return codes
    return None


def members(codes: np.ndarray, segment: tuple[int, ...]) -> np.ndarray:
    """Which leaves lie in a segment."""
    inside = np.ones(len(codes), bool)
    for j, code in enumerate(segment):
        if code >= 0:
            inside &= codes[:, j] == code
    return inside


def _is_reducible(
    codes: np.ndarray, segment: tuple[int, ...], inside: np.ndarray, mean: np.ndarray
) -> bool:
    """Whether a shorter description names nearly the same volume (90 %): the truth would be ambiguous."""
    for drop, code in enumerate(segment):
        if code >= 0:
            parent = tuple(-1 if j == drop else c for j, c in enumerate(segment))
            if (
                any(c >= 0 for c in parent)
                and mean[inside].sum() >= 0.9 * mean[members(codes, parent)].sum()
            ):
                return True
    return False


def plant(
    w: World, observed: np.ndarray, mean: np.ndarray, codes: tuple[int, ...], ratio: float
) -> tuple[np.ndarray, Cause]:
    """Add or remove events in a segment; the cause remembers how many."""
    inside = members(w.codes, codes)
    after = observed.copy()
    if ratio >= 1.0:
        after[inside] += w.rng.poisson((ratio - 1.0) * mean[inside])
    else:
        after[inside] = w.rng.binomial(observed[inside].astype(int), ratio)
    total = mean[inside].sum()
    leaf_noise = (
        (mean[inside] ** 2).sum() / w.leaf_size / w.n_period if np.isfinite(w.leaf_size) else 0.0
    )
    z = abs(ratio - 1.0) * total / np.sqrt((total + leaf_noise) * (1.0 + w.n_period / w.n_days))
    return after, Cause(codes, ratio, float((after - observed).sum()), float(z))


SIX = ("country", "language", "surface", "policy", "vendor", "app_version")
FAMILIES = (
    "N0",
    "N1",
    "N2",
    "C1",
    "C3",
    "C5",
    "UD",
    "OV",
    "VEN",
    "SP",
    "HC",
    "LONG",
    "CORE",
    "DROP",
    "ROLL",
    "C12",
)


def count_instance(family: str, seed: int) -> Instance:
    """One count instance of a family."""
    rng = np.random.default_rng([seed, FAMILIES.index(family)])
    names, options = SIX, {}
    n_leaves, volume = (
        int(rng.integers(4_000, 16_000)),
        float(np.exp(rng.uniform(np.log(2_000), np.log(30_000)))),
    )
    n_period = 1
    if family == "SP":
        n_leaves, volume = int(rng.integers(20_000, 40_000)), float(rng.uniform(2_000, 8_000))
    if family == "C12":
        volume = float(rng.uniform(20_000, 60_000))
    if family == "HC":
        names, options = ("vendor_agent", *SIX[:4]), {"sizes": {"vendor_agent": 2_000}}
        DIMENSIONS.setdefault("vendor_agent", 2_000)
    if family == "ROLL":
        n_leaves, volume = int(rng.integers(1_000, 8_000)), float(rng.uniform(2_000, 10_000))
        n_period = int(rng.choice([1, 3, 5, 7]))
    if family in {"LONG", "CORE", "DROP"}:
        pool = [
            "policy",
            "surface",
            "language",
            "region",
            "country",
            "app_version",
            "platform",
            "source",
        ]
        names = tuple(rng.permutation(pool)[: rng.integers(3, 9)])
        n_leaves, volume = (
            int(rng.integers(300, 12_000)),
            float(np.exp(rng.uniform(np.log(200), np.log(20_000)))),
        )
        n_period = (
            int(rng.integers(1, 31)) if family != "CORE" else int(rng.choice([1, 1, 3, 7, 14]))
        )
    shared_sd = float(rng.uniform(0.03, 0.08))
    w = world(
        rng,
        names=names,
        n_leaves=n_leaves,
        daily_volume=volume,
        n_days=84 if family in {"LONG", "CORE", "DROP", "ROLL"} else 70,
        n_period=n_period,
        shared_sd=shared_sd,
        leaf_size=float(rng.choice([5.0, 20.0, 100.0])),
        trend=float(rng.choice([0.0, 0.0, 0.15, -0.1])),
        **options,
    )
    if family == "N1":
        w.drift = _weekend_drift(w)
    if family == "ROLL":
        w.drift = _rollout(w)
    scale = 1.0
    if family == "N2":
        scale = 1.0 + float(rng.choice([0.15, 0.25, 0.4]))
    if family == "DROP":
        scale = float(rng.choice([0.5, 0.7]))
    w.day_factor[w.n_days :] *= scale
    history, observed, mean = draw_counts(w)
    quiet = observed
    observed, causes = _plant_family(family, w, observed, mean)
    after = mean.copy()
    for cause in causes:
        inside = members(w.codes, cause.codes)
        after[inside] += (cause.ratio - 1.0) * (mean if cause.ratio >= 1.0 else after)[inside]
    verdict = "localised" if causes else "broad" if scale != 1.0 else "no_evidence"
    return Instance(
        family,
        w.codes,
        w.sizes,
        observed,
        history,
        causes,
        verdict,
        settings={
            "names": names,
            "volume": volume,
            "n_period": n_period,
            "leaf_size": w.leaf_size,
            "true_mean": _true_mean(w),
            "shared_z": abs(np.log(scale)) / np.sqrt(shared_sd**2 / n_period + 1.0 / mean.sum()),
        },
        quiet=quiet,
        quiet_mean=mean,
        mean=after,
    )


def _true_mean(w: World) -> np.ndarray:
    """Mean of every leaf over the quiet period, before it wobbles."""
    mean = w.mean[:, None] * w.day_factor[None, w.n_days :]
    return (mean if w.drift is None else mean * w.drift[:, w.n_days :]).sum(axis=1)


def _weekend_drift(w: World) -> np.ndarray:
    """Countries with their own weekend, and a bank holiday in a tenth of them some weeks before."""
    country = w.codes[:, w.names.index("country")]
    own = w.rng.random(w.sizes[w.names.index("country")]) < 0.3
    effect = np.where(
        own[country][:, None] & np.isin(w.weekday, (4, 5))[None], w.rng.uniform(0.7, 0.85), 1.0
    )
    holiday = w.rng.random(w.sizes[w.names.index("country")]) < 0.1
    day = int(w.rng.integers(10, w.n_days))
    effect[:, day] *= np.where(holiday[country], 0.6, 1.0)
    return effect


def _rollout(w: World) -> np.ndarray:
    """A version takes over from the one before, 10 to 60 days before the period, within about a week."""
    version = w.codes[:, w.names.index("app_version")]
    new, old = w.rng.choice(w.sizes[w.names.index("app_version")], 2, replace=False)
    start = w.n_days - int(w.rng.integers(10, 61))
    adopted = 1.0 / (1.0 + np.exp(-(np.arange(len(w.weekday)) - start) / 1.5))
    one = np.ones_like(adopted)
    return np.where(
        (version == new)[:, None],
        3.0 * adopted[None],
        np.where((version == old)[:, None], 1.0 - 0.9 * adopted[None], one[None]),
    )


def _plant_family(
    family: str, w: World, observed: np.ndarray, mean: np.ndarray
) -> tuple[np.ndarray, tuple[Cause, ...]]:
    """Plant the causes of a family."""
    number = {
        "C1": 1,
        "VEN": 1,
        "SP": 1,
        "HC": 1,
        "CORE": 1,
        "LONG": 1,
        "ROLL": 1,
        "C3": 3,
        "C5": 5,
        "C12": 12,
        "UD": 2,
        "OV": 2,
    }
    causes: list[Cause] = []
    free = np.ones(len(mean), bool)
    for k in range(number.get(family, 0)):
        ratio = float(w.rng.choice(RATIOS))
        depth, low, high = int(w.rng.integers(1, 4)), 100.0, 5_000.0
        if family in {"CORE", "LONG", "ROLL"}:
            ratio, depth, low, high = (
                float(w.rng.uniform(1.5, 5.0)),
                int(w.rng.integers(1, 4)),
                30.0,
                1e9,
            )
        if family == "UD":
            ratio = 1.6 if k == 0 else 0.4
        if family == "VEN":
            codes = _value_segment(w, "vendor", mean)
            ratio = float(w.rng.choice([0.5, 0.7, 1.5]))
        elif family == "OV" and k == 1:
            codes = _overlapping(w, mean, causes[0].codes) if causes else None
        else:
            codes = pick_segment(
                w,
                mean,
                depth=depth,
                low=low,
                high=min(high, 0.4 * mean.sum()),
                free=None if family == "OV" else free,
            )
        if codes is None:
            continue
        observed, cause = plant(w, observed, mean, codes, ratio)
        free &= ~members(w.codes, codes)
        causes.append(cause)
    return observed, tuple(causes)


def _value_segment(w: World, name: str, mean: np.ndarray) -> tuple[int, ...] | None:
    """A random value of one dimension with less than 60 % of the volume."""
    j = w.names.index(name)
    for value in w.rng.permutation(w.sizes[j]):
        if 0 < mean[w.codes[:, j] == value].sum() < 0.6 * mean.sum():
            return tuple(int(value) if k == j else -1 for k in range(len(w.sizes)))
    return None


def _overlapping(w: World, mean: np.ndarray, first: tuple[int, ...]) -> tuple[int, ...] | None:
    """A segment on other dimensions that shares leaves with the first, neither inside the other."""
    inside = members(w.codes, first)
    for _ in range(100):
        codes = pick_segment(
            w, mean, depth=int(w.rng.integers(1, 3)), low=100.0, high=0.4 * mean.sum()
        )
        if codes is None:
            return None
        other = members(w.codes, codes)
        both = mean[inside & other].sum()
        if 0 < both < 0.5 * min(mean[inside].sum(), mean[other].sum()):
            return codes
    return None
