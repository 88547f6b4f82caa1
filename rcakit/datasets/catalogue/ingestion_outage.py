"""Reports were lost on the way: a drop that is a defect of the data, not of the world."""

from rcakit.datasets.scenario import Cause, Change, Decoy, Scenario

_MOVED = Change(
    day=-7,
    time_of_day="23:40",
    kind="data_pipeline",
    title="Report ingestion for Android moved to the new queue",
    scope={"platform": "android"},
)
_MOVED_BACK = Change(
    day=-5,
    time_of_day="11:55",
    kind="data_pipeline",
    title="Report ingestion for Android back on the old queue",
    scope={"platform": "android"},
)

SCENARIO = Scenario(
    name="ingestion_outage",
    description="Nearly all reports from Android are lost on the way to the warehouse for a day and a half.",
    verdict="localised",
    causes=(
        Cause(
            cause_id="android_ingestion",
            segment={"platform": "android"},
            effect=0.03,
            first_day=-6,
            duration_hours=36,
            change=_MOVED,
            fix=_MOVED_BACK,
            # Only users file from a phone, so these are the same rows.
            acceptable=({"platform": "android", "source": "user"},),
            forbidden=(
                {"platform": "ios"},
                {"source": "user"},
                {"app_version": "31.2.0"},
                {"region": "south_asia"},
            ),
        ),
    ),
    decoys=(
        Decoy(
            Change(-9, "12:00", "staffing", "Weekend shifts replanned", {}),
            "touched everything, three days before only one segment fell",
        ),
        Decoy(
            Change(
                -7,
                "17:20",
                "model",
                "New comment classifier",
                {"surface": "comments", "source": "classifier"},
            ),
            "right day, but none of the loss lies in its scope",
        ),
        Decoy(
            Change(-5, "08:45", "ui", "Android: shorter report form", {"platform": "android"}),
            "right scope, but the drop was a day old",
        ),
    ),
)
