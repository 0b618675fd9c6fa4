"""What each trainer changes and what it leaves alone, and that diffusers reads what it writes."""

import dataclasses
import importlib.util

import pytest
import torch

from shortcut_nb.diffusion import Diffusion, open_pipeline
from shortcut_nb.errors import UserError
from shortcut_nb.images import save_folder
from shortcut_nb.personalize import PROMPTS, TRAINERS
from shortcut_nb.personalize.token import add_token, learn_one_row, replace_word, table_of
from shortcut_nb.personalize.trainee import Trainee
from tests.small_runs import CONSTANT, trained_alike

SMALL = {"steps": 3, "class_images": 4, "batch_size": 2}
RATES = {"dreambooth": 1e-4, "dreambooth-lora": 1e-2, "textual-inversion": 1e-2,
         "custom-diffusion": 1e-3, "cdl-dreambooth": 1e-4}  # fmt: skip


@pytest.fixture(scope="session")
def lab(quick_lab):
    """What is promised here holds for any weights."""
    return quick_lab


@pytest.fixture(params=sorted(RATES))
def name(request):
    return request.param


def make(lab, name, **more):
    return lab.personalize(name, **{**SMALL, "lr": RATES[name], **more})


@pytest.fixture(scope="module")
def fitted(lab, subject):
    return {name: make(lab, name).fit(subject) for name in RATES}


def test_every_trainer_is_in_the_table():
    assert set(RATES) == set(TRAINERS)


def changed(base, model):
    """The names of parameters that differ from the base model's, new ones aside."""
    names = set()
    for part in ("unet", "text_encoder"):
        before = dict(getattr(base.pipe, part).named_parameters())
        for key, p in getattr(model.pipe, part).named_parameters():
            key = key.replace(".base_layer", "")
            if key in before and p.shape == before[key].shape and not torch.equal(p, before[key]):
                names.add(f"{part}.{key}")
    return names


def test_only_what_the_method_trains_moves(lab, fitted):
    base = lab.diffusion
    assert len(changed(base, fitted["dreambooth"].model)) > 100
    for name in ("dreambooth-lora", "textual-inversion", "custom-diffusion"):
        assert changed(base, fitted[name].model) == set()


def test_one_row_of_the_table_moves(lab, fitted):
    before = lab.diffusion.pipe.text_encoder.get_input_embeddings().weight
    for name in ("textual-inversion", "custom-diffusion"):
        model = fitted[name].model
        after = model.pipe.text_encoder.get_input_embeddings().weight
        assert len(after) == len(before) + 1 and torch.equal(after[:-1], before)
        start = before[model.pipe.tokenizer("person", add_special_tokens=False).input_ids].mean(0)
        assert not torch.equal(after[-1], start)
    assert "<sks>" not in lab.diffusion.pipe.tokenizer.get_vocab()


def test_no_other_row_of_the_table_has_a_gradient(lab):
    """Clipping would count it, although the row is put back after the step."""
    model = lab.diffusion.clone()
    row = add_token(model, "<new>", "person")
    learn_one_row(model, row)
    model.embed(["a photo of <new> person"]).square().sum().backward()
    sizes = table_of(model).grad.norm(dim=1)
    assert sizes[row] > 0 and not sizes[torch.arange(len(sizes)) != row].any()


def test_textual_inversion_learns_its_word_at_lr(lab, subject):
    usual = make(lab, "textual-inversion", lr=1e-2).fit(subject)
    also_text = make(lab, "textual-inversion", lr=1e-2, text_lr=1e-5).fit(subject)
    assert torch.equal(table_of(usual.model), table_of(also_text.model))
    with pytest.raises(UserError, match="text_lr above 0 or none, got 0"):
        make(lab, "textual-inversion", text_lr=0.0)


def test_custom_diffusion_moves_keys_and_values_only(lab, fitted):
    unet = fitted["custom-diffusion"].model.pipe.unet
    own = [n for n, _ in unet.named_parameters() if "_custom_diffusion" in n]
    assert own and all("attn2" in n and ("to_k" in n or "to_v" in n) for n in own)
    for name, processor in unet.attn_processors.items():
        if name.endswith("attn2.processor"):
            attention = unet.get_submodule(name.removesuffix(".processor"))
            assert not torch.equal(processor.to_k_custom_diffusion.weight, attention.to_k.weight)


