"""Keep what a benchmark prints: on the screen and in benchmarks/results."""

import contextlib
import io
import sys
from collections.abc import Iterator
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


@contextlib.contextmanager
def printed_to(name: str) -> Iterator[None]:
    """Write what is printed inside to ``results/<name>.md`` as well, with the command."""
    kept = io.StringIO()
    with contextlib.redirect_stdout(kept):
        yield
    sys.stdout.write(kept.getvalue())
    command = " ".join([f"python -m benchmarks.{name}", *sys.argv[1:]])
    title = name.replace("_", " ").capitalize()
    part = "_peers" if "peers" in sys.argv or "--peers" in sys.argv else ""
    text = f"# {title}\n\nBy `{command}`.\n\n```\n{kept.getvalue()}```\n"
    (RESULTS / f"{name}{part}.md").write_text(text, encoding="utf-8")
