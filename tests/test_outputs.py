"""A folder for results: checked before any work, filled whole or not at all."""

import json
import os
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from shortcut_nb.cli import app
from shortcut_nb.errors import AlreadyThere, CannotWrite, UserError
from shortcut_nb.files import write_json
from shortcut_nb.files.outputs import check_file, check_output
from shortcut_nb.files.pictures import list_folder
from shortcut_nb.images import save_folder

from .places import small_disk

RECORD = "made.json"


def fill(out, *names, force=False):
    """Write some files and the record of them."""
    with check_output(out, RECORD, names=names, force=force).filling() as folder:
        for name in names:
            (folder / name).write_text(f"new {name}")
        write_json(folder / RECORD, {"files": list(names)})


def listing(folder):
    return sorted(p.name for p in folder.iterdir())


def test_a_new_folder_appears_whole(tmp_path):
    with check_output(tmp_path / "a" / "out", RECORD).filling() as folder:
        assert listing(tmp_path) == ["a"]  # for the temporary folder
        (folder / "x").write_text("x")
        assert not (tmp_path / "a" / "out").exists()
    assert listing(tmp_path / "a") == ["out"] and listing(tmp_path / "a" / "out") == ["x"]


def test_checking_leaves_nothing(tmp_path):
    check_output(tmp_path / "a" / "b" / "out", RECORD, names=["x.png"])
    assert listing(tmp_path) == []


def test_checking_is_of_no_concern_to_a_run_beside_it(tmp_path, monkeypatch):
    """The folder of a result is not there for a moment while another run looks for room."""
    out = tmp_path / "a" / "out"
    real = Path.write_bytes
    seen = []

    def write_bytes(path, data):
        seen.append(out.exists() or out.parent.exists())
        return real(path, data)

    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    check_output(out, RECORD, names=["x.png"])
    check_output(tmp_path / "b" / ".." / "out", RECORD)
    assert seen == [False, False] and listing(tmp_path) == []


@pytest.mark.parametrize("force", [False, True])
def test_two_results_of_the_same_name_that_end_at_once(tmp_path, monkeypatch, force):
    """The other one appears between the last look and the rename."""
    out = tmp_path / "out"
    real = os.rename

    def rename(fresh, folder):
        monkeypatch.setattr(os, "rename", real)
        fill(out, "y", force=True)
        return real(fresh, folder)

    monkeypatch.setattr(os, "rename", rename)
    if force:
        fill(out, "x", force=True)
        assert listing(out) == [RECORD, "x"]
    else:
        with pytest.raises(AlreadyThere, match="while this worked"):
            fill(out, "x")
        assert listing(out) == [RECORD, "y"]
    assert listing(tmp_path) == ["out"]


def die_after(calls, out):
    """Have this process end at once when so many files have been put into a folder."""
    real = os.replace
    count = 0

    def replace(source, target):
        nonlocal count
        real(source, target)
        count += Path(target).parent == out
        if count == calls:
            os._exit(9)

    os.replace = replace


@pytest.mark.parametrize("earlier", [True, False])
def test_killed_while_files_are_replaced(tmp_path, earlier):
    """At every single file: a record is there, and the same command can run again; without force
    where there was none in the first place, in a folder that was empty."""
    for calls in range(1, 6):
        out = tmp_path / str(calls)
        out.mkdir()
        if earlier:
            fill(out, "a", "b", "c")
        child = os.fork()
        if not child:
            try:
                die_after(calls, out)
                fill(out, "b", "d", "e", force=earlier)
            finally:
                os._exit(1)  # it should have ended before
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
        record = json.loads((out / RECORD).read_text())
        there = {name for name in listing(out) if not name.startswith(".")} - {RECORD}
        assert there <= set(record["files"])
        assert record.get("unfinished", False) == (calls < 5)
        if calls < 5:
            (out / "own").write_text("own")
            with pytest.raises(AlreadyThere, match=r"files already \(own\)"):
                fill(out, "b", "d", "e")
            (out / "own").unlink()
        fill(out, "b", "d", "e", force=earlier or calls == 5)
        assert listing(out) == ["b", "d", "e", RECORD]