def test_resume_is_bit_for_bit(lab, subject, fitted, name, tmp_path):
    class Killed(Exception):
        pass

    def kill(info):
        if info.step == 2:
            raise Killed

    path = tmp_path / "run.ckpt"
    with pytest.raises(Killed):
        make(lab, name).fit(subject, on_step=kill, checkpoint=path, every=1)
    before = torch.load(path, weights_only=True)["state"]["seconds"]
    again = make(lab, name).fit(subject, checkpoint=path, every=1)
    assert 0 < before < again.seconds
    whole = fitted[name]
    assert again.losses == whole.losses
    ours, theirs = (m.method.state(m.model) for m in (again, whole))
    assert ours and all(torch.equal(ours[k], theirs[k]) for k in theirs)
    if name != "dreambooth":
        with pytest.raises(ValueError, match="another"):
            make(lab, "dreambooth").fit(subject, checkpoint=path)


def loaded(one, folder):
    """The pipeline that ``how_to_load`` makes in plain diffusers; its lines are run as they are."""
    *lines, last = one.how_to_load(folder).splitlines()
    assert last.endswith(f"# the word is {one.word}")
    names = {}
    exec("\n".join(lines), names)
    names["pipe"].set_progress_bar_config(disable=True)
    return names["pipe"]


def test_diffusers_loads_what_was_saved_by_the_lines_that_are_given(lab, fitted, name, tmp_path):
    one = fitted[name]
    pipe = loaded(one, one.save(tmp_path / "out"))
    if name == "dreambooth-lora":
        pipe.fuse_lora()
        pipe.unload_lora_weights()
    again = open_pipeline(pipe, autocast=torch.float32)
    how = {"seed": 0, "steps": 3, "guidance_scale": 3.0}
    drawn = again.sample(one.prompts.sample, 1, **how)
    torch.testing.assert_close(
        drawn, one.model.sample(one.prompts.sample, 1, **how), atol=2e-3, rtol=0
    )
    assert not torch.equal(drawn, lab.diffusion.sample(one.prompts.sample, 1, **how))


def test_the_line_that_samples_runs(fitted, tmp_path):
    one = fitted["textual-inversion"]
    short = dataclasses.replace(one, steps=1)
    names = {}
    exec(short.how_to_load(short.save(tmp_path / "out")), names)
    assert names["image"].size == (64, 64)


@pytest.mark.parametrize("name", ["textual-inversion", "custom-diffusion"])
def test_an_identifier_in_brackets_keeps_its_own(lab, name, tmp_path):
    toy = lab.subject("mini:held-out/0", identifier="<cat-toy>")
    one = make(lab, name, steps=1).fit(toy)
    assert one.word == "<cat-toy>" and one.prompts.instance == "a photo of <cat-toy> person"
    pipe = loaded(one, one.save(tmp_path / "out"))
    assert "<cat-toy>" in pipe.tokenizer.get_vocab()
    assert "<<cat-toy>>" not in pipe.tokenizer.get_vocab()


def test_prompts_that_are_too_long_are_said_and_noise_words_never_lost(lab, subject, caplog):
    long = dataclasses.replace(subject, instance_prompt="a photo of sks person " + "hat " * 40)
    with caplog.at_level("WARNING", logger="shortcut_nb"):
        make(lab, "dreambooth", steps=0).fit(long)
    assert "cut off" in caplog.text and "hat" in caplog.text
    with pytest.raises(ValueError, match="noisy pattern.*would be cut off"):
        make(lab, "dreambooth", steps=0, prompts="cdl").fit(long)
    caplog.clear()
    make(lab, "dreambooth", steps=0, prompts="cdl").fit(subject)
    assert "cut off" not in caplog.text


def latents(model):
    """Two of the model's channels, of noise."""
    return torch.randn(2, model.pipe.unet.config.in_channels, 16, 16)


def test_lora_merged_equals_lora_active(fitted):
    one = fitted["dreambooth-lora"]
    active, merged = one.model, one.model.clone()
    for part in ("unet", "text_encoder"):
        for module in getattr(merged.pipe, part).modules():
            if hasattr(module, "merge") and hasattr(module, "lora_A"):
                module.merge()
    z, t = latents(active), torch.tensor([100, 700])
    with torch.no_grad():
        outs = [m.pipe.unet(z, t, m.embed(["a photo of sks person"] * 2)).sample
                for m in (active, merged)]  # fmt: skip
    torch.testing.assert_close(*outs, atol=1e-4, rtol=1e-4)


def test_no_prior_weight_is_no_prior(lab, subject):
    """Weight 0 must not even draw from the generator for a prior."""
    none = make(lab, "dreambooth", prior_weight=0.0).fit(subject)
    other = make(lab, "dreambooth", prior_weight=0.0, class_images=9).fit(subject)
    assert none.losses == other.losses


