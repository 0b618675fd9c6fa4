"""Tests run offline, on two threads in all, with a store of their own."""

import os
import signal
from collections import Counter

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_OFFLINE"] = "1"

import pytest  # noqa: E402
import torch  # noqa: E402

# A shell starts what runs in the background with SIGINT ignored, and every child inherits that.
# Tests of Ctrl-C want what a terminal gives.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Beside another worker (make test, make fast), a test has one core, as has what it starts; alone it
# has two.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))


APART = "test_sd_notebooks.py"
"""A file whose tests are long and share nothing, so that each may run in any worker."""
NOTEBOOKS = ("test_notebooks.py::test_notebook_runs[05", "test_colab.py", "test_notebooks.py")
"""What trains the same models: in one worker, so that none waits for another's training. Notebook
05 comes first, since it looks at two trainings on their way and the others only at their end."""


def scope_of(nodeid):
    """Tests of one scope stay together in one worker, which opens the models they share once."""
    file = nodeid.partition("::")[0]
    if file.endswith(APART):
        return nodeid
    return "notebooks" if any(part in nodeid for part in NOTEBOOKS) else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    from xdist.scheduler import LoadScopeScheduling

    class ByScope(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return scope_of(nodeid)

    config.option.loadscopereorder = False  # in the order below
    return ByScope(config, log)


def pytest_collection_modifyitems(items):
    """Among several workers the longest scope comes first, then those of many tests: what is left
    for the end is short."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return
    counts = Counter(scope_of(item.nodeid) for item in items)

    def place(item):
        among = [number for number, part in enumerate(NOTEBOOKS) if part in item.nodeid]
        return min(among, default=len(NOTEBOOKS)), -counts[scope_of(item.nodeid)]

    items.sort(key=place)


@pytest.fixture(autouse=True)
def _own_store(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("SHORTCUT_NB_CACHE", str(tmp_path_factory.getbasetemp() / "store"))


@pytest.fixture(scope="session")
def notebooks_store(tmp_path_factory):
    """One store for all notebooks: what one trained the others find, in whichever worker."""
    place = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        place = place.parent
    return str(place / "notebooks")


@pytest.fixture(scope="session")
def miniature():
    """The miniature, opened once; tests must leave it as they found it."""
    from shortcut_nb import Lab

    return Lab("mini", device="cpu", autocast=torch.float32)


@pytest.fixture(scope="session")
def lab(miniature):
    """The miniature; a file whose promises hold for any weights may take :func:`quick_lab`."""
    return miniature


@pytest.fixture(scope="session")
def quick_lab(tmp_path_factory):
    """Tiny text-to-image models and CLIP with random weights, the miniature's purifiers."""
    from shortcut_nb import Lab
    from shortcut_nb.profile import load_profile
    from tests.tiny_profile import tiny_profile
    from tests.tiny_sd import save_pipeline

    folder = tmp_path_factory.mktemp("quick-models")
    save_pipeline(folder / "second", "sd15", seed=1)
    more = {
        "ensemble": [{"id": str(folder / "second"), "loader": "stable-diffusion"}],
        "purifiers": load_profile("mini").model_dump()["purifiers"],
    }
    return Lab(tiny_profile(folder, **more), "cpu", torch.float32)


@pytest.fixture(scope="session")
def subject(miniature):
    """A held-out identity."""
    return miniature.subject("mini:held-out/0")


@pytest.fixture(scope="session")
def pair(miniature):
    """The same identity with two pictures in each set: enough to attack, at half the price."""
    from dataclasses import replace

    whole = miniature.subject("mini:held-out/0")
    return replace(whole, **{name: getattr(whole, name)[:2] for name in ("a", "b", "c")})


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory):
    """The profile of tiny models with random weights, written once; a test leaves it as it is."""
    from tests.tiny_profile import tiny_profile

    return tiny_profile(tmp_path_factory.mktemp("tiny-models"))


@pytest.fixture(scope="session")
def tiny_lab(tiny_models):
    """A lab of tiny models, opened once; tests must leave it as they found it."""
    from shortcut_nb import Lab

    return Lab(tiny_models, "cpu", torch.float32)
