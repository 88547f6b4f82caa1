"""Everything rose alike: the right answer is that no segment explains it."""

from rcakit.datasets.scenario import Cause, Change, Decoy, Scenario

SCENARIO = Scenario(
    name="global_rise",
    description="Everything rises by a third over the last week, in every segment alike; nothing logged explains it.",
    verdict="broad",
    causes=(
        Cause(
            cause_id="everything_up",
            segment={},
            effect=1.35,
            first_day=-7,
            duration_hours=7 * 24,
            acceptable=({},),
            forbidden=(
                {"platform": "android"},
                {"surface": "video"},
                {"region": "north_america"},
                {"language": "en"},
                {"source": "user"},
            ),
        ),
    ),
    decoys=(
        Decoy(
            Change(
                -9, "16:30", "routing", "Spanish reports move to a new queue", {"language": "es"}
            ),
            "the rise is as large outside its scope",
        ),
        Decoy(
            Change(
                -8,
                "20:15",
                "ui",
                "iOS: new share sheet in video",
                {"platform": "ios", "surface": "video"},
            ),
            "right day, but the rise is as large outside its scope",
        ),
        Decoy(
            Change(-4, "09:00", "policy", "Community guidelines: new introduction", {}),
            "touched everything, but the rise was three days old",
        ),
    ),
)
