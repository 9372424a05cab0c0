"""Accuracy against cost: points, bars and the sentence about them, latency here and on other devices.

Times are compared across a row, so the head of each column says with how many threads they were measured; where the
networks of one column had different numbers, each cell says its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import itemgetter

from roadtest.analysis import Results, Variant, device_column, devices_of, latency_rows, pareto_front, ranked_variants
from roadtest.analysis.costs import COSTS, NUM_THREADS, ONNX, WHAT_IS_TIMED, CostKind
from roadtest.format import (
    PART_WORDS,
    Row,
    format_bytes,
    format_factor,
    format_milliseconds,
    format_seconds,
    format_three_digits,
    join_words,
    plural,
)
from roadtest.records import row_label
from roadtest.records.measurements import is_exported
from roadtest.report.blocks import (
    Block,
    Cell,
    Column,
    Context,
    Section,
    Table,
    Text,
    Words,
    make_table,
    present,
)
from roadtest.report.charts import KEY_STN, VIEW_HEIGHT, Bar, CostPoint, Figure, Panel, View, draw_bars, draw_costs

MAX_BARS = 24
SIDE_COSTS = ("size_bytes", "peak_memory_bytes")
"""They follow from the number of parameters: beside it they would hide what stands out."""
DATA_SHARE = 0.5
"""Making batches takes so much of the training time: the data, not the network, sets the pace."""
DOMINATES = 2.0
"""One cost dominates: the networks lie at least so many times as far apart in it as in any other."""


def section(context: Context) -> Section:
    """Accuracy against every cost, the costs themselves, and latencies."""
    rows = context.leaderboard_rows
    latency, others = latency_table(context.results), other_devices_table(context)
    figures = present(pareto_figure(context), bar_figure(rows))
    blocks: tuple[Block, ...] = ()
    if figures or latency or others:
        exact = "Parameters, MACs and size are exact. Times and memory are those of the machine named below."
        missing = Text(text="Latency has not been measured yet.", kind="absent")
        blocks = present(Text(text=exact), *figures, latency or missing, others)
    csv = {"latency": latency_rows(context.results)}
    return Section(title="Accuracy and cost", anchor="costs", short_title="Cost", blocks=blocks, csv=csv)


def cost_points(rows: Sequence[Row], kind: CostKind, split: str = "val") -> list[CostPoint]:
    """One point per compared network: cost in the axis's unit, accuracy on `val` or `test` in percent, front or not."""
    found = [
        row
        for row in rows
        if row["status"] in ("complete", "incomplete")
        and row[f"{split}_accuracy_mean"] is not None
        and (row[kind.column] or 0) > 0
    ]
    front = pareto_front([row[kind.column] for row in found], [row[f"{split}_accuracy_mean"] for row in found])
    return [
        CostPoint(
            label=row_label(row),
            has_stn=row["has_stn"],
            cost=row[kind.column] * kind.factor,
            text=kind.render(row[kind.column]),
            accuracy=100 * row[f"{split}_accuracy_mean"],
            low=_percent(row[f"{split}_accuracy_low"]),
            high=_percent(row[f"{split}_accuracy_high"]),
            is_front=place in front,
        )
        for place, row in enumerate(found)
    ]


def _percent(fraction: float | None) -> float | None:
    return None if fraction is None else round(100 * fraction, 4)


def pareto_figure(context: Context) -> Figure | None:
    """Accuracy against each cost; None where no cost has two points."""
    rows = context.leaderboard_rows
    panels = {
        (kind, split): panel
        for split in ("val", "test")
        for kind in COSTS
        if (panel := _cost_panel(rows, kind, split)) is not None
    }
    if not panels:
        return None
    fronts = [
        f"{kind.title}: {join_words([point.label for point in cost_points(rows, kind) if point.is_front])}"
        for kind in dict.fromkeys(kind for kind, _ in panels)
    ]
    return Figure(
        name="pareto",
        caption="Mean accuracy with its 95 % interval against what a network costs; logarithmic horizontal axes. "
        "Filled, on the dashed line: no other network has a higher mean at no more cost (the Pareto front, by means "
        "alone: the intervals say how sure); open: another one has. Blue circles: without STN; vermilion triangles: "
        "with STN. A line that reaches the frame goes on beyond it. Validation first, because choosing by test would "
        "flatter the chosen.",
        alt=f"Validation accuracy against costs. On the Pareto front: {'; '.join(fronts)}.",
        key=f"{KEY_STN}; filled and dashed: Pareto front",
        panels=tuple(panel for (_, split), panel in panels.items() if split == "val"),
        num_columns=3,
        findings=tuple(cost_sentences(context.results, rows)),
        views=tuple(
            View(across=kind.word, down=PART_WORDS[split], panel=replace(panel, height=VIEW_HEIGHT))
            for (kind, split), panel in panels.items()
        ),
    )


