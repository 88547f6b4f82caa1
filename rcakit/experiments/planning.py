"""How much data does this question need, or how small an effect can these data find?"""

import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rcakit.errors import ParameterError
from rcakit.experiments.results import PowerResult
from rcakit.results import Record
from rcakit.stats import group_time, interrupted, moments, sample_size
from rcakit.validation import check_choice, check_integer, check_number

__all__ = ["Design", "power"]

Floats = NDArray[np.float64]
Design = Literal["means", "proportions", "clusters", "switchback", "pre_post", "rollout"]

_DESIGNS = ("means", "proportions", "clusters", "switchback", "pre_post", "rollout")
_UNITS = {
    "means": "units",
    "proportions": "units",
    "clusters": "rows",
    "switchback": "rows",
    "pre_post": "periods",
    "rollout": "units",
}


def power(
    design: Design,
    *,
    effect: float | None = None,
    n: int | None = None,
    power: float | None = None,
    sd: float = 1.0,
    baseline: float | None = None,
    covariate_correlation: float = 0.0,
    cluster_size: float | None = None,
    icc: float | None = None,
    size_variation: float = 0.0,
    n_before: int = 56,
    memory: float = 0.4,
    n_periods: int = 12,
    n_waves: int = 3,
    never_share: float = 0.25,
    looks: int = 1,
    alpha: float = 0.05,
    n_simulations: int = 400,
    rng: int = 0,
) -> PowerResult:
    """Find the one of effect, size and power that is left out.

    Parameters
    ----------
    design
        ``means`` and ``proportions`` (units randomised), ``clusters`` (groups randomised),
        ``switchback`` (blocks of time), ``pre_post`` (everyone on a date), ``rollout`` (in waves).
    effect
        Smallest difference that matters, in the unit of the metric.
    n
        Units per arm; groups (or blocks) per arm; periods after the date; units in all for a
        roll-out.
    power
        Share of such tests that find the effect.
    sd
        Standard deviation of a row; of the noise of one period for ``pre_post`` and ``rollout``.
    baseline
        Proportion without the change, for ``proportions``.
    covariate_correlation
        Correlation of the metric with its pre-period column (CUPED).
    cluster_size, icc, size_variation
        Rows per group, how alike they are (0-1), and the coefficient of variation of sizes.
    n_before, memory
        Periods before the date, and correlation of neighbouring periods.
    n_periods, n_waves, never_share
        Periods in all, waves of the roll-out and share of units never treated.
    looks
        Looks planned (``means`` and ``proportions``).
    alpha
        Two-sided false alarm rate.
    n_simulations, rng
        For ``pre_post`` and ``rollout``, which are simulated, and for looks.

    Returns
    -------
    PowerResult
        The answer first, then power for smaller and larger effects.

    Raises
    ------
    ParameterError
        Not exactly one of effect, n and power is left out, or a number that the design needs is
        missing.

    Notes
    -----
    Exact (noncentral t) or closed formulas where they exist; otherwise the design's own analysis is
    run on simulated noise. Effects shift those estimates without changing their spread, so one
    simulation answers for every effect.

    Examples
    --------
    >>> from rcakit import experiments
    >>> round(experiments.power("means", effect=1, sd=1, n=20).answer["power"], 4)
    0.869
    """
    check_choice(design, "design", _DESIGNS)
    given = {"effect": effect, "n": n, "power": power}
    unknown = [name for name, value in given.items() if value is None]
    if len(unknown) != 1:
        raise ParameterError(
            f"exactly one of effect, n and power must be left out, got {given}. "
            "The one left out is what is computed."
        )
    check_number(alpha, "alpha", gt=0, lt=0.5)
    check_number(sd, "sd", gt=0)
    if n is not None:
        check_integer(n, "n", ge=2)
    if effect is not None:
        check_number(effect, "effect")
        if effect == 0:
            raise ParameterError(
                "effect must differ from zero, got 0. Name the smallest that matters."
            )
    if power is not None:
        check_number(power, "power", gt=alpha, lt=1)
    curve = _curve(
        design,
        sd=sd
        * math.sqrt(
            1 - check_number(covariate_correlation, "covariate_correlation", gt=-1, lt=1) ** 2
        ),
        baseline=baseline,
        cluster_size=cluster_size,
        icc=icc,
        size_variation=size_variation,
        n_before=n_before,
        memory=check_number(memory, "memory", ge=0, lt=1),
        n_periods=n_periods,
        n_waves=n_waves,
        never_share=never_share,
        looks=check_integer(looks, "looks", ge=1, le=100),
        alpha=alpha,
        n_simulations=check_integer(n_simulations, "n_simulations", ge=50),
        rng=rng,
    )
    largest = 1 - baseline - 1e-9 if design == "proportions" and baseline is not None else 1e3 * sd
    if n is None:
        n = _smallest_n(
            curve,
            float(effect or 0),
            float(power or 0),
            simulated=design in {"pre_post", "rollout"},
        )
    elif effect is None:
        found = sample_size.solve_increasing(
            lambda e: curve(e, n), float(power or 0), low=1e-6 * sd, high=largest
        )
        effect = found
    answer = float(effect or 0.0)
    rows = [_row(design, answer, n, curve(answer, n), alpha, cluster_size, n_before)]
    rows += [
        _row(design, e, n, curve(e, n), alpha, cluster_size, n_before)
        for e in np.linspace(0.25, 2, 8) * answer
        if abs(e) <= largest
    ]
    return PowerResult(
        design=design.replace("_", " "),
        rows=tuple(rows),
        solved_for=unknown[0],
        unit=_UNITS[design],
    )


