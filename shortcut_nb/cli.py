"""The command line, `shortcut-nb`. Thin: each command calls the library."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from shortcut_nb import cli_cache, cli_info

app = typer.Typer(
    help="Protective perturbations, shortcut learning, and what undoes them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)
app.add_typer(cli_cache.app, name="cache")
app.add_typer(cli_info.mini, name="mini")

Profile = Annotated[str, typer.Option(help="Profile name, or the path of a YAML file.")]
Params = Annotated[
    list[str] | None, typer.Option("-p", "--param", help="A parameter, name=value; repeatable.")
]
Folder = Annotated[Path, typer.Argument(help="A folder of pictures.")]
Out = Annotated[Path, typer.Argument(help="A folder for the results; made when missing.")]


@app.callback()
def _start(
    verbose: Annotated[bool, typer.Option("--verbose", help="More log lines.")] = False,
) -> None:
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.WARNING, format="%(message)s", stream=sys.stderr
    )
    logging.getLogger("shortcut_nb").setLevel(logging.DEBUG if verbose else logging.INFO)


@contextmanager
def user_errors() -> Iterator[None]:
    """Print an error that the user can mend as one red line, and exit with 2."""
    try:
        yield
    except (ValueError, FileNotFoundError, FileExistsError, KeyError, TypeError) as error:
        if isinstance(error, (KeyError, TypeError)) and not _ours(error):
            raise  # a fault of the program: show its traceback
        text = error.args[0] if isinstance(error, KeyError) and error.args else error
        typer.secho(" ".join(str(text).split()), fg="red", err=True)
        raise typer.Exit(2) from None


def _ours(error: BaseException) -> bool:
    """Whether an unknown name or parameter was refused by a registry or by a door check."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    name = trace.tb_frame.f_globals.get("__name__", "") if trace else ""
    return name.startswith("shortcut_nb.") and bool(error.args) and " " in str(error.args[0])


def parse_params(pairs: list[str] | None) -> dict[str, Any]:
    """Read name=value pairs: whole numbers, decimals, YAML lists, else text ("8/255").

    Raises:
        ValueError: when a pair has no "=" or no name.
    """
    import yaml

    found: dict[str, Any] = {}
    for pair in pairs or []:
        name, equals, text = pair.partition("=")
        if not equals or not name.isidentifier():
            raise ValueError(
                f"expected -p name=value; got {pair!r}. Write for example -p steps=20."
            )
        for read in (int, float, yaml.safe_load):
            try:
                found[name] = read(text)
                break
            except ValueError:
                continue
            except yaml.YAMLError:
                found[name] = text
    return found


@app.command()
def run(
    notebook: Annotated[
        str, typer.Argument(help="A notebook (00_quickstart, 00, a path), or all.")
    ],
    param: Params = None,
    timeout: Annotated[int | None, typer.Option(help="Seconds that one cell may take.")] = None,
    in_place: Annotated[bool, typer.Option(help="Keep the outputs in the notebook.")] = True,
) -> None:
    """Run a notebook, or all of them in order, and check what it declares."""
    from shortcut_nb.experiments import notebook_files as files
    from shortcut_nb.experiments.notebooks import NotebookFailed, run_notebook

    with user_errors():
        values = parse_params(param)
        paths = files.all_notebooks() if notebook == "all" else [files.find_notebook(notebook)]
        for path in paths:
            try:
                executed = run_notebook(path, values, timeout, in_place)
            except NotebookFailed as error:
                typer.secho(str(error), fg="red", err=True)
                raise typer.Exit(1) from None
            typer.echo(f"ran {path.name}; the executed copy is {executed}")
            for figure in files.figure_files(path):
                typer.echo(f"  figure: {figure}")


@app.command()
def protect(
    source: Folder,
    out: Out,
    attack: Annotated[str, typer.Option(help="A name from `list attacks`.")] = "aspl",
    eps: Annotated[str | None, typer.Option(help="The budget, for example 8/255.")] = None,
    profile: Profile = "mini",
    param: Params = None,
) -> None:
    """Protect the pictures of a folder with an attack, and save PNG and one JSON."""
    with user_errors():
        from shortcut_nb.progress import progress

        lab = _lab(profile)
        params = parse_params(param) | ({"eps": eps} if eps else {})
        made = lab.attack(attack, **params)(_subject(lab, source), on_step=progress(attack))
        made.save(out, _names(source))
        typer.echo(f"wrote {len(made.images)} protected pictures to {out}")


