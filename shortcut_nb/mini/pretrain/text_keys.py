"""Text encoders and tokenizers that old and new releases of transformers read alike.

transformers 5.6 and newer save a CLIPTextModel without the prefix ``text_model.``, which older
releases then look for in vain. They read both, so the prefix stays in the file. And they open a
model in the dtype that its config.json names, beside a UNet in float32: so it names float32, while
the tensors stay as they were saved. transformers 4's CLIPTokenizer reads vocab.json and merges.txt,
and not tokenizer.json, so all three are there.
"""

from __future__ import annotations

import json
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

PREFIX = "text_model."
OUTSIDE = ("text_projection.",)  # lies beside the text model, also in old releases


def make_portable(folder: Path) -> list[Path]:
    """Rewrite every CLIP text encoder and tokenizer below a folder; tensors keep their bits.

    Returns:
        The files that were written: weights, configurations and vocabularies.
    """
    return [*_encoders(folder), *_tokenizers(folder)]


def _encoders(folder: Path) -> list[Path]:
    changed: list[Path] = []
    for path in sorted(folder.rglob("config.json")):
        config = json.loads(path.read_text(encoding="utf-8"))
        if config.get("model_type") != "clip_text_model":
            continue
        if config.get("dtype") != "float32":
            path.write_text(json.dumps(config | {"dtype": "float32"}, indent=2) + "\n")
            changed.append(path)
        for weights in sorted(path.parent.glob("*.safetensors")):
            tensors = load_file(str(weights))
            renamed = {_old_name(name): tensor for name, tensor in tensors.items()}
            if renamed.keys() != tensors.keys():
                _replace(weights, renamed)
                changed.append(weights)
    return changed


def _replace(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write a new file and put it in the old one's place: the tensors may be mapped from it."""
    fresh, mode = path.with_name(f".{path.name}"), path.stat().st_mode
    save_file(tensors, str(fresh), metadata={"format": "pt"})
    fresh.chmod(mode)
    fresh.replace(path)


def _old_name(name: str) -> str:
    return name if name.startswith((PREFIX, *OUTSIDE)) else PREFIX + name


def _tokenizers(folder: Path) -> list[Path]:
    changed: list[Path] = []
    for path in sorted(folder.rglob("tokenizer.json")):
        model = json.loads(path.read_text(encoding="utf-8"))["model"]
        beside = path.parent / "vocab.json", path.parent / "merges.txt"
        if model.get("type") != "BPE" or all(file.is_file() for file in beside):
            continue
        pairs = (merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"])
        beside[0].write_text(json.dumps(model["vocab"], ensure_ascii=False), encoding="utf-8")
        beside[1].write_text("\n".join(["#version: 0.2", *pairs, ""]), encoding="utf-8")
        changed += beside
    return changed
