"""Pretraining of the pipelines, for two steps on a small pool: the real loop, the real formats."""

import errno
import json
import tarfile
import time
from pathlib import Path

import pytest
import torch
import typer
from diffusers import DDPMPipeline, StableDiffusionUpscalePipeline
from transformers import CLIPTextModel
from typer.testing import CliRunner

from shortcut_nb.diffusion import open_pipeline
from shortcut_nb.metrics import psnr
from shortcut_nb.mini.evaluate.pictures import held_out
from shortcut_nb.mini.pretrain import (
    diffusion,
    encoders,
    gpu,
    jobs,
    latents,
    losses,
    pixel,
    start,
    text,
    tokenizer,
    upscaler,
    vae,
)
from shortcut_nb.mini.pretrain.__main__ import WEIGHTS, main, take_parts
from shortcut_nb.mini.pretrain.loop import TrainingPlan
from shortcut_nb.mini.pretrain.pool import PoolSize, render_pool
from shortcut_nb.mini.pretrain.publish import halved, publish
from shortcut_nb.networks.pixel_diffusion import PixelDiffusion
from tests.light_work import fail, succeed

app = typer.Typer()
app.command()(main)
STEPS = 2


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A pool of 64 pictures, an untrained autoencoder, its latents and the tokenizer."""
    folder = tmp_path_factory.mktemp("pretrain")
    size = PoolSize(named=8, named_pictures=4, unnamed=8, unnamed_pictures=4)
    pool = render_pool(folder / "pool.npy", size, workers=1)
    torch.manual_seed(0)
    model = vae.build().eval()
    model.register_to_config(scaling_factor=0.5)
    store = latents.encode(pool, model, folder / "latents.npz", degraded=16, abstract=8)
    return folder, pool, model, store, tokenizer.build()


def test_unknown_models_are_refused():
    for words in (["--only", "pixle"], ["--seconds", "untied=5"]):
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 2 and "the models are" in done.output


@pytest.fixture(scope="module")
def encoder(world):
    folder, pool, _, held, words = world
    return text.fit(pool, held, words, TrainingPlan(folder, STEPS), batch_size=16)


def test_shares_hold_in_every_batch(world):
    _, pool, _, held, _ = world
    import numpy as np

    rows = np.array(latents.Shares(pool, held).draw(4000, np.random.default_rng(0)))
    kinds, clean = held.kind[rows], held.kind[rows] == ""
    assert (~clean).mean() == pytest.approx(0.21, abs=0.03)
    assert np.char.startswith(kinds, "pattern:").mean() == pytest.approx(0.06, abs=0.02)
    named = pool.index[held.row[rows[clean]]] < pool.named
    assert named.mean() == pytest.approx(0.36 / 0.79, abs=0.04)


def test_unet_trains_under_a_text_encoder_that_stays_as_it_is(world, encoder, tmp_path):
    folder, pool, model, held, words = world
    before = [p.clone() for p in encoder.parameters()]
    pipe = diffusion.fit(
        pool, held, model, encoder, words, TrainingPlan(folder, STEPS), batch_size=4
    )
    assert all(torch.equal(p, q) for p, q in zip(before, encoder.parameters(), strict=True))
    halved(pipe).save_pretrained(tmp_path / "pipe")
    drawn = open_pipeline(tmp_path / "pipe").sample(
        "a photo of a person", 1, seed=0, steps=2, guidance_scale=2.0
    )
    assert drawn.shape == (1, 3, 64, 64) and torch.isfinite(drawn).all()


def test_the_shipped_text_encoder_tells_attributes_apart(lab):
    a, b, c = lab.diffusion.embed([
        "a photo of a person, red background", "a photo of a person, blue background",
        "a noisy pattern",
    ])  # fmt: skip
    assert (a - b).norm() > 0.1 * a.norm()
    assert (a - c).norm() > 0.1 * a.norm()


def test_upscaler_opens_as_the_real_pipeline(world, encoder, tmp_path):
    folder, pool, _, _, words = world
    torch.manual_seed(1)
    model = vae.build_fine().eval()
    model.register_to_config(scaling_factor=0.5)
    trained = upscaler.fit(pool, model, encoder, words, TrainingPlan(folder, STEPS), batch_size=4)
    x = torch.rand(1, 3, 64, 64) * 2 - 1
    with torch.no_grad():  # other numbers inside, the same scaled latents and the same picture
        z = model.encode(x).latent_dist
        w = trained.vae.encode(x).latent_dist
        assert z.mean.shape == (1, 4, 32, 32)
        scale, other = model.config.scaling_factor, trained.vae.config.scaling_factor
        torch.testing.assert_close(w.mean * other, z.mean * scale, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(w.std * other, z.std * scale, rtol=1e-3, atol=1e-4)
        drawn = trained.vae.decode(w.mean).sample
        torch.testing.assert_close(drawn, model.decode(z.mean).sample, rtol=1e-3, atol=1e-4)
    trained.save_pretrained(tmp_path / "up")
    again = StableDiffusionUpscalePipeline.from_pretrained(tmp_path / "up")
    out = again("a photo", image=torch.rand(1, 3, 32, 32), num_inference_steps=2, output_type="pt")
    assert out.images.shape == (1, 3, 64, 64)
    assert again.vae.config.scaling_factor == pytest.approx(upscaler.SCALING)


@pytest.mark.slow
def test_everything_is_trained_at_once_and_packed_in_pieces(tmp_path, monkeypatch):
    """The command for a large GPU, here on a CPU, for two steps a model."""
    monkeypatch.setattr(gpu, "PIECE", 2**20)
    names = ["vae", "text", "ensemble", "detector", "damage"]
    words = ["--out", str(tmp_path / "out"), "--folder", str(tmp_path / "work"), "--minutes", "3"]
    words += ["--batch", "1", "--pool", "60", "--steps", "2", "--no-graphs"]
    app = typer.Typer()
    app.command()(gpu.main)
    done = CliRunner().invoke(app, words + [word for name in names for word in ("--only", name)])
    assert done.exit_code == 0, done.output
    pieces = sorted((tmp_path / "out").iterdir())
    assert len(pieces) > 1 and max(piece.stat().st_size for piece in pieces) <= 2**20
    whole = tmp_path / "whole.tar"
    whole.write_bytes(b"".join(piece.read_bytes() for piece in pieces))
    with tarfile.open(whole) as archive:
        packed = set(archive.getnames())
    assert {"weights/ensemble/unet/config.json", "weights/damage/model.safetensors"} <= packed
    assert {"weights/costs.json", "logs/text.log"} <= packed


@pytest.mark.slow
def test_a_training_that_fails_is_tried_again_and_stops_only_what_needs_it(tmp_path, monkeypatch):
    own = {
        "bad": jobs.Job(fail, 1),
        "after": jobs.Job(succeed, 1, ("bad",)),
        "good": jobs.Job(succeed, 1),
    }
    monkeypatch.setattr(gpu, "JOBS", own)
    context = jobs.TrainingContext(tmp_path, tmp_path)
    schedule = gpu.Schedule(context, seconds=1.0)
    ended = schedule.run(["bad", "after", "good"], time.monotonic() + 60)
    assert ended == {"bad": 1, "after": 1, "good": 0}
    assert schedule.tries == {"bad": 2, "good": 1}
    assert "no such luck" in (tmp_path / "bad.log").read_text()


def test_two_models_of_identity_and_attributes_train(world, tmp_path):
    folder, pool, *_ = world
    clean = encoders.fit_identity(pool, TrainingPlan(folder, STEPS))
    hardened = encoders.fit_identity(pool, TrainingPlan(folder, STEPS), hardened=True)
    assert not torch.equal(next(clean.parameters()), next(hardened.parameters()))
    attributes = encoders.fit_attributes((pool, pool), TrainingPlan(folder, STEPS))
    assert attributes.config.id2label[0] == "hair:NONE"
    assert attributes(torch.zeros(2, 3, 64, 64)).logits.shape == (2, 52)


def test_pixel_model_opens_as_a_ddpm_folder(world, tmp_path):
    folder, pool, *_ = world
    trained = pixel.fit(pool, TrainingPlan(folder, STEPS), batch_size=2)
    assert isinstance(trained, DDPMPipeline)
    halved(trained).save_pretrained(tmp_path / "pixel")
    model = PixelDiffusion.open(tmp_path / "pixel")
    assert model.window == 64 and next(model.unet.parameters()).dtype == torch.float32
    assert model.guess(torch.zeros(1, 3, 64, 64), 100).abs().max() <= 1


def test_a_published_model_stays_until_the_next_is_in_its_place(tmp_path, monkeypatch):
    def save(text):
        return lambda folder: (folder / "model.safetensors").write_text(text)

    final = tmp_path / "net"
    publish(tmp_path, "net", save("first"))
    real = Path.rename

    def refused(self, target):
        if self.name == ".net":
            raise OSError(errno.EIO, "injected")
        return real(self, target)

    with monkeypatch.context() as patch, pytest.raises(OSError, match="injected"):
        patch.setattr(Path, "rename", refused)
        publish(tmp_path, "net", save("second"))
    assert (final / "model.safetensors").read_text() == "first"
    publish(tmp_path, "net", save("third"))
    assert (final / "model.safetensors").read_text() == "third"
    assert [path.name for path in tmp_path.iterdir()] == ["net"]


def test_losses_are_logged_and_plotted(tmp_path):
    row = {"loss": 2.0, "seconds": 1.0}
    twice = [json.dumps({"step": step, **row}) + "\n" for step in (20, 40, 20, 40, 60)]
    (tmp_path / "a.jsonl").write_text("".join(twice))
    (tmp_path / "b.jsonl").write_text('{"step": 20, "loss": 1.0, "seconds": 1.0}\n')
    table = losses.read(tmp_path)
    assert set(table["model"]) == {"a", "b"} and len(table) == 4
    assert [axes.get_title() for axes in losses.plot(table).axes] == ["a", "b"]
    with pytest.raises(FileNotFoundError, match="pretrain"):
        losses.read(tmp_path / "none")


def test_training_begins_with_a_finished_miniature(world, lab, tmp_path):
    """The same words give the same embeddings, whatever their order in the vocabulary."""
    folder, pool, model, held, words = world
    weights = WEIGHTS
    encoder = start.text_encoder(weights, words)
    prompt = ["a photo of a woman with curly red hair, glasses, t@t noisy pattern"]
    with torch.no_grad():
        ours = encoder(torch.from_numpy(tokenizer.encode(words, prompt))).last_hidden_state
        theirs = lab.diffusion.embed(prompt)
    torch.testing.assert_close(ours, theirs.float(), rtol=1e-4, atol=1e-4)
    unet = start.unet(weights)
    before = {name: value.clone() for name, value in unet.state_dict().items()}
    pipe = diffusion.fit(
        pool,
        held,
        model,
        encoder,
        words,
        TrainingPlan(tmp_path, 1),
        batch_size=4,
        lr=0.0,
        start=unet,
    )
    after = pipe.unet.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_another_vocabulary_is_refused(tmp_path):
    weights = WEIGHTS
    with pytest.raises(ValueError, match="the same words; .* differ"):
        start.text_encoder(weights, tokenizer.build(merges=100))


def test_finished_parts_are_taken_and_never_replaced(tmp_path):
    parts, folder = tmp_path / "parts", tmp_path / "work"
    vae.build().save_pretrained(parts / "vae")
    take_parts(parts, folder)
    assert (
        jobs.TrainingContext(folder, tmp_path / "out").autoencoder("vae").config.latent_channels
        == 8
    )
    (folder / "vae" / "config.json").write_text("own")
    take_parts(parts, folder)
    assert (folder / "vae" / "config.json").read_text() == "own"
    with pytest.raises(typer.BadParameter, match="expected one of vae, fine, text"):
        take_parts(tmp_path / "out", folder)


def test_parts_are_taken_out_of_a_finished_model_too(tmp_path):
    folder = tmp_path / "work"
    take_parts(WEIGHTS, folder)
    assert sorted(path.name for path in folder.iterdir()) == ["text", "vae"]
    context = jobs.TrainingContext(folder, tmp_path / "into")
    text = context.text_encoder()
    assert next(text.parameters()).dtype == torch.float32
    assert next(context.autoencoder("vae").parameters()).dtype == torch.float32
    shipped = CLIPTextModel.from_pretrained(WEIGHTS / "diffusion" / "text_encoder").state_dict()
    own = text.state_dict()
    assert shipped.keys() == own.keys()
    assert all(torch.equal(own[name], value.float()) for name, value in shipped.items())


def test_the_shipped_autoencoder_keeps_what_the_bar_asks_for(lab):
    images, _ = held_out(16, 1, seed=0)
    with torch.inference_mode():
        drawn = lab.diffusion.decode(lab.diffusion.posterior(images)[0])
    assert psnr(drawn, images).mean() >= 32
