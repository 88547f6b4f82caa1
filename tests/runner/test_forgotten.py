"""A cancelled run says nothing about the kernel that it ended itself."""

import asyncio
import gc
import logging
from concurrent.futures import ThreadPoolExecutor

import pytest
from jupyter_core.utils import ensure_event_loop
from nbclient.exceptions import DeadKernelError

from rcakit.kernels import close_event_loop, forget_dead_kernel


async def fail(error: Exception) -> None:
    """Raise."""
    raise error


def leave_a_failure(error: Exception) -> None:
    """Let a task fail that nobody waits for, on this thread's own loop."""
    forget_dead_kernel()
    loop = ensure_event_loop()
    task = loop.create_task(fail(error))
    loop.run_until_complete(asyncio.sleep(0))
    del task
    gc.collect()
    close_event_loop()


@pytest.mark.parametrize(
    ("error", "lines"), [(DeadKernelError("Kernel died"), 0), (ValueError("no"), 1)]
)
def test_only_the_dead_kernel_is_forgotten(caplog, error, lines):
    """A task that nobody waits for tells its error, unless a kernel died that was to die."""
    with (
        caplog.at_level(logging.ERROR, logger="asyncio"),
        ThreadPoolExecutor(1) as threads,  # browser tests leave a loop running in the main one
    ):
        threads.submit(leave_a_failure, error).result()
    assert len(caplog.records) == lines
