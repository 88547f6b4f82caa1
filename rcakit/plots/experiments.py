"""Charts of experiments: effects as a forest, an event study, a counterfactual, a power curve."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rcakit import wording
from rcakit.plots import theme

if TYPE_CHECKING:
    import altair as alt

__all__ = ["adoption", "counterfactual", "designs", "event_study", "forest", "power_curve"]

_WIDTH = 680
_BLUE, _GREY, _RED = theme.ACCENT, theme.MUTED, theme.POSITIVE


def forest(rows: Sequence[Mapping[str, Any]], *, title: str) -> "alt.TopLevelMixin":
    """Draw relative effects with intervals, one row per metric; zero is no difference."""
    alt = theme.altair()
    kept = [
        {
            "metric": wording.visible(row["metric"]),
            "effect": row["rel_effect"],
            "lower": row["rel_effect_ci_lower"],
            "upper": row["rel_effect_ci_upper"],
            "verdict": row["verdict"],
        }
        for row in rows
        if math.isfinite(row["rel_effect_ci_lower"]) and math.isfinite(row["rel_effect_ci_upper"])
    ]
    base = alt.Chart(alt.Data(values=kept)).encode(
        y=alt.Y("metric:N", title=None, sort=None, axis=alt.Axis(labelLimit=260))
    )
    axis = alt.X("lower:Q", title="effect relative to control", axis=alt.Axis(format="+%"))
    tooltip = [
        alt.Tooltip("metric:N"),
        alt.Tooltip("effect:Q", format="+.1%"),
        alt.Tooltip("lower:Q", format="+.1%"),
        alt.Tooltip("upper:Q", format="+.1%"),
        alt.Tooltip("verdict:N"),
    ]
    color = alt.Color(
        "verdict:N",
        scale=alt.Scale(
            domain=[
                "higher",
                "lower",
                "no clear difference",
                "holds",
                "broken",
                "not shown",
                "withheld",
            ],
            range=[_BLUE, _BLUE, _GREY, _BLUE, _RED, _GREY, _GREY],
        ),
        legend=None,
    )
    bars = base.mark_rule(strokeWidth=2).encode(x=axis, x2="upper:Q", color=color)
    points = base.mark_point(filled=True, size=70).encode(
        x="effect:Q", color=color, tooltip=tooltip
    )
    zero = alt.Chart(alt.Data(values=[{"x": 0}])).mark_rule(strokeDash=[4, 4]).encode(x="x:Q")
    return (zero + bars + points).properties(width=_WIDTH, title=alt.Title(**theme.titled(title)))


def event_study(rows: Sequence[Mapping[str, Any]], *, title: str) -> "alt.TopLevelMixin":
    """Draw effects by time since the start: intervals, and the band that holds for all at once."""
    alt = theme.altair()
    kept = [_without_nan(row) for row in rows]
    base = alt.Chart(alt.Data(values=kept)).encode(
        x=alt.X(
            "event_time:Q",
            title="periods since the start",
            axis=alt.Axis(tickMinStep=1),
            scale=alt.Scale(nice=False, padding=8),
        )
    )
    effect = alt.Y("band_lower:Q", title="effect, in the unit of the outcome")
    band = base.mark_area(opacity=0.15, color=_BLUE).encode(y=effect, y2="band_upper:Q")
    bars = base.mark_rule(color=_BLUE, strokeWidth=2).encode(y="ci_lower:Q", y2="ci_upper:Q")
    points = base.mark_point(filled=True, size=60, color=_BLUE).encode(
        y="estimate:Q",
        tooltip=["event_time:Q", "estimate:Q", "ci_lower:Q", "ci_upper:Q", "n_units:Q"],
    )
    zero = alt.Chart(alt.Data(values=[{"y": 0}])).mark_rule(strokeDash=[4, 4]).encode(y="y:Q")
    start = alt.Chart(alt.Data(values=[{"x": -0.5}])).mark_rule(color=_GREY).encode(x="x:Q")
    return (band + zero + start + bars + points).properties(
        width=_WIDTH, title=alt.Title(**theme.titled(title))
    )


def counterfactual(rows: Sequence[Mapping[str, Any]], *, title: str) -> "alt.TopLevelMixin":
    """Draw what was observed beside what the past alone would have continued to.

    Periods that were left out (a spike, a washout) are shaded; the rule is the change.
    """
    alt = theme.altair()
    kept = [{**row, "period_start": row["period_start"].isoformat()} for row in rows]
    base = alt.Chart(alt.Data(values=kept)).encode(
        x=alt.X("period_start:T", title="period start (UTC)")
    )
    level = alt.Y("expected_lower:Q", title="value per period", scale=alt.Scale(zero=False))
    band = base.mark_area(opacity=0.2, color=_GREY).encode(y=level, y2="expected_upper:Q")
    expected = base.mark_line(color=_GREY, strokeDash=[5, 3]).encode(y="expected:Q")
    observed = base.mark_line(color=_BLUE).encode(
        y="observed:Q", tooltip=["period_start:T", "observed:Q", "expected:Q", "phase:N"]
    )
    since = [row for row in kept if row["phase"] in {"washout", "after"}][:1]
    change = alt.Chart(alt.Data(values=since)).encode(x="period_start:T")
    cut = change.mark_rule(strokeDash=[2, 2])
    told = change.mark_text(align="left", dx=4, y=8).encode(text=alt.value("change"))
    out = [row["period_start"] for row in kept if row["phase"] in {"left out", "washout"}]
    ends = [{"first": out[0], "last": out[-1]}] if out else []
    gap = alt.Chart(alt.Data(values=ends)).mark_rect(opacity=0.12, color=_GREY)
    shade = gap.encode(x="first:T", x2="last:T")
    layers = (
        [shade, band, expected, observed, cut, told]
        if out
        else [band, expected, observed, cut, told]
    )
    return alt.layer(*layers).properties(width=_WIDTH, title=alt.Title(**theme.titled(title)))


def power_curve(rows: Sequence[Mapping[str, Any]], *, title: str) -> "alt.TopLevelMixin":
    """Draw power against the size of the effect."""
    alt = theme.altair()
    base = alt.Chart(alt.Data(values=[dict(row) for row in rows[1:]])).encode(
        x=alt.X("effect:Q", title="effect, in the unit of the metric"),
        y=alt.Y("power:Q", title="share of tests that find it", axis=alt.Axis(format="%")),
    )
    answer = alt.Chart(alt.Data(values=[dict(rows[0])])).mark_point(
        filled=True, size=90, color=_RED
    )
    marked = answer.encode(
        x="effect:Q", y="power:Q", tooltip=["effect:Q", "power:Q", "n_treatment:Q"]
    )
    line = base.mark_line(color=_BLUE)
    return (line + marked).properties(width=_WIDTH, title=alt.Title(**theme.titled(title)))


def adoption(rows: Sequence[Mapping[str, Any]], *, title: str) -> "alt.TopLevelMixin":
    """Draw the share of work done the new way, by time since each unit's start."""
    alt = theme.altair()
    base = alt.Chart(alt.Data(values=[_without_nan(row) for row in rows])).encode(
        x=alt.X(
            "event_time:Q",
            title="periods since the start",
            axis=alt.Axis(tickMinStep=1),
            scale=alt.Scale(nice=False, padding=8),
        )
    )
    share = alt.Y(
        "ci_lower:Q",
        title="share of work done the new way",
        axis=alt.Axis(format="%"),
        scale=alt.Scale(domain=[0, 1]),
    )
    band = base.mark_area(opacity=0.2, color=_BLUE).encode(y=share, y2="ci_upper:Q")
    line = base.mark_line(color=_BLUE, point=True).encode(
        y="adoption_rate:Q",
        tooltip=["event_time:Q", alt.Tooltip("adoption_rate:Q", format=".0%"), "n_units:Q"],
    )
    start = alt.Chart(alt.Data(values=[{"x": -0.5}])).mark_rule(strokeDash=[4, 4]).encode(x="x:Q")
    return (band + line + start).properties(width=_WIDTH, title=alt.Title(**theme.titled(title)))


