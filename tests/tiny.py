"""Tiny real models with random weights, for tests."""

import json

import open_clip
import torch
from safetensors.torch import save_file
from transformers import CLIPTokenizer

WORDS = ["a", "photo", "of", "person", "noisy", "pattern", "sharp", "blurry", "clear"]
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.3, 0.25)


def save_tiny_clip(folder, seed=0, eos_last=True, **text_extra):
    """A random open_clip model in its folder format, with a toy tokenizer; returns the model."""
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)]
    pieces = letters + [letter + "</w>" for letter in letters]
    merges, known = [], dict.fromkeys(pieces)
    for word in WORDS:
        parts = [*word[:-1], word[-1] + "</w>"]
        while len(parts) > 1:
            pair = (parts[0], parts[1])
            if pair not in merges:
                merges.append(pair)
            parts = ["".join(pair), *parts[2:]]
            known[parts[0]] = None
    names = [*known, "<|startoftext|>", "<|endoftext|>"]
    if not eos_last:
        names = ["<|endoftext|>", *names[:-1]]
    vocab = {name: i for i, name in enumerate(names)}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(vocab))
    (folder / "merges.txt").write_text(
        "#version: 0.2\n" + "\n".join(" ".join(pair) for pair in merges) + "\n"
    )
    CLIPTokenizer.from_pretrained(str(folder)).save_pretrained(str(folder))
    config = {
        "embed_dim": 32,
        "vision_cfg": {"layers": [1, 1, 1, 1], "width": 16, "image_size": 64, "head_width": 16},
        "text_cfg": {
            "context_length": 40,
            "vocab_size": len(vocab),
            "width": 64,
            "heads": 2,
            "layers": 2,
            "hf_tokenizer_name": "local",
            **text_extra,
        },
    }
    torch.manual_seed(seed)
    model = open_clip.model.CLIP(**config).eval()
    for module in model.modules():  # random statistics, so that eval mode matters
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
    preprocess = {"mean": MEAN, "std": STD, "interpolation": "bicubic", "resize_mode": "shortest"}
    text = {"model_cfg": config, "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(text))
    state = {name: t.contiguous() for name, t in model.state_dict().items()}
    save_file(state, str(folder / "open_clip_model.safetensors"))
    return model


def pictures(n=3, size=64, seed=0):
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(seed))
