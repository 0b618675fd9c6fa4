"""The kernel of a run: this very Python, in a thread, so that an interruption ends it cleanly."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager

COMMAND = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
_KILLED = {
    signal.SIGKILL: "was killed (signal 9), which most often means that memory ran out: close "
    "other programs, or run it with fewer pictures",
    signal.SIGSEGV: "crashed (signal 11, segmentation fault), a fault in compiled code",
    signal.SIGABRT: "gave up (signal 6, abort), a fault in compiled code",
    signal.SIGBUS: "crashed (signal 7, bus error): a disk that is full can do this",
}


class LocalKernel(AsyncKernelManager):
    """A kernel of this interpreter, whatever kernel specifications lie on JUPYTER_PATH."""

    latest: LocalKernel | None = None
    status: int | None = None

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        LocalKernel.latest = self

    @property
    def kernel_spec(self) -> KernelSpec:
        """How the kernel is started."""
        return KernelSpec(argv=list(COMMAND), display_name="Python 3", language="python")

    async def cleanup_resources(self, restart: bool = False) -> None:  # type: ignore[override]
        """Note how the kernel's process ended, then clean up."""
        if self.provisioner is not None:
            self.status = await self.provisioner.poll()
        await super().cleanup_resources(restart)

    def kill(self) -> None:
        """End the kernel and all that it started, at once."""
        process = getattr(self.provisioner, "process", None)
        if process is None or process.poll() is not None:
            return
        try:
            os.killpg(process.pid, signal.SIGKILL)  # it leads a session of its own
        except (OSError, AttributeError):
            process.kill()


def ending(status: int | None) -> str:
    """How a kernel that is gone ended, in words: "was killed (signal 9), …"."""
    if status is None:
        return "stopped answering"
    if status >= 0:
        return f"ended by itself with exit code {status}: look for an exit call in its cells"
    number = -status
    named = {int(key): text for key, text in _KILLED.items()}
    return named.get(number, f"was ended by signal {number}")


def interruptible(work: Callable[[], None]) -> None:
    """Do work that runs a kernel; Ctrl-C ends the kernel first, and then the work.

    The work runs in a thread of its own, where no signal is raised: what it has is written before
    the interruption is passed on.

    Raises:
        KeyboardInterrupt: after the work has ended.
        BaseException: whatever the work raises.
    """
    raised: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # handed to the caller's thread
            raised.append(error)

    LocalKernel.latest = None
    thread = threading.Thread(target=run, name="notebook", daemon=True)
    thread.start()
    interrupted = False
    while thread.is_alive():
        try:
            thread.join(0.2)
        except KeyboardInterrupt:
            interrupted = True
        if interrupted and LocalKernel.latest is not None:
            LocalKernel.latest.kill()
    if interrupted:
        raise KeyboardInterrupt
    if raised:
        raise raised[0]
