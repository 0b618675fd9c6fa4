"""The shares of CDL's pieces: what is trained and sampled, and verdicts on known numbers."""

import pytest
import torch

from shortcut_nb.experiments.contrasts import judge
from shortcut_nb.experiments.measured import Measurement
from shortcut_nb.experiments.questions import decoupling, open_experiment
from shortcut_nb.experiments.questions.decoupling import (
    HARD,
    RUNGS,
    TRAININGS,
    VARIANTS,
    contrast_name,
)
from shortcut_nb.personalize import PROMPTS
from shortcut_nb.pipeline import Pipeline
from shortcut_nb.profile import load_profile
from shortcut_nb.reporting import numbers
from shortcut_nb.reporting.summary import summary_of
from shortcut_nb.store import Store
from tests.small_runs import CONSTANT

from .question_frames import all_levels, question_frame

N = "t@t noisy pattern"
# Quality by training and sheet, on protected pictures.
LEVELS = {
    ("plain", "plain"): 0.4, ("plain", "negative"): 0.45, ("plain", "suffix"): 0.4,
    ("plain", "suffix-negative"): 0.45, ("noise token", "plain"): 0.5, ("cdl", "plain"): 0.5,
    ("cdl", "suffix"): 0.6, ("cdl", "suffix-negative"): 0.55, ("cdl", "named"): 0.2,
    ("negative pairs", "suffix-negative"): 0.8, ("contrastive loss", "suffix-negative"): 0.3,
    ("a name without meaning", "plain"): 0.4, ("another thing named", "plain"): 0.45,
    **{("plain", decoupling.sheet_of(s)): 0.4 + s / 100 for s in decoupling.GUIDANCE},
    **{("cdl", decoupling.sheet_of(s)): 0.5 + s / 100 for s in decoupling.GUIDANCE},
}  # fmt: skip


@pytest.fixture(scope="session")
def lab(quick_lab):
    """What is promised here holds for any weights."""
    return quick_lab


@pytest.fixture(scope="module")
def question():
    return open_experiment("decoupling", load_profile("mini"))


@pytest.fixture(scope="module")
def frame(question):
    levels = {(f"{HARD} | {how}", sheet): level for (how, sheet), level in LEVELS.items()}
    return question_frame(question, levels)


def test_a_noise_token_of_one_word_has_no_name_without_a_meaning():
    mini = load_profile("mini")
    prompts = mini.prompts.model_copy(update={"noise_token": "noise"})
    bare = decoupling.cells(mini.model_copy(update={"prompts": prompts}))
    left_out = {name.partition(" | ")[2] for name in set(decoupling.cells(mini)) - set(bare)}
    assert left_out == set(decoupling.CAPTIONS) and f"{HARD} | noise token" in bare


def test_each_piece_is_judged_against_those_before_it(question, frame):
    table = judge(frame, question.contrasts, strict=False).set_index("contrast")

    def verdict(name, word="quality"):
        return table.loc[contrast_name(name, word), "verdict"]

    token = contrast_name("+ noise token, over the pieces before", "quality")
    assert table.loc[token, "mean"] == pytest.approx(0.1, abs=0.01)
    assert verdict("+ noise token, over the pieces before") == "confirmed"
    assert verdict("+ noise token, over the pieces before", "texture") == "confirmed"
    assert verdict("+ negative prompt (CDL), over the pieces before") == "refuted"
    assert verdict("negative prompt alone") == "confirmed"
    assert verdict("negative pairs against CDL") == "confirmed"
    assert verdict("contrastive loss against CDL") == "refuted"
    assert verdict("four noise tokens against CDL") == "not measured"
    assert verdict("a name without meaning, over DreamBooth") == "undecided"
    assert verdict("another thing named, over DreamBooth") == "confirmed"
    assert verdict("the noise token, over a name without meaning") == "confirmed"
    # The noise comes back when it is named, as CDL promises.
    assert table.loc[contrast_name(decoupling.TOKEN, "quality"), "mean"] == pytest.approx(
        -0.3, abs=0.01
    )
    assert verdict(decoupling.TOKEN) == "confirmed"
    whole = table.loc[contrast_name("CDL against DreamBooth", "quality")]
    assert (whole["role"], whole["verdict"]) == ("primary", "confirmed")


def test_a_caption_names_what_it_says(question):
    told = {name: question.cells[f"{HARD} | {name}"] for name in decoupling.SAYS.values()}
    words = {name: cell.instance for name, cell in told.items()}
    assert words["a name without meaning"] == "{instance}, with t@t"
    assert words["another thing named"] == "{instance}, with t@t blue background"
    assert words["clothes named"] == "{instance}, with t@t blue shirt"
    assert words["plain"] is None and words["noise token"] is None
    assert told["noise token"].prompts == "noise-token"
    assert {cell.prompts for name, cell in told.items() if words[name]} == {"plain"}


