"""Work for processes that load nothing."""

import json
import os
import signal
import time


def sleep_or_die(place, what):
    """Note that it was begun; and end as it is told."""
    with open(place, "a") as log:
        log.write(f"{what}\n")
    time.sleep(0.2)
    if what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "raise":
        raise ValueError("told\nso")


def fail(context, plan):
    """A training that cannot be done."""
    raise RuntimeError("no such luck")


def succeed(context, plan):
    """A training that is done at once."""
    (context.into / "ran").touch()


def meet(folder, name, others):
    """Wait until so many others were begun too; note when this one was at work, for 3 s or more."""
    begun = time.time()
    (folder / f"{name}.begun").touch()
    while len(list(folder.glob("*.begun"))) <= others:
        if time.time() > begun + 60:
            raise TimeoutError(f"{name} stayed alone")
        time.sleep(0.05)
    time.sleep(3)
    (folder / f"{name}.json").write_text(json.dumps([begun, time.time()]))
