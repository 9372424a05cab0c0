"""A plan measures every network that has runs to do, says what they take, and leaves nothing behind."""

import json
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from roadtest.plan import Plan, plan_study
from roadtest.record import read_rows
from small_study import Told, compare_small, draw_images, own, prepare

OPTIONS = {"lr": 0.05, "epochs": 2, "out": "study", "device": "cpu", "patience": 0}


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return prepare(tmp_path, monkeypatch)


def plan_small(images: Path, *names: str, **options: Any) -> tuple[Plan, Told]:
    told = Told()
    return plan_study(images, on_event=told.append, **{"networks": own(*names), **OPTIONS, **options}), told


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_a_plan_is_a_row_per_network_and_a_sum(images: Path) -> None:
    plan, told = plan_small(images, "good", "slow", seeds=3)
    assert [event.text for event in told.of("phase")] == ["measuring good.py:build", "measuring slow.py:build"]
    good, slow = plan.rows
    # 6 steps of 0.1 s; 3 rows of a second, one every 2 steps; 2 s to start; 50 images and the test's at 10 a second
    num_test = sum(row["split"] == "test" for row in split_rows(images))
    assert good["run_seconds"] == pytest.approx(0.6 + 3.0 + 2.0 + (50 + num_test) / 10)
    assert good["total_seconds"] == pytest.approx(3 * good["run_seconds"])
    assert slow["train_seconds"] == pytest.approx(10 * good["train_seconds"])
    assert (plan.num_runs, plan.num_finished) == (6, 0)
    assert plan.seconds == pytest.approx(good["total_seconds"] + slow["total_seconds"] + 2 * 133.0)  # and latencies
    assert plan.memory_bytes == 5_000_000_000  # the slow one, alone
    assert plan.disk_bytes == 6 * 1_000_000 + 2 * 2_000_000
    assert plan.sentences[0].startswith("6 runs: about")


def split_rows(images: Path) -> list[dict[str, str]]:
    """Where the images of this source go, from a study of it."""
    study, _ = compare_small(images, "good", out="elsewhere")
    return read_rows(study.path / "split.csv")


def test_nothing_is_written_where_the_study_would_be(images: Path, tmp_path: Path) -> None:
    plan, _ = plan_small(images, "good")
    assert plan.study_dir == Path("study")
    assert not (tmp_path / "study").exists()
    assert not (tmp_path / "cache" / "test-reads.csv").exists()


@pytest.mark.slow
def test_what_is_finished_is_not_counted_and_the_study_is_not_touched(images: Path, tmp_path: Path) -> None:
    compare_small(images, "good", patience=0, seeds=2)
    before = contents(tmp_path / "study")
    plan, told = plan_small(images, "good", "other", seeds=3)
    assert [event.text for event in told.of("phase")] == ["measuring good.py:build", "measuring other.py:build"]
    assert [(row["num_runs"], row["num_finished"]) for row in plan.rows] == [(3, 2), (3, 0)]
    assert plan.rows[0]["total_seconds"] == pytest.approx(plan.rows[0]["run_seconds"])
    assert plan.sentences[0].startswith("6 runs, 2 of them finished")
    assert contents(tmp_path / "study") == before


@pytest.mark.slow
def test_a_finished_study_is_not_measured_at_all(images: Path) -> None:
    compare_small(images, "good", patience=0)
    plan, told = plan_small(images, "good")
    assert told.of("phase") == []
    assert (plan.seconds, plan.num_finished, plan.disk_bytes) == (0.0, 1, 0)
    assert plan.sentences == ("1 run, all finished: nothing is left to do.",)
    assert plan_small(images, "good", fresh=True)[0].num_finished == 0


@pytest.mark.slow
def test_a_network_that_fails_is_a_row_with_its_reason(images: Path) -> None:
    plan, _ = plan_small(images, "raises", "good")
    assert [row["reason"] for row in plan.rows] == ["the network is wrong: mend it", None]
    assert plan.rows[0]["run_seconds"] is None
    assert any(one.startswith("raises.py:build could not be measured") for one in plan.sentences)
    only, _ = plan_small(images, "raises")
    assert only.memory_bytes is None and only.sentences[0].startswith("raises.py:build could not be measured")


@pytest.mark.slow
def test_a_missing_rate_is_a_sweep_before_the_runs(images: Path) -> None:
    plan, _ = plan_small(images, "good", lr=None)
    assert plan.rows[0]["sweep_seconds"] > 5 * 30.0
    assert plan.rows[0]["total_seconds"] == pytest.approx(plan.rows[0]["run_seconds"] + plan.rows[0]["sweep_seconds"])
    compare_small(images, "good", patience=0, lr=None)
    again, _ = plan_small(images, "good", lr=None, seeds=2)
    assert again.rows[0]["sweep_seconds"] is None


@pytest.mark.slow
def test_annealed_copies_are_in_the_time_and_on_the_disk(images: Path) -> None:
    alone, annealed = (plan_small(images, "good", epochs=20, anneal=anneal)[0] for anneal in (False, True))
    assert annealed.rows[0]["train_seconds"] == alone.rows[0]["train_seconds"]
    assert annealed.rows[0]["run_seconds"] > alone.rows[0]["run_seconds"]
    assert annealed.disk_bytes > alone.disk_bytes


@pytest.mark.slow
def test_another_protocol_or_other_data_is_refused_as_compare_does(images: Path, tmp_path: Path) -> None:
    compare_small(images, "good", patience=0)
    with pytest.raises(ValueError, match="max_epochs is 2 there and 3 here"):
        plan_small(images, "good", epochs=3)
    with pytest.raises(ValueError, match="holds a study of other data"):
        plan_small(draw_images(tmp_path / "others", shift=1000), "good")


def test_pretrained_weights_are_not_fetched_for_a_plan_and_it_says_so(
    images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(repository: str, filename: str, *, local_files_only: bool, **more: object) -> str:
        assert local_files_only, "it asks the hub"
        raise FileNotFoundError("not in the cache")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    network = "timm:mobilenetv3_small_050+pretrained"
    plan, told = plan_small(images, "good", networks=["good.py:build", network], flips="off")
    assert [row["reason"] for row in plan.rows] == [None, None]
    words = f"the weights of {network} are not in the cache: compare fetches them before it trains anything"
    assert words in [event.text for event in told.of("note")]


@pytest.mark.slow
def test_a_plan_is_plain_values_for_json(images: Path) -> None:
    plan, _ = plan_small(images, "good")
    assert json.loads(json.dumps(plan.to_dict()))["rows"][0]["network"] == "good.py:build"


@pytest.mark.slow
def test_a_real_plan_measures_real_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = prepare(tmp_path, monkeypatch, is_fake=False)
    monkeypatch.setenv("ROADTEST_CACHE", str(tmp_path / "cache"))
    told = Told()
    options = {"networks": ["good.py:build", "lenet5"], "stn": "off", "threads": 1, "precision": "float32", **OPTIONS}
    plan = plan_study(images, on_event=told.append, **options)
    assert [row["reason"] for row in plan.rows] == [None, None]
    for row in plan.rows:
        assert row["num_timed_steps"] >= 3
        assert 10 < row["images_per_second"] < 1e6
        assert row["run_seconds_low"] <= row["run_seconds"] <= row["run_seconds_high"]
        assert 10**8 < row["peak_memory_bytes"] < 10**10
    assert plan.rows[1]["disk_bytes"] > 3 * 65_000 * 4
    assert not (tmp_path / "study").exists()
    assert not (tmp_path / "cache" / "test-reads.csv").exists()
