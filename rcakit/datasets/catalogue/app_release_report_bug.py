"""A release made the report button misfire: one localised rise, with a culprit in the log."""

from rcakit.datasets.scenario import Cause, Change, Decoy, Scenario

_SWITCHED_ON = Change(
    day=-9,
    time_of_day="21:40",
    kind="app_release",
    title="Android 31.2.0: new report button switched on for everyone",
    scope={"platform": "android", "app_version": "31.2.0"},
)
_SWITCHED_OFF = Change(
    day=-4,
    time_of_day="23:45",
    kind="app_release",
    title="Android 31.2.0: new report button switched off",
    scope={"platform": "android", "app_version": "31.2.0"},
)

SCENARIO = Scenario(
    name="app_release_report_bug",
    description="A new report button in one Android version misfires in comments for five days.",
    verdict="localised",
    causes=(
        Cause(
            cause_id="comment_report_button",
            segment={"platform": "android", "app_version": "31.2.0", "surface": "comments"},
            effect=4.0,
            first_day=-8,
            duration_hours=5 * 24,
            change=_SWITCHED_ON,
            fix=_SWITCHED_OFF,
            # Only users file from a phone, so these are the same rows.
            acceptable=(
                {
                    "platform": "android",
                    "app_version": "31.2.0",
                    "surface": "comments",
                    "source": "user",
                },
            ),
            forbidden=(
                {"platform": "android"},
                {"app_version": "31.2.0"},
                {"surface": "comments"},
                {"platform": "ios", "app_version": "31.2.0", "surface": "comments"},
                {"platform": "android", "app_version": "31.1.0", "surface": "comments"},
            ),
        ),
    ),
    decoys=(
        Decoy(
            Change(-11, "13:00", "policy", "Community guidelines: new introduction", {}),
            "touched everything, three days before only one segment rose",
        ),
        Decoy(
            Change(
                -9,
                "18:05",
                "ui",
                "iOS: new layout of the message list",
                {"platform": "ios", "surface": "messages"},
            ),
            "right day, but none of the excess lies in its scope",
        ),
        Decoy(
            Change(
                -7,
                "09:30",
                "ui",
                "Android: comment menu reordered",
                {"platform": "android", "surface": "comments"},
            ),
            "right scope, but the rise was a day old",
        ),
    ),
)
