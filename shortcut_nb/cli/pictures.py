"""`shortcut-nb protect`, `purify`, `personalize` and `score`: a folder in, a folder out."""

from __future__ import annotations

import json
import time
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

from ..registry.catalogue import attacks_without_models
from ..templates import counted
from .exits import user_errors
from .params import parse_params
from .sources import (
    ClassImages,
    ClassName,
    Force,
    Identifier,
    Out,
    Params,
    Profile,
    Source,
    Square,
    check_out,
    check_sets,
    open_lab,
    open_photos,
    picture_folder,
    read_pictures,
    source_path,
    written,
)


def protect(
    source: Source,
    out: Out,
    attack: Annotated[str, typer.Option(help="A name from `list attacks`.")] = "aspl",
    eps: Annotated[str | None, typer.Option(help="The budget, for example 8/255.")] = None,
    profile: Profile = "mini",
    param: Params = None,
    class_name: ClassName = None,
    identifier: Identifier = None,
    class_images: ClassImages = None,
    square: Square = False,
    force: Force = False,
) -> None:
    """Protect photos with an attack; save PNG at the photos' own size, and attack.json.

    Killed or interrupted, the same command goes on where it was.

    Example: shortcut-nb protect photos/ protected/ --attack aspl --eps 8/255
    """
    with user_errors() as on_interrupt:
        params = parse_params(param, eps=eps, class_images=picture_folder(class_images))
        output = check_out(out, "attack.json", source, force, side=_side(profile, square))
        lab = open_lab(profile, *(() if attack in attacks_without_models() else ("diffusion",)))
        chosen = lab.attack(attack, **params)
        check_sets(source)
        photos = open_photos(lab, source, square)
        if photos is None:
            subject = lab.subject(source_path(source), class_name, identifier)
        else:
            from ..photos import carried, subject_of

            subject = subject_of(photos, source_path(source), lab, class_name, identifier)
        from ..resuming.checkpointed_work import checkpointed_work
        from ..resuming.work_keys import work_key

        key = work_key(chosen.inputs(), subject)
        keeping = checkpointed_work("protect", key, attack, 10, _surrogate_bytes(chosen, lab))
        with keeping as checkpoint:
            on_interrupt.message = checkpoint
            result = chosen(subject, checkpoint.on_step, checkpoint.path, keep=True)
            if photos is None:
                result.save(output.folder, list(subject.files) or None, force)
            else:
                carried(photos, result).save(output.folder, force)
        count = len(result.images) if photos is None else len(photos)
        typer.echo(
            f"finished: wrote {written(count, 'protected', photos)} to {output.folder} "
            f"({attack} {result.budget}, {result.seconds:.0f} s)"
        )


def purify(
    source: Source,
    out: Out,
    using: Annotated[str, typer.Option("--with", help="A purifier; chains join with +.")] = "jpeg",
    profile: Profile = "mini",
    param: Params = None,
    class_name: ClassName = None,
    square: Square = False,
    force: Force = False,
) -> None:
    """Purify photos; save PNG under the same names at the same size, and purify.json.

    Killed or interrupted, the same command goes on with the photos that are not done.

    Example: shortcut-nb purify protected/ clean/ --with jpeg+restorer -p quality=60
    """
    with user_errors() as on_interrupt:
        params = parse_params(param, ("class_name",))
        output = check_out(out, "purify.json", source, force, side=_side(profile, square))
        lab = open_lab(profile)
        chosen = lab.purifier(using, class_name, **params)
        photos = open_photos(lab, source, square)
        pictures, names = read_pictures(lab, source) if photos is None else (photos, [])
        from ..photos.purify_folder import key_of_purifying, purify_into
        from ..resuming.finished_pictures import checkpointed_pictures

        started = time.monotonic()
        key = key_of_purifying(chosen, lab, pictures)
        keeping = checkpointed_pictures("purify", key, using, len(pictures))
        with keeping as finished, output.filling() as folder:
            on_interrupt.message = finished
            purify_into(folder, chosen, lab, pictures, names, finished)
        typer.echo(
            f"finished: wrote {written(len(pictures), 'purified', photos)} to {output.folder} "
            f"({using}, {time.monotonic() - started:.0f} s)"
        )


