"""Charts of attribution: the excess of each segment, the change log around the onset."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rcakit import wording
from rcakit.plots import theme

if TYPE_CHECKING:
    import altair as alt

__all__ = ["change_timeline", "segment_effects"]

_LABEL_WIDTH = 44


def segment_effects(
    segments: Sequence[Mapping[str, Any]], *, rest: float, unit: str, title: str
) -> "alt.TopLevelMixin":
    """Draw the excess of each named segment with its interval, and of everything else."""
    alt = theme.altair()
    rows = [
        {
            "segment": _wrapped(wording.segment(row["segment"])),
            "effect": round(row["effect"], 2),
            "lower": _finite(row["effect_ci_lower"]),
            "upper": _finite(row["effect_ci_upper"]),
            "direction": "more" if row["effect"] > 0 else "fewer",
        }
        for row in segments
    ]
    everything_else = "everything else" if segments else "everything together"
    rows.append(
        {
            "segment": [everything_else],
            "effect": round(rest, 2),
            "lower": None,
            "upper": None,
            "direction": "rest",
        }
    )
    base = alt.Chart(alt.Data(values=rows)).encode(
        y=alt.Y(
            "segment:N",
            sort=None,
            title=None,
            axis=alt.Axis(labelLimit=420, labelPadding=8, labelFontSize=12),
        )
    )
    colours = alt.Scale(
        domain=["more", "fewer", "rest"], range=[theme.POSITIVE, theme.NEGATIVE, theme.MUTED]
    )
    label = f"{wording.visible(unit)} more (+) or fewer (−) than expected"
    bars = base.mark_bar(height=16).encode(
        x=alt.X("effect:Q", title=label),
        color=alt.Color("direction:N", scale=colours, legend=None),
        tooltip=[alt.Tooltip("effect:Q", title="excess", format=",.0f")],
    )
    spans = base.mark_rule(strokeWidth=2, color="#1f2328").encode(x="lower:Q", x2="upper:Q")
    return alt.layer(bars, spans).properties(
        title=alt.Title(**theme.titled(title, "Black lines: 95 % intervals.")),
        width=480,
        height=alt.Step(34),
    )


def change_timeline(changes: Sequence[Mapping[str, Any]], *, title: str) -> "alt.TopLevelMixin":
    """Draw logged changes by days before the onset; those that fit stand out."""
    alt = theme.altair()
    rows = [
        {
            "change": _wrapped(wording.visible(row["title"])),
            "days": round(-row["days_before_onset"], 2),
            "fit": "fits" if row["is_plausible"] else "set aside",
            "reason": wording.visible(row["reason"], longest=160),
        }
        for row in changes
    ]
    colours = alt.Scale(domain=["fits", "set aside"], range=[theme.POSITIVE, theme.MUTED])
    points = (
        alt.Chart(alt.Data(values=rows), height=alt.Step(30), width=440)
        .mark_point(filled=True, size=110, opacity=1)
        .encode(
            x=alt.X(
                "days:Q", title="days from the onset of the change", scale=alt.Scale(nice=True)
            ),
            y=alt.Y("change:N", sort=None, title=None, axis=alt.Axis(labelLimit=420, grid=True)),
            color=alt.Color("fit:N", scale=colours),
            shape=alt.Shape(
                "fit:N",
                scale=alt.Scale(domain=["fits", "set aside"], range=["diamond", "circle"]),
            ),
            tooltip=[alt.Tooltip("reason:N")],
        )
    )
    onset = (
        alt.Chart(alt.Data(values=[{"days": 0}])).mark_rule(strokeDash=[4, 3]).encode(x="days:Q")
    )
    return alt.layer(onset, points).properties(title=alt.Title(**theme.titled(title)))


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, _LABEL_WIDTH) or [""]


def _finite(value: float) -> float | None:
    return round(value, 2) if math.isfinite(value) else None
