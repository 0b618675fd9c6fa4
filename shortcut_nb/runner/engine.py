"""papermill's engine, with a client that leaves widgets to the kernel."""

from __future__ import annotations

from typing import Any

from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines
from papermill.utils import remove_args

NAME = "shortcut_nb"


class HeadlessClient(PapermillNotebookClient):
    """nbclient plays the browser for ipywidgets' Output (``interact`` makes one) and then may lose
    the kernel's reply, and wait for ever. Nobody moves a widget in a headless run: what a callback
    shows first is kept in its cell, and no message is sent on a widget's behalf.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.comm_open_handlers: dict[str, Any] = {}


class HeadlessEngine(NBClientEngine):
    """Runs a notebook with a :class:`HeadlessClient`."""

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: Any,
        kernel_name: str,
        start_timeout: int = 60,
        execution_timeout: int | None = None,
        **options: Any,
    ) -> Any:
        """See papermill's engine: the same, with another client."""
        client = HeadlessClient(
            nb_man,
            timeout=execution_timeout,
            startup_timeout=start_timeout,
            kernel_name=kernel_name,
            **remove_args(["input_path", "timeout", "startup_timeout"], **options),
        )
        return client.execute()


papermill_engines.register(NAME, HeadlessEngine)
