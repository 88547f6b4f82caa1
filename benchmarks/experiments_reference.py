"""Published and peers' figures beside ours.

Run ``python benchmarks/experiments_reference.py`` where R, causaldata, statsmodels, diff-diff and
tea-tasting are installed; what is missing is said. Data come from those packages, from ``../shared``
and, for Proposition 99, from the wheel of CausalPy on PyPI; none is kept here.
"""

import importlib.util
import io
import math
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from rcakit import experiments
from rcakit.stats import group_time, moments, synthetic_control

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("RCAKIT_SHARED", ROOT.parent / "shared"))
RESULTS = Path(__file__).parent / "results" / "experiments_reference.md"
Row = tuple[str, str, float, float, float]  # case, figure, ours, theirs, tolerance


def gbstats() -> Iterator[Row]:
    """GrowthBook's test figures, and Fieller's interval on the same sums."""
    n = np.array([[3407.0], [3461.0]])
    sums = np.array([[[1396.87, 3407, 0, 3407]], [[2422.7, 3461, 0, 3461]]])
    products = np.zeros((2, 1, 4, 4))
    for arm, square in enumerate((52377.9767, 134698.29)):
        size, total = n[arm, 0], sums[arm, 0, 0]
        products[arm, 0] = np.array(
            [
                [square, total, 0, total],
                [total, size, 0, size],
                [0, 0, 0, 0],
                [total, size, 0, size],
            ]
        )
    found = moments.independent_contrast(
        n, *moments.means_and_covariances(n, sums, products), adjust=False
    )
    reach = moments.t_critical(0.05, found.df) * found.standard_error
    yield "gbstats", "absolute effect", found.effect, 0.29, 5e-3
    yield "gbstats", "absolute lower", found.effect - reach, 0.04538, 5e-5
    yield "gbstats", "absolute upper", found.effect + reach, 0.53462, 5e-5
    yield (
        "gbstats",
        "p of the absolute effect",
        moments.two_sided_pvalue(found.statistic, found.df),
        0.02016,
        5e-6,
    )
    relative = moments.fieller(found, 1.959964)  # the literals were computed with the normal
    yield "gbstats", "relative effect", relative[0], 0.70732, 5e-6
    yield "gbstats", "Fieller lower", relative[1], 0.0942, 5e-5
    yield "gbstats", "Fieller upper", relative[2], 1.708, 5.1e-4


def power() -> Iterator[Row]:
    """R's power.t.test and power.prop.test."""
    yield (
        "R",
        "power.t.test(n=20, d=1)",
        experiments.power("means", n=20, effect=1).answer["power"],
        0.8689528,
        5e-8,
    )
    found = experiments.power("proportions", n=50, baseline=0.5, effect=0.25).answer["power"]
    yield "R", "power.prop.test(n=50, .5, .75)", found, 0.7401659, 5e-8


def nsw() -> Iterator[Row]:
    """The National Supported Work experiment."""
    from causaldata import nsw_mixtape

    table = nsw_mixtape.load_pandas().data
    table["arm"] = np.where(table.treat == 1, "trained", "control")
    effect = experiments.ab_test(
        table,
        variant="arm",
        metrics="re78",
        covariates={},
        allocation={"control": 260, "trained": 185},
    ).effects[0]
    yield "NSW", "difference", effect.effect, 1794.34, 5e-3
    yield "NSW", "Welch lower", effect.effect_ci_lower, 474.01, 5e-3
    yield "NSW", "Welch upper", effect.effect_ci_upper, 3114.68, 1e-2
    yield "NSW", "Welch p", effect.pvalue, 0.00789, 5e-6
    statistic = _t_statistic(effect.pvalue, effect.effect)
    yield "NSW", "Welch t", statistic, 2.674, 5e-4
    yield "NSW", "Welch standard error", effect.effect / statistic, 671.00, 5e-3


def _t_statistic(pvalue: float, effect: float) -> float:
    """Return the t statistic of a p-value with the degrees of freedom of the NSW comparison."""
    from scipy import special

    df = 307.13  # Welch; scipy.stats.ttest_ind(equal_var=False).df
    return math.copysign(float(special.stdtrit(df, 1 - pvalue / 2)), effect)


