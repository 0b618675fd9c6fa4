"""`python -m shortcut_nb` is the command line."""

from shortcut_nb.cli import app

app()
