"""How are numbers, intervals and segments said in a sentence?

Thousands are set apart by a narrow no-break space (ISO 80000-1), because a comma or a point means
one thing to an English reader and another to a German or Brazilian one.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

__all__ = [
    "amount",
    "change",
    "day",
    "interval",
    "name",
    "percent",
    "plural",
    "quoted",
    "segment",
    "there_were",
    "visible",
]

_THIN_SPACE = "\u202f"
_MINUS = "\u2212"
_LONGEST_TEXT = 60
# Blank or invisible, although Unicode calls them letters, marks or symbols.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
# A name that cannot be mistaken for words of ours stands as it is.
_PLAIN = re.compile(r"[\w.:/@+-]+")
_STRAIGHT = str.maketrans(dict.fromkeys("“”„‟", '"'))


def amount(value: float | None, *, signed: bool = False) -> str:
    """Say a number with as many digits as a reader can use: 12 345, 12.3, 0.0123."""
    if value is None or math.isnan(value):
        return "unknown"
    if math.isinf(value):
        return "infinite"
    size = abs(value)
    is_whole = size >= 100 or float(value).is_integer()
    text = f"{size:,.0f}".replace(",", _THIN_SPACE) if is_whole else f"{size:.3g}"
    sign = _MINUS if value < 0 and text.strip("0.") else "+" if signed and value > 0 else ""
    return sign + text


def interval(lower: float | None, upper: float | None, *, signed: bool = False) -> str:
    """Say an interval: ``1 200 to 1 350``."""
    return f"{amount(lower, signed=signed)} to {amount(upper, signed=signed)}"


def percent(share: float | None, *, signed: bool = False) -> str:
    """Say a share as a percentage: 0.42 is ``42 %``."""
    if share is None or not math.isfinite(share):
        return "unknown share"
    value = 100 * share
    digits = 0 if abs(value) >= 10 or value == 0 else 1
    text = f"{abs(value):,.{digits}f}".replace(",", _THIN_SPACE)
    sign = _MINUS if value < 0 and text.strip("0.") else "+" if signed and value > 0 else ""
    return f"{sign}{text}{_THIN_SPACE}%"


def change(rel_effect: float | None) -> str:
    """Say a relative change so that a large one stays readable: ``+35 %``, ``4.1 times as many``."""
    if rel_effect is None or not math.isfinite(rel_effect):
        return "from nearly nothing"
    if rel_effect >= 1:
        return f"{1 + rel_effect:.1f} times the usual level"
    return percent(rel_effect, signed=True)


def plural(count: float, noun: str, many: str | None = None) -> str:
    """Say a count with its noun: ``1 incident``, ``3 incidents``."""
    return f"{amount(count)} {noun if count == 1 else many or noun + 's'}"


def there_were(count: float, unit: str) -> str:
    """Say how many there were: ``there was 1 report``, ``there were 3 474 reports``."""
    number = round(count)
    if number == 1:
        return f"there was 1 {unit.removesuffix('s')}"
    return f"there were {amount(number)} {unit}"


def day(value: Any) -> str:
    """Say a calendar day or a moment as ISO: ``2026-03-31`` or ``2026-03-31 14:00``."""
    text = str(value)
    return text[:10] if text[11:] in {"", "00:00:00"} else text[:16]


def segment(values: Mapping[str, Any]) -> str:
    """Say a segment in words: ``policy = spam, surface = video``."""
    if not values:
        return "everything"
    return ", ".join(f"{name(key)} = {name(value)}" for key, value in values.items())


def visible(value: Any, *, longest: int = _LONGEST_TEXT) -> str:
    """Show text that came with the data: control and invisible characters named, never long.

    Bidirectional overrides, zero-width characters, ANSI escapes and line breaks are how a
    hostile name hides or reorders what a reader sees.
    """
    text = "(missing)" if value is None else str(value)
    shown = "".join(
        c if (c.isprintable() and c not in _BLANK) or c == _THIN_SPACE else f"⟨U+{ord(c):04X}⟩"
        for c in text[: longest + 1]
    )
    return shown if len(text) <= longest else f"{shown[:longest]}…"


def quoted(value: Any) -> str:
    """Say text that came with the data in curly quotes, of which it can hold none itself."""
    return f"“{visible(value).translate(_STRAIGHT)}”"


def name(value: Any) -> str:
    """Say a name that came with the data; one that could pass for words of ours is quoted.

    A value such as ``ios, policy = spam`` must not read as a second attribute, nor ``fraud led to
    bans`` as a claim.
    """
    text = visible(value)
    return text if value is None or _PLAIN.fullmatch(text) else quoted(value)
