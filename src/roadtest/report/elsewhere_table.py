"""The table of what exported networks cost: in ONNX Runtime on this computer, and on others that were measured."""

from collections.abc import Sequence

from roadtest.record import row_label
from roadtest.report import words
from roadtest.report.table import Cell, Column, Row, Table
from roadtest.summarise import Results, device_column, devices_of

ONNX = "onnx_latency_p50_ms"
WHAT_IS_TIMED = (
    "PyTorch is timed on prepared images, the network alone; an exported network from the pixels on, with the "
    "preprocessing that is part of it."
)
"""To be said wherever times of both stand in one table."""


def elsewhere_table(results: Results, board: Sequence[Row]) -> Table | None:
    """Latency of one image in each place, and memory where a device told it; None where nothing was exported."""
    devices = [device for device in devices_of(results) if _is_measured(board, device_column(device))]
    has_onnx = _is_measured(board, ONNX)
    shown = [ONNX] * has_onnx + [device_column(device) for device in devices]
    measured = [row for row in board if any(row.get(column) is not None for column in shown)]
    if not measured:
        return None
    columns = (
        Column(title="Network", is_number=False),
        Column(title="Here", unit="PyTorch"),
        *([Column(title="Here", unit="ONNX Runtime")] if has_onnx else []),
        *(Column(title=device, unit="ONNX Runtime, memory below") for device in devices),
    )
    rows = tuple(
        (
            Cell(text=row_label(row)),
            Cell(text=words.milliseconds(row["latency_p50_ms"])),
            *([Cell(text=words.milliseconds(row[ONNX]))] if has_onnx else []),
            *(_device_cell(row, device) for device in devices),
        )
        for row in measured
    )
    machines = "; ".join(f"{device}: {_machine(results, device)}" for device in devices)
    caption = (
        "Exported networks: median latency of one image in float32, with as many threads as were measured at most. "
        f"{WHAT_IS_TIMED} A dash means not measured.{f' {machines}.' if machines else ''}"
    )
    return Table(name="elsewhere", caption=caption, columns=columns, rows=rows, files=("md", "tex"))


def _is_measured(board: Sequence[Row], column: str) -> bool:
    return any(row.get(column) is not None for row in board)


def _device_cell(row: Row, device: str) -> Cell:
    memory = row[f"{device}_peak_memory_bytes"]
    latency = words.milliseconds(row[device_column(device)])
    return Cell(text=latency, below="" if memory is None else words.size(memory))


def _machine(results: Results, device: str) -> str:
    machine = devices_of(results)[device][0].machine
    return f"{machine.cpu_name}, {words.plural(machine.num_cores, 'core')}"
