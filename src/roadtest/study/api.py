"""Many runs under one protocol: planned, trained here, one process each, and left as one folder.

The same call on the same folder does what is missing and nothing twice. A run that fails is a row in failures.csv;
the others go on. `folder.py` writes what a study is, `runner.py` does it; where the work is to be done on other
machines, `launch.py` is the only module that changes.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roadtest.analysis import external_difference_rows, read_results, render_table, rows_with_externals
from roadtest.analysis.recommend import Recommendation, find_run, recommend
from roadtest.data.cache import default_cache_dir
from roadtest.data.join import check_sources, open_joined
from roadtest.inference.external import add_external
from roadtest.machine import choose_device
from roadtest.records import (
    EpochMetrics,
    Failure,
    PlannedRun,
    Predictions,
    RunRecord,
    StudyInfo,
    is_finished,
    read_epochs,
    read_failures,
    read_predictions,
    read_record,
    read_study_info,
)
from roadtest.records.disk import folder_lock
from roadtest.records.events import Emit, Event, counting
from roadtest.records.measurements import Measurement, add_device, is_exported, replace_latencies
from roadtest.report import write_report
from roadtest.study import Interrupted
from roadtest.study.folder import check_own_networks, check_place, check_protocol, make_folder, move_aside, write_plan
from roadtest.study.options import Options, build_options
from roadtest.study.prepare import (
    Source,
    check_in_short,
    choose_variants,
    find_missing_weights,
    list_originals,
    name_source,
    report_notes,
    settle,
)
from roadtest.study.progress import write_trouble
from roadtest.study.resolve import StudyContext, chosen_protocol, chosen_seeds, planned_runs, source_kind, study_name
from roadtest.study.runner import finish, train_missing

if TYPE_CHECKING:
    from roadtest.inference.evaluate import Evaluation
    from roadtest.inference.export import Exported


@dataclass(frozen=True)
class Run:
    """One finished run, read from its folder."""

    path: Path

    @property
    def record(self) -> RunRecord:
        """Everything about the run that is not a curve or an array."""
        return read_record(self.path)

    @property
    def epochs(self) -> list[EpochMetrics]:
        """Its evaluations while training."""
        return read_epochs(self.path)

    def predictions(self, split: str = "test") -> Predictions:
        """Its raw outputs on `val` or `test`."""
        return read_predictions(self.path / f"{split}.npz")

    def evaluate(self, source: str | Path, **options: Any) -> "Evaluation":
        """Evaluate it on labelled images of any source: the options are those of `inference.evaluate.evaluate_run`."""
        from roadtest.inference.evaluate import evaluate_run  # brings torch in

        return evaluate_run(self.path, source, **options)

    def export(self, out: str | Path | None = None, **options: Any) -> Path:
        """Write its ONNX bundle to a new folder: the options are those of `roadtest.inference.export.export_run`."""
        return export_and_note(self.path, out, **options).folder


@dataclass(frozen=True)
class Study:
    """A study on disk; every answer is read from its folder."""

    path: Path

    @property
    def info(self) -> StudyInfo:
        """What is compared, on which data, under which protocol."""
        return read_study_info(self.path)

    def runs(self) -> list[Run]:
        """The finished runs, in the order of the plan."""
        runs = [self.path / run.folder for run in self.info.runs]
        return [Run(path) for path in runs if is_finished(path)]

    def failures(self) -> list[Failure]:
        """The runs that failed and were not finished since."""
        return read_failures(self.path)

    def missing(self) -> list[PlannedRun]:
        """The planned runs that are not finished."""
        return [run for run in self.info.runs if not is_finished(self.path / run.folder)]

    def leaderboard(self, *, metric: str | None = None) -> list[dict[str, Any]]:
        """A row per network, best in validation first, then what was added; `metric` None is the study's.

        Ready for `pandas.DataFrame`.
        """
        return rows_with_externals(read_results(self.path, metric=metric))

    def recommend(self, **limits: Any) -> Recommendation:
        """Name the network to use under limits, and why: the arguments are those of `analysis.recommend.recommend`."""
        return recommend(self.path, **limits)

    def add(self, predictions: str | Path, *, name: str) -> list[dict[str, Any]]:
        """Add a system that was not trained here by its answers, a csv file; return how far each network is from it."""
        add_external(self.path, Path(predictions), name=name)
        return [row for row in external_difference_rows(self.path) if row["system"] == name]

    def add_device(self, measurement: str | Path, *, name: str | None = None) -> str:
        """Add what `measure.py` measured on another computer; return the device's name, for `recommend(device=...)`."""
        return note_device(self.path, Path(measurement), name)[0]

    def report(
        self, *, has_images: bool | None = None, metric: str | None = None, tolerance_points: float | None = None
    ) -> Path:
        """Write the page, figures and tables anew, and return the page's path; `has_images` None is as it was asked."""
        return write_report(self.path, has_images=has_images, metric=metric, tolerance_points=tolerance_points)

    def _repr_html_(self) -> str:
        return render_table(self.leaderboard(), "html")


