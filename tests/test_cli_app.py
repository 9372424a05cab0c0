"""What people type and see: verbs, wrong words, exit codes, and what stands on which stream."""

import csv
import errno
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from fake_study import build_fake_study
from roadtest import cli
from roadtest.cli import tables as terminal
from roadtest.cli.app import build_app, verb_names
from roadtest.data.cache import default_cache_dir
from roadtest.records import files as config
from roadtest.records.events import Event
from roadtest.records.schema import Finding
from roadtest.study import api as study

VERBS = [
    "compare",
    "plan",
    "demo",
    "leaderboard",
    "recommend",
    "report",
    "add",
    "predict",
    "evaluate",
    "export",
    "add-device",
    "data",
    "doctor",
    "networks",
]
Answer = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def study_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_fake_study(
        tmp_path_factory.mktemp("study") / "fake",
        seeds=1,
        undertrained="vgg16+stn",
        unfinished=("vgg16",),
        tracks_per_class=1,
        frames_per_track=3,
    )


class Compared:
    """Stands in for `roadtest.study.api.compare`: notes how it was called, tells a few events, answers with a study."""

    def __init__(self, study_dir: Path, *, has_trained: bool = True) -> None:
        self.study_dir, self.has_trained = study_dir, has_trained
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, source: str, *, on_event: Callable[[Event], None], **options: Any) -> study.Study:
        self.calls.append((source, options))
        on_event(Event(kind="planned", text="6 runs, about 3 min of training"))
        if self.has_trained:
            on_event(Event(kind="started", label="lenet5", seed=0, text="from the start"))
        return study.Study(self.study_dir)


@pytest.fixture
def compared(study_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Compared:
    fake = Compared(study_dir)
    monkeypatch.setattr("roadtest.study.api.compare", fake)
    return fake


def test_the_help_page_names_every_verb_in_its_group(roadtest: Answer) -> None:
    code, out, err = roadtest("--help")
    assert code == 0 and err == ""
    assert [word for word in VERBS if f" {word} " not in out] == []
    assert [title for title in ("Compare", "Read a study", "Before you start") if f"─ {title} ─" not in out] == []


def test_no_words_at_all_show_the_help_page(roadtest: Answer) -> None:
    assert roadtest()[:2] == roadtest("--help")[:2]


def test_only_verbs_that_exist_are_listed() -> None:
    assert verb_names(build_app()) == VERBS
    assert verb_names(build_app()["data"]) == ["check", "preview"]


@pytest.mark.slow
def test_the_help_page_waits_for_no_heavy_guest() -> None:
    code = "import sys, roadtest.cli; roadtest.cli.main(['compare', '--help']); print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "cyclopts" in modules
    assert not {"torch", "numpy", "scipy", "altair", "PIL", "roadtest.study.api"} & set(modules)


def test_the_version_is_said(roadtest: Answer) -> None:
    import roadtest as package

    assert roadtest("--version") == (0, f"roadtest {package.__version__}\n", "")


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["train"], "there is no verb 'train': compare trains every network you name"),
        (["val", "runs/x"], "there is no verb 'val': compare measures validation"),
        (["benchmark"], "there is no verb 'benchmark': compare measures accuracy, time, memory and latency"),
        (["comapre"], "did you mean compare?"),
        (["xyzzy"], "the verbs are compare, plan, demo"),
        (["data", "chek"], "did you mean check?"),
        (["check"], "data check looks at images, doctor at this machine: roadtest data check SOURCE"),
        (["compare", "--group", "patient"], 'Choose from: "auto"'),
        (["compare", "signs", "--group", "auto"], "--group auto goes with image folders and csv files, not with signs"),
        (["recomend"], "did you mean recommend?"),
        (["recommend"], "STUDY is missing its value"),
        (["recommend", "no/such/study"], "no/such/study holds no study.json"),
        (["recommend", "x", "--min-accuracy", "98"], "write 0.98 or 98%"),
        (["recommend", "x", "--max-params", "few"], "--max-params 'few' is no limit"),
        (["recommend", "x", "--tolerance", "1%"], "--tolerance '1%' is no number of percentage points"),
        (["recommend", "x", "--prefer", "beauty"], 'Choose from: "latency", "params"'),
        (["compare", "--workers", "4"], "there is no option --workers: images are decoded once"),
        (["compare", "--data", "x"], "name an image folder as the source (roadtest compare path/to/images)"),
        (["compare", "--epoch", "3"], "there is no option --epoch: use --epochs N"),
        (["compare", "--buget", "3m"], "there is no option --buget: the nearest is --budget"),
        (["compare", "--zzz=3"], "there is no option --zzz: roadtest compare --help lists them"),
        (["--zzz"], "there is no option --zzz: roadtest --help lists them"),
        (["compare", "--epochs", "x"], "--epochs 'x' is no whole number: give one"),
        (["compare", "--lr", "x"], "--lr 'x' is no number: give one"),
        (["compare", "--stn", "maybe"], 'Choose from: "off", "on", "both"'),
        (["compare", "--budget"], "--budget is missing its value: roadtest compare --help says more"),
        (["compare", "--budget", "10x"], "--budget '10x' is no duration"),
        (["compare", "--seeds", "x"], "--seeds 'x' is no number"),
        (["compare", "gtsrb", "lenet5"], "'lenet5' is one word too many: only SOURCE stands alone; lists have commas"),
        (["leaderboard"], "STUDY is missing its value"),
        (["leaderboard", "no/such/study"], "no/such/study holds no study.json"),
        (["report", "no/such/study"], "no/such/study holds no study.json"),
        (["compare", "--config", "no.toml"], "there is no no.toml"),
        (["networks", "resnet-34"], "did you mean resnet34"),
        (["demo", "--data", "x"], "there is no option --data"),
    ],
)
def test_a_mistake_is_one_line_on_standard_error_and_exit_code_2(
    roadtest: Answer, words: list[str], answer: str
) -> None:
    code, out, err = roadtest(*words)
    assert (code, out) == (2, "")
    assert answer in err
    assert err.startswith("roadtest: ") and err.count("\n") == 1


