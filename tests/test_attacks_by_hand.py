"""Attacks against their definitions, written out a second time."""

import dataclasses
from dataclasses import replace

import pytest
import torch
from torchvision.transforms.functional import hflip

from shortcut_nb.attacks import picture_seeds, start_uniform
from shortcut_nb.attacks.adaptive import PurifiedObjective
from shortcut_nb.attacks.metacloak import LEAST_BLUR, Transformed
from shortcut_nb.attacks.objectives import DenoisingLoss, TargetedDenoisingLoss
from shortcut_nb.attacks.pgd import pgd
from shortcut_nb.attacks.photoguard import EditDistance
from shortcut_nb.attacks.run import Run, load_weights, snapshot
from shortcut_nb.attacks.simac import FeatureInterference
from shortcut_nb.attacks.surrogates import averaged
from shortcut_nb.attacks.target import target_image
from shortcut_nb.budget import Budget
from shortcut_nb.diffusion import draw_normal, generators
from shortcut_nb.latents import latents_of
from shortcut_nb.machine.threads import torch_threads
from shortcut_nb.purify import Purifier
from shortcut_nb.tuning.modes import frozen

from .small_runs import SURROGATE


@pytest.fixture(scope="session")
def lab(quick_lab):
    return quick_lab


@pytest.fixture(scope="module")
def subject(pair):
    return pair


def test_a_registered_attacks_steps_are_one_call_of_pgd(lab, subject):
    """Momentum and repeats too, though the attack calls the loop once a step."""
    how = {"momentum": 0.9, "repeats": 2}
    attack = lab.attack("advdm", eps="8/255", steps=4, alpha="2/255", seed=3, **how).settings
    model, source = lab.diffusion, generators(picture_seeds(3, len(subject.b)))
    with torch_threads(1), frozen(*model.modules):
        loss = DenoisingLoss(model, model.embed([subject.class_prompt]))
        x = start_uniform(subject.b, Budget.linf(8), source)
        x, trace = pgd(loss, x, subject.b, Budget.linf(8), alpha=2 / 255, steps=4,
                       source=source, **how)  # fmt: skip
        result = attack(subject, lab)
    assert torch.equal(result.images, Budget.linf(8).project_grid(x, subject.b))
    torch.testing.assert_close(result.loss_trace, trace)


def test_a_uniform_start_lies_on_both_sides_of_the_picture():
    grey = torch.full((2, 3, 32, 32), 0.5)
    for radius in (8 / 255, 3 / 255):
        moved = start_uniform(grey, Budget.linf(8), generators([0, 1]), radius) - grey
        assert moved.abs().max() <= radius + 1e-6
        assert moved.amin() < -0.98 * radius and moved.amax() > 0.98 * radius
        assert moved.std().item() == pytest.approx(radius / 3**0.5, rel=0.05)


def test_photoguards_step_shrinks_linearly_to_a_hundredth(lab):
    attack = lab.attack("photoguard", steps=10, alpha="4/255")
    sizes = [attack.step_size(number) * 255 for number in (0, 5, 10)]
    assert sizes == pytest.approx([4, (4 + 0.04) / 2, 0.04])


def test_photoguard_measures_unscaled_latents_against_its_target(lab, subject):
    """‖E_mean(x) − z_target‖₂ in the VAE's own latents, as published."""
    vae, run = lab.diffusion.pipe.vae, Run.start(subject, lab, [1, 2])
    with torch.no_grad():
        mine = vae.encode(subject.b * 2 - 1).latent_dist.mean
        pattern = vae.encode(target_image(*subject.b.shape[2:]) * 2 - 1).latent_dist.mean
        for name, goal in (("zero", torch.zeros_like(pattern)), ("pattern", pattern)):
            objective = lab.attack("photoguard", target=name).objective(run)
            want = (mine - goal).flatten(1).norm(dim=1)
            torch.testing.assert_close(objective(subject.b, []), want, rtol=1e-4, atol=1e-4)
            assert objective.direction == -1