def test_a_folder_whose_replacing_was_cut_short_is_no_source(tmp_path):
    save_folder(torch.rand(2, 3, 8, 8), tmp_path)
    assert len(list_folder(tmp_path).files) == 2
    write_json(tmp_path / "purify.json", {"unfinished": True, "files": ["000.png"]})
    with pytest.raises(UserError, match="give that command again first"):
        list_folder(tmp_path)


def test_an_empty_folder_may_be_filled(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".hidden").write_text("")
    fill(tmp_path / "out", "x")
    assert listing(tmp_path / "out") == [".hidden", RECORD, "x"]


@pytest.mark.parametrize("out", ["in", "in/deep/out", "in/../in", "link", "./in/."])
@pytest.mark.parametrize("force", [False, True])
def test_the_source_and_what_is_inside_is_refused(tmp_path, monkeypatch, out, force):
    (tmp_path / "in").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "in")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="source"):
        check_output(out, RECORD, source="in", force=force)
    check_output("in2", RECORD, source="in")


def test_existing_files_are_refused_and_forced_ones_replaced(tmp_path):
    out = tmp_path / "out"
    fill(out, "a", "b", "c")
    (out / "own").write_text("own")
    (out / "b").write_text("old")
    with pytest.raises(
        AlreadyThere, match=r"holds files already \(a, b, c and 2 more\).*force=True"
    ):
        fill(out, "b")
    fill(out, "b", "d", force=True)
    assert listing(out) == ["b", "d", RECORD, "own"]  # a and c belonged to the earlier result
    assert (out / "b").read_text() == "new b" and (out / "own").read_text() == "own"
    assert json.loads((out / RECORD).read_text())["files"] == ["b", "d"]


@pytest.mark.parametrize("names", [["../own"], ["a/../../own"], ["/etc/hosts"], "x", [1, None], {}])
def test_a_forged_record_deletes_nothing_elsewhere(tmp_path, names):
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "own").write_text("own")
    (out / RECORD).write_text(json.dumps({"files": names}))
    fill(out, "y", force=True)
    assert (tmp_path / "own").exists() and listing(out) == [RECORD, "y"]


def test_a_body_that_fails_leaves_all_as_it_was(tmp_path):
    fill(tmp_path / "out", "a")
    for out in ("out", "new"):
        output = check_output(tmp_path / out, RECORD, force=True)
        with pytest.raises(ZeroDivisionError), output.filling() as folder:
            (folder / "a").write_text("half")
            raise ZeroDivisionError
    assert listing(tmp_path) == ["out"] and listing(tmp_path / "out") == ["a", RECORD]
    assert (tmp_path / "out" / "a").read_text() == "new a"


def test_a_folder_that_somebody_fills_meanwhile_is_not_mixed(tmp_path):
    output = check_output(tmp_path / "out", RECORD)
    with pytest.raises(AlreadyThere, match="while this worked"), output.filling() as folder:
        (folder / "x").write_text("x")
        fill(tmp_path / "out", "y")
    assert listing(tmp_path / "out") == [RECORD, "y"] and listing(tmp_path) == ["out"]


@pytest.mark.parametrize(
    ("out", "name", "words"),
    [
        ("file", "x", "is a file"),
        ("file/below", "x", "a file, not a folder"),
        ("n" * 300, "x", "name is too long"),
        ("out", "n" * 300, "name is too long"),
        ("/proc/out", "x", "cannot be written"),
        ("", "x", "OUT is empty"),
        ("~nobody-of-that-name/x", "x", "not known"),
        ("a\0b", "x", "zero byte"),
    ],
)
def test_a_place_that_cannot_be_written_is_found_before_work(
    tmp_path, monkeypatch, out, name, words
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match=words):
        check_output(out, RECORD, names=[name])
    assert listing(tmp_path) == ["file"]


def test_room_is_looked_for_before_work(tmp_path):
    with pytest.raises(CannotWrite, match="take at least .* MB, and the disk has"):
        check_output(tmp_path / "out", RECORD, needs=10**18)