def test_an_unknown_timm_name_is_answered_with_the_nearest(roadtest: Answer) -> None:
    code, _, err = roadtest("networks", "timm:resnet177")
    assert code == 2
    assert err.count("timm:") >= 4  # the word itself and three nearest
    assert err.count("\n") == 1


def test_verbose_shows_the_traceback_of_a_mistake_too(roadtest: Answer) -> None:
    code, _, err = roadtest("leaderboard", "no/such/study", "-v")
    assert code == 2
    assert "Traceback" in err


@pytest.mark.slow
def test_compare_passes_on_what_was_typed_and_nothing_else(roadtest: Answer, compared: Compared) -> None:
    words = (
        "compare gtsrb -m lenet5,resnet34 --models vgg16 --seeds 0,4 --budget 10m --imgsz 48 -b 64 --no-test --subset"
    )
    roadtest(*words.split(), "--data-dir", "a b", "--no-images", "--keep-weights", "none")
    assert compared.calls == [
        (
            "gtsrb",
            {
                "networks": ["lenet5", "resnet34", "vgg16"],
                "seeds": [0, 4],
                "budget_seconds": 600.0,
                "image_size": 48,
                "batch_size": 64,
                "reads_test": False,
                "is_subset_allowed": True,
                "data_dir": Path("a b"),
                "has_images": False,
                "keep_weights": "none",
            },
        )
    ]


def test_compare_without_words_takes_the_drawn_signs_and_every_default(roadtest: Answer, compared: Compared) -> None:
    roadtest("compare")
    assert compared.calls == [("signs", {})]


