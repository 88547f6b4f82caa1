"""Nothing happened: the right answer is that there is nothing to explain."""

from rcakit.datasets.scenario import Change, Decoy, Scenario

SCENARIO = Scenario(
    name="quiet",
    description="Nothing happened, though the change log is as busy as ever.",
    verdict="no_evidence",
    decoys=(
        Decoy(
            Change(
                -12,
                "08:20",
                "model",
                "Retrained the spam classifier",
                {"policy": "spam", "source": "classifier"},
            ),
            "nothing changed after it",
        ),
        Decoy(
            Change(
                -8,
                "15:10",
                "ui",
                "Android: larger report button in video",
                {"platform": "android", "surface": "video"},
            ),
            "nothing changed after it",
        ),
        Decoy(
            Change(
                -5,
                "11:00",
                "policy",
                "Harassment policy: two examples added",
                {"policy": "harassment"},
            ),
            "nothing changed after it",
        ),
    ),
)
