"""The claim checks of notebooks 01, 02, 04, 07, 08 and 10 fail when the effect is taken away.

What checks is the notebooks' own code, read from them and executed here. In place of a live person
stands the mean person of the shipped result, under the name of one whom it never saw; nothing is
trained, and no model is opened. Notebooks 01 and 10 are held to numbers of their own.
"""

import ast
import dis
import functools
import json
from pathlib import Path
from types import CodeType, SimpleNamespace

import nbformat
import pandas as pd
import pytest

import shortcut_nb
from shortcut_nb.experiments.measured import Measurement
from shortcut_nb.experiments.questions import mismatch, words
from shortcut_nb.mini.evaluate import BARS, FURTHER
from shortcut_nb.profile import load_profile
from shortcut_nb.reporting.summary import checked
from shortcut_nb.runner.places import find_notebook

SCORES = ["quality", "ims_missing", "texture", "coarse_texture", "intact"]  # of samples
PLACE = ["condition", "sheet"]
RESULTS = {"02": "methods", "04": "mismatch", "07": "words", "08": "adaptive"}
"""The result that each notebook is held to."""

GIVEN = {"lab", "pipeline", "subject", "measure", "checked"}
"""Names that stand here for models and live runs, whatever the notebook gives them."""


def names_in(statement, *operations):
    """The notebook's names that a statement loads or stores, in its functions as well."""
    codes, names = [compile(ast.Module([statement], []), "", "exec")], set()
    for code in codes:
        names |= {each.argval for each in dis.get_instructions(code) if each.opname in operations}
        codes += [each for each in code.co_consts if isinstance(each, CodeType)]
    return names


def names_given(statement):
    """The names whose values a definition or an assignment gives, or changes: ``cells[0] = x``."""
    if not isinstance(statement, ast.FunctionDef | ast.Assign | ast.AnnAssign | ast.AugAssign):
        return set()
    names = names_in(statement, "STORE_NAME")
    for target in getattr(statement, "targets", ()):
        while isinstance(target, ast.Subscript | ast.Attribute):
            target = target.value
        names |= {target.id} if isinstance(target, ast.Name) else set()
    return names


def wanted_before(statement, wanted):
    """The names that must have values before a statement for others to have them after it."""
    read = names_in(statement, "LOAD_NAME", "LOAD_GLOBAL")
    return wanted - (names_given(statement) - read) | read


def leading_to(check, statements):
    """The statements from which a check has the values of its names."""
    chosen, wanted = [], set()
    for statement in reversed(check):
        wanted = wanted_before(statement, wanted)
    for statement in reversed(statements):
        if names_given(statement) & wanted - GIVEN:
            chosen.insert(0, statement)
            wanted = wanted_before(statement, wanted)
    return chosen


@functools.cache
def parts_of(notebook):
    """A notebook's imports, what leads to its check, and the check."""
    cells = nbformat.read(find_notebook(notebook), as_version=4).cells
    sources = [cell.source for cell in cells if cell.cell_type == "code"]
    (check,) = [source for source in sources if "checked(" in source]
    before = sources[: sources.index(check)]
    statements = [each for source in before for each in ast.parse(source).body]
    imports = [each for each in statements if isinstance(each, ast.Import | ast.ImportFrom)]
    leading = leading_to(ast.parse(check).body, statements)
    parts = [ast.Module(imports, []), ast.Module(leading, []), ast.parse(check)]
    return [compile(part, f"notebook {notebook}", "exec") for part in parts]


@functools.cache
def mean_person(result):
    """Means over a shipped result's people, a row per condition and sheet."""
    frame = Measurement.read(result).frame
    return frame.groupby(PLACE).mean(numeric_only=True).drop(columns="seed")


class Pictures:
    """A pipeline whose pictures are as far from the clean ones as the mean person's."""

    def __init__(self, levels):
        self.levels = levels.drop(columns=SCORES, errors="ignore")

    def changes(self, subject, cell, seed):
        return {}

    def image_values(self, subject, cell, seed, probe):
        name = mismatch.PURIFIED if cell.purifier != "none" else cell.attack
        condition = "clean" if name == "none" else mismatch.at(name, cell.eps)
        seen = self.levels.loc[(condition, "instance")].dropna()
        of_controls = seen.index.str.startswith("beyond_")
        return dict(seen[of_controls if probe == "controls" else ~of_controls])


def as_found(notebook):
    return mean_person(RESULTS[notebook])


