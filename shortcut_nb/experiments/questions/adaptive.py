"""What can an attacker do who knows the defence, and at which budget does each defence break?

A cell is called "knowledge | defence | budget". Harm is the distance to clean training under the
same defence; gain is what an attacker's knowledge adds to the harm of one who knows nothing.

What is predicted was named before it was measured, but for four things that were added when results
had been seen:

- coarse texture, after a look at samples: attacks through a purifier leave blotches, not grain;
- samples asked for by the name alone, since CDL's negative prompt draws plain pictures, whose
  quality is at its ceiling;
- the attacker "purifier + prompts", when "everything" had been tried against purifier and CDL:
  it holds its text encoder, which that defender does not;
- the attacker "purifier (full gradient)" against the purifier alone: "everything" expects words
  that this defender does not use.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ...profile import Profile
from ...purify import build
from ..contrasts import Contrast
from ..experiment import JOIN, Cell, Experiment
from ..scores import contrasts_between, worse
from .decoupling import PLAIN
from .words import HELD_WORDS

EPS = "16/255"
BUDGETS = ("2/255", "4/255", "8/255", "16/255", "32/255")
SHARES = (0.25, 0.5, 0.75)  # of the set that stays clean
DRAWS = 4  # of a random purifier, averaged in each step (EOT)
# Who is tried at every budget and on mixed sets beside one who knows nothing, and against whom.
NOTHING, EVERYTHING = "nothing", "everything"
BPDA, EOT, FULL = "purifier (BPDA)", "purifier (BPDA, EOT)", "purifier (full gradient)"
PURIFIER_AND_PROMPTS = "purifier + prompts"
# Who knows a defence as it is, the first of these that there is; of other defences, everything.
INFORMED = {"purifier": (FULL, BPDA), "both": (PURIFIER_AND_PROMPTS,)}
ASSUMES_MORE = {"purifier": EVERYTHING}  # tried at every budget, too
SWEPT_AGAINST = ("none", "purifier", "both", "both, held")
MIXED_AGAINST = ("none", "both, held")
# This defence is also asked for V* by the name alone.
BY_NAME = "by the name alone"
ASKED_BY_NAME = {"both": {"plain": PLAIN}}
# Defences by another purifier: a random one, one without a gradient, and the paper's own, which is
# tried with CDL as well.
PAPERS = "codesr"
OTHERS = ("ddspure", "jpeg", PAPERS)
RANDOM = ("ddspure",)
PAPERS_WHOLE = f"{PAPERS} + cdl"
Fields = dict[str, Any]
SCORES = worse("quality", "ims_missing", "texture", "coarse_texture", "apart")
INTACT = worse("intact")  # where the profile measures it
# An attack that fails may only be weak (Tramèr et al. 2020). A stand-in for what it climbs: the
# pretrained model's denoising loss of what is trained on, as it is and behind the purifier.
CLIMBED = worse("loss")
CLIMBED_AGAINST = ("none", "purifier")


def knowledge(purifier: str) -> dict[str, dict[str, Any]]:
    """What the attacker may know, as settings of adaptive ASPL; "nothing" is ASPL itself.

    The full gradient is there for a purifier that has one of its own. "everything" takes it where
    it is, and its surrogates are trained with CDL's prompts and the text encoder frozen, as those
    of the defender "both, held" are, but for the noise prior. "purifier + prompts" trains the text
    encoder, as the defender "both" does.
    """
    through: dict[str, Any] = {"purifier": purifier}
    full = through | {"gradient": "full"} if hasattr(build(purifier), "differentiable") else through
    named = full | {"prompts": "cdl"}
    everything = named | {"surrogate_text_lr": 0.0}
    known = {
        NOTHING: {},
        BPDA: through,
        FULL: full,
        "prompts": {"prompts": "cdl"},
        PURIFIER_AND_PROMPTS: named,
        EVERYTHING: everything,
        "everything, targeted": everything | {"targeted": True},
    }
    return {name: own for name, own in known.items() if name != FULL or full != through}


def informed(defence: str, known: Collection[str] = (FULL, PURIFIER_AND_PROMPTS)) -> str:
    """The attacker who knows a defence as it is, of those there are.

    Args:
        known: names of attackers; else those of a purifier that has a gradient of its own.
    """
    return next((who for who in INFORMED.get(defence, ()) if who in known), EVERYTHING)


def swept(defence: str, known: Collection[str] = (FULL, PURIFIER_AND_PROMPTS)) -> tuple[str, ...]:
    """Who is tried against a defence at every budget."""
    if defence not in SWEPT_AGAINST:
        return ()
    more = [ASSUMES_MORE[defence]] if defence in ASSUMES_MORE else []
    return (NOTHING, informed(defence, known), *more)


def defences() -> dict[str, dict[str, Any]]:
    """What the defender does, as fields of a cell. "held" is CDL whose words are held."""
    purified = {"purifier": "profile"}
    return {
        "none": {},
        "purifier": purified,
        "cdl": {"prompts": "cdl"},
        "both": purified | {"prompts": "cdl"},
        "cdl, held": HELD_WORDS,
        "both, held": purified | HELD_WORDS,
    }


def attacker(eps: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Fields of a cell under an attacker who knows what ``settings`` say."""
    name = "adaptive-aspl" if settings else "aspl"
    return {"attack": name, "eps": eps, "settings": settings}


