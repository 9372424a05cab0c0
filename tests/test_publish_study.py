"""What is published of a study: everything that can be read and checked, nothing that is heavy, private or an image."""

from pathlib import Path

import pytest

from benchmarks.accuracy import publish_study
from fake_study import build_fake_study


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = build_fake_study(tmp_path / "study", networks=["lenet5"], seeds=1, tracks_per_class=2, num_evaluations=1)
    (folder / "report").mkdir(exist_ok=True)
    (folder / "report" / "index.html").write_text("<p>page</p>")
    return folder


def test_records_curves_and_the_page_are_copied_and_no_weights_or_outputs(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (study / "lenet5" / "seed-0" / "weights.safetensors").write_bytes(b"heavy")
    (study / "lenet5" / "seed-0" / "log.txt").write_text("a traceback")
    destination = tmp_path / "results" / "here"
    assert publish_study.main([str(study), str(destination)]) == 0
    names = {path.name for path in destination.rglob("*") if path.is_file()}
    assert {"study.json", "record.json", "epochs.csv", "latency.csv", "index.html"} <= names
    assert not names & {"weights.safetensors", "val.npz", "test.npz", "examples.npz", "log.txt", "split.csv"}
    assert capsys.readouterr().out.endswith(f"in {destination}\n")


def test_what_lies_at_the_destination_besides_stays(study: Path, tmp_path: Path) -> None:
    destination = tmp_path / "there"
    destination.mkdir()
    (destination / "README.md").write_text("words")
    publish_study.main([str(study), str(destination)])
    assert (destination / "README.md").read_text() == "words"


@pytest.mark.parametrize(
    ("path", "content", "reason"),
    [
        ("report/index.html", '<img src="data:image/png;base64,AAAA">', "index.html holds images"),
        ("report/index.html", "built in /home/somebody/runs", "names a path of this machine, /home/somebody"),
        ("lenet5/seed-0/record.json", None, "lenet5/seed-0 has no record"),
        ("report/index.html", None, "report/index.html is missing"),
    ],
)
def test_what_must_not_be_published_is_refused_in_one_line_and_nothing_is_copied(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], path: str, content: str | None, reason: str
) -> None:
    if content is None:
        (study / path).unlink()
    else:
        (study / path).write_text(content)
    assert publish_study.main([str(study), str(tmp_path / "there")]) == 2
    told = capsys.readouterr().err
    assert reason in told and told.count("\n") == 1
    assert not (tmp_path / "there").exists()
