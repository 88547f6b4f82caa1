"""Where does randomness come from? Every table and every process has a stream of its own, found by name."""

import zlib

import numpy as np


def stream(seed: int, *names: str) -> np.random.Generator:
    """Open the random stream with this name.

    Parameters
    ----------
    seed
        The seed of the whole data set.
    names
        The path of the stream, such as ``"reports"`` or ``"reports", "comment_report_button"``.

    Returns
    -------
    numpy.random.Generator
        Always at the start of the stream.

    Notes
    -----
    Streams are keyed by name rather than by order, so a new table or cause never changes the draws of an old one.
    """
    # crc32 rather than hash(): Python salts the hash of a string anew in every process.
    key = tuple(zlib.crc32(name.encode()) for name in names)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))