def others(profile: Profile) -> dict[str, tuple[Fields, dict[str, Fields]]]:
    """Defences by other purifiers that the profile has models for: what they do, and what their
    attackers know of them."""
    have = set(profile.models())
    named: dict[str, tuple[Fields, dict[str, Fields]]] = {}
    for name in OTHERS:
        if set(build(name).roles) <= have:
            drawn = {EOT: {"purifier": name, "repeats": DRAWS}}
            known = {NOTHING: {}, BPDA: {"purifier": name}} | (drawn if name in RANDOM else {})
            named[name] = {"purifier": name}, known
    if PAPERS in named:
        whole = {"purifier": PAPERS, "prompts": "cdl"}
        named[PAPERS_WHOLE] = whole, {NOTHING: {}, PURIFIER_AND_PROMPTS: whole}
    return named


def cells(profile: Profile, eps: str = EPS, budgets: tuple[str, ...] = BUDGETS) -> dict[str, Cell]:
    """Every attacker at one budget, two of them at every budget and on mixed sets; clean ones."""
    named = {}
    known = knowledge(profile.purifier)
    for defence, own in defences().items():
        image_probes = ("shifts",) if defence in CLIMBED_AGAINST else ()
        more: Fields = {"image_probes": image_probes, "sheets": ASKED_BY_NAME.get(defence, {})}
        named[name(("clean", defence, "0/255"))] = Cell(**own, **more)
        for who, settings in known.items():
            wanted = who in swept(defence, known)
            for budget in dict.fromkeys([eps, *(budgets if wanted else ())]):
                fields = own | attacker(budget, settings)
                named[name((who, defence, budget))] = Cell(**fields, **more)
            for share in SHARES if wanted and defence in MIXED_AGAINST else ():
                mixed = Cell(**own, **attacker(eps, settings), clean_share=share)
                named[name((who, defence, eps, f"{share:.0%} clean"))] = mixed
    for defence, (own, attackers) in others(profile).items():
        named[name(("clean", defence, "0/255"))] = Cell(**own)
        for who, settings in attackers.items():
            named[name((who, defence, eps))] = Cell(**own, **attacker(eps, settings))
    return named


def name(parts: tuple[str, ...]) -> str:
    """A cell's name from what tells it apart."""
    return JOIN.join(parts)


def contrasts(profile: Profile, eps: str = EPS) -> list[Contrast]:
    """What each attacker takes from each defence, and what knowing it is worth."""
    scores = SCORES | (INTACT if "damage" in profile.measures else {})
    predictions = []
    for cell in cells(profile, eps):
        who, defence, budget, *mixed = cell.split(JOIN)
        if who == "clean":
            continue
        clean = name(("clean", defence, "0/255"))
        blind = name((NOTHING, defence, budget, *mixed))
        climbed = CLIMBED if defence in CLIMBED_AGAINST and not mixed else {}
        knows = (who, defence, "{word}", budget, *mixed)
        decides = (who, defence, budget, *mixed) == (EVERYTHING, "both, held", eps)
        for metric, score in (scores | climbed).items():
            one = {metric: score}
            predictions += contrasts_between(harm_to(*knows), cell, clean, one)
            if defence in ASKED_BY_NAME:
                asked = harm_to(*knows, BY_NAME)
                predictions += contrasts_between(asked, cell, clean, one, sheet="plain")
            if who != NOTHING:
                primary = "quality" if decides else None
                predictions += contrasts_between(gain(*knows), cell, blind, one, primary)
    return predictions


def harm_to(who: str, defence: str, word: str, *where: str) -> str:
    """The name of a contrast: how far from clean training, under the same defence."""
    return f"knows {who}, defence {defence}, {', '.join(where)}: harm to {word}"


def gain(who: str, defence: str, word: str, *where: str) -> str:
    """The name of a contrast: what the knowledge adds to the harm."""
    return f"knows {who}, defence {defence}, {', '.join(where)}: gain in {word}"


def experiment(profile: Profile) -> Experiment:
    """Every attacker against every defender at one budget, two of them at every budget."""
    return Experiment(
        name="adaptive",
        question="Does it pay an attacker to know the defence?",
        cells=cells(profile),
        contrasts=tuple(contrasts(profile)),
        subjects=8,
        n=4,
        sample_probes=("apart",),
    )
