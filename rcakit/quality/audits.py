"""How many decisions must be checked, and how accurate are all of them?"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from rcakit import frames, wording
from rcakit.errors import NotEnoughDataError, SchemaError
from rcakit.findings import SMALLEST_CELL, Finding, withheld
from rcakit.results import Record, Result
from rcakit.stats import sampling_plans as plans
from rcakit.validation import check_choice, check_number, refusal, shown

if TYPE_CHECKING:
    import altair as alt
    import polars as pl

__all__ = ["AuditEstimateResult", "AuditPlanResult", "audit_estimate", "audit_plan"]

Floats = npt.NDArray[np.float64]
Goal = Literal["estimate", "compare", "accept"]


@dataclass(frozen=True, slots=True)
class AuditPlanResult(Result):
    """What to check, and what the plan can tell.

    Attributes
    ----------
    strata, curve
        The rows of the tables ``strata`` and ``operating_characteristic``.
    goal
        ``estimate``, ``compare`` or ``accept``.
    n_sample
        Cases to check in all (per group for ``compare``).
    acceptance_number
        Errors up to which work is accepted; None for other goals.
    sentence
        The plan in words.
    library
        Where tables are handed back.
    """

    strata: tuple[Record, ...]
    curve: tuple[Record, ...]
    goal: Goal
    n_sample: int
    acceptance_number: int | None
    sentence: str
    library: frames.Library

    tables: ClassVar[Mapping[str, Mapping[str, str]]] = {
        "strata": {
            "stratum": "String",
            "population": "Float64",
            "expected_accuracy": "Float64",
            "n_sample": "Int64",
            "sampling_probability": "Float64",
        },
        "operating_characteristic": {"error_rate": "Float64", "acceptance_probability": "Float64"},
    }

    def to_records(self, table: str | None = None) -> list[Record]:
        """Return the rows of ``strata`` (default) or ``operating_characteristic``."""
        rows = self.strata if self._table(table) == "strata" else self.curve
        return [dict(row) for row in rows]

    def findings(self) -> tuple[Finding, ...]:
        """Return the plan; it claims nothing about the data, so it carries no number of theirs."""
        return (
            withheld(
                "verdict",
                self.sentence,
                why="a plan, made before anything was checked",
                unit="cases",
                method=f"sample size to {self.goal}",
                n_obs=0,
            ),
        )

    def plot(self) -> "alt.TopLevelMixin":
        """Draw the operating characteristic, or the sample per stratum."""
        from rcakit.plots import quality

        return quality.audit_plan(
            self.to_records("strata"),
            self.to_records("operating_characteristic"),
            title=self.sentence,
        )


@dataclass(frozen=True, slots=True)
class AuditEstimateResult(Result):
    """Accuracy and error classes of all decisions, from those checked.

    Attributes
    ----------
    rows
        The rows of the table.
    caveats
        Sentences.
    library
        Where tables are handed back.
    """

    rows: tuple[Record, ...]
    caveats: tuple[str, ...]
    library: frames.Library

    tables: ClassVar[Mapping[str, Mapping[str, str]]] = {
        "estimates": {
            "group": "String",
            "measure": "String",
            "estimate": "Float64",
            "ci_lower": "Float64",
            "ci_upper": "Float64",
            "n_obs": "Int64",
            "n_effective": "Float64",
        }
    }

    def to_records(self, table: str | None = None) -> list[Record]:
        """Return one row per group and measure."""
        self._table(table)
        return [dict(row) for row in self.rows]

    def findings(self) -> tuple[Finding, ...]:
        """Say how accurate decisions are, per group."""
        return tuple(self._accuracy(row) for row in self.rows if row["measure"] == "accuracy")

    def plot(self) -> "alt.TopLevelMixin":
        """Draw each measure with its interval."""
        from rcakit.plots import quality

        return quality.audit_estimate(self.to_records(), title=self.reading())

    def _accuracy(self, row: Record) -> Finding:
        where = "" if row["group"] == "all" else f" in {wording.visible(row['group'])}"
        method = "weighted audit sample, Wilson interval at the effective size"
        if math.isnan(row["estimate"]):
            return withheld(
                "measurement",
                f"Accuracy{where} is not shown: too few decisions were checked.",
                why="fewer than ten checked decisions",
                unit="share",
                method=method,
                n_obs=row["n_obs"],
            )
        return Finding(
            claim=(
                f"{wording.percent(row['estimate'])} of decisions{where} are right "
                f"({wording.percent(row['ci_lower'])} to {wording.percent(row['ci_upper'])})."
            ),
            kind="measurement",
            estimate=row["estimate"],
            ci_lower=row["ci_lower"],
            ci_upper=row["ci_upper"],
            unit="share of decisions",
            n_obs=row["n_obs"],
            method=method,
            caveats=self.caveats,
        )


def audit_plan(
    data: Any = None,
    *,
    goal: Goal = "estimate",
    expected_accuracy: float | str = 0.95,
    margin: float = 0.02,
    difference: float = 0.03,
    power: float = 0.8,
    alpha: float = 0.05,
    n_groups: int = 2,
    acceptable_error_rate: float = 0.02,
    rejectable_error_rate: float = 0.08,
    producer_risk: float = 0.05,
    consumer_risk: float = 0.1,
    stratum: str | None = None,
    population: str | None = None,
    confidence_level: float = 0.95,
) -> AuditPlanResult:
    """How many decisions must be checked, and from which strata?

    Parameters
    ----------
    data
        Table of decisions (rows are counted per stratum) or of strata with a ``population``
        column; may be left out when there are no strata.
    goal
        ``estimate`` accuracy within ``margin``; ``compare`` groups such as vendors; ``accept``
        or reject a batch by counting errors.
    expected_accuracy
        What accuracy is thought to be, or the column of ``data`` that says so per stratum.
    margin
        Half width of the interval wanted.
    difference, power, alpha, n_groups
        For ``compare``: the smallest difference worth finding, the chance to find it, the chance
        of a false alarm, and how many groups are compared (all pairs, Bonferroni).
    acceptable_error_rate, rejectable_error_rate, producer_risk, consumer_risk
        For ``accept``: error rates that should pass and should not, and the chances of getting
        either wrong.
    stratum, population
        Columns: the strata, and the number of decisions in each.
    confidence_level
        For ``estimate``.

    Returns
    -------
    AuditPlanResult
        Tables ``strata`` (what to check) and ``operating_characteristic``.

    Raises
    ------
    ParameterError
        Rates out of order, or a plan that no feasible sample fulfils.

    Notes
    -----
    The sample must be drawn at random within strata; keep ``sampling_probability`` with each
    checked decision, `audit_estimate` needs it. A targeted sample (low confidence, appeals) says
    nothing about all decisions.

    References
    ----------
    Cochran (1977), Sampling Techniques, 3rd ed., p. 75-98; Fleiss, Levin and Paik (2003), p. 72;
    Montgomery (2013), p. 657-660.

    Examples
    --------
    >>> import rcakit.quality as quality
    >>> quality.audit_plan(expected_accuracy=0.95, margin=0.02).n_sample
    469
    """
    check_choice(goal, "goal", ("estimate", "compare", "accept"))
    for name, number in (
        ("margin", margin),
        ("difference", difference),
        ("power", power),
        ("alpha", alpha),
        ("confidence_level", confidence_level),
    ):
        check_number(number, name, gt=0, lt=1)
    names, sizes, shares = _strata(data, stratum, population, expected_accuracy)
    overall = float(np.average(shares, weights=sizes)) if names else float(shares[0])
    errors_allowed: int | None = None
    curve: tuple[Record, ...] = ()
    if goal == "estimate":
        n_sample = plans.size_to_estimate(
            overall,
            margin,
            population=float(sizes.sum()) if names else math.inf,
            confidence_level=confidence_level,
        )
        words = (
            f"to know accuracy within {wording.percent(margin)} points either way "
            f"({wording.percent(confidence_level)} sure)"
        )
    elif goal == "compare":
        pairs = n_groups * (n_groups - 1) / 2
        n_sample = plans.size_to_compare(
            overall, difference, alpha=alpha / max(pairs, 1), power=power
        )
        words = (
            f"per group to find a difference of {wording.percent(difference)} points "
            f"{wording.percent(power)} of the time"
        )
    else:
        plan = _acceptance(
            acceptable_error_rate, rejectable_error_rate, producer_risk, consumer_risk
        )
        n_sample, errors_allowed = plan.n_sample, plan.acceptance_number
        rates = np.linspace(0, min(1.0, 3 * rejectable_error_rate), 61)
        accepted = plans.operating_characteristic(plan, rates)
        curve = tuple(
            {"error_rate": float(rate), "acceptance_probability": float(chance)}
            for rate, chance in zip(rates, accepted, strict=True)
        )
        words = f"and accept the batch with at most {wording.plural(errors_allowed, 'error')}"
    return AuditPlanResult(
        strata=_allocation(names, sizes, shares, n_sample),
        curve=curve,
        goal=goal,
        n_sample=n_sample,
        acceptance_number=errors_allowed,
        sentence=f"Check {wording.plural(n_sample, 'decision')} {words}.",
        library=frames.library(data),
    )


def audit_estimate(
    data: Any,
    *,
    is_correct: str,
    error_type: str | None = None,
    weight: str | None = None,
    sampling_probability: str | None = None,
    stratum: str | None = None,
    population: Mapping[Any, float] | None = None,
    by: str | None = None,
    confidence_level: float = 0.95,
) -> AuditEstimateResult:
    """How accurate are all decisions, given those that were checked?

    Parameters
    ----------
    data
        Table with one row per checked decision.
    is_correct
        0/1 or boolean column.
    error_type
        Column that names the class of each error (false positive, false negative, wrong
        selection, technical); its shares are of all decisions.
    weight, sampling_probability
        How many decisions a row stands for, or the chance it had of being checked. Give at most
        one; equal weights otherwise.
    stratum
        Column of the strata the sample was drawn from.
    population
        Stratum → number of decisions, where known.
    by
        Column of groups to estimate one by one.
    confidence_level
        Of the intervals.

    Returns
    -------
    AuditEstimateResult
        Rows ``accuracy`` and ``error: <class>`` per group.

    Raises
    ------
    ParameterError
        Both a weight and a probability, or a population that misses a stratum.
    SchemaError
        ``is_correct`` is not 0/1, or a weight is not positive.
    NotEnoughDataError
        Fewer than 10 checked decisions.

    References
    ----------
    Cochran (1977), Sampling Techniques, 3rd ed., p. 142; Korn and Graubard (1998), Survey
    Methodology 24, p. 193.

    Examples
    --------
    >>> import polars as pl, rcakit.quality as quality
    >>> checked = pl.DataFrame({"ok": [1] * 19 + [0], "probability": [0.1] * 10 + [0.02] * 10})
    >>> found = quality.audit_estimate(checked, is_correct="ok", sampling_probability="probability")
    >>> round(found.to_records()[0]["estimate"], 3)
    0.917
    """
    if weight is not None and sampling_probability is not None:
        raise refusal("weight", "left out when sampling_probability is given", weight)
    check_number(confidence_level, "confidence_level", gt=0.5, lt=1)
    wanted = [
        name
        for name in (is_correct, error_type, weight, sampling_probability, stratum, by)
        if name is not None
    ]
    rows = frames.collect(data, wanted)
    frames.check_finite(rows, [name for name in (weight, sampling_probability) if name])
    known = rows.drop_nulls([name for name in wanted if name != error_type])
    correct = _zero_one(known[is_correct], is_correct)
    if correct.size < SMALLEST_CELL:
        raise NotEnoughDataError(
            f"an audit estimate needs at least 10 checked decisions, got {correct.size}."
        )
    weights = _weights(known, weight, sampling_probability)
    names, at, sizes = _numbered_strata(known, stratum, population)
    classes = _error_classes(known, correct, error_type)
    found: list[Record] = []
    for group, members in _groups(known, by):
        for measure, is_case in (("accuracy", correct), *classes):
            found.append(
                _estimate_row(
                    group,
                    measure,
                    is_case[members],
                    weights[members],
                    at[members],
                    None if sizes is None or by is not None else sizes,
                    confidence_level,
                )
            )
    lost = rows.height - known.height
    del names
    caveats = (
        *((f"{wording.plural(lost, 'row')} with missing values did not count.",) if lost else ()),
        *(
            ("Every checked decision weighs the same: right only for a simple random sample.",)
            if weight is None and sampling_probability is None and population is None
            else ()
        ),
    )
    return AuditEstimateResult(tuple(found), caveats, frames.library(data))


def _strata(
    data: Any, stratum: str | None, population: str | None, expected: float | str
) -> tuple[list[str], Floats, Floats]:
    """Return names, sizes and expected accuracy of the strata; no names without strata."""
    if data is None or stratum is None:
        if isinstance(expected, str):
            raise refusal(
                "expected_accuracy", "a number unless data and stratum are given", expected
            )
        return (
            [],
            np.array([math.inf]),
            np.array([check_number(expected, "expected_accuracy", gt=0, lt=1)]),
        )
    sums = [name for name in (population, expected) if isinstance(name, str)]
    table = frames.aggregate(data, keys=stratum, sums=sums)
    sizes = table[population or "n_rows"].to_numpy().astype(np.float64)
    if isinstance(expected, str):
        shares = table[expected].to_numpy() / table["n_rows"].to_numpy()
    else:
        shares = np.full(sizes.shape, check_number(expected, "expected_accuracy", gt=0, lt=1))
    if np.any((shares < 0) | (shares > 1)) or np.any(sizes < 0):
        raise SchemaError(
            f"strata must have an accuracy between 0 and 1 and no negative population, got "
            f"{shown(shares.tolist())} and {shown(sizes.tolist())}."
        )
    if not sizes.sum() > 0:
        raise SchemaError(
            f"strata must hold decisions, got a population of {sizes.sum():g}. Check column "
            f"{population!r}, or leave it out to count rows."
        )
    return [str(name) for name in table[stratum].to_list()], sizes, shares


def _acceptance(
    acceptable: float, rejectable: float, producer: float, consumer: float
) -> plans.AcceptancePlan:
    for name, number in (
        ("acceptable_error_rate", acceptable),
        ("rejectable_error_rate", rejectable),
        ("producer_risk", producer),
        ("consumer_risk", consumer),
    ):
        check_number(number, name, gt=0, lt=1)
    if acceptable >= rejectable:
        raise refusal(
            "acceptable_error_rate", f"below rejectable_error_rate ({rejectable})", acceptable
        )
    plan = plans.acceptance_plan(
        acceptable, rejectable, producer_risk=producer, consumer_risk=consumer
    )
    if plan is None:
        raise refusal(
            "rejectable_error_rate",
            "farther from acceptable_error_rate",
            rejectable,
            "No sample below 20,000 tells them apart at these risks.",
        )
    return plan


def _allocation(
    names: list[str], sizes: Floats, shares: Floats, n_sample: int
) -> tuple[Record, ...]:
    if not names:
        return (
            {
                "stratum": "all",
                "population": math.nan,
                "expected_accuracy": float(shares[0]),
                "n_sample": n_sample,
                "sampling_probability": math.nan,
            },
        )
    drawn = plans.allocate(n_sample, sizes, shares)
    return tuple(
        {
            "stratum": name,
            "population": float(sizes[i]),
            "expected_accuracy": float(shares[i]),
            "n_sample": int(drawn[i]),
            "sampling_probability": float(drawn[i] / sizes[i]) if sizes[i] else math.nan,
        }
        for i, name in enumerate(names)
    )


def _zero_one(column: "pl.Series", name: str) -> Floats:
    values = set(column.unique().to_list())
    if not values <= {0, 1}:
        raise SchemaError(
            f"column {name!r} must hold 0 and 1, got {shown(sorted(values, key=str)[:4])}."
        )
    return column.cast(int).to_numpy().astype(np.float64)


def _weights(rows: "pl.DataFrame", weight: str | None, probability: str | None) -> Floats:
    name = weight or probability
    if name is None:
        return np.ones(rows.height)
    given = rows[name].to_numpy().astype(np.float64)
    if np.any(given <= 0) or (probability is not None and np.any(given > 1)):
        allowed = "in (0, 1]" if probability is not None else "above 0"
        raise SchemaError(f"column {name!r} must be {allowed}, got {given.min()} to {given.max()}.")
    return given if probability is None else 1 / given


def _numbered_strata(
    rows: "pl.DataFrame", stratum: str | None, population: Mapping[Any, float] | None
) -> tuple[list[Any], npt.NDArray[np.int64], Floats | None]:
    if stratum is None:
        if population is not None:
            raise refusal("population", "left out unless stratum is given", population)
        return ["all"], np.zeros(rows.height, dtype=np.int64), None
    names = rows[stratum].unique().sort().to_list()
    at = rows[stratum].rank("dense").to_numpy().astype(np.int64) - 1
    if population is None:
        return names, at, None
    missing = [name for name in names if name not in population]
    if missing:
        raise refusal(
            "population", f"a size for every stratum, also {shown(missing)}", dict(population)
        )
    return names, at, np.array([float(population[name]) for name in names])


def _error_classes(
    rows: "pl.DataFrame", correct: Floats, error_type: str | None
) -> list[tuple[str, Floats]]:
    if error_type is None:
        return []
    kinds = rows[error_type].cast(str).fill_null("(unnamed)").to_numpy()
    wrong = correct == 0
    return [
        (f"error: {kind}", (wrong & (kinds == kind)).astype(np.float64))
        for kind in sorted(set(kinds[wrong].tolist()))
    ]


def _groups(rows: "pl.DataFrame", by: str | None) -> Sequence[tuple[str, npt.NDArray[np.bool_]]]:
    if by is None:
        return [("all", np.ones(rows.height, dtype=np.bool_))]
    labels = rows[by].cast(str).to_numpy()
    return [(str(name), labels == name) for name in sorted(set(labels.tolist()))]


def _estimate_row(
    group: str,
    measure: str,
    is_case: Floats,
    weight: Floats,
    stratum: npt.NDArray[np.int64],
    population: Floats | None,
    confidence_level: float,
) -> Record:
    if is_case.size < SMALLEST_CELL:
        estimate = low = high = n_effective = math.nan
    else:
        estimate, low, high, n_effective = plans.weighted_share(
            is_case, weight, stratum, population=population, confidence_level=confidence_level
        )
    return {
        "group": group,
        "measure": measure,
        "estimate": estimate,
        "ci_lower": low,
        "ci_upper": high,
        "n_obs": int(is_case.size),
        "n_effective": n_effective,
    }
