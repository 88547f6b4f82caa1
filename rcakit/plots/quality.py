"""How do the charts of the quality room look?"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rcakit import wording
from rcakit.findings import json_safe
from rcakit.plots import theme

if TYPE_CHECKING:
    import datetime as dt

    import altair as alt

__all__ = [
    "agreement",
    "audit_estimate",
    "audit_plan",
    "capability",
    "control_chart",
    "drop",
    "drop_segments",
    "funnel",
    "pareto",
    "shared_error",
]

Record = dict[str, Any]

# Blue and orange can be told apart by colour-blind readers (Okabe and Ito 2008); shape says it too.
_QUIET, _LOUD, _GREY = theme.ACCENT, theme.POSITIVE, theme.MUTED
_WIDTH, _HEIGHT = 640, 300
_PERCENT = ".0%"


def control_chart(points: Sequence[Record], *, title: str, kind: str) -> "alt.LayerChart":
    """Draw points in order with centre and stepped limits; signals are large orange diamonds."""
    alt = theme.altair()

    data = _data(
        {
            **row,
            "order": i,
            "subgroup": wording.visible(wording.day(row["subgroup"])),
            "signal": "signal" if row["rules"] else "no signal",
        }
        for i, row in enumerate(points)
    )
    labels = [row["subgroup"] for row in data.values]
    share = ".1%" if kind in {"p", "p_prime"} else ".4~g"
    x = alt.X(
        "order:Q",
        title="subgroup, in time order",
        axis=alt.Axis(labelExpr=f"{_js_list(labels)}[datum.value]", tickMinStep=1, grid=False),
    )
    base = alt.Chart(data).encode(x=x)
    limits = [
        base.mark_line(interpolate="step", color=_GREY, strokeDash=dash).encode(
            y=alt.Y(
                f"{name}:Q",
                title=_chart_unit(kind),
                axis=alt.Axis(format=share),
                scale=alt.Scale(zero=False),
            )
        )
        for name, dash in (("center", [1, 0]), ("lower", [4, 3]), ("upper", [4, 3]))
    ]
    line = base.mark_line(color=_QUIET, strokeWidth=1).encode(y="statistic:Q")
    dots = base.mark_point(filled=True).encode(
        y="statistic:Q",
        color=_two_colours("signal", ("no signal", "signal")),
        shape=alt.Shape(
            "signal:N",
            title=None,
            scale=alt.Scale(domain=["no signal", "signal"], range=["circle", "diamond"]),
        ),
        size=alt.condition("datum.signal == 'signal'", alt.value(120), alt.value(30)),
        tooltip=["subgroup:N", alt.Tooltip("statistic:Q", format=share), "rules:N"],
    )
    return _titled(alt.layer(*limits, line, dots), title)


def agreement(rows: Sequence[Record], *, title: str) -> "alt.LayerChart":
    """Draw coefficients with intervals on one scale from below zero to one."""
    alt = theme.altair()

    return _intervals(
        [{**row, "name": row["coefficient"].replace("_", " ")} for row in rows],
        title,
        "agreement (1 = complete, 0 = chance)",
        scale=alt.Scale(domain=[min(0.0, _lowest(rows)), 1]),
    )


def capability(rows: Sequence[Record], *, title: str) -> "alt.LayerChart":
    """Draw capability indices with intervals; defects per million have a scale of their own."""
    shown = [{**row, "name": row["index"]} for row in rows if row["index"] != "dpmo"]
    return _intervals(shown, title, "index (sigma level for counted defects)")


def pareto(rows: Sequence[Record], *, title: str) -> "alt.LayerChart":
    """Draw bars, largest first, with the cumulative share."""
    alt = theme.altair()

    data = _data(
        {
            **row,
            "category": wording.visible(row["category"]),
            "vital": "vital few" if row["is_vital"] else "useful many",
        }
        for row in rows
    )
    base = alt.Chart(data).encode(
        x=alt.X("category:N", sort=None, title=None, axis=alt.Axis(labelAngle=-35))
    )
    bars = base.mark_bar().encode(
        y=alt.Y(
            "share:Q",
            title="share of the total",
            axis=alt.Axis(format=_PERCENT),
            scale=alt.Scale(domain=[0, 1]),
        ),
        color=_two_colours("vital", ("useful many", "vital few")),
        tooltip=["category:N", "amount:Q", alt.Tooltip("share:Q", format=".1%")],
    )
    line = base.mark_line(point=True, color=_GREY).encode(y="cumulative_share:Q")
    return _titled(bars + line, title)


def funnel(rows: Sequence[Record], *, target: float, title: str) -> "alt.LayerChart":
    """Draw rates against cases with limits; units that stand apart carry their name."""
    alt = theme.altair()

    data = _data(
        {
            **row,
            "unit": wording.visible(row["unit"]),
            "apart": "apart" if row["position"] != "not separable" else "ordinary",
        }
        for row in sorted(rows, key=lambda row: row["n_obs"])
    )
    base = alt.Chart(data).encode(x=alt.X("n_obs:Q", title="cases", scale=alt.Scale(type="sqrt")))
    limits = [
        base.mark_line(color=_GREY, strokeDash=[4, 3]).encode(y=f"{name}:Q")
        for name in ("lower", "upper")
    ]
    middle = alt.Chart(_data([{"target": target}])).mark_rule(color=_GREY).encode(y="target:Q")
    dots = base.mark_point(filled=True, size=70).encode(
        y=alt.Y("rate:Q", title="rate", axis=alt.Axis(format=".1%"), scale=alt.Scale(zero=False)),
        color=_two_colours("apart", ("ordinary", "apart")),
        shape=alt.Shape(
            "apart:N",
            title=None,
            scale=alt.Scale(domain=["ordinary", "apart"], range=["circle", "diamond"]),
        ),
        tooltip=["unit:N", "n_obs:Q", alt.Tooltip("rate:Q", format=".2%")],
    )
    names = (
        base.transform_filter("datum.apart == 'apart'")
        .mark_text(dx=8, align="left")
        .encode(y="rate:Q", text="unit:N")
    )
    return _titled(alt.layer(*limits, middle, dots, names), title)


def audit_plan(
    strata: Sequence[Record], curve: Sequence[Record], *, title: str
) -> "alt.TopLevelMixin":
    """Draw the chance of acceptance by error rate, or the sample per stratum."""
    alt = theme.altair()

    if curve:
        line = (
            alt.Chart(_data(curve))
            .mark_line(color=_QUIET)
            .encode(
                x=alt.X("error_rate:Q", title="true error rate", axis=alt.Axis(format=_PERCENT)),
                y=alt.Y(
                    "acceptance_probability:Q",
                    title="chance that the batch is accepted",
                    axis=alt.Axis(format=_PERCENT),
                ),
            )
        )
        return _titled(line, title)
    bars = alt.Chart(_data({**row, "stratum": wording.visible(row["stratum"])} for row in strata))
    return _titled(
        bars.mark_bar(color=_QUIET).encode(
            x=alt.X("n_sample:Q", title="decisions to check"), y=alt.Y("stratum:N", title=None)
        ),
        title,
    )


def audit_estimate(rows: Sequence[Record], *, title: str) -> "alt.LayerChart":
    """Draw each measure of each group with its interval."""
    shown = [{**row, "name": f"{row['group']}: {row['measure']}"} for row in rows]
    return _intervals(shown, title, "share of decisions", percent=True)


def drop(rows: Sequence[Record], *, title: str, started_at: "dt.date") -> "alt.TopLevelMixin":
    """Draw accuracy and overturns by week, in the segment and elsewhere; a rule marks the start."""
    alt = theme.altair()

    data = _data({**row, "week_start": row["week_start"].isoformat()} for row in rows)
    parts = [name for name in _PARTS if any(row["where"] == name for row in rows)]
    colours = [_PARTS[name] for name in parts]
    where = alt.Color("where:N", title=None, scale=alt.Scale(domain=parts, range=colours))
    base = alt.Chart(data).encode(
        x=alt.X("week_start:T", title="week", axis=alt.Axis(format="%d %b", grid=False)),
        y=alt.Y(
            "rate:Q", title="share", axis=alt.Axis(format=_PERCENT), scale=alt.Scale(zero=False)
        ),
        color=where,
        tooltip=["week_start:T", "where:N", alt.Tooltip("rate:Q", format=".1%"), "n_obs:Q"],
    )
    dashes = alt.Scale(domain=parts, range=[[4, 2] if p == parts[0] else [1, 0] for p in parts])
    lines = base.mark_line(point=True).encode(
        strokeDash=alt.StrokeDash("where:N", title=None, scale=dashes)
    )
    rule = (
        alt.Chart()
        .mark_rule(color=_GREY, strokeDash=[4, 3])
        .encode(
            x=alt.datum(
                alt.DateTime(year=started_at.year, month=started_at.month, date=started_at.day)
            )
        )
    )
    panels = (
        alt.layer(lines, rule, data=data)
        .properties(width=_WIDTH // 2 - 20, height=_HEIGHT - 60)
        .facet(facet=alt.Facet("measure:N", title=None), columns=2)
        .resolve_scale(y="independent")
    )
    return panels.properties(title=theme.titled(title))


def drop_segments(rows: Sequence[Record], *, title: str, what: str) -> "alt.LayerChart":
    """Draw the change inside each segment with its interval, the best explanation first."""
    alt = theme.altair()

    data = _data(
        {
            **row,
            "segment": wording.visible(row["segment"]),
            "fits": _FITS[i == 0 and row["is_explanation"]],
        }
        for i, row in enumerate(rows)
    )
    order = [row["segment"] for row in data.values]
    base = alt.Chart(data).encode(
        y=alt.Y("segment:N", title=None, sort=order, axis=alt.Axis(labelLimit=260)),
        color=_two_colours("fits", (_FITS[False], _FITS[True])),
    )
    said = f"change of {what} in the segment"
    x = alt.X("effect:Q", title=said, axis=alt.Axis(format="+.0%"))
    dots = base.mark_point(filled=True, size=70).encode(x=x, tooltip=["segment:N", "effect:Q"])
    bars = base.mark_rule().encode(x=alt.X("effect_ci_lower:Q", title=said), x2="effect_ci_upper:Q")
    zero = alt.Chart().mark_rule(color=_GREY).encode(x=alt.datum(0))
    return _titled(alt.layer(zero, bars, dots, data=data), title)


_PARTS = {"in the segment": _LOUD, "elsewhere": _QUIET, "everywhere": _QUIET}
_FITS = {False: "does not explain it", True: "explains it"}


def shared_error(rows: Sequence[Record], *, title: str) -> "alt.LayerChart":
    """Draw both rates before and after, one line each."""
    alt = theme.altair()

    data = _data(
        {"measure": row["measure"], "side": side, "rate": row[side]}
        for row in rows
        for side in ("before", "after")
    )
    lines = (
        alt.Chart(data)
        .mark_line(point=True)
        .encode(
            x=alt.X("side:N", sort=["before", "after"], title=None, axis=alt.Axis(labelAngle=0)),
            y=alt.Y("rate:Q", title="rate", axis=alt.Axis(format=_PERCENT)),
            color=_two_colours("measure", ("agreement", "overturn")),
            strokeDash=alt.StrokeDash("measure:N", legend=None),
        )
    )
    return _titled(alt.layer(lines), title)


def _intervals(
    rows: Sequence[Record], title: str, unit: str, *, percent: bool = False, scale: Any = None
) -> "alt.LayerChart":
    alt = theme.altair()

    axis = alt.Axis(format=_PERCENT) if percent else alt.Axis()
    base = alt.Chart(_data({**row, "name": wording.visible(row["name"])} for row in rows)).encode(
        y=alt.Y("name:N", title=None, sort=None, axis=alt.Axis(labelLimit=300))
    )
    x = alt.X("ci_lower:Q", title=unit, axis=axis, scale=scale or alt.Scale(zero=False))
    rule = base.mark_rule(color=_QUIET).encode(x=x, x2="ci_upper:Q")
    dot = base.mark_point(filled=True, size=60, color=_QUIET).encode(x="estimate:Q")
    return _titled(alt.layer(rule, dot), title, height=max(60, 26 * len(rows)))


def _two_colours(field: str, domain: tuple[str, str]) -> "alt.Color":
    alt = theme.altair()

    return alt.Color(
        f"{field}:N", title=None, scale=alt.Scale(domain=list(domain), range=[_QUIET, _LOUD])
    )


def _titled(chart: Any, title: str, *, height: int = _HEIGHT) -> Any:
    """Set the message as title, broken into lines a reader can take in."""
    return chart.properties(width=_WIDTH, height=height, title=theme.titled(title))


def _data(rows: Any) -> Any:
    alt = theme.altair()

    return alt.InlineData(values=[json_safe(row) for row in rows])


def _js_list(labels: Sequence[str]) -> str:
    """Write labels as an array of a Vega expression; JSON is a subset of it."""
    import json

    return json.dumps(list(labels))


def _lowest(rows: Sequence[Record]) -> float:
    known = [row["ci_lower"] for row in rows if row["ci_lower"] == row["ci_lower"]]
    return min(known, default=0.0)


def _chart_unit(kind: str) -> str:
    return {
        "p": "share",
        "p_prime": "share",
        "np": "cases",
        "c": "events",
        "u": "events per unit",
        "u_prime": "events per unit",
        "seasonal": "events",
        "r": "range of the subgroup",
        "s": "standard deviation of the subgroup",
        "ewma": "weighted moving average",
        "cusum": "cumulative sum, standard errors",
    }.get(kind, "value")
