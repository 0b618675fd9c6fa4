"""Seconds a step and peak memory at full width, with random weights; one run, a JSON and a table.

Run from the repository, on a GPU (some minutes):   OUT=folder python -m benchmarks.gpu_memory
At small width on a CPU, in seconds: the same, with --small.

A piece of work is run twice, with one step and with more; the difference is the step's time. With
--small it is run once, and what comes before its step counts too: that tries the script, and its
seconds mean nothing. Peaks are PyTorch's own (max_memory_allocated), and empty on a CPU. What fails
is a row that says why. The floor of AdvDM's step is its networks alone, forward and backward, on
the same pictures.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.purifier_models import add_models
from shortcut_nb.lab import Lab
from shortcut_nb.models import fast_dtype
from shortcut_nb.subjects import Subject
from tests.fake_memory import pipeline

ONE = {"class_images": 1, "prior_steps": 1}
ROUND = {"clean_steps": 1, "pgd_steps": 2, "perturbed_steps": 1, **ONE}
META = {"pool_steps": 1, "interval": 1, "advance": 1, "pgd_steps": 2, **ONE}
# Name, what makes it, the setting that counts its steps, and its other settings.
WORK: list[tuple[str, str, str, str, dict[str, Any]]] = [
    ("AdvDM", "attack", "advdm", "steps", {}),
    ("AdvDM, low", "attack", "advdm", "steps", {"low_memory": True}),
    ("ASPL, low", "attack", "aspl", "rounds", {"low_memory": True, **ROUND}),
    ("ASPL, LoRA, low", "attack", "aspl", "rounds",
     {"low_memory": True, "surrogate": "lora", **ROUND}),
    ("ASPL", "attack", "aspl", "rounds", ROUND),
    ("MetaCloak, low", "attack", "metacloak", "trials", {"low_memory": True, **META}),
    ("DreamBooth, low", "personalize", "dreambooth", "steps", {"low_memory": True, **ONE}),
    ("DreamBooth", "personalize", "dreambooth", "steps", ONE),
    ("CDL, low", "personalize", "cdl-dreambooth", "steps", {"low_memory": True, **ONE}),
    ("LoRA, low", "personalize", "dreambooth-lora", "steps", {"low_memory": True, **ONE}),
    ("LoRA", "personalize", "dreambooth-lora", "steps", ONE),
]  # fmt: skip
# Those that need no model beside the text-to-image model; a step is a whole set of four pictures.
PURIFIERS: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("gaussian", "jpeg", "median", "quantise", "resize", "tvm", "vae"), {}),
    **dict.fromkeys(("ldiffpure", "eldiffpure"), {"steps": 10}),
}
# Those that need more: opened last, so that the other peaks are without these models.
NETWORK_PURIFIERS: dict[str, dict[str, Any]] = {
    "impress": {"steps": 10},
    "diffpure": {"steps": 10},
    "ddspure": {},
    "gridpure": {"steps": 10, "iterations": 1},
    "sr": {"steps": 10},
    "pdmpure": {"steps": 5, "upscale_steps": 5},
}


def open_lab(kind: str, small: bool) -> Lab:
    """A lab around random weights: on the GPU at full width, or on the CPU at small width."""
    torch.manual_seed(0)
    with torch.device("cpu" if small else "cuda"):
        pipe = pipeline(kind, small)
    lab = Lab.from_pipeline(pipe)
    dtype = torch.bfloat16 if small else fast_dtype("cuda")
    vars(lab)["diffusion"] = replace(lab.diffusion, autocast=dtype)
    return lab


def timed(work: Callable[[], object]) -> tuple[float, int | None]:
    """Seconds and peak bytes of one call."""
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        torch.cuda.synchronize()
    started = time.perf_counter()
    work()
    if cuda:
        torch.cuda.synchronize()
    seconds = time.perf_counter() - started
    return seconds, torch.cuda.max_memory_allocated() if cuda else None


def measure(
    lab: Lab, subject: Subject, makes: str, name: str, counts: str, how: dict[str, Any], steps: int
) -> dict[str, Any]:
    """Seconds a step and peak of an attack or a trainer.

    Args:
        steps: more than one that the second run takes; 0 has no second run.
    """

    def run(n: int) -> tuple[float, int | None]:
        made = getattr(lab, makes)(name, **how, **{counts: n})
        return timed(lambda: (made.fit if makes == "personalize" else made)(subject))

    if torch.cuda.is_available():
        run(1)  # loads kernels
    first, peak = run(1)
    if steps == 0:
        return {"seconds_a_step": first, "peak_bytes": peak}
    last, peak = run(1 + steps)
    return {"seconds_a_step": (last - first) / steps, "peak_bytes": peak}


def once(work: Callable[[], object]) -> dict[str, Any]:
    """Seconds and peak of one call."""
    seconds, peak = timed(work)
    return {"seconds_a_step": seconds, "peak_bytes": peak}


def floor(lab: Lab, subject: Subject) -> float:
    """Seconds of AdvDM's networks alone: VAE encoder and UNet, forward and back to the pixels."""
    model, pictures = lab.diffusion, subject.images.to(lab.diffusion.device)
    context = model.embed([subject.instance_prompt]).expand(len(pictures), -1, -1)
    t = torch.full((len(pictures),), 500, device=model.device)

    def step() -> None:
        x = pictures.clone().requires_grad_(True)
        with torch.enable_grad():
            out = model.denoise(model.posterior(x)[0], t, context)
            torch.autograd.grad(out.sum(), x)

    step()
    return min(timed(step)[0] for _ in range(3))


