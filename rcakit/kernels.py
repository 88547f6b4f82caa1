"""A kernel for one run: this interpreter, private sockets, no network ports."""

import sys
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager

__all__ = ["PrivateKernelManager"]


class PrivateKernelManager(AsyncKernelManager):
    """Start the interpreter that runs rcakit, and talk to it through files.

    A kernel that is registered under the name ``python3`` may belong to another environment, and
    kernels on TCP ports can be reached by every user of the machine.
    """

    @classmethod
    def within(cls, folder: Path) -> type["PrivateKernelManager"]:
        """Return a class whose kernels keep their sockets in a folder of their own."""

        class _Within(cls):  # type: ignore[valid-type, misc]
            def __init__(self, **options: Any) -> None:
                options["transport"] = "ipc"
                options["connection_file"] = str(folder / "kernel.json")
                super().__init__(**options)

        return _Within

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