def test_what_compare_passes_on_is_what_the_study_knows() -> None:
    from roadtest.cli.options import CompareOptions, typed_options
    from roadtest.study.options import build_options

    every = CompareOptions(
        networks=["lenet5"], stn="on", seeds="2", data_dir=Path("d"), is_subset_allowed=True, skip_broken=True,
        group="auto", stem="small", pretrained="both", flips="off", class_weights="balanced",
        image_size=32, reads_test=True, preset="quick", budget_seconds="10m", epochs=3, patience=2, batch_size=8,
        lr=0.1, device="cpu", precision="float32", threads=1, jobs=1, out=Path("o"), fresh=True, keep_weights="none",
        fail_fast=True, has_images=True,
    )  # fmt: skip
    options = build_options(typed_options(every))
    assert options.reads_test is False and options.has_images is False and options.budget_seconds == 600
    assert options.group == "auto"
    chosen = (options.stem, options.pretrained, options.flips, options.class_weights)
    assert chosen == ("small", "both", "off", "balanced")


def test_a_nought_is_passed_on_like_any_other_number(roadtest: Answer, compared: Compared) -> None:
    roadtest("compare", "signs", "--patience", "0")
    assert compared.calls == [("signs", {"patience": 0})]


@pytest.mark.slow
@pytest.mark.parametrize("flag", ["--epochs", "--jobs", "--threads", "--lr", "--batch-size", "--image-size", "--seeds"])
def test_a_nought_that_makes_no_sense_is_refused_in_one_line(roadtest: Answer, flag: str) -> None:
    code, _, err = roadtest("compare", "signs", "--networks", "lenet5", flag, "0")
    assert code == 2
    assert err.count("\n") == 1
    assert flag in err or f"{flag[2:].replace('-', '_')}=0" in err