def _row(
    design: Design,
    effect: float,
    n: int,
    value: float,
    alpha: float,
    size: float | None,
    before: int,
) -> Record:
    per_arm = round(n * (size or 1.0)) if design in {"clusters", "switchback"} else n
    first, second = per_arm, per_arm
    if design == "pre_post":
        first = before
    if design == "rollout":
        first, second = 0, n
    return {
        "design": design,
        "effect": float(effect),
        "n_control": int(first),
        "n_treatment": int(second),
        "n_clusters": 2 * n if design in {"clusters", "switchback"} else 0,
        "power": float(value),
        "alpha": alpha,
        "method": "simulated" if design in {"pre_post", "rollout"} else "formula",
    }


def _curve(design: Design, **options: Any) -> Callable[[float, int], float]:
    """Return power as a function of effect and size."""
    alpha, sd, rng = options["alpha"], options["sd"], options["rng"]
    if design == "means":
        return lambda e, n: _with_looks(sample_size.means_power(e, sd, n, alpha), options)
    if design == "proportions":
        if options["baseline"] is None:
            raise ParameterError(
                "proportions needs baseline=, the share without the change, got None."
            )
        share = check_number(options["baseline"], "baseline", gt=0, lt=1)
        return lambda e, n: _with_looks(
            sample_size.proportions_power(share, _checked_share(share + e), n, alpha), options
        )
    if design in {"clusters", "switchback"}:
        size, icc = options["cluster_size"], options["icc"]
        if size is None or icc is None:
            raise ParameterError(
                f"{design} needs cluster_size= and icc=, got {size} and {icc}. "
                "icc 0.05 is usual for reviewers; estimate it from earlier data."
            )
        check_number(size, "cluster_size", ge=1)
        check_number(icc, "icc", ge=0, le=1)
        return lambda e, n: sample_size.cluster_power(
            e, sd, n, size, icc, options["size_variation"], alpha
        )
    simulate = _simulate_pre_post if design == "pre_post" else _simulate_rollout
    known: dict[int, tuple[Floats, Floats]] = {}

    def simulated(effect: float, n: int) -> float:
        if n not in known:
            known[n] = simulate(n, np.random.default_rng(rng), options)
        estimates, reaches = known[n]
        return float(np.mean(np.abs(estimates + abs(effect)) > reaches))

    return simulated


