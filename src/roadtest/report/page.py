"""Sets the page: the only door to jinja2. Everything a study says is escaped; scripts and styles are our own.

The page is one file. Its content-security policy forbids every request, so that it opens the same offline, from a
mail or from an archive ten years on.

Everything that stands on the page, as plain values: the template only sets it.

Read from the study's folder through `roadtest.analysis`; the first screen comes from summary.py and methods.py,
tables from leaderboard.py and pairs.py, figures from build.py. No markup here.
"""

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from roadtest.analysis import (
    Results,
    best_variant,
    budget_sentences,
    error_split,
    ranked_variants,
    repeat_commands,
)
from roadtest.analysis.recommend import recommend
from roadtest.format import PART_WORDS, plural
from roadtest.records import Failure
from roadtest.report.charts import THEME, Columns, Figure
from roadtest.report.sections import errors, leaderboard, methods, pairs
from roadtest.report.sections.budgets import budget_table, crossover_table, target_table
from roadtest.report.sections.costs import elsewhere_table
from roadtest.report.sections.errors import BeforeAfter, Mistake, stn_examples, worst_images
from roadtest.report.sections.factors import pretraining_table, stn_table
from roadtest.report.sections.leaderboard import accuracy_table, metrics_table, systems_table
from roadtest.report.sections.methods import Fact, Methods, describe_methods
from roadtest.report.sections.summary import Standing, conclude, describe_standing, portable_command
from roadtest.report.tables import Table


@functools.cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("roadtest", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_with_fixed_spaces,
    )
    return environment.get_template("page.html.jinja")


def _charts(figures: Mapping[str, Sequence[Figure]]) -> dict[str, Any]:
    """What the page's script draws: shared data once, each panel's specification by its place, and what is switched."""
    datasets: dict[str, Columns] = {}
    panels: dict[str, Any] = {}
    views: dict[str, Any] = {}
    for figure in _all(figures):
        datasets |= figure.datasets
        panels |= {f"{figure.name}-{place}": spec for place, spec in enumerate(figure.page_specs())}
        views |= {figure.name: figure.view_specs()} if figure.views else {}
    return {"config": THEME, "datasets": datasets, "panels": panels, "views": views}


def _with_fixed_spaces(value: Any) -> Any:
    """Keep a number and its percent sign on one line; markup and scripts stay as they are."""
    return re.sub(r"(\d) %", "\\1\u00a0%", value) if type(value) is str else value


def _all(figures: Mapping[str, Sequence[Figure]]) -> list[Figure]:
    return [figure for section in figures.values() for figure in section]


def _read(name: str) -> str:
    return (files("roadtest") / "report" / name).read_text(encoding="utf-8")


MAX_STN_EXAMPLES = 6


@dataclass(frozen=True, kw_only=True)
class Errors:
    """Where the best network errs."""

    label: str
    part: str
    """`test` or `validation`: whose images."""
    classes: Table | None
    pairs: Table | None
    mistakes: tuple[Mistake, ...]
    mistakes_text: str
    """What the pictures are, or why there are none."""


@dataclass(frozen=True, kw_only=True)
class Contents:
    """The whole page."""

    title: str
    headline: str
    conclusion: tuple[str, ...]
    """Sentences of one paragraph."""
    facts: tuple[Fact, ...]
    standing: Standing
    leaderboard: Table
    accuracies: Table | None
    metrics: Table | None
    verdicts: Table | None
    systems: Table | None
    """Networks against systems that were added."""
    latency: Table | None
    elsewhere: Table | None
    stn: Table | None
    pretraining: Table | None
    budgets: Table | None
    """Who wins with less time, where trainings were annealed early; with it the three fields below."""
    targets: Table | None
    crossovers: Table | None
    budget_sentences: tuple[str, ...]
    stn_examples: tuple[BeforeAfter, ...]
    stn_examples_text: str
    errors: Errors | None
    errors_text: str
    methods: Methods
    runs: Table
    failures: tuple[Failure, ...]
    command: str
    machines: tuple[Fact, ...]
    protocol: tuple[Fact, ...]
    fingerprints: tuple[Fact, ...]
    test_reads: str
    notes: tuple[str, ...]
    created_on: str
    has_test: bool
    """Whether any run read a test set."""

    @property
    def tables(self) -> list[Table]:
        """Every table, in the order of the page."""
        found = [self.leaderboard, self.accuracies, self.metrics, self.verdicts, self.systems, self.latency]
        found += [self.elsewhere, self.budgets, self.targets, self.crossovers, self.stn, self.pretraining]
        found += [self.errors.pairs, self.errors.classes] if self.errors else []
        return [table for table in [*found, self.runs] if table is not None]


