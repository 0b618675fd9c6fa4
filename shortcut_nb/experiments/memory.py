"""Peak memory of a piece of work, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

MEMORY = "memory_mib"


def peak_memory(statement: str, profile: str = "mini") -> float:
    """Peak resident memory in MiB of a fresh process on one thread, libraries and models included.

    Args:
        statement: Python, with ``lab`` and ``subject``, the profile's first, at hand.

    Raises:
        RuntimeError: when the statement fails; its error is in the message.
    """
    code = (
        "import resource, torch; torch.set_num_threads(1)\n"
        "from shortcut_nb import Lab\n"
        f"lab = Lab({profile!r}, device='cpu')\n"
        "subject = lab.subject(lab.profile.subjects[0])\n"
        f"{statement}\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{statement}: {done.stderr.strip().splitlines()[-1]}")
    return int(done.stdout.split()[-1]) / 1024
