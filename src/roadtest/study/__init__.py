"""Many runs under one protocol: planned, trained here, one process each, and left as one folder.

The same call on the same folder does what is missing and nothing twice. A run that fails is a row in failures.csv;
the others go on. `folder` writes what a study is, `work` does it; where the work is to be done on other machines,
`launch` is the only module that changes.
"""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from roadtest.data.cache import default_cache_dir
from roadtest.data.open import open_source
from roadtest.events import Event
from roadtest.machine import choose_device
from roadtest.recommend import Recommendation, recommend
from roadtest.record import (
    EpochRow,
    Failure,
    PlannedRun,
    Predictions,
    RunRecord,
    StudyInfo,
    read_epochs,
    read_failures,
    read_predictions,
    read_record,
    read_study_info,
)
from roadtest.report import write_report
from roadtest.study.folder import check_protocol, make_folder, move_aside, write_plan
from roadtest.study.lock import study_lock
from roadtest.study.options import (
    Options,
    chosen_protocol,
    chosen_seeds,
    default_networks,
    planned_runs,
    source_name,
)
from roadtest.study.work import Tell, finish, train_missing
from roadtest.summarise import leaderboard_rows, render_table


class Interrupted(Exception):  # noqa: N818
    """Ctrl-C: every finished run and the last state of the others are kept in `study_dir`."""

    def __init__(self, study_dir: Path) -> None:
        super().__init__(f"interrupted: {study_dir} keeps everything; the same command goes on where it stopped")
        self.study_dir = study_dir


@dataclass(frozen=True)
class Run:
    """One finished run, read from its folder."""

    path: Path

    @property
    def record(self) -> RunRecord:
        """Everything about the run that is not a curve or an array."""
        return read_record(self.path)

    @property
    def epochs(self) -> list[EpochRow]:
        """Its evaluations while training."""
        return read_epochs(self.path)

    def predictions(self, split: str = "test") -> Predictions:
        """Its raw outputs on `val` or `test`."""
        return read_predictions(self.path / f"{split}.npz")


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
        return [Run(path) for path in runs if (path / "record.json").exists()]

    def failures(self) -> list[Failure]:
        """The runs that failed and were not finished since."""
        return read_failures(self.path)

    def missing(self) -> list[PlannedRun]:
        """The planned runs that are not finished."""
        return [run for run in self.info.runs if not (self.path / run.folder / "record.json").exists()]

    def leaderboard(self) -> list[dict[str, Any]]:
        """A row per network, best validation accuracy first; ready for `pandas.DataFrame`."""
        return leaderboard_rows(self.path)

    def recommend(self, **limits: Any) -> Recommendation:
        """Name the network to use under limits, and why: the arguments are those of `roadtest.recommend.recommend`."""
        return recommend(self.path, **limits)

    def report(self, *, has_images: bool = True) -> Path:
        """Write the page, figures and tables anew, and return the page's path."""
        return write_report(self.path, has_images=has_images)

    def _repr_html_(self) -> str:
        return render_table(self.leaderboard(), "html")


def read_study(path: str | Path) -> Study:
    """Open a study's folder; a ValueError says what is wrong with it."""
    study = Study(Path(path))
    _ = study.info
    return study


def read_run(path: str | Path) -> Run:
    """Open a finished run's folder; a ValueError says what is wrong with it."""
    run = Run(Path(path))
    _ = run.record
    return run


def compare(source: str | Path = "signs", *, on_event: Tell | None = None, **options: Any) -> Study:
    """Train every network under one protocol, measure its costs, and leave a folder with one page to read.

    `source` is `signs`, `gtsrb` or a path; the options are the fields of `roadtest.study.options.Options`, the same
    as on the command line. Finished runs are never repeated. Raise ValueError for a mistake, Interrupted after Ctrl-C.
    """
    tell = on_event or (lambda event: None)
    chosen = build_options(options)
    pairs = _network_pairs(chosen)
    seeds = chosen_seeds(chosen)
    runs = planned_runs(pairs, seeds)
    protocol = chosen_protocol(str(source), chosen, len(runs))
    study_dir = chosen.out or Path("runs") / f"{source_name(str(source))}-{protocol.name}-{protocol.fingerprint[:8]}"
    if chosen.device not in ("auto", "cpu"):
        choose_device(chosen.device)  # a mistake is told before anything is decoded
    if not chosen.fresh:
        check_protocol(study_dir, protocol)
    cache_dir = default_cache_dir()
    image_set = open_source(
        str(source),
        image_size=protocol.image_size,
        cache_dir=cache_dir,
        data_dir=chosen.data_dir,
        is_subset_allowed=chosen.is_subset_allowed,
        skip_broken=chosen.skip_broken,
        group=chosen.group,
        on_progress=lambda done, total: tell(Event(kind="data", num_done=done, num_total=total)),
        on_download=lambda done, total: tell(Event(kind="download", num_done=done, num_total=total)),
    )
    if chosen.fresh:
        move_aside(study_dir)
    make_folder(study_dir)
    with study_lock(study_dir):
        write_plan(study_dir, str(source), image_set, protocol, runs, chosen)
        try:
            train_missing(study_dir, image_set, cache_dir, runs, chosen, tell)
            finish(study_dir, image_set, cache_dir, chosen, tell)
        except KeyboardInterrupt:
            raise Interrupted(study_dir) from None
    return Study(study_dir)


def build_options(words: dict[str, Any]) -> Options:
    """Options from keyword arguments or a study.toml; a ValueError names a wrong word."""
    known = {f.name for f in fields(Options)}
    for word in words:
        if word not in known:
            near = difflib.get_close_matches(word, known, n=1)
            hint = f"did you mean {near[0]!r}" if near else f"choose from {', '.join(sorted(known))}"
            raise ValueError(f"there is no option {word!r}: {hint}")
    plain: dict[str, Any] = {
        name: value if isinstance(value, str) or not isinstance(value, Iterable) else tuple(value)
        for name, value in words.items()
    }
    for name in ("data_dir", "out"):
        if plain.get(name) is not None:
            plain[name] = Path(plain[name]).expanduser()
    if isinstance(plain.get("networks"), str):
        plain["networks"] = (plain["networks"],)
    return Options(**plain)


def _network_pairs(options: Options) -> list[tuple[str, bool]]:
    """(network, has_stn) in the order they were asked for, each once; `lenet5+stn` overrides the switch."""
    from roadtest.networks import default_stn, parse_label, resolve_networks

    pairs: list[tuple[str, bool]] = []
    for word in resolve_networks(options.networks or default_networks()):
        name, asked = parse_label(word)
        switch = options.stn or default_stn(name)
        switches = [asked] if asked is not None else {"off": [False], "on": [True], "both": [False, True]}[switch]
        pairs += [(name, has_stn) for has_stn in switches if (name, has_stn) not in pairs]
    return pairs