def test_a_disk_that_fills_up_is_one_line_and_leaves_nothing(tmp_path):
    """On a real file system of one megabyte, where the system lets us mount one."""
    with small_disk(tmp_path / "disk", 1024) as disk:
        fill(disk, "kept")
        for out in (disk, disk / "out"):
            output = check_output(out, RECORD, force=True)
            with pytest.raises(CannotWrite, match="the disk is full"), output.filling() as folder:
                (folder / "kept").write_bytes(b"x" * 2**21)
        assert listing(disk) == ["kept", RECORD] and (disk / "kept").read_text() == "new kept"


def tree(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def fill_folders(out, names, force=False):
    """Write files, some in folders, and a record that names the folders alone."""
    with check_output(out, RECORD, names=names, force=force).filling() as folder:
        for name in names:
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text("new")
        tops = sorted({name.split("/")[0] for name in names})
        write_json(folder / RECORD, {"files": tops})


def test_what_others_put_into_a_results_folders_stays(tmp_path):
    out = tmp_path / "out"
    fill_folders(out, ["model/a", "model/b", "samples/0", "samples/1"])
    listed = json.loads((out / RECORD).read_text())["files"]
    assert listed == ["model/a", "model/b", "samples/0", "samples/1"]
    (out / "samples" / "own").write_text("own")
    fill_folders(out, ["model/a", "samples/0", "more/x"], force=True)
    assert tree(out) == [
        RECORD, "model", "model/a", "more", "more/x", "samples", "samples/0", "samples/own",
    ]  # fmt: skip
    fill_folders(out, ["model/a"], force=True)
    assert tree(out) == [RECORD, "model", "model/a", "samples", "samples/own"]


@pytest.mark.parametrize(
    ("there", "needed"),
    [("model", "model/a"), ("a.png/deep", "a.png"), ("samples -> ..", "samples/0")],
)
def test_what_is_in_the_way_is_not_replaced(tmp_path, there, needed):
    """A file where a folder belongs, a folder where a file belongs, a link to somewhere else."""
    out = tmp_path / "in" / "out"
    out.mkdir(parents=True)
    name, _, target = there.partition(" -> ")
    if target:
        (out / name).symlink_to(target)
    else:
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_text("own")
    before = tree(tmp_path)
    with pytest.raises(AlreadyThere, match="no earlier result wrote"):
        check_output(out, RECORD, names=[needed], force=True)
    output = check_output(out, RECORD, force=True)  # what is written need not be known before
    with pytest.raises(AlreadyThere, match="no earlier result wrote"), output.filling() as folder:
        (folder / needed).parent.mkdir(exist_ok=True)
        (folder / needed).write_text("new")
    assert tree(tmp_path) == before


def test_a_record_of_an_earlier_release_names_whole_folders(tmp_path):
    out = tmp_path / "out"
    (out / "samples").mkdir(parents=True)
    (out / "samples" / "old").write_text("old")
    (out / RECORD).write_text(json.dumps({"files": ["samples"]}))
    fill_folders(out, ["samples/0"], force=True)
    assert tree(out) == [RECORD, "samples", "samples/0"]


def test_each_door_names_what_it_takes(tmp_path):
    (tmp_path / "own.txt").write_text("own")
    with pytest.raises(AlreadyThere, match="or give force=True to replace an earlier result"):
        check_output(tmp_path, RECORD)
    done = CliRunner().invoke(app, ["report", "story", "--out", str(tmp_path)])
    assert done.exit_code == 2 and "or give --force to replace an earlier result" in done.stderr


def test_result_files(tmp_path):
    (tmp_path / "old.csv").write_text("x")
    with pytest.raises(AlreadyThere, match="give force=True"):
        check_file(tmp_path / "old.csv")
    with pytest.raises(CannotWrite, match="is a folder"):
        check_file(tmp_path)
    assert check_file(tmp_path / "old.csv", force=True) == tmp_path / "old.csv"
    assert check_file(tmp_path / "deep" / "new.csv") == tmp_path / "deep" / "new.csv"
    assert listing(tmp_path) == ["old.csv"]