@app.command()
def purify(
    source: Folder,
    out: Out,
    using: Annotated[str, typer.Option("--with", help="A purifier; chains join with +.")] = "jpeg",
    profile: Profile = "mini",
) -> None:
    """Purify the pictures of a folder, and save PNG under the same names."""
    with user_errors():
        from shortcut_nb.images import load_folder, save_folder

        lab = _lab(profile)
        images, names = load_folder(source, lab.profile.resolution)
        save_folder(lab.purifier(using)(images), out, names)
        typer.echo(f"wrote {len(names)} purified pictures to {out}")


@app.command()
def personalize(
    source: Folder,
    out: Out,
    trainer: Annotated[str, typer.Option(help="A name from `list trainers`.")] = "dreambooth",
    prompts: Annotated[str, typer.Option(help="plain, or cdl.")] = "plain",
    samples: Annotated[int, typer.Option(min=1, help="How many pictures to sample.")] = 16,
    seed: Annotated[int, typer.Option(help="Seed of the samples.")] = 0,
    profile: Profile = "mini",
) -> None:
    """Train on the pictures of a folder; save OUT/model, and pictures from it in OUT/samples."""
    with user_errors():
        from shortcut_nb.images import save_folder
        from shortcut_nb.progress import progress

        if (out / "model").exists():  # found now, and not after an hour of training
            raise FileExistsError(f"{out / 'model'} exists already. Name a new folder.")
        lab = _lab(profile)
        subject = _subject(lab, source)
        training = lab.personalize(trainer, prompts=prompts)
        model = training.fit(subject, subject.images, on_step=progress(trainer))
        out.mkdir(parents=True, exist_ok=True)
        model.save(out / "model")
        save_folder(model.sample(samples, seed=seed), out / "samples")
        typer.echo(f"wrote {out / 'model'}, and {samples} pictures to {out / 'samples'}")


@app.command()
def score(
    source: Folder,
    reference: Annotated[Path, typer.Option(help="A folder of clean pictures of the subject.")],
    profile: Profile = "mini",
    as_json: Annotated[bool, typer.Option("--json", help="One row per picture, as JSON.")] = False,
) -> None:
    """Score the pictures of a folder against clean pictures of the subject."""
    with user_errors():
        from shortcut_nb.images import load_folder

        lab = _lab(profile)
        images, names = load_folder(source, lab.profile.resolution)
        frame = lab.score(images, _subject(lab, reference))
        if len(frame) == len(names):
            frame.insert(0, "file", names)
        if as_json:
            typer.echo(json.dumps(json.loads(frame.to_json(orient="records")), indent=2))
        else:
            typer.echo(frame.to_string(index=False))


@app.command("list")
def list_names(
    what: Annotated[cli_info.Kind, typer.Argument(help="What to list.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="Names and descriptions, as JSON.")
    ] = False,
) -> None:
    """List what is registered, with one line each."""
    with user_errors():
        cli_info.show_names(what, as_json)


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="The same, as JSON.")] = False,
) -> None:
    """Show versions, device, memory, and what each profile still lacks."""
    with user_errors():
        cli_info.show_doctor(as_json)


def _lab(profile: str) -> Any:
    from shortcut_nb import Lab

    return Lab(profile)


def _names(source: Path) -> list[str] | None:
    """The file names of the pictures to protect; None for a synthetic subject."""
    from shortcut_nb.images import list_pictures
    from shortcut_nb.subjects import SETS

    if str(source).startswith("mini:"):
        return None
    deep = all((source / name).is_dir() for name in SETS)
    return [path.name for path in list_pictures(source / SETS[1] if deep else source)]


def _subject(lab: Any, source: Path) -> Any:
    """The subject of a command: "mini:...", a folder with set_A, set_B, set_C, or plain photos.

    A command means every picture of a plain folder, so none is set aside as reference.
    """
    from shortcut_nb.images import load_folder
    from shortcut_nb.subjects import SETS

    subject = lab.subject(str(source))
    if str(source).startswith("mini:") or all((source / name).is_dir() for name in SETS):
        return subject
    every, _ = load_folder(source, lab.profile.resolution)
    return replace(subject, a=every, b=every.clone(), c=every.clone())