def test_an_edits_guidance_goes_from_the_empty_prompt_past_the_prompt(lab, subject):
    """At 1 it is the prompt alone, at 0 the empty one alone; between and beyond it moves on."""
    model, goal = lab.diffusion, torch.full((1, 3, *subject.b.shape[2:]), 0.5)

    def edit(context, scale):
        how = EditDistance(model, context, goal, 0.5, 1, scale, 0.0)
        return how(subject.b, generators([3, 4]))

    with torch.no_grad(), frozen(*model.modules):
        both = model.embed(["", "a photo of a person"])
        torch.testing.assert_close(edit(both, 1.0), edit(both[1:], 7.5))
        torch.testing.assert_close(edit(both, 0.0), edit(both[:1], 7.5))


def test_pid_is_zero_at_the_clean_pictures(lab, subject):
    objective = lab.attack("pid").objective(Run.start(subject, lab, [1, 2]))
    with torch.no_grad():
        assert torch.equal(objective(subject.b, []), torch.zeros(2))
    assert objective.direction == 1


def test_glaze_starts_within_half_its_perceptual_budget_and_redraws_in_its_style(lab, subject):
    attack = lab.attack("glaze", eps="255/255", perceptual=0.04, style_strength=0.7).settings
    run = Run.start(subject, lab, [1, 2])
    attack.prepare(run)
    inside = (subject.b > 0.03) & (subject.b < 0.97)  # else [0, 1] cuts it off
    moved = (run.x - subject.b)[inside].abs()
    assert 0.019 < moved.max() <= 0.02 + 1e-6
    sampling, source = lab.profile.sampling, generators([1, 2])
    start_uniform(subject.b, attack.budget, source)  # drawn before
    redrawn = lab.diffusion.edit(
        subject.b, "a painting in the style of cubism", strength=0.7, source=source,
        steps=sampling.steps, guidance_scale=sampling.guidance_scale,
    )  # fmt: skip
    torch.testing.assert_close(run.state["style_mean"], lab.diffusion.posterior(redrawn)[0])


def test_mists_rate_counts_latent_entries(lab, subject):
    """1e4 for 4 × 64 × 64 = 16,384 entries, where a sum of squares stands beside a mean."""
    run = Run.start(subject, lab, [1, 2])
    entries = lab.diffusion.posterior(subject.b)[0][0].numel()
    with torch.no_grad():
        default, written = (
            lab.attack("mist", rate=rate).objective(run)(subject.b, generators([1, 2]))
            for rate in (None, 1e4 * entries / (4 * 64 * 64))
        )
    torch.testing.assert_close(default, written)


@pytest.mark.parametrize("name", ["advdm", "sds", "clip-shift", "decoded-shift"])
@pytest.mark.parametrize("direction", [1, -1])
def test_a_direction_is_the_objectives(lab, subject, name, direction):
    run = Run.start(subject, lab, [1, 2])
    objective = lab.attack(name, direction=direction).objective(run)
    assert objective.direction == direction
    with torch.no_grad():  # the sign is the direction's alone: the value is the same
        other = lab.attack(name, direction=-direction).objective(run)
        values = [each(subject.b, generators([1, 2])) for each in (objective, other)]
    torch.testing.assert_close(*values)


def test_the_targeted_loss_is_written_out(lab, subject):
    """‖ε_θ − ε‖² − ‖step(ε_θ, z_t) − (target noised to t − 1)‖², with the same noise."""
    model, (z, _) = lab.diffusion, lab.diffusion.posterior(subject.b)
    context, goal = model.embed(["a photo of a person"]), 20 * torch.ones_like(z[1:])
    at = [torch.tensor([90]), torch.tensor([640])]
    with torch.no_grad(), frozen(*model.modules):
        loss = TargetedDenoisingLoss(model, context, timesteps=at, target=goal)
        value = loss.on(z, source := generators([5, 6]))
        again = generators([5, 6])
        noise, t = draw_normal(z.shape[1:], again), torch.cat(at)
        for g in again:
            torch.randint(0, 1, (1,), generator=g)
        kept = model.noise_schedule.alphas_cumprod
        share = kept[t].view(-1, 1, 1, 1)
        noisy = share.sqrt() * z + (1 - share).sqrt() * noise
        guess = model.denoise(noisy, t, context.expand(2, -1, -1))
        share = kept[t - 1].view(-1, 1, 1, 1)
        aim = share.sqrt() * goal + (1 - share).sqrt() * noise
        before = torch.cat([
            model.noise_schedule.step(guess[i:i + 1], int(t[i]), noisy[i:i + 1],
                                      generator=again[i]).prev_sample
            for i in range(2)
        ])  # fmt: skip
        away = (guess - noise).square().flatten(1).mean(1)
        towards = (before - aim).square().flatten(1).mean(1)
    torch.testing.assert_close(value, away - towards)
    assert source[0].get_state().equal(again[0].get_state())


