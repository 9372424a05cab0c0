"""The run that a path means: itself, or of a study one of the recommended network."""

import shutil
from pathlib import Path

import pytest

from exact_study import build_exact_study
from fake_study import build_fake_study
from roadtest.analysis.recommend import find_run


@pytest.fixture(scope="module")
def study_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LeNet-5 with the STN is the most accurate in validation, by far."""
    folder = tmp_path_factory.mktemp("winner") / "study"
    build_exact_study(folder, {"lenet5": [300, 310, 290], "lenet5+stn": [20, 30, 10]})
    for path in folder.glob("*/seed-*"):
        (path / "weights.safetensors").touch()
    return folder


@pytest.mark.slow
def test_a_run_means_itself(study_dir: Path) -> None:
    found = find_run(study_dir / "lenet5" / "seed-1")
    assert (found.path, found.words) == (study_dir / "lenet5" / "seed-1", "")
    assert find_run(str(study_dir / "lenet5" / "seed-1")) == found


def test_a_study_means_the_first_seed_of_its_recommended_network(study_dir: Path) -> None:
    found = find_run(study_dir)
    assert found.path == study_dir / "lenet5+stn" / "seed-0"
    assert found.words == f"{study_dir} recommends lenet5+stn (judged): its run with seed 0 is taken"


@pytest.mark.slow
def test_a_seed_whose_weights_were_kept_comes_before_one_whose_were_not(study_dir: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(study_dir, tmp_path / "study"))
    (folder / "lenet5+stn" / "seed-0" / "weights.safetensors").unlink()
    assert find_run(folder).path == folder / "lenet5+stn" / "seed-1"
    for path in folder.glob("*/seed-*/weights.safetensors"):
        path.unlink()
    assert find_run(folder).path == folder / "lenet5+stn" / "seed-0"  # whoever reads weights says what is missing


def test_what_is_no_run_says_what_to_give(study_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "unfinished").mkdir()
    (tmp_path / "unfinished" / "log.txt").touch()
    for path, words in (
        (tmp_path / "nowhere", "does not exist"),
        (tmp_path / "empty", "holds neither a record.json nor a study.json"),
        (tmp_path / "file", "is a file"),
        (tmp_path / "unfinished", "is a run that is not finished"),
        (study_dir / "lenet5", "holds 3 runs, such as seed-0"),
    ):
        with pytest.raises(ValueError, match=words) as error:
            find_run(path)
        assert "give the folder of a finished run" in str(error.value) and "\n" not in str(error.value)


def test_a_study_without_a_recommendation_says_how_to_get_one(tmp_path: Path) -> None:
    build_fake_study(
        tmp_path / "study", networks=["lenet5"], seeds=1, undertrained="lenet5", tracks_per_class=1, frames_per_track=1
    )
    with pytest.raises(ValueError, match="recommends no network"):
        find_run(tmp_path / "study")