def designs(rows: Sequence[Mapping[str, Any]], *, title: str) -> "alt.TopLevelMixin":
    """Draw which designs the rows hold, strongest on top, with the reason for each."""
    alt = theme.altair()
    kept = [
        {
            "design": row["design"].replace("_", " "),
            "state": "chosen"
            if row["is_chosen"]
            else "possible"
            if row["is_possible"]
            else "not possible",
            "reason": row["reason"],
        }
        for row in rows
    ]
    base = alt.Chart(alt.Data(values=kept)).encode(
        y=alt.Y("design:N", title=None, sort=None, axis=alt.Axis(labelLimit=200))
    )
    color = alt.Color(
        "state:N",
        scale=alt.Scale(domain=["chosen", "possible", "not possible"], range=[_BLUE, _RED, _GREY]),
    )
    points = base.mark_point(filled=True, size=90).encode(
        x=alt.value(10), color=color, tooltip=["design:N", "state:N", "reason:N"]
    )
    told = base.mark_text(align="left", dx=10, limit=_WIDTH - 40).encode(
        x=alt.value(14), text="reason:N"
    )
    return (points + told).properties(width=_WIDTH, title=alt.Title(**theme.titled(title)))


def _without_nan(row: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        key: None if isinstance(cell, float) and not math.isfinite(cell) else cell
        for key, cell in row.items()
    }