def test_only_the_released_targeted_loss_draws_the_first_timestep(lab, subject):
    model, (z, _) = lab.diffusion, lab.diffusion.posterior(subject.b)
    context = model.embed(["a photo of a person"])

    def at(t, from_zero):
        loss = TargetedDenoisingLoss(model, context, timesteps=[torch.tensor([t])] * 2,
                                     target=z[:1], from_zero=from_zero)  # fmt: skip
        return loss.on(z, generators([5, 6]))

    with torch.no_grad(), frozen(*model.modules):
        assert torch.equal(at(0, False), at(1, False))
        assert (at(0, True) != at(1, True)).all()


def test_fsmgs_surrogate_learns_set_a_before_the_first_step(tiny_lab):
    attack = tiny_lab.attack("fsmg", steps=2, surrogate_steps=2, inner_steps=2, **SURROGATE)
    subject = tiny_lab.subject("mini:held-out/0")
    with torch_threads(1):
        run = Run.start(subject, tiny_lab, picture_seeds(0, len(subject.b)))
        base, surrogate = tiny_lab.diffusion, tiny_lab.diffusion.clone()
        attack.trainee(run, "diffusion", surrogate).run(
            latents_of(base, subject.a), 2, attack.generator(0)
        )
        with frozen(*surrogate.modules, *base.modules):
            objective = DenoisingLoss(surrogate, surrogate.embed([subject.instance_prompt]))
            for _ in range(2):
                run.x, _ = attack.climb(run, objective, 2)
        by_hand = attack.budget.project_grid(run.x, run.clean)
        assert torch.equal(attack(subject).images, by_hand)


def test_metacloak_is_its_visits_of_the_pool(tiny_lab):
    """Every kept state in turn: PGD through random transformations, then training on the result."""
    how = {"pool_steps": 4, "interval": 2, "advance": 1, "trials": 1, "pgd_steps": 2,
           "blur": 0.6, "flip": 0.3}  # fmt: skip
    attack = tiny_lab.attack("metacloak", **how, **SURROGATE).settings
    subject = tiny_lab.subject("mini:held-out/0")
    with torch_threads(1):
        by_hand = _cloaked(attack, subject, tiny_lab)
        assert torch.equal(attack(subject, tiny_lab).images, by_hand)


def _cloaked(attack, subject, lab):
    """MetaCloak with a pool of 0, 1 and 3 steps, and a fresh AdamW each time."""
    run = Run.start(subject, lab, picture_seeds(0, len(subject.b)))
    base, surrogate, pool = lab.diffusion, lab.diffusion.clone(), []
    trainee, draw = attack.trainee(run, "diffusion", surrogate), attack.generator(0)
    for step in range(4):
        if step in (0, 1, 3):
            pool.append(snapshot(surrogate))
        if step < 3:
            trainee.step(latents_of(base, subject.b), draw)
    trainee.release()
    for visit, behind in enumerate((0, 1, 3)):
        load_weights(surrogate, pool[visit])
        for number in range(2):
            with frozen(*surrogate.modules, *base.modules):
                loss = DenoisingLoss(surrogate, surrogate.embed([subject.instance_prompt]))
                seen = Transformed(loss, (LEAST_BLUR, 0.6), flip=0.3)
                run.x, _ = attack.climb(run, seen, 2)
            ahead = attack.trainee(run, "diffusion", surrogate, behind + number)
            ahead.run(latents_of(base, run.x), 1, attack.generator(1 + 2 * visit + number))
    return attack.budget.project_grid(run.x, run.clean)


