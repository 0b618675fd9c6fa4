"""`shortcut-nb list`, `doctor` and `mini`: what there is, and what is missing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import UserError
from ..registry import catalogue
from .exits import user_errors

mini = typer.Typer(help="The miniature world.", no_args_is_help=True)


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
    from ..profile import available_presets, available_profiles, load_profile

    descriptions = {name: load_profile(name).description for name in available_profiles()}
    return dict(sorted((descriptions | available_presets()).items()))


def list_names(
    what: Annotated[Kind, typer.Argument(help="What to list.")],
    name: Annotated[str | None, typer.Argument(help="One of them: its parameters.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Names and descriptions, as JSON.")
    ] = False,
    profile: Annotated[
        str, typer.Option(help="Whose defaults are shown beside a thing's own.")
    ] = "mini",
) -> None:
    """List what is registered, with one line each; or the parameters of one.

    Example: shortcut-nb list attacks, or: shortcut-nb list attacks aspl
    """
    with user_errors():
        if name is not None:
            _show_one(what, name, as_json, profile)
            return
        from ..profile import load_profile

        load_profile(profile)  # refuses one that there is not
        listed = names(what)
        if as_json:
            typer.echo(json.dumps(listed, indent=2, ensure_ascii=False))
            return
        width = max(map(len, listed), default=0)
        for key, line in listed.items():
            typer.echo(f"{key:<{width}}  {plain_text(line)}")


def plain_text(text: str) -> str:
    """A docstring's words without the marks of its reference: ":class:`Clip`" is "Clip"."""
    return re.sub(r":\w+:`[.~]*([^`]+)`", r"\1", text).replace("``", "")


def _show_one(kind: Kind, name: str, as_json: bool, profile: str) -> None:
    """Print what one thing is and its parameters: default, what is allowed, source."""
    from ..registry.details import details

    thing = details(kind.value, name, profile)
    if as_json:
        typer.echo(json.dumps(thing, indent=2, ensure_ascii=False, default=str))
        return
    typer.echo(plain_text(f"{name}: {thing['description']}"))
    for row in thing["parameters"]:
        more = f"; the paper's {row['paper']!r}" if "paper" in row else ""
        more += f"; {profile}'s {row['here']!r}" if "here" in row else ""
        typer.echo(f"  {row['name']} = {row['default']!r}  ({row['allowed']}{more})")
        if row["description"]:
            typer.echo(f"      {plain_text(row['description'])}")
    typer.echo(f"source: {thing['source']}")


@mini.command()
def evaluate(
    seed: Annotated[int, typer.Option(help="Seed of the evaluation.", min=0)] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    write: Annotated[bool, typer.Option(help="Also write the model card, mini/card.json.")] = False,
    only: Annotated[list[str] | None, typer.Option(help="These measures only; repeatable.")] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Models in training, judged by the bars of the next ones.")
    ] = None,
) -> None:
    """Measure how good the miniature's models are; exit with 1 when one misses its bar.

    Example: shortcut-nb mini evaluate --weights build/pretrain/weights --only vae
    """
    with user_errors():
        from ..mini.evaluate import evaluate as measure
        from ..mini.evaluate import write_card

        if write and (weights is not None or only):
            raise UserError("--write measures all of the shipped models: leave the rest out.")
        card = measure(seed, only, weights=weights)
        if write:
            write_card(card)
        missed = [bar["key"] for bar in card["bars"] if not bar["reached"]]
        if as_json:
            typer.echo(json.dumps(card, indent=2))
        else:
            for line in _report(card):
                typer.echo(line)
        if missed:
            typer.secho(f"below the bar: {', '.join(missed)}", fg="red", err=True)
            raise typer.Exit(1)


def _report(card: dict[str, Any]) -> Iterator[str]:
    for model, numbers in card["measured"].items():
        yield model
        for name, value in numbers.items():
            yield f"  {name:<24} {f'{value:.4g}' if isinstance(value, float) else value}"
    yield "bars"
    for bar in card["bars"]:
        result = "reached" if bar["reached"] else "missed"
        yield f"  {bar['key']:<32} {bar['value']:.4g} {bar['sign']} {bar['bar']:.4g}  {result}"


def doctor(
    profile: Annotated[
        list[str] | None, typer.Option(help="Only this profile, a name or a YAML file; repeatable.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same, as JSON.")] = False,
    memory: Annotated[
        bool, typer.Option(help="What attacks and methods need of a card's memory.")
    ] = False,
) -> None:
    """Show versions, device, memory, and what each profile still lacks; no model is opened.

    Example: shortcut-nb doctor --profile my_profile.yaml
    """
    with user_errors():
        from ..machine.doctor import diagnose

        findings = diagnose(list(profile) if profile else None)
        if as_json:
            typer.echo(json.dumps(findings, indent=2))
            return
        for line in _findings(findings):
            typer.echo(line)
        if memory:
            from ..machine.doctor import memory_lines

            for line in memory_lines(list(findings["profiles"]) if not profile else list(profile)):
                typer.echo(line)


def _findings(findings: dict[str, Any]) -> Iterator[str]:
    yield f"python {findings['python']}"
    for name, version in findings["versions"].items():
        tested = findings["untested"].get(name)
        yield f"{name} {version}" + (f"  not tested: {' to '.join(tested)} were" if tested else "")
    yield f"device {findings['device']}, {findings['threads']} threads"
    yield f"memory {findings['memory'] / 2**30:.1f} GiB"
    yield f"store {findings['store']}"
    for profile, missing in findings["profiles"].items():
        lacks = f"lacks, and `shortcut-nb fetch {profile}` brings what can be had:"
        yield f"profile {profile}: {lacks if missing else 'ready'}"
        for role, what in missing.items():
            yield f"  {role}: {what}"
