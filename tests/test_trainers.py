"""What each trainer changes and what it leaves alone, and that diffusers reads what it writes."""

import copy

import pytest
import torch
from diffusers import StableDiffusionPipeline

from shortcut_nb.diffusion import Diffusion
from shortcut_nb.personalize import PROMPTS, TRAINERS
from shortcut_nb.personalize.token import replace_word

SMALL = {"steps": 3, "class_images": 4, "batch_size": 2}
RATES = {"dreambooth": 1e-4, "dreambooth-lora": 1e-2, "textual-inversion": 1e-2,
         "custom-diffusion": 1e-3, "cdl-dreambooth": 1e-4}  # fmt: skip


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
    found = set()
    for part in ("unet", "text_encoder"):
        before = dict(getattr(base.pipe, part).named_parameters())
        for key, p in getattr(model.pipe, part).named_parameters():
            key = key.replace(".base_layer", "")
            if key in before and p.shape == before[key].shape and not torch.equal(p, before[key]):
                found.add(f"{part}.{key}")
    return found


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
    again = make(lab, name).fit(subject, checkpoint=path, every=1)
    whole = fitted[name]
    assert again.losses == whole.losses
    ours, theirs = (m.method.state(m.model) for m in (again, whole))
    assert ours and all(torch.equal(ours[k], theirs[k]) for k in theirs)
    if name != "dreambooth":
        with pytest.raises(ValueError, match="another"):
            make(lab, "dreambooth").fit(subject, checkpoint=path)


def test_diffusers_reads_what_was_saved(lab, fitted, name, tmp_path):
    one = fitted[name]
    folder = one.save(tmp_path / "out")
    if name in ("dreambooth", "cdl-dreambooth"):
        pipe = StableDiffusionPipeline.from_pretrained(folder)
    else:
        parts = dict(lab.diffusion.pipe.components)
        parts |= {k: copy.deepcopy(parts[k]) for k in ("unet", "text_encoder", "tokenizer")}
        pipe = StableDiffusionPipeline(**parts, requires_safety_checker=False)
    if name == "dreambooth-lora":
        pipe.load_lora_weights(folder)
    if name == "textual-inversion":
        pipe.load_textual_inversion(folder / "learned_embeds.safetensors")
    if name == "custom-diffusion":
        held = "pytorch_custom_diffusion_weights.bin"
        assert torch.load(folder / held, weights_only=True)
        pipe.unet.load_attn_procs(folder, weight_name=held, use_safetensors=False, _pipeline=pipe)
        pipe.load_textual_inversion(folder / "new_word.safetensors")
    again = Diffusion(pipe, lab.diffusion.noise_schedule)
    pipe.set_progress_bar_config(disable=True)
    how = {"seed": 0, "steps": 3, "guidance_scale": 3.0}
    drawn = again.sample(one.prompts.sample, 1, **how)
    torch.testing.assert_close(drawn, one.model.sample(one.prompts.sample, 1, **how),
                               atol=2e-3, rtol=0)  # fmt: skip
    assert not torch.equal(drawn, lab.diffusion.sample(one.prompts.sample, 1, **how))


def test_lora_merged_equals_lora_active(fitted):
    one = fitted["dreambooth-lora"]
    active, merged = one.model, one.model.clone()
    for part in ("unet", "text_encoder"):
        for module in getattr(merged.pipe, part).modules():
            if hasattr(module, "merge") and hasattr(module, "lora_A"):
                module.merge()
    z, t = torch.randn(2, 8, 16, 16), torch.tensor([100, 700])
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


def test_prompts_are_said_in_the_words_that_were_trained(fitted):
    one = fitted["textual-inversion"]
    assert one.prompts.instance == "a photo of <sks> person"
    said = one.sample(1, seed=1, prompt="a photo of sks person", steps=2)
    assert torch.equal(said, one.sample(1, seed=1, steps=2))
    assert torch.equal(said, one.sample(1, seed=1, prompt=one.prompts.sample, steps=2))
    assert not torch.equal(said, one.sample(1, seed=1, prompt="", steps=2))


def test_only_whole_words_are_replaced():
    assert replace_word("a photo of rob robot, <rob>", "rob", "<rob>") == (
        "a photo of <rob> robot, <rob>"
    )
