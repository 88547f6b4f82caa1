"""Who reported what, where and when?

Counts come first: a negative binomial number of reports per day, region and surface. Every report then gets its other
values one after the other, each drawn given those before it. A cause above 1 lays the same process over it once more,
at its surplus rate, and keeps the rows inside its segment; a cause below 1 removes rows. So the world without the cause
is still there, row for row, under the same seed.
"""

from datetime import timedelta
from functools import reduce
from operator import and_

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rcakit.datasets import vocabulary
from rcakit.datasets.processes.calendar import growth, hour_shares
from rcakit.datasets.processes.choices import Codes, Shares, draw_ranks, draw_within
from rcakit.datasets.processes.counts import mean_one_noise, negative_binomial
from rcakit.datasets.processes.delays import ingestion_delays
from rcakit.datasets.processes.rollout import releases, version_shares
from rcakit.datasets.scenario import Cause, Scenario
from rcakit.datasets.tables.column import TIMESTAMP, Built, Column, conform
from rcakit.datasets.world import World

ABOUT = (
    "One row per report that had reached the warehouse when the extract was taken, at midnight UTC after the last day. "
    "The last day is therefore 2 to 4 % short."
)

COLUMNS = (
    Column("report_id", pl.String(), "", "Key of the report."),
    Column("created_at", TIMESTAMP, "UTC timestamp", "When the report was filed."),
    Column(
        "ingested_at",
        TIMESTAMP,
        "UTC timestamp",
        "When it reached the warehouse; median delay 20 minutes.",
    ),
    Column("policy", pl.String(), "", "Rule that the reporter says was broken; 18 values."),
    Column(
        "surface",
        pl.String(),
        "",
        "Part of the product: video, comments, messages, accounts, follow_like, live.",
    ),
    Column(
        "language",
        pl.String(),
        "ISO 639-1",
        "Language of the reporter; 18 values, tied to the country.",
    ),
    Column("region", pl.String(), "", "Region of the reporter; 12 values."),
    Column("country", pl.String(), "ISO 3166-1", "Country of the reporter; lies in the region."),
    Column(
        "app_version",
        pl.String(),
        "",
        "Version of the app, the same numbers on android and ios; `web` or `server`.",
    ),
    Column(
        "platform",
        pl.String(),
        "",
        "Client that filed: android, ios, web, or server (automatic reports).",
    ),
    Column(
        "source", pl.String(), "", "Who filed: user, classifier, partner, trusted_flagger or gov."
    ),
    Column(
        "reporter_id", pl.String(), "", "Account or organisation that filed; null for classifier."
    ),
    Column("target_account_id", pl.String(), "", "Account that was reported; key of `accounts`."),
)

_GROWTH_PER_YEAR = 0.15
_POLICY_NOISE_SD = 0.08
_DISPERSION_RANGE = (8.0, 40.0)
_IOS_REVIEW_DAYS = 2
_TARGET_CONCENTRATION = 1.7  # the most reported account in a thousand receives 1.7 % of reports
_REPORTER_CONCENTRATION = 1.3
_ORGANISATIONS = 24


def build(world: World, scenario: Scenario) -> Built:
    """Make the reports: the usual days, what the causes added, less what they removed and what is still on its way."""
    causes = scenario.causes_on("reports")
    usual = _usual_reports(world, 0, world.size.n_days, 1.0, "reports")
    added = [_added_reports(world, cause) for cause in causes if cause.effect > 1]
    arrived = pl.concat([usual, *added]).filter(pl.col("ingested_at") < world.ended_at)
    judged = _mark_losses(world, [cause for cause in causes if cause.effect < 1], arrived)
    kept = judged.filter(pl.col("lost_to").is_null()).sort(
        "created_at", "ingested_at", maintain_order=True
    )
    frame = kept.with_columns(report_id=_report_ids(kept.height))
    return Built(
        conform(frame, COLUMNS), {cause.cause_id: _excess(cause, judged) for cause in causes}
    )


def inside(world: World, cause: Cause) -> pl.Expr:
    """Say which rows a cause could touch: inside its segment, while it lasted."""
    started_at = world.instant(cause.first_day)
    ended_at = started_at + timedelta(hours=cause.duration_hours)
    while_it_lasted = (pl.col("created_at") >= started_at) & (pl.col("created_at") < ended_at)
    return reduce(
        and_, (pl.col(name) == value for name, value in cause.segment.items()), while_it_lasted
    )