def test_cdl_without_a_noise_phrase_is_plain_dreambooth(subject):
    for form in ("cdl", "cdl-released"):
        words, plain = PROMPTS[form](subject, "", "noisy"), PROMPTS["plain"](subject)
        assert (words.instance, words.class_, words.sample) == (
            plain.instance, plain.class_, plain.sample,
        )  # fmt: skip


def test_checkpointing_changes_nothing_but_memory(lab, subject, fitted):
    on = []

    def look(info):
        on.append(trained[-1].modules[1].is_gradient_checkpointing)

    trained, clone = [], Diffusion.clone

    def cloned(self, *words, **more):
        trained.append(clone(self, *words, **more))
        return trained[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Diffusion, "clone", cloned)
        same = make(lab, "dreambooth", gradient_checkpointing=True).fit(subject, on_step=look)
    assert on == [True] * SMALL["steps"]
    assert not same.model.modules[1].is_gradient_checkpointing  # off again in what is handed out
    assert same.losses == pytest.approx(fitted["dreambooth"].losses, rel=1e-4)


def test_accumulated_batches_are_one_large_batch(lab, subject, monkeypatch):
    """One step on two batches has the mean of their gradients; here the batches are given."""
    model = lab.diffusion
    parts = [latents(model), latents(model)]
    weights = {}
    for name, batches, count in ("two", parts, 2), ("one", [torch.cat(parts)], 1):
        given = iter(batches)

        def loss(self, latents, generator, given=given):
            z = next(given)
            context = self.model.embed(["a photo"]).expand(len(z), -1, -1)
            t, noise = torch.full((len(z),), 300), torch.ones_like(z)
            return self.model.denoising_loss(z, t, noise, context).mean()

        monkeypatch.setattr(Trainee, "loss", loss)
        trainee = Trainee(model.clone(), ("", ""), None, 1e-4, accumulation=count)
        trainee.optimiser = torch.optim.SGD(trainee.parameters, lr=0.1)
        value = trainee.step(None, torch.Generator())
        weights[name] = value, torch.cat([p.detach().flatten() for p in trainee.parameters])
    assert weights["two"][0] == pytest.approx(weights["one"][0], rel=1e-5)
    torch.testing.assert_close(weights["two"][1], weights["one"][1], atol=1e-6, rtol=1e-4)


def test_accumulation_is_passed_on_and_resumes(lab, subject, fitted, tmp_path):
    path, how = tmp_path / "run.ckpt", CONSTANT | {"gradient_accumulation": 2}
    one = make(lab, "dreambooth", **how).fit(subject)
    assert one.losses != fitted["dreambooth"].losses
    make(lab, "dreambooth", steps=2, **how).fit(subject, checkpoint=path, every=1)
    assert trained_alike(make(lab, "dreambooth", **how).fit(subject, checkpoint=path, every=1), one)


def test_pictures_in_order_go_on_over_accumulated_batches(lab):
    trainee = Trainee(lab.diffusion.clone(), ("", ""), None, 1e-4, batch_size=2, shuffle=False,
                      accumulation=2)  # fmt: skip
    seen = []
    for trainee.taken in range(2):
        for trainee.within in range(2):
            seen += trainee._pick(5, torch.Generator()).tolist()
    assert seen == [0, 1, 2, 3, 4, 0, 1, 2]


@pytest.mark.slow
def test_the_moving_average_is_what_is_kept(lab, subject, tmp_path, monkeypatch):
    path, how = tmp_path / "run.ckpt", CONSTANT | {"ema_decay": 0.5}
    step, seen = Trainee.step, []

    def watched(self, *given):
        loss = step(self, *given)
        seen.append(self.model.pipe.unet.conv_in.weight.detach().clone())
        return loss

    with monkeypatch.context() as patch:
        patch.setattr(Trainee, "step", watched)
        one = make(lab, "dreambooth", **how).fit(subject)
    assert one.losses == make(lab, "dreambooth", **CONSTANT).fit(subject).losses
    # diffusers' warm-up: at update k the decay is min(ema_decay, (1 + k) / (10 + k)), none at first
    mean = seen[0]
    for taken, weight in enumerate(seen[1:], start=2):
        decay = min(0.5, taken / (9 + taken))
        mean = decay * mean + (1 - decay) * weight
    kept = one.method.state(one.model)["unet.conv_in.weight"]
    assert len(seen) == SMALL["steps"] and not torch.equal(kept, seen[-1])
    assert not torch.equal(kept, lab.diffusion.pipe.unet.conv_in.weight)
    torch.testing.assert_close(kept, mean, atol=1e-7, rtol=1e-5)
    make(lab, "dreambooth", steps=2, **how).fit(subject, checkpoint=path, every=1)
    assert trained_alike(make(lab, "dreambooth", **how).fit(subject, checkpoint=path, every=1), one)


