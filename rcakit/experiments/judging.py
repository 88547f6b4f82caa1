"""From differences to intervals, p-values and verdicts, under one plan of looks."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from rcakit import frames, wording
from rcakit.errors import NotEnoughDataError
from rcakit.experiments import checks
from rcakit.experiments.cells import Arms, Layout, ask_cells, codes, prepare
from rcakit.experiments.contrasts import contrast_of
from rcakit.experiments.looks import LookPlan
from rcakit.experiments.metrics import Metric
from rcakit.experiments.results import MetricEffect
from rcakit.stats import moments, multiplicity
from rcakit.stats import quantiles as quantile_stats
from rcakit.stats.moments import Contrast
from rcakit.validation import check_number

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "Judge",
    "quantile_effects",
    "segment_effects",
    "with_segment_verdicts",
    "with_verdicts",
]


@dataclass(frozen=True, slots=True)
class Judge:
    """From contrasts to intervals and p-values, under one plan of looks."""

    plan: LookPlan
    alpha: float
    layout: Layout

    def effect(self, metric: Metric, contrast: Contrast) -> MetricEffect:
        """Judge one metric."""
        return self.judge(metric.name, self._method(metric, contrast), contrast)

    def judge(self, name: str, method: str, contrast: Contrast) -> MetricEffect:
        """Put an interval and a p-value on a contrast."""
        grouped = contrast.n_clusters > 0
        n = contrast.n_clusters if grouped else contrast.n_control + contrast.n_treatment
        critical = self.plan.critical(self.alpha, contrast.df, n, clustered=grouped)
        reach = critical * contrast.standard_error
        relative = moments.fieller(contrast, critical)
        pvalue = self.plan.pvalue(contrast.statistic, self.alpha, contrast.df, n, clustered=grouped)
        return MetricEffect(
            metric=name,
            method=checks.plain(method),
            n_control=contrast.n_control,
            n_treatment=contrast.n_treatment,
            n_clusters=contrast.n_clusters,
            control=contrast.control.value,
            treatment=contrast.treatment.value,
            effect=contrast.effect,
            effect_ci_lower=contrast.effect - reach,
            effect_ci_upper=contrast.effect + reach,
            rel_effect=relative[0],
            rel_effect_ci_lower=relative[1],
            rel_effect_ci_upper=relative[2],
            pvalue=pvalue,
            qvalue=math.nan,
            verdict="no clear difference",
        )

    def _method(self, metric: Metric, contrast: Contrast) -> str:
        words = {
            "primary": "",
            "exploratory": "exploratory: ",
            "guardrail": f"guardrail, margin {wording.percent(metric.margin, signed=True)}: ",
        }[metric.role]
        words += "ratio of sums" if metric.denominator else "mean"
        words += self._errors()
        if metric.before is not None:
            saved = wording.percent(1 - contrast.variance_ratio)
            columns = " / ".join(wording.visible(c) for c in metric.before if c)
            words += f", adjusted for {columns} ({saved} less variance)"
        if self.layout.strata or self.layout.phases:
            words += ", stratified"
        return words

    def _errors(self) -> str:
        if self.layout.design == "switchback":
            return f", CR2 by blocks of {self.layout.block_hours} h"
        if self.layout.cluster is not None:
            return f", CR2 by {wording.visible(self.layout.cluster)}"
        return ", Welch t"

    def quantile_effect(
        self, rows: "pl.DataFrame", column: str, q: float, arms: Arms
    ) -> MetricEffect:
        """Compare a quantile of every row's value."""
        arm = arms.index(rows[self.layout.variant].to_list())
        values = rows[column].to_numpy().astype(float)
        group = codes(rows, self.layout.cluster) if self.layout.cluster else None
        sides, n_groups = [], 0
        for side in (0, 1):
            inside = arm == side
            if inside.sum() < 10:
                raise NotEnoughDataError(
                    f"quantiles need at least 10 rows per arm, got {inside.sum()} of {column!r}."
                )
            own = None
            if group is not None:
                own = np.unique(group[inside], return_inverse=True)[1]
                n_groups += int(own.max()) + 1
            sides.append(quantile_stats.quantile_arm(values[inside], q, own))
        counts = [int((arm == side).sum()) for side in (0, 1)]
        df = (n_groups if group is not None else sum(counts)) - 2
        contrast = Contrast(
            control=sides[0], treatment=sides[1], df=float(df), n_clusters=n_groups,
            n_control=counts[0], n_treatment=counts[1],
        )  # fmt: skip
        name = f"{100 * q:g} % quantile of {column}"
        return self.judge(name, f"quantile, Woodruff{self._errors()}", contrast)


