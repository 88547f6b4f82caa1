"""Which values do the dimensions take, how common is each, and which go together?

Shares are invented but shaped like public transparency reports: a few values hold most of the volume, languages follow
countries, countries lie inside regions, and phones differ by region.
"""

from dataclasses import dataclass

import numpy as np

from rcakit.datasets.processes.choices import Shares, zipf_shares


@dataclass(frozen=True, slots=True)
class Region:
    """A part of the world: its share of traffic, its clock, its phones and its countries."""

    share: float
    utc_offset_hours: float
    android_share: float
    countries: dict[str, float]


REGIONS = {
    "north_america": Region(0.20, -6, 0.42, {"US": 0.86, "CA": 0.14}),
    "south_asia": Region(0.16, 5.5, 0.86, {"IN": 0.68, "PK": 0.18, "BD": 0.14}),
    "latin_america": Region(0.14, -4, 0.76, {"BR": 0.48, "MX": 0.30, "AR": 0.12, "CO": 0.10}),
    "southeast_asia": Region(0.12, 7, 0.78, {"ID": 0.50, "VN": 0.22, "TH": 0.16, "PH": 0.12}),
    "western_europe": Region(0.10, 1, 0.55, {"GB": 0.38, "DE": 0.34, "FR": 0.28}),
    "middle_east": Region(0.07, 3, 0.62, {"TR": 0.46, "SA": 0.32, "AE": 0.22}),
    "southern_europe": Region(0.06, 1, 0.66, {"IT": 0.54, "ES": 0.46}),
    "east_asia": Region(0.05, 9, 0.40, {"JP": 0.66, "KR": 0.34}),
    "north_africa": Region(0.04, 2, 0.84, {"EG": 0.58, "MA": 0.24, "DZ": 0.18}),
    "sub_saharan_africa": Region(0.03, 2, 0.86, {"NG": 0.50, "ZA": 0.28, "KE": 0.22}),
    "eastern_eurasia": Region(0.02, 4, 0.72, {"PL": 0.62, "KZ": 0.38}),
    "oceania": Region(0.01, 10, 0.44, {"AU": 0.82, "NZ": 0.18}),
}

COUNTRY_LANGUAGES = {
    "US": {"en": 0.86, "es": 0.14},
    "CA": {"en": 0.76, "fr": 0.24},
    "IN": {"hi": 0.58, "en": 0.28, "bn": 0.08, "ur": 0.06},
    "PK": {"ur": 0.84, "en": 0.16},
    "BD": {"bn": 0.92, "en": 0.08},
    "BR": {"pt": 0.97, "es": 0.02, "en": 0.01},
    "MX": {"es": 0.96, "en": 0.04},
    "AR": {"es": 0.98, "en": 0.02},
    "CO": {"es": 0.98, "en": 0.02},
    "ID": {"id": 0.94, "en": 0.06},
    "VN": {"vi": 0.97, "en": 0.03},
    "TH": {"th": 0.96, "en": 0.04},
    "PH": {"en": 1.00},
    "GB": {"en": 0.95, "pl": 0.02, "ur": 0.02, "ar": 0.01},
    "DE": {"de": 0.85, "tr": 0.07, "en": 0.05, "ru": 0.03},
    "FR": {"fr": 0.90, "ar": 0.06, "en": 0.04},
    "TR": {"tr": 0.93, "ar": 0.05, "en": 0.02},
    "SA": {"ar": 0.90, "en": 0.10},
    "AE": {"ar": 0.48, "en": 0.36, "hi": 0.10, "ur": 0.06},
    "IT": {"it": 0.95, "en": 0.05},
    "ES": {"es": 0.94, "en": 0.06},
    "JP": {"ja": 0.98, "en": 0.02},
    "KR": {"ko": 0.98, "en": 0.02},
    "EG": {"ar": 0.96, "en": 0.04},
    "MA": {"ar": 0.66, "fr": 0.34},
    "DZ": {"ar": 0.70, "fr": 0.30},
    "NG": {"en": 1.00},
    "ZA": {"en": 1.00},
    "KE": {"en": 1.00},
    "PL": {"pl": 0.94, "en": 0.04, "ru": 0.02},
    "KZ": {"ru": 0.95, "tr": 0.03, "en": 0.02},
    "AU": {"en": 0.98, "ar": 0.02},
    "NZ": {"en": 1.00},
}

SURFACES = {
    "video": 0.34,
    "comments": 0.26,
    "messages": 0.14,
    "accounts": 0.12,
    "follow_like": 0.08,
    "live": 0.06,
}

