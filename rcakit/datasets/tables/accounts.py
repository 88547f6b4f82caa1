"""Whose accounts are these?"""

import numpy as np
import polars as pl

from rcakit.datasets import vocabulary
from rcakit.datasets.scenario import Scenario
from rcakit.datasets.tables.column import TIMESTAMP, Built, Column, conform
from rcakit.datasets.tables.hostile_names import HOSTILE_NAMES
from rcakit.datasets.tables.reports import account_ids
from rcakit.datasets.world import World

ABOUT = "One row per account that reports or is reported. One username in ten is hostile on purpose; escape it."

COLUMNS = (
    Column("account_id", pl.String(), "", "Key of the account."),
    Column(
        "created_at",
        TIMESTAMP,
        "UTC timestamp",
        "When the account was opened; always before the period.",
    ),
    Column("country", pl.String(), "ISO 3166-1", "Home country; the values of `reports.country`."),
    Column("username", pl.String(), "", "Free text chosen by the account's owner."),
)

_HOSTILE_SHARE = 0.1
_OLDEST_YEARS = 7
_YOUTH = 2.0  # half of the accounts are younger than a quarter of the oldest

_ADJECTIVES = (
    "amber",
    "brisk",
    "calm",
    "dusty",
    "eager",
    "fuzzy",
    "green",
    "hidden",
    "icy",
    "jolly",
    "loud",
    "mellow",
)
_NOUNS = (
    "badger",
    "cactus",
    "dolphin",
    "ember",
    "falcon",
    "glacier",
    "harbor",
    "lantern",
    "maple",
    "otter",
    "pixel",
)


def build(world: World, scenario: Scenario) -> Built:  # noqa: ARG001 (every table is built alike)
    """Make the accounts that report and are reported."""
    rng = world.stream("accounts")
    n_accounts = world.size.n_accounts
    frame = pl.DataFrame(
        {
            "account": np.arange(n_accounts),
            "created_at": _openings(world, rng),
            "country": pl.Series(vocabulary.COUNTRIES).gather(world.account_countries()),
            "username": _usernames(n_accounts, rng),
        }
    )
    return Built(conform(frame.with_columns(account_id=account_ids(pl.col("account"))), COLUMNS))


def _openings(world: World, rng: np.random.Generator) -> pl.Series:
    """Draw when accounts were opened: mostly of late, all before the period."""
    oldest_seconds = _OLDEST_YEARS * 365 * 86_400
    ages = np.ceil(rng.random(world.size.n_accounts) ** _YOUTH * oldest_seconds).astype(np.int64)
    return pl.Series((int(world.started_at.timestamp()) - ages) * 1_000_000).cast(TIMESTAMP)


def _usernames(n_accounts: int, rng: np.random.Generator) -> pl.Series:
    """Name the accounts, one in ten with malice."""
    names = _harmless_names(n_accounts, rng)
    hostile_at = rng.choice(n_accounts, size=round(n_accounts * _HOSTILE_SHARE), replace=False)
    return names.scatter(hostile_at, _hostile_names(len(hostile_at), rng))


def _harmless_names(n_names: int, rng: np.random.Generator) -> pl.Series:
    """Put together an adjective, a noun and a number."""
    words = pl.DataFrame(
        {"adjective": _some(_ADJECTIVES, n_names, rng), "noun": _some(_NOUNS, n_names, rng)}
    )
    numbers = pl.Series("number", rng.integers(1, 10_000, size=n_names))
    return (
        words.with_columns(numbers)
        .select(pl.format("{}_{}{}", "adjective", "noun", "number"))
        .to_series()
    )


def _hostile_names(n_names: int, rng: np.random.Generator) -> pl.Series:
    """Use every kind once, then all but the longest: one name of 5 kB is enough."""
    every_kind = tuple(HOSTILE_NAMES.values())
    short_kinds = tuple(name for kind, name in HOSTILE_NAMES.items() if kind != "endless")
    return pl.concat([pl.Series(every_kind), _some(short_kinds, n_names - len(every_kind), rng)])


def _some(words: tuple[str, ...], n_words: int, rng: np.random.Generator) -> pl.Series:
    """Draw words evenly."""
    return pl.Series(words).gather(rng.integers(0, len(words), size=n_words))
