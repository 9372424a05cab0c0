"""The ledger of test readings: a line each, before the reading, and never lost."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

from roadtest.data.ledger import COLUMNS, copy_test_reads, note_test_read
from roadtest.record import PlannedRun, read_rows

RUN = PlannedRun(network="lenet5", has_stn=True, seed=4)


def note(cache_dir: Path, data: str = "d", study: str = "first") -> None:
    note_test_read(cache_dir, data_fingerprint=data, study=study, run=RUN, protocol_fingerprint="p")


def test_every_reading_is_a_line_and_lines_are_only_added(tmp_path: Path) -> None:
    note(tmp_path / "cache")
    first = (tmp_path / "cache" / "test-reads.csv").read_text()
    note(tmp_path / "cache", study="second")
    rows = read_rows(tmp_path / "cache" / "test-reads.csv")
    assert (tmp_path / "cache" / "test-reads.csv").read_text().startswith(first)
    assert tuple(rows[0]) == COLUMNS
    assert [row["study"] for row in rows] == ["first", "second"]
    assert (rows[0]["network"], rows[0]["has_stn"], rows[0]["seed"]) == ("lenet5", "True", "4")
    assert rows[0]["read_at"].startswith("20")


def test_no_line_is_lost_where_several_runs_begin_a_ledger_at_once(tmp_path: Path) -> None:
    num_runs = 4
    for trial in range(10):  # what is raced for takes microseconds: without a lock most trials lose or double a line
        cache_dir, together = tmp_path / str(trial), Barrier(num_runs)

        def run(k: int, cache_dir: Path = cache_dir, together: Barrier = together) -> None:
            together.wait()
            note(cache_dir, study=str(k))

        with ThreadPoolExecutor(num_runs) as pool:
            list(pool.map(run, range(num_runs)))
        rows = read_rows(cache_dir / "test-reads.csv")
        assert sorted(row["study"] for row in rows) == ["0", "1", "2", "3"]


def test_a_study_gets_the_lines_about_its_own_test_set_of_all_studies(tmp_path: Path) -> None:
    note(tmp_path, data="d", study="first")
    note(tmp_path, data="other", study="first")
    note(tmp_path, data="d", study="second")
    study_dir = tmp_path / "study"
    study_dir.mkdir()
    copy_test_reads(tmp_path, study_dir, "d")
    assert [row["study"] for row in read_rows(study_dir / "test-reads.csv")] == ["first", "second"]


def test_lines_that_only_the_study_knows_stay_in_the_order_of_time(tmp_path: Path) -> None:
    study_dir, cache_dir = tmp_path / "study", tmp_path / "cache"
    study_dir.mkdir(), note(cache_dir, study="here")
    copy_test_reads(cache_dir, study_dir, "d")
    path = study_dir / "test-reads.csv"
    head, line = path.read_text().splitlines()
    path.write_text(f"{head}\n{line}\n2000-01-01T00:00:00+00:00,d,elsewhere,vgg16,False,0,p\n")
    for _ in range(2):
        copy_test_reads(cache_dir, study_dir, "d")
        assert [row["study"] for row in read_rows(path)] == ["elsewhere", "here"]
    copy_test_reads(tmp_path / "the cache is gone", study_dir, "d")
    assert [row["study"] for row in read_rows(path)] == ["elsewhere", "here"]


def test_without_a_ledger_a_study_has_an_empty_one(tmp_path: Path) -> None:
    copy_test_reads(tmp_path / "no cache", tmp_path, "d")
    assert read_rows(tmp_path / "test-reads.csv") == []
    assert (tmp_path / "test-reads.csv").read_text() == ",".join(COLUMNS) + "\n"


def test_two_headers_of_two_beginners_do_no_harm(tmp_path: Path) -> None:
    note(tmp_path)
    header = ",".join(COLUMNS) + "\n"
    path = tmp_path / "test-reads.csv"
    path.write_text(header + path.read_text())
    study_dir = tmp_path / "study"
    study_dir.mkdir()
    copy_test_reads(tmp_path, study_dir, "d")
    assert len(read_rows(study_dir / "test-reads.csv")) == 1