# Most common first; how common each is on which surface is tilted by _POLICY_TILTS.
POLICIES = (
    "spam",
    "harassment",
    "adult_nudity",
    "hate_speech",
    "misinformation",
    "violent_content",
    "fraud_scam",
    "minor_safety",
    "fake_engagement",
    "impersonation",
    "dangerous_acts",
    "regulated_goods",
    "self_harm",
    "privacy",
    "intellectual_property",
    "violent_extremism",
    "animal_abuse",
    "human_exploitation",
)

_POLICY_TILTS = {
    "video": {
        "adult_nudity": 2.0,
        "dangerous_acts": 2.0,
        "misinformation": 1.6,
        "intellectual_property": 2.0,
    },
    "comments": {"harassment": 2.2, "hate_speech": 2.0, "spam": 1.3},
    "messages": {"fraud_scam": 3.0, "minor_safety": 2.0, "spam": 1.5},
    "accounts": {"impersonation": 6.0, "fraud_scam": 1.5, "minor_safety": 1.5},
    "follow_like": {"fake_engagement": 12.0, "spam": 1.5},
    "live": {"dangerous_acts": 3.0, "adult_nudity": 2.0, "violent_content": 1.5},
}

# Seven weekday factors, Monday first: people report more when off work, offices hardly report then.
_LEISURE_WEEK = (0.96, 0.94, 0.95, 0.97, 1.01, 1.09, 1.08)
_OFFICE_WEEK = (1.36, 1.34, 1.33, 1.31, 1.20, 0.24, 0.22)


@dataclass(frozen=True, slots=True)
class Source:
    """Who files reports: their share, their week, and through which client (None: their own phone or browser)."""

    share: float
    week: tuple[float, ...]
    client: str | None


SOURCES = {
    "user": Source(0.78, _LEISURE_WEEK, None),
    "classifier": Source(0.15, _LEISURE_WEEK, "server"),
    "partner": Source(0.035, _OFFICE_WEEK, "web"),
    "trusted_flagger": Source(0.025, _OFFICE_WEEK, "web"),
    "gov": Source(0.01, _OFFICE_WEEK, "web"),
}

PLATFORMS = ("android", "ios", "web", "server")
_WEB_SHARE_OF_USERS = 0.08

COUNTRIES = tuple(country for region in REGIONS.values() for country in region.countries)
LANGUAGES = tuple(
    sorted({language for spoken in COUNTRY_LANGUAGES.values() for language in spoken})
)


def region_shares() -> Shares:
    """Share of each region, shape (n_regions,)."""
    return np.array([region.share for region in REGIONS.values()])


def surface_shares() -> Shares:
    """Share of each surface, shape (n_surfaces,)."""
    return np.array(list(SURFACES.values()))


def country_shares() -> Shares:
    """Share of each country in each region, zero outside it, shape (n_regions, n_countries)."""
    return _lookup([region.countries for region in REGIONS.values()], COUNTRIES)


def language_shares() -> Shares:
    """Share of each language in each country, shape (n_countries, n_languages)."""
    return _lookup([COUNTRY_LANGUAGES[country] for country in COUNTRIES], LANGUAGES)


def policy_shares() -> Shares:
    """Share of each policy on each surface, shape (n_surfaces, n_policies)."""
    tilts = _lookup([_POLICY_TILTS[surface] for surface in SURFACES], POLICIES, missing=1.0)
    weights = zipf_shares(len(POLICIES), exponent=0.9) * tilts
    shares: Shares = weights / weights.sum(axis=1, keepdims=True)
    return shares


def source_shares() -> Shares:
    """Volume from each source on each weekday, relative to an average day, shape (7, n_sources)."""
    return np.array(
        [[source.share * source.week[day] for source in SOURCES.values()] for day in range(7)]
    )


def platform_shares() -> Shares:
    """Share of each platform by source and region, shape (n_sources, n_regions, n_platforms)."""
    return np.array(
        [[_clients(source, region) for region in REGIONS.values()] for source in SOURCES.values()]
    )


def _clients(source: Source, region: Region) -> list[float]:
    """Share of each platform for one source in one region."""
    if source.client is not None:
        return [float(platform == source.client) for platform in PLATFORMS]
    phones = 1 - _WEB_SHARE_OF_USERS
    return [
        phones * region.android_share,
        phones * (1 - region.android_share),
        _WEB_SHARE_OF_USERS,
        0.0,
    ]


def _lookup(
    rows: list[dict[str, float]], columns: tuple[str, ...], *, missing: float = 0.0
) -> Shares:
    """Lay dictionaries out as a matrix."""
    return np.array([[row.get(column, missing) for column in columns] for row in rows])
