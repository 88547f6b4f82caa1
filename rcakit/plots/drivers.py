"""Charts of attribution: waterfall of causes, segments by day, is and is not, change log."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rcakit import wording
from rcakit.plots import theme

if TYPE_CHECKING:
    import altair as alt

__all__ = ["cause_waterfall", "change_timeline", "is_and_is_not", "segment_days"]

_LABEL_WIDTH = 44


def cause_waterfall(
    segments: Sequence[Mapping[str, Any]],
    *,
    expected: float,
    observed: float,
    unit: str,
    title: str,
    at_risk: float | None = None,
    parts: tuple[float, float] | None = None,
    confidence_level: float = 0.95,
) -> "alt.TopLevelMixin":
    """Draw the way from what was expected to what was observed, one step per named segment.

    With `at_risk`, the number at risk in the period, the metric is a ratio: a step is the segment's
    rate and mix part, and its line shows how far its excess of events would shift the ratio. The
    last step is what no segment explains; without segments, `parts` splits it into what the rates
    and what the mix did.
    """
    alt = theme.altair()
    is_ratio = at_risk is not None
    rows = _steps(segments, expected=expected, observed=observed, at_risk=at_risk, parts=parts)
    form = ".1%" if is_ratio else ",.0f"
    base = alt.Chart(alt.Data(values=rows)).encode(
        y=alt.Y(
            "step:N",
            sort=None,
            title=None,
            axis=alt.Axis(labelLimit=420, labelPadding=8, labelFontSize=12),
        )
    )
    colours = alt.Scale(
        domain=["total", "more", "fewer", "rest"],
        range=[theme.ACCENT, theme.POSITIVE, theme.NEGATIVE, theme.MUTED],
    )
    label = f"rate of {wording.visible(unit)}" if is_ratio else wording.visible(unit)
    bars = base.mark_bar(height=16).encode(
        x=alt.X("start:Q", title=label, axis=alt.Axis(format=form), scale=alt.Scale(zero=True)),
        x2="end:Q",
        color=alt.Color("kind:N", scale=colours, legend=None),
        tooltip=[alt.Tooltip("size:Q", title="step", format=form)],
    )
    spans = base.mark_rule(strokeWidth=2, color="#1f2328").encode(x="lower:Q", x2="upper:Q")
    subtitle = "From expected to observed."
    if segments:
        subtitle += f" Thin lines: {100 * confidence_level:g} % intervals of a step."
    return alt.layer(bars, spans).properties(
        title=alt.Title(**theme.titled(title, subtitle)), width=480, height=alt.Step(34)
    )


def _steps(
    segments: Sequence[Mapping[str, Any]],
    *,
    expected: float,
    observed: float,
    at_risk: float | None,
    parts: tuple[float, float] | None = None,
) -> list[dict[str, Any]]:
    at = expected
    rows = [_step(["expected"], 0.0, expected, "total")]
    for row in segments:
        size = row["effect"] if at_risk is None else row["rate_effect"] + row["mix_effect"]
        step = _step(
            _wrapped(wording.segment(row["segment"])),
            at,
            at + size,
            "more" if size > 0 else "fewer",
        )
        for side in ("lower", "upper"):
            away = (row[f"effect_ci_{side}"] - row["effect"]) / (at_risk or 1.0)
            step[side] = _finite(at + size + away, digits=6)
        rows.append(step)
        at += size
    if parts and not segments:
        rows.append(_step(["rates inside segments"], at, at + parts[0], "rest"))
        rows.append(_step(["mix of segments"], at + parts[0], observed, "rest"))
        return [*rows, _step(["observed"], 0.0, observed, "total")]
    name = "everything else" if segments else "everything together"
    return [*rows, _step([name], at, observed, "rest"), _step(["observed"], 0.0, observed, "total")]


def _step(name: list[str], start: float, end: float, kind: str) -> dict[str, Any]:
    size = {"size": round(end - start, 6), "lower": None, "upper": None}
    return {"step": name, "start": round(start, 6), "end": round(end, 6), "kind": kind, **size}


def segment_days(
    cells: Sequence[Mapping[str, Any]], *, unit: str, title: str
) -> "alt.TopLevelMixin":
    """Draw segments by day as a heat map: how many times its usual day each one showed."""
    alt = theme.altair()
    rows = [
        {
            "segment": "\n".join(
                _wrapped(wording.segment(cell["segment"]) if cell["segment"] else "everything else")
            ),
            "day": cell["day"].isoformat(),
            "times": _finite(max(-2.0, min(2.0, cell["log2_ratio"]))),
            "observed": round(cell["observed"], 1),
            "usual": round(cell["usual"], 1),
            "when": "period" if cell["is_period"] else "baseline",
        }
        for cell in cells
    ]
    n_days = len({row["day"] for row in rows})
    colours = alt.Scale(
        domain=[-2, 0, 2], range=[theme.NEGATIVE, "#f4f4f4", theme.POSITIVE], clamp=True
    )
    legend = alt.Legend(
        title="times the usual day",
        labelExpr="format(pow(2, datum.value), '.2~f') + ' ×'",
        values=[-2, -1, 0, 1, 2],
        gradientLength=220,
    )
    axis = alt.Axis(
        labelAngle=-45, labelOverlap=True, ticks=False, labelExpr="slice(datum.label, 5)"
    )
    return (
        alt.Chart(alt.Data(values=rows), width=max(240, min(640, 15 * n_days)), height=alt.Step(34))
        .mark_rect(stroke="white", strokeWidth=1)
        .encode(
            x=alt.X("day:O", title="day (month-day)", axis=axis),
            y=alt.Y(
                "segment:N",
                sort=None,
                title=None,
                axis=alt.Axis(labelLimit=420, labelExpr="split(datum.label, '\\n')"),
            ),
            color=alt.Color("times:Q", scale=colours, legend=legend),
            tooltip=[
                alt.Tooltip("day:O"),
                alt.Tooltip("observed:Q", title=wording.visible(unit)),
                alt.Tooltip("usual:Q"),
                alt.Tooltip("when:N"),
            ],
        )
        .properties(title=alt.Title(**theme.titled(title)))
    )


def is_and_is_not(
    rows: Sequence[Mapping[str, Any]], *, unit: str, title: str
) -> "alt.TopLevelMixin":
    """Draw the values of the named segment beside their siblings: what moved, and what did not."""
    alt = theme.altair()
    values = [
        {
            "value": _wrapped(f"{wording.name(row['dimension'])} = {wording.name(row['value'])}"),
            "what": "is" if row["is_inside"] else "is not",
            "times": _finite(row["ratio"]),
            "observed": round(row["observed"], 1),
            "usual": round(row["usual"], 1),
        }
        for row in rows
    ]
    colours = alt.Scale(domain=["is", "is not"], range=[theme.POSITIVE, theme.MUTED])
    base = alt.Chart(alt.Data(values=values), width=440, height=alt.Step(24)).encode(
        y=alt.Y("value:N", sort=None, title=None, axis=alt.Axis(labelLimit=420, grid=True))
    )
    points = base.mark_point(filled=True, size=110, opacity=1).encode(
        x=alt.X("times:Q", title="times the usual level", scale=alt.Scale(zero=True)),
        color=alt.Color("what:N", scale=colours),
        shape=alt.Shape(
            "what:N", scale=alt.Scale(domain=["is", "is not"], range=["diamond", "circle"])
        ),
        tooltip=[
            alt.Tooltip("observed:Q", title=wording.visible(unit)),
            alt.Tooltip("usual:Q"),
        ],
    )
    texts = (
        base.mark_text(align="left", dx=10, color="#4a4f57")
        .encode(
            x="times:Q",
            text=alt.Text("label:N"),
        )
        .transform_calculate(
            label="format(datum.observed, ',.0f') + ' for ' + format(datum.usual, ',.0f')"
        )
    )
    usual = (
        alt.Chart(alt.Data(values=[{"times": 1}])).mark_rule(strokeDash=[4, 3]).encode(x="times:Q")
    )
    return alt.layer(usual, points, texts).properties(title=alt.Title(**theme.titled(title)))


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


def _finite(value: float, *, digits: int = 2) -> float | None:
    return round(value, digits) if math.isfinite(value) else None
