"""A cancelled run says nothing about the kernel that it ended itself."""

import asyncio
import gc
import logging

import pytest
from jupyter_core.utils import ensure_event_loop
from nbclient.exceptions import DeadKernelError

from rcakit.kernels import forget_dead_kernel


async def _fail(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "lines"), [(DeadKernelError("Kernel died"), 0), (ValueError("no"), 1)]
)
def test_only_the_dead_kernel_is_forgotten(caplog, error, lines):
    """A task that nobody waits for tells its error, unless a kernel died that was to die."""
    loop = ensure_event_loop()
    forget_dead_kernel()
    try:
        with caplog.at_level(logging.ERROR, logger="asyncio"):
            task = loop.create_task(_fail(error))
            loop.run_until_complete(asyncio.sleep(0))
            del task
            gc.collect()
    finally:
        loop.set_exception_handler(None)
    assert len(caplog.records) == lines
