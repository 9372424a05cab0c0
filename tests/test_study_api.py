"""A study: everything that is missing and nothing twice, whatever fails, stops or is killed in between.

A real study of one network from both starts, without a connection: its records, its table, its use."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fake_hub
from roadtest.analysis import pretraining_rows
from roadtest.inference.classifier import Classifier
from roadtest.records import read_predictions, read_rows
from roadtest.records.disk import folder_lock
from roadtest.study.api import Interrupted, Study, compare, read_run, read_study
from roadtest.study.api import __name__ as study_name
from roadtest.study.options import build_options
from small_study import NUM_IMAGES, Told, compare_small, draw_images, own, prepare

HERE = Path(__file__).parent


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return prepare(tmp_path, monkeypatch)


def refusal(images: Path, *names: str, **options: Any) -> str:
    with pytest.raises((ValueError, FileNotFoundError)) as error:
        compare_small(images, *names, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def marks(study_dir: Path) -> dict[str, tuple[int, bytes]]:
    """When the files of all finished runs were written, and what is in them."""
    return {
        str(path): (path.stat().st_mtime_ns, path.read_bytes())
        for record in study_dir.glob("*/seed-*/record.json")
        for path in record.parent.iterdir()
    }


@pytest.mark.slow
def test_a_study_leaves_the_files_of_the_interface(images: Path) -> None:
    study, told = compare_small(images, "good", seeds=2)
    run_dir = study.runs()[0].path
    names = ".lock study.json study.toml split.csv latency.csv latency-log.txt test-reads.csv report"
    assert {path.name for path in study.path.iterdir()} == {*names.split(), run_dir.parent.name}
    names = "epochs.csv log.txt val.npz test.npz weights.safetensors record.json"
    assert {path.name for path in run_dir.iterdir()} == set(names.split())
    assert [run.record.seed for run in study.runs()] == [0, 1]
    assert study.missing() == [] and study.failures() == []
    assert told.runs("started") == told.runs("finished") == [("good", 0), ("good", 1)]
    assert told.of("planned")[0].text.startswith("2 runs, at most 2 epochs each")
    assert told.of("planned")[0].num_total == 2


@pytest.mark.slow
def test_the_split_is_a_table_and_seed_k_validates_on_fold_k(images: Path) -> None:
    study, _ = compare_small(images, "good", seeds=[1, 13])
    rows = read_rows(study.path / "split.csv")
    assert list(rows[0]) == ["path", "label", "group", "split", "fold"]
    assert len(rows) == NUM_IMAGES
    assert {row["fold"] for row in rows if row["split"] == "train"} == {str(fold) for fold in range(10)}
    assert {row["fold"] for row in rows if row["split"] == "test"} == {"-1"}
    for run, fold in zip(study.runs(), ("1", "3"), strict=True):  # 13 mod 10
        val_ids = run.predictions("val").image_ids_N.tolist()
        assert val_ids == [i for i, row in enumerate(rows) if row["fold"] == fold]


@pytest.mark.slow
def test_the_same_command_again_repeats_nothing_and_needs_no_torch(images: Path) -> None:
    study, _ = compare_small(images, "good", "other")
    before = marks(study.path)
    again, told = compare_small(images, "good", "other")
    assert marks(again.path) == before
    assert told.of("started") == []
    assert [event.status for event in told.of("queued")] == ["finished", "finished"]
    assert told.of("planned")[0].text == "2 runs, 2 of them finished"
    code = (
        "import sys, roadtest; from roadtest.study import launch, runner; launch.WORKER = None\n"
        "runner.write_report = lambda *a, **k: None\n"
        f"roadtest.compare({str(images)!r}, networks={own('good', 'other')!r}, lr=0.05, epochs=2, out='study',"
        "device='cpu'); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr


@pytest.mark.slow
def test_more_seeds_and_more_networks_do_only_what_is_missing(images: Path) -> None:
    study, _ = compare_small(images, "good")
    before = marks(study.path)
    _, told = compare_small(images, "good", seeds=2)
    assert told.runs() == [("good", 1)]
    _, told = compare_small(images, "good", "other", seeds=2)
    assert told.runs() == [("other", 0), ("other", 1)]
    after = marks(study.path)
    assert {path: after[path] for path in before} == before
    assert [(run.network, run.seed) for run in study.info.runs] == [
        (n, s) for n in own("good", "other") for s in (0, 1)
    ]
    assert {row["network"] for row in read_rows(study.path / "latency.csv")} == set(own("good", "other"))


@pytest.mark.slow
def test_a_file_that_was_edited_after_its_run_is_refused_before_anything_is_trained(images: Path) -> None:
    study, _ = compare_small(images, "good", "other")
    with Path("good.py").open("a") as file:
        file.write("# another network now")
    before = marks(study.path)
    with pytest.raises(ValueError, match=r"'good\.py:build' was changed after its run with seed 0 was finished: "):
        compare_small(images, "good", "other", seeds=2)
    assert marks(study.path) == before
    _, told = compare_small(images, "other", seeds=2)  # whose file is as it was
    assert told.runs() == [("other", 1)]


@pytest.mark.slow
def test_a_study_that_has_grown_is_repeated_by_one_command(images: Path) -> None:
    compare_small(images, "good")
    study, _ = compare_small(images, "other")
    assert "--networks good.py:build,other.py:build --stn off --seeds 0" in study.info.command
    _, told = compare_small(images, "good", "other", stn="off", seeds=[0])
    assert told.of("started") == []


@pytest.mark.slow
def test_another_protocol_is_refused_by_the_first_field_that_differs_before_anything_is_decoded(
    images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study, _ = compare_small(images, "good")
    before = marks(study.path)
    assert "study holds a study of another protocol: max_epochs is 2 there and 3 here" in refusal(
        images, "good", epochs=3
    )
    assert "learning_rates is" in refusal(images, "good", lr=0.1)
    assert marks(study.path) == before
    for place in (f"{study_name}.open_joined", "roadtest.study.prepare.open_image_set"):
        monkeypatch.setattr(place, lambda *_, **__: pytest.fail("it was decoded"))
    assert "another protocol" in refusal(images, "good", batch_size=64, flips="off")


@pytest.mark.slow
def test_other_data_is_refused_and_the_same_data_elsewhere_is_not(images: Path, tmp_path: Path) -> None:
    compare_small(images, "good")
    other = draw_images(tmp_path / "others", shift=1000)
    assert "study holds a study of other data" in refusal(other, "good")
    same = draw_images(tmp_path / "same")
    _, told = compare_small(same, "good")
    assert told.of("started") == []


@pytest.mark.slow
def test_fresh_moves_the_old_study_aside_and_begins_anew(images: Path, tmp_path: Path) -> None:
    study, _ = compare_small(images, "good")
    before = {Path(path).name: content for path, (_, content) in marks(study.path).items()}
    for _ in range(2):  # twice within a second
        _, told = compare_small(images, "good", fresh=True, epochs=3)
        assert told.runs() == [("good", 0)]
    old = sorted(tmp_path.glob("study.old-*"))
    assert len(old) == 2
    assert {Path(path).name: content for path, (_, content) in marks(old[0]).items()} == before


@pytest.mark.slow
def test_fresh_never_moves_a_study_that_somebody_works_on_or_for_a_mistake(images: Path, tmp_path: Path) -> None:
    study, _ = compare_small(images, "good")
    refusal(tmp_path / "nowhere", "good", fresh=True)
    assert study.path.exists()
    with folder_lock(study.path):
        assert "in use by process" in refusal(images, "good", fresh=True)
        assert "in use by process" in refusal(images, "good")
    assert list(tmp_path.glob("study.old-*")) == []


@pytest.mark.slow
def test_a_failing_run_is_a_row_with_its_reason_and_the_others_go_on(images: Path) -> None:
    study, told = compare_small(images, "raises", "killed", "good")
    assert [(f.network, f.seed, f.reason) for f in study.failures()] == [
        ("raises.py:build", 0, "the network is wrong: mend it"),
        ("killed.py:build", 0, "the process was ended by SIGKILL: out of memory?"),
    ]
    assert [run.record.network for run in study.runs()] == ["good.py:build"]
    assert [run.network for run in study.missing()] == own("raises", "killed")
    assert [(event.label, event.seed) for event in told.of("failed")] == [(n, 0) for n in own("raises", "killed")]
    _, told = compare_small(images, "raises", "killed", "good")
    assert told.runs() == [("raises", 0), ("killed", 0)]


@pytest.mark.slow
def test_fail_fast_stops_at_the_first_failure_and_a_study_without_runs_is_readable(images: Path) -> None:
    study, _ = compare_small(images, "raises", "good", fail_fast=True)
    assert len(study.failures()) == 1 and study.runs() == []
    assert not (study.path / "latency.csv").exists()
    assert (study.path / "report" / "index.html").exists()


@pytest.mark.slow
def test_a_network_that_cannot_be_built_is_a_failure_before_anything_runs(images: Path) -> None:
    study, told = compare_small(images, networks=["lenet5", "good.py:build"], stn="off", image_size=16)
    (failure,) = study.failures()
    assert failure.network == "lenet5"
    assert "cannot classify 16 x 16 images" in failure.reason and "--image-size" in failure.reason
    assert told.runs() == [("good", 0)]


@pytest.mark.slow
def test_a_sweep_finds_the_rates_that_the_protocol_lacks_and_runs_once(images: Path) -> None:
    study, told = compare_small(images, "good", "raises", lr=None)
    assert "before it" in told.of("planned")[0].text
    (row,) = [row for row in read_rows(study.path / "sweep.csv") if row["is_chosen"] == "True"]
    assert study.runs()[0].record.learning_rate == float(row["learning_rate"])
    assert [(f.network, f.reason) for f in study.failures()] == [("raises.py:build", "the network is wrong: mend it")]
    _, told = compare_small(images, "good", lr=None, seeds=2)
    assert told.of("sweep") == []
    assert told.runs() == [("good", 1)]


@pytest.mark.slow
def test_without_the_test_set_it_is_never_read(images: Path, tmp_path: Path) -> None:
    study, _ = compare_small(images, "good", reads_test=False)
    assert study.runs()[0].record.test is None
    assert not (study.runs()[0].path / "test.npz").exists()
    assert not (tmp_path / "cache" / "test-reads.csv").exists()
    assert read_rows(study.path / "test-reads.csv") == []
    assert not study.info.reads_test
    _, told = compare_small(images, "good")
    assert told.of("started") == []
    assert any("did not read the test set" in event.text for event in told.of("warning"))


@pytest.mark.slow
def test_the_ledger_has_a_line_per_run_and_the_study_a_copy(images: Path, tmp_path: Path) -> None:
    study, _ = compare_small(images, "good", seeds=2)
    ledger = read_rows(tmp_path / "cache" / "test-reads.csv")
    assert [(row["network"], row["seed"], row["study"]) for row in ledger] == [
        ("good.py:build", "0", "study"),
        ("good.py:build", "1", "study"),
    ]
    assert read_rows(study.path / "test-reads.csv") == ledger
    compare_small(images, "good", seeds=2)
    assert read_rows(tmp_path / "cache" / "test-reads.csv") == ledger


@pytest.mark.slow
@pytest.mark.parametrize(("keep", "kept"), [("all", ["good", "other"]), ("none", []), ("chosen", ["good"])])
def test_weights_are_kept_as_asked(keep: str, kept: list[str], images: Path) -> None:
    study, _ = compare_small(images, "good", "other", keep_weights=keep)
    with_weights = [run.record.network for run in study.runs() if (run.path / "weights.safetensors").exists()]
    assert with_weights == own(*kept)


def test_the_bytes_of_a_download_are_reported_and_groups_are_proposed_on_request(
    images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups: list[str | None] = []

    def download(*_: object, group: str | None, **options: Any) -> None:
        groups.append(group)
        options["on_download"](7, 9)
        raise FileNotFoundError("there is no network")

    monkeypatch.setattr(f"{study_name}.open_joined", download)
    told = Told()
    for source, options in (("gtsrb", {}), (str(images), {"group": "auto"})):
        with pytest.raises(FileNotFoundError):
            compare(source, on_event=told.append, out="study", **options)
    assert groups == [None, "auto"]
    assert [(event.num_done, event.num_total) for event in told.of("download")] == [(7, 9)] * 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"network": "lenet5"}, "there is no option 'network': did you mean 'networks'"),
        ({"zzz": 1}, "there is no option 'zzz': choose from"),
        ({"seeds": 0}, "--seeds 0 cannot be used"),
        ({"device": "gpu"}, "device 'gpu' is not known"),
        ({"networks": ["lenet6"]}, "'lenet6' is not known"),
        ({"data_dir": "x"}, "--data-dir goes with the source gtsrb"),
        ({"out": "good.py"}, "good.py is a file"),
        ({"out": "images"}, "images holds other things than a study"),
        ({"image_size": 9}, "image_size=9 is out of range"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(options: dict[str, Any], words: str, images: Path) -> None:
    assert words in refusal(images, "good", **options)
    assert not Path("study").exists()


@pytest.mark.parametrize("out", ["good.py", "images"])
def test_a_place_that_is_taken_is_refused_before_any_image_is_opened(
    out: str, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[object] = []
    for name in ("settle", "open_joined"):
        monkeypatch.setattr(f"{study_name}.{name}", lambda *_, **__: opened.append(1))
    assert out in refusal(images, "good", out=out)
    assert opened == []


@pytest.mark.slow
def test_warnings_and_failures_reach_whoever_does_not_listen(
    images: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roadtest.study.spending.count_disk_bytes", lambda *_, **__: 10**21)
    compare(images, networks=own("good", "raises"), lr=0.05, epochs=2, out="study", device="cpu")
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert any(line.startswith("warning: the runs need ") for line in lines)
    assert any(line.startswith("raises.py:build seed 0  failed: ") for line in lines)
    assert all(line.startswith("warning: ") or "  failed: " in line for line in lines)


@pytest.mark.slow
def test_ctrl_c_counts_as_an_interrupted_study_once_the_old_one_was_moved_aside(
    images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(f"{study_name}.write_plan", interrupt)
        with pytest.raises(Interrupted):
            compare_small(images, "good", fresh=True)
    monkeypatch.setattr(f"{study_name}.open_joined", interrupt)
    with pytest.raises(KeyboardInterrupt):
        compare_small(images, "good", fresh=True)


def test_options_take_any_sequence(images: Path) -> None:
    options = build_options({"networks": "lenet5", "seeds": range(3), "out": "~/x"})
    assert (options.networks, options.seeds) == (("lenet5",), (0, 1, 2))
    assert options.out is not None and options.out.is_absolute()
    assert build_options({"networks": ["a", "b"], "seeds": 4}).seeds == 4


def test_a_folder_that_is_no_study_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="give the folder that `roadtest compare` wrote"):
        read_study(tmp_path)
    with pytest.raises(ValueError, match="give the folder of a finished run"):
        read_run(tmp_path)


@pytest.mark.slow
def test_two_runs_at_the_same_time_give_the_same_study(images: Path) -> None:
    study, told = compare_small(images, "good", "other", "raises", seeds=2, jobs=2)
    assert sorted(told.runs("finished")) == [("good", 0), ("good", 1), ("other", 0), ("other", 1)]
    assert len(study.failures()) == 2
    assert len(read_rows(study.path / "test-reads.csv")) == 4
    for run in study.runs():
        assert read_predictions(run.path / "val.npz").image_ids_N.size


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    images = prepare(tmp_path, monkeypatch, is_fake=False)
    fake_hub.fill_cache(tmp_path / "hub")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))  # for the workers
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    how = {"networks": [fake_hub.NETWORK], "pretrained": "both", "epochs": 3, "threads": 1, "flips": "off"}
    study, _ = compare_small(images, lr=0.002, precision="float32", **how)
    return study


@pytest.mark.slow
def test_both_starts_are_trained_recorded_compared_and_can_be_used(
    study: Study, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert study.failures() == []
    nothing, pretrained = (run.record for run in study.runs())
    assert (nothing.network, pretrained.network) == (fake_hub.NETWORK, f"{fake_hub.NETWORK}+pretrained")
    assert (nothing.normalisation, pretrained.normalisation) == ("per-image", "fixed")
    assert nothing.pretrained_weights == ""
    assert pretrained.pretrained_weights.startswith(f"{fake_hub.REPOSITORY} model.safetensors sha256:")
    assert nothing.cost.num_parameters == pretrained.cost.num_parameters
    assert nothing.protocol_fingerprint == pretrained.protocol_fingerprint

    (row,) = pretraining_rows(study.path)
    assert row["num_runs"] == 1 and row["val_gain"] is not None
    assert len(read_rows(study.path / "report" / "tables" / "pretraining.csv")) == 1
    assert "What pretraining brought" in (study.path / "report" / "index.html").read_text(encoding="utf-8")

    # Its own weights are all that is needed to use it: the hub's are gone.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "nothing"))
    run = study.runs()[1]
    classifier = Classifier.from_run(run.path)
    predictions = run.predictions("val")
    pixels = next((tmp_path / "cache" / "decoded").glob("*/images.npy"))
    images_NHWC = np.load(pixels)[predictions.image_ids_N]
    probabilities_NK = classifier(images_NHWC)
    assert np.array_equal(probabilities_NK.argmax(1), predictions.logits_NK.astype(np.float32).argmax(1))
