"""The leaderboard: accuracy, compact letters and cost of every network, and how far each is from added systems."""

from dataclasses import dataclass

from roadtest.analysis import (
    ACCURACY,
    GOOD_NUM_SEEDS,
    METRICS,
    Estimate,
    Results,
    Variant,
    estimate_score,
    external_difference_rows,
    judge_networks,
    leading_sentence,
    missing_class_sentence,
    order_sentence,
    seed_only_accuracy,
)
from roadtest.analysis.costs import COSTS
from roadtest.analysis.external import STATUS as ADDED
from roadtest.format import (
    DASH,
    PART_WORDS,
    WHERE,
    Row,
    capitalise,
    format_design_effect,
    format_gain_interval,
    format_interval,
    format_percent_bare,
    format_points,
    format_units,
    plural,
    statement_about,
)
from roadtest.records import row_label
from roadtest.report.blocks import (
    Block,
    Cell,
    Column,
    Command,
    Context,
    Details,
    Section,
    Table,
    Text,
    Words,
    describe_more_runs,
    describe_status,
    make_table,
    present,
)
from roadtest.report.sections.methods import portable_command

LINES = {
    "diverged": "A seed diverged: not compared, because the mean over the other seeds would flatter",
    "undertrained": "Under the line: too little training to compare (less than two passes over the training images)",
    ADDED: "Added: not trained here, judged on the same images; costs were not measured",
}
"""Above the first row of a status."""


def section(context: Context) -> Section:
    """Who leads, the leaderboard, and folded below it what its accuracies rest on and the other metrics."""
    results = context.results
    intro = "Validation puts the networks in order, and chooses; test only confirms. So the test figure of the first "
    intro += "network is not the largest of many by chance."
    if not any(record.test is not None for record in results.records):
        intro = "Validation puts the networks in order, and chooses. No test set was read that could confirm it."
    leading = leading_sentence(results) if len(judge_networks(results).variants) > 1 else ""
    blocks = present(
        Text(text=intro),
        Text(text=leading, kind="finding") if leading else None,
        more_seeds_block(context),
        leaderboard_table(context),
        _folded("Every accuracy, its two intervals, and what they rest on", accuracy_table(context)),
        _folded("Balanced accuracy, macro-F1 and worst-class recall", metrics_table(context)),
    )
    rows = {"leaderboard": context.all_rows}
    return Section(title="Leaderboard", anchor="leaderboard", short_title="Leaderboard", blocks=blocks, csv=rows)


def _folded(summary: str, table: Table | None) -> Block | None:
    return None if table is None else Details(summary=summary, blocks=(table,))


def more_seeds_block(context: Context) -> Command | None:
    """What would allow a verdict; None where there are seeds enough."""
    more = context.more_seeds
    if more is None:
        return None
    text = f"This command gives every network {GOOD_NUM_SEEDS} seeds: {describe_more_runs(more)}."
    return Command(text=text, command=portable_command(more.command, context.results))


def leaderboard_table(context: Context) -> Table:
    """Accuracy, letters and cost of every network; undertrained ones and added systems each under a line."""
    results, rows = context.results, context.all_rows
    judged, metric = judge_networks(results), results.chosen_by
    metrics = [] if metric.name == ACCURACY else [_score_column(capitalise(metric.words), metric.column, "validation")]

    def letters(row: Row) -> Cell:
        # a system may have a network's name, and has neither its letters nor its seeds
        found = DASH if row["status"] == ADDED else judged.letters.get(row_label(row)) or DASH
        return Cell(text=found, below="leading" if row_label(row) in judged.leading and found != DASH else "")

    columns = (
        _network_column(),
        *metrics,
        Column("Validation", lambda row: _score_cell(row, "val_accuracy"), "%"),
        Column("Test", lambda row: _score_cell(row, "test_accuracy"), "%"),
        *([Words("Letters", letters, WHERE[judged.split])] if judged.is_judged else []),
        Words("Rests on", lambda row: _basis_cell(results, row, judged.split)),
        *(Column(capitalise(kind.head), kind.render_row, kind.below) for kind in COSTS),
    )
    lines = {next((n for n, row in enumerate(rows) if row["status"] == status), -1): LINES[status] for status in LINES}
    lines.pop(-1, None)
    return make_table("leaderboard", _leaderboard_caption(context), rows, columns, lines=lines)


