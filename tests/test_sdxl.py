"""Stable Diffusion XL behind the same interface: nothing that calls it knows which kind it is."""

from dataclasses import replace

import pytest
import torch
from diffusers import StableDiffusionXLPipeline

from shortcut_nb.diffusion import StableDiffusionXL, generators, open_pipeline
from shortcut_nb.lab import Lab
from shortcut_nb.profile import load_profile
from shortcut_nb.purify import windows
from shortcut_nb.subjects import Subject
from tests.ldm_file import save_single_sdxl
from tests.tiny_sd import save_sdxl

SMALL = {
    "dreambooth": {"steps": 2, "lr": 1e-3, "batch_size": 2, "class_images": 2},
    "dreambooth-lora": {"steps": 3, "lr": 1e-2, "batch_size": 2, "class_images": 2},
    "advdm": {"eps": "8/255", "alpha": "2/255", "steps": 3},
    "photoguard": {"eps": "8/255", "alpha": "2/255", "steps": 3},
    "photoguard-diffusion": {"eps": "8/255", "alpha": "2/255", "steps": 2},
    "aspl": {"eps": "8/255", "alpha": "2/255", "rounds": 2, "clean_steps": 1, "pgd_steps": 2,
             "perturbed_steps": 1, "surrogate_lr": 1e-3, "class_images": 2},
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_sdxl(tmp_path_factory.mktemp("sdxl") / "pipe")


@pytest.fixture(scope="module")
def lab(folder):
    profile = load_profile("sd21")
    diffusion = {"id": str(folder), "revision": None}
    return Lab(
        profile.model_copy(
            update={
                "resolution": 64,
                "defaults": SMALL,
                "diffusion": profile.diffusion.model_copy(update=diffusion),
                "sampling": profile.sampling.model_copy(update={"steps": 2}),
            }
        ),
        device="cpu",
        autocast=torch.float32,
    )


@pytest.fixture(scope="module")
def subject():
    sets = torch.rand(3, 2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    return Subject("noise", *sets, "person", "sks", "a photo of sks person", "a photo of a person")


@pytest.fixture(scope="module")
def plain(folder):
    """The same pipeline by diffusers' documented call."""
    return StableDiffusionXLPipeline.from_pretrained(folder)


def test_prompts_are_read_as_diffusers_reads_them(lab, plain):
    assert isinstance(lab.diffusion, StableDiffusionXL)
    state = lab.diffusion.embed(["a photo of a person", ""])
    context, empty, pooled, empty_pooled = plain.encode_prompt(
        "a photo of a person", device="cpu", num_images_per_prompt=1
    )
    states, found = lab.diffusion.parted(state)
    torch.testing.assert_close(states, torch.cat([context, empty]))
    torch.testing.assert_close(found, torch.cat([pooled, empty_pooled]))
    assert empty.abs().max() == 0  # diffusers' unconditional state of SDXL


def test_a_single_file_is_the_folder(lab, plain, folder, tmp_path):
    path = save_single_sdxl(plain, tmp_path / "model.safetensors")
    model, how = open_pipeline(path, config=folder), {"seed": 1, "steps": 2, "guidance_scale": 3.0}
    assert isinstance(model, StableDiffusionXL)
    drawn = model.sample("a photo of a person", 1, **how)
    torch.testing.assert_close(drawn, lab.diffusion.sample("a photo of a person", 1, **how))


def test_samples_are_diffusers_own(lab, plain):
    generator = torch.Generator().manual_seed(5 * 100_003)
    theirs = plain(
        "a photo of a person", num_inference_steps=2, guidance_scale=4.0, height=64, width=64,
        generator=generator, output_type="pt",
    ).images  # fmt: skip
    ours = lab.diffusion.sample("a photo of a person", 1, seed=5, steps=2, guidance_scale=4.0)
    torch.testing.assert_close(ours, theirs, atol=2e-3, rtol=0)
    # Another size of picture is another condition.
    assert lab.diffusion.resolution == 64


def test_the_denoising_loss_is_the_unets_error_under_all_conditions(lab, plain):
    model = lab.diffusion
    latents, noise = torch.randn(2, 2, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    t, context = torch.tensor([10, 700]), model.embed(["a photo", "a person"])
    states, _, pooled, _ = plain.encode_prompt(["a photo", "a person"], device="cpu")
    alpha = model.noise_schedule.alphas_cumprod[t].view(-1, 1, 1, 1)
    noisy = alpha.sqrt() * latents + (1 - alpha).sqrt() * noise
    sizes = torch.tensor([[64.0, 64, 0, 0, 64, 64]]).expand(2, -1)
    with torch.no_grad():
        guess = plain.unet(
            noisy, t, states, added_cond_kwargs={"text_embeds": pooled, "time_ids": sizes}
        ).sample
        expected = (guess - noise).square().flatten(1).mean(1)
        loss = model.denoising_loss(latents, t, noise, context)
    torch.testing.assert_close(loss, expected)


def test_in_float16_pictures_are_encoded_as_the_vae_can(lab, subject):
    """SDXL's VAE says of itself that it overflows in float16 (``force_upcast``)."""
    model, seen = replace(lab.diffusion, autocast=torch.float16), []
    encoder = model.pipe.vae.encoder
    hook = encoder.register_forward_hook(lambda module, given, out: seen.append(out.dtype))
    model.edit(subject.b, "a photo", strength=0.5, guidance_scale=1.0, steps=1,
               source=generators([0, 1]))  # fmt: skip
    hook.remove()
    assert model.pipe.vae.config.force_upcast and set(seen) == {torch.float32}


def test_a_strong_edit_forgets_the_picture_and_a_faint_one_does_not(lab, subject):
    """Two pictures, the same noise: how far apart are their edits?"""

    def apart(strength):
        edits = [
            lab.diffusion.edit(
                images[:1], "a photo", strength=strength, guidance_scale=3.0, steps=2,
                source=[torch.Generator().manual_seed(0)],
            )
            for images in (subject.b, 1 - subject.b)
        ]  # fmt: skip
        return (edits[0] - edits[1]).abs().mean()

    assert apart(1.0) < apart(0.01) / 2


@pytest.mark.parametrize("attack", ["advdm", "aspl", "photoguard", "photoguard-diffusion"])
def test_attacks_stay_in_their_ball_and_move(attack, lab, subject):
    result = lab.attack(attack)(subject)
    assert 0 < max(result.linf_pixels) <= 8
    assert torch.isfinite(result.loss_trace).all()


def test_advdm_climbs_the_loss_it_says(lab, subject):
    trace = lab.attack("advdm", steps=30, repeats=1)(subject).loss_trace
    assert trace[-10:].mean() > trace[:10].mean()


@pytest.mark.parametrize("prompts", ["plain", "cdl"])
def test_lora_moves_unet_and_both_text_encoders_and_loads_elsewhere(
    prompts, lab, subject, folder, tmp_path
):
    fitted = lab.personalize("dreambooth-lora", prompts=prompts).fit(subject)
    state = fitted.method.state(fitted.model)
    for part in ("unet.", "text.text_encoder.", "text.text_encoder_2."):
        moved = [t for name, t in state.items() if name.startswith(part) and "lora_B" in name]
        assert moved and any(t.abs().max() > 0 for t in moved), part
    ours = fitted.sample(1, seed=3, prompt="a photo of sks person", steps=2, negative="")
    assert ("without" in fitted.prompts.sample) == (prompts == "cdl")
    fitted.save(tmp_path / "lora")
    pipe = StableDiffusionXLPipeline.from_pretrained(folder)
    before = open_pipeline(pipe).sample("a photo of sks person", 1, seed=3, steps=2,
                                        guidance_scale=fitted.guidance_scale)  # fmt: skip
    pipe.load_lora_weights(tmp_path / "lora", weight_name="pytorch_lora_weights.safetensors")
    pipe.fuse_lora()
    pipe.unload_lora_weights()
    after = open_pipeline(pipe).sample("a photo of sks person", 1, seed=3, steps=2,
                                       guidance_scale=fitted.guidance_scale)  # fmt: skip
    torch.testing.assert_close(after, ours, atol=1e-4, rtol=0)
    assert (before - ours).abs().max() > 1e-3


def test_full_fine_tuning_moves_both_text_encoders_and_saves_a_pipeline(lab, subject, tmp_path):
    fitted = lab.personalize("dreambooth").fit(subject)
    for name, encoder in fitted.model.encoders.items():
        base = lab.diffusion.encoders[name]
        assert any(not torch.equal(p, q) for p, q in zip(encoder.parameters(), base.parameters()))
    fitted.save(tmp_path / "model")
    again = open_pipeline(tmp_path / "model")
    how = {"seed": 1, "steps": 2, "guidance_scale": 3.0}
    torch.testing.assert_close(
        again.sample("a photo", 1, **how), fitted.model.sample("a photo", 1, **how)
    )


@pytest.mark.parametrize("trainer", ["textual-inversion", "custom-diffusion"])
def test_methods_of_one_new_word_say_that_they_know_one_text_encoder(trainer, lab, subject):
    with pytest.raises(ValueError, match="dreambooth-lora"):
        lab.personalize(trainer, steps=1, class_images=2).fit(subject)


@pytest.mark.parametrize("spec", ["vae", "ldiffpure"])
def test_purifiers_take_it_too(spec, lab, subject):
    params = {"steps": 2} if spec == "ldiffpure" else {}
    assert lab.purifier(spec, **params)(subject.b).shape == subject.b.shape


@pytest.mark.parametrize("spec", ["vae", "eldiffpure"])
def test_pictures_as_large_as_it_draws_are_purified_whole(spec, lab, subject, monkeypatch):
    """Its UNet is told the size of the picture, and a window's is another."""
    monkeypatch.setattr(windows, "WINDOW", 32)
    monkeypatch.setattr(windows, "OVERLAP", 8)
    sizes = []
    encoder = lab.diffusion.pipe.vae.encoder
    hook = encoder.register_forward_hook(lambda module, given, out: sizes.append(given[0].shape))
    lab.purifier(spec, **({} if spec == "vae" else {"steps": 1}))(subject.b)
    hook.remove()
    assert sizes and all(size[-2:] == (64, 64) for size in sizes)
