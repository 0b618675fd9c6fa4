"""What is measured of the pictures trained on, before any training."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..analysis.clip_shift import clip_shift
from ..cells import CLEAN, Cell
from ..lab import Lab
from ..metrics import psnr, ssim
from ..metrics.frame import checked_values
from ..probes import IMAGE_PROBES
from ..store import Payload, canonical
from ..store.code import code_of
from ..subjects import Subject
from .base import Whose, photos_of
from .node import Node, as_tuple
from .pictures import Pictures


class ImageProbing(Pictures):
    """Measures of the pictures trained on; no model is trained for them."""

    def changes(self, subject: Whose, cell: Cell = CLEAN, seed: int = 0) -> dict[str, float]:
        """How far the pictures trained on are from the clean ones; see :meth:`compare`."""
        subject = self._of(subject, cell)
        return self.make(self.compare(subject, cell, seed)).json("values")

    def image_values(self, subject: Whose, cell: Cell, seed: int, name: str) -> dict[str, float]:
        """What an image probe says of the pictures trained on; see :meth:`probe_images`."""
        subject = self._of(subject, cell)
        return self.make(self.probe_images(subject, cell, seed, name)).json("values")

    def compare(self, subject: Subject, cell: Cell, seed: int) -> Node:
        """How far the pictures trained on are from the clean ones, of set B.

        Faithfulness is measured against the *clean* pictures: a purifier is to give those back.

        ``linf`` in grey levels is the largest of all; the others are means over the pictures:
        ``l2`` (root mean square) in grey levels; ``psnr`` in dB; ``ssim`` the
        structural similarity, at most 1; ``perceptual`` a distance of LPIPS's form on the lab's
        CLIP; ``likeness`` the cosine of the identity embedding to the clean pictures' mean;
        ``shift`` and ``shift_projection`` the move in CLIP space and its part towards noise
        (without a CLIP or an identity encoder in the profile these are left out);
        ``attack_seconds`` is what protecting the whole set took, ``purify_seconds`` what purifying
        took for each picture; both are 0 where nothing was done.
        """
        before, after = self.protect(subject, cell, seed), self.purify(subject, cell, seed)
        concepts = self.lab.profile.concepts[:2]

        def node() -> Node:
            def write(out: Payload) -> None:
                moved = measured_changes(self.lab, subject.images, self._pictures(subject, after))
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
            needs = dict.fromkeys((*as_tuple(before), *as_tuple(after)))
            return Node(recipe, tuple(needs), write, about)

        return self.remember(("compare", subject, after and after.recipe.key), node)

    def probe_images(self, subject: Subject, cell: Cell, seed: int, name: str) -> Node:
        """A further measure of the pictures trained on, by its name in :data:`.IMAGE_PROBES`."""
        probe, after = IMAGE_PROBES[name], self.purify(subject, cell, seed)
        settings = probe.settings(self.lab, subject, cell)

        def node() -> Node:
            def write(out: Payload) -> None:
                images = self._pictures(subject, after)
                given = probe.measure(self.lab, subject, cell, images)
                what = f"the image probe {name!r}"
                out.save_json("values", checked_values(what, given, probe.gives))

            source: dict[str, Any] = {"images": self._source(subject, after)}
            source |= {sheet: self._digest(subject, sheet) for sheet in ("a", "b", "c")}
            params = {"probe": name} | settings | code_of([probe.measure])
            recipe = self._recipe("probe", params, source | self._weights(*probe.roles))
            about = f"probe {name} {subject.name} {photos_of(cell, purified=True)}"
            return Node(recipe, as_tuple(after), write, about)

        place = after and after.recipe.key
        return self.remember(("image probe", name, subject, place, canonical(settings)), node)


def measured_changes(lab: Lab, clean: Tensor, images: Tensor) -> dict[str, float]:
    """How far pictures are from the clean ones; see :meth:`ImageProbing.compare`."""
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
