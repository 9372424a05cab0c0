"""Studies of several sources: what stands in their folder, and whose test set they read."""

from pathlib import Path

import pytest
from PIL import Image

from roadtest.data.signs import LEVEL, list_signs, read_image
from roadtest.records import read_rows
from roadtest.study.api import Study, compare
from roadtest.study.options import Options
from roadtest.study.resolve import chosen_protocol, source_name, study_name
from small_study import compare_small, draw_images, own, prepare


@pytest.mark.parametrize(
    ("source", "options", "name"),
    [
        ("signs", {}, "signs"),
        ("signs:skewed,20000", {}, "signs-20000-skewed"),
        ("signs:20000", {"test_on": "gtsrb"}, "signs-20000-on-gtsrb"),
        ("signs", {"validate_on": "gtsrb", "test_on": "gtsrb"}, "signs-val-gtsrb-on-gtsrb"),
    ],
)
def test_other_data_are_another_folder(source: str, options: dict[str, str], name: str) -> None:
    chosen = Options(**options)  # type: ignore[arg-type]
    protocol = chosen_protocol(source, chosen, 1)
    assert study_name(source, chosen, protocol) == f"{name}-{protocol.name}-{protocol.fingerprint[:8]}"
    assert source_name("signs:4300") == "signs"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"test_on": "images"}, "names the data that is trained on"),
        ({"validate_on": "gtsrb:test"}, "--validate-on gtsrb"),
    ],
)
def test_a_mistake_is_told_before_anything_is_decoded(
    options: dict[str, str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(tmp_path, monkeypatch)
    with pytest.raises(ValueError) as error:
        compare("images", networks=own("good"), **options)
    assert words in str(error.value) and "\n" not in str(error.value)
    assert not (tmp_path / "runs").exists() and not (tmp_path / "cache" / "decoded").exists()


@pytest.mark.slow
def test_a_study_says_on_what_it_is_tested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = prepare(tmp_path, monkeypatch)
    other = draw_images(tmp_path / "other", shift=1000)
    study, _ = compare_small(images, "good", test_on=str(other), fresh=True)
    info, rows = study.info, read_rows(study.path / "split.csv")
    assert info.test_title == "other" and info.test_fingerprint not in ("", info.data_fingerprint)
    assert info.data_title == "images, tested on other" and info.level == ""
    tests = [row for row in rows if row["split"] == "test"]
    assert len(tests) == info.num_test and all(row["path"].startswith("other/") for row in tests)
    assert f"--test-on {other}" in info.command
    with pytest.raises(ValueError, match="holds a study of other data"):
        compare_small(images, "good")


def photographs(root: Path) -> Path:
    """A folder of 43 numbered classes with a test part: drawn signs of another seed stand in for photographs."""
    for item in list_signs(num_train=430, num_test=430, seed=9).items:
        if item.frame % 2 == 0:
            path = root / item.split / f"{item.label:05d}" / f"{Path(item.path).parent.name}_{item.frame}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            read_image(item).save(path)
    with Image.open(path) as image:
        assert image.mode == "RGB"
    return root


def ledger(study: Study) -> list[str]:
    return [row["data_fingerprint"] for row in read_rows(study.path / "test-reads.csv")]


@pytest.mark.slow
def test_real_runs_train_on_drawn_signs_and_the_ledger_knows_whose_test_was_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(tmp_path, monkeypatch, is_fake=False)
    real = str(photographs(tmp_path / "photographs"))
    chosen = {"networks": own("good"), "lr": 0.05, "epochs": 2, "device": "cpu", "threads": 1, "precision": "float32"}
    drawn = compare("signs:430,test=430", test_on=real, out="drawn", **chosen)
    alone = compare(real, out="alone", **chosen)
    record = drawn.runs()[0].record
    assert (record.level, record.test_title) == (LEVEL, "photographs")
    assert record.test is not None and record.test.num_seen == 215  # 43 tracks of 5
    assert {row["level"] for row in drawn.leaderboard()} == {LEVEL}
    # the test set is the photographs' own in both, and one ledger knows it
    assert set(ledger(drawn)) == set(ledger(alone)) == {alone.info.data_fingerprint}
    assert (len(ledger(drawn)), len(ledger(alone))) == (1, 2)
    page = (drawn.path / "report" / "index.html").read_text(encoding="utf-8")
    assert f"tested on photographs ({LEVEL})" in page and "photographs: read 1 time" in page
    assert f"Trained on synthetic signs alone; level: {LEVEL}." in page
    tables = list((drawn.path / "report" / "tables").glob("*.*"))
    assert {path.suffix for path in tables} == {".csv", ".md", ".tex"}
    assert [path.name for path in tables if LEVEL not in path.read_text()] == []


@pytest.mark.slow
def test_no_test_writes_no_line_and_validation_images_of_another_source_choose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(tmp_path, monkeypatch, is_fake=False)
    real = str(photographs(tmp_path / "photographs"))
    study = compare(
        "signs:430,test=430",
        validate_on=real,
        test_on=real,
        reads_test=False,
        networks=own("good"),
        lr=0.05,
        epochs=2,
        device="cpu",
        threads=1,
        precision="float32",
    )
    record = study.runs()[0].record
    assert record.test is None and ledger(study) == []
    assert record.val.num_seen == 215 and record.level == "real-selected"
    assert study.path.name.startswith("signs-430-test-430-val-photographs-on-photographs-signs-v1-")


def test_mixing_has_gone_and_says_where_it_is_described() -> None:
    with pytest.raises(ValueError, match=r"there is no option 'mix' any more.*docs/log\.md") as error:
        compare("images", mix="signs:0.3")
    assert "\n" not in str(error.value)