def read_study(path: str | Path) -> Study:
    """Open a study's folder; a ValueError says what is wrong with it."""
    study = Study(Path(path))
    _ = study.info
    return study


def read_run(path: str | Path) -> Run:
    """Open a finished run's folder, or a study's for its recommended run; a ValueError says what is wrong with it."""
    run = Run(find_run(path).path)
    _ = run.record
    return run


def compare(source: Source = "signs", *, on_event: Emit | None = None, **options: Any) -> Study:
    """Train every network under one protocol, measure its costs, and leave a folder with one page to read.

    `source` is `signs`, `gtsrb`, a path, or two arrays: uint8 images_NHWC and labels_N. The options are the fields of
    `roadtest.study.options.Options`, the same as on the command line. Finished runs are never repeated. Where nobody
    listens to events, warnings and failures are told on standard error; `progress.show_progress` shows all. Raise
    ValueError for a mistake, Interrupted after Ctrl-C.
    """
    context = open_context(source, options, on_event or write_trouble)
    if context.options.fresh:
        move_aside(context.study_dir)
    try:
        _work(context)
    except KeyboardInterrupt:
        raise Interrupted(context.study_dir) from None
    return Study(context.study_dir)


def _work(context: StudyContext) -> None:
    study_dir = context.study_dir
    make_folder(study_dir)
    with folder_lock(study_dir):
        if source_kind(context.source) == "folder" and not (study_dir / "study.json").exists():
            listing = list_originals(context.source, context.image_set, context.cache_dir)
            check_in_short(context.source, context.image_set, context.emit, listing)
        write_plan(context)
        train_missing(context)
        finish(context)


def open_context(source: Source, words: dict[str, Any], emit: Emit, *, is_plan: bool = False) -> StudyContext:
    """Turn words into runs, a protocol and open images; a ValueError in one line for a mistake.

    For a plan no pretrained weights are fetched.
    """
    options, cache_dir = build_options(words), default_cache_dir()
    source = name_source(source, cache_dir)
    seeds = chosen_seeds(options)
    runs = planned_runs(choose_variants(source, options, emit), seeds)
    if options.device not in ("auto", "cpu"):
        choose_device(options.device)  # a mistake is reported before anything is decoded
    chosen_protocol(source, options, len(runs))  # and so is one here
    check_sources(source, test_on=options.test_on, validate_on=options.validate_on)
    if options.out is not None:
        check_place(options.out)

    def check_early(sized: Options) -> None:
        if sized.out is not None and not sized.fresh:  # another protocol under its own name is another folder
            protocol = chosen_protocol(source, sized, len(runs))
            check_protocol(sized.out, protocol, are_flips_known=sized.flips != "auto")

    options = settle(source, options, cache_dir, emit, check=check_early)
    protocol = chosen_protocol(source, options, len(runs))
    study_dir = options.out or Path("runs") / study_name(source, options, protocol)
    check_place(study_dir)
    if not options.fresh:
        check_protocol(study_dir, protocol)
        check_own_networks(study_dir, runs)
    find_missing_weights(runs, study_dir, emit, is_fresh=options.fresh, is_fetching=not is_plan)
    image_set = open_joined(
        source,
        test_on=options.test_on,
        validate_on=options.validate_on,
        image_size=protocol.image_size,
        cache_dir=cache_dir,
        data_dir=options.data_dir,
        is_subset_allowed=options.is_subset_allowed,
        skip_broken=options.skip_broken,
        group=options.group,
        on_progress=counting(emit, "data"),
        on_download=counting(emit, "download"),
    )
    if options.fresh or not (study_dir / "study.json").exists():
        report_notes(image_set, emit)
    return StudyContext(
        source=source,
        options=options,
        runs=runs,
        protocol=protocol,
        study_dir=study_dir,
        image_set=image_set,
        cache_dir=cache_dir,
        emit=emit,
    )


def export_and_note(
    path: str | Path, out: str | Path | None = None, *, emit: Callable[[Event], None] = lambda event: None, **more: Any
) -> "Exported":
    """Write a run's bundle, and its latencies into the study that it lies in; options as in `export_run`."""
    from roadtest.inference.export import export_run, find_study_info  # brings torch in

    exported = export_run(path, out, emit=emit, **more)
    rows = [row for row in map(asdict, exported.samples) if is_exported(row)]
    if rows and find_study_info(exported.run_dir, exported.record) is not None:
        study_dir = exported.run_dir.resolve().parent.parent
        try:
            with folder_lock(study_dir):
                replace_latencies(study_dir, rows)
        except (ValueError, OSError) as error:
            text = f"the latencies were not put into the study's latency.csv: {' '.join(str(error).split())}"
            emit(Event(kind="warning", text=text))
    return exported


def note_device(study_dir: Path, path: Path, name: str | None = None) -> tuple[str, Measurement]:
    """Put what `measure.py` wrote on another computer into a study; give the device's name and the measurement."""
    read_study_info(study_dir)  # a folder that is no study gets no lock
    with folder_lock(study_dir):
        return add_device(study_dir, path, name)
