"""A kernel for one run: this interpreter, private sockets, no network ports, and a hand on its life."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager

__all__ = ["KernelWatch", "PrivateKernelManager"]


class PrivateKernelManager(AsyncKernelManager):
    """Start the interpreter that runs rcakit, and talk to it through files.

    A kernel that is registered under the name ``python3`` may belong to another environment, and
    kernels on TCP ports can be reached by every user of the machine.
    """

    @property
    def kernel_spec(self) -> KernelSpec:
        """The interpreter that is running now."""
        return KernelSpec(
            argv=[
                sys.executable,
                "-Xfrozen_modules=off",
                "-m",
                "ipykernel_launcher",
                "-f",
                "{connection_file}",
            ],
            display_name="Python",
            language="python",
        )

    async def _async_launch_kernel(self, kernel_cmd: list[str], **options: Any) -> None:
        """Keep what the kernel says of itself off the terminal; what cells say goes to the notebook."""
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        await super()._async_launch_kernel(kernel_cmd, **{**options, **quiet})


class KernelWatch:
    """Give one run its kernel, end it at a deadline, and leave nothing behind.

    Parameters
    ----------
    timeout
        Seconds from entering until the kernel is ended; None for no deadline.

    Notes
    -----
    A kernel that is ended so looks to its client like one that died; `has_expired` tells the two
    apart.
    """

    def __init__(self, timeout: float | None = None) -> None:
        self.has_expired = False
        self._managers: list[PrivateKernelManager] = []
        self._folder = Path(tempfile.mkdtemp(prefix="rcakit-"))
        self._timer = threading.Timer(timeout, self._expire) if timeout is not None else None

    def __enter__(self) -> Self:
        """Start the clock."""
        if self._timer is not None:
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the clock, end a kernel that still runs, remove its sockets."""
        if self._timer is not None:
            self._timer.cancel()
        self.end()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def manager_class(self) -> type[PrivateKernelManager]:
        """A class whose kernels keep their sockets in the watched folder and are known here."""
        watch = self

        class Watched(PrivateKernelManager):
            def __init__(self, **options: Any) -> None:
                options["transport"] = "ipc"
                options["connection_file"] = str(watch._folder / "kernel.json")
                super().__init__(**options)
                watch._managers.append(self)

        return Watched

    def end(self) -> None:
        """End every kernel that was started, at once."""
        for manager in self._managers:
            pid = getattr(manager.provisioner, "pid", None)
            if pid is None:
                continue
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue

    def _expire(self) -> None:
        self.has_expired = True
        self.end()