def _added_reports(world: World, cause: Cause) -> pl.DataFrame:
    """Lay more of the same over the usual reports, inside the cause's segment and time."""
    first = world.day_index(cause.first_day)
    last = first + -(-cause.duration_hours // 24)
    more = _usual_reports(world, first, last, cause.effect - 1, "reports", cause.cause_id)
    return more.filter(inside(world, cause)).with_columns(added_by=pl.lit(cause.cause_id))


def _mark_losses(world: World, causes: list[Cause], arrived: pl.DataFrame) -> pl.DataFrame:
    """Say for every row which cause removed it, if one did."""
    lost_to = pl.lit(None, dtype=pl.String)
    for cause in causes:
        is_unlucky = pl.Series(
            world.stream("reports", cause.cause_id).random(arrived.height) >= cause.effect
        )
        lost_to = (
            pl.when(inside(world, cause) & is_unlucky)
            .then(pl.lit(cause.cause_id))
            .otherwise(lost_to)
        )
    return arrived.with_columns(lost_to=lost_to)


def _excess(cause: Cause, judged: pl.DataFrame) -> int:
    """Count the rows that a cause added to the extract, less those that it removed."""
    n_added = judged.filter(
        pl.col("added_by") == cause.cause_id, pl.col("lost_to").is_null()
    ).height
    return n_added - judged.filter(pl.col("lost_to") == cause.cause_id).height


def _usual_reports(
    world: World, first: int, last: int, factor: float, *stream: str
) -> pl.DataFrame:
    """Draw the reports of days `first` up to `last` (not included) at `factor` times the usual rate."""
    rng = world.stream(*stream)
    counts = _daily_counts(world, first, last, factor, rng)
    cells = np.repeat(np.arange(counts.size), counts.ravel())
    day, region, surface = np.unravel_index(cells, counts.shape)
    day = day + first

    policy = draw_within(day * len(vocabulary.SURFACES) + surface, _daily_policy_shares(world), rng)
    source = draw_within(day % 7, vocabulary.source_shares(), rng)
    country = draw_within(region, vocabulary.country_shares(), rng)
    language = draw_within(country, vocabulary.language_shares(), rng)
    platform = draw_within(
        source * len(vocabulary.REGIONS) + region, _flat(vocabulary.platform_shares()), rng
    )
    version = draw_within(platform * world.size.n_days + day, _daily_version_shares(world), rng)

    created = day * 86_400 + _second_of_day(region, rng)
    return pl.DataFrame(
        {
            "created_at": _timestamps(world, created),
            "ingested_at": _timestamps(world, created + ingestion_delays(len(created), rng)),
            "policy": _labels(vocabulary.POLICIES, policy),
            "surface": _labels(tuple(vocabulary.SURFACES), surface),
            "language": _labels(vocabulary.LANGUAGES, language),
            "region": _labels(tuple(vocabulary.REGIONS), region),
            "country": _labels(vocabulary.COUNTRIES, country),
            "app_version": _labels(_version_names(world), version),
            "platform": _labels(vocabulary.PLATFORMS, platform),
            "source": _labels(tuple(vocabulary.SOURCES), source),
            "reporter_id": _reporters(world, source, country, rng),
            "target_account_id": _targets(world, len(created), rng),
            "added_by": pl.repeat(None, len(created), dtype=pl.String, eager=True),
        }
    )


def _daily_counts(
    world: World, first: int, last: int, factor: float, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw the reports by day, region and surface, shape (last - first, n_regions, n_surfaces)."""
    n_days = world.size.n_days
    week = vocabulary.source_shares().sum(axis=1)[np.arange(n_days) % 7]
    days = growth(n_days, per_year=_GROWTH_PER_YEAR) * week * world.day_effects()
    series = np.outer(vocabulary.region_shares(), vocabulary.surface_shares())
    mean = factor * world.size.reports_per_day * days[first:last, np.newaxis, np.newaxis] * series
    dispersion = world.stream("reports", "dispersion").uniform(
        *_DISPERSION_RANGE, size=series.shape
    )
    return negative_binomial(mean, dispersion, rng)


def _daily_policy_shares(world: World) -> Shares:
    """Share of each policy by day and surface, unsteady from day to day, shape (n_days * n_surfaces, n_policies)."""
    usual = vocabulary.policy_shares()
    noise_shape = (world.size.n_days, 1, usual.shape[1])
    return _flat(
        usual * mean_one_noise(noise_shape, _POLICY_NOISE_SD, world.stream("reports", "policies"))
    )


def _daily_version_shares(world: World) -> Shares:
    """Share of each version by platform and day, shape (n_platforms * n_days, n_versions + 2)."""
    n_days, n_releases = world.size.n_days, len(releases(world.size.n_days))
    shares = np.zeros((len(vocabulary.PLATFORMS), n_days, n_releases + 2))
    shares[vocabulary.PLATFORMS.index("android"), :, :n_releases] = version_shares(n_days)
    shares[vocabulary.PLATFORMS.index("ios"), :, :n_releases] = version_shares(
        n_days, delay_days=_IOS_REVIEW_DAYS
    )
    shares[vocabulary.PLATFORMS.index("web"), :, -2] = 1
    shares[vocabulary.PLATFORMS.index("server"), :, -1] = 1
    return _flat(shares)


def _version_names(world: World) -> tuple[str, ...]:
    """Names of the versions, in the order of `_daily_version_shares`."""
    return (*(release.version for release in releases(world.size.n_days)), "web", "server")


def _second_of_day(region: Codes, rng: np.random.Generator) -> Codes:
    """Draw clock times that follow the daylight of each region."""
    hours = np.array([hour_shares(place.utc_offset_hours) for place in vocabulary.REGIONS.values()])
    return draw_within(region, hours, rng) * 3_600 + rng.integers(0, 3_600, size=len(region))


def _reporters(world: World, source: Codes, country: Codes, rng: np.random.Generator) -> pl.Series:
    """Name who filed each report: an account of the country, an organisation, or nobody."""
    starts = np.searchsorted(world.account_countries(), np.arange(len(vocabulary.COUNTRIES) + 1))
    n_local = np.diff(starts)[country]
    account = starts[country] + draw_ranks(
        len(source), n_local, rng, concentration=_REPORTER_CONCENTRATION
    )
    organisation = rng.integers(1, _ORGANISATIONS, size=len(source), endpoint=True)
    sources = list(vocabulary.SOURCES)
    return (
        pl.DataFrame({"source": source, "account": account, "organisation": organisation})
        .select(
            pl.when(pl.col("source") == sources.index("user"))
            .then(account_ids(pl.col("account")))
            .when(pl.col("source") != sources.index("classifier"))
            .then(pl.format("org{}", pl.col("organisation").cast(pl.String).str.zfill(2)))
        )
        .to_series()
    )


def _targets(world: World, n_rows: int, rng: np.random.Generator) -> pl.Series:
    """Name the reported account of each report; few accounts draw many reports."""
    by_notoriety = world.stream("reports", "notoriety").permutation(world.size.n_accounts)
    ranks = draw_ranks(n_rows, world.size.n_accounts, rng, concentration=_TARGET_CONCENTRATION)
    return (
        pl.DataFrame({"account": by_notoriety[ranks]})
        .select(account_ids(pl.col("account")))
        .to_series()
    )


def account_ids(account: pl.Expr) -> pl.Expr:
    """Turn account numbers into keys."""
    return pl.format("a{}", account.cast(pl.String).str.zfill(6))


def _report_ids(n_rows: int) -> pl.Expr:
    """Give the reports numbers in the order of their creation."""
    return pl.format("r{}", pl.int_range(n_rows).cast(pl.String).str.zfill(8))


def _timestamps(world: World, seconds: Codes) -> pl.Series:
    """Turn seconds since the start of the period into timestamps."""
    start = int(world.started_at.timestamp())
    return pl.Series((seconds + start) * 1_000_000).cast(TIMESTAMP)


def _labels(names: tuple[str, ...], codes: Codes) -> pl.Series:
    """Turn codes into names."""
    return pl.Series(names, dtype=pl.String).gather(codes)


def _flat(shares: Shares) -> Shares:
    """Lay all axes but the last into one axis of groups."""
    return shares.reshape(-1, shares.shape[-1])
