"""The costs a network has, how each is called and written, and the points and bars that show them. No drawing here.

The table of what exported networks cost: in ONNX Runtime on this computer, and on others that were measured.

Times are compared across a row, so the head of each column says with how many threads they were measured; where the
networks of one column had different numbers, each cell says its own.
"""

from collections.abc import Sequence
from dataclasses import replace

from roadtest.analysis import Results, device_column, devices_of, pareto_front
from roadtest.analysis.costs import COSTS, NUM_THREADS, ONNX, WHAT_IS_TIMED, CostKind
from roadtest.format import (
    PART_WORDS,
    Row,
    format_bytes,
    format_factor,
    format_milliseconds,
    format_seconds,
    join_words,
    plural,
)
from roadtest.records import row_label
from roadtest.report.charts import (
    KEY_STN,
    VIEW_HEIGHT,
    Figure,
    Panel,
    View,
    cost_axes,
    draw_bars,
    draw_costs,
    place_labels,
)
from roadtest.report.sections.curves import MAX_BARS, SIDE_COSTS, dominating, waits_for_data
from roadtest.report.tables import Cell, Column, Table


def cost_rows(board: Sequence[Row], kind: CostKind, part: str = "val") -> list[Row]:
    """One point per compared network: cost in the axis's unit, accuracy on `val` or `test` in percent, front or not."""
    found = [
        row
        for row in board
        if row["status"] in ("complete", "incomplete")
        and row[f"{part}_accuracy_mean"] is not None
        and (row[kind.column] or 0) > 0
    ]
    front = pareto_front([row[kind.column] for row in found], [row[f"{part}_accuracy_mean"] for row in found])
    return [
        {
            "label": row_label(row),
            "has_stn": row["has_stn"],
            "cost": row[kind.column] * kind.factor,
            "text": kind.render(row[kind.column]),
            "accuracy": 100 * row[f"{part}_accuracy_mean"],
            **{end: _percent(row[f"{part}_accuracy_{end}"]) for end in ("low", "high")},
            "is_front": place in front,
        }
        for place, row in enumerate(found)
    ]


def bar_rows(board: Sequence[Row], kind: CostKind) -> list[Row]:
    """One bar per network that has a figure, undertrained ones included: their costs are as real."""
    return [
        {
            "label": row_label(row),
            "has_stn": row["has_stn"],
            "cost": row[kind.column],
            "text": kind.render(row[kind.column]),
        }
        for row in board
        if row[kind.column] is not None
    ]


def _percent(fraction: float | None) -> float | None:
    return None if fraction is None else round(100 * fraction, 4)


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
    return f", {plural(numbers.pop(), 'thread')}" if len(numbers) == 1 else ""


def _cell(row: Row, place: tuple[str, str], measured: Sequence[Row], memory_bytes: int | None = None) -> Cell:
    """A latency; below it the memory, and the number of threads where the head could not say it."""
    latency, num_threads = (row[column] for column in place)
    below = [] if memory_bytes is None else [format_bytes(memory_bytes)]
    if num_threads is not None and not _in_head(measured, place):
        below.append(plural(num_threads, "thread"))
    return Cell(text=format_milliseconds(latency), below=", ".join(below))


def _machine(results: Results, device: str) -> str:
    machine = devices_of(results)[device][0].machine
    return f"{machine.cpu_name}, {plural(machine.num_cores, 'core')}"


def cost_sentences(results: Results, board: Sequence[Row]) -> list[str]:
    """In which cost the networks lie furthest apart, who took most of the time, and who waited for data."""
    return [sentence for sentence in (_spread(board), _share(results), _waiting(results)) if sentence]


def _spread(board: Sequence[Row]) -> str:
    """How far apart the networks lie in each cost, the widest first."""
    rows = [row for row in board if row["status"] in ("complete", "incomplete")]
    kinds = [kind for kind in COSTS if kind.column not in SIDE_COSTS and all(row[kind.column] for row in rows)]
    if len(rows) < 2 or not kinds:
        return ""
    factors = {kind: _highest(rows, kind)[kind.column] / _lowest(rows, kind)[kind.column] for kind in kinds}
    kinds.sort(key=lambda kind: -factors[kind])
    apart = [f"{format_factor(factors[kind])} in {kind.word}" for kind in kinds]
    if dominating(list(factors.values())) is None:
        return f"No single cost dominates: from cheapest to dearest network lies a factor of {join_words(apart)}."
    first = kinds[0]
    cheap, dear = row_label(_lowest(rows, first)), row_label(_highest(rows, first))
    return (
        f"The cost that dominates is {first.word}: a factor of {format_factor(factors[first])} lies between {cheap} "
        f"and {dear}, against {join_words(apart[1:])}."
    )