def _leaderboard_caption(context: Context) -> str:
    results = context.results
    judged = judge_networks(results)
    has_seeds = any(row["num_runs"] > 1 for row in context.leaderboard_rows)
    letters = (
        f" Networks that share a letter are not separated {WHERE[judged.split]}, which does not mean the same; "
        f"“leading” are the best one {WHERE[judged.split]} and all judged against it and not shown to be worse."
    )
    seeds = "".join(f" {words}" for words in (order_sentence(results), missing_class_sentence(results)) if words)
    return (
        f"Networks in the order of validation {results.chosen_by.words}.{seeds} Accuracies: mean"
        f"{' ± standard deviation over seeds' if has_seeds else ''}, below it the 95 % interval."
        f"{letters if judged.is_judged else ''} MACs: multiply-accumulates for one image (not FLOPs). Latency: median. "
        "A dash means not measured."
    )


def _network_column() -> Column:
    return Words("Network", lambda row: Cell(text=row_label(row), below=describe_status(row["status"])))


def _score_column(title: str, column: str, where: str) -> Column:
    split, place = ("test", "% on test") if where == "test" else ("val", "% in validation")
    return Column(title, lambda row: _score_cell(row, f"{split}_{column}"), place)


def _score_cell(row: Row, name: str) -> Cell:
    mean, deviation = row[f"{name}_mean"], row.get(f"{name}_std")
    if mean is None:
        return Cell(text=DASH)
    spread = "" if deviation is None else f" ± {100 * deviation:.2f}"
    return Cell(text=f"{100 * mean:.2f}{spread}", below=format_interval(row[f"{name}_low"], row[f"{name}_high"]))


def _basis_cell(results: Results, row: Row, split: str) -> Cell:
    """Seeds, and what the interval of the judged set rests on."""
    if row["status"] == ADDED:
        return Cell(text="one set of predictions")
    seeds = plural(row["num_runs"], "seed")
    variant = results.variant(row["network"], row["has_stn"])
    is_compared = variant is not None and variant.is_compared
    estimate = estimate_score(results, variant, split, metric=ACCURACY) if variant and is_compared else None
    if estimate is None:
        return Cell(text=seeds)
    clusters = format_units(estimate.num_clusters, estimate.cluster_noun)
    return Cell(text=seeds, below=f"{clusters}, {format_design_effect(estimate.design_effect)}")


@dataclass(frozen=True, kw_only=True)
class _Accuracy:
    """A network's accuracy on one set."""

    variant: Variant
    split: str
    estimate: Estimate


