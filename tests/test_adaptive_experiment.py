"""Attackers who know the defence: which cells, and what is said of known numbers."""

import pytest

from shortcut_nb.cells import Cell
from shortcut_nb.experiments.contrasts import judge
from shortcut_nb.experiments.questions import adaptive, decoupling, open_experiment
from shortcut_nb.experiments.questions.adaptive import gain, harm_to
from shortcut_nb.profile import load_profile
from shortcut_nb.reporting.summary import summary

from .question_frames import all_levels, question_frame

CLIMBED = adaptive.CLIMBED["loss"][0]
# Quality by attacker and defence.
LEVELS = {
    "clean | none | 0/255": 0.9, "clean | both, held | 0/255": 0.8,
    "nothing | none | 16/255": 0.3, "everything | none | 16/255": 0.5,
    "nothing | both, held | 16/255": 0.8, "everything | both, held | 16/255": 0.6,
    "nothing | none | 16/255 | 50% clean": 0.8,
}  # fmt: skip


@pytest.fixture(scope="session")
def lab(quick_lab):
    """What is promised here holds for any weights."""
    return quick_lab


@pytest.fixture(scope="module")
def question():
    return open_experiment("adaptive", load_profile("mini"))


def test_cells_say_what_is_known(question):
    cells = {name: cell for name, (cell, _) in question.all_cells().items()}
    by_name = {"plain": decoupling.PLAIN}
    whole = Cell(purifier="profile", prompts="cdl", sheets=by_name)
    assert cells["clean | both | 0/255"] == whole
    blind = Cell(attack="aspl", eps="2/255", image_probes=("shifts",))
    assert cells["nothing | none | 2/255"] == blind
    everything = cells["everything | both, held | 2/255"].settings
    assert everything == {"purifier": "restorer", "gradient": "full", "prompts": "cdl",
                          "surrogate_text_lr": 0.0}  # fmt: skip
    aims = cells["everything, targeted | both, held | 16/255"].settings
    assert aims == everything | {"targeted": True}
    held_cell = cells["nothing | cdl, held | 16/255"]
    assert held_cell.trainer == "cdl-dreambooth" and held_cell.training["text_lr"] == 0
    assert "everything | cdl | 2/255" not in cells and "prompts | none | 2/255" not in cells
    random = cells["purifier (BPDA, EOT) | ddspure | 16/255"]
    assert random.purifier == "ddspure"
    assert random.settings == {"purifier": "ddspure", "repeats": adaptive.DRAWS}
    assert cells["purifier (BPDA) | jpeg | 16/255"].settings == {"purifier": "jpeg"}
    assert "purifier (BPDA, EOT) | jpeg | 16/255" not in cells, "JPEG draws nothing"
    assert cells["everything | both, held | 16/255 | 25% clean"].clean_share == 0.25


def test_a_profile_without_models_has_fewer_attackers():
    assert "purifier (full gradient)" in adaptive.knowledge("restorer")
    assert "purifier (full gradient)" not in adaptive.knowledge("jpeg")
    assert "gradient" not in adaptive.knowledge("jpeg")["everything"]
    mini = load_profile("mini")
    bare = mini.model_copy(update={"purifiers": {}, "purifier": "jpeg"})
    assert set(adaptive.others(mini)) == {"ddspure", "jpeg", "codesr", "codesr + cdl"}
    assert set(adaptive.others(bare)) == {"jpeg"}


def test_every_attacker_can_be_made(question, lab):
    settings = {str(cell.settings): cell for cell, _ in question.all_cells().values()
                if cell.attack != "none"}  # fmt: skip
    for cell in settings.values():
        attack = lab.attack(cell.attack, eps="4/255", **cell.settings)
        assert str(attack.eps) == "4/255"


def test_harm_and_gain_are_against_the_same_defence(question):
    levels = {(condition, "instance"): level for condition, level in LEVELS.items()}
    table = judge(question_frame(question, levels), question.contrasts, strict=False)
    table = table.set_index("contrast")
    row = table.loc[harm_to("everything", "both, held", "quality", "16/255")]
    assert row["mean"] == pytest.approx(-0.2, abs=0.01) and row["verdict"] == "confirmed"
    row = table.loc[gain("everything", "both, held", "quality", "16/255")]
    assert row["mean"] == pytest.approx(-0.2, abs=0.01)
    assert (row["verdict"], row["role"]) == ("confirmed", "primary")
    wasted = table.loc[gain("everything", "none", "texture", "16/255")]
    assert wasted["mean"] == pytest.approx(-0.2, abs=0.01) and wasted["verdict"] == "refuted"
    assert gain("nothing", "none", "quality", "16/255") not in table.index
    mixed = table.loc[harm_to("nothing", "none", "quality", "16/255", "50% clean")]
    assert mixed["mean"] == pytest.approx(-0.1, abs=0.01)


def test_what_is_climbed_is_looked_at_before_any_training(question):
    climbed = [each for each in question.contrasts if each.metric == "loss"]
    assert {name for each in climbed for name in each.weights} == {
        name for name, (cell, _) in question.all_cells().items() if cell.image_probes
    }
    verdict = summary("adaptive").verdict(gain("everything", "purifier", CLIMBED, "16/255"))
    assert verdict["verdict"] == "confirmed" and 0.05 < verdict["mean"] < 0.15


def test_the_question_has_the_cells_of_its_contrasts(question):
    levels = {place: level for place, level in all_levels(question).items()
              if place[1] != "class"}  # fmt: skip
    frame = question_frame(question, levels, people=2, samples=1)
    judged = judge(frame, question.contrasts)  # strict: every cell is there
    assert (judged["n"] == 2).all() and list(judged["role"]).count("primary") == 1


def test_intactness_is_asked_for_where_the_profile_measures_it():
    mini = load_profile("mini")
    assert "intact" in {each.metric for each in adaptive.contrasts(mini)}
    without = mini.model_copy(update={"measures": {}})
    assert "intact" not in {each.metric for each in adaptive.contrasts(without)}


def test_the_shipped_measurement_is_read():
    result = summary("adaptive")
    blind = result.verdict(harm_to("nothing", "none", "quality", "16/255"))
    assert blind["verdict"] == "confirmed" and blind["mean"] < -0.2
    assert result.primary()["contrast"] == gain("everything", "both, held", "quality", "16/255")


def test_who_knows_a_defence_knows_it_as_it_is(question):
    cells = {name: cell for name, (cell, _) in question.all_cells().items()}
    assert adaptive.swept("both") == ("nothing", "purifier + prompts")
    assert adaptive.swept("both, held") == ("nothing", "everything") and not adaptive.swept("cdl")
    own = cells["purifier + prompts | both | 32/255"].settings
    assert own == {"purifier": "restorer", "gradient": "full", "prompts": "cdl"}
    assert (
        "everything | both | 32/255" not in cells
        and "purifier + prompts | none | 2/255" not in cells
    )
