"""What is shown while a study works: lines for a file, a table that fits any window, nothing when quiet.

`StudyProgress` keeps what the events reported, and estimates what is still to come."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from roadtest.records.events import Event
from roadtest.study.progress import (
    AT_WORK,
    DONE,
    FAILED,
    FIGURES,
    WAITING,
    RunProgress,
    StudyProgress,
    choose_runs,
    columns_for,
    draw,
    render_clock,
    render_line,
    show_progress,
)

ROW = Event(
    kind="row",
    label="lenet5+stn",
    seed=0,
    epoch=3.25,
    images_per_second=4210.4,
    train_seconds=62.0,
    seconds_left=238.0,
    train_loss=0.3111,
    train_accuracy=0.912,
    val_loss=0.2804,
    val_accuracy=0.9207,
)


def progress_of(num_runs: int, state: str = WAITING) -> StudyProgress:
    progress = StudyProgress()
    for seed in range(num_runs):
        progress.by_run["resnet34+stn", seed] = RunProgress(label="resnet34+stn", seed=seed, state=state, status=state)
    return progress


def picture(progress: StudyProgress, *, width: int, height: int, is_plain: bool = False) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=False)
    with console.capture() as capture:
        console.print(draw(progress, width=width, height=height, is_plain=is_plain))
    return capture.get().splitlines()


def test_a_row_is_one_plain_line() -> None:
    assert render_line(ROW) == (
        "lenet5+stn seed 0  epoch 3.2  train loss 0.311  val loss 0.280  train acc 91.2 %  val acc 92.1 %"
        "  images/s 4,210  used 1:02  left 3:58"
    )


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (Event(kind="planned", text="6 runs, about 30 min"), "6 runs, about 30 min"),
        (Event(kind="warning", text="no GPU"), "warning: no GPU"),
        (Event(kind="started", label="a", seed=1, text="from epoch 3.2"), "a seed 1  starts from epoch 3.2"),
        (Event(kind="queued", label="a", seed=1, status="finished"), "a seed 1  was finished before"),
        (Event(kind="queued", label="a", seed=1, status="waiting"), None),
        (Event(kind="step", label="a", seed=1, epoch=0.1), None),
        (Event(kind="phase", label="a", seed=1, text="evaluating"), None),
        (Event(kind="failed", label="a", seed=1, text="NaN"), "a seed 1  failed: NaN"),
        (Event(kind="sweep", label="a", text="rate 0.05: 0.31"), "a  sweep  rate 0.05: 0.31"),
        (Event(kind="data", num_done=5, num_total=1000), None),
        (Event(kind="data", num_done=1000, num_total=1000), "1,000 images decoded"),
        (Event(kind="download", num_done=5, num_total=10**8), None),
        (Event(kind="download", num_done=10**8, num_total=10**8), "100 MB downloaded"),
        (Event(kind="latency", num_done=6, num_total=6), "latency measured"),
        (
            Event(kind="finished", label="a", seed=1, val_accuracy=0.5, train_seconds=9.0),
            "a seed 1  done  val acc 50.0 %  in 0:09",
        ),
    ],
)
def test_every_kind_of_event_has_its_line_or_none(event: Event, line: str | None) -> None:
    assert render_line(event) == line


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, ""), (0.0, "0:00"), (59.6, "1:00"), (725.0, "12:05"), (3599.7, "1:00:00"), (7390.0, "2:03:10")],
)
def test_a_clock_reads_as_clocks_do(seconds: float | None, text: str) -> None:
    assert render_clock(seconds) == text


def test_a_file_gets_whole_lines_and_no_control_characters() -> None:
    stream = io.StringIO()
    with show_progress(stream=stream) as on_event:
        on_event(ROW)
        on_event(Event(kind="step", label="a", seed=0, epoch=0.1))
    assert stream.getvalue() == f"{render_line(ROW)}\n"


def test_a_files_name_is_text_alone() -> None:
    stream, terminal = io.StringIO(), io.StringIO()
    event = Event(kind="warning", text="data check: \x1b]0;owned\x07.png")
    with show_progress(stream=stream) as on_event:
        on_event(event)
    assert stream.getvalue() == "warning: data check: ?]0;owned?.png\n"
    with show_progress(console=Console(file=terminal, force_terminal=True, width=80)) as on_event:
        on_event(event)
    assert "?]0;owned?.png" in terminal.getvalue() and "\x1b]0" not in terminal.getvalue()


def test_a_command_in_a_notebooks_cell_gets_lines_though_it_has_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JPY_PARENT_PID", "7")
    console = Console(file=io.StringIO(), force_terminal=True, width=40, height=30)
    with show_progress(console=console) as on_event:
        on_event(ROW)
    assert console.file.getvalue() == f"{render_line(ROW)}\n"  # type: ignore[attr-defined]


def test_quiet_shows_nothing_at_all() -> None:
    stream = io.StringIO()
    with show_progress(is_quiet=True, stream=stream) as on_event:
        on_event(ROW)
        on_event(Event(kind="failed", label="a", seed=0, text="NaN"))
    assert stream.getvalue() == ""


def test_a_terminal_gets_a_live_table_and_keeps_failures_above_it() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100, height=30, color_system=None)
    with show_progress(console=console) as on_event:
        on_event(Event(kind="planned", text="2 runs"))
        on_event(ROW)
        on_event(Event(kind="failed", label="vgg16", seed=0, text="out of memory [really]"))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "lenet5+stn" in text
    assert "92.1 %" in text
    assert "vgg16 seed 0  failed: out of memory [really]" in text  # brackets are text, not markup


def test_without_runs_the_picture_does_not_stay() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100, height=30, color_system=None)
    with show_progress(console=console) as on_event:
        on_event(Event(kind="phase", text="checking 80 images"))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert text.rpartition("so far")[2].endswith("\x1b[1A\x1b[2K")  # a line up, and that line is erased


def test_a_wide_window_shows_every_column() -> None:
    titles = [column.title for column in columns_for(progress_of(2).runs, 140)]
    assert titles == ["run", "seed", "status", *(column.title for column in FIGURES)]


def test_eighty_characters_keep_what_matters_most() -> None:
    titles = [column.title for column in columns_for(progress_of(2).runs, 80)]
    assert titles == ["run", "seed", "status", "epoch", "train acc", "val acc", "used", "left"]


def test_a_single_seed_needs_no_column() -> None:
    assert "seed" not in [column.title for column in columns_for(progress_of(1).runs, 140)]


@pytest.mark.slow
@given(st.integers(40, 200), st.integers(10, 60), st.integers(0, 80), st.sampled_from([WAITING, AT_WORK, DONE, FAILED]))
def test_the_picture_fits_the_window(width: int, height: int, num_runs: int, state: str) -> None:
    lines = picture(progress_of(num_runs, state), width=width, height=height)
    assert max(map(len, lines)) <= width
    assert len(lines) < height


def test_a_low_window_keeps_the_runs_at_work_and_counts_the_rest() -> None:
    progress = progress_of(40)
    for seed in range(20):
        progress.by_run["resnet34+stn", seed].state = DONE
    progress.by_run["resnet34+stn", 20].state = progress.by_run["resnet34+stn", 20].status = AT_WORK
    lines = progress.runs
    shown = choose_runs(lines, 5)
    assert [line.seed for line in shown] == [18, 19, 20, 21, 22]
    assert "  and 18 done, 17 waiting" in [line.rstrip() for line in picture(progress, width=80, height=11)]


def test_a_failed_run_stays_in_sight() -> None:
    progress = progress_of(40, DONE)
    progress.by_run["resnet34+stn", 3].state = FAILED
    assert 3 in [line.seed for line in choose_runs(progress.runs, 5)]


def test_a_long_label_is_cut_and_not_the_numbers() -> None:
    progress = StudyProgress()
    progress.take(ROW)
    progress.by_run["x", 0] = RunProgress(label="timm:" + "x" * 60, seed=0)
    lines = picture(progress, width=120, height=20)
    assert any("92.1 %" in line for line in lines)
    assert any("timm:xxx" in line and "…" in line for line in lines)


def test_a_terminal_without_unicode_gets_plain_marks() -> None:
    text = "\n".join(picture(progress_of(3, DONE), width=80, height=20, is_plain=True))
    assert text.isascii()
    assert "+  resnet34+stn" in text


def after(*events: Event) -> StudyProgress:
    progress = StudyProgress()
    for event in events:
        progress.take(event)
    return progress


def test_a_run_goes_from_waiting_to_done_and_keeps_its_last_numbers() -> None:
    progress = after(
        Event(kind="queued", label="lenet5", seed=0, status="waiting"),
        Event(kind="started", label="lenet5", seed=0, text="from the start"),
        Event(kind="row", label="lenet5", seed=0, epoch=1.0, val_accuracy=0.5, train_seconds=10.0, seconds_left=20.0),
        Event(kind="finished", label="lenet5", seed=0, val_accuracy=0.6, train_seconds=30.0),
    )
    (line,) = progress.runs
    assert (line.state, line.status, line.epoch, line.val_accuracy) == (DONE, "done", 1.0, 0.6)
    assert (line.train_seconds, line.seconds_left) == (30.0, None)


def test_each_kind_of_event_puts_the_run_into_its_state() -> None:
    kinds = {"queued": WAITING, "started": AT_WORK, "phase": AT_WORK, "step": AT_WORK, "row": AT_WORK}
    kinds |= {"finished": DONE, "failed": FAILED}
    for kind, state in kinds.items():
        (line,) = after(Event(kind=kind, label="a", seed=1)).runs
        assert line.state == state, kind


def test_a_run_found_complete_says_so() -> None:
    (line,) = after(Event(kind="queued", label="lenet5", seed=0, status="finished")).runs
    assert (line.state, line.status) == (DONE, "done before")


def test_a_zero_is_a_number_and_not_a_missing_one() -> None:
    (line,) = after(Event(kind="row", label="a", seed=0, epoch=0.0, val_accuracy=0.0)).runs
    assert (line.epoch, line.val_accuracy) == (0.0, 0.0)


def test_time_left_counts_waiting_runs_like_the_known_ones() -> None:
    progress = after(
        Event(kind="finished", label="a", seed=0, train_seconds=100.0),
        Event(kind="step", label="b", seed=0, train_seconds=10.0, seconds_left=50.0),
        Event(kind="queued", label="c", seed=0, status="waiting"),
        Event(kind="queued", label="d", seed=0, status="waiting"),
    )
    assert progress.seconds_left() == 50 + 2 * (100 + 60) / 2  # the known wholes are 100 s and 10 + 50 s


def test_time_left_is_shared_by_runs_at_the_same_time() -> None:
    steps = [Event(kind="step", label=name, seed=0, train_seconds=10.0, seconds_left=50.0) for name in "ab"]
    assert after(*steps).seconds_left() == 50


def test_time_left_is_unknown_while_a_run_does_not_know_its_own() -> None:
    assert after(Event(kind="started", label="a", seed=0)).seconds_left() is None
    assert after(Event(kind="queued", label="a", seed=0)).seconds_left() is None


def test_what_happens_beside_the_runs_is_shown_until_it_is_over() -> None:
    progress = after(Event(kind="data", num_done=10, num_total=2000))
    assert progress.activity == "decoding images  10 of 2,000"
    progress.take(Event(kind="data", num_done=2000, num_total=2000))
    assert progress.activity == ""
    progress.take(Event(kind="download", num_done=12_000_000, num_total=263_000_000))
    assert progress.activity == "downloading  12 of 263 MB"
    progress.take(Event(kind="download", num_done=12_000_000))  # the server did not say how much there is
    assert progress.activity == "downloading  12 MB"
    progress.take(Event(kind="phase", text="writing the report"))
    assert progress.activity == "writing the report"
