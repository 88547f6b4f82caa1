"""Charts of rings: all of them, one as nodes and links, who joined when, tracks over periods."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rcakit import wording
from rcakit.plots import theme

if TYPE_CHECKING:
    import altair as alt
    import networkx as nx

__all__ = ["joins", "node_link", "overview", "ranked", "tracks"]

_MOST_NODES = 200
_LABELLED_NODES = 20
_LEAST_STRESSED, _STRESSED_NODES = 2, 80
_HEIGHT = 420


def overview(rows: Sequence[Mapping[str, Any]], *, title: str) -> "alt.TopLevelMixin":
    """Draw every ring by its size and score; those with known accounts stand out."""
    alt = theme.altair()
    values = [
        {
            "ring": row["ring_id"],
            "accounts": row["n_accounts"],
            "score": round(row["score"], 3),
            "confirmations": row["n_confirmations"],
            "known": "has known accounts" if row["known_bad_count"] else "no known account",
        }
        for row in rows
    ]
    names = ["no known account", "has known accounts"]
    return (
        alt.Chart(alt.Data(values=values), title=alt.Title(**theme.titled(title)), width=680)
        .mark_circle(opacity=0.8)
        .encode(
            x=alt.X("accounts:Q", title="accounts in the ring"),
            y=alt.Y("score:Q", title="score (exclusive attributes)"),
            size=alt.Size("confirmations:Q", legend=None),
            color=alt.Color(
                "known:N", scale=alt.Scale(domain=names, range=[theme.ACCENT, theme.POSITIVE])
            ),
            tooltip=["ring:N", "accounts:Q", "score:Q", "confirmations:Q"],
        )
    )


def node_link(graph: "nx.Graph", *, title: str) -> "alt.TopLevelMixin":
    """Draw a ring as nodes and links; at most 200 nodes, those with most evidence first.

    Names are written beside up to 20 nodes; beyond that they are in the tooltip.
    """
    alt = theme.altair()
    drawn, left_out = _largest_part(graph)
    place = _places(drawn)
    links = [
        _link(place, first, second, values) for first, second, values in drawn.edges(data=True)
    ]
    nodes = [
        _node(place, node, values, drawn.degree(node)) for node, values in drawn.nodes(data=True)
    ]
    subtitle = f"{left_out} nodes with less evidence are not drawn" if left_out else ""
    axis = {"axis": None, "scale": alt.Scale(domain=[-1.15, 1.15])}
    lines = (
        alt.Chart(alt.Data(values=links))
        .mark_rule(color=theme.MUTED)
        .encode(
            x=alt.X("x:Q", **axis),
            y=alt.Y("y:Q", **axis),
            x2="x2:Q",
            y2="y2:Q",
            strokeWidth=alt.StrokeWidth("weight:Q", scale=alt.Scale(range=[0.4, 3]), legend=None),
            opacity=alt.value(0.45 if len(links) < 4 * _MOST_NODES else 0.15),
            tooltip=["weight:Q", "shared:N" if links and "shared" in links[0] else "type:N"],
        )
    )
    points = (
        alt.Chart(alt.Data(values=nodes))
        .mark_point(filled=True, opacity=1, stroke="white")
        .encode(
            x=alt.X("x:Q", **axis),
            y=alt.Y("y:Q", **axis),
            size=alt.value(140 if len(nodes) <= _LABELLED_NODES else 60),
            color=alt.Color("kind:N"),
            shape=alt.Shape("kind:N"),
            tooltip=["name:N", "kind:N", "ties:Q"],
        )
    )
    layers = [lines, points]
    if len(nodes) <= _LABELLED_NODES:
        labels = alt.Chart(alt.Data(values=nodes)).mark_text(dy=-12, fontSize=10)
        layers.append(labels.encode(x=alt.X("x:Q", **axis), y=alt.Y("y:Q", **axis), text="name:N"))
    headed = alt.Title(**theme.titled(title, subtitle))
    personal = {"personal": ["name", "shared"]}  # masked on a page
    return alt.layer(*layers, title=headed, width=680, height=_HEIGHT, usermeta=personal)


def joins(members: Sequence[Mapping[str, Any]], *, title: str) -> "alt.TopLevelMixin":
    """Draw how many members had joined by each moment."""
    alt = theme.altair()
    moments = sorted(str(row["joined_at"]) for row in members if row["joined_at"] is not None)
    values = [{"at": at.replace(" ", "T"), "n": i + 1} for i, at in enumerate(moments)]
    return (
        alt.Chart(
            alt.Data(values=values), title=alt.Title(**theme.titled(title)), width=680, height=180
        )
        .mark_line(interpolate="step-after", point=True, color=theme.ACCENT)
        .encode(
            x=alt.X("at:T", title="first shared attribute seen (UTC)"),
            y=alt.Y("n:Q", title="members so far"),
            tooltip=[alt.Tooltip("at:T", format="%Y-%m-%d %H:%M"), "n:Q"],
        )
    )


def ranked(rows: Sequence[Mapping[str, Any]], *, title: str) -> "alt.TopLevelMixin":
    """Draw scores by rank; accounts known from elsewhere stand out."""
    alt = theme.altair()
    values = [
        {
            "rank": i + 1,
            "score": row["score"],
            "known": "known from elsewhere" if row["is_checked_bad"] else "not known",
        }
        for i, row in enumerate(rows)
    ]
    return (
        alt.Chart(alt.Data(values=values), title=alt.Title(**theme.titled(title)), width=680)
        .mark_bar()
        .encode(
            x=alt.X("rank:O", title="rank", axis=alt.Axis(labelOverlap=True)),
            y=alt.Y("score:Q", title="share of the walk"),
            color=alt.Color("known:N"),
        )
    )


def tracks(rows: Sequence[Mapping[str, Any]], *, title: str) -> "alt.TopLevelMixin":
    """Draw the size of each tracked ring over the periods, with its events."""
    alt = theme.altair()
    values = [
        {"period": r["period"], "track": r["track_id"], "n": r["n_accounts"], "event": r["event"]}
        for r in rows
    ]
    base = alt.Chart(alt.Data(values=values)).encode(
        x=alt.X("period:O", title="period"),
        y=alt.Y("n:Q", title="accounts in the ring"),
        color=alt.Color("track:N"),
    )
    marks = base.mark_point(filled=True, size=70).encode(
        shape="event:N", tooltip=["track:N", "event:N"]
    )
    headed = alt.Title(**theme.titled(title))
    return alt.layer(base.mark_line(), marks, title=headed, width=680, height=260)


def _largest_part(graph: "nx.Graph") -> tuple["nx.Graph", int]:
    if len(graph) <= _MOST_NODES:
        return graph, 0
    strength = dict(graph.degree(weight="weight"))
    first = sorted(strength, key=lambda node: (-strength[node], str(node)))[:_MOST_NODES]
    return graph.subgraph(first), len(graph) - _MOST_NODES


def _places(graph: "nx.Graph") -> dict[Any, tuple[float, float]]:
    """Lay the nodes out, the same way every time: by stress where they are few, else by springs."""
    import networkx as nx
    import numpy as np

    if len(graph) == 0:
        return {}
    placed = nx.spring_layout(graph, k=2.2 / math.sqrt(len(graph)), iterations=120, seed=7)
    if _LEAST_STRESSED < len(graph) <= _STRESSED_NODES and nx.is_connected(graph):
        placed = nx.kamada_kawai_layout(graph, pos=placed, weight=None)
    at = np.array([placed[node] for node in graph])
    low, high = at.min(axis=0), at.max(axis=0)
    at = (at - low) / np.maximum(high - low, 1e-9) * 2 - 1
    return {
        node: (round(float(x), 2), round(float(y), 2))
        for node, (x, y) in zip(graph, at, strict=True)
    }


def _link(
    place: Mapping[Any, tuple[float, float]], first: Any, second: Any, values: Mapping[str, Any]
) -> dict[str, Any]:
    (x, y), (x2, y2) = place[first], place[second]
    # What accounts share names them; the type of an attribute is nobody's, and is not masked.
    name = "shared" if "evidence" in values else "type"
    told = wording.visible(values.get("evidence", second[0]), longest=120)
    weight = round(float(values["weight"]), 3)
    return {"x": x, "y": y, "x2": x2, "y2": y2, "weight": weight, name: told}


def _node(
    place: Mapping[Any, tuple[float, float]], node: Any, values: Mapping[str, Any], ties: int
) -> dict[str, Any]:
    x, y = place[node]
    kind = "known account" if values.get("is_known_bad") else values["kind"]
    name = wording.visible(values["label"], longest=18)
    return {"x": x, "y": y, "name": name, "kind": wording.visible(kind), "ties": ties}
