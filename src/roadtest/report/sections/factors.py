"""What one factor did, all else equal: the Spatial Transformer, and pretraining."""

from collections.abc import Callable

from roadtest.analysis import Results, pretraining_rows, stn_rows
from roadtest.analysis.costs import SIMILAR_COST_RATIO
from roadtest.analysis.factors import BENEFICIAL, NOT_BENEFICIAL, STARTS
from roadtest.analysis.stats import NOT_DECIDED
from roadtest.format import (
    DASH,
    PART_WORDS,
    Row,
    format_change,
    format_design_effect,
    format_gain_interval,
    format_milliseconds,
    format_points,
    format_seconds,
    format_share,
    format_short_count,
    format_times,
    format_units,
    join_words,
    plural,
)
from roadtest.records import row_label
from roadtest.report.blocks import (
    STATUS_WORDS,
    Block,
    Cell,
    Column,
    Context,
    Heading,
    Section,
    Table,
    Text,
    Words,
    gain_cell,
    make_table,
    present,
)
from roadtest.report.charts import KEY_SETS, Figure, IntervalPoint, draw_intervals, interval_domain
from roadtest.report.sections.errors import stn_examples

NOT_JUDGED = "not judged"


def stn_section(context: Context) -> Section:
    """What the STN brought and cost each network, and what it did to some images."""
    table = stn_table(context.results)
    blocks: tuple[Block, ...] = ()
    if table is not None:
        blocks = present(
            Text(
                text="Each network with the STN in front against the same network without it: same seeds, same "
                "folds, same images."
            ),
            table,
            gain_figure(context.results),
            Heading(text="Before and after the transformer"),
            *stn_examples(context),
        )
    return Section(
        title="What the Spatial Transformer did",
        anchor="stn",
        short_title="STN",
        blocks=blocks,
        csv={"stn": stn_rows(context.results)},
    )


def pretraining_section(context: Context) -> Section:
    """What pretrained weights brought each network."""
    return Section(
        title="What pretraining brought",
        anchor="pretraining",
        short_title="Pretraining",
        blocks=present(pretraining_table(context.results)),
        csv={"pretraining": pretraining_rows(context.results)},
    )


def pretraining_table(results: Results) -> Table | None:
    """What pretrained weights brought each network; None where no network ran from both starts."""
    rows = [row for row in pretraining_rows(results) if row["num_runs"]]
    if not rows:
        return None

    def both(title: str, name: str, render: Callable[[float], str]) -> Column:
        def cell(row: Row) -> str:
            return " → ".join(render(row[f"{name}_{start}"]) for start in STARTS)

        return Column(title, cell, "from scratch → pretrained")

    columns = (
        Words("Network", lambda row: Cell(text=row_label(row), below=str(row["pretrained_weights"] or ""))),
        Column("Seeds", lambda row: str(row["num_runs"]), "n"),
        Column("Validation gain", lambda row: gain_cell(row, "val"), "points"),
        Column("Test gain", lambda row: gain_cell(row, "test"), "points"),
        both("Learning rate", "learning_rate", "{:g}".format),
        both("Epochs", "num_epochs", "{:.1f}".format),
        both("Training", "train_seconds", format_seconds),
    )
    caption = (
        f"What pretraining brought: {results.chosen_by.words} of the network that started from pretrained weights "
        "minus that of the same network from scratch, and below it the 95 % interval. Each start has a learning rate "
        "of its own; pretrained weights bring the normalisation of the images they were trained on."
    )
    return make_table("pretraining", caption, rows, columns)


def stn_table(results: Results) -> Table | None:
    """What the STN brought and cost for each network; None where no network ran in both forms."""
    rows = stn_rows(results)
    if not any(row["added_num_parameters"] is not None for row in rows):
        return None
    columns = (
        Words("Network", lambda row: row["network"]),
        Column("Validation gain", lambda row: gain_cell(row, "val"), "points"),
        Column("Test gain", lambda row: gain_cell(row, "test"), "points"),
        Words("Rests on", _basis_cell),
        Words("The STN", _benefit_cell),
        Column("Parameters", lambda row: _added_cell(results, row, "num_parameters"), "added"),
        Column("MACs", lambda row: _added_cell(results, row, "macs"), "added"),
        Column(
            "Training",
            lambda row: _both_cell(row, "train_seconds_per_epoch", format_seconds),
            "an epoch, without → with",
        ),
        Column("Latency", lambda row: _both_cell(row, "latency_p50_ms", format_milliseconds), "without → with"),
    )
    caption = (
        f"What the STN brought and cost each network: {results.chosen_by.words} with it minus without it, and below it "
        f"the 95 % interval. It pays where validation shows a gain of more than {results.tolerance_points:g} "
        "percentage points, does not pay where it shows less, and is not decided else; what test says of it is "
        "below. Times are those of this machine."
    )
    return make_table("stn", caption, rows, columns)