def test_eight_bit_adam_says_what_it_wants(lab, subject):
    if importlib.util.find_spec("bitsandbytes"):
        pytest.skip("bitsandbytes is installed")
    with pytest.raises(ImportError, match="real"):
        make(lab, "dreambooth", adam_8bit=True).fit(subject)


def test_eight_bit_adam_is_close_to_adam_and_resumes(lab, subject, fitted, tmp_path):
    pytest.importorskip("bitsandbytes")
    path, how = tmp_path / "run.ckpt", {"adam_8bit": True}
    one = make(lab, "dreambooth", **how).fit(subject)
    assert one.losses != fitted["dreambooth"].losses
    assert one.losses == pytest.approx(fitted["dreambooth"].losses, rel=0.05)
    make(lab, "dreambooth", steps=2, **how).fit(subject, checkpoint=path, every=1)
    assert trained_alike(make(lab, "dreambooth", **how).fit(subject, checkpoint=path, every=1), one)


@pytest.mark.parametrize(
    "wrong", [{"gradient_accumulation": 0}, {"ema_decay": 1.0}, {"batch_size": 0}]
)
def test_parameters_out_of_range_are_refused(lab, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        make(lab, "dreambooth", **wrong)


def test_prompts_are_said_in_the_words_that_were_trained(fitted):
    one = fitted["textual-inversion"]
    assert one.prompts.instance == "a photo of <sks> person"
    images = one.sample(1, seed=1, prompt="a photo of sks person", steps=2)
    assert torch.equal(images, one.sample(1, seed=1, steps=2))
    assert torch.equal(images, one.sample(1, seed=1, prompt=one.prompts.sample, steps=2))
    assert not torch.equal(images, one.sample(1, seed=1, prompt="", steps=2))


@pytest.mark.parametrize(
    "wrong",
    [
        {"n": 0}, {"n": 1.5}, {"n": True}, {"seed": None}, {"seed": -1}, {"seed": "0"},
        {"steps": 0}, {"steps": 2.5}, {"guidance_scale": float("nan")}, {"guidance_scale": -1},
        {"negative": 3}, {"prompt": 3}, {"batch": 0},
    ],
    ids=str,
)  # fmt: skip
def test_samples_are_asked_for_at_a_door(fitted, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        fitted["dreambooth"].sample(**wrong)


def test_what_can_be_trained_on_is_taken(lab, subject, tmp_path):
    """Pictures in memory or in a folder, as a subject and as what is trained on."""
    save_folder(subject.b, tmp_path)
    want = make(lab, "dreambooth", steps=1).fit(subject).losses
    train = make(lab, "dreambooth", steps=1)
    for who, images in ((subject, tmp_path), (subject, str(tmp_path)), (subject.b, None)):
        assert train.fit(who, images).losses == pytest.approx(want, rel=1e-3)
    assert train.fit(tmp_path).losses == pytest.approx(want, rel=1e-3)
    with pytest.raises(ValueError, match="multiples of 16 pixels, best 64 x 64; got 64 x 40"):
        train.fit(subject, subject.b[..., :40])
    with pytest.raises(ValueError, match="a subject is"):
        train.fit(3)
    with pytest.raises(ValueError, match="every"):
        train.fit(subject, checkpoint=tmp_path / "x.ckpt", every=0)
    noise = lab.attack("noise", eps="8/255")
    assert torch.equal(noise(tmp_path).images, noise(subject).images)
    assert noise(subject.b[..., :40]).images.shape == (4, 3, 64, 40)  # no model, any size


def test_only_whole_words_are_replaced():
    assert replace_word("a photo of rob robot, <rob>", "rob", "<rob>") == (
        "a photo of <rob> robot, <rob>"
    )


def test_a_frozen_text_encoder_is_read_once_with_gradient_checkpointing_too(lab, subject):
    """Gradient checkpointing makes transformers' states want gradients that nobody asks for."""
    frozen = {"steps": 2, "text_lr": 0.0}
    usual = make(lab, "dreambooth", **frozen).fit(subject)
    checkpointed = make(lab, "dreambooth", **frozen, gradient_checkpointing=True).fit(subject)
    assert checkpointed.losses == pytest.approx(usual.losses)
