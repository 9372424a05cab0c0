"""The table of what exported networks cost: in ONNX Runtime on this computer, and on others that were measured.

Times are compared across a row, so the head of each column says with how many threads they were measured; where the
networks of one column had different numbers, each cell says its own.
"""

from collections.abc import Sequence

from roadtest.record import row_label
from roadtest.report import words
from roadtest.report.table import Cell, Column, Row, Table
from roadtest.summarise import Results, device_column, devices_of
from roadtest.summarise.costs import NUM_THREADS, ONNX, WHAT_IS_TIMED

PYTORCH_HERE = ("latency_p50_ms", NUM_THREADS)
"""The leaderboard's columns with a latency, and with its number of threads."""
ONNX_HERE = (device_column(ONNX), device_column(ONNX, "num_threads"))


def elsewhere_table(results: Results, board: Sequence[Row]) -> Table | None:
    """Latency of one image in each place, and memory where a device told it; None where nothing was exported."""
    devices = [device for device in devices_of(results) if _is_measured(board, device_column(device))]
    has_onnx = _is_measured(board, ONNX_HERE[0])
    shown = [ONNX_HERE[0]] * has_onnx + [device_column(device) for device in devices]
    measured = [row for row in board if any(row.get(column) is not None for column in shown)]
    if not measured:
        return None
    places = [("Here", "PyTorch", PYTORCH_HERE)]
    places += [("Here", "ONNX Runtime", ONNX_HERE)] if has_onnx else []
    columns = [Column(title="Network", is_number=False)]
    columns += [Column(title=title, unit=engine + _in_head(measured, place)) for title, engine, place in places]
    for device in devices:
        threads = _in_head(measured, _on(device))
        columns.append(Column(title=device, unit=f"ONNX Runtime{threads}, memory below"))
    rows = tuple(
        (
            Cell(text=row_label(row)),
            *(_cell(row, place, measured) for _, _, place in places),
            *(_cell(row, _on(device), measured, row[f"{device}_peak_memory_bytes"]) for device in devices),
        )
        for row in measured
    )
    machines = "; ".join(f"{device}: {_machine(results, device)}" for device in devices)
    caption = (
        "Exported networks: median latency of one image in float32, with as many threads as were measured at most. "
        f"{WHAT_IS_TIMED} A dash means not measured.{f' {machines}.' if machines else ''}"
    )
    return Table(name="elsewhere", caption=caption, columns=tuple(columns), rows=rows, files=("md", "tex"))


def _on(device: str) -> tuple[str, str]:
    return device_column(device), device_column(device, "num_threads")


def _is_measured(board: Sequence[Row], column: str) -> bool:
    return any(row.get(column) is not None for row in board)


def _in_head(measured: Sequence[Row], place: tuple[str, str]) -> str:
    """`, 4 threads` where all networks in a column were measured with as many."""
    numbers = {row[place[1]] for row in measured} - {None}
    return f", {words.plural(numbers.pop(), 'thread')}" if len(numbers) == 1 else ""


def _cell(row: Row, place: tuple[str, str], measured: Sequence[Row], memory_bytes: int | None = None) -> Cell:
    """A latency; below it the memory, and the number of threads where the head could not say it."""
    latency, num_threads = (row[column] for column in place)
    below = [] if memory_bytes is None else [words.size(memory_bytes)]
    if num_threads is not None and not _in_head(measured, place):
        below.append(words.plural(num_threads, "thread"))
    return Cell(text=words.milliseconds(latency), below=", ".join(below))


def _machine(results: Results, device: str) -> str:
    machine = devices_of(results)[device][0].machine
    return f"{machine.cpu_name}, {words.plural(machine.num_cores, 'core')}"