def rows(kind: str, small: bool, until: float) -> list[dict[str, Any]]:
    """All measurements of a shape; those past a time are left out, and say so."""
    lab, found, steps = open_lab(kind, small), [], 0 if small else 3
    side = lab.diffusion.resolution
    number = 1 if small else 4
    pictures = torch.rand(number, 3, side, side, generator=torch.Generator().manual_seed(0))
    subject = Subject.from_images(pictures, "person", "sks", words=lab.profile.prompts)

    def row(name: str, work: Callable[[], dict[str, Any]]) -> None:
        if time.monotonic() > until:
            found.append({"shape": kind, "work": name, "problem": "not reached in time"})
            return
        try:
            found.append({"shape": kind, "work": name, **work()})
        except Exception as error:  # one row's failure must not lose the others
            what = f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"
            found.append({"shape": kind, "work": name, "problem": what})

    for name, *how in WORK:
        row(name, lambda how=how: measure(lab, subject, *how, steps))
        if name == "AdvDM" and "seconds_a_step" in found[-1]:
            found[-1]["of_its_floor"] = found[-1]["seconds_a_step"] / floor(lab, subject)
    sample = partial(lab.diffusion.sample, "a photo", 16, seed=0, steps=1, guidance_scale=7.5)
    row("16 samples, 1 step", lambda: once(sample))

    def purify(name: str, how: dict[str, Any]) -> dict[str, Any]:
        return once(partial(lab.purifier(name, **how), pictures))

    for name, settings in PURIFIERS.items():
        row(name, partial(purify, name, settings))
    add_models(lab, small)
    for name, settings in NETWORK_PURIFIERS.items():
        row(name, partial(purify, name, settings))
    return found


def as_table(found: list[dict[str, Any]], device: str) -> str:
    """The rows in Markdown."""
    lines = [f"Measured on {device}.", "",
             "| shape | work | seconds a step | peak, GB | of its floor |",
             "|---|---|---:|---:|---:|"]  # fmt: skip
    for row in found:
        if "problem" in row:
            lines.append(f"| {row['shape']} | {row['work']} | {row['problem']} | | |")
            continue
        peak = "" if row["peak_bytes"] is None else f"{row['peak_bytes'] / 1e9:.1f}"
        ratio = f"{row['of_its_floor']:.2f}" if "of_its_floor" in row else ""
        seconds = f"{row['seconds_a_step']:.3f}"
        lines.append(f"| {row['shape']} | {row['work']} | {seconds} | {peak} | {ratio} |")
    return "\n".join(lines) + "\n"


def main(words: list[str] | None = None) -> None:
    """Measure and write both files into $OUT."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="at small width on the CPU")
    parser.add_argument("--seconds", type=float, default=440, help="start nothing after this long")
    given = parser.parse_args(words)
    out = Path(os.environ.get("OUT", "."))
    if not given.small and not torch.cuda.is_available():
        parser.error("there is no GPU here: add --small to try it on the CPU")
    until, found = time.monotonic() + given.seconds, []
    device = "the CPU, at small width, once" if given.small else torch.cuda.get_device_name()
    for kind in ("sd15", "sd21"):
        found += rows(kind, given.small, until)
        out.mkdir(parents=True, exist_ok=True)
        (out / "gpu_memory.json").write_text(
            json.dumps({"device": device, "rows": found}, indent=1)
        )
        (out / "gpu_memory.md").write_text(as_table(found, device))


if __name__ == "__main__":
    main()