def render_page(contents: Contents, figures: Mapping[str, Sequence[Figure]], *, bundle: str, has_files: bool) -> str:
    """The whole page as HTML; `bundle` is the script that draws charts, `has_files` whether figures lie beside it."""
    numbers = {figure.name: number for number, figure in enumerate(_all(figures), start=1)}
    return _template().render(
        page=contents,
        figures=figures,
        numbers=numbers,
        table_numbers={table.name: number for number, table in enumerate(contents.tables, start=1)},
        charts=_charts(figures),
        has_files=has_files,
        css=_read("page.css"),
        script=_read("page.js"),
        bundle=bundle if numbers else "",
    )


def collect_contents(
    results: Results, board: list[dict[str, Any]], added: list[dict[str, Any]], *, has_images: bool
) -> Contents:
    """Gather what the page says about a study, as far as the study got.

    `board` are the networks of the leaderboard, `added` the systems below them.
    """
    info, best = results.info, best_variant(results)
    failures = tuple(failure for variant in results.variants for failure in variant.failures)
    examples = tuple(stn_examples(results, ranked_variants(results))[:MAX_STN_EXAMPLES]) if has_images else ()
    conclusion = conclude(results, recommend(results), board)
    contents = Contents(
        title=f"Road test: {info.data_title}",
        headline=conclusion.headline,
        conclusion=conclusion.sentences,
        facts=tuple(methods.summary_facts(results)),
        standing=describe_standing(results),
        leaderboard=leaderboard.leaderboard_table(results, [*board, *added]),
        accuracies=accuracy_table(results, board),
        metrics=metrics_table(results, board),
        verdicts=pairs.verdict_table(results),
        systems=systems_table(results),
        latency=leaderboard.latency_table(results),
        elsewhere=elsewhere_table(results, board),
        stn=stn_table(results),
        pretraining=pretraining_table(results),
        budgets=budget_table(results),
        targets=target_table(results),
        crossovers=crossover_table(results),
        budget_sentences=tuple(budget_sentences(results)),
        stn_examples=examples,
        stn_examples_text=_why_no_examples(has_images),
        errors=_errors(results, has_images),
        errors_text="No network was trained long enough to look at its errors." if best is None else "",
        methods=describe_methods(results),
        runs=leaderboard.runs_table(results),
        failures=failures,
        command="\n".join(portable_command(command, results) for command in repeat_commands(results)),
        machines=tuple(methods.machine_facts(results.records)),
        protocol=tuple(methods.protocol_facts(info.protocol)),
        fingerprints=tuple(methods.fingerprint_facts(results)),
        test_reads=methods.test_reads(results),
        notes=(*info.notes, *filter(None, [methods.collapse_note(results)]), *methods.time_notes(results)),
        created_on=info.created_at[:10],
        has_test=any(record.test is not None for record in results.records),
    )
    return _naming_the_level(contents, info.level) if info.level else contents


def _naming_the_level(contents: Contents, level: str) -> Contents:
    """Say under every table what training on drawn signs alone owes to real ones: nobody quotes it without."""

    def named(table: Table) -> Table:
        return replace(table, caption=f"{table.caption} Trained on drawn signs alone; level: {level}.")

    tables = {name: named(value) for name, value in vars(contents).items() if isinstance(value, Table)}
    errors = contents.errors
    if errors is not None:
        found = {name: named(value) for name, value in vars(errors).items() if isinstance(value, Table)}
        errors = replace(errors, **found)  # type: ignore[arg-type]
    return replace(contents, **tables, errors=errors)  # type: ignore[arg-type]


def _errors(results: Results, has_images: bool) -> Errors | None:
    best = best_variant(results)
    if best is None:
        return None
    found = worst_images(results, best) if has_images else None
    if found is None:
        why = "Pictures were left out of this page." if not has_images else _why_no_mistakes(results)
        mistakes: tuple[Mistake, ...] = ()
        text = why
    else:
        record, listed = found
        mistakes = tuple(listed)
        count = plural(len(mistakes), "test image")
        text = f"The {count} that {best.label}, seed {record.seed}, got most wrong, worst first." if mistakes else ""
        text = text or f"{best.label}, seed {record.seed}, made no mistake on the test images."
    return Errors(
        label=best.label,
        part=PART_WORDS[error_split(results, best)],
        classes=errors.class_table(results, best),
        pairs=errors.pairs_table(results, best),
        mistakes=mistakes,
        mistakes_text=text,
    )


def _why_no_mistakes(results: Results) -> str:
    if not results.info.num_test:
        return "This data has no test set, and so no worst test images."
    if not results.info.reads_test:
        return "The test set was not read, and so there are no worst test images."
    return "This copy of the study holds no pictures of test images."


def _why_no_examples(has_images: bool) -> str:
    return "This copy of the study holds no pictures." if has_images else "Pictures were left out of this page."
