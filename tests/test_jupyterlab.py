"""JupyterLab in a real browser: a notebook runs by "Run All Cells", figures show, no error does."""

import os
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest

from shortcut_nb.runner.contents import KERNEL

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
PORT_TRIES = 60

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt-get install chromium"),
]


@pytest.fixture
def notebook(tmp_path):
    """Notebook 10 up to its first figure: it draws, opens the miniature and shows pictures."""
    source = nbformat.read(ROOT / "notebooks" / "10_your_photos.ipynb", as_version=4)
    last = next(i for i, c in enumerate(source.cells) if "your_photos_seen" in c.source)
    short = nbformat.v4.new_notebook(cells=source.cells[: last + 1])
    short.metadata["kernelspec"] = KERNEL
    for cell in short.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    nbformat.write(short, tmp_path / "short.ipynb")
    return tmp_path / "short.ipynb"


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


def test_a_reader_opens_a_notebook_and_runs_all(server, notebook):
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    with playwright.sync_playwright() as tools:
        options = ["--no-sandbox", "--disable-gpu"]
        browser = tools.chromium.launch(executable_path=CHROMIUM, args=options)
        page = browser.new_page(viewport={"width": 1300, "height": 1000})
        page.set_default_timeout(90_000)
        page.goto(f"{server}/lab/tree/{notebook.name}")
        cells = page.locator(".jp-Notebook .jp-Cell")
        cells.first.wait_for()
        page.get_by_role("heading", name="Your photos").first.wait_for()
        page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").first.wait_for()
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        figure = page.locator(".jp-OutputArea-output img").first
        figure.wait_for(timeout=240_000)
        page.wait_for_function(
            "() => ![...document.querySelectorAll('.jp-InputPrompt')]"
            ".some(p => p.textContent.includes('[*]'))"
        )
        assert page.locator("[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
        figure.scroll_into_view_if_needed()
        kept = Path(os.environ.get("SHORTCUT_NB_SCREENSHOTS", notebook.parent))
        page.screenshot(path=str(kept / "jupyterlab.png"))
        assert figure.evaluate("image => image.naturalWidth") > 200
        assert page.locator("[data-mime-type='application/vnd.jupyter.error']").count() == 0
        assert page.get_by_text("Traceback").count() == 0
        prompts = page.locator(".jp-CodeCell .jp-InputPrompt").all_text_contents()
        browser.close()
    code = [c for c in nbformat.read(notebook, as_version=4).cells if c.cell_type == "code"]
    assert [prompt.strip() for prompt in prompts] == [f"[{i + 1}]:" for i in range(len(code))]