def _cost_panel(rows: Sequence[Row], kind: CostKind, split: str) -> Panel | None:
    points = cost_points(rows, kind, split)
    if len(points) < 2:
        return None
    title = f"{kind.title}, {kind.unit}" if kind.unit else kind.title
    return draw_costs(points, title, f"{PART_WORDS[split]} accuracy, %", is_count=not kind.unit)


def bar_figure(rows: Sequence[Row]) -> Figure | None:
    """Every network that has a cost, undertrained ones included: their costs are as real."""
    bars = {
        kind: [
            Bar(
                label=row_label(row),
                has_stn=row["has_stn"],
                cost=row[kind.column],
                text=kind.render(row[kind.column]),
            )
            for row in rows[:MAX_BARS]
            if row[kind.column] is not None
        ]
        for kind in COSTS
    }
    panels = tuple(draw_bars(found, kind.title) for kind, found in bars.items() if found)
    if not panels:
        return None
    first = f" The first {MAX_BARS} of {len(rows)}." if len(rows) > MAX_BARS else ""
    return Figure(
        name="costs",
        caption="The same costs as lengths from zero, so that a bar twice as long is twice the cost; networks in the "
        f"order of the leaderboard. Blue: without STN; vermilion: with STN. k: thousand, M: million.{first}",
        alt="Bars of parameters, MACs, size, training time, latency and memory; the numbers are in the leaderboard.",
        key=KEY_STN,
        panels=panels,
        num_columns=3,
    )


def cost_sentences(results: Results, rows: Sequence[Row]) -> list[str]:
    """In which cost the networks lie furthest apart, who took most of the time, and who waited for data."""
    return [
        sentence for sentence in (_spread_sentence(rows), _share_sentence(results), _data_sentence(results)) if sentence
    ]


def _spread_sentence(rows: Sequence[Row]) -> str:
    """How far apart the networks lie in each cost, the widest first."""
    rows = [row for row in rows if row["status"] in ("complete", "incomplete")]
    kinds = [kind for kind in COSTS if kind.column not in SIDE_COSTS and all(row[kind.column] for row in rows)]
    if len(rows) < 2 or not kinds:
        return ""
    lows, highs = ({kind: end(rows, key=itemgetter(kind.column)) for kind in kinds} for end in (min, max))
    ratios = {kind: highs[kind][kind.column] / lows[kind][kind.column] for kind in kinds}
    kinds.sort(key=lambda kind: -ratios[kind])
    apart = [f"{format_factor(ratios[kind])} in {kind.word}" for kind in kinds]
    if dominating(list(ratios.values())) is None:
        return f"No single cost dominates: between the lowest and the highest lies a factor of {join_words(apart)}."
    first = kinds[0]
    low, high = row_label(lows[first]), row_label(highs[first])
    return (
        f"The cost that dominates is {first.word}: a factor of {format_factor(ratios[first])} lies between {low} "
        f"and {high}, against {join_words(apart[1:])}."
    )


def dominating(ratios: Sequence[float]) -> int | None:
    """The place of the cost in which networks lie by far the furthest apart; None where no cost stands out."""
    if len(ratios) < 2:
        return None
    first, second = sorted(range(len(ratios)), key=lambda place: -ratios[place])[:2]
    return first if ratios[first] >= DOMINATES * ratios[second] else None


def _share_sentence(results: Results) -> str:
    """The network that took more than half of the study's training time."""
    seconds = {v.label: sum(record.cost.train_seconds for record in v.records) for v in results.variants if v.records}
    whole = sum(seconds.values())
    label = max(seconds, key=lambda one: seconds[one], default="")
    if len(seconds) < 3 or whole <= 0 or seconds[label] <= whole / 2:
        return ""
    return f"{label} took {100 * seconds[label] / whole:.0f} % of all {format_seconds(whole)} of training."


def _data_sentence(results: Results) -> str:
    labels = [variant.label for variant in results.variants if waits_for_data(variant)]
    return f"More than half of the training time of {join_words(labels)} went into making batches." if labels else ""