def accuracy_table(context: Context) -> Table | None:
    """Each accuracy with its two intervals, kept apart, and what they rest on; None where no interval is known."""
    results, subject = context.results, context.subject
    losses = {row_label(row): row["test_loss_mean"] for row in context.leaderboard_rows}
    rows = [
        _Accuracy(variant=variant, split=split, estimate=estimate)
        for split in ("test", "val")
        for variant in context.compared
        if (estimate := estimate_score(results, variant, split, metric=ACCURACY)) is not None
    ]
    if not rows:
        return None

    def again(row: _Accuracy) -> str:
        interval = seed_only_accuracy(results, row.variant, row.split)
        return format_interval(interval.low, interval.high) if interval else DASH

    def loss(row: _Accuracy) -> str:
        value = losses[row.variant.label] if row.split == "test" else None
        return DASH if value is None else f"{value:.3f}"

    columns = (
        Words("Network", lambda row: row.variant.label),
        Words("Set", lambda row: PART_WORDS[row.split]),
        Column("Accuracy", lambda row: format_percent_bare(row.estimate.value), "%"),
        Column("Trained again", again, "on these images"),
        Column(f"New {subject}", lambda row: format_interval(row.estimate.low, row.estimate.high), "of this kind"),
        Column("Seeds", lambda row: str(row.estimate.num_seeds), "n"),
        Words("Units", lambda row: format_units(row.estimate.num_clusters, row.estimate.cluster_noun)),
        Column("Design effect", lambda row: f"{row.estimate.design_effect:.1f}"),
        Column("Loss", loss, "nats"),
    )
    caption = (
        "Two statements, kept apart, each with its 95 % interval. “On these test images, if trained again” covers the "
        f"variance of seeds alone. “On new {subject} of this kind” covers the variance of seeds and of units, and is "
        "the one that verdicts use; with fewer than three seeds it speaks of these trained weights only. Units are "
        "independent of each other; a design effect of 12 means that twelve images say as much as one."
    )
    return make_table("accuracies", caption, rows, columns, files=("md", "tex"))


def metrics_table(context: Context) -> Table | None:
    """Every other metric of every network that was trained, in validation and on test; None before the first run."""
    rows = [row for row in context.leaderboard_rows if row["num_runs"]]
    if not rows:
        return None
    sets = ("validation", "test") if any(row["test_accuracy_mean"] is not None for row in rows) else ("validation",)
    others = [metric for metric in METRICS.values() if metric.name != ACCURACY]
    columns = [_score_column(capitalise(metric.words), metric.column, where) for metric in others for where in sets]
    caption = (
        "The metrics besides accuracy: the mean over the runs of each run’s figure, below it the 95 % interval where "
        f"an honest one is known. {capitalise(context.results.chosen_by.words)} puts the networks in order."
    )
    return make_table("metrics", caption, rows, [_network_column(), *columns], files=("md", "tex"))


def systems_section(context: Context) -> Section:
    """How far each network is from each added system."""
    return Section(
        title="Against what was added",
        anchor="systems",
        short_title="Added",
        blocks=present(systems_table(context.results)),
        csv={"systems": external_difference_rows(context.results)},
    )


def systems_table(results: Results) -> Table | None:
    """Every network against every added system; None where none was added, or none predicted the same images."""
    rows = external_difference_rows(results)
    if not rows:
        return None
    columns = (
        Words("Network", row_label),
        Words("Against", lambda row: row["system"]),
        Words("Set", lambda row: PART_WORDS[row["part"]]),
        Column("Network", lambda row: format_percent_bare(row["network_accuracy"]), "accuracy, %"),
        Column("System", lambda row: format_percent_bare(row["system_accuracy"]), "accuracy, %"),
        Column("Difference", _difference_cell, "points"),
        Column("Only network right", lambda row: f"{row['num_only_network']:,.4g}", "images"),
        Column("Only system right", lambda row: f"{row['num_only_system']:,.4g}", "images"),
        Words("Rests on", _system_basis_cell),
    )
    statement = statement_about(rows[0]["statement"], results.info.subject)
    caption = (
        "Each network minus each added system in accuracy, in points, and below it the 95 % interval, paired by image. "
        f"It speaks of: {statement}. No verdict is given: one set of predictions says nothing about the "
        "variance of training. Images only one of the two got right: the mean over the network’s seeds."
    )
    return make_table("systems", caption, rows, columns, max_rows=200)


def _difference_cell(row: Row) -> Cell:
    return Cell(text=format_points(row["gain"]), below=format_gain_interval(row["gain_low"], row["gain_high"]))


def _system_basis_cell(row: Row) -> Cell:
    images = plural(row["num_images"], "image")
    clusters = "" if row["unit_name"] == "images" else f"{format_units(row['num_units'], row['unit_name'])}, "
    return Cell(text=plural(row["num_seeds"], "seed"), below=f"{clusters}{images}")
