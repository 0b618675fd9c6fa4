"""`shortcut-nb list`, `doctor` and `mini`: what there is, and what is missing."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from enum import StrEnum
from importlib import metadata
from typing import Annotated, Any

import typer

from shortcut_nb import catalogue
from shortcut_nb.cli_doors import doors

mini = typer.Typer(help="The miniature world.", no_args_is_help=True)

LIBRARIES = ("torch", "torchvision", "diffusers", "transformers", "open_clip_torch", "papermill")


class Kind(StrEnum):
    """What can be listed."""

    attacks = "attacks"
    purifiers = "purifiers"
    trainers = "trainers"
    metrics = "metrics"
    profiles = "profiles"


def names(kind: Kind) -> dict[str, str]:
    """Every name of a kind, with the first line of its description, sorted by name."""
    if kind is not Kind.profiles:
        return catalogue.names(kind.value)
    from shortcut_nb.profile import available_profiles, load_profile

    return {name: load_profile(name).description for name in available_profiles()}


def list_names(
    what: Annotated[Kind, typer.Argument(help="What to list.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="Names and descriptions, as JSON.")
    ] = False,
) -> None:
    """List what is registered, with one line each.

    Example: shortcut-nb list attacks
    """
    with doors():
        found = names(what)
        if as_json:
            typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
            return
        width = max(map(len, found), default=0)
        for name, line in found.items():
            typer.echo(f"{name:<{width}}  {line}")


@mini.command()
def evaluate(
    seed: Annotated[int, typer.Option(help="Seed of the evaluation.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    write: Annotated[bool, typer.Option(help="Also write the model card, mini/card.json.")] = False,
) -> None:
    """Measure how good the miniature's models are; exit with 1 when one misses its bar.

    Example: shortcut-nb mini evaluate --write
    """
    with doors():
        from shortcut_nb.mini.evaluate import evaluate as measure
        from shortcut_nb.mini.evaluate import write_card

        found = measure(seed)
        if write:
            write_card(found)
        missed = [bar["key"] for bar in found["bars"] if not bar["reached"]]
        if as_json:
            typer.echo(json.dumps(found, indent=2))
        else:
            for line in _report(found):
                typer.echo(line)
        if missed:
            typer.secho(f"below the bar: {', '.join(missed)}", fg="red", err=True)
            raise typer.Exit(1)


def _report(found: dict[str, Any]) -> Iterator[str]:
    for model, numbers in found["measured"].items():
        yield model
        for name, value in numbers.items():
            yield f"  {name:<24} {f'{value:.4g}' if isinstance(value, float) else value}"
    yield "bars"
    for bar in found["bars"]:
        said = "reached" if bar["reached"] else "missed"
        yield f"  {bar['key']:<32} {bar['value']:.4g} {bar['sign']} {bar['bar']:.4g}  {said}"


def diagnose() -> dict[str, Any]:
    """Versions, device, memory in bytes, and for each profile the weights it lacks."""
    import torch

    from shortcut_nb.profile import available_profiles
    from shortcut_nb.store import Store

    cuda = torch.cuda.is_available()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in ("shortcut-nb", *LIBRARIES)},
        "device": torch.cuda.get_device_name() if cuda else "cpu",
        "device_memory": torch.cuda.get_device_properties(0).total_memory if cuda else None,
        "memory": memory,
        "threads": torch.get_num_threads(),
        "store": str(Store().root),
        "profiles": {name: lacks(name) for name in available_profiles()},
    }


def lacks(profile: str) -> dict[str, str]:
    """The models of a profile that cannot be used here, each with what to do about it."""
    from shortcut_nb.profile import load_profile, verify

    found = {}
    for role, ref in load_profile(profile).models().items():
        try:
            verify(ref)
        except (FileNotFoundError, ValueError) as error:
            found[role] = str(error)
    return found


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="The same, as JSON.")] = False,
) -> None:
    """Show versions, device, memory, and what each profile still lacks.

    Example: shortcut-nb doctor
    """
    with doors():
        show_doctor(as_json)


def show_doctor(as_json: bool) -> None:
    """Print `diagnose()` as text or as JSON."""
    found = diagnose()
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    typer.echo(f"python {found['python']}")
    for name, version_text in found["versions"].items():
        typer.echo(f"{name} {version_text}")
    typer.echo(f"device {found['device']}, {found['threads']} threads")
    typer.echo(f"memory {found['memory'] / 2**30:.1f} GiB")
    typer.echo(f"store {found['store']}")
    for profile, missing in found["profiles"].items():
        typer.echo(f"profile {profile}: {'ready' if not missing else 'lacks'}")
        for role, what in missing.items():
            typer.echo(f"  {role}: {what}")


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"