def waits_for_data(variant: Variant) -> bool:
    """Whether making batches takes most of a network's training time."""
    whole = sum(record.cost.train_seconds for record in variant.records)
    return whole > 0 and sum(record.cost.data_seconds for record in variant.records) >= DATA_SHARE * whole


def latency_table(results: Results) -> Table | None:
    """Percentiles per network and batch size; None where nothing was measured."""
    ranks = {variant.label: rank for rank, variant in enumerate(ranked_variants(results))}
    rows = latency_rows(results)
    rows.sort(key=lambda row: (row["batch_size"], ranks.get(row_label(row), len(ranks))))
    if not rows:
        return None
    columns = (
        Words("Network", row_label),
        Words("Runtime", lambda row: f"{row['runtime']}, {row['device']}, {plural(row['num_threads'], 'thread')}"),
        Column("Batch", lambda row: str(row["batch_size"]), "images"),
        Column("Median", lambda row: format_three_digits(row["latency_p50_ms"]), "ms"),
        Column("p90", lambda row: format_three_digits(row["latency_p90_ms"]), "ms"),
        Column("p99", lambda row: format_three_digits(row["latency_p99_ms"]), "ms"),
        Column("Per image", lambda row: format_three_digits(row["latency_p50_ms"] / row["batch_size"]), "ms"),
        Column("Samples", _samples_cell, "n"),
    )
    rounds = plural(max(row["num_rounds"] for row in rows), "round")
    timed = f" {WHAT_IS_TIMED}" if any(is_exported(row) for row in rows) else ""
    caption = (
        f"Latency of a forward pass after warm-up, in one process, networks taking turns over {rounds}; half, 90 % and "
        f"99 % of the samples are faster than the numbers shown.{timed}"
    )
    return make_table("latency", caption, rows, columns)


def _samples_cell(row: Row) -> Cell:
    return Cell(text=str(row["num_samples"]), below="machine was busy" if row["is_busy"] else "")


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Where a network was timed, and the leaderboard's columns with what was measured there."""

    title: str
    engine: str = "ONNX Runtime"
    latency: str
    num_threads: str
    peak_memory: str = ""
    """Empty on this computer."""


def other_devices_table(context: Context) -> Table | None:
    """Latency of one image on each device, and memory where a device reports it; None where nothing was exported."""
    results, rows, devices = context.results, context.leaderboard_rows, devices_of(context.results)
    places = [_Place(title="Here", latency=device_column(ONNX), num_threads=device_column(ONNX, "num_threads"))]
    places += [
        _Place(
            title=device,
            latency=device_column(device),
            num_threads=device_column(device, "num_threads"),
            peak_memory=device_column(device, "peak_memory_bytes"),
        )
        for device in devices
    ]
    places = [place for place in places if any(row.get(place.latency) is not None for row in rows)]
    rows = [row for row in rows if any(row.get(place.latency) is not None for place in places)]
    if not rows:
        return None
    here = _Place(title="Here", engine="PyTorch", latency="latency_p50_ms", num_threads=NUM_THREADS)
    columns = [Words("Network", row_label), *(_place_column(place, rows) for place in (here, *places))]
    machines = "; ".join(
        f"{place.title}: {_describe_machine(results, place.title)}" for place in places if place.peak_memory
    )
    caption = (
        "Exported networks: median latency of one image in float32, with as many threads as were measured at most. "
        f"{WHAT_IS_TIMED} A dash means not measured.{f' {machines}.' if machines else ''}"
    )
    return make_table("elsewhere", caption, rows, columns, files=("md", "tex"))


def _place_column(place: _Place, rows: Sequence[Row]) -> Column:
    """A latency; below it the memory, and the number of threads where the head cannot say it."""
    numbers = {row[place.num_threads] for row in rows} - {None}
    is_common = len(numbers) == 1

    def cell(row: Row) -> Cell:
        memory, num_threads = row[place.peak_memory] if place.peak_memory else None, row[place.num_threads]
        below = [] if memory is None else [format_bytes(memory)]
        below += [] if num_threads is None or is_common else [plural(num_threads, "thread")]
        return Cell(text=format_milliseconds(row[place.latency]), below=", ".join(below))

    head = place.engine + (f", {plural(numbers.pop(), 'thread')}" if is_common else "")
    return Column(place.title, cell, f"{head}, memory below" if place.peak_memory else head)


def _describe_machine(results: Results, device: str) -> str:
    machine = devices_of(results)[device][0].machine
    return f"{machine.cpu_name}, {plural(machine.num_cores, 'core')}"