def quantile_effects(
    judge: Judge, data: Any, wanted: Mapping[str, float], arms: Arms
) -> list[MetricEffect]:
    """Compare quantiles, for which every row of a column comes home."""
    effects = []
    for column, q in wanted.items():
        share = check_number(q, f"quantiles[{column!r}]", gt=0, lt=1)
        names = [judge.layout.variant, column]
        names += [judge.layout.cluster] if judge.layout.cluster else []
        rows = frames.collect(frames.without_missing(data, names), names)
        effects.append(judge.quantile_effect(rows, column, share, arms))
    return effects


def segment_effects(
    judge: Judge, data: Any, column: str, arms: Arms, metrics: Sequence[Metric]
) -> list[MetricEffect]:
    """Compare the arms within every value of a segment declared beforehand."""
    layout = replace(judge.layout, strata=(*judge.layout.strata, column))
    raw = ask_cells(data, layout, metrics)
    effects = []
    for (value,), part in raw.group_by([column], maintain_order=True):
        try:
            cells, _ = prepare(part, judge.layout, arms, metrics)
        except NotEnoughDataError:
            continue
        for metric in metrics:
            contrast = contrast_of(cells, judge.layout, metric)
            if contrast.standard_error > 0:
                named = wording.segment({column: value})
                effect = judge.effect(metric, contrast)
                effects.append(replace(effect, metric=f"{metric.name} [{named}]"))
    return effects


def with_verdicts(
    effects: Sequence[MetricEffect], metrics: Sequence[Metric], alpha: float, *, blocked: bool
) -> tuple[MetricEffect, ...]:
    """Adjust p-values within each family, and say what follows."""
    roles = [metric.role for metric in metrics]
    roles += ["primary"] * (len(effects) - len(roles))  # quantiles are claims as well
    margins = [metric.margin for metric in metrics] + [None] * (len(effects) - len(metrics))
    adjusted = np.full(len(effects), np.nan)
    rules = {"primary": multiplicity.holm, "exploratory": multiplicity.benjamini_hochberg}
    for role, rule in rules.items():
        chosen = [i for i, own in enumerate(roles) if own == role]
        adjusted[chosen] = rule([effects[i].pvalue for i in chosen])
    return tuple(
        replace(
            effect,
            qvalue=float(qvalue),
            verdict="withheld" if blocked else _verdict(effect, float(qvalue), margin, alpha),
        )
        for effect, qvalue, margin in zip(effects, adjusted, margins, strict=True)
    )


def with_segment_verdicts(
    effects: Sequence[MetricEffect], alpha: float, *, blocked: bool
) -> tuple[MetricEffect, ...]:
    """Adjust p-values over all segments, and say what follows."""
    adjusted = multiplicity.benjamini_hochberg([effect.pvalue for effect in effects])
    return tuple(
        replace(
            effect,
            qvalue=float(qvalue),
            verdict="withheld" if blocked else _verdict(effect, float(qvalue), None, alpha),
        )
        for effect, qvalue in zip(effects, adjusted, strict=True)
    )


def _verdict(effect: MetricEffect, qvalue: float, margin: float | None, alpha: float) -> str:
    if margin is not None:
        return _guardrail_verdict(effect, margin)
    if not qvalue < alpha:
        return "no clear difference"
    return "higher" if effect.effect > 0 else "lower"


def _guardrail_verdict(effect: MetricEffect, margin: float) -> str:
    """Compare the relative interval with the margin (non-inferiority)."""
    lower, upper = effect.rel_effect_ci_lower, effect.rel_effect_ci_upper
    if margin < 0:
        lower, upper, margin = -upper, -lower, -margin
    if upper < margin:
        return "holds"
    return "broken" if lower > margin else "not shown"