@pytest.mark.slow
def test_a_config_file_speaks_where_nothing_was_typed(roadtest: Answer, compared: Compared, tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    config.write_config(
        path, {"source": "gtsrb", "epochs": 7, "lr": 0.1, "budget_total_seconds": 60.0, "seeds": (1, 2)}
    )
    roadtest("compare", "-c", str(path), "--epochs", "9", "--budget", "5m")
    source, options = compared.calls[0]
    assert source == "gtsrb"
    assert options == {"epochs": 9, "lr": 0.1, "budget_seconds": 300.0, "seeds": [1, 2]}
    roadtest("compare", "signs", "-c", str(path))
    assert compared.calls[1][0] == "signs"


@pytest.mark.slow
def test_code_that_only_a_config_file_names_does_not_run(roadtest: Answer, compared: Compared, tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    config.write_config(path, {"source": "signs", "networks": ("lenet5", "theirs.py:build")})
    code, _, err = roadtest("compare", "-c", str(path))
    assert code == 2 and "names 'theirs.py:build', which is code" in err and not compared.calls
    assert err.rstrip().endswith("add --networks lenet5,theirs.py:build")
    roadtest("compare", "-c", str(path), "--networks", "lenet5,theirs.py:build")
    assert compared.calls[0][1]["networks"] == ["lenet5", "theirs.py:build"]


@pytest.mark.parametrize(
    ("words", "said"),
    [(("--classes", "-1"), "--classes -1 is out of range"), (("--image-size", "4"), "--image-size 4 is out of range")],
)
def test_networks_of_impossible_sizes_are_one_line(roadtest: Answer, words: tuple[str, str], said: str) -> None:
    code, _, err = roadtest("networks", "lenet5", *words)
    assert code == 2 and said in err


@pytest.mark.slow
def test_compare_ends_with_the_table_the_recommendation_and_the_page(roadtest: Answer, compared: Compared) -> None:
    _, out, err = roadtest("compare")
    assert out.splitlines()[0].split()[:2] == ["network", "runs"]
    assert "lenet5+stn" in out
    assert "Observed only; not judged: needs 3 seeds, 5 are better. Use lenet5" in err.splitlines()[-2]
    page = (compared.study_dir / "report" / "index.html").resolve().as_uri()
    assert err.splitlines()[-1] == page and page.startswith("file:///")


def test_a_study_does_not_speak_to_the_terminal(
    roadtest: Answer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = build_fake_study(
        tmp_path / "s", networks=("lenet5",), seeds=2, failed="lenet5", tracks_per_class=1, frames_per_track=2
    )
    failures = study / "failures.csv"
    failures.write_text(failures.read_text().replace("the loss", "\x1b[2Jthe loss"))
    monkeypatch.setattr("roadtest.study.api.compare", Compared(study))
    for words in (["compare"], ["recommend", str(study)]):
        _, out, err = roadtest(*words)
        assert "seed 1 failed: ?[2Jthe loss became NaN" in err
        assert "\x1b" not in out + err


@pytest.mark.slow
def test_json_stands_alone_on_standard_output(roadtest: Answer, compared: Compared) -> None:
    _, out, err = roadtest("compare", "--format", "json")
    assert {row["network"] for row in json.loads(out)} == {"lenet5", "vgg16", "resnet34"}
    assert "6 runs" in err


def test_quiet_says_nothing_but_the_final_path(roadtest: Answer, compared: Compared) -> None:
    _, out, err = roadtest("compare", "-q")
    assert out == ""
    assert err == (compared.study_dir / "report" / "index.html").resolve().as_uri() + "\n"
    assert json.loads(roadtest("compare", "-q", "--format", "json")[1])


@pytest.mark.slow
def test_missing_runs_are_exit_code_1(roadtest: Answer, compared: Compared) -> None:
    assert roadtest("compare")[0] == 1  # vgg16 was never trained in the fake study


def test_a_complete_study_is_exit_code_0_and_says_that_nothing_was_trained(
    roadtest: Answer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = build_fake_study(tmp_path / "whole", networks=("lenet5",), seeds=1, tracks_per_class=1, frames_per_track=2)
    monkeypatch.setattr("roadtest.study.api.compare", Compared(whole, has_trained=False))
    code, _, err = roadtest("demo")
    assert code == 0
    assert "was complete already: nothing was trained; --fresh begins anew" in err


@pytest.mark.slow
def test_demo_compares_the_six_on_drawn_signs_for_equal_seconds(roadtest: Answer, compared: Compared) -> None:
    roadtest("demo", "--fresh")
    assert compared.calls == [
        ("signs", {"stn": "both", "budget_seconds": 20.0, "out": Path("runs/demo"), "fresh": True})
    ]


def test_a_failed_run_is_named_with_its_transformer(
    roadtest: Answer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = build_fake_study(
        tmp_path / "s", networks=["vgg16", "vgg16+stn"], seeds=1, failed="vgg16+stn", tracks_per_class=1
    )
    monkeypatch.setattr("roadtest.study.api.compare", Compared(there))
    code, _, err = roadtest("compare")
    assert code == 1
    assert "\nvgg16+stn, seed 0 failed: " in err


def _raising(error: BaseException) -> Callable[..., study.Study]:
    def raise_it(*_: Any, **__: Any) -> study.Study:
        raise error

    return raise_it


def test_an_interruption_is_exit_code_130_and_says_how_to_go_on(
    roadtest: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roadtest.study.api.compare", _raising(study.Interrupted(Path("runs/x"))))
    code, _, err = roadtest("compare", "my signs", "--fresh", "--seeds", "3")
    assert code == 130
    # going on must not begin anew, so --fresh is left out
    assert err.endswith("this goes on from there: roadtest compare 'my signs' --seeds 3\n")


def test_an_interruption_before_the_old_study_was_moved_aside_still_begins_anew(
    roadtest: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roadtest.study.api.compare", _raising(KeyboardInterrupt()))
    code, _, err = roadtest("compare", "my signs", "--fresh", "--seeds", "3")
    assert code == 130
    assert err.endswith("this begins anew: roadtest compare 'my signs' --fresh --seeds 3\n")
    assert roadtest("compare", "my signs")[2].endswith("this goes on from there: roadtest compare 'my signs'\n")


def test_an_interruption_of_the_closing_words_does_not_begin_anew(
    roadtest: Answer, compared: Compared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roadtest.cli.tables.print_leaderboard", _raising(KeyboardInterrupt()))
    assert roadtest("compare", "--fresh")[2].endswith("this goes on from there: roadtest compare\n")


def test_a_stream_without_our_signs_gets_question_marks(study_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict") for _ in range(2))
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setattr("sys.stderr", err)
    monkeypatch.setattr("roadtest.analysis.summary_sentences", lambda results: ["98 – 99 %"])
    assert cli.main(["leaderboard", str(study_dir)]) == 0
    out.flush()
    assert b"98 ? 99 %" in out.buffer.getvalue()  # type: ignore[attr-defined]


def test_a_verb_that_keeps_nothing_promises_nothing_when_it_is_interrupted(
    roadtest: Answer, study_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roadtest.report.write_report", _raising(KeyboardInterrupt()))
    code, _, err = roadtest("report", str(study_dir))
    assert (code, err) == (130, "roadtest: interrupted\n")


def test_a_bug_is_exit_code_1_one_line_and_a_log(
    roadtest: Answer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("roadtest.study.api.compare", _raising(RuntimeError("boom\nand more")))
    code, _, err = roadtest("compare")
    assert code == 1
    assert err.startswith("roadtest: stopped by RuntimeError: boom and more; the traceback is in ")
    assert err.count("\n") == 1
    (log,) = tmp_path.glob("roadtest-*-error.txt")
    assert str(log) in err and "Traceback" in log.read_text()


def test_a_full_disk_is_exit_code_1_and_says_how_to_go_on(roadtest: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roadtest.study.api.compare", _raising(OSError(errno.ENOSPC, "No space left on device")))
    said = "roadtest: the disk is full: make room, and the same command goes on\n"
    assert roadtest("compare") == (1, "", said)


def test_a_bug_without_room_for_its_traceback_is_one_line_all_the_same(
    roadtest: Answer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "absent"))
    monkeypatch.setattr("roadtest.study.api.compare", _raising(RuntimeError("boom")))
    said = "roadtest: stopped by RuntimeError: boom; --verbose shows the traceback\n"
    assert roadtest("compare") == (1, "", said)


def test_broken_images_are_listed_before_the_line(roadtest: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    error = ValueError("30 images cannot be read: mend them or --skip-broken")
    error.paths_and_reasons = [(f"{place}.png", "truncated") for place in range(30)]  # type: ignore[attr-defined]
    monkeypatch.setattr("roadtest.study.api.compare", _raising(error))
    code, _, err = roadtest("compare")
    assert code == 2
    assert err.splitlines()[0] == "  0.png: truncated"
    assert err.splitlines()[-2:] == ["  and 10 more", "roadtest: 30 images cannot be read: mend them or --skip-broken"]


def test_names_of_files_reach_the_terminal_as_text_alone(
    roadtest: Answer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error = ValueError("\x1b]0;owned\x07.png cannot be read")
    error.paths_and_reasons = [("\x1b[2J.png", "\x1b[31m")]  # type: ignore[attr-defined]
    monkeypatch.setattr("roadtest.study.api.compare", _raising(error))
    _, _, err = roadtest("compare")
    assert err == "  ?[2J.png: ?[31m\nroadtest: ?]0;owned?.png cannot be read\n"
    columns = [terminal.Column(title="network", text=lambda row: str(row["network"]), is_right=False, is_folding=True)]
    terminal.print_table(columns, [("", [{"network": "\x1b[2Jlenet5\nin two lines"}])])
    assert capsys.readouterr().out.split() == ["network", "?[2Jlenet5", "in", "two", "lines"]


@pytest.mark.slow
def test_a_leaderboard_in_every_format_has_every_network(roadtest: Answer, study_dir: Path) -> None:
    rows = json.loads(roadtest("leaderboard", str(study_dir), "--format", "json")[1])
    assert len(rows) == 6
    lines = list(csv.DictReader(io.StringIO(roadtest("leaderboard", str(study_dir), "--format", "csv")[1])))
    assert [line["network"] for line in lines] == [row["network"] for row in rows]
    assert roadtest("leaderboard", str(study_dir), "--format", "md")[1].startswith("| network |")


def test_networks_without_enough_training_stand_under_a_line(roadtest: Answer, study_dir: Path) -> None:
    _, out, _ = roadtest("leaderboard", str(study_dir))
    lines = out.splitlines()
    place = lines.index("── too little training to compare: less than two epochs")
    assert lines[place + 1].startswith("vgg16+stn ")
    assert lines[place + 2] == "── not trained yet"
    assert all("too little" not in line for line in lines[:place])


@pytest.mark.slow
def test_no_colour_reaches_a_file(study_dir: Path) -> None:
    command = [sys.executable, "-m", "roadtest", "leaderboard", str(study_dir)]
    done = subprocess.run(command, capture_output=True, check=True)
    assert b"\x1b" not in done.stdout + done.stderr


@pytest.mark.slow
def test_a_reader_that_stops_early_is_no_error(study_dir: Path) -> None:
    command = f"{sys.executable} -m roadtest leaderboard '{study_dir}' --format json | head -c 1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "[")
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_networks_are_counted_with_and_without_the_transformer(roadtest: Answer) -> None:
    rows = json.loads(roadtest("networks", "lenet5", "resnet34+stn", "--format", "json")[1])
    assert [(row["network"], row["has_stn"], row["num_parameters"]) for row in rows] == [
        ("lenet5", False, 65_219),
        ("lenet5", True, 65_219 + 8_544),
        ("resnet34", True, 21_299_051 + 8_544),
    ]


def test_the_doctor_says_what_to_do(roadtest: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    finding = Finding(topic="load", severity="slow", text="the machine is busy", advice="stop other work")
    places: list[Path] = []
    monkeypatch.setattr("roadtest.machine.doctor_findings", lambda place, archives: places.append(place) or [finding])
    monkeypatch.delenv("ROADTEST_CACHE", raising=False)
    code, out, _ = roadtest("doctor")
    assert (code, places) == (0, [default_cache_dir()])
    assert re.split(r" {2,}", out.splitlines()[1]) == ["slow", "load", "the machine is busy", "stop other work"]
    assert json.loads(roadtest("doctor", "--format", "json")[1])[0]["advice"] == "stop other work"


def test_a_contact_sheet_is_drawn_from_a_folder(
    roadtest: Answer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROADTEST_CACHE", str(tmp_path / "cache"))
    for name, colour in (("red", (200, 0, 0)), ("blue", (0, 0, 200))):
        (tmp_path / "images" / name).mkdir(parents=True)
        for place in range(10):
            Image.new("RGB", (20 + place, 24), colour).save(tmp_path / "images" / name / f"{place}.png")
    sheet = tmp_path / "sheet.png"
    code, out, err = roadtest("data", "preview", str(tmp_path / "images"), "-o", str(sheet), "--augmented")
    assert (code, out) == (0, "")
    assert err.endswith(sheet.as_uri() + "\n")
    with Image.open(sheet) as picture:
        assert picture.width > 100


def test_a_narrow_window_keeps_accuracies_and_drops_what_matters_less(study_dir: Path) -> None:
    rows = study.Study(study_dir).leaderboard()
    every = [*terminal.LEADERBOARD, *terminal.cost_columns()]
    titles = {width: [c.title for c in terminal.choose_columns(every, rows, width)] for width in (40, 80, 200)}
    assert titles[40] == ["network", "val accuracy", "test accuracy"]
    assert titles[80] == ["network", "val accuracy", "test accuracy", "95 % interval", "letters", "training"]
    assert titles[200] == [column.title for column in every]
    alone = terminal.choose_columns(terminal.leaderboard_columns(rows), rows, 80)  # one seed: nobody has a letter
    assert [column.title for column in alone][-2:] == ["training", "latency"]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (terminal.count(65_219), "65,219"),
        (terminal.count(134_445_163), "134.4 M"),
        (terminal.count(1_159_000_000), "1.16 G"),
        (terminal.count(None), "–"),
    ],
)
def test_a_count_is_exact_while_it_is_small(text: str, wanted: str) -> None:
    assert text == wanted


def test_caution_is_for_single_seeds_only() -> None:
    assert terminal.caution([{"num_runs": 1}, {"num_runs": 0}]) == "1 seed: observed, not judged; add --seeds 3"
    assert terminal.caution([{"num_runs": 3}]) is None
    assert terminal.caution([{"num_runs": 0}]) is None
