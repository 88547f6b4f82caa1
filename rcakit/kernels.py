"""A kernel for one run: this interpreter, private sockets, no network ports, and a hand on its life."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rcakit.redaction import ADDRESS, Redactor, SecretListener

if TYPE_CHECKING:
    from jupyter_client.manager import AsyncKernelManager

__all__ = ["KernelWatch", "Stop", "close_event_loop", "forget_dead_kernel"]

_PREFIX = "rcakit-kernel-"
# A kernel reads these lines when it starts; it keeps no history of what it ran in the user's home.
_OPTIONS = ["--HistoryManager.enabled=False"]


# The first thing a kernel does: ask to be killed with the thread that started it, and go if that is
# dead already. By itself a kernel looks for its parent only once it has started.
_TIED_TO_PARENT = """
import os, runpy
if os.uname().sysname == "Linux":
    import ctypes, signal
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != int(os.environ["JPY_PARENT_PID"]):
        os._exit(1)
runpy.run_module("ipykernel_launcher", run_name="__main__", alter_sys=True)
"""


class Stop:
    """A way for one thread to end the runs of others."""

    def __init__(self) -> None:
        self.is_requested = False
        self._watches: set[KernelWatch] = set()
        self._lock = threading.Lock()

    def request(self) -> None:
        """End all kernels that run now, and those that would start later."""
        with self._lock:
            self.is_requested = True
            watches = list(self._watches)
        for watch in watches:
            watch.end()

    def add(self, watch: "KernelWatch") -> None:
        """Watch over one more run."""
        with self._lock:
            self._watches.add(watch)

    def remove(self, watch: "KernelWatch") -> None:
        """Let go of a run that has ended."""
        with self._lock:
            self._watches.discard(watch)


class KernelWatch:
    """Give one run its kernel, end it at a deadline, and leave nothing behind.

    Parameters
    ----------
    timeout
        Seconds from entering until the kernel is ended; None for no deadline.
    redactor
        What is told of the secrets that the kernel reads.
    stop
        Through which another thread can end the run.

    Notes
    -----
    A kernel that is ended so looks to its client like one that died; `has_expired` and
    `is_stopped` tell the three apart.
    """

    def __init__(
        self,
        timeout: float | None = None,
        *,
        redactor: Redactor | None = None,
        stop: Stop | None = None,
    ) -> None:
        self.has_expired = False
        self.redactor = Redactor() if redactor is None else redactor
        self._stop = Stop() if stop is None else stop
        self._processes: list[subprocess.Popen[bytes]] = []
        _clear_abandoned()
        self._folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        # Held as long as this process lives: by it others tell that the folder is in use.
        self._hold = os.open(self._folder, os.O_RDONLY)
        fcntl.flock(self._hold, fcntl.LOCK_EX)
        self._listener = SecretListener(self._folder / "secrets", self.redactor)
        self._timer = threading.Timer(timeout, self._expire) if timeout is not None else None

    def __enter__(self) -> Self:
        """Start the clock."""
        self._stop.add(self)
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
        self._stop.remove(self)
        if self._timer is not None:
            self._timer.cancel()
        self.end()
        self._listener.close()
        shutil.rmtree(self._folder, ignore_errors=True)
        os.close(self._hold)

    @property
    def is_stopped(self) -> bool:
        """Whether another thread asked for the end."""
        return self._stop.is_requested

    @property
    def manager_class(self) -> "type[AsyncKernelManager]":
        """A class whose kernels keep their sockets in the watched folder and are known here."""
        from jupyter_client.manager import AsyncKernelManager

        watch = self

        class PrivateKernelManager(AsyncKernelManager):
            """Starts the interpreter that runs rcakit, and talks to it through files.

            A kernel that is registered under the name ``python3`` may belong to another
            environment, and kernels on TCP ports can be reached by every user of the machine.
            """

            def __init__(self, **options: Any) -> None:
                options["transport"] = "ipc"
                options["connection_file"] = str(watch._folder / "kernel.json")
                super().__init__(**options)

            @property
            def kernel_spec(self) -> Any:
                return _specification()

            async def _async_launch_kernel(self, kernel_cmd: list[str], **options: Any) -> None:
                """Keep what the kernel says of itself off the terminal; cells write to the notebook."""
                known = options.get("env") or os.environ
                options["env"] = {**known, ADDRESS: str(watch._listener.path)}
                quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
                await super()._async_launch_kernel(kernel_cmd, **{**options, **quiet})
                watch._processes.append(self.provisioner.process)
                if watch.is_stopped or watch.has_expired:
                    watch.end()

        return PrivateKernelManager

    def end(self) -> None:
        """End every kernel that was started, with the processes it started, at once."""
        for process in self._processes:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)  # a kernel leads a session of its own

    def post_mortem(self, said: str) -> str:
        """Say of a kernel that died by itself what is known of its death."""
        codes = [process.poll() for process in self._processes]
        if -signal.SIGKILL in codes:
            return "its kernel died (killed by signal 9, most often for want of memory)"
        ended = [f"exit code {code}" for code in codes if code is not None]
        return f"its kernel died ({', '.join(ended) or said})"

    def _expire(self) -> None:
        self.has_expired = True
        self.end()


def close_event_loop() -> None:
    """Close the loop on which this thread talked to kernels; for threads that are about to end."""
    from jupyter_core.utils import ensure_event_loop

    ensure_event_loop().close()


def forget_dead_kernel() -> None:
    """Let nobody be told that a kernel died in a run that was cancelled: that is what was asked for.

    The cell that ran then fails on this thread's loop after its caller has gone.
    """
    from jupyter_core.utils import ensure_event_loop
    from nbclient.exceptions import DeadKernelError

    def told(loop: Any, context: dict[str, Any]) -> None:
        if not isinstance(context.get("exception"), DeadKernelError):
            loop.default_exception_handler(context)

    ensure_event_loop().set_exception_handler(told)


def _specification() -> Any:
    from jupyter_client.kernelspec import KernelSpec

    command = [sys.executable, "-Xfrozen_modules=off", "-c", _TIED_TO_PARENT]
    return KernelSpec(
        argv=[*command, "-f", "{connection_file}", *_OPTIONS],
        display_name="Python",
        language="python",
    )


def _clear_abandoned() -> None:
    """Remove the sockets of runners that were killed: their folders are held by nobody."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if folder.stat().st_uid != os.getuid():
                continue
            handle = os.open(folder, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if any(folder.iterdir()):  # one without sockets is just being made
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(handle)