def _lowest(rows: Sequence[Row], kind: CostKind) -> Row:
    return min(rows, key=lambda row: row[kind.column])


def _highest(rows: Sequence[Row], kind: CostKind) -> Row:
    return max(rows, key=lambda row: row[kind.column])


def _share(results: Results) -> str:
    """The network that took more than half of the study's training time."""
    seconds = {v.label: sum(record.cost.train_seconds for record in v.records) for v in results.variants if v.records}
    whole = sum(seconds.values())
    label = max(seconds, key=lambda one: seconds[one], default="")
    if len(seconds) < 3 or whole <= 0 or seconds[label] <= whole / 2:
        return ""
    return f"{label} took {100 * seconds[label] / whole:.0f} % of all {format_seconds(whole)} of training."


def _waiting(results: Results) -> str:
    labels = [variant.label for variant in results.variants if variant.records and waits_for_data(variant)]
    if not labels:
        return ""
    return f"More than half of the training time of {join_words(labels)} went into making batches."


def _cost_figure(results: Results, board: list[Row]) -> Figure | None:
    panels = {
        (kind, part): panel for part in ("val", "test") for kind in COSTS if (panel := _cost_panel(board, kind, part))
    }
    if not panels:
        return None
    said = []
    for kind in dict.fromkeys(kind for kind, _ in panels):
        front = [row["label"] for row in cost_rows(board, kind) if row["is_front"]]
        said.append(f"{kind.title}: {join_words(front)}")
    caption = (
        "Mean accuracy with its 95 % interval against what a network costs; logarithmic horizontal axes. Filled, on "
        "the dashed line: no other network has a higher mean at no more cost (the Pareto front, by means alone: the "
        "intervals say how sure); open: another one has. Blue circles: without STN; vermilion triangles: with STN. A "
        "line that reaches the frame goes on beyond it. Validation first, because choosing by test would flatter the "
        "chosen."
    )
    return Figure(
        name="pareto",
        caption=caption,
        alt=f"Validation accuracy against costs. On the Pareto front: {'; '.join(said)}.",
        key=f"{KEY_STN}; filled and dashed: Pareto front",
        panels=tuple(panel for (_, part), panel in panels.items() if part == "val"),
        num_columns=3,
        findings=tuple(cost_sentences(results, board)),
        views=tuple(
            View(across=kind.word, down=PART_WORDS[part], panel=replace(panel, height=VIEW_HEIGHT))
            for (kind, part), panel in panels.items()
        ),
    )


def _cost_panel(board: list[Row], kind: CostKind, part: str) -> Panel | None:
    """Accuracy against one cost; None below two points."""
    rows = cost_rows(board, kind, part)
    if len(rows) < 2:
        return None
    place_labels(rows)
    title = f"{kind.title}, {kind.unit}" if kind.unit else kind.title
    return draw_costs(rows, title, f"{PART_WORDS[part]} accuracy, %", cost_axes(rows), is_count=not kind.unit)


def _bar_figure(board: list[Row]) -> Figure | None:
    drawn = [(kind, bar_rows(board[:MAX_BARS], kind)) for kind in COSTS]
    first = f" The first {MAX_BARS} of {len(board)}." if len(board) > MAX_BARS else ""
    panels = [draw_bars(rows, kind.title, [row["label"] for row in rows]) for kind, rows in drawn if rows]
    if not panels:
        return None
    caption = (
        "The same costs as lengths from zero, so that a bar twice as long is twice the cost; networks in the order of "
        "the leaderboard. Blue: without STN; vermilion: with STN. k: thousand, M: million."
        f"{first}"
    )
    alt = "Bars of parameters, MACs, size, training time, latency and memory; the numbers stand in the leaderboard."
    return Figure(name="costs", caption=caption, alt=alt, key=KEY_STN, panels=tuple(panels), num_columns=3)
