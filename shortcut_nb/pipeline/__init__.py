"""The stages: prior, protect, purify, train, sample, probe. Each output is kept under its recipe.

Every key is known before anything runs. A stage is made from what it needs, which is made first
where it is missing; so the last stage can be asked for alone, and one that is there needs nothing.

What all stages share is in base.py. On it stands pictures.py, what is trained on; on that stand
image_probes.py, its measures, and train.py; on that sample.py, and on that sample_probes.py.
"""

from __future__ import annotations

from .base import photos_of
from .image_probes import ImageProbing
from .node import Node
from .sample_probes import SampleProbing
from .transplant import neighbour


class Pipeline(ImageProbing, SampleProbing):
    """All stages for one lab, kept in a store.

    ``images``, ``model``, ``samples``, ``scores``, ``changes`` and ``image_values`` give results,
    and make what they need. ``prior``, ``protect``, ``purify``, ``train``, ``sample``, ``compare``,
    ``score_samples``, ``probe_samples`` and ``probe_images`` only name an output, as a
    :class:`.Node` (None where pictures stay as they are); :meth:`make` makes it. Within ``with
    pipeline.keeping():`` the lab's own trainings and attacks read class pictures from this store,
    too; outside of it they draw them.

    Args:
        lab: whose models and defaults; or a profile, of which one is opened.
        store: or its folder; None is the default one.
        on_step: makes a callback for long work from its label; None shows bars or log lines.
        keep_trained: trained weights of up to so many megabytes are kept; None is the profile's.
            Others are made again when they are needed; their samples are drawn in one go.

    Raises:
        UserError: no such profile, or a folder that is none; and what :class:`.Lab` raises.
    """


__all__ = ["Node", "Pipeline", "neighbour", "photos_of"]
