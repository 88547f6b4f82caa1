"""Write the sample files: ``python -m rcakit.datasets [FOLDER]``."""

import argparse
from pathlib import Path

from rcakit.datasets.samples import write_samples

parser = argparse.ArgumentParser(
    prog="python -m rcakit.datasets", description="Write the sample files."
)
parser.add_argument(
    "folder",
    nargs="?",
    type=Path,
    default=Path("data_samples"),
    help="where to (default: %(default)s)",
)

if __name__ == "__main__":
    write_samples(parser.parse_args().folder)
