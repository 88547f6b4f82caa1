"""Charts of series over time: observed against expected, rows per day."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rcakit import wording
from rcakit.plots import theme

if TYPE_CHECKING:
    import altair as alt

__all__ = ["daily_rows", "observed_and_expected"]

_SMALL_MULTIPLES = 12


def daily_rows(rows: Sequence[Mapping[str, Any]], *, title: str) -> "alt.TopLevelMixin":
    """Draw rows per day as bars."""
    alt = theme.altair()
    data = alt.Data(
        values=[{"day": str(row["period_start"]), "rows": row["n_rows"]} for row in rows]
    )
    return (
        alt.Chart(data, title=alt.Title(**theme.titled(title)), width=680, height=140)
        .mark_bar(color=theme.MUTED)
        .encode(
            x=alt.X("day:T", title=None),
            y=alt.Y("rows:Q", title="rows per day"),
            tooltip=[alt.Tooltip("day:T", title="day"), alt.Tooltip("rows:Q", title="rows")],
        )
    )


def observed_and_expected(
    periods: Sequence[Mapping[str, Any]],
    incidents: Sequence[Mapping[str, Any]],
    *,
    keys: Sequence[str] = (),
    unit: str,
    title: str,
    every: str = "1d",
) -> "alt.TopLevelMixin":
    """Draw observed counts over the band of what was expected; incidents are shaded.

    Several series are drawn as small multiples, at most twelve, those with incidents first.
    """
    alt = theme.altair()
    rows = [_row(period, keys) for period in periods]
    shaded = [_shade(incident, keys, rows) for incident in incidents]
    names = list(dict.fromkeys([row["series"] for row in (*shaded, *rows)]))[:_SMALL_MULTIPLES]
    panels = [
        _panel(
            [row for row in rows if row["series"] == name],
            [row for row in shaded if row["series"] == name],
            unit=unit,
            name=name if keys else "",
            step={"1h": "hour", "1d": "day", "1w": "week", "1mo": "month"}[every],
        )
        for name in names
    ]
    drawn = panels[0] if len(panels) == 1 else alt.vconcat(*panels)
    legend = "Line: observed. Band: what the past lets us expect (95 %). Shaded: incidents."
    return drawn.properties(title=alt.Title(**theme.titled(title, legend)))


def _row(period: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    numbers = {
        name: None if math.isnan(period[name]) else round(period[name], 3)
        for name in ("observed", "expected", "expected_lower", "expected_upper")
    }
    return {"day": str(period["period_start"]), "series": _name(period, keys), **numbers}


def _shade(
    incident: Mapping[str, Any], keys: Sequence[str], rows: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    last = incident["ended_at"] or rows[-1]["day"]
    return {
        "series": _name(incident, keys),
        "from": str(incident["started_at"]),
        "to": str(last) if ":" in str(last) else f"{last}T23:59:59",
        "what": incident["kind"].replace("_", " "),
        "direction": "up" if incident["excess"] > 0 else "down",
    }


def _name(row: Mapping[str, Any], keys: Sequence[str]) -> str:
    return wording.segment({key: row[key] for key in keys}) if keys else ""


def _panel(
    rows: list[dict[str, Any]],
    shaded: list[dict[str, Any]],
    *,
    unit: str,
    name: str,
    step: str,
) -> "alt.LayerChart":
    alt = theme.altair()
    x = alt.X("day:T", title=None)
    base = alt.Chart(alt.Data(values=rows), width=680, height=110 if name else 260)
    tips = [
        alt.Tooltip("day:T", title=step, format="%Y-%m-%d %H:%M" if step == "hour" else "%Y-%m-%d"),
        alt.Tooltip("observed:Q", title="observed", format=".4~g"),
        alt.Tooltip("expected:Q", title="expected", format=".4~g"),
        alt.Tooltip("expected_lower:Q", title="expected, at least", format=".4~g"),
        alt.Tooltip("expected_upper:Q", title="expected, at most", format=".4~g"),
    ]
    # A panel is named over it: a long name would not fit along its axis.
    label = f"{wording.visible(unit)} per {step}"
    band = base.mark_area(color=theme.BAND, opacity=0.45).encode(
        x=x, y=alt.Y("expected_lower:Q", title=label), y2="expected_upper:Q"
    )
    line = base.mark_line(color=theme.ACCENT, strokeWidth=1.6).encode(x=x, y="observed:Q")
    points = base.mark_point(color=theme.ACCENT, filled=True, size=14).encode(
        x=x, y="observed:Q", tooltip=tips
    )
    colours = alt.Scale(domain=["up", "down"], range=[theme.POSITIVE, theme.NEGATIVE])
    shade = (
        alt.Chart(alt.Data(values=shaded))
        .mark_rect(opacity=0.18)
        .encode(
            x="from:T",
            x2="to:T",
            color=alt.Color("direction:N", scale=colours, legend=None),
            tooltip=[alt.Tooltip("what:N", title="incident"), alt.Tooltip("from:T", title="from")],
        )
    )
    drawn = alt.layer(shade, band, line, points)
    return (
        drawn.properties(title=alt.Title(text=name, anchor="start", fontSize=12)) if name else drawn
    )
