"""How do charts look, and how do they reach a notebook or a page without a network?

Charts are shown by a renderer of their own: a drawing that any notebook displays offline, and the
specification under a MIME type of its own, from which the report page makes a live chart.
"""

import os
import sys
import textwrap
from typing import Any

__all__ = [
    "ACCENT",
    "BAND",
    "MIME",
    "MUTED",
    "NEGATIVE",
    "POSITIVE",
    "altair",
    "titled",
]

MIME = "application/vnd.rcakit.vegalite+json"

# Okabe and Ito's colours, told apart with any colour vision.
ACCENT = "#0072B2"
POSITIVE = "#D55E00"
NEGATIVE = "#009E73"
BAND = "#9ecae1"
MUTED = "#8a8f98"

_TITLE_WIDTH = 88
_RENDERER = "rcakit"


def altair() -> Any:
    """Import Altair with the theme and the offline renderer of rcakit.

    A renderer that the user has chosen stays in force.
    """
    # jsonschema would build grammars for internationalised addresses, two seconds that no chart needs.
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    import altair as alt

    if _RENDERER not in alt.renderers.names():
        alt.renderers.register(_RENDERER, _render)
        alt.theme.register("rcakit", enable=True)(_theme)  # type: ignore[arg-type]
    if alt.renderers.active == "default":
        alt.renderers.enable(_RENDERER)
    return alt


def titled(title: str, subtitle: str = "") -> dict[str, Any]:
    """Break a message into lines that fit over a chart."""
    lines = textwrap.wrap(title, _TITLE_WIDTH, max_lines=3, placeholder=" …") or [""]
    parameters: dict[str, Any] = {"text": lines, "anchor": "start"}
    if subtitle:
        parameters["subtitle"] = textwrap.wrap(subtitle, _TITLE_WIDTH + 12)
    return parameters


def _render(specification: dict[str, Any], **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the chart as MIME bundle: its specification, a drawing, and its title as text."""
    title = specification.get("title", {})
    lines = title.get("text", "") if isinstance(title, dict) else title
    text = " ".join(lines) if isinstance(lines, list) else str(lines)
    bundle: dict[str, Any] = {MIME: specification, "text/plain": f"[chart] {text}".strip()}
    if not os.environ.get("RCAKIT_WITHOUT_DRAWINGS"):
        import vl_convert

        bundle["image/svg+xml"] = vl_convert.vegalite_to_svg(specification)
    return bundle, {}


def _theme() -> dict[str, Any]:
    grid = {"gridColor": "#e6e8eb", "domainColor": "#b8bcc2", "tickColor": "#b8bcc2"}
    font = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
    return {
        "config": {
            "font": font,
            "view": {"continuousWidth": 680, "continuousHeight": 260, "stroke": None},
            "axis": {
                **grid,
                "labelColor": "#4a4f57",
                "titleColor": "#4a4f57",
                "titleFontWeight": 400,
            },
            "title": {
                "fontSize": 14,
                "fontWeight": 600,
                "color": "#1f2328",
                "subtitleColor": "#4a4f57",
                "offset": 12,
            },
            "legend": {"orient": "top", "title": None, "labelColor": "#4a4f57"},
            "range": {"category": [ACCENT, POSITIVE, NEGATIVE, "#CC79A7", "#E69F00", MUTED]},
            "axisX": {"grid": False},
        }
    }
