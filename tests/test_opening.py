"""One door for text-to-image models: folders, variants, single files, hub ids, open pipelines."""

import json
import logging
import shutil

import pytest
import torch
from accelerate import cpu_offload, cpu_offload_with_hook
from diffusers import (
    CMStochasticIterativeScheduler,
    DDPMPipeline,
    DPMSolverMultistepScheduler,
    EDMEulerScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    HeunDiscreteScheduler,
    IPNDMScheduler,
    KDPM2DiscreteScheduler,
    LCMScheduler,
    PNDMScheduler,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionPipeline,
    TCDScheduler,
    UNet2DModel,
)
from peft import LoraConfig

from shortcut_nb.diffusion import open_pipeline
from shortcut_nb.errors import UserError
from shortcut_nb.models import loaders
from shortcut_nb.models.digests import folder_digest
from shortcut_nb.weights import PACKAGE, BadWeights, MissingWeights, ModelRef
from shortcut_nb.weights.sizes import trained_bytes
from tests.ldm_file import save_single_file
from tests.tiny_sd import save_pipeline

HOW = {"seed": 3, "steps": 2, "guidance_scale": 3.0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_pipeline(tmp_path_factory.mktemp("sd") / "pipe", "sd15")


@pytest.fixture(scope="module")
def drawn(folder):
    return open_pipeline(folder).sample("a photo", 1, **HOW)


def plain(folder):
    return StableDiffusionPipeline.from_pretrained(folder, safety_checker=None)


def test_fp16_names_are_found_and_read_as_float32(folder, drawn, tmp_path):
    plain(folder).to(torch.float16).save_pretrained(tmp_path, variant="fp16")
    assert (tmp_path / "unet" / "diffusion_pytorch_model.fp16.safetensors").is_file()
    model = open_pipeline(tmp_path)
    assert {m.dtype for m in model.modules} == {torch.float32} and model.autocast == torch.float32
    torch.testing.assert_close(model.sample("a photo", 1, **HOW), drawn, atol=0.02, rtol=0)


@pytest.mark.parametrize(
    "kind", [PNDMScheduler, EulerDiscreteScheduler, DPMSolverMultistepScheduler]
)
def test_latents_are_never_clipped_as_pixels_are(folder, kind):
    """These schedulers' files may say nothing of it, and DDPM's default is to clip."""
    pipe = plain(folder)
    pipe.scheduler = kind(num_train_timesteps=1000)
    config = open_pipeline(pipe).noise_schedule.config
    assert config.clip_sample is False and config.thresholding is False


@pytest.mark.parametrize(
    "kind", [LCMScheduler, TCDScheduler, HeunDiscreteScheduler, KDPM2DiscreteScheduler]
)
def test_a_schedule_of_class_defaults_is_the_schedulers_own(folder, kind):
    """DDPM's own defaults are others."""
    pipe = plain(folder)
    pipe.scheduler = kind()
    model = open_pipeline(pipe)
    assert torch.equal(model.noise_schedule.alphas_cumprod, kind().alphas_cumprod)


def test_a_schedulers_file_may_say_nothing_but_its_class(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "pipe")
    about = tmp_path / "pipe" / "scheduler" / "scheduler_config.json"
    about.write_text(json.dumps({"_class_name": "LCMScheduler"}))
    index = tmp_path / "pipe" / "model_index.json"
    index.write_text(index.read_text().replace("PNDMScheduler", "LCMScheduler"))
    schedule = open_pipeline(tmp_path / "pipe").noise_schedule
    assert torch.equal(schedule.alphas_cumprod, LCMScheduler().alphas_cumprod)
    index.write_text(index.read_text().replace("LCMScheduler", "IPNDMScheduler"))
    with pytest.raises(BadWeights, match="no noise schedule"):
        open_pipeline(tmp_path / "pipe")


def test_a_single_file_is_the_folder(folder, drawn, tmp_path):
    path = save_single_file(plain(folder), tmp_path / "model.safetensors")
    model = open_pipeline(path, config=folder)
    torch.testing.assert_close(model.sample("a photo", 1, **HOW), drawn)
    with pytest.raises(BadWeights, match="config: FOLDER") as error:
        open_pipeline(path)  # offline, and no configuration in the cache
    assert "\n" not in str(error.value)


def test_the_configuration_of_a_single_file_may_lie_at_home(folder, drawn, tmp_path, monkeypatch):
    path = save_single_file(plain(folder), tmp_path / "model.safetensors")
    shutil.copytree(folder, tmp_path / "pipe")
    monkeypatch.setenv("HOME", str(tmp_path))
    model = open_pipeline(path, config="~/pipe")
    torch.testing.assert_close(model.sample("a photo", 1, **HOW), drawn)


def test_sharded_weights_are_opened_and_counted_whole(folder, drawn, tmp_path):
    plain(folder).save_pretrained(tmp_path, max_shard_size="100KB")
    assert len(list((tmp_path / "unet").glob("*.safetensors"))) > 1
    assert torch.equal(open_pipeline(tmp_path).sample("a photo", 1, **HOW), drawn)
    assert trained_bytes(tmp_path) == trained_bytes(folder) > 100_000


def test_a_digest_counts_what_may_be_read(folder, tmp_path):
    place = tmp_path / "pipe"
    shutil.copytree(folder, place)
    before = folder_digest(place)
    (place / ".cache" / "huggingface").mkdir(parents=True)
    (place / ".cache" / "huggingface" / "model_index.json.metadata").write_text("today")
    for name in (".DS_Store", "README.md", "README", "unet/notes.MD"):
        (place / name).write_text("nothing of it is read")
    assert folder_digest(place) == before
    (place / "tokenizer" / "added_tokens.json").write_text("{}")
    assert folder_digest(place) != before


def test_a_hub_id_is_read_from_the_local_cache(folder, drawn, tmp_path, monkeypatch):
    home = tmp_path / "models--someone--a-model"
    shutil.copytree(folder, home / "snapshots" / ("a" * 40))
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text("a" * 40)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    model = open_pipeline("someone/a-model")
    assert torch.equal(model.sample("a photo", 1, **HOW), drawn)
    with pytest.raises(MissingWeights, match="hf download someone/another"):
        open_pipeline("someone/another")


def test_an_open_pipeline_stays_as_it_is(folder, drawn):
    pipe = plain(folder)
    scheduler, parts = pipe.scheduler, set(pipe.components)
    model = open_pipeline(pipe)
    assert torch.equal(model.sample("a photo", 1, **HOW), drawn)
    assert pipe.scheduler is scheduler and set(pipe.components) == parts
    assert model.pipe.unet is pipe.unet and model.pipe is not pipe
    assert model.device == pipe.unet.device


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_an_open_pipeline_keeps_its_dtype_and_its_clone_is_float32(folder, dtype):
    model = open_pipeline(plain(folder).to(dtype))
    assert model.pipe.unet.dtype == dtype and model.autocast == dtype
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    x = images.clone().requires_grad_(True)
    z = model.encode(x, [torch.Generator().manual_seed(0)])
    loss = model.denoising_loss(
        z, torch.tensor([500]), torch.randn_like(z), model.embed(["a photo"])
    )
    loss.sum().backward()
    assert loss.dtype == torch.float32 and torch.isfinite(loss).all()
    assert torch.isfinite(x.grad).all() and x.grad.abs().max() > 0
    pictures = model.sample("a photo", 1, **HOW)
    assert pictures.dtype == torch.float32 and torch.isfinite(pictures).all()
    clone = model.clone()
    assert {clone.pipe.unet.dtype, clone.pipe.text_encoder.dtype} == {torch.float32}
    assert torch.isfinite(clone.sample("a photo", 1, **HOW)).all()


@pytest.mark.parametrize("resolution", [96, 64])
def test_another_resolution_is_drawn_and_said(folder, resolution, caplog):
    with caplog.at_level(logging.WARNING, logger="shortcut_nb"):
        model = open_pipeline(folder, resolution=resolution)
    assert model.sample("a photo", 1, **HOW).shape[-1] == resolution == model.resolution
    assert model.clone().resolution == resolution
    assert ("trained at 64 pixels" in caplog.text) == (resolution != 64)


@pytest.mark.parametrize("resolution", [0, -64, 72, 100])
def test_a_resolution_that_cannot_be_drawn_is_refused(folder, resolution):
    with pytest.raises(BadWeights, match="multiple of 16"):
        open_pipeline(folder, resolution=resolution)


def _flow(pipe):
    pipe.scheduler = FlowMatchEulerDiscreteScheduler()
    return pipe


def _without_tokenizer(pipe):
    pipe.tokenizer = None
    return pipe


def _with_lora(part):
    def carrying(pipe):
        where = "to_q" if part == "unet" else "q_proj"
        getattr(pipe, part).add_adapter(LoraConfig(target_modules=[where]))
        return pipe

    return carrying


def _scheduled(kind):
    def other(pipe):
        pipe.scheduler = kind()
        return pipe

    return other


def _offloaded(pipe):
    cpu_offload(pipe.unet, torch.device("cpu"))
    return pipe


def _offloaded_whole(pipe):
    cpu_offload_with_hook(pipe.text_encoder, torch.device("cpu"))
    return pipe


def _offloaded_by_groups(pipe):
    pipe.unet.enable_group_offload(torch.device("cpu"), offload_type="leaf_level")
    return pipe


def _deleted(part):
    def without(pipe):
        delattr(pipe, part)
        return pipe

    return without


OBJECTS = {
    "a LoRA on the UNet": (_with_lora("unet"), r"pipe.fuse_lora\(\)"),
    "a LoRA on the text encoder": (_with_lora("text_encoder"), r"pipe.fuse_lora\(\)"),
    "offloaded": (_offloaded, "without offload"),
    "offloaded whole": (_offloaded_whole, "without offload"),
    "offloaded by groups": (_offloaded_by_groups, "without offload"),
    "IPNDM": (_scheduled(IPNDMScheduler), "no noise schedule"),
    "consistency": (_scheduled(CMStochasticIterativeScheduler), "no noise schedule"),
    "EDM": (_scheduled(EDMEulerScheduler), "no noise schedule"),
    "without a VAE": (_deleted("vae"), "has no vae"),
    "without a scheduler": (_deleted("scheduler"), "has no scheduler"),
    "img2img": (lambda p: StableDiffusionImg2ImgPipeline.from_pipe(p), "starts from a picture"),
    "unconditional": (
        lambda p: DDPMPipeline(
            UNet2DModel(
                sample_size=8, block_out_channels=(8,), norm_num_groups=4, layers_per_block=1,
                down_block_types=("DownBlock2D",), up_block_types=("UpBlock2D",),
            ),
            p.scheduler,
        ),
        "no backbone knows",
    ),
    "flow": (_flow, "flow matching"),
    "without a tokenizer": (_without_tokenizer, "no tokenizer"),
}  # fmt: skip


@pytest.mark.parametrize("kind", OBJECTS)
def test_open_pipelines_of_other_kinds_are_refused_in_one_sentence(kind, folder):
    make, what = OBJECTS[kind]
    with pytest.raises(BadWeights, match=what) as error:
        open_pipeline(make(plain(folder)))
    assert "\n" not in str(error.value)


def test_a_fused_lora_is_a_part_of_the_weights(folder, drawn):
    pipe = plain(folder)
    pipe.unet.add_adapter(LoraConfig(target_modules=["to_q"], init_lora_weights=False))
    pipe.fuse_lora()
    pipe.unload_lora_weights()
    assert not torch.equal(open_pipeline(pipe).sample("a photo", 1, **HOW), drawn)


def test_a_pipeline_is_opened_once_its_hooks_are_removed(folder, drawn):
    pipe = _offloaded(plain(folder))
    pipe.remove_all_hooks()
    assert torch.equal(open_pipeline(pipe).clone().sample("a photo", 1, **HOW), drawn)


def test_a_vae_that_shifts_its_latents_is_refused(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "pipe")
    about = tmp_path / "pipe" / "vae" / "config.json"
    config = json.loads(about.read_text())
    about.write_text(json.dumps(config | {"shift_factor": 0.0}))
    open_pipeline(tmp_path / "pipe")
    about.write_text(json.dumps(config | {"shift_factor": 0.1}))
    with pytest.raises(BadWeights, match="shift_factor"):
        open_pipeline(tmp_path / "pipe")


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"autocast": "bf16"}, "autocast must be"),
        ({"device": "cuda:99"}, "there is no"),
        ({"device": "gpu"}, "device must be"),
        ({"resolution": 64.0}, "a whole number"),
        ({"resolution": "64"}, "a whole number"),
    ],
)
def test_what_is_no_dtype_device_or_size_is_refused_at_the_door(folder, options, what):
    with pytest.raises(UserError, match=what) as error:
        open_pipeline(folder, **options)
    assert "\n" not in str(error.value)


