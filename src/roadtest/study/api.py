"""Many runs under one protocol: planned, trained here, one process each, and left as one folder.

The same call on the same folder does what is missing and nothing twice. A run that fails is a row in failures.csv;
the others go on. `folder` writes what a study is, `runner` does it; where the work is to be done on other machines,
`launch` is the only module that changes.

What a network does outside PyTorch, put beside what the study knows: an export's latencies, another computer's.

The work is done by `inference/export` and `records/measurements.py`; here the study's lock is held while its
latency.csv is written. A bundle that was written stays written: a study that cannot be written to gives a warning.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roadtest.analysis import external_difference_rows, read_results, render_table, rows_with_externals
from roadtest.analysis.find_run import find_run
from roadtest.analysis.recommend import Recommendation, recommend
from roadtest.data.cache import default_cache_dir
from roadtest.data.dataset import ImageSet
from roadtest.data.join import check_sources, open_joined
from roadtest.inference.external import add_external
from roadtest.machine import choose_device
from roadtest.protocol import Protocol
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
from roadtest.records.events import Event, counting
from roadtest.records.lock import folder_lock
from roadtest.records.measurements import Measurement, add_device, is_exported, replace_latencies
from roadtest.report import write_report
from roadtest.study import Interrupted
from roadtest.study.folder import check_own_networks, check_place, check_protocol, make_folder, move_aside, write_plan
from roadtest.study.options import Options, build_options
from roadtest.study.prepare import (
    Source,
    announce_weights,
    check_in_short,
    choose_variants,
    fetch_weights,
    list_originals,
    name_source,
    settle,
    tell_notes,
)
from roadtest.study.progress import write_trouble
from roadtest.study.resolve import chosen_protocol, chosen_seeds, planned_runs, source_kind, study_name
from roadtest.study.runner import Emit, finish, train_missing

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
    emit = on_event or write_trouble
    asked = ask(source, options, emit)
    if asked.options.fresh:
        move_aside(asked.study_dir)
    try:
        _work(asked, emit)
    except KeyboardInterrupt:
        raise Interrupted(asked.study_dir) from None
    return Study(asked.study_dir)


def _work(asked: "Asked", emit: Emit) -> None:
    study_dir, image_set, chosen = asked.study_dir, asked.image_set, asked.options
    make_folder(study_dir)
    with folder_lock(study_dir):
        if source_kind(asked.source) == "folder" and not (study_dir / "study.json").exists():
            listing = list_originals(asked.source, image_set, asked.cache_dir)
            check_in_short(asked.source, image_set, emit, listing)
        write_plan(study_dir, asked.source, image_set, asked.protocol, asked.runs, chosen)
        train_missing(study_dir, image_set, asked.cache_dir, asked.runs, chosen, emit)
        finish(study_dir, image_set, asked.cache_dir, asked.runs, chosen, emit)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a call asks for, with the images open; nothing is written to the study's folder yet."""

    source: str
    options: Options
    runs: tuple[PlannedRun, ...]
    protocol: Protocol
    study_dir: Path
    image_set: ImageSet
    cache_dir: Path


def ask(source: Source, options: dict[str, Any], emit: Emit, *, is_plan: bool = False) -> Asked:
    """Turn words into runs, a protocol and open images; a ValueError in one line for a mistake.

    For a plan no pretrained weights are fetched.
    """
    chosen = build_options(options)
    cache_dir = default_cache_dir()
    source = name_source(source, cache_dir)
    seeds = chosen_seeds(chosen)
    runs = planned_runs(choose_variants(source, chosen, emit), seeds)
    if chosen.device not in ("auto", "cpu"):
        choose_device(chosen.device)  # a mistake is told before anything is decoded
    chosen_protocol(source, chosen, len(runs))  # and so is one here
    check_sources(source, test_on=chosen.test_on, validate_on=chosen.validate_on)
    if chosen.out is not None:
        check_place(chosen.out)

    def check_early(sized: Options) -> None:
        if sized.out is not None and not sized.fresh:  # another protocol under its own name is another folder
            protocol = chosen_protocol(source, sized, len(runs))
            check_protocol(sized.out, protocol, are_flips_known=sized.flips != "auto")

    chosen = settle(source, chosen, cache_dir, emit, check=check_early)
    protocol = chosen_protocol(source, chosen, len(runs))
    study_dir = chosen.out or Path("runs") / study_name(source, chosen, protocol)
    check_place(study_dir)
    if not chosen.fresh:
        check_protocol(study_dir, protocol)
        check_own_networks(study_dir, runs)
    provide = announce_weights if is_plan else fetch_weights
    provide(runs, study_dir, emit, is_fresh=chosen.fresh)
    image_set = open_joined(
        source,
        test_on=chosen.test_on,
        validate_on=chosen.validate_on,
        image_size=protocol.image_size,
        cache_dir=cache_dir,
        data_dir=chosen.data_dir,
        is_subset_allowed=chosen.is_subset_allowed,
        skip_broken=chosen.skip_broken,
        group=chosen.group,
        on_progress=counting(emit, "data"),
        on_download=counting(emit, "download"),
    )
    if chosen.fresh or not (study_dir / "study.json").exists():
        tell_notes(image_set, emit)
    return Asked(
        source=source,
        options=chosen,
        runs=runs,
        protocol=protocol,
        study_dir=study_dir,
        image_set=image_set,
        cache_dir=cache_dir,
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