def personalize(
    source: Source,
    out: Out,
    trainer: Annotated[str, typer.Option(help="A name from `list trainers`.")] = "dreambooth",
    prompts: Annotated[str | None, typer.Option(help="plain (the default), cdl, …")] = None,
    samples: Annotated[int, typer.Option(min=1, help="How many pictures to sample.")] = 16,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Seed of the samples.")] = 0,
    profile: Profile = "mini",
    param: Params = None,
    class_name: ClassName = None,
    identifier: Identifier = None,
    class_images: ClassImages = None,
    force: Force = False,
) -> None:
    """Train on photos; save OUT/model, and pictures sampled from it in OUT/samples.

    Killed or interrupted, the same command goes on where it was.

    Example: shortcut-nb personalize clean/ learned/ --prompts cdl -p steps=400 --class-name dog
    """
    with user_errors() as on_interrupt:
        params = parse_params(param, prompts=prompts, class_images=picture_folder(class_images))
        names = ("model/weights", "samples/000.png")
        output = check_out(out, "personalize.json", source, force, names)
        lab = open_lab(profile, "diffusion")
        training = lab.personalize(trainer, **params)
        subject = lab.subject(source_path(source), class_name, identifier)
        from ..files.disk_space import checkpoint_bytes, square_bytes
        from ..files.outputs import need_room
        from ..latents import class_digest
        from ..resuming.checkpointed_work import checkpointed_work
        from ..resuming.work_keys import work_key

        trained = _trained_bytes(training, lab, subject)
        need_room(output.folder, trained + square_bytes(samples, lab.profile.resolution))
        about = {"trainer": trainer, "params": params}
        own = class_digest(getattr(training.settings, "class_images", 0))
        key = work_key((about, own, lab.profile, lab.digest("diffusion"), repr(lab)), subject)
        keeping = checkpointed_work("personalize", key, trainer, 50, checkpoint_bytes(trained))
        with keeping as checkpoint:
            on_interrupt.message = checkpoint
            model = training.fit(
                subject, subject.images, checkpoint.on_step, checkpoint=checkpoint.path
            )
            with output.filling() as folder:
                _save_model(model, training, folder, about, {"n": samples, "seed": seed})
        typer.echo(
            f"finished: wrote {output.folder / 'model'}, and {counted(samples, 'picture')} to "
            f"{output.folder / 'samples'} ({trainer}, {model.seconds:.0f} s)"
        )
        typer.echo(f"to load it elsewhere:\n{model.how_to_load(output.folder / 'model')}")


def score(
    source: Annotated[str, typer.Argument(help="A folder of pictures.")],
    reference: Annotated[str, typer.Option(help="A folder of clean pictures of the subject.")],
    profile: Profile = "mini",
    class_name: ClassName = None,
    as_json: Annotated[bool, typer.Option("--json", help="One row per picture, as JSON.")] = False,
    out: Annotated[str | None, typer.Option(help="Write a file too, .csv or .json.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file of --out.")] = False,
) -> None:
    """Score pictures against clean pictures of the subject.

    Example: shortcut-nb score learned/samples --reference photos/ --out scores.csv
    """
    with user_errors():
        target = _score_file(out, force)
        lab = open_lab(profile)
        images, names = read_pictures(lab, source)
        frame = lab.score(images, lab.subject(source_path(reference, "--reference"), class_name))
        if len(frame) == len(names):
            frame.insert(0, "file", names)
        records = json.dumps(json.loads(frame.to_json(orient="records")), indent=2)
        if target is not None:
            from ..files import write_text

            as_csv = target.suffix.lower() == ".csv"
            write_text(target, frame.to_csv(index=False) if as_csv else records + "\n")
        typer.echo(records if as_json else frame.to_string(index=False))
        if target is not None:
            typer.echo(f"finished: wrote {len(frame)} rows to {target}", err=True)


def _score_file(out: str | None, force: bool) -> Path | None:
    if out is None:
        return None
    from ..errors import UserError
    from ..files.outputs import check_file

    target = check_file(out, force, "--out")
    if target.suffix.lower() not in (".csv", ".json"):
        raise UserError(f"--out must end in .csv or .json; got {out!r}.")
    return target


def _side(profile: str, square: bool) -> int:
    """The side of the squares that are written; 0 for photos at their own size."""
    from ..profile import load_profile

    return load_profile(profile).resolution if square else 0


def _surrogate_bytes(chosen: Any, lab: Any) -> int:
    """What an attack's surrogates take in a checkpoint, as far as it is known."""
    from ..attacks.surrogates import SurrogateAttack
    from ..weights import resolve
    from ..weights.sizes import trained_bytes

    has_some = isinstance(chosen.settings, SurrogateAttack)
    return trained_bytes(resolve(lab.profile.diffusion)) if has_some else 0


def _trained_bytes(training: Any, lab: Any, subject: Any) -> int:
    """What a training changes and saves, as far as it is known: all weights, or next to nothing."""
    from ..personalize.methods import FullFineTuning
    from ..weights import resolve
    from ..weights.sizes import trained_bytes

    whole = isinstance(training.method(subject), FullFineTuning)
    return trained_bytes(resolve(lab.profile.diffusion)) if whole else 0


def _save_model(
    model: Any, training: Any, folder: Path, about: dict[str, Any], drawn: dict[str, int]
) -> None:
    """The model, pictures sampled from it, and how both came about.

    Args:
        about: how the training was asked for.
        drawn: ``n`` and ``seed`` of the samples.
    """
    import torch

    from ..files import write_json
    from ..images import save_folder

    model.save(folder / "model")
    save_folder(model.sample(**drawn), folder / "samples")
    settings = training.settings
    config = {field.name: getattr(settings, field.name) for field in fields(settings)}
    sampling = drawn | {"steps": model.steps, "guidance_scale": model.guidance_scale}
    about = about | {
        "config": {
            name: str(each) if isinstance(each, Path) else each for name, each in config.items()
        },
        "profile": training.models.profile.name,
        "seed": settings.seed,
        "identifier": model.identifier,
        "prompts": vars(model.prompts),
        "sampling": sampling,
        "seconds": round(model.seconds, 2),
        "files": ["model", "samples"],
        "made_with": {"torch": torch.__version__, "threads": torch.get_num_threads()},
    }
    write_json(folder / "personalize.json", about)
