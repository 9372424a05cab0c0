"""The tables of the judgement: every accuracy and what it rests on, all pairs, the STN's worth, the report's claims."""

from collections.abc import Callable, Sequence

from roadtest.report import words
from roadtest.report.pair_rows import judged_pairs
from roadtest.report.table import Cell, Column, Row, Table
from roadtest.summarise import (
    Judged,
    Results,
    Variant,
    estimate_accuracy,
    judge_networks,
    ranked_variants,
    retrained_accuracy,
    stn_rows,
)
from roadtest.summarise.words import speak_of

STATUS_WORDS = {
    "complete": "complete",
    "incomplete": "some runs missing",
    "undertrained": "too little training",
    "diverged": "a seed diverged",
    "failed": "failed",
    "waiting": "not run yet",
    "compared": "compared",
}
AGAIN = "Trained again"
NOT_JUDGED = "not judged"


def _on_new(results: Results) -> str:
    return speak_of("new signs", results.info.data_title).capitalize()


def accuracy_table(results: Results, board: Sequence[Row]) -> Table | None:
    """Each accuracy with its two statements, kept apart, and what the interval rests on."""
    compared = [variant for variant in ranked_variants(results) if variant.is_compared]
    parts = [part for part in ("test", "val") if any(_estimates(results, compared, part))]
    if not parts:
        return None
    losses = {(row["network"], row["has_stn"]): row["test_loss_mean"] for row in board}
    rows = []
    for part in parts:
        for variant in compared:
            row = _accuracy_row(results, variant, part, losses[variant.network, variant.has_stn])
            rows += [row] if row else []
    columns = (
        Column(title="Network", is_number=False),
        Column(title="Set", is_number=False),
        Column(title="Accuracy", unit="%"),
        Column(title=AGAIN, unit="on these images"),
        Column(title=_on_new(results), unit="of this kind"),
        Column(title="Seeds", unit="n"),
        Column(title="Units", is_number=False),
        Column(title="Design effect"),
        Column(title="Loss", unit="nats"),
    )
    caption = (
        "Two statements, kept apart, each with its 95 % interval. “On these test images, if trained again” knows the "
        "luck of seeds alone. “On new signs of this kind” knows the luck of seeds and of units, and is the one that "
        "verdicts use; with fewer than three seeds it speaks of these trained weights only. A unit stands or falls by "
        "itself; a design effect of 12 means that twelve images tell as much as one."
    )
    return Table(name="accuracies", caption=caption, columns=columns, rows=tuple(rows), files=("md", "tex"))


def _estimates(results: Results, variants: Sequence[Variant], part: str) -> list[bool]:
    return [estimate_accuracy(results, variant, part) is not None for variant in variants]


def _accuracy_row(results: Results, variant: Variant, part: str, loss: float | None) -> tuple[Cell, ...] | None:
    estimate = estimate_accuracy(results, variant, part)
    if estimate is None:
        return None
    again = retrained_accuracy(results, variant, part)
    shown_loss = words.DASH if part == "val" or loss is None else f"{loss:.3f}"
    return (
        Cell(text=variant.label),
        Cell(text=words.PART_WORDS[part]),
        Cell(text=words.bare_percent(estimate.value)),
        Cell(text=words.interval(again.low, again.high) if again else words.DASH),
        Cell(text=words.interval(estimate.low, estimate.high)),
        Cell(text=str(estimate.num_seeds)),
        Cell(text=words.units(estimate.num_units, estimate.unit_name)),
        Cell(text=f"{estimate.design_effect:.1f}"),
        Cell(text=shown_loss),
    )


