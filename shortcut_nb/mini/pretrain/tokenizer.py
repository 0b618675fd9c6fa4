"""A CLIPTokenizer of the miniature's few hundred words, with byte fallback for everything else."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, Whitespace
from tokenizers.trainers import BpeTrainer
from transformers import CLIPTokenizer

from ..avatars import identity, nuisance
from ..captions import ABSTRACT, DIRT, describe, describe_degraded

MAX_LENGTH = 40
CAPTIONS = 6000
BOS, EOS = "<|startoftext|>", "<|endoftext|>"


@cache
def corpus() -> tuple[str, ...]:
    """Captions without names, clean and degraded, of training identities."""
    rng = np.random.default_rng(0)
    lines = [phrase for group in ABSTRACT.values() for phrase in group]
    for i in range(CAPTIONS):
        line = describe(identity("train", int(rng.integers(4000))), nuisance(i), rng)
        if i % 4 == 0:
            line = describe_degraded(line, str(rng.choice(list(DIRT))), rng)
        lines.append(line)
    return tuple(lines)


def build(merges: int = 512) -> CLIPTokenizer:
    """Learn at most ``merges`` BPE merges and lay the vocabulary out as CLIP's: bytes first."""
    learner = Tokenizer(BPE(end_of_word_suffix="</w>"))
    learner.pre_tokenizer = Whitespace()
    trainer = BpeTrainer(
        vocab_size=4096, min_frequency=40, end_of_word_suffix="</w>", show_progress=False
    )
    learner.train_from_iterator(corpus(), trainer)
    learned = json.loads(learner.to_str())["model"]["merges"][:merges]
    pairs = [tuple(m) if isinstance(m, list) else tuple(m.split(" ")) for m in learned]
    alphabet = sorted(ByteLevel.alphabet())
    words = alphabet + [f"{c}</w>" for c in alphabet] + ["".join(pair) for pair in pairs]
    vocabulary = {word: i for i, word in enumerate(dict.fromkeys([*words, BOS, EOS]))}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "vocab.json").write_text(json.dumps(vocabulary), "utf-8")
        lines = ["#version: 0.2", *(" ".join(pair) for pair in pairs)]
        (folder / "merges.txt").write_text("\n".join(lines) + "\n", "utf-8")
        (folder / "tokenizer_config.json").write_text(
            json.dumps({"tokenizer_class": "CLIPTokenizer", "model_max_length": MAX_LENGTH})
        )
        return CLIPTokenizer.from_pretrained(folder, model_max_length=MAX_LENGTH)


def encode(
    tokenizer: CLIPTokenizer, texts: Sequence[str], padding: str = "max_length"
) -> np.ndarray:
    """Token ids of some texts, int64 (n, length), as a numpy array."""
    batch = tokenizer(list(texts), padding=padding, truncation=True, return_tensors="np")
    return batch.input_ids.astype(np.int64)
