"""Progress: a bar for a person, few lines for a log."""

import logging

from shortcut_nb.progress import BarProgress, LogProgress, StepInfo, progress


def test_the_environment_chooses(monkeypatch):
    monkeypatch.setenv("SHORTCUT_NB_HEADLESS", "1")
    assert isinstance(progress("x"), LogProgress)
    monkeypatch.setenv("SHORTCUT_NB_HEADLESS", "0")
    assert isinstance(progress("x"), BarProgress)


def test_a_log_has_ten_lines_and_the_numbers(caplog):
    show = LogProgress("train")
    with caplog.at_level(logging.INFO, logger="shortcut_nb"):
        for i in range(1, 201):
            show(StepInfo(i, 200, {"loss": 0.5}))
    assert len(caplog.messages) == 10
    assert caplog.messages[-1].startswith("train: 200/200") and "loss=0.5" in caplog.messages[-1]


def test_slow_work_is_logged_by_time(caplog, monkeypatch):
    clock = iter(range(0, 10_000, 20))
    monkeypatch.setattr("shortcut_nb.progress.time.monotonic", lambda: float(next(clock)))
    show = LogProgress("train")
    with caplog.at_level(logging.INFO, logger="shortcut_nb"):
        for i in range(1, 7):
            show(StepInfo(i, 1000))
    assert [m.split(" (")[0] for m in caplog.messages] == [f"train: {i}/1000" for i in (2, 4, 6)]


def test_a_bar_follows_the_steps_and_closes(capsys):
    show = BarProgress("draw")
    show(StepInfo(1, 2))
    assert show._bar is not None and show._bar.n == 1
    show(StepInfo(2, 2, {"loss": 1.0}))
    assert show._bar is None and "draw" in capsys.readouterr().err


def test_what_was_done_last_is_shown(caplog):
    info = StepInfo(1, 2, about="train somebody")
    with caplog.at_level(logging.INFO, logger="shortcut_nb"):
        LogProgress("bench")(info)
    assert caplog.messages[-1].endswith("train somebody")
    show = BarProgress("bench")
    show(info)
    assert show._bar.postfix == "train somebody"
    show(StepInfo(2, 2))