def tea_tasting() -> Iterator[Row]:
    """The table of tea-tasting's README, from the same made-up users."""
    import tea_tasting as tt

    users = tt.make_users_data(rng=42)
    metrics = ["sessions", ("orders", "sessions"), "orders", "revenue"]
    found = experiments.ab_test(users, variant="variant", metrics=metrics, covariates={}).effects
    for effect, relative, pvalue, digits in zip(
        found, (-0.0066, 0.088, 0.080, 0.093), (0.674, 0.0762, 0.118, 0.123), (3, 4, 3, 3),
        strict=True,
    ):  # fmt: skip
        near = 5e-5 if abs(relative) < 0.01 else 5e-4
        yield "tea-tasting", f"{effect.metric}, relative effect", effect.rel_effect, relative, near
        yield (
            "tea-tasting",
            f"{effect.metric}, p",
            effect.pvalue,
            pvalue,
            5.01 * 10 ** (-digits - 1),
        )
    theirs = tt.Experiment(
        a=tt.Mean("sessions"), b=tt.RatioOfMeans("orders", "sessions"), c=tt.Mean("orders"),
        d=tt.Mean("revenue"),
    ).analyze(users)  # fmt: skip
    for effect, name in zip(found, "abcd", strict=True):
        other = theirs[name]
        yield (
            "tea-tasting",
            f"{effect.metric}, lower",
            effect.effect_ci_lower,
            other.effect_size_ci_lower,
            1e-9,
        )


def cuped() -> Iterator[Row]:
    """What a pre-period column leaves of the variance, at the correlations of the notes."""
    rng = np.random.default_rng(0)
    n = 200_000
    for rho, left in ((0.3, 0.908), (0.5, 0.747), (0.7, 0.506)):
        before = rng.normal(size=n)
        y = rho * before + np.sqrt(1 - rho**2) * rng.normal(size=n)
        table = pl.DataFrame({"arm": rng.integers(0, 2, n), "y": y, "pre_y": before})
        wide, narrow = (
            experiments.ab_test(table, variant="arm", metrics="y", covariates=covariates).effects[0]
            for covariates in ({}, {"y": "pre_y"})
        )
        width = [e.effect_ci_upper - e.effect_ci_lower for e in (narrow, wide)]
        ratio = (width[0] / width[1]) ** 2
        yield "CUPED", f"variance left at correlation {rho}", ratio, 1 - rho**2, 0.02 * (1 - rho**2)
        yield "CUPED", f"the notes' draw, correlation {rho}", ratio, left, 0.01


def castle() -> Iterator[Row]:
    """Castle doctrine laws: two-way fixed effects, unweighted."""
    from causaldata import castle as source

    table = source.load_pandas().data
    table["y"] = np.log(table["homicide"])
    wide = table.pivot(index="sid", columns="year", values="y")
    post = table.pivot(index="sid", columns="year", values="post").to_numpy()
    start = np.where(post.any(axis=1), post.argmax(axis=1), np.inf).astype(float)
    slope, error = group_time.two_way_fixed_effects(wide.to_numpy(), start)
    y_size = wide.size
    yield "castle", "two-way fixed effects", slope, 0.0694, 5e-5
    counted = np.sqrt((y_size - 1) / (y_size - 50 - 11))  # dummies of states and years counted
    yield "castle", "its standard error, dummies counted", error * counted, 0.0586, 5e-5
    people = table.pivot(index="sid", columns="year", values="popwt").to_numpy()
    slope, error = group_time.two_way_fixed_effects(wide.to_numpy(), start, weights=people)
    yield "castle", "two-way fixed effects by population", slope, 0.0755, 5e-5
    yield "castle", "its standard error, dummies counted", error * counted, 0.0348, 5e-5


def mpdta() -> Iterator[Row]:
    """County minimum wages: group-time effects against R's did, and diff-diff where installed."""
    path = SHARED / "experiments" / "mpdta.csv"
    path = path if path.exists() else SHARED / "data" / "experiments" / "mpdta.csv"
    table = pl.read_csv(path)
    wide = table.pivot("year", index="countyreal", values="lemp").sort("countyreal")
    own = table.group_by("countyreal").agg(pl.col("first.treat").first()).sort("countyreal")
    first = own["first.treat"].to_numpy().astype(float)
    start = np.where(first > 0, first - 2003, np.inf)
    y = wide.drop("countyreal").to_numpy()
    found = group_time.group_time_effects(y, start, control="never_treated")
    published = {
        (2004, 2004): -0.0105, (2004, 2005): -0.0704, (2004, 2006): -0.1373, (2004, 2007): -0.1008,
        (2006, 2004): 0.0065, (2006, 2005): -0.0028, (2006, 2006): -0.0046, (2006, 2007): -0.0412,
        (2007, 2004): 0.0305, (2007, 2005): -0.0027, (2007, 2006): -0.0311, (2007, 2007): -0.0261,
    }  # fmt: skip
    for i in range(found.estimate.size):
        key = (int(found.wave[i]) + 2003, int(found.period[i]) + 2003)
        yield "mpdta (R did)", f"ATT{key}", float(found.estimate[i]), published[key], 5.1e-5
    after = found.event_time >= 0
    simple = group_time.aggregate_effects(found, after, small_sample=False, random_sizes=True)
    yield "mpdta (R did)", "simple", simple.estimate, -0.03995, 5e-6
    yield "mpdta (analytic)", "simple, standard error", simple.standard_error, 0.01203, 5e-6
    pvalue, _ = group_time.pre_trend_pvalue(found, rng=np.random.default_rng(0))
    yield "mpdta (R did)", "pre-test p", pvalue, 0.16812, 5e-6
    nyt = group_time.group_time_effects(y, start)
    whole = group_time.aggregate_effects(nyt, nyt.event_time >= 0)
    yield "mpdta", "simple, not yet treated", whole.estimate, -0.03976, 5e-6
    for event, value in {
        -3: 0.0305,
        -2: -0.0006,
        -1: -0.0245,
        0: -0.0199,
        1: -0.0510,
        2: -0.1373,
        3: -0.1008,
    }.items():
        part = group_time.aggregate_effects(found, found.event_time == event)
        yield "mpdta (R did)", f"event time {event}", part.estimate, value, 5.1e-5
    yield from _by_wave_and_event(found)
    yield from _against_diff_diff(table, found)
    yield from _covariates(table)


