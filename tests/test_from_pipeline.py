"""A lab around an open pipeline, pictures in memory as a subject: no profile, no folder."""

from dataclasses import replace

import pytest
import torch
from diffusers import PNDMScheduler, StableDiffusionPipeline

from shortcut_nb import Lab, Subject
from shortcut_nb.cells import Cell
from shortcut_nb.errors import UserError
from shortcut_nb.experiments.executor_choice import executor_of
from shortcut_nb.models import NoSuchModel
from shortcut_nb.pipeline import Pipeline
from shortcut_nb.profile import Sampling
from shortcut_nb.store import Store

from .tiny import pictures
from .tiny_sd import save_pipeline

TRAINING = {"steps": 2, "class_images": 2, "batch_size": 1, "lr": 1e-4}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_pipeline(tmp_path_factory.mktemp("pipeline") / "sd15", "sd15")


def open_pipe(folder, dtype):
    pipe = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None).to(dtype)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def dtypes(pipe):
    return {name: next(getattr(pipe, name).parameters()).dtype
            for name in ("unet", "vae", "text_encoder")}  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_attack_purify_train_sample_and_score(folder, dtype):
    pipe = open_pipe(folder, dtype)
    before = {key: value.clone() for key, value in pipe.unet.state_dict().items()}
    lab = Lab.from_pipeline(pipe, sampling=Sampling(steps=2))
    assert lab.autocast == dtype and lab.device == pipe.device
    subject = Subject.from_images(pictures(2), class_name="dog")
    assert subject.instance_prompt == "a photo of sks dog"
    result = lab.attack("aspl", eps="8/255", rounds=1, class_images=2, surrogate_lr=1e-4)(subject)
    assert 0 < max(result.linf_pixels) <= 8
    purified = lab.purifier("jpeg+vae")(result.images)
    model = lab.personalize("dreambooth", prompts="cdl", **TRAINING).fit(subject, purified)
    assert dtypes(model.model.pipe)["unet"] == torch.float32  # updates of 5e-7 would round away
    drawn = model.sample(2, seed=0, steps=2)
    assert drawn.shape == (2, 3, 64, 64) and torch.isfinite(drawn).all()
    assert set(lab.score(drawn, subject).columns) == {"image", "texture", "coarse_texture"}
    assert set(dtypes(pipe).values()) == {dtype}
    assert all(torch.equal(value, before[key]) for key, value in pipe.unet.state_dict().items())


def test_experiments_run_on_an_open_pipeline_in_this_process_alone(folder, tmp_path):
    lab = Lab.from_pipeline(open_pipe(folder, torch.float32), sampling=Sampling(steps=2))
    pipeline = Pipeline(lab, Store(tmp_path))
    person, cell = Subject.from_images(pictures(2)), Cell(training=TRAINING)
    assert pipeline.scores(person, cell, 0, n=1)["texture"].notna().all()
    assert pipeline.keeps(person, cell, 0)  # tiny, so its weights are kept
    large = Pipeline(lab, Store(tmp_path), keep_trained=0.1)
    assert not large.keeps(person, cell, 0)
    with pytest.raises(UserError, match="a model in memory .* use the executor serial"):
        executor_of("processes", pipeline)


@pytest.mark.parametrize("pipe", [None, "runwayml/stable-diffusion-v1-5", torch.nn.Module()])
def test_what_is_no_pipeline_is_told_so(pipe):
    with pytest.raises(UserError, match="expected an open diffusers pipeline"):
        Lab.from_pipeline(pipe)


@pytest.mark.parametrize(
    "option",
    [
        {"clip": "ViT-B-32"},
        {"identity": "dinov2"},
        {"detector": 1},
        {"faces": "dlib"},
        {"prompts": "a photo"},
        {"sampling": 25},
        {"resolution": "64"},
    ],
    ids=lambda option: next(iter(option)),
)
def test_what_is_no_open_model_is_told_so(folder, option):
    with pytest.raises(UserError, match="must be|expected a") as error:
        Lab.from_pipeline(open_pipe(folder, torch.float32), **option)
    assert "\n" not in str(error.value)


def test_pictures_in_memory_are_put_on_the_grid():
    """So that a budget of whole grey levels is one."""
    given = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    person = Subject.from_images(given)
    torch.testing.assert_close(person.b * 255, (given * 255).round(), atol=1e-4, rtol=0)


def test_what_is_absent_says_so_when_it_is_asked_for(folder):
    lab = Lab.from_pipeline(open_pipe(folder, torch.float32))
    x = pictures(1)
    with pytest.raises(NoSuchModel, match="'clip'"):
        lab.score(x, x, metrics=["quality"])
    with pytest.raises(NoSuchModel, match="'clip'"):
        lab.attack("clip-shift", eps="8/255", steps=1)(x)
    with pytest.raises(NoSuchModel, match="restorer"):
        lab.purifier("restorer")
    with pytest.raises(ValueError, match="nearest are texture"):
        lab.score(x, x, metrics=["textur"])


def test_a_clip_that_is_given_is_used(folder, lab):
    mine = Lab.from_pipeline(open_pipe(folder, torch.float32), clip=lab.clip)
    x = pictures(2)
    own = mine.score(x, x, metrics=["quality"])["quality"]
    assert own.tolist() == lab.score(x, x, metrics=["quality"])["quality"].tolist()


def test_a_digest_follows_the_weights(folder):
    pipe = open_pipe(folder, torch.float32)
    one, same = (Lab.from_pipeline(pipe).digest("diffusion") for _ in range(2))
    with torch.no_grad():
        pipe.unet.conv_in.weight[0, 0, 0, 0] += 1
    assert one == same != Lab.from_pipeline(pipe).digest("diffusion")


def test_a_digest_follows_the_schedule_the_vocabulary_and_the_size(folder, lab):
    pipe = open_pipe(folder, torch.float32)
    one = Lab.from_pipeline(pipe).digest("diffusion")
    pipe.scheduler = PNDMScheduler.from_config(pipe.scheduler.config, beta_end=0.02)
    two = Lab.from_pipeline(pipe).digest("diffusion")
    pipe.tokenizer.add_tokens("zeppelin")
    assert len({one, two, Lab.from_pipeline(pipe).digest("diffusion")}) == 3
    halved = replace(lab.identity, size=32)
    digests = {Lab.from_pipeline(pipe, identity=each).digest("identity")
               for each in (lab.identity, halved, lab.identity)}  # fmt: skip
    assert len(digests) == 2


def test_how_to_load_names_the_pipeline_that_was_given(folder, tmp_path):
    pipe = open_pipe(folder, torch.float32)
    lab = Lab.from_pipeline(pipe, sampling=Sampling(steps=2))
    one = lab.personalize("dreambooth-lora", **TRAINING | {"lr": 1e-2}).fit(pictures(2))
    names = {"pipe": pipe}
    exec(one.how_to_load(one.save(tmp_path / "out")), names)
    assert names["image"].size == (64, 64) and pipe.get_active_adapters()
