"""How much data? A size scales the rates and the period; it never changes what was planted."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Size:
    """How long and how busy a made-up platform is.

    Parameters
    ----------
    name
        What the caller asks for.
    n_days
        Length of the extract, in days.
    reports_per_day
        Expected reports a day, averaged over the period, without any planted cause.
    n_accounts
        Accounts that report or are reported.
    """

    name: str
    n_days: int
    reports_per_day: int
    n_accounts: int


SIZES = {
    size.name: size
    for size in (
        Size("tiny", n_days=70, reports_per_day=150, n_accounts=1_200),
        Size("small", n_days=120, reports_per_day=500, n_accounts=4_000),
        Size("medium", n_days=400, reports_per_day=5_000, n_accounts=40_000),
        Size("large", n_days=400, reports_per_day=50_000, n_accounts=400_000),
    )
}