def verdict_table(results: Results) -> Table | None:
    """All pairs of networks; None where there is nothing to compare."""
    pairs = judged_pairs(results)
    if not pairs:
        return None
    judged = judge_networks(results)
    has_again = any(row["seeds_low"] is not None for row in pairs)
    again = [Column(title=AGAIN, unit=f"on these {words.PART_WORDS[judged.part]} images")] if has_again else []
    verdicts = (
        Column(title="p", unit="corrected"),
        Column(title="Verdict", is_number=False),
        Column(title="To separate them", is_number=False),
    )
    columns = (
        Column(title="Network", is_number=False),
        Column(title="Against", is_number=False),
        Column(title="Difference", unit="points"),
        *again,
        Column(
            title=_on_new(results) if has_again else "95 % interval", unit="of this kind" if has_again else "points"
        ),
        *(verdicts[:2] if judged.is_judged else ()),
        Column(title="Rests on", is_number=False),
        *(verdicts[2:] if judged.is_judged else ()),
    )
    rows = tuple(_verdict_cells(row, has_again=has_again, is_judged=judged.is_judged) for row in pairs)
    caption = _verdict_caption(results, judged, pairs, has_again=has_again)
    return Table(name="verdicts", caption=caption, columns=columns, rows=rows)


def _verdict_cells(row: Row, *, has_again: bool, is_judged: bool) -> tuple[Cell, ...]:
    better = f"{row['better']} is better" if row["better"] else ""
    again = words.gain_interval(row["seeds_low"], row["seeds_high"]) or words.DASH
    verdicts = (Cell(text=words.p_value(row["p_adjusted"])), Cell(text=row["finding"], below=better))
    return (
        Cell(text=row["a"]),
        Cell(text=row["b"]),
        Cell(text=words.DASH if row["gain"] is None else words.points(row["gain"])),
        *([Cell(text=again)] if has_again else []),
        Cell(text=words.gain_interval(row["gain_low"], row["gain_high"]) or words.DASH),
        *(verdicts if is_judged else ()),
        _basis_cell(row),
        *([_more_cell(row)] if is_judged else []),
    )


def _basis_cell(row: Row) -> Cell:
    if row["num_units"] is None:
        return Cell(text=words.plural(row["num_seeds"], "seed"))
    units = words.units(row["num_units"], row["unit_name"])
    of_a, of_b = row["num_seeds_a"], row["num_seeds_b"]
    both = words.plural(of_b, "seed") if of_a == of_b else f"{of_a} and {words.plural(of_b, 'seed')}"
    seeds = "" if row["unit_name"] == "folds" else f"{both}, "
    below = "" if row["unit_name"] == "folds" else words.design_effect(row["design_effect"])
    return Cell(text=f"{seeds}{units}", below=below)


def _more_cell(row: Row) -> Cell:
    if row["what_more_would_cost"] is None:
        return Cell(text=words.DASH)
    seconds = row["train_seconds_per_seed"]
    has_seeds = row["least_more_seeds"] is not None and seconds
    return Cell(
        text=row["what_more_would_cost"], below=f"{words.seconds(seconds)} for a seed of both" if has_seeds else ""
    )


def _verdict_caption(results: Results, judged: Judged, pairs: Sequence[Row], *, has_again: bool) -> str:
    where = words.PART_WORDS[judged.part]
    first = f"All pairs of networks on {where}: the first minus the second in {results.chosen_by.words}, in points. "
    statement = judged.statement or next((row["statement"] for row in pairs if row["statement"]), "no statement")
    speaks = f"The 95 % intervals speak of: {statement}. "
    if has_again:
        speaks = (
            "Two 95 % intervals, kept apart: on these images, if trained again (seeds alone), and on new signs of this "
            "kind (seeds and units). "
        )
    if not judged.is_judged:
        return f"{first}{speaks}Observed with too few seeds for a verdict."
    return (
        f"{first}{speaks}Each interval stands by itself; p and verdict are after Holm’s correction for all pairs, and "
        "rest on the wider statement. “Not separated” does not mean the same. What more seeds would do takes the "
        "difference seen for the true one: an order of magnitude."
    )