def test_a_mirror_has_its_probability():
    x = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    left = lambda x, source, rows: x[..., :4].flatten(1).mean(1)  # noqa: E731
    source, plain, mirrored = generators([1]), left(x, 0, 0), left(hflip(x), 0, 0)

    def share(flip):
        seen = Transformed(left, (1e-3, 1e-3), flip=flip)
        values = torch.cat([seen(x, source) for _ in range(200)])
        assert all(v.item() == pytest.approx(plain.item()) or
                   v.item() == pytest.approx(mirrored.item()) for v in values)  # fmt: skip
        return (values - mirrored).abs().lt(1e-5).float().mean().item()

    assert share(0.0) == 0 and share(1.0) == 1
    assert share(0.2) == pytest.approx(0.2, abs=0.1)


def test_simacs_selection_is_its_definition(lab, subject):
    """Five candidates; the one of the smallest gradient goes with its neighbours, a scratch picture
    takes a step at the one of the largest."""
    attack = lab.attack("simac", keep=600, **SURROGATE).settings
    model, (one, other) = lab.diffusion, generators([7, 8])
    attack.prepare(run := Run.start(subject, lab, [7, 8]))
    budget = Budget.linf(8)
    with frozen(*model.modules):
        context = model.embed([subject.instance_prompt])
        for clean, draw, chosen in zip(subject.b.split(1), (one, other), run.state["timesteps"]):
            left, scratch = set(range(1000)), clean
            while len(left) > 600:
                order = torch.tensor(sorted(left))
                drawn = order[torch.randperm(len(left), generator=draw)[:5]].tolist()
                sizes = {}
                for t in drawn:
                    x = scratch.clone().requires_grad_(True)
                    loss = DenoisingLoss(model, context, timesteps=[torch.tensor([t])])
                    (slope,) = torch.autograd.grad(loss(x, [draw]).sum(), x)
                    sizes[t] = slope.abs().sum().item()
                middle = min(max(min(sizes, key=sizes.get), 20), 980)
                left -= set(range(middle - 20, middle + 20))
                best = torch.tensor([max(sizes, key=sizes.get)])
                scratch, _ = pgd(DenoisingLoss(model, context, timesteps=[best]), scratch, clean,
                                 budget, alpha=4 / 255, steps=1, source=[draw])  # fmt: skip
            assert set(chosen.tolist()) == left


def test_simacs_features_are_averaged_over_layers(lab, subject):
    """L_ldm + weight × the mean over layers of mean squared differences of their outputs."""
    model = lab.diffusion
    context, at = model.embed(["a photo of a person"]), [torch.tensor([300])] * 2
    z, still = model.posterior(subject.b)[0], model.posterior(subject.b.flip(-1))[0]
    with torch.no_grad(), frozen(*model.modules):
        loss = DenoisingLoss(model, context, timesteps=at)
        both = FeatureInterference(model, context, timesteps=at, still=still, weight=3.0)
        got = both.on(z, generators([1, 2])) - loss.on(z, generators([1, 2]))
        noise, t = loss.draw(z, generators([1, 2]), slice(None))
        seen = []
        layers = [block.conv2 for block in model.pipe.unet.up_blocks[-1].resnets]
        hooks = [layer.register_forward_hook(lambda *a: seen.append(a[-1])) for layer in layers]
        for latents in (z, still):
            model.predict(latents, t, noise, context.expand(2, -1, -1))
        for hook in hooks:
            hook.remove()
    assert len(layers) > 1
    apart = [(a - b).square().flatten(1).mean(1) for a, b in zip(seen, seen[len(layers) :])]
    torch.testing.assert_close(got, 3.0 * torch.stack(apart).mean(0), rtol=1e-4, atol=1e-5)


def test_the_matched_attack_has_this_budget_and_seed(lab):
    other = lab.attack("decoded-shift", match="advdm", eps="6/255", seed=5).builds_on()
    assert (other.name, str(other.budget), other.seed) == ("advdm", "6/255", 5)


