"""JupyterLab in a real browser: notebook 00 runs by "Run All Cells", and a widget moves.

The screenshot is kept beside the notebook, in the test's own folder.
"""

import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest

from shortcut_nb.runner.contents import KERNEL

from .tiny_sd_profile import save_photos, save_sd_profile

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
PORT_TRIES = 60
WAIT = 420_000  # milliseconds

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt-get install chromium"),
]


@pytest.fixture
def notebook(tmp_path):
    """Notebook 00 on a small Stable-Diffusion-shaped profile and a folder of photos."""
    source = nbformat.read(ROOT / "notebooks" / "00_quickstart.ipynb", as_version=4)
    profile, photos = save_sd_profile(tmp_path / "models"), save_photos(tmp_path / "photos")
    values = {"profile": str(profile), "subject_name": str(photos), "samples": 2}
    for cell in source.cells:
        if cell.cell_type == "code":
            cell.outputs = []
        if "parameters" in cell.metadata.get("tags", []):
            cell.source += "\n" + "\n".join(f"{name} = {x!r}" for name, x in values.items())
    source.metadata["kernelspec"] = KERNEL
    nbformat.write(source, tmp_path / "quickstart.ipynb")
    return tmp_path / "quickstart.ipynb"


@pytest.fixture
def server(notebook):
    """The address of a JupyterLab over the notebook's folder."""
    from jupyter_server.serverapp import random_ports

    port = next(random_ports(18_888, 5))
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", f"--port={port}", "--allow-root"]
    command += ["--IdentityProvider.token=", f"--ServerApp.root_dir={notebook.parent}"]
    surroundings = os.environ | {"PYTHONPATH": str(ROOT)}
    with (notebook.parent / "server.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=surroundings)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(PORT_TRIES):
            try:
                urllib.request.urlopen(f"{address}/api", timeout=2).close()
                break
            except OSError:
                assert process.poll() is None, (notebook.parent / "server.log").read_text()
                time.sleep(1)
        yield address
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:  # it waits for kernels
            process.kill()
            process.wait()


IDLE = (
    "() => ![...document.querySelectorAll('.jp-InputPrompt')]"
    ".some(p => p.textContent.includes('[*]'))"
)
STARTED = (
    "() => [...document.querySelectorAll('.jp-InputPrompt')]"
    ".some(p => /\\[[*\\d]/.test(p.textContent))"
)
PICTURES = ".jp-OutputArea-output img"
WIDGET = ".jp-OutputArea-output .jupyter-widgets"


def test_a_reader_runs_all_and_moves_a_widget(server, notebook):
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    pytest.importorskip("ipywidgets")
    with playwright.sync_playwright() as tools:
        options = ["--no-sandbox", "--disable-gpu"]
        browser = tools.chromium.launch(executable_path=CHROMIUM, args=options)
        page = browser.new_page(viewport={"width": 1300, "height": 1000})
        page.set_default_timeout(WAIT)
        run_all(page, f"{server}/lab/tree/{notebook.name}")
        pictures = page.locator(PICTURES)
        assert pictures.count() >= 3
        assert all(
            pictures.nth(i).evaluate("image => image.naturalWidth") > 30
            for i in range(pictures.count())
        )
        move_a_widget(page)
        page.screenshot(path=str(notebook.parent / "jupyterlab.png"))
        for kind in ("error", "stderr"):
            outputs = page.locator(f"[data-mime-type='application/vnd.jupyter.{kind}']")
            assert outputs.all_text_contents() == []
        assert page.get_by_text("Traceback").count() == 0
        prompts = page.locator(".jp-CodeCell .jp-InputPrompt").all_text_contents()
        browser.close()
    code = [c for c in nbformat.read(notebook, as_version=4).cells if c.cell_type == "code"]
    # Every cell ran, in order. A folded one shows no number.
    texts = [prompt.strip(" []:") for prompt in prompts]
    numbers = [int(text) for text in texts if text]
    folded = [cell.metadata.get("jupyter", {}).get("source_hidden", False) for cell in code]
    places = [place for place, hidden in enumerate(folded) if not hidden]
    assert len(numbers) == len(places) == len(code) - 1
    assert numbers == [numbers[0] + place - places[0] for place in places]


def run_all(page, address):
    """Open a notebook, run all of its cells from the menu, and wait for the last."""
    page.goto(address)
    page.locator(".jp-Notebook .jp-Cell").first.wait_for()
    page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").first.wait_for()
    page.get_by_text(re.compile(r"Python 3 .*\| Idle")).wait_for()  # else it asks which is meant
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.wait_for_function(STARTED)
    page.locator(PICTURES).first.wait_for(timeout=WAIT)
    page.wait_for_function(IDLE, timeout=WAIT)


def move_a_widget(page):
    """Move the first slider, or choose another entry of the first menu: the picture changes."""
    widget = page.locator(WIDGET).first
    widget.scroll_into_view_if_needed()
    picture = page.locator(f"{WIDGET} img").first
    picture.wait_for()
    before = picture.get_attribute("src")
    handle = page.locator(f"{WIDGET} .noUi-handle")
    if handle.count():
        first = handle.first
        at_start = first.get_attribute("aria-valuenow") == first.get_attribute("aria-valuemin")
        first.focus()
        page.keyboard.press("End" if at_start else "Home")
    else:
        page.locator(f"{WIDGET} select").first.select_option(index=1)
    page.wait_for_function(
        "([where, before]) => document.querySelector(where).src !== before",
        arg=[f"{WIDGET} img", before],
    )