def _by_wave_and_event(found: group_time.GroupTime) -> Iterator[Row]:
    after, sizes, effects = found.event_time >= 0, [], []
    for year, value in ((2004, -0.0797), (2006, -0.0229), (2007, -0.0261)):
        part = group_time.aggregate_effects(found, after & (found.wave == year - 2003))
        effects.append(part.estimate)
        sizes.append(part.n_units)
        yield "mpdta (R did)", f"group {year}", part.estimate, value, 5.1e-5
    yield "mpdta (R did)", "group, overall", float(np.average(effects, weights=sizes)), -0.031, 5e-4
    events = [
        group_time.aggregate_effects(found, found.event_time == event).estimate
        for event in range(4)
    ]
    yield "mpdta (R did)", "dynamic, overall", float(np.mean(events)), -0.0772, 5.1e-5


def _against_diff_diff(table: pl.DataFrame, found: group_time.GroupTime) -> Iterator[Row]:
    try:
        from diff_diff import CallawaySantAnna
    except ImportError:
        print("diff-diff is not installed: its column is left out")
        return
    fitted = CallawaySantAnna(control_group="never_treated").fit(
        table.to_pandas(), outcome="lemp", unit="countyreal", time="year", first_treat="first.treat"
    )
    for i in range(found.estimate.size):
        key = (int(found.wave[i]) + 2003, int(found.period[i]) + 2003)
        theirs = fitted.group_time_effects.get(key)
        if theirs is not None:
            yield (
                "mpdta (diff-diff)",
                f"ATT{key}",
                float(found.estimate[i]),
                float(theirs["effect"]),
                1e-10,
            )


def seat_belts() -> Iterator[Row]:
    """British seat belt law of 1983: Harvey and Durbin (1986) report -23 % for drivers."""
    code = "x <- as.data.frame(Seatbelts); x$at <- sprintf('%d-%02d-01', 1969 + (0:191) %/% 12, (0:191) %% 12 + 1); write.csv(x, row.names = FALSE)"
    table = pl.read_csv(io.StringIO(_from_r(code)))
    # published value, tolerance in percentage points: 3 for drivers (the bar), the rest for reading
    for column, published, near in (
        ("drivers", -0.23, 0.03),
        ("front", -0.30, 0.03),
        ("rear", 0.03, 0.03),
    ):
        effect = experiments.pre_post(
            table,
            time="at",
            value=column,
            at="1983-02-01",
            every="1mo",
            log=True,
            covariates=("kms", "PetrolPrice"),
        ).effects[0]
        yield "seat belts", f"{column}, relative effect", effect.rel_effect, published, near


def nile() -> Iterator[Row]:
    """The Nile at Aswan, autoregressive errors with level and trend, as computed for the notes."""
    from statsmodels.datasets import nile as source

    from rcakit.stats import interrupted

    y = source.load_pandas().data["volume"].to_numpy()
    t = np.arange(y.size)
    design = np.column_stack([np.ones(y.size), (t - 50) / 100, (t >= 28).astype(float)])
    fit = interrupted.fit_autoregressive(y, design, np.array([0.0, 0, 1]), orders=(1,))
    yield "Nile", "level shift", fit.estimate, -283.9, 0.05
    yield "Nile", "standard error", fit.standard_error, 53.9, 0.05
    yield "Nile", "autocorrelation", fit.memory[0], 0.19, 0.005
    table = pl.DataFrame({"dam": np.where(t >= 28, "after", "control"), "volume": y})
    plain = experiments.ab_test(table, variant="dam", metrics="volume").effects[0]
    yield "Nile", "mean before 1899", plain.control, 1097.75, 5e-3
    yield "Nile", "mean from 1899", plain.treatment, 849.97, 5e-3
    yield "Nile", "difference of the means", plain.effect, -247.78, 5e-3


