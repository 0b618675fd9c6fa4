"""The stages: prior, protect, purify, train, sample, probe. Each output is kept under its recipe.

Every key is known before anything runs. A stage is made from what it needs, which is made first
where it is missing; so the last stage can be asked for alone, and one that is there needs nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from .analysis.clip_shift import clip_shift
from .analysis.traits import traits
from .budget import Budget
from .cells import CLEAN, NONE, OWN, PROFILE, Cell, Sheet
from .class_pictures import ClassPictures, latents_in, save_latents
from .errors import UserError
from .inside import INSIDE
from .lab import Lab
from .metrics import METRICS, psnr, ssim
from .metrics.apart import distance_to
from .metrics.copying import nearest, spread
from .metrics.frame import TRAIT, is_available
from .notices import IN_MEMORY
from .partway import Partway
from .personalize import Personalized
from .personalize.methods import FullFineTuning, named
from .probes import PROBES
from .profile import resolve
from .progress import OnStep, progress
from .purify import roles
from .store import Entry, Payload, Recipe, Store, canonical, digest, plain
from .subjects import Subject
from .transplant import mixed, moved, shuffled
from .weights.sizes import FLOAT32, trained_bytes

VERSIONS = {"protect": "3", "purify": "4", "train": "1", "sample": "1", "probe": "2"}
EVERY = 100  # training steps between checkpoints


@dataclass(frozen=True, eq=False)
class Node:
    """One output to be made.

    Attributes:
        recipe: names it.
        needs: what goes in; none where pictures or models of the profile are all.
        write: makes it, through the payload it is given.
        about: a few words for people: stage, subject and settings.
        group: nodes of one group are made one after the other in one place (see ``Pipeline``).
        of: "subject" (a name), "cell" or "sheet" of this output, where they are not those of what
            needs it; of class pictures how they are "drawn".
    """

    recipe: Recipe
    needs: tuple[Node, ...]
    write: Callable[[Payload], None]
    about: str
    group: str = ""
    of: Mapping[str, Any] = field(default_factory=dict)


class Pipeline:
    """The stages for one lab, kept in a store.

    Args:
        lab: whose models and defaults.
        store: None is the default one.
        on_step: makes a callback for long work from its label; None shows bars or log lines.
        keep_trained: trained weights of up to so many megabytes are kept; None is the profile's.
            Others are made again when they are needed; their samples are drawn in one go.
    """

    def __init__(
        self,
        lab: Lab,
        store: Store | None = None,
        on_step: Callable[[str], OnStep] | None = None,
        keep_trained: float | None = None,
    ) -> None:
        self.lab, self.store = lab, store or Store()
        self.on_step = on_step or progress
        self.keep_trained = lab.profile.keep_trained_mb if keep_trained is None else keep_trained
        self._memory: dict[tuple[Any, ...], Any] = {}
        self._last: tuple[str, Personalized] | None = None
        self._partway: Partway | None = None
        lab.keep_prior = self._prior  # class pictures are the same for every subject and process

    # What people ask for

    def images(self, subject: Subject, cell: Cell = CLEAN, seed: int = 0) -> Tensor:
        """Set B as the adversary trains on it, protected and purified: (n, 3, H, W) in [0, 1]."""
        return self._pictures(subject, self.purify(subject, cell, seed))

    def model(
        self, subject: Subject, cell: Cell = CLEAN, seed: int = 0, at: float | None = None
    ) -> Personalized:
        """The model fine-tuned on :meth:`images`; or as it was after a share of the training."""
        return self._model(subject, cell, seed, at)

    def samples(
        self, subject: Subject, cell: Cell = CLEAN, seed: int = 0, sheet: Sheet = OWN, n: int = 8
    ) -> Tensor:
        """n samples of the fine-tuned model, (n, 3, H, W) in [0, 1]."""
        return self.make(self.sample(subject, cell, seed, sheet, n)).images("images")

    def scores(
        self, subject: Subject, cell: Cell = CLEAN, seed: int = 0, sheet: Sheet = OWN, n: int = 8
    ) -> pd.DataFrame:
        """One row per sample: every metric, ``noise`` (CLIP's probability), ``train_seconds``."""
        return table(self.make(self.probe(subject, cell, seed, sheet, n)))

    def changes(self, subject: Subject, cell: Cell = CLEAN, seed: int = 0) -> dict[str, float]:
        """How far the pictures trained on are from the clean ones; see :meth:`compare`."""
        return self.make(self.compare(subject, cell, seed)).json("values")

    def looks(self, subject: Subject, cell: Cell, seed: int, name: str) -> dict[str, float]:
        """What a further probe says of the pictures trained on; see :meth:`look`."""
        return self.make(self.look(subject, cell, seed, name)).json("values")

    def make(self, node: Node) -> Entry:
        """A node's output: read, or made from what it needs and kept."""
        return self.store.make(node.recipe, node.write)

    # The stages

    def prior(self, drawn: ClassPictures) -> Node:
        """Latents of class pictures, which trainings and surrogates of all subjects share."""

        def node() -> Node:
            def write(out: Payload) -> None:
                save_latents(out, self.lab.draw_class_pictures(drawn))

            about = f"prior {drawn.n} × {drawn.prompt}"
            return Node(drawn.recipe(self.lab), (), write, about, of={"drawn": drawn})

        return self.remember(("prior", drawn), node)

    def _priors(self, every: Sequence[ClassPictures]) -> tuple[Node, ...]:
        return tuple(self.prior(drawn) for drawn in every)

    def protect(self, subject: Subject, cell: Cell, seed: int) -> Node | None:
        """Set B under the cell's attack; None for clean pictures."""
        if cell.attack == NONE:
            return None
        if cell.clean_share:
            return self._partly(subject, cell, seed)
        make = self._attack if cell.at_home else self._move
        return make(subject, cell, seed)

    def _attack(self, subject: Subject, cell: Cell, seed: int) -> Node:
        params: dict[str, Any] = {"eps": cell.eps, "seed": seed} | cell.settings
        named = f"{cell.attack} {canonical(params)}"
        attack = self.remember(("attack", named), lambda: self.lab.attack(cell.attack, **params))
        about = f"protect {subject.name} {photos_of(cell)}"

        def node() -> Node:
            def write(out: Payload) -> None:
                result = attack(
                    subject, on_step=self.on_step(about), checkpoint=self.store.checkpoint(recipe)
                )
                out.save_images("images", result.images)
                out.save_json("cost", {"seconds": result.seconds})

            inputs = {"a": self._digest(subject, "a"), "b": self._digest(subject, "b")}
            words = {"prompt": subject.instance_prompt, "class": subject.class_prompt}
            settings = self.remember(("inputs", named), attack.inputs)
            recipe = self._recipe("protect", {"attack": settings, "words": words}, inputs)
            return Node(recipe, self._priors(attack.class_pictures(subject)), write, about)

        return self.remember(("protect", subject, named), node)

    def _partly(self, subject: Subject, cell: Cell, seed: int) -> Node | None:
        """Set B under the attack, but for its first pictures, a share of them, which stay clean."""
        alone = cell.model_copy(update={"clean_share": 0.0})
        whole = self.protect(subject, alone, seed)
        first = round(cell.clean_share * len(subject.images))
        if whole is None or first == 0:
            return whole

        def node() -> Node:
            def write(out: Payload) -> None:
                entry = self.make(whole)
                protected = entry.images("images")
                out.save_images("images", torch.cat([subject.images[:first], protected[first:]]))
                out.save_json("cost", entry.json("cost"))

            params = {"attack": whole.recipe.params["attack"], "clean": first}
            own = self._digest(subject, "b")
            inputs: dict[str, Recipe | str] = {"images": whole.recipe, "b": own}
            recipe = self._recipe("protect", params, inputs)
            needs = (replace(whole, of={"subject": subject.name, "cell": alone}),)
            return Node(recipe, needs, write, f"{whole.about}, {first} clean")

        return self.remember(("partly", whole.recipe.key, first), node)

    def _move(self, subject: Subject, cell: Cell, seed: int) -> Node:
        """Perturbations on a share of the pictures, or on others than they were made for."""
        donor = self._neighbour(subject) if cell.perturbation == "another's" else subject
        alone = cell.model_copy(update={"share": 1.0, "perturbation": "own"})
        home = replace(self._attack(donor, alone, seed), of={"subject": donor.name, "cell": alone})

        def write(out: Payload) -> None:
            budget, clean = Budget.parse(cell.eps), subject.images
            images = self._pictures(donor, home)
            if cell.perturbation == "another's":
                images = moved(clean, images - donor.images, budget)
            elif cell.perturbation == "shuffled":
                images = shuffled(clean, images, budget)
            out.save_images("images", mixed(clean, images, cell.share, seed))
            out.save_json("cost", {"seconds": self._seconds(home)})

        how = {"attack": "moved", "of": cell.perturbation, "share": cell.share, "seed": seed}
        inputs: dict[str, Recipe | str] = {
            "images": home.recipe,
            "donor": self._digest(donor, "b"),
            "clean": self._digest(subject, "b"),
        }
        recipe = self._recipe("protect", {"attack": how | {"eps": cell.eps}}, inputs)
        about = f"move {subject.name} {photos_of(cell)}, {cell.perturbation} {cell.share:g}"
        return Node(recipe, (home,), write, about)

    def _neighbour(self, subject: Subject) -> Subject:
        name = neighbour(self.lab.profile.subjects, subject.name)
        return self.remember(("subject", name), lambda: self.lab.subject(name))

    def purify(self, subject: Subject, cell: Cell, seed: int) -> Node | None:
        """The protected pictures under the cell's purifier; None where nothing was done at all."""
        before = self.protect(subject, cell, seed)
        spec = self.lab.profile.purifier if cell.purifier == PROFILE else cell.purifier
        if spec == NONE:
            return before
        named = f"{spec} {subject.class_name} {canonical(cell.purifying)}"
        purifier = self.remember(
            ("purifier", named),
            lambda: self.lab.purifier(spec, subject.class_name, **cell.purifying),
        )
        about = f"purify {subject.name} {photos_of(cell)}, {spec}"

        def node() -> Node:
            def write(out: Payload) -> None:
                images, started = self._pictures(subject, before), time.monotonic()
                out.save_images("images", purifier(images, on_step=self.on_step(about)))
                out.save_json("cost", {"seconds": time.monotonic() - started})

            needed = roles(_settings(purifier))
            params = {"purifier": spec, "settings": plain(_settings(purifier))}
            inputs = {"images": self._source(subject, before)} | self._weights(*needed)
            recipe = self._recipe("purify", params, inputs)
            return Node(recipe, _those(before), write, about)

        return self.remember(("purify", subject, before and before.recipe.key, named), node)

    def train(self, subject: Subject, cell: Cell, seed: int) -> Node:
        """The weights that fine-tuning changed, in safetensors.

        Raises:
            UserError: the cell asks for more pictures than the subject has.
        """
        before, (named, trainer) = self.purify(subject, cell, seed), self._trainer(cell, seed)
        _check_count(subject, cell)
        photos = photos_of(cell, purified=True)
        how = " ".join(
            [cell.trainer, cell.prompts, *(f"{k}={v}" for k, v in cell.training.items())]
        )
        about = f"train {subject.name} {photos}, {how}"

        def node() -> Node:
            def write(out: Payload) -> None:
                self._last, known = None, self._with_words(subject, cell)
                partway = self._partway if self._is_partway(recipe) else None
                checkpoint = partway.path if partway else self.store.checkpoint(recipe)
                fitted = trainer.fit(
                    known,
                    self._trained_on(subject, before, cell),
                    on_step=self.on_step(about),
                    checkpoint=checkpoint,
                    every=EVERY,
                )
                seconds = fitted.seconds + (partway.seconds if partway else 0.0)
                out.save_tensors("weights", trainer.pack(known, fitted))
                out.save_json("training", {"seconds": seconds, "losses": fitted.losses})
                checkpoint.unlink(missing_ok=True)
                self._partway = None
                self._last = (recipe.key, fitted)

            inputs = {"images": self._source(subject, before)} | self._weights("diffusion")
            if "{traits}" in (cell.instance or ""):
                inputs |= {
                    "seen": self._digest(subject, "b"),
                    "seer": self._weights("clip")["weights"],
                }
            params = self._training(subject, named, trainer, cell.instance)
            if cell.pictures not in (None, len(subject.b)):  # all of set B is the usual training
                inputs["more"] = self._digest(subject, "a")
                params["pictures"] = cell.pictures
            recipe = self._recipe("train", params, inputs)
            needs = *_those(before), *self._priors(trainer.class_pictures(subject))
            return Node(recipe, needs, write, about)

        how = (named, cell.instance, cell.pictures)
        return self.remember(("train", subject, before and before.recipe.key, *how), node)

    def _with_words(self, subject: Subject, cell: Cell) -> Subject:
        """The subject under the words that the cell's training has for it."""
        if cell.instance is None:
            return subject
        words = self._words(subject)
        if "{traits}" in cell.instance:
            words["traits"] = traits(self.lab.clip, subject.images, subject.class_prompt)
        return replace(subject, instance_prompt=cell.instance.format(**words))

    def _words(self, subject: Subject) -> dict[str, str]:
        """What the fields of a sheet's or a cell's prompt are filled with."""
        return {
            "identifier": subject.identifier,
            "class_name": subject.class_name,
            "instance": subject.instance_prompt,
            "class_prompt": subject.class_prompt,
            "negative": self.lab.profile.prompts.negative,
            "noise_token": self.lab.profile.prompts.noise_token,
        }

    def sample(self, subject: Subject, cell: Cell, seed: int, sheet: Sheet, n: int) -> Node:
        """n samples of the fine-tuned model."""
        model = self.train(subject, cell, seed)
        kept = sheet.at is None and self.keeps(subject, cell, seed)
        words = self._words(subject)
        drawn = {
            "of": sheet.of,
            "prompt": sheet.prompt and sheet.prompt.format(**words),
            "negative": sheet.negative and sheet.negative.format(**words),
            "guidance_scale": sheet.guidance_scale,
            "steps": sheet.steps,
        } | ({} if sheet.at is None else {"at": sheet.at})

        def write(out: Payload) -> None:
            fitted = self._model(subject, cell, seed, sheet.at)
            out.save_images("images", draw(fitted, drawn, n, seed))
            out.save_json("cost", {"train_seconds": fitted.seconds})

        params = {"sheet": drawn, "n": n, "seed": seed, "sampling": self.lab.profile.sampling}
        recipe = self._recipe("sample", params, {"model": model.recipe})
        needs, group = ((model,), "") if kept else (model.needs, model.recipe.key)
        return Node(recipe, needs, write, f"sample{model.about[5:]}", group)

    def probe(self, subject: Subject, cell: Cell, seed: int, sheet: Sheet, n: int) -> Node:
        """Every registered metric of the samples, and how far they repeat what was trained on.

        With a CLIP also its probability of noise. Or what a look inside the model finds; see
        :mod:`.inside`.
        """
        if sheet.inside:
            return self._inside(subject, cell, seed, sheet.inside, n)
        drawn = self.sample(subject, cell, seed, sheet, n)
        concept, noise = self.lab.profile.concepts[:2]

        def write(out: Payload) -> None:
            entry = self.make(drawn)
            images = entry.images("images")
            trained_on = self._trained_on(subject, self.purify(subject, cell, seed), cell)
            frame = self.lab.score(images, subject).assign(copies=nearest(images, trained_on))
            if self._has("clip"):
                shift = clip_shift(self.lab.clip, images, concept, noise)
                with torch.no_grad():
                    diversity = spread(self.lab.clip.image(images))
                frame = frame.assign(noise=1 - shift["concept_probability"], diversity=diversity)
            out.save_json("columns", frame.to_dict("list"))
            out.save_json("values", entry.json("cost"))

        params = {"probe": "score", "metrics": self._metrics, "concepts": [concept, noise]}
        inputs: dict[str, Any] = {"samples": drawn.recipe, "reference": self._digest(subject, "c")}
        inputs |= self._weights("clip", "detector", "faces", "identity", *self._measures)
        recipe = self._recipe("probe", params, inputs)
        return Node(recipe, (drawn,), write, f"probe{drawn.about[6:]}")

    def apart(self, subject: Subject, cell: Cell, seed: int, sheet: Sheet, n: int) -> Node:
        """Each sample's distance to what plain training on clean pictures draws of the same.

        See :func:`.metrics.apart.distance_to`; the profile must name an identity encoder.
        """
        drawn = self.sample(subject, cell, seed, sheet, n)
        plain_sheet = Sheet(of=sheet.of)
        clean = self.sample(subject, CLEAN, seed, plain_sheet, n)
        clean = replace(clean, of={"cell": CLEAN, "sheet": plain_sheet})

        def write(out: Payload) -> None:
            images, references = (self.make(node).images("images") for node in (drawn, clean))
            distance = distance_to(self.lab.identity, images, references)
            out.save_json("columns", {"apart": distance.tolist()})

        inputs: dict[str, Any] = {"samples": drawn.recipe, "clean": clean.recipe}
        recipe = self._recipe("probe", {"probe": "apart"}, inputs | self._weights("identity"))
        return Node(recipe, (drawn, clean), write, f"probe distance{drawn.about[6:]}")

    def traits(self, subject: Subject, cell: Cell, seed: int, sheet: Sheet, n: int) -> Node:
        """Whether each sample shows each of the person's attributes: a column for each.

        See :meth:`.metrics.AttributeReader.kept`; the profile must name a measure "attributes".
        """
        drawn = self.sample(subject, cell, seed, sheet, n)

        def write(out: Payload) -> None:
            reader = self.lab.measure("attributes")
            kept = reader.kept(self.make(drawn).images("images"), subject.c).astype(float)
            out.save_json("columns", {f"{TRAIT}{name}": list(kept[name]) for name in kept})

        inputs: dict[str, Any] = {"samples": drawn.recipe, "reference": self._digest(subject, "c")}
        inputs |= self._weights("measure:attributes")
        recipe = self._recipe("probe", {"probe": "traits"}, inputs)
        return Node(recipe, (drawn,), write, f"probe traits{drawn.about[6:]}")

    def _inside(self, subject: Subject, cell: Cell, seed: int, name: str, n: int) -> Node:
        """What a look inside the model finds."""
        look = INSIDE[name]()
        needs = look.needs(self, subject, cell, seed)

        def write(out: Payload) -> None:
            out.save_json("columns", look.measure(self, subject, cell, seed, n))
            out.save_json("values", {})

        recipes = look.recipes(self, subject, cell, seed)
        inputs = {f"input {i}": recipe for i, recipe in enumerate(recipes)}
        params = {"probe": name, "settings": plain(look), "n": n, "seed": seed}
        recipe = self._recipe("probe", params, inputs)
        return Node(recipe, needs, write, f"look {name} {subject.name} {photos_of(cell)}")

    def compare(self, subject: Subject, cell: Cell, seed: int) -> Node:
        """How far the pictures trained on are from the clean ones, means over set B.

        Faithfulness is measured against the *clean* pictures: a purifier is to give those back.

        ``linf`` and ``l2`` (root mean square) in grey levels; ``psnr`` in dB; ``perceptual`` a
        distance of LPIPS's form on the lab's CLIP; ``likeness`` the cosine of the identity
        embedding to the clean pictures' mean; ``shift`` and ``shift_projection`` the move in CLIP
        space and its part towards noise (without a CLIP or an identity encoder in the profile these
        are left out); ``attack_seconds`` and ``purify_seconds`` (a picture) what it took.
        """
        before, after = self.protect(subject, cell, seed), self.purify(subject, cell, seed)
        concepts = self.lab.profile.concepts[:2]

        def node() -> Node:
            def write(out: Payload) -> None:
                moved = changes(self.lab, subject.images, self._pictures(subject, after))
                spent = 0.0 if after is before else self._seconds(after) / len(subject.images)
                costs = {"attack_seconds": self._seconds(before), "purify_seconds": spent}
                out.save_json("values", moved | costs)

            source: dict[str, Any] = {
                "images": self._source(subject, after),
                "clean": self._digest(subject, "b"),
            }
            weights = self._weights("clip", "identity")
            params = {"probe": "changes", "concepts": concepts}
            recipe = self._recipe("probe", params, source | weights)
            about = f"probe changes {subject.name} {photos_of(cell, purified=True)}"
            return Node(recipe, _those(after), write, about)

        return self.remember(("compare", subject, after and after.recipe.key), node)

    def look(self, subject: Subject, cell: Cell, seed: int, name: str) -> Node:
        """A further probe of the pictures trained on, by its name in :data:`.probes.PROBES`."""
        probe, after = PROBES[name], self.purify(subject, cell, seed)
        settings = probe.settings(self.lab, subject, cell)

        def node() -> Node:
            def write(out: Payload) -> None:
                images = self._pictures(subject, after)
                out.save_json("values", probe.measure(self.lab, subject, cell, images))

            source: dict[str, Any] = {"images": self._source(subject, after)}
            source |= {sheet: self._digest(subject, sheet) for sheet in ("a", "b", "c")}
            params = {"probe": name} | settings
            recipe = self._recipe("probe", params, source | self._weights(*probe.roles))
            about = f"probe {name} {subject.name} {photos_of(cell, purified=True)}"
            return Node(recipe, _those(after), write, about)

        place = after and after.recipe.key
        return self.remember(("look", name, subject, place, canonical(settings)), node)

    # How it is done

    @cached_property
    def _metrics(self) -> list[str]:
        """The metrics of pictures that can be had here."""
        return sorted(name for name, each in METRICS.items() if is_available(each, self.lab))

    @property
    def _measures(self) -> list[str]:
        """The roles of the measures that those metrics open; "measure:" stands for all."""
        opened = [getattr(METRICS[name], "measures", ("",)) for name in self._metrics]
        return sorted({f"measure:{name}" for names in opened for name in names})

    def _has(self, role: str) -> bool:
        return role in self.lab.profile.models()

    def keeps(self, subject: Subject, cell: Cell, seed: int) -> bool:
        """Whether the trained weights are small enough to be kept, as the models' files tell."""
        _, trainer = self._trainer(cell, seed)
        full = isinstance(trainer.method(subject), FullFineTuning)
        return not full or self._full_megabytes <= self.keep_trained

    @cached_property
    def _full_megabytes(self) -> float:
        """Of the weights that full fine-tuning changes, as files tell, or else the open model."""
        if not self.lab.profile.diffusion.id.startswith(IN_MEMORY):
            return trained_bytes(resolve(self.lab.profile.diffusion)) / 1e6
        return FLOAT32 * sum(each.numel() for each in named(self.lab.diffusion).values()) / 1e6

    def _is_partway(self, recipe: Recipe) -> bool:
        return self._partway is not None and self._partway.key == recipe.key

    def _model(
        self, subject: Subject, cell: Cell, seed: int, at: float | None = None
    ) -> Personalized:
        return self._end(subject, cell, seed) if at is None else self._at(subject, cell, seed, at)

    def _at(self, subject: Subject, cell: Cell, seed: int, at: float) -> Personalized:
        """The model on the way; rising shares of one training go on from one another."""
        node, (_, trainer) = self.train(subject, cell, seed), self._trainer(cell, seed)
        step = round(at * trainer.steps)
        place = f"{node.recipe.key} at {step}"
        if self._last is None or self._last[0] != place:
            self._last = None  # one model at a time beside the lab's own
            if not self._is_partway(node.recipe):
                before = self.purify(subject, cell, seed)
                images, worded = (
                    self._trained_on(subject, before, cell),
                    self._with_words(subject, cell),
                )
                self._partway = Partway(node.recipe.key, trainer, worded, images)
            assert self._partway is not None
            self._last = (place, self._partway.at(step, self.on_step(node.about)))
        return self._last[1]

    def _end(self, subject: Subject, cell: Cell, seed: int) -> Personalized:
        node, (_, trainer) = self.train(subject, cell, seed), self._trainer(cell, seed)
        if self._last is not None and self._last[0] == node.recipe.key:
            return self._last[1]
        self._last = None  # one model at a time beside the lab's own
        if self.keeps(subject, cell, seed):
            entry = self.make(node)
            if self._last is None:
                about = entry.json("training")
                fitted = trainer.unpack(
                    self._with_words(subject, cell),
                    entry.tensors("weights"),
                    about["seconds"],
                    about["losses"],
                )
                self._last = (node.recipe.key, fitted)
        else:
            images = self._trained_on(subject, self.purify(subject, cell, seed), cell)
            fitted = trainer.fit(
                self._with_words(subject, cell), images, on_step=self.on_step(node.about)
            )
            self._last = (node.recipe.key, fitted)
        return self._last[1]

    def _trainer(self, cell: Cell, seed: int) -> tuple[str, Any]:
        """The cell's trainer, and what it is remembered by."""
        params: dict[str, Any] = {"prompts": cell.prompts, "seed": seed} | cell.training
        named = f"{cell.trainer} {canonical(params)}"
        trainer = self.remember(
            ("trainer", named), lambda: self.lab.personalize(cell.trainer, **params)
        )
        return named, trainer

    def _training(
        self, subject: Subject, named: str, trainer: Any, instance: str | None
    ) -> dict[str, Any]:
        """All that a training depends on beside pictures and weights."""
        profile = self.lab.profile
        words = {
            "instance": instance or subject.instance_prompt,
            "class": subject.class_prompt,
            "identifier": subject.identifier,
            "class_name": subject.class_name,
        }
        if instance:
            words["own"] = subject.instance_prompt
        return {
            "trainer": trainer.name,
            "settings": self.remember(("plain", named), lambda: plain(_settings(trainer))),
            "sampling": profile.sampling,
            "prior": profile.prior_guidance_scale,
            "prompts": profile.prompts,
            "words": words,
        }

    def _prior(self, drawn: ClassPictures) -> Tensor:
        return latents_in(self.make(self.prior(drawn)))

    def _recipe(self, stage: str, params: Any, inputs: Mapping[str, Recipe | str]) -> Recipe:
        every = {**inputs, "arithmetic": self._arithmetic}
        return Recipe(stage, VERSIONS[stage], params, every)

    @property
    def _arithmetic(self) -> str:
        return f"{self.lab.device.type} {self.lab.autocast}"

    def _weights(self, *roles: str) -> dict[str, str]:
        if not roles:
            return {}
        return {"weights": self.remember(("weights", roles), lambda: self.lab.digest(*roles))}

    def _digest(self, subject: Subject, name: str) -> str:
        return self.remember(("digest", subject, name), lambda: digest(getattr(subject, name)))

    def _source(self, subject: Subject, node: Node | None) -> Recipe | str:
        return node.recipe if node else self._digest(subject, "b")

    def _pictures(self, subject: Subject, node: Node | None) -> Tensor:
        return self.make(node).images("images") if node else subject.images

    def _trained_on(self, subject: Subject, node: Node | None, cell: Cell) -> Tensor:
        """The pictures of a cell's training, as many as it asks for: set B, then set A."""
        images = self._pictures(subject, node)
        if cell.pictures is None:
            return images
        return torch.cat([images, subject.a])[: cell.pictures]

    def _seconds(self, node: Node | None) -> float:
        return self.make(node).json("cost")["seconds"] if node else 0.0

    def remember(self, key: tuple[Any, ...], make: Callable[[], Any]) -> Any:
        """What ``make`` gave the first time it was asked for this key."""
        if key not in self._memory:
            self._memory[key] = make()
        return self._memory[key]


def draw(fitted: Personalized, drawn: dict[str, Any], n: int, seed: int) -> Tensor:
    """n samples under the words of a sheet, (n, 3, H, W) in [0, 1]."""
    names = ("negative", "guidance_scale", "steps")
    how = {name: drawn[name] for name in names if drawn[name] is not None}
    prompt = drawn["prompt"]
    if prompt is None and drawn["of"] == "class":
        prompt = fitted.prompts.sample_class
    return fitted.sample(n, seed=seed, prompt=prompt, **how)


def changes(lab: Lab, clean: Tensor, images: Tensor) -> dict[str, float]:
    """How far pictures are from the clean ones, means over pictures; see ``Pipeline.compare``."""
    have = lab.profile.models()
    measured = {
        "linf": float((images - clean).abs().amax() * 255),
        "l2": float((images - clean).square().flatten(1).mean(1).sqrt().mean() * 255),
        "psnr": float(psnr(images, clean).mean()),
        "ssim": float(ssim(images, clean).mean()),
    }
    if "clip" in have:
        concept, noise = lab.profile.concepts[:2]
        moved = clip_shift(lab.clip, images, concept, noise, reference=clean)
        measured["shift"] = float(moved["shift"].mean())
        measured["shift_projection"] = float(moved["shift_projection"].mean())
        measured["perceptual"] = float(lab.perceptual(images, clean).mean())
    if "identity" in have:
        likeness = lab.identity(images) @ lab.identity.mean(clean)
        measured["likeness"] = float(likeness.mean())
    return measured


def table(entry: Entry) -> pd.DataFrame:
    """A probe's scores as a frame, one row per sample, with the costs that belong to them."""
    return pd.DataFrame(entry.json("columns")).assign(**entry.json("values"))


def neighbour(names: Sequence[str], name: str) -> str:
    """The next of a profile's subjects after one, whose perturbation is borrowed.

    Raises:
        UserError: there is no other.
    """
    start = names.index(name) + 1 if name in names else 0
    others = [each for each in [*names[start:], *names[:start]] if each != name]
    if not others:
        raise UserError(
            "another subject's perturbation is wanted, and the profile names no other: list two "
            "under subjects:"
        )
    return others[0]


def _settings(bound: Any) -> Any:
    """The settings of an attack, purifier or trainer that a lab has given its models."""
    return getattr(bound, "settings", bound)


def photos_of(cell: Cell, purified: bool = False) -> str:
    """What is trained on, in a few words: "clean photos", "aspl 16/255, 4 pictures, restorer"."""
    parts = ["clean photos" if cell.attack == NONE else f"{cell.attack} {cell.eps}"]
    if cell.pictures is not None:
        parts.append(f"{cell.pictures} pictures")
    if purified and cell.purifier != NONE:
        parts.append(cell.purifier)
    return ", ".join(parts)


def _check_count(subject: Subject, cell: Cell) -> None:
    """Raise a UserError when a cell's training asks for more pictures than there are."""
    there = len(subject.b) + len(subject.a)
    if cell.pictures is not None and cell.pictures > there:
        raise UserError(
            f"{subject.name} has {there} pictures in sets B and A; a training on "
            f"{cell.pictures} was asked for: ask for fewer"
        )


def _those(node: Node | None) -> tuple[Node, ...]:
    return () if node is None else (node,)
