"""What a model's folder holds, read from its JSON and from the headers of its weights."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .expected import check_digests
from .files import BadWeights, TensorInfo, inspect_file
from .pipelines import check_fit, check_supported

INDEX = "model_index.json"
CLIP_CONFIG = "open_clip_config.json"
TRANSFORMERS_LOADERS = (
    "image-embedder",
    "image-classifier",
    "object-detector",
    "attributes",
    "damage",
)
PICKLES = (".bin", ".ckpt", ".pt", ".pth", ".pkl")
UNUSED = ("safety_checker", "feature_extractor", "image_encoder")  # never opened here
DLIB_FILES = ("shape_predictor_5_face_landmarks.dat", "dlib_face_recognition_resnet_model_v1.dat")
CHECKPOINTS = (".safetensors", ".pth", ".pt")
# By the class in model_index.json or config.json that a loader opens.
_CLASSES = {
    "upscaler": "StableDiffusionUpscalePipeline",
    "ddpm": "DDPMPipeline",
    "unet-restorer": "UNet2DModel",
}


def check_weights(path: str | Path, loader: str, sha256: Mapping[str, str] | None = None) -> None:
    """Make sure that a folder (or file) is what a loader opens, whole, and has its SHA-256.

    Configurations and headers of weights are read, and files are hashed once per machine: no torch,
    no tensor. Every opener begins with this.

    Args:
        sha256: digests by file name; None is those known beside the weights.

    Raises:
        BadWeights: in one line, what is there instead and what to do.
        MissingWeights: a file with a digest is not there.
    """
    path = Path(path)
    _check_kind(path, loader)
    check_digests(path, sha256)


def _check_kind(path: Path, loader: str) -> None:
    if path.is_file():
        _check_file(path, loader)
    elif not path.is_dir():
        raise BadWeights(f"there are no weights at {path}: fetch them, or correct the path.")
    elif loader == "stable-diffusion":
        check_pipeline(path)
    elif loader in ("upscaler", "ddpm"):
        check_pipeline(path, _CLASSES[loader])
    elif loader == "unet-restorer":
        check_part(path, _CLASSES[loader])
    elif loader == "open_clip":
        _check_open_clip(path)
    elif loader in TRANSFORMERS_LOADERS:
        check_part(path)
    elif loader == "dlib":
        _check_dlib(path)
    else:
        for file in sorted(p for p in path.iterdir() if p.suffix in CHECKPOINTS):
            inspect_file(file, pickles=file.suffix != ".safetensors")


def _check_dlib(folder: Path) -> None:
    for name in DLIB_FILES:
        if not (folder / name).is_file():
            raise BadWeights(
                f"{folder} has no {name}, which dlib needs: install face-recognition-models again."
            )


def _check_file(path: Path, loader: str) -> None:
    if loader == "spandrel":
        inspect_file(path, pickles=path.suffix != ".safetensors")
    elif loader == "stable-diffusion":
        tensors = inspect_file(path)
        if not any(name.startswith("model.diffusion_model.") for name in tensors):
            raise BadWeights(
                f"{path} is {kind_of_tensors(tensors)} and no Stable Diffusion checkpoint: name a "
                "single-file checkpoint, or a folder in diffusers' format."
            )
    else:
        raise BadWeights(f"{path} is a file; the loader {loader} opens folders: name the folder.")


def check_pipeline(folder: Path, expected: str | None = None) -> None:
    """Make sure that a folder is a whole diffusers pipeline of a class.

    Args:
        expected: the class; None is any text-to-image class that the backbones know.

    Raises:
        BadWeights: another class, a part without configuration or weights, parts that do not fit.
    """
    index = read_index(folder)
    kind = str(index.get("_class_name"))
    if expected is None:
        check_supported(kind, str(folder))
    elif kind != expected:
        raise BadWeights(
            f"{folder} holds a {kind} where a {expected} should be: correct the profile."
        )
    configs = {
        name: check_component(part_of(folder, name), *entry)
        for name, entry in index.items()
        if isinstance(entry, list) and entry[0] is not None and name not in UNUSED
    }
    check_fit(configs, str(folder), upscaler=expected is not None)


def read_index(folder: Path) -> dict[str, Any]:
    """The content of a pipeline's model_index.json.

    Raises:
        BadWeights: there is none; says what the folder is instead, where that can be seen.
    """
    if (folder / INDEX).is_file():
        return read_json(folder / INDEX)
    raise BadWeights(
        f"{folder} is {kind_of_folder(folder)} and no diffusers pipeline (it has no {INDEX}): name "
        "the pipeline's folder, or fetch it again."
    )


def part_of(folder: Path, name: str) -> Path:
    """Where a part of a pipeline lies: its own folder, or in small pipelines the pipeline's."""
    flat = any((folder / each).is_file() for each in ("config.json", "scheduler_config.json"))
    return folder if flat and not (folder / name).is_dir() else folder / name


def check_component(part: Path, library: str, kind: str) -> dict[str, Any]:
    """Make sure that one part of a pipeline is there; its configuration."""
    if not part.is_dir():
        raise BadWeights(f"{part} is missing ({kind}): fetch the pipeline again.")
    if "Tokenizer" in kind:
        if not any((part / name).is_file() for name in ("tokenizer.json", "vocab.json")):
            raise BadWeights(f"{part} has no vocabulary ({kind}): fetch the pipeline again.")
        return {}
    if "Scheduler" in kind:
        return read_json(part / "scheduler_config.json") | {"_class_name": kind}
    if "Processor" in kind or "Extractor" in kind:
        return {}
    return check_part(part, kind if library == "diffusers" else None)