def proposition_99() -> Iterator[Row]:
    """California's tobacco tax: synthetic control on outcomes only."""
    table = pl.read_csv(_california())
    names = [name for name in table.columns if name != "Year"]
    y = table.select(names).to_numpy().T
    row = names.index("California")
    years = table["Year"].to_list()
    first = years.index(1989)
    twin = synthetic_control.synthetic_control(y, row, first)
    donors = [name for name in names if name != "California"]
    yield "Proposition 99", "average effect", twin.effect, -19.51, 5e-3
    yield "Proposition 99", "effect in 2000", float(twin.gaps[years.index(2000)]), -26.6, 5e-2
    yield "Proposition 99", "fit before (RMSPE)", twin.pre_rmse, 1.66, 5e-3
    for state, weight in (
        ("Utah", 0.394),
        ("Montana", 0.232),
        ("Nevada", 0.205),
        ("Connecticut", 0.109),
    ):
        yield (
            "Proposition 99",
            f"weight of {state}",
            float(twin.weights[donors.index(state)]),
            weight,
            5e-4,
        )

    start = np.where(np.arange(len(names)) == row, float(first), np.inf)
    slope, _ = group_time.two_way_fixed_effects(y, start)
    yield "Proposition 99", "difference in differences", slope, -27.35, 5e-3
    yield from _synthetic_differences(table, names, years)


def _california() -> bytes:
    """Return cigarette sales by state: from CausalPy where it is installed, else from its wheel."""
    wheel, member = "causalpy==0.9.0", "causalpy/data/california_prop99.csv"
    installed = importlib.util.find_spec("causalpy")
    if installed is not None and installed.origin is not None:
        return (Path(installed.origin).parents[1] / member).read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        ask = ["pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", folder]
        done = subprocess.run([sys.executable, "-m", *ask, wheel], check=False)
        if done.returncode:
            raise FileNotFoundError(f"{wheel} (PyPI)")
        with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as packed:
            return packed.read(member)


def _synthetic_differences(
    table: pl.DataFrame, names: list[str], years: list[int]
) -> Iterator[Row]:
    try:
        import diff_diff  # noqa: F401 - asked whether it is there
    except ImportError:
        print("diff-diff is not installed: synthetic differences are left out")
        return
    long = table.unpivot(names, index="Year", variable_name="state", value_name="packs")
    long = long.with_columns(start=pl.when(pl.col("state") == "California").then(1989))
    found = experiments.rollout(
        long, unit="state", time="Year", start="start", outcome="packs", method="synthetic_did"
    )
    yield (
        "Proposition 99",
        "synthetic differences (diff-diff)",
        found.overall.estimate,
        -15.60,
        5e-3,
    )


def _covariates(table: pl.DataFrame) -> Iterator[Row]:
    """Minimum wages given population: the vignette's doubly robust effects."""
    try:
        import diff_diff  # noqa: F401 - asked whether it is there
    except ImportError:
        return
    counties = table.with_columns(
        start=pl.when(pl.col("first.treat") > 0).then(pl.col("first.treat"))
    )
    for comparison, value in (("never_treated", -0.0418), ("not_yet_treated", -0.0414)):
        found = experiments.rollout(
            counties, unit="countyreal", time="year", start="start", outcome="lemp",
            covariates="lpop", comparison=comparison,
        )  # fmt: skip
        yield "mpdta, given population", comparison, found.overall.estimate, value, 5e-5


def _from_r(code: str) -> str:
    if shutil.which("Rscript") is None:
        raise ImportError("Rscript")
    done = subprocess.run(["Rscript", "-e", code], check=True, capture_output=True, text=True)
    return done.stdout


SECTIONS = (
    gbstats, tea_tasting, power, cuped, nsw, castle, mpdta, seat_belts, nile, proposition_99,
)  # fmt: skip


def main() -> None:
    """Print the table and keep it."""
    head = "| case | figure | ours | theirs | tolerance | within |\n|---|---|---|---|---|---|"
    print(head)
    lines = []
    for section in SECTIONS:
        try:
            for case, figure, ours, theirs, tolerance in section():
                ok = "yes" if abs(ours - theirs) <= tolerance else "NO"
                lines.append(
                    f"| {case} | {figure} | {ours:.6g} | {theirs:.6g} | {tolerance:g} | {ok} |"
                )
                print(lines[-1], flush=True)
        except (ImportError, FileNotFoundError) as missing:
            print(f"{section.__name__}: {missing} is not there, left out")
    text = f"# Reference values of experiments\n\nPrinted by `python benchmarks/experiments_reference.py`.\n\n{head}\n"
    RESULTS.write_text(text + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
