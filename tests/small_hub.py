"""A server of files that keeps to a range, says what it was asked, and may stop in the middle.

It answers as the Hugging Face Hub does: a model's commit, its tree, and its files.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from unittest.mock import patch
from urllib.parse import unquote, urlparse

from huggingface_hub import constants

COMMIT = "c" * 40
LARGE = 1_000_000  # bytes; larger files are named by their SHA-256


class Hub(ThreadingHTTPServer):
    """The files below a folder, as the one model of a hub.

    Attributes:
        served: (path, first byte, bytes sent) of every file that was asked for.
        stop_at: a larger file stops after this many bytes, and the line stays open; None does not.
    """

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.folder = folder
        self.served: list[tuple[str, int, int]] = []
        self.stop_at: int | None = None
        self.stopped = threading.Event()
        self.go_on = threading.Event()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def tree(self) -> list[dict]:
        paths = sorted(path for path in self.folder.rglob("*") if path.is_file())
        return [entry(path, path.relative_to(self.folder).as_posix()) for path in paths]


def entry(path: Path, name: str) -> dict:
    content = path.read_bytes()
    entry = {"type": "file", "path": name, "size": len(content)}
    entry["oid"] = hashlib.sha1(content).hexdigest()
    if len(content) > LARGE:
        sha256 = hashlib.sha256(content).hexdigest()
        entry["lfs"] = {"oid": sha256, "size": len(content), "pointerSize": 100}
    return entry


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def log_message(self, *words) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(urlparse(self.path).path)
        if path.startswith("/api/"):
            tree = "/tree/" in path
            self.send_json(self.server.tree() if tree else {"id": "a/b", "sha": COMMIT})
            return
        name = path.split(f"/resolve/{COMMIT}/", 1)[-1].lstrip("/")
        if (self.server.folder / name).is_file():
            self.send_file(name)
        else:
            self.send_error(404)

    def send_json(self, content) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def send_file(self, name: str) -> None:
        content = (self.server.folder / name).read_bytes()
        about = entry(self.server.folder / name, name)
        given = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(given[1]) if given else 0
        if start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if given else 200)
        if given:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.send_header("ETag", f'"{about.get("lfs", about)["oid"]}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if self.command == "HEAD":
            return
        stop = self.server.stop_at
        end = len(content) if stop is None or len(content) <= stop else stop
        self.wfile.write(content[start:end])
        self.server.served.append((name, start, end - start))
        if end < len(content):
            self.server.stopped.set()
            self.server.go_on.wait(60)
            self.close_connection = True


@contextmanager
def small_hub(folder: Path) -> Iterator[Hub]:
    """A hub of a folder, as long as the block lasts; it can be reached though tests are offline."""
    hub = Hub(folder)
    thread = threading.Thread(target=hub.serve_forever, daemon=True)
    thread.start()
    try:
        with patch.object(constants, "HF_HUB_OFFLINE", False):
            yield hub
    finally:
        hub.go_on.set()
        hub.shutdown()
        hub.server_close()
