"""Holding the text encoder: what is trained and sampled, and verdicts on known numbers."""

import pytest

from shortcut_nb.experiments.contrasts import judge
from shortcut_nb.experiments.questions import open_experiment, words
from shortcut_nb.experiments.questions.words import HARD, contrast_name
from shortcut_nb.personalize import PROMPTS
from shortcut_nb.pipeline import Pipeline
from shortcut_nb.profile import load_profile
from shortcut_nb.reporting import pieces
from shortcut_nb.reporting.summary import summary
from shortcut_nb.store import Store

from .question_frames import all_levels, question_frame

# Quality by training and sheet, on protected pictures.
LEVELS = {
    ("plain", "plain"): 0.5, ("cdl", "without"): 0.4, ("cdl", "plain"): 0.45,
    ("cdl", "named"): 0.45, ("plain, frozen", "plain"): 0.55, ("plain, frozen", "without"): 0.7,
    ("cdl, frozen", "without"): 0.8, ("cdl, frozen", "plain"): 0.7, ("cdl, frozen", "named"): 0.4,
    ("plain, 1/100 rate", "plain"): 0.5, ("cdl, 1/100 rate", "without"): 0.75,
}  # fmt: skip


@pytest.fixture(scope="session")
def lab(quick_lab):
    """What is promised here holds for any weights."""
    return quick_lab


@pytest.fixture(scope="module")
def question():
    return open_experiment("words", load_profile("mini"))


def test_each_piece_is_judged_against_what_it_is_added_to(question):
    levels = {(f"{how} | {HARD}", sheet): level for (how, sheet), level in LEVELS.items()}
    table = judge(question_frame(question, levels), question.contrasts, strict=False)
    table = table.set_index("contrast")
    row = table.loc[contrast_name("held CDL", "quality")]
    assert row["mean"] == pytest.approx(0.25, abs=0.01)
    assert (row["verdict"], row["role"], row["n"]) == ("confirmed", "primary", 6)
    assert table.loc[contrast_name("CDL", "quality"), "verdict"] == "refuted"
    trained = table.loc[contrast_name("CDL's words when training", "quality")]
    assert trained["mean"] == pytest.approx(0.1, abs=0.01)
    assert table.loc[contrast_name("held CDL, over CDL", "texture"), "mean"] == pytest.approx(
        -0.4, abs=0.01
    )
    slow = table.loc[contrast_name("CDL at 1/100 of the text encoder's rate", "quality")]
    assert slow["mean"] == pytest.approx(0.25, abs=0.01) and slow["verdict"] == "confirmed"
    assert table.loc[contrast_name("CDL", "quality", "clean"), "verdict"] == "not measured"
    # That V_N*, named, brings noise is what CDL promises: texture up, quality down.
    named = table.loc[contrast_name("V_N* named (cdl, frozen)", "texture")]
    assert named["mean"] == pytest.approx(0.3, abs=0.01) and named["verdict"] == "confirmed"
    assert table.loc[contrast_name("V_N* named (cdl, frozen)", "quality"), "verdict"] == "confirmed"
    assert table.loc[contrast_name("V_N* named (cdl)", "texture"), "verdict"] == "undecided"


def test_the_question_has_the_cells_of_its_contrasts(question):
    frame = question_frame(question, all_levels(question), people=2, samples=1)
    judged = judge(frame, question.contrasts)  # strict: every cell is there
    assert (judged["n"] == 2).all() and list(judged["role"]).count("primary") == 1
    cells = question.all_cells()
    prior = cells[f"noise prior, frozen | {HARD}"][0]
    assert (prior.trainer, prior.prompts, prior.attack) == ("cdl-dreambooth", "cdl", "aspl")
    assert prior.training == {"noise_prior_weight": 0.3, "text_lr": 0.0}
    assert set(words.ROWS.values()) <= {(name.split(" | ")[0], sheet) for name, sheet in
                                        all_levels(question)}  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "usual"),
    [({"lr": 2e-4, "text_lr": None}, 2e-4), ({"text_lr": 1e-5}, 1e-5), (None, 5e-7)],
)
def test_a_slower_text_encoder_is_a_share_of_the_profiles_own_rate(settings, usual):
    profile = load_profile("mini")
    own = profile.defaults["dreambooth"]
    defaults = {} if settings is None else {"dreambooth": own | settings}
    counts = words.trainings(profile.model_copy(update={"defaults": defaults}))
    assert counts["cdl, 1/10 rate"]["training"]["text_lr"] == pytest.approx(usual / 10)
    assert counts["plain, 1/100 rate"]["training"]["text_lr"] == pytest.approx(usual / 100)
    assert counts["cdl, 1/10 rate"]["prompts"] == "cdl"


def test_sheets_are_sampled_in_the_words_of_cdl(question, lab, subject, tmp_path):
    pipeline = Pipeline(lab, Store(tmp_path))
    cell = question.all_cells()["cdl | clean"][0]
    own = PROMPTS["cdl"](subject, "t@t noisy pattern", lab.profile.prompts.negative)
    expected = {"plain": (subject.instance_prompt, ""), "without": (own.sample, own.negative),
                "named": (own.instance, "")}  # fmt: skip
    for name, sheet in question.sheets.items():
        drawn = pipeline.sample(subject, cell, 0, sheet, 1).recipe.params["sheet"]
        assert (drawn["prompt"], drawn["negative"]) == expected[name], name


@pytest.mark.parametrize("training", ["plain, frozen", "noise prior, frozen"])
def test_a_held_training_leaves_the_text_encoder_alone(training, question, lab, subject, tmp_path):
    small = {"steps": 1, "class_images": 4, "batch_size": 2}
    cell = question.all_cells()[f"{training} | clean"][0]
    cell = cell.model_copy(update={"training": cell.training | small})
    fitted = Pipeline(lab, Store(tmp_path)).model(subject, cell)
    text, base = (model.modules[2].state_dict() for model in (fitted.model, lab.diffusion))
    assert all((text[key] == base[key]).all() for key in base)


def test_pieces_are_the_shipped_verdicts_in_plain_words():
    larger = summary("words")
    table = pieces.pieces(larger).set_index("piece")
    for piece, name in pieces.ROWS.items():
        for score in pieces.SCORES:
            verdict = larger.verdict(contrast_name(name, score))
            ends = table.loc[piece, [score, f"{score}_low", f"{score}_high"]].tolist()
            assert ends == [verdict["mean"], verdict["low"], verdict["high"]]
            assert table.loc[piece, f"{score}_verdict"] == verdict["verdict"]
    assert not any("held" in text or "former" in text for text in table.index)


def test_names_of_contrasts_say_how_the_text_encoder_was_trained(question):
    read = {each.name: pieces.plain(each.name) for each in question.contrasts}
    assert not any("held" in name or "(cdl" in name for name in read.values())
    assert len(set(read.values())) == len(read)
    where = "quality, protected 16/255"
    assert read[f"held CDL: {where}"] == f"CDL, text frozen: {where}"
    assert read[f"CDL's words when training: {where}"] == (
        f"CDL's words when training, text frozen: {where}"
    )
    trained = f"CDL's words when training, text trained: {where}"
    assert read[trained] == trained