def stn_table(results: Results) -> Table | None:
    """What the STN brought and cost for each network; None where no network ran in both forms."""
    pairs = stn_rows(results)
    if not any(row["added_num_parameters"] is not None for row in pairs):
        return None
    columns = (
        Column(title="Network", is_number=False),
        Column(title="Validation gain", unit="points"),
        Column(title="Test gain", unit="points"),
        Column(title="Rests on", is_number=False),
        Column(title="The STN", is_number=False),
        Column(title="Parameters", unit="added"),
        Column(title="MACs", unit="added"),
        Column(title="Training", unit="an epoch, without → with"),
        Column(title="Latency", unit="without → with"),
    )
    rows = tuple(
        (
            Cell(text=row["network"]),
            gain_cell(row, "val"),
            gain_cell(row, "test"),
            _gains_basis_cell(row),
            _worth_cell(row),
            _added_cell(results, row, "num_parameters"),
            _added_cell(results, row, "macs"),
            _without_with(row, "train_seconds_per_epoch", words.seconds),
            _without_with(row, "latency_p50_ms", words.milliseconds),
        )
        for row in pairs
    )
    tolerance = f"{results.tolerance_points:g} percentage points"
    caption = (
        f"What the STN brought and cost each network: {results.chosen_by.words} with it minus without it, and below it "
        f"the 95 % interval. It pays where validation shows a gain of more than {tolerance}, does not pay where it "
        "shows less, and is not decided else; what test says of it stands below. Times are those of this machine."
    )
    return Table(name="stn", caption=caption, columns=columns, rows=rows)


def worth_words(row: Row) -> str:
    """`pays`, `does not pay`, `not decided`, or why nothing is said."""
    if row["worth"] is None:
        return STATUS_WORDS[row["status"]] if row["status"] != "compared" else "no interval"
    return NOT_JUDGED if row["worth"].startswith(NOT_JUDGED) else str(row["worth"])


def claims_table(rows: Sequence[Row]) -> Table | None:
    """The claims of the student report that this comparison answers; None where there are none."""
    if not rows:
        return None
    columns = (
        Column(title="The report says", is_number=False),
        Column(title="These records", is_number=False),
        Column(title="Because", is_number=False),
    )
    cells = tuple(
        (Cell(text=row["claim"]), Cell(text=row["verdict"]), Cell(text=row["evidence"] or words.DASH)) for row in rows
    )
    caption = (
        "What a student report on the same networks claimed, and what the records of this study say of it. “Not "
        "decided” is neither yes nor no."
    )
    return Table(name="claims", caption=caption, columns=columns, rows=cells)


def _gains_basis_cell(row: Row) -> Cell:
    """Seeds and the units of validation, below them those of test."""
    seeds = words.plural(row["num_runs"], "seed")
    val, test = (_units_of(row, part) for part in ("val", "test"))
    return Cell(text=f"{seeds}, {val}" if val else seeds, below=f"test: {test}" if test else "")


def _units_of(row: Row, part: str) -> str:
    """`421 tracks, design effect 6.6`; a fold is a unit without one."""
    number, name = row[f"{part}_num_units"], row[f"{part}_unit_name"]
    if number is None:
        return ""
    effect = "" if name == "folds" else f", {words.design_effect(row[f'{part}_design_effect'])}"
    return f"{words.units(number, name)}{effect}"


def _worth_cell(row: Row) -> Cell:
    said = row["test_worth"]
    below = f"on test: {said}" if said and not said.startswith(NOT_JUDGED) and row["worth"] else ""
    return Cell(text=worth_words(row), below=below)


def gain_cell(row: Row, part: str) -> Cell:
    """A gain in points on `val` or `test`, and below it its interval."""
    gain = row[f"{part}_gain"]
    if gain is None:
        return Cell(text=words.DASH)
    return Cell(text=words.points(gain), below=words.gain_interval(row[f"{part}_gain_low"], row[f"{part}_gain_high"]))


def _added_cell(results: Results, row: Row, name: str) -> Cell:
    added, off = row[f"added_{name}"], results.variant(row["network"], False)
    if added is None or off is None or not off.records:
        return Cell(text=words.DASH)
    share = added / max(getattr(off.records[0].cost, name), 1)
    return Cell(text=f"+{words.short_count(added)}", below=f"+{words.share(share)}")


def _without_with(row: Row, name: str, render: Callable[[float | None], str]) -> Cell:
    without, with_it = row[f"{name}_without"], row[f"{name}_with"]
    text = f"{render(without)} → {render(with_it)}"
    return Cell(text=text, below=words.change(with_it / without - 1) if without and with_it else "")