def test_weights_of_another_model_under_the_right_names_are_refused(folder, tmp_path):
    """Whole, readable, and not what config.json says: the rest would be random."""
    shutil.copytree(folder, tmp_path / "pipe")
    unet = tmp_path / "pipe" / "unet" / "diffusion_pytorch_model.safetensors"
    text = tmp_path / "pipe" / "text_encoder" / "model.safetensors"
    shutil.copy(unet, text)
    with pytest.raises(BadWeights, match="text_encoder") as error:
        open_pipeline(tmp_path / "pipe")
    assert "\n" not in str(error.value)
    shutil.copy(folder / "text_encoder" / "model.safetensors", text)
    shutil.copy(folder / "vae" / "diffusion_pytorch_model.safetensors", unet)
    with pytest.raises(BadWeights, match="unet"):
        open_pipeline(tmp_path / "pipe")


def test_a_small_pipeline_may_lie_flat_in_one_folder(tmp_path):
    """As google/ddpm-celebahq-256 does: no folder for each part."""
    shipped = PACKAGE / "mini" / "weights" / "pixel"
    for path in shipped.rglob("*.*"):
        shutil.copy(path, tmp_path)
    (tmp_path / "sha256.json").unlink()
    ref = ModelRef(id=str(tmp_path), loader="ddpm")
    flat = loaders.open_pixel_diffusion(ref, "cpu")
    whole = loaders.open_pixel_diffusion(ref.model_copy(update={"id": str(shipped)}), "cpu")
    for ours, theirs in zip(flat.unet.parameters(), whole.unet.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    (tmp_path / "scheduler_config.json").unlink()
    with pytest.raises(BadWeights, match="scheduler_config.json is missing"):
        loaders.open_pixel_diffusion(ref, "cpu")