def _basis_cell(row: Row) -> Cell:
    """Seeds and the clusters of validation, below them those of test."""

    def clusters(split: str) -> str:
        number, noun = row[f"{split}_num_units"], row[f"{split}_unit_name"]
        if number is None:
            return ""
        effect = "" if noun == "folds" else f", {format_design_effect(row[f'{split}_design_effect'])}"
        return f"{format_units(number, noun)}{effect}"

    val, test = clusters("val"), clusters("test")
    seeds = plural(row["num_runs"], "seed")
    return Cell(text=f"{seeds}, {val}" if val else seeds, below=f"test: {test}" if test else "")


def describe_benefit(row: Row) -> str:
    """`pays`, `does not pay`, `not decided`, or why nothing is said."""
    if row["worth"] is None:
        return STATUS_WORDS[row["status"]] if row["status"] != "compared" else "no interval"
    return row["worth"] if row["worth"] in (BENEFICIAL, NOT_BENEFICIAL, NOT_DECIDED) else NOT_JUDGED


def _benefit_cell(row: Row) -> Cell:
    is_decided = row["test_worth"] in (BENEFICIAL, NOT_BENEFICIAL, NOT_DECIDED)
    below = f"on test: {row['test_worth']}" if is_decided and row["worth"] else ""
    return Cell(text=describe_benefit(row), below=below)


def _added_cell(results: Results, row: Row, name: str) -> Cell:
    added, off = row[f"added_{name}"], results.variant(row["network"], False)
    if added is None or off is None or not off.records:
        return Cell(text=DASH)
    share = added / max(getattr(off.records[0].cost, name), 1)
    return Cell(text=f"+{format_short_count(added)}", below=f"+{format_share(share)}")


def _both_cell(row: Row, name: str, render: Callable[[float | None], str]) -> Cell:
    off, on = row[f"{name}_without"], row[f"{name}_with"]
    return Cell(text=f"{render(off)} → {render(on)}", below=format_change(on / off - 1) if off and on else "")


def gain_points(results: Results) -> list[IntervalPoint]:
    """What the STN added for each network, in percentage points with an interval."""
    return [
        IntervalPoint(
            label=row["network"],
            has_stn=True,
            set=PART_WORDS[split],
            n=row["num_runs"],
            value=100 * row[f"{split}_gain"],
            low=100 * row[f"{split}_gain_low"],
            high=100 * row[f"{split}_gain_high"],
        )
        for row in stn_rows(results)
        for split in ("test", "val")
        if row[f"{split}_gain"] is not None
    ]


def gain_figure(results: Results) -> Figure | None:
    """The gain through the STN, with its interval; None where nothing can be compared."""
    points = gain_points(results)
    if not points:
        return None
    domain = interval_domain(points, has_zero=True)
    said = join_words([f"{point.label} {point.value:+.2f} points in {point.set}" for point in points])
    return Figure(
        name="stn-gain",
        caption=f"What the STN added to {results.chosen_by.words}, in percentage points; in validation by folds over "
        "the seeds that both forms of a network finished. Filled diamonds: test; open circles: validation; lines: 95 % "
        "intervals, each on its own. A line that reaches the frame goes on beyond it.",
        alt=f"Gain through the STN: {said}.",
        key=KEY_SETS,
        panels=(draw_intervals(points, "gain through the STN, percentage points", domain, marks_zero=True),),
        findings=tuple(stn_sentences(results)),
    )


def stn_sentences(results: Results) -> list[str]:
    """For each network whether the STN pays, what it brings and what it costs."""
    return [_stn_sentence(row) for row in stn_rows(results) if row["val_gain"] is not None]


def _stn_sentence(row: Row) -> str:
    gain = f"{format_points(row['val_gain'])} points in validation"
    gain += f" ({format_gain_interval(row['val_gain_low'], row['val_gain_high'])})"
    ends = {"training time": "train_seconds_per_epoch", "latency": "latency_p50_ms"}
    both = {what: (row[f"{name}_without"], row[f"{name}_with"]) for what, name in ends.items()}
    costs = [
        f"{format_times(on / off)} the {what}"
        for what, (off, on) in both.items()
        if off and on and on / off >= SIMILAR_COST_RATIO
    ]
    price = f" It costs {join_words(costs)}." if costs else ""
    start, tolerance = f"For {row['network']} the STN", f"{row['tolerance_points']:g} points"
    said = {
        BENEFICIAL: f"{start} pays: {gain}, shown to be more than {tolerance}.",
        NOT_BENEFICIAL: f"{start} does not pay: {gain}, shown to be less than {tolerance}.",
        NOT_DECIDED: f"Whether the STN pays for {row['network']} is not decided: {gain}, against {tolerance} that "
        "matter.",
    }
    observed = f"{start} brought {gain}: observed with {plural(row['num_runs'], 'seed')}, not judged."
    return said.get(row["worth"], observed) + price
