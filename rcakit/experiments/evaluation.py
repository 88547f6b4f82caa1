"""What is the verdict on a change, once design, guard rails and side effects are put together?"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rcakit import frames, wording
from rcakit.errors import ParameterError
from rcakit.experiments.checks import is_blocked
from rcakit.experiments.choosing import DesignChoice
from rcakit.experiments.conclusions import Better, Evaluation, Guardrail, Size
from rcakit.experiments.interruption import pre_post
from rcakit.experiments.looks import Looks
from rcakit.experiments.metrics import Name
from rcakit.experiments.randomised import ab_test
from rcakit.experiments.results import ExperimentResult, RolloutResult
from rcakit.experiments.staggered import rollout
from rcakit.experiments.uptake import AdoptionResult, adoption, unit_periods
from rcakit.validation import check_choice, check_number, refusal

__all__ = ["evaluate"]


def evaluate(
    data: Any,
    choice: DesignChoice,
    *,
    outcome: str | None = None,
    denominator: str | None = None,
    better: Better | None = None,
    guardrails: Mapping[str, float] | None = None,
    covariates: Mapping[Name, Name] | None = None,
    every: str | None = None,
    adopted: str | None = None,
    adopted_of: str | None = None,
    exclude: Sequence[Any] = (),
    trigger_at: Any = None,
    controls: str | Sequence[str] = (),
    served_by: str | None = None,
    looks: Looks = None,
    definition_changed_at: Any = (),
    confidence_level: float = 0.95,
) -> Evaluation:
    """Run the chosen design on an outcome and its guardrails, and conclude.

    Parameters
    ----------
    data
        Table in any supported engine: the one the design was chosen for.
    choice
        From `choose_design`.
    outcome
        Column to explain; averaged per row in a split or a roll-out, added up per period before
        and after a date. Rows are counted when left out (not in a split).
    denominator
        Column that divides the outcome, for a rate.
    better
        Wanted direction, ``higher`` or ``lower``.
    guardrails
        Metric (``a`` or ``a / b``) → largest acceptable relative change, with its sign.
    covariates
        Metric → column measured before the start (splits only); see `ab_test`.
    every
        Length of a period; when left out ``1w`` for a roll-out, and the step of the
        rows before and after a date.
    adopted, adopted_of
        Columns with the work done the new way and all work (roll-outs only); see `adoption`.
    exclude
        Units to leave out of a roll-out.
    trigger_at, controls
        Spike that provoked the change, and columns it cannot touch; see `pre_post`.
    served_by, looks
        See `ab_test`.
    definition_changed_at
        Days on which the definition of the outcome changed.
    confidence_level
        Of every interval.

    Returns
    -------
    Evaluation
        Tables ``metrics`` and ``checks``; ``verdict`` is one of ``improved``, ``worsened``,
        ``moved`` (no direction was named), ``mixed`` (improved, but a guardrail broke), ``faded``,
        ``no_clear_effect`` and ``cannot_tell``.

    Raises
    ------
    ParameterError
        A split without an outcome, or an option that is not allowed.

    Notes
    -----
    ``cannot_tell`` whenever a check blocks, or warns of a rival that the data themselves show:
    units that parted before, a contaminated comparison, control series that moved as well, arms
    that lost outcomes unequally. About one sound roll-out in twenty is withheld so.
    """
    if better is not None:
        check_choice(better, "better", ("higher", "lower"))
    limits = {
        _ratio(name): check_number(margin, f"guardrails[{name!r}]")
        for name, margin in (guardrails or {}).items()
    }
    run = _Run(
        data, choice, every, tuple(exclude), trigger_at, controls, served_by, looks,
        definition_changed_at, confidence_level, covariates,
    )  # fmt: skip
    name = " / ".join(n for n in (outcome or "rows", denominator) if n)
    seen = None
    if adopted is not None and choice.design in {"rollout", "synthetic_control"}:
        seen = run.adoption(adopted, adopted_of)
    primary, kept = run(outcome, denominator, limits)
    if primary is not None and seen is not None:
        primary = replace(primary, checks=(*primary.checks, *seen.checks))
    return Evaluation(
        choice=choice,
        primary=primary,
        guardrails=tuple(kept),
        adopted=seen,
        outcome=wording.visible(name),
        better=better,
        confidence_level=confidence_level,
        library=frames.library(data),
    )


@dataclass(frozen=True, slots=True)
class _Run:
    """The chosen design, ready to be run on one outcome after another."""

    data: Any
    choice: DesignChoice
    every: str | None
    exclude: tuple[Any, ...]
    trigger_at: Any
    controls: str | Sequence[str]
    served_by: str | None
    looks: Looks
    definition_changed_at: Any
    confidence_level: float
    covariates: Mapping[Name, Name] | None

    def __call__(
        self,
        outcome: str | None,
        denominator: str | None,
        limits: Mapping[tuple[str, str | None], float],
    ) -> tuple[ExperimentResult | RolloutResult | None, list[Guardrail]]:
        """Return the answer on the outcome, and the guardrails."""
        design = self.choice.design
        if design == "none":
            return None, []
        if design in {"randomised", "clusters", "switchback"}:
            return self._split(outcome, denominator, limits)
        single = self._before_after if design == "pre_post" else self._staged
        kept = [
            _guardrail(" / ".join(n for n in pair if n), margin, single(*pair))
            for pair, margin in limits.items()
        ]
        return single(outcome, denominator), kept

    def adoption(self, adopted: str, of: str | None) -> AdoptionResult:
        """Measure adoption among the units that stay."""
        columns = self.choice.columns
        return adoption(
            self.data, unit=columns["unit"], time=columns["time"], start=columns["start"],
            adopted=adopted, of=of, every=self.every or "1w", tz=columns["tz"],
            exclude=self.exclude, confidence_level=self.confidence_level,
        )  # fmt: skip

    def _split(
        self,
        outcome: str | None,
        denominator: str | None,
        limits: Mapping[tuple[str, str | None], float],
    ) -> tuple[ExperimentResult, list[Guardrail]]:
        columns, settings = self.choice.columns, self.choice.chosen.settings
        if outcome is None:
            raise ParameterError(
                "outcome must be a column when the arms were drawn, got None. Counting rows would "
                "compare the sizes of the arms."
            )
        metric = outcome if denominator is None else (outcome, denominator)
        guards: dict[Any, float] = {
            top if bottom is None else (top, bottom): margin
            for (top, bottom), margin in limits.items()
        }
        is_timed = "block_hours" in settings
        result = ab_test(
            self.data,
            variant=columns["variant"],
            metrics=[metric],
            unit=columns.get("unit") if self.choice.design == "randomised" else None,
            randomised_by=settings.get("randomised_by"),
            covariates=self.covariates,
            guardrails=guards,
            looks=self.looks,
            served_by=self.served_by,
            time=columns["time"] if is_timed else None,
            block_hours=settings.get("block_hours"),
            confidence_level=self.confidence_level,
        )
        kept = [
            Guardrail(
                effect.metric, margin, effect.rel_effect, effect.rel_effect_ci_lower,
                effect.rel_effect_ci_upper, effect.n_control + effect.n_treatment, effect.verdict,
            )
            for effect, margin in zip(result.effects[1:], guards.values(), strict=True)
        ]  # fmt: skip
        return result, kept

    def _before_after(self, outcome: str | None, denominator: str | None) -> ExperimentResult:
        columns, settings = self.choice.columns, self.choice.chosen.settings
        return pre_post(
            self.data,
            time=columns["time"],
            value=outcome,
            denominator=denominator,
            at=settings["at"],
            trigger_at=self.trigger_at,
            controls=self.controls,
            every=self.every or settings["every"],
            tz=columns["tz"],
            definition_changed_at=self.definition_changed_at,
            confidence_level=self.confidence_level,
        )

    def _staged(self, outcome: str | None, denominator: str | None) -> RolloutResult:
        """Add rows up to units and periods, and compare changed units with unchanged ones."""
        import polars as pl

        columns = self.choice.columns
        unit, start = columns["unit"], columns["start"]
        sums = tuple(name for name in (outcome, denominator) if name)
        table = unit_periods(
            self.data, unit=unit, time=columns["time"], start=start, sums=sums,
            every=self.every or "1w", tz=columns["tz"],
        )  # fmt: skip
        if outcome is not None and denominator is None:  # a mean, as in a split
            table = table.with_columns(pl.col(outcome) / pl.col("rows"))
        return rollout(
            table,
            unit=unit,
            time="period",
            start=start,
            outcome=outcome or "rows",
            denominator=denominator,
            exclude=self.exclude,
            definition_changed_at=self.definition_changed_at,
            confidence_level=self.confidence_level,
        )


def _ratio(name: str) -> tuple[str, str | None]:
    """Read ``a / b`` as a ratio of sums, anything else as one column."""
    parts = [part.strip() for part in name.split(" / ")]
    if len(parts) > 2 or not all(parts):
        raise refusal("guardrails", "named 'column' or 'numerator / denominator'", name)
    return parts[0], parts[1] if len(parts) == 2 else None


def _guardrail(metric: str, margin: float, result: ExperimentResult | RolloutResult) -> Guardrail:
    """Compare a relative interval with its margin."""
    size = Size.of(result)
    value, lower, upper = size.relative
    verdict = "withheld"
    if not is_blocked(result.checks) and not math.isnan(lower):
        ends = (lower, upper) if margin >= 0 else (-upper, -lower)
        verdict = (
            "holds" if ends[1] < abs(margin) else "broken" if ends[0] > abs(margin) else "not shown"
        )
    return Guardrail(metric, margin, value, lower, upper, size.n_obs, verdict)
