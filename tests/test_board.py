"""The board knows what the events have told, and estimates what is still to come."""

from roadtest.board import AT_WORK, DONE, FAILED, WAITING, Board
from roadtest.events import Event


def board_of(*events: Event) -> Board:
    board = Board()
    for event in events:
        board.take(event)
    return board


def test_a_run_goes_from_waiting_to_done_and_keeps_its_last_numbers() -> None:
    board = board_of(
        Event(kind="queued", label="lenet5", seed=0, status="waiting"),
        Event(kind="started", label="lenet5", seed=0, text="from the start"),
        Event(kind="row", label="lenet5", seed=0, epoch=1.0, val_accuracy=0.5, train_seconds=10.0, seconds_left=20.0),
        Event(kind="finished", label="lenet5", seed=0, val_accuracy=0.6, train_seconds=30.0),
    )
    (line,) = board.lines.values()
    assert (line.state, line.status, line.epoch, line.val_accuracy, line.train_seconds, line.seconds_left) == (
        DONE,
        "done",
        1.0,
        0.6,
        30.0,
        None,
    )


def test_each_kind_of_event_puts_the_run_into_its_state() -> None:
    kinds = {"queued": WAITING, "started": AT_WORK, "phase": AT_WORK, "step": AT_WORK, "row": AT_WORK}
    kinds |= {"finished": DONE, "failed": FAILED}
    for kind, state in kinds.items():
        (line,) = board_of(Event(kind=kind, label="a", seed=1)).lines.values()
        assert line.state == state, kind


def test_a_run_found_complete_says_so() -> None:
    (line,) = board_of(Event(kind="queued", label="lenet5", seed=0, status="finished")).lines.values()
    assert (line.state, line.status) == (DONE, "done before")


def test_a_zero_is_a_number_and_not_a_missing_one() -> None:
    (line,) = board_of(Event(kind="row", label="a", seed=0, epoch=0.0, val_accuracy=0.0)).lines.values()
    assert (line.epoch, line.val_accuracy) == (0.0, 0.0)


def test_time_left_counts_waiting_runs_like_the_known_ones() -> None:
    board = board_of(
        Event(kind="finished", label="a", seed=0, train_seconds=100.0),
        Event(kind="step", label="b", seed=0, train_seconds=10.0, seconds_left=50.0),
        Event(kind="queued", label="c", seed=0, status="waiting"),
        Event(kind="queued", label="d", seed=0, status="waiting"),
    )
    assert board.seconds_left() == 50 + 2 * (100 + 60) / 2  # the known wholes are 100 s and 10 + 50 s


def test_time_left_is_shared_by_runs_at_the_same_time() -> None:
    steps = [Event(kind="step", label=name, seed=0, train_seconds=10.0, seconds_left=50.0) for name in "ab"]
    assert board_of(*steps).seconds_left() == 50


def test_time_left_is_unknown_while_a_run_does_not_know_its_own() -> None:
    assert board_of(Event(kind="started", label="a", seed=0)).seconds_left() is None
    assert board_of(Event(kind="queued", label="a", seed=0)).seconds_left() is None


def test_what_happens_beside_the_runs_is_told_until_it_is_over() -> None:
    board = board_of(Event(kind="data", num_done=10, num_total=2000))
    assert board.aside == "decoding images  10 of 2,000"
    board.take(Event(kind="data", num_done=2000, num_total=2000))
    assert board.aside == ""
    board.take(Event(kind="download", num_done=12_000_000, num_total=263_000_000))
    assert board.aside == "downloading  12 of 263 MB"
    board.take(Event(kind="download", num_done=12_000_000))  # the server did not say how much there is
    assert board.aside == "downloading  12 MB"
    board.take(Event(kind="phase", text="writing the report"))
    assert board.aside == "writing the report"
