"""Peak memory of a piece of work, in a process of its own."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

MEMORY = "memory_mib"
STATUS = Path("/proc/self/status")


def own_peak() -> float:
    """Peak resident memory of this process in MiB, since it began.

    Linux says it in ``VmHWM``. The system's own count, ``ru_maxrss``, is handed on to a child, so
    that a small process begun by a large one would look as large.
    """
    if STATUS.is_file():
        line = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    taken = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return taken / (1024**2 if sys.platform == "darwin" else 1024)


def peak_memory(statement: str, profile: str = "mini") -> float:
    """Peak resident memory in MiB of a fresh process on one thread, libraries and models included.

    Args:
        statement: Python, with ``lab`` and ``subject``, the profile's first, at hand.

    Raises:
        RuntimeError: when the statement fails; its error is in the message.
    """
    code = (
        "import torch; torch.set_num_threads(1)\n"
        "from shortcut_nb import Lab\n"
        "from shortcut_nb.experiments.process_memory import own_peak\n"
        f"lab = Lab({profile!r}, device='cpu')\n"
        "subject = lab.subject(lab.profile.subjects[0])\n"
        f"{statement}\n"
        "print(own_peak())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        why = lines[-1] if lines else f"its process ended by signal {-done.returncode}"
        raise RuntimeError(f"{statement}: {why}")
    return float(done.stdout.split()[-1])