def run_check(notebook, levels):
    """The claims that a notebook's check asserts of a person with these levels."""

    def measure(experiment, *settings):
        """The rows that a live run of an experiment's cells gives, one a sheet."""
        frame = levels[levels.columns.intersection(SCORES)].reset_index()
        frame = frame[frame["condition"].isin(experiment.all_cells())]
        frame = frame[frame["sheet"].isin(experiment.sheets)]
        return frame.assign(subject=names["subject_name"], seed=0)

    def recorded(*given, **named):
        rows = checked(*given, **named)
        claims.extend(rows.loc[rows["asserted"], "contrast"])
        return rows

    imports, leading, check = parts_of(notebook)
    names, claims = {}, []
    exec(imports, names)
    names |= {
        "lab": SimpleNamespace(profile=load_profile("mini")),
        "pipeline": Pictures(levels),
        "subject": SimpleNamespace(name="mini:held-out/13"),
        "measure": measure,
        "checked": recorded,
    }
    exec(leading, names)
    exec(check, names)
    return claims


@functools.cache
def asserted(notebook):
    return run_check(notebook, as_found(notebook))


HARD = words.HARD
KNOWS = "purifier + prompts | both | 16/255"
# In the notebook, what becomes as what (all its scores), and the claims that must fail then.
TAKEN_AWAY = {
    "training teaches nothing": (
        "02",
        ("dreambooth | 1", "instance"),
        ("dreambooth | 0", "instance"),
        ["dreambooth learns the person"],
    ),
    "the prior keeps nothing": (
        "02",
        ("dreambooth, no prior | 1", "class"),
        ("dreambooth | 1", "class"),
        ["prior preservation keeps the class another"],
    ),
    "ASPL shifts nothing": (
        "04",
        ("aspl | 16/255", "instance"),
        ("clean", "instance"),
        ["ASPL moves CLIP towards noise", "the prompt fits less well after ASPL"],
    ),
    "ASPL is random noise": (
        "04",
        ("aspl | 16/255", "instance"),
        ("noise | 16/255", "instance"),
        ["ASPL moves latents more than random noise"],
    ),
    "purification purifies nothing": (
        "04",
        ("aspl, purified | 16/255", "instance"),
        ("aspl | 16/255", "instance"),
        ["takes back the shift towards noise", "lets the prompt fit again"],
    ),
    "climbing the shift is random noise": (
        "04",
        ("clip-shift | 16/255", "instance"),
        ("noise | 16/255", "instance"),
        ["the CLIP-shift attack moves CLIP more than random noise"],
    ),
    "climbing the shift is ASPL": (
        "04",
        ("clip-shift | 16/255", "instance"),
        ("aspl | 16/255", "instance"),
        ["the CLIP-shift attack moves CLIP more than ASPL"],
    ),
    "climbing the shift that the model sees is random noise": (
        "04",
        ("decoded-shift | 16/255", "instance"),
        ("noise | 16/255", "instance"),
        [
            "intervention after the autoencoder: quality falls more",
            "intervention after the autoencoder: texture rises more",
        ],
    ),
    "CDL is DreamBooth": (
        "07",
        (f"cdl | {HARD}", "without"),
        (f"plain | {HARD}", "plain"),
        [f"CDL: quality, {HARD}", f"CDL: texture, {HARD}"],
    ),
    "training on the noise's name does nothing": (
        "07",
        (f"cdl | {HARD}", "plain"),
        (f"plain | {HARD}", "plain"),
        [
            f"CDL's words when training, text trained: {score}, {HARD}"
            for score in ("quality", "texture")
        ],
    ),
    "training on the noise's name does nothing, text frozen": (
        "07",
        (f"cdl, frozen | {HARD}", "without"),
        (f"plain, frozen | {HARD}", "without"),
        [f"CDL's words when training: {score}, {HARD}" for score in ("quality", "texture")],
    ),
    "freezing the text encoder does nothing": (
        "07",
        (f"plain, frozen | {HARD}", "plain"),
        (f"plain | {HARD}", "plain"),
        [f"freezing the text encoder: texture, {HARD}"],
    ),
    "the name holds no noise": (
        "07",
        (f"cdl | {HARD}", "named"),
        (f"cdl | {HARD}", "plain"),
        [f"V_N* named (cdl): {score}, {HARD}" for score in ("quality", "texture")],
    ),
    "the name holds no noise, text frozen": (
        "07",
        (f"cdl, frozen | {HARD}", "named"),
        (f"cdl, frozen | {HARD}", "plain"),
        [f"V_N* named (cdl, frozen): {score}, {HARD}" for score in ("quality", "texture")],
    ),
    "who knows the defence does no harm": (
        "08",
        (KNOWS, "instance"),
        ("clean | both | 0/255", "instance"),
        ["defence both, 16/255: harm to coarse texture"],
    ),
    "knowing the defence gains nothing": (
        "08",
        (KNOWS, "instance"),
        ("nothing | both | 16/255", "instance"),
        ["defence both, 16/255: gain in coarse texture"],
    ),
}


