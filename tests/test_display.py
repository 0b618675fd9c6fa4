"""What things are called in figures and tables: one name each, for everything there is."""

from shortcut_nb.attacks import ATTACKS
from shortcut_nb.experiments.questions import adaptive, methods, strength
from shortcut_nb.plots import CONDITIONS, looks
from shortcut_nb.purify import PURIFIERS
from shortcut_nb.reporting import argument, benchmark, display, numbers, withstanding


def test_everything_registered_has_a_name_of_its_own():
    assert set(ATTACKS) | set(strength.VARIANTS) <= set(display.ATTACKS)
    assert set(PURIFIERS) <= set(display.PURIFIERS)
    assert set(adaptive.SWEPT_AGAINST) <= set(display.DEFENCES)
    assert set(methods.METHODS) == set(display.METHODS)
    for table in (display.ATTACKS, display.PURIFIERS, display.DEFENCES, display.METHODS):
        assert len(set(table.values())) == len(table)


def test_a_treatment_has_one_name_in_every_figure():
    assert argument.TREATMENT_NAMES[argument.BOTH] == "ASPL, restorer + CDL"
    assert set(numbers.TREATMENTS.values()) <= set(argument.TREATMENT_NAMES.values())
    assert benchmark.defence("restorer", "cdl") == "restorer + CDL"
    assert benchmark.PICTURES["aspl"] == argument.TREATMENT_NAMES["aspl"] == "ASPL"
    assert withstanding.DEFENCES[withstanding.BARE] == benchmark.NOTHING


def test_defences_have_the_looks_of_what_they_do():
    both = display.DEFENCES["both"]
    assert looks(list(withstanding.DEFENCES.values())) == {
        display.NOTHING: CONDITIONS["protected"],
        display.DEFENCES["purifier"]: CONDITIONS["purified"],
        both: CONDITIONS["purified + cdl"],
    }


def test_attacks_are_shown_by_their_names_and_found_by_those_of_the_registry():
    table = numbers.attacks()
    own = table.set_index("attack")["name"]
    assert own["aspl"] == "ASPL" and own["photoguard"] == "PhotoGuard"
    assert numbers.behind()["seen"].notna().all()
