"""How do covariates of any kind become columns of numbers, with nothing dropped in silence?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from rcakit import wording
from rcakit.errors import NotEnoughDataError, SchemaError

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Covariates", "encode"]

Floats = npt.NDArray[np.float64]

_MISSING, _RARE = "(missing)", "(rare)"
_MOST_LEVELS = 100


@dataclass(frozen=True, slots=True)
class Covariates:
    """Covariates as numbers.

    Attributes
    ----------
    columns
        One column per number, level or missing-marker, without intercept, shape ``(n, k)``.
    names
        ``(covariate, level)`` per column; level None for a number.
    is_base
        Which columns are base levels, left out of models because the others imply them.
    is_binary
        Which columns hold only 0 and 1.
    caveats
        Sentences about missing values and rare levels.
    """

    columns: Floats
    names: tuple[tuple[str, str | None], ...]
    is_base: npt.NDArray[np.bool_]
    is_binary: npt.NDArray[np.bool_]
    caveats: tuple[str, ...]

    def design(self) -> Floats:
        """Return the columns of a model: intercept, then every column but the base levels.

        Numbers are centred and scaled, so that a covariate in the millions solves as well as one
        in the thousandths.
        """
        used = np.flatnonzero(~self.is_base)
        # one column after the other in memory, as they are made and read
        design = np.empty((self.columns.shape[0], used.size + 1), order="F")
        design[:, 0] = 1.0
        for place, i in enumerate(used, start=1):
            column = self.columns[:, i]
            if self.is_binary[i] or not (spread := float(column.std())) > 0:
                design[:, place] = column
                continue
            np.subtract(column, column.mean(), out=design[:, place])
            design[:, place] /= spread
        return design


def encode(rows: "pl.DataFrame", names: Sequence[str], *, min_cell: int) -> Covariates:
    """Turn columns into numbers: numbers stay, everything else becomes levels.

    Parameters
    ----------
    rows
        Table at home.
    names
        Covariates. Numbers enter as they are, text and booleans as levels.
    min_cell
        Levels with fewer rows are put together.

    Raises
    ------
    NotEnoughDataError
        A covariate has no value at all.
    SchemaError
        A covariate has more than 100 levels.
    """
    parts: list[Floats] = []
    labels: list[tuple[str, str | None]] = []
    base: list[bool] = []
    binary: list[bool] = []
    caveats: list[str] = []
    for name in names:
        column = rows[name]
        if column.null_count() == len(column):
            raise NotEnoughDataError(
                f"covariate {name!r} has no value in any row. Leave it out of adjust_for."
            )
        encode_one = _numbers if column.dtype.is_numeric() else _levels
        found, said = encode_one(column, name, min_cell)
        for level, values, is_base, is_binary in found:
            parts.append(values)
            labels.append((name, level))
            base.append(is_base)
            binary.append(is_binary)
        caveats += said
    return Covariates(
        np.array(parts).T if parts else np.empty((rows.height, 0)),
        tuple(labels),
        np.array(base, dtype=np.bool_),
        np.array(binary, dtype=np.bool_),
        tuple(caveats),
    )


_Column = tuple[str | None, Floats, bool, bool]


def _numbers(column: "pl.Series", name: str, min_cell: int) -> tuple[list[_Column], list[str]]:
    """Return a number, with a marker for missing values (filled with the mean) if there are any."""
    import polars as pl

    del min_cell
    values = column.cast(pl.Float64)
    n_missing = values.null_count()
    filled = values.fill_null(strategy="mean").to_numpy()
    is_binary = bool(np.all((filled == 0) | (filled == 1)))
    found: list[_Column] = [(None, filled, False, is_binary)]
    if not n_missing:
        return found, []
    found.append((_MISSING, values.is_null().to_numpy().astype(np.float64), False, True))
    said = (
        f"{wording.visible(name)} is missing in {wording.plural(n_missing, 'row')}; they count as "
        "average, with a marker."
    )
    return found, [said]


def _levels(column: "pl.Series", name: str, min_cell: int) -> tuple[list[_Column], list[str]]:
    """Return one 0/1 column per level; the most frequent is the base."""
    import polars as pl

    text = column.cast(pl.String).fill_null(_MISSING)
    counted = text.value_counts(sort=True, name="__n")
    counted = counted.sort(["__n", name], descending=[True, False])
    levels, sizes = counted[name].to_list(), counted["__n"].to_list()
    rare = [level for level, size in zip(levels, sizes, strict=True) if size < min_cell]
    kept = [level for level in levels if level not in set(rare)]
    if len(kept) > _MOST_LEVELS:
        raise SchemaError(
            f"covariate {name!r} has {len(kept)} levels, at most {_MOST_LEVELS} can be held equal. "
            "Group them, or leave the column out."
        )
    said = []
    if rare:
        text = pl.select(pl.when(text.is_in(rare)).then(pl.lit(_RARE)).otherwise(text).alias(name))[
            name
        ]
        kept = [*kept, _RARE]
        said = [
            (
                f"{wording.visible(name)}: {wording.plural(len(rare), 'level')} with fewer than "
                f"{min_cell} rows count as one."
            )
        ]
    if column.null_count():
        missing = wording.plural(column.null_count(), "row")
        said.append(f"{wording.visible(name)} is missing in {missing}; they count as a level.")
    code = text.cast(pl.Enum(kept)).to_physical().to_numpy()
    found: list[_Column] = [
        (level, (code == i).astype(np.float64), i == 0, True) for i, level in enumerate(kept)
    ]
    return found, said