@pytest.mark.parametrize("effect", TAKEN_AWAY)
def test_the_check_of_the_notebook_fails_without_the_effect(effect):
    notebook, changed, like, claims = TAKEN_AWAY[effect]
    for claim in claims:
        assert any(claim in name for name in asserted(notebook))
    levels = as_found(notebook).copy()
    levels.loc[changed] = levels.loc[like]
    with pytest.raises(AssertionError, match="not as the larger measurement found") as failed:
        run_check(notebook, levels)
    for claim in claims:
        assert claim in str(failed.value)


@pytest.mark.parametrize("notebook", RESULTS)
def test_every_asserted_claim_fails_where_nothing_differs(notebook):
    with pytest.raises(AssertionError, match="not as the larger measurement found") as failed:
        run_check(notebook, 0 * as_found(notebook))
    _, *lines = str(failed.value).splitlines()
    failing = [line.rpartition(": ")[0] for line in lines]
    assert failing == asserted(notebook)


def test_notebook_04_fails_where_the_intervention_is_not_held():
    assert len(asserted("04")) >= 3
    with pytest.raises(AssertionError, match="^$"):  # the notebook's own, of the intervention
        run_check("04", as_found("04")[["latent"]])


def cell_with(notebook, words):
    """The code of a notebook's one cell with these words."""
    cells = nbformat.read(find_notebook(notebook), as_version=4).cells
    (source,) = [c.source for c in cells if c.cell_type == "code" and words in c.source]
    return compile(source, f"notebook {notebook}", "exec")


KEPT = {"clean": 36.1, "noisy": 21.6}  # PSNR of decoded pictures, dB


def check_bars(bars, kept=KEPT, seed=0):
    """Notebook 01's claim check, of these bars and of what its autoencoder kept."""
    training = SimpleNamespace(lr=1e-4, steps=400)
    lab = SimpleNamespace(personalize=lambda name: training)
    card = {"bars": bars.to_dict("records")}
    names = {"bars": bars, "card": card, "lab": lab, "BARS": BARS, "FURTHER": FURTHER}
    names |= {"kept": kept, "profile": "mini", "seed": seed}
    exec(
        cell_with("01", "assert missed"), names | {"UNET_PRETRAINING_RATE": 1e-4, "MEAN_SHARE": 0.5}
    )


@pytest.fixture
def bars():
    card = Path(shortcut_nb.__file__).parent / "mini" / "card.json"
    return pd.DataFrame(json.loads(card.read_text("utf-8"))["bars"])


def test_notebook_01_fails_when_a_further_bar_is_missed(bars):
    check_bars(bars)
    for key in bars.loc[bars["reached"], "key"]:
        with pytest.raises(AssertionError, match=key):
            check_bars(bars.assign(reached=bars["reached"] & (bars["key"] != key)))


@pytest.mark.parametrize("worse", [{"clean": 31.9}, {"noisy": 20.9}])
def test_notebook_01_fails_when_its_own_autoencoder_keeps_too_little(bars, worse):
    with pytest.raises(AssertionError, match="clean"):
        check_bars(bars, KEPT | worse)
    check_bars(bars, KEPT | worse, seed=1)  # other pictures: shown, and nothing is asserted


def test_notebook_01_fails_when_a_bar_was_not_measured(bars):
    with pytest.raises(AssertionError):
        check_bars(bars.iloc[1:])


QUALITY = {"photos": 0.97, "protected": 0.25, "purified": 0.99, "protected, CDL": 1.0,
           "purified, CDL": 1.0}  # fmt: skip


def check_photos(place, changed, **given):
    """Notebook 10's claim check, of samples with these means of quality."""
    usual = {"profile": "mini", "photos": "", "attack": "aspl", "eps": "16/255", "purifier": ""}
    levels = QUALITY | changed
    names = usual | given | {
        "means": pd.DataFrame({"quality": levels}),
        "drawn": {name.replace(", ", ",\n"): None for name in levels},
        "work": place,
    }  # fmt: skip
    exec(cell_with("10", "The number: protection takes"), names)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"protected": 0.97}, "protection takes no quality"),
        ({"purified": 0.25}, "purification gives no quality back"),
        ({"purified": 0.40}, "purification gives no quality back"),
    ],
)
def test_notebook_10_fails_without_the_effect(changed, words, tmp_path):
    check_photos(tmp_path, {})
    with pytest.raises(AssertionError, match=words):
        check_photos(tmp_path, changed)
    for other in ({"photos": "mine"}, {"eps": "8/255"}, {"purifier": "jpeg"}, {"profile": "sd15"}):
        check_photos(tmp_path, changed, **other)  # shown, and nothing is asserted
