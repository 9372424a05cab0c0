"""The figures of one network's errors: accuracy per class, and which classes it takes for which."""

from roadtest.report import figure_rows as rows_of
from roadtest.report.figures import Figure, draw_classes, draw_confusion
from roadtest.report.words import PART_WORDS, plural, seeds_together
from roadtest.summarise import Results, Variant, class_rows, error_part


def class_figure(results: Results, best: Variant | None) -> Figure | None:
    """The classes with errors, least accurate first; None where there are none."""
    rows = rows_of.class_accuracy_rows(results, best, error_part(results, best)) if best else []
    if best is None or not rows:
        return None
    part = PART_WORDS[error_part(results, best)]
    seen = class_rows(results, best, error_part(results, best))
    num_flawed = sum(row["num_correct"] < row["num_answers"] for row in seen)
    cut = f" (the {len(rows)} least accurate of {num_flawed})" if len(rows) < num_flawed else ""
    caption = (
        f"{best.label}: the classes with errors on the {part} images{cut}, least accurate first, "
        f"{seeds_together(best)}; the number behind a name is the class's. "
        f"{plural(len(seen) - num_flawed, 'further class was', 'further classes were')} recognised without an error."
    )
    alt = f"Accuracy per class of {best.label}; lowest: {rows[0]['class']} with {rows[0]['accuracy']:.1f} %."
    return Figure(
        name="classes", caption=caption, alt=alt, key=f"{best.label}, {part} images", panels=(draw_classes(rows),)
    )


def confusion_figure(results: Results, best: Variant | None) -> Figure | None:
    """The confusion matrix; None without answers."""
    if best is None:
        return None
    part = error_part(results, best)
    cells, classes = rows_of.confusion_cells(results, best, part)
    if not cells:
        return None
    of_all = len(results.info.class_names)
    which = (
        f" {len(classes)} of {of_all} classes: those of the most frequent confusions." if len(classes) < of_all else ""
    )
    top = max((row["share"] for row in cells if row["is_error"]), default=0.0)
    num_wrong = sum(row["answers"] for row in cells if row["is_error"])
    caption = (
        f"{best.label}: confusion matrix on the {PART_WORDS[part]} images. Grey: recognised; vermilion: mistaken, the "
        f"stronger the larger the share of the true class, up to {top:.0f} % (square-root scale). Classes by number; "
        f"names in the tables below and under the pointer.{which}"
    )
    alt = (
        f"Confusion matrix of {best.label}: {num_wrong:,} mistaken answers; the most frequent pairs follow as a table."
    )
    return Figure(
        name="confusion",
        caption=caption,
        alt=alt,
        key=f"{best.label}, {PART_WORDS[part]} images",
        panels=(draw_confusion(cells, classes),),
    )