def test_captions_and_pieces_are_read_from_the_shipped_result():
    kept = Measurement.read("decoupling").frame
    own = kept[(kept["condition"] == f"{HARD} | noise token") & (kept["sheet"] == "plain")]
    captions = numbers.captions().set_index(["name", "group"])["mean"]
    assert captions["the noise (V_N*)", "protected photos"] == pytest.approx(own["quality"].mean())
    rungs = numbers.rungs().set_index("name")
    assert list(rungs.index) == [name for name, _, _ in decoupling.RUNGS]
    assert rungs.loc["+ noise token", "texture, protected"] == pytest.approx(own["texture"].mean())
    assert {"quality, clean_low", "ims_missing, protected_high"} <= set(rungs.columns)


def test_guidance_is_read_as_a_curve(frame):
    result = summary_of(Measurement.of("decoupling", frame))
    table = numbers.guidance(result.means)
    assert set(table["guidance"]) == set(decoupling.GUIDANCE)
    cdl = table[(table["training"] == "CDL") & (table["metric"] == "quality")]
    expected = [0.5 + 0.125 + scale / 100 for scale in decoupling.GUIDANCE]
    assert cdl["mean"].tolist() == pytest.approx(expected, abs=0.01)


def test_the_question_has_the_cells_of_its_contrasts(question):
    cells = question.all_cells()
    assert len(cells) == 6 * len(TRAININGS) + 3 * len(VARIANTS | decoupling.CAPTIONS)
    assert cells["clean, purified | plain"][0].purifier == "profile"
    frame = question_frame(question, all_levels(question), people=2, samples=1)
    judged = judge(frame, question.contrasts)  # strict: every cell is there
    assert (judged["n"] == 2).all() and list(judged["role"]).count("primary") == 1


def test_every_piece_is_sampled_in_its_own_words(question, lab, subject, tmp_path):
    pipeline, own = Pipeline(lab, Store(tmp_path)), subject.instance_prompt
    negative = lab.profile.prompts.negative

    def said_by(training, name):
        cell = question.all_cells()[f"clean | {training}"][0]
        sheet = (question.sheets | cell.sheets)[name]
        return pipeline.sample(subject, cell, 0, sheet, 1).recipe.params["sheet"]

    for _, training, sheet in RUNGS:
        assert said_by(training, sheet)["prompt"].startswith(own)
    assert said_by("cdl", "suffix")["prompt"] == f"{own}, without {N}"
    assert said_by("cdl", "named")["prompt"] == f"{own}, with {N}"
    assert said_by("cdl", "guidance-2_5")["guidance_scale"] == 2.5
    assert said_by("cdl", "guidance-2_5")["negative"] == negative
    assert said_by("cdl", "guidance-4") == said_by("cdl", "suffix-negative"), "drawn once"
    assert said_by("plain", "guidance-9") == said_by("plain", "plain") | {"guidance_scale": 9.0}
    for training in VARIANTS:  # None: the training's own words, several tokens among them
        assert said_by(training, "suffix-negative")["prompt"] is None
    trainer = lab.personalize("cdl-dreambooth", prompts="cdl", tokens=4)
    words = PROMPTS["cdl"](subject, trainer.phrase(), negative)
    assert words.sample == f"{own}, without t@t q@q z@z k@k noisy pattern"


def test_a_variant_is_trained_as_its_cell_says(question, lab, subject, tmp_path):
    """One step with CDL's draws, and one whose loss has the pairs in it, too."""
    pipeline, fitted = Pipeline(lab, Store(tmp_path)), []
    for training in ("cdl", "negative pairs"):
        cell = question.all_cells()[f"clean | {training}"][0]
        small = {"steps": 1, "class_images": 4, "batch_size": 2} | CONSTANT
        cell = cell.model_copy(update={"training": cell.training | small})
        fitted.append(pipeline.model(subject, cell, 0))
    cdl, pairs = (each.method.state(each.model)["unet.conv_in.weight"] for each in fitted)
    assert not torch.equal(cdl, pairs)
    assert fitted[1].losses[0] > fitted[0].losses[0]


def test_additions_stand_beside_cdl_of_the_same_people():
    frame = Measurement.read("decoupling").frame
    cells = [f"{HARD} | {name}" for name in ("cdl", *VARIANTS)]
    units = set.intersection(
        *(
            set(zip(own["subject"], own["seed"], strict=True))
            for own in (frame[frame["condition"] == cell] for cell in cells)
        )
    )
    people = {person for person, _ in units}
    table = numbers.variants()
    assert set(table["n"]) == {len(people)}
    own = frame[frame["condition"] == cells[0]]
    own = own[[unit in units for unit in zip(own["subject"], own["seed"], strict=True)]]
    own = own[own["sheet"] == "suffix-negative"]
    (cdl,) = table[table["name"] == "CDL"]["mean"]
    assert cdl == pytest.approx(own.groupby("subject")["ims_missing"].mean().mean())
