"""Slips in an experiment, a name or an option are told before anything is measured."""

import socket

import pytest

from shortcut_nb.cli_bench import parse_seeds
from shortcut_nb.errors import CannotRead, UserError
from shortcut_nb.experiments.executors import be_reachable
from shortcut_nb.experiments.experiment import parse
from shortcut_nb.experiments.measured import read_table
from shortcut_nb.experiments.run import check_executor
from shortcut_nb.results import path_of, write_result

BASE = {
    "name": "mine",
    "axes": {"attack": ["none", "noise"], "purifier": ["none", "jpeg"]},
    "base": {"eps": "16/255"},
}


def contrast(weights, **more):
    return {"name": "c", "metric": "quality", "weights": weights, "expect": "+"} | more


RIGHT = contrast({"attack=noise": 1, "attack=none": -1}, sheet="class")


@pytest.mark.parametrize(
    ("slip", "says"),
    [
        ({"name": "../mine"}, "got '../mine'"),
        ({"name": "a/b"}, "got 'a/b'"),
        ({"name": ""}, "got ''"),
        ({"subjects": 0}, "greater than or equal to 1"),
        ({"subjects": -1}, "greater than or equal to 1"),
        ({"contrasts": 3}, "a list of contrasts, got int"),
        ({"sheets": {"own": {"prompt": "a {foo}"}}}, "'a {foo}' cannot be filled in"),
        ({"sheets": {"own": {"negative": "a {"}}}, "'a {' cannot be filled in"),
        ({"base": {"instance": "a {foo}"}}, "'a {foo}' cannot be filled in"),
        ({"contrasts": [contrast({"attack=nois": 1})]}, "no attack 'nois'"),
        ({"contrasts": [contrast({"atack=noise": 1})]}, "selects by 'atack'"),
        ({"contrasts": [RIGHT | {"sheet": "klass"}]}, "no sheet 'klass'"),
        (
            {"contrasts": [RIGHT | {"primary": True}, RIGHT | {"primary": True, "name": "d"}]},
            "one primary contrast at most, got c, d",
        ),
    ],
)
def test_an_experiment_with_a_slip_is_refused_in_a_line(slip, says):
    assert parse(BASE | {"contrasts": [RIGHT]}, "mine.yaml").contrasts
    with pytest.raises(UserError) as refused:
        parse(BASE | slip, "mine.yaml")
    assert says in str(refused.value) and "\n" not in str(refused.value)
    assert "Value error" not in str(refused.value)


def test_words_that_can_be_filled_in_are():
    words = "{identifier} {class_name} {instance} {class_prompt} {noise_token} {negative}"
    asked = parse(BASE | {"sheets": {"own": {"prompt": words, "negative": words}}}, "mine.yaml")
    assert asked.sheets["own"].prompt == words
    parse(BASE | {"base": {"instance": f"{words} {{traits}}", "eps": "16/255"}}, "mine.yaml")


def test_a_result_lies_in_its_folder(tmp_path):
    assert path_of("mine 2.1-b", folder=tmp_path) == tmp_path / "mine 2.1-b.json"
    for name in ("../mine", "/mine", "a/b", "", ".", ".hidden"):
        with pytest.raises(UserError, match="a name is of letters"):
            write_result(name, {}, folder=tmp_path / "results")
    assert not list(tmp_path.iterdir())


def test_seeds_are_counted_up_to_a_thousand():
    assert parse_seeds("3") == (0, 1, 2) and parse_seeds("99999999999,") == (99999999999,)
    with pytest.raises(UserError, match="at most 1000 seeds"):
        parse_seeds("99999999999")


def test_a_damaged_parquet_table_is_named(tmp_path):
    pytest.importorskip("pyarrow")
    path = tmp_path / "frame.parquet"
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(CannotRead, match="no Parquet table"):
        read_table(path)


def test_a_cluster_that_nobody_runs_is_told_at_once():
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        be_reachable(address)
    with pytest.raises(UserError, match="no Ray cluster at"):
        be_reachable(address)
    for other in ("auto", "ray://head:10001", "local"):
        be_reachable(other)


def test_an_unknown_executor_is_named():
    with pytest.raises(UserError, match="serial, processes or ray; got 'foo'"):
        check_executor("foo")
