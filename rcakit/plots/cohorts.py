"""How do the charts of the cohorts room look?"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rcakit import wording
from rcakit.findings import json_safe
from rcakit.plots import theme

if TYPE_CHECKING:
    import altair as alt

__all__ = ["effects", "love", "retention", "survival"]

Record = dict[str, Any]

# Blue and orange can be told apart by colour-blind readers (Okabe and Ito 2008); shape says it too.
_BEFORE, _AFTER, _GREY = theme.POSITIVE, theme.ACCENT, theme.MUTED
_PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
_WIDTH = 640
_BALANCED = 0.1
_DASHES = ([1, 0], [6, 3], [2, 2], [8, 2, 2, 2], [4, 1])


def effects(rows: Sequence[Record], *, reference: str, title: str) -> "alt.TopLevelMixin":
    """Draw differences from the reference, as they are and at equal mix; one panel per outcome."""
    alt = theme.altair()

    outcomes = list(dict.fromkeys(row["outcome"] for row in rows))
    panels = [
        _effects_of(
            [row for row in rows if row["outcome"] == outcome],
            x_title=f"{wording.visible(outcome)}: difference from {wording.visible(reference)}",
        )
        for outcome in outcomes
    ]
    drawn = panels[0] if len(panels) == 1 else alt.vconcat(*panels)  # units differ, so do axes
    return drawn.properties(title=theme.titled(title))


def _effects_of(rows: Sequence[Record], *, x_title: str) -> Any:
    """Draw the differences of one outcome, one row per cohort."""
    alt = theme.altair()

    shown = [
        {
            "name": wording.visible(row["cohort"]),
            "which": which,
            "estimate": row[name],
            "low": row[f"{name}_ci_lower"],
            "high": row[f"{name}_ci_upper"],
        }
        for row in rows
        for which, name in (("as they are", "effect"), ("at equal mix", "adjusted_effect"))
        if not math.isnan(row[name])
    ]
    base = alt.Chart(_data(shown)).encode(
        y=alt.Y("name:N", title=None, sort=None, axis=alt.Axis(labelLimit=320)),
        yOffset=alt.YOffset("which:N", sort=["as they are", "at equal mix"]),
        color=_before_after("which", ("as they are", "at equal mix")),
    )
    rule = base.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q", title=x_title), x2="high:Q")
    dot = base.mark_point(filled=True, size=70).encode(
        x="estimate:Q",
        shape=alt.Shape(
            "which:N",
            title=None,
            scale=alt.Scale(domain=["as they are", "at equal mix"], range=["diamond", "circle"]),
        ),
    )
    height = max(60, 40 * len({row["name"] for row in shown}))
    return alt.layer(_vertical(0.0), rule, dot).properties(width=_WIDTH, height=height)


def love(rows: Sequence[Record], *, title: str) -> "alt.LayerChart":
    """Draw standardised differences of covariates before and after weighting."""
    alt = theme.altair()

    shown = [
        {
            "name": wording.visible(row["covariate"])
            + ("" if row["level"] is None else f": {wording.visible(row['level'])}"),
            "which": which,
            "smd": row[name],
        }
        for row in rows
        for which, name in (("before", "smd_raw"), ("after", "smd_adjusted"))
        if not math.isnan(row[name])
    ]
    base = alt.Chart(_data(shown)).encode(
        y=alt.Y("name:N", title=None, sort=None, axis=alt.Axis(labelLimit=320)),
        x=alt.X("smd:Q", title="difference in standard deviations"),
    )
    dots = base.mark_point(filled=True, size=60).encode(
        color=_before_after("which", ("before", "after")),
        shape=alt.Shape(
            "which:N",
            title=None,
            scale=alt.Scale(domain=["before", "after"], range=["diamond", "circle"]),
        ),
    )
    lines = [_vertical(at, dash=[4, 3]) for at in (-_BALANCED, _BALANCED)]
    names = len({row["name"] for row in shown})
    return _titled(alt.layer(_vertical(0.0), *lines, dots), title, height=max(60, 20 * names))


def survival(
    rows: Sequence[Record], *, title: str, unit: str, sla: float | None
) -> "alt.LayerChart":
    """Draw the share still open over time, stepped, with bands."""
    alt = theme.altair()

    names = list(dict.fromkeys(wording.visible(row["cohort"]) for row in rows))
    start = [
        {
            "cohort": name,
            "at": 0.0,
            "survival": 1.0,
            "survival_ci_lower": 1.0,
            "survival_ci_upper": 1.0,
        }
        for name in names
    ]
    data = _data([*start, *({**row, "cohort": wording.visible(row["cohort"])} for row in rows)])
    colour = alt.Color(
        "cohort:N",
        title=None,
        legend=alt.Legend(symbolOpacity=1),
        scale=alt.Scale(
            domain=names, range=[_PALETTE[i % len(_PALETTE)] for i in range(len(names))]
        ),
    )
    base = alt.Chart(data).encode(x=alt.X("at:Q", title=unit), color=colour)
    band = base.mark_area(opacity=0.15, interpolate="step-after").encode(
        y=alt.Y(
            "survival_ci_lower:Q",
            title="share still open",
            axis=alt.Axis(format=".0%"),
            scale=alt.Scale(domain=[0, 1]),
        ),
        y2="survival_ci_upper:Q",
    )
    line = base.mark_line(interpolate="step-after").encode(
        y="survival:Q",
        strokeDash=alt.StrokeDash(
            "cohort:N",
            title=None,
            scale=alt.Scale(
                domain=names, range=[_DASHES[i % len(_DASHES)] for i in range(len(names))]
            ),
        ),
    )
    target = [] if sla is None else [_vertical(sla, dash=[4, 3])]
    return _titled(alt.layer(band, line, *target), title, height=300)


def retention(rows: Sequence[Record], *, title: str, step: str) -> "alt.LayerChart":
    """Draw a heat map of start period by age, shares written in; pale where the period goes on."""
    alt = theme.altair()

    data = _data(
        {**row, "started_at": wording.day(row["started_at"])} for row in rows if row["age"] > 0
    )
    base = alt.Chart(data).encode(
        x=alt.X("age:O", title=f"{step}s after the start", axis=alt.Axis(labelAngle=0)),
        y=alt.Y("started_at:O", title=f"started in the {step} of"),
    )
    cells = base.mark_rect().encode(
        opacity=alt.condition("datum.is_complete", alt.value(1), alt.value(0.45)),
        color=alt.Color(
            "active_rate:Q",
            title="share",
            scale=alt.Scale(scheme="blues"),
            legend=alt.Legend(format=".0%"),
        ),
        tooltip=[
            "started_at:N",
            "age:O",
            "started_count:Q",
            alt.Tooltip("active_rate:Q", format=".1%"),
        ],
    )
    peak = max((row["active_rate"] for row in rows if row["age"] > 0), default=0.0)
    words = base.mark_text(fontSize=9).encode(
        text=alt.Text("active_rate:Q", format=".0%"),
        color=alt.condition(
            f"datum.is_complete && datum.active_rate > {peak * 0.6}",
            alt.value("white"),
            alt.value("black"),
        ),
    )
    starts = len({row["started_at"] for row in rows})
    return _titled(alt.layer(cells, words), title, height=max(80, 22 * starts))


def _vertical(at: float, *, dash: list[int] | None = None) -> "alt.Chart":
    alt = theme.altair()

    return (
        alt.Chart(_data([{"x": at}]))
        .mark_rule(color=_GREY, strokeDash=dash or [1, 0])
        .encode(x="x:Q")
    )


def _before_after(field: str, domain: tuple[str, str]) -> "alt.Color":
    alt = theme.altair()

    return alt.Color(
        f"{field}:N", title=None, scale=alt.Scale(domain=list(domain), range=[_BEFORE, _AFTER])
    )


def _titled(chart: Any, title: str, *, height: int) -> Any:
    """Set the message as title, broken into lines a reader can take in."""
    return chart.properties(width=_WIDTH, height=height, title=theme.titled(title))


def _data(rows: Any) -> Any:
    alt = theme.altair()

    return alt.InlineData(values=[json_safe(row) for row in rows])