def _checked_share(value: float) -> float:
    return check_number(value, "baseline + effect", gt=0, lt=1)


def _with_looks(single: float, options: dict[str, Any]) -> float:
    """Pay for planned looks: the same drift, judged at every look."""
    if options["looks"] == 1:
        return single
    from scipy import special

    drift = float(special.ndtri(min(max(single, 1e-12), 1 - 1e-12))) - float(
        special.ndtri(options["alpha"] / 2)
    )
    rng = np.random.default_rng(options["rng"])
    return sample_size.sequential_power(drift, options["looks"], options["alpha"], rng=rng)


def _smallest_n(
    curve: Callable[[float, int], float], effect: float, wanted: float, *, simulated: bool
) -> int:
    """Return the smallest size that reaches the power."""
    high = 8
    most = 400 if simulated else 10**9
    while curve(effect, high) < wanted:
        high *= 2
        if high > most:
            raise ParameterError(
                f"no size up to {most} reaches power {wanted} for an effect of {effect}. "
                "Look for a larger effect, less noise (covariates), or another design."
            )
    low = max(high // 2, 2)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if curve(effect, middle) >= wanted else (middle + 1, high)
    return high


def _noise(shape: tuple[int, int], memory: float, sd: float, rng: np.random.Generator) -> Floats:
    """Draw stationary first-order series, one per row."""
    steps = rng.normal(0, sd * math.sqrt(1 - memory**2), shape)
    series = np.empty(shape)
    series[:, 0] = rng.normal(0, sd, shape[0])
    for t in range(1, shape[1]):
        series[:, t] = memory * series[:, t - 1] + steps[:, t]
    return series


def _simulate_pre_post(
    n: int, rng: np.random.Generator, options: dict[str, Any]
) -> tuple[Floats, Floats]:
    """Run the cautious before-after analysis on noise."""
    before = check_integer(options["n_before"], "n_before", ge=14)
    length = before + n
    index = np.arange(length)
    design = np.column_stack(
        [
            np.ones(length),
            (index - length / 2) / length,
            (index >= before).astype(float),
            interrupted.seasonal_columns(length, 7),
        ]
    )
    weights = np.zeros(design.shape[1])
    weights[2] = 1.0
    estimates, reaches = [], []
    noise = _noise((options["n_simulations"], length), options["memory"], options["sd"], rng)
    for y in noise:
        fits = (
            interrupted.fit_autoregressive(y, design, weights, orders=(1, 2)),
            interrupted.fit_local_level(y, design, weights),
        )
        reach = [moments.t_critical(options["alpha"], f.df) * f.standard_error for f in fits]
        estimates.append(fits[int(np.argmax(reach))].estimate)
        reaches.append(max(reach))
    return np.array(estimates), np.array(reaches)


def _simulate_rollout(
    n: int, rng: np.random.Generator, options: dict[str, Any]
) -> tuple[Floats, Floats]:
    """Run the roll-out analysis on noise."""
    length = check_integer(options["n_periods"], "n_periods", ge=4)
    waves = check_integer(options["n_waves"], "n_waves", ge=1, le=length - 2)
    share = check_number(options["never_share"], "never_share", gt=0, lt=1)
    never = max(round(share * n), 2)
    starts = np.linspace(length // 3, length - 2, waves).round()
    start = np.concatenate([np.full(never, np.inf), np.resize(starts, n - never)])
    estimates, reaches = [], []
    for _ in range(options["n_simulations"]):
        panel = _noise((n, length), options["memory"], options["sd"], rng)
        table = group_time.group_time_effects(panel, start)
        overall = group_time.aggregate_effects(table, table.event_time >= 0)
        estimates.append(overall.estimate)
        reaches.append(moments.t_critical(options["alpha"], overall.df) * overall.standard_error)
    return np.array(estimates), np.array(reaches)
