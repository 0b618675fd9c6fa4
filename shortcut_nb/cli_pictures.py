"""`shortcut-nb protect`, `purify`, `personalize` and `score`: a folder in, a folder out."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from .catalogue import WITHOUT_MODELS
from .cli_doors import doors, parse_params

Profile = Annotated[str, typer.Option(help="A profile, sd21 or sd21:smoke, or a YAML file.")]
Params = Annotated[
    list[str] | None,
    typer.Option("-p", "--param", help="A parameter, name=value; repeatable. See `list`."),
]
Source = Annotated[
    str,
    typer.Argument(
        help="A folder of photos (all are used), one with set_A, set_B and set_C, or a synthetic "
        "subject: mini:held-out/3."
    ),
]
Out = Annotated[str, typer.Argument(help="A folder for the results, outside of the source.")]
Force = Annotated[bool, typer.Option("--force", help="Replace an earlier result in OUT.")]
ClassName = Annotated[str | None, typer.Option(help="What the photos show: person, dog, …")]
Identifier = Annotated[str | None, typer.Option(help="The rare word for the subject, e.g. sks.")]
ClassImages = Annotated[
    str | None, typer.Option(help="A folder of your own class pictures, for prior preservation.")
]
Square = Annotated[
    bool,
    typer.Option(
        "--square", help="Give back the central square that the model sees, not the whole photo."
    ),
]


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
    with doors() as work:
        params = parse_params(param, eps=eps, class_images=_folder(class_images))
        output = _output(out, "attack.json", source, force)
        lab = _lab(profile, *(() if attack in WITHOUT_MODELS else ("diffusion",)))
        chosen = lab.attack(attack, **params)
        _whole_sets(source)
        photos = _photos(lab, source, square)
        if photos is None:
            subject = lab.subject(_source(source), class_name, identifier)
        else:
            from .photos import carried, subject_of

            subject = subject_of(photos, _source(source), lab, class_name, identifier)
        from .kept import kept, key_of

        key = key_of(chosen.inputs(), subject)
        with kept("protect", key, attack, every=10) as work.kept:
            result = chosen(subject, work.kept.on_step, work.kept.path, keep=True)
            if photos is None:
                result.save(output.folder, list(subject.files) or None, force)
            else:
                carried(photos, result).save(output.folder, force)
        count = len(result.images) if photos is None else len(photos)
        typer.echo(
            f"finished: wrote {count} protected {_kind(photos)} to {output.folder} "
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

    Example: shortcut-nb purify protected/ clean/ --with jpeg+restorer -p quality=60
    """
    with doors():
        params = parse_params(param)
        output = _output(out, "purify.json", source, force)
        lab = _lab(profile)
        chosen = lab.purifier(using, class_name, **params)
        from .files import write_json
        from .images import save_folder
        from .progress import progress

        photos = _photos(lab, source, square)
        images, names = _pictures(lab, source) if photos is None else (None, [])
        started = time.monotonic()
        with progress(using) as bar, output.filling() as folder:
            if photos is None:
                save_folder(chosen(images, on_step=bar), folder, names)
            else:
                from .photos import purified

                purified(photos, chosen, lab, bar).put(folder)
            files = sorted(path.name for path in folder.iterdir())
            write_json(folder / "purify.json", {"purifier": repr(chosen), "files": files})
        typer.echo(
            f"finished: wrote {len(files)} purified {_kind(photos)} to {output.folder} "
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
    with doors() as work:
        params = parse_params(param, prompts=prompts, class_images=_folder(class_images))
        output = _output(out, "personalize.json", source, force)
        lab = _lab(profile, "diffusion")
        training = lab.personalize(trainer, **params)
        subject = lab.subject(_source(source), class_name, identifier)
        from .kept import kept, key_of

        about = {"trainer": trainer, "params": params}
        key = key_of((about, lab.profile, lab.digest("diffusion"), repr(lab)), subject)
        with kept("personalize", key, trainer, every=50) as work.kept:
            model = training.fit(
                subject, subject.images, work.kept.on_step, checkpoint=work.kept.path
            )
            with output.filling() as folder:
                _save_model(model, folder, samples, seed, about)
        typer.echo(
            f"finished: wrote {output.folder / 'model'}, and {samples} pictures to "
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
    with doors():
        target = _score_file(out, force)
        lab = _lab(profile)
        images, names = _pictures(lab, source)
        frame = lab.score(images, lab.subject(_source(reference), class_name))
        if len(frame) == len(names):
            frame.insert(0, "file", names)
        records = json.dumps(json.loads(frame.to_json(orient="records")), indent=2)
        if target is not None:
            from .files import write_text

            as_csv = target.suffix.lower() == ".csv"
            write_text(target, frame.to_csv(index=False) if as_csv else records + "\n")
        typer.echo(records if as_json else frame.to_string(index=False))
        if target is not None:
            typer.echo(f"finished: wrote {len(frame)} rows to {target}", err=True)


def _photos(lab: Any, source: str, square: bool) -> Any:
    """The photos of a folder at their own size; None for squares. Says what will be done."""
    if square or source.startswith("mini:"):
        return None
    from .photos import Photos

    photos = Photos.open(_source(source))
    described = photos.describe(lab.profile.resolution)
    typer.echo(f"{described}; each comes back at its own size (--square: the square)", err=True)
    return photos


def _kind(photos: Any) -> str:
    """What was written, in words."""
    return "squares" if photos is None else "photos at their own size"


def _source(text: str) -> str:
    """The source as the library takes it, with "~" written out."""
    from .files import expand

    return text if text.startswith("mini:") else str(expand(text, "SOURCE"))


def _output(out: str, record: str, source: str, force: bool) -> Any:
    """The folder for the results, before anything is loaded: also names that would collide."""
    from .outputs import check_output

    if source.startswith("mini:"):
        return check_output(out, record, force=force)
    from .picture_files import list_folder, stems_of

    names = [f"{stem}.png" for stem in stems_of(list_folder(_set_b(source)).names)]
    return check_output(out, record, source=_source(source), names=names, force=force)


def _whole_sets(source: str) -> None:
    """Refuse a folder that has only some of set_A, set_B and set_C."""
    from .picture_files import has_sets

    if not source.startswith("mini:"):
        has_sets(Path(_source(source)))


def _set_b(source: str) -> Path:
    """Where the pictures to work on are: set_B of a folder that has it, else the folder."""
    folder = Path(_source(source))
    return folder / "set_B" if (folder / "set_B").is_dir() else folder


def _folder(text: str | None) -> str | None:
    """The absolute path of a folder of pictures, checked; None for none."""
    if text is None:
        return None
    from .picture_files import list_folder

    return str(list_folder(text).folder.resolve())


def _score_file(out: str | None, force: bool) -> Path | None:
    if out is None:
        return None
    from .errors import UserError
    from .outputs import check_file

    target = check_file(out, force, "--out")
    if target.suffix.lower() not in (".csv", ".json"):
        raise UserError(f"--out must end in .csv or .json; got {out!r}.")
    return target


def _lab(profile: str, *roles: str) -> Any:
    """The lab of a profile; the weights of roles are looked at before anything heavy is loaded."""
    from . import Lab
    from .kept import keep_class_pictures
    from .progress import quiet_libraries

    lab = Lab(profile)
    lab.look_at(*roles)
    quiet_libraries()
    keep_class_pictures(lab)
    return lab


def _pictures(lab: Any, source: str) -> tuple[Any, list[str]]:
    """Set B of a source, and file names for it."""
    if source.startswith("mini:"):
        images = lab.subject(source).images
        return images, [f"{i:03d}.png" for i in range(len(images))]
    from .images import load_folder

    return load_folder(_set_b(source), lab.profile.resolution)


def _save_model(model: Any, folder: Path, samples: int, seed: int, about: dict[str, Any]) -> None:
    """The model, pictures sampled from it, and how they came about."""
    from .files import write_json
    from .images import save_folder

    model.save(folder / "model")
    save_folder(model.sample(samples, seed=seed), folder / "samples")
    about = about | {
        "identifier": model.identifier,
        "prompts": vars(model.prompts),
        "steps": model.steps,
        "guidance_scale": model.guidance_scale,
        "seed": seed,
        "samples": samples,
        "seconds": round(model.seconds, 2),
        "files": ["model", "samples"],
    }
    write_json(folder / "personalize.json", about)