def check_part(folder: Path, expected: str | None = None) -> dict[str, Any]:
    """Make sure that a folder holds one model: config.json and all of its weights.

    Args:
        expected: diffusers' class; None is a transformers model of any kind.
    """
    if not (folder / "config.json").is_file():
        raise BadWeights(
            f"{folder} is {kind_of_folder(folder)} and no model of its own (it has no "
            "config.json): fetch the weights again, or correct the profile."
        )
    config = read_json(folder / "config.json")
    if expected is not None and config.get("_class_name", expected) != expected:
        raise BadWeights(
            f"{folder} holds a {config['_class_name']} where a {expected} should be: correct the "
            "profile."
        )
    if expected is None and "model_type" not in config:
        raise BadWeights(
            f"{folder} is {kind_of_folder(folder)} and no transformers model: correct the profile."
        )
    for file in weight_files(folder, expected is not None)[1]:
        inspect_file(file)
    return config


def weight_files(folder: Path, diffusers: bool) -> tuple[str | None, list[Path]]:
    """The variant that a model's weights come in (None, "fp16"), and all of its files.

    A plain name counts first, then "fp16", then the only one there is.

    Raises:
        BadWeights: no safetensors, several variants to choose from, or a shard that is missing.
    """
    stem = "diffusion_pytorch_model" if diffusers else "model"
    pattern = re.compile(rf"{stem}(?:\.safetensors\.index)?(?:\.(\w+))?\.(?:safetensors|json)")
    variants: dict[str | None, Path] = {}
    for path in sorted(folder.iterdir()):
        if match := pattern.fullmatch(path.name):
            variants[match[1]] = path
    if not variants:
        raise BadWeights(_no_weights(folder, stem))
    for wanted in (None, "fp16"):
        if wanted in variants:
            return wanted, _shards(variants[wanted])
    if len(variants) > 1:
        raise BadWeights(
            f"{folder} holds weights in several variants ({', '.join(map(str, variants))}): "
            "keep one of them."
        )
    (variant,) = variants
    return variant, _shards(variants[variant])


def _shards(path: Path) -> list[Path]:
    if path.suffix != ".json":
        return [path]
    listed = read_json(path).get("weight_map")
    if not isinstance(listed, dict) or not listed:
        raise BadWeights(f"{path} lists no weights: fetch the weights again.")
    return [path.parent / name for name in sorted(set(map(str, listed.values())))]


def _no_weights(folder: Path, stem: str) -> str:
    pickled = sorted(p.name for p in folder.iterdir() if p.suffix in PICKLES)
    if pickled:
        return (
            f"{folder} holds pickled weights only ({pickled[0]}), which can run code when they "
            "are opened: fetch the model's .safetensors files."
        )
    return f"{folder} holds no weights ({stem}.safetensors is missing): fetch them again."


def _check_open_clip(folder: Path) -> None:
    if not (folder / CLIP_CONFIG).is_file():
        raise BadWeights(
            f"{folder} is {kind_of_folder(folder)} and no open_clip model (it has no "
            f"{CLIP_CONFIG}): correct the profile, or fetch the weights again."
        )
    read_json(folder / CLIP_CONFIG)
    files = sorted(folder.glob("open_clip_*.safetensors"))
    if not files:
        raise BadWeights(_no_weights(folder, "open_clip_model"))
    for file in files:
        inspect_file(file)


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        BadWeights: the file is missing, or holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadWeights(f"{path} is missing: fetch the weights again.") from None
    except (OSError, ValueError):
        raise BadWeights(f"{path} is not JSON: delete it and fetch the weights again.") from None
    if not isinstance(content, dict):
        raise BadWeights(f"{path} holds no configuration: fetch the weights again.")
    return content


def kind_of_folder(folder: Path) -> str:
    """What a folder is, in a few words."""
    names = {p.name for p in folder.iterdir()}
    if not names:
        return "an empty folder"
    if INDEX in names:
        return f"a whole pipeline ({read_json(folder / INDEX).get('_class_name')})"
    if CLIP_CONFIG in names:
        return "an open_clip model"
    if "adapter_config.json" in names or "pytorch_lora_weights.safetensors" in names:
        return "a LoRA adapter"
    if "learned_embeds.safetensors" in names:
        return "a textual inversion"
    if "config.json" in names:
        config = read_json(folder / "config.json")
        kind = config.get("_class_name") or config.get("model_type")
        return f"one model ({kind})" if kind else "a folder with a config.json of no known kind"
    return f"a folder with {', '.join(sorted(names)[:3])}"


def kind_of_tensors(tensors: dict[str, TensorInfo]) -> str:
    """What a safetensors file is, guessed from the names of its tensors."""
    names = list(tensors)
    if any("lora" in name.lower() for name in names):
        return "a LoRA adapter"
    if any(
        name.startswith(("double_blocks.", "joint_blocks.", "model.diffusion_model.double"))
        for name in names
    ):
        return "a flow-matching transformer"
    if any(name.startswith(("down_blocks.", "encoder.down")) for name in names):
        return "one part of a pipeline (a UNet or a VAE)"
    if any(name.startswith("control_model.") for name in names):
        return "a ControlNet"
    return f"a file of {len(names)} tensors ({names[0]}, …)"