class Square:
    direction = 1

    def __call__(self, x, source, rows=slice(None)):
        return x.square().flatten(1).sum(1)


def test_each_call_through_a_random_purifier_has_another_seed():
    """What EOT averages over; the seed is drawn from the picture's generator."""

    @dataclasses.dataclass(frozen=True)
    class Shift(Purifier):
        seed: int = 0

        def run(self, images, models, on_step):
            return (images + self.seed / 2**31).clamp(0, 1)

    x, source = torch.full((1, 3, 16, 16), 0.25), generators([5])
    objective = PurifiedObjective(Square(), Shift())
    first, second = objective(x, source), objective(x, source)
    assert first != second and objective(x, generators([5])) == first


def test_an_adaptive_surrogate_learns_what_the_defender_would_train_on(lab, subject):
    attack = lab.attack("adaptive-aspl", purifier="jpeg", prompts="cdl", **SURROGATE).settings
    run = Run.start(subject, lab, [1, 2])
    run.surrogates = {"diffusion": lab.diffusion}
    attack.rebuild(run)
    jpeg = lab.purifier("jpeg")
    want = latents_of(lab.diffusion, jpeg(subject.a)).mean
    torch.testing.assert_close(run.rebuilt["clean"]["diffusion"].mean, want)
    assert torch.equal(attack.defender_view(run, subject.b), jpeg(subject.b))
    token = lab.profile.prompts.noise_token
    assert attack.words(run) == (
        f"{subject.instance_prompt}, with {token}", f"{subject.class_prompt}, without {token}",
    )  # fmt: skip


def test_a_surrogate_trains_by_the_attacks_settings(lab, subject):
    how = {"prior_weight": 0.3, "prior_dropout": 0.25, "surrogate_text_lr": 3e-5, "fused": False}
    attack = lab.attack("aspl", **SURROGATE, **how).settings
    run, model = Run.start(subject, lab, [1, 2]), lab.diffusion.clone()
    trainee = attack.trainee(run, "diffusion", model, behind=0)
    assert [group["lr"] for group in trainee.optimiser.param_groups] == [1e-4, 3e-5]
    prior = lab.prior_latents(subject.class_prompt, 4)
    data = latents_of(lab.diffusion, subject.a)
    rows = trainee.draw(data, torch.Generator().manual_seed(2))
    assert rows.prompts[:2] == [subject.instance_prompt, subject.class_prompt]
    assert len(rows.latents) == 4  # two of the person, two of the class
    assert all(any(torch.equal(z, one) for one in prior.mean) for z in rows.latents[2:])
    with torch.no_grad():
        loss = trainee.loss(data, torch.Generator().manual_seed(2))
        context = model.embed(rows.prompts).repeat_interleave(torch.tensor(rows.counts), 0)
        each = model.denoising_loss(rows.latents, rows.t, rows.noise, context)
    torch.testing.assert_close(loss, each[:2].mean() + 0.3 * each[2:].mean())


def test_models_that_took_turns_agree_on_their_mean():
    draw = torch.Generator().manual_seed(0)
    turns = [(torch.rand(2, 3, 8, 8, generator=draw), torch.rand(4, 2, generator=draw))
             for _ in range(3)]  # fmt: skip
    images, losses = averaged(turns)
    torch.testing.assert_close(images, (turns[0][0] + turns[1][0] + turns[2][0]) / 3)
    torch.testing.assert_close(losses, (turns[0][1] + turns[1][1] + turns[2][1]) / 3)


def test_a_checkpoint_of_other_pictures_is_refused(tiny_lab, tmp_path):
    subject = tiny_lab.subject("mini:held-out/0")
    attack = tiny_lab.attack("advdm", eps="8/255", steps=1)
    for name in ("a", "b"):
        path = tmp_path / name
        attack(subject, checkpoint=path, keep=True)
        with pytest.raises(ValueError, match="another"):
            attack(replace(subject, **{name: getattr(subject, name).flip(-1)}), checkpoint=path)
