"""The methods: only what was done, the unit of error by its name, numbered references; notes on runs and machines."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from exact_study import change_record
from fake_study import build_fake_study
from roadtest.analysis import Results, read_results
from roadtest.records import read_records, read_rows, write_rows
from roadtest.report.sections.costs import latency_table
from roadtest.report.sections.methods import (
    REFERENCES,
    collapse_notes,
    describe_methods,
    machine_facts,
    name_unit,
    time_notes,
)


def text_of(results: Results) -> str:
    return " ".join(describe_methods(results)[0])


def test_a_judged_study_names_both_kinds_of_variance_and_recovered_tracks(tmp_path: Path) -> None:
    study = build_fake_study(tmp_path / "s", networks=["lenet5", "lenet5+stn"], seeds=3, has_examples=False)
    paragraphs, references = describe_methods(read_results(study))
    text = " ".join(paragraphs)
    assert "One network, with and without a Spatial Transformer [1]" in text
    for words in ("3 seeds each", "recovered track", "crossed random effects", "Holm’s correction", "Welch’s t"):
        assert words in text, words
    # numbered as the text calls for them
    assert list(dict.fromkeys(re.findall(r"\[(\d+)\]", text))) == [str(number) for number in range(1, 12)]
    assert references[0] == REFERENCES["jaderberg"] and len(references) == 11


def test_networks_with_different_numbers_of_seeds_are_told_as_they_are(tmp_path: Path) -> None:
    study = build_fake_study(tmp_path / "s", networks=["lenet5", "vgg16"], seeds=3, has_examples=False)
    results = read_results(study)
    first, second = results.variants
    grown = replace(results, variants=(first, replace(second, planned=second.planned[:1])))
    assert "with 1 to 3 seeds each, which vary" in text_of(grown)


def test_two_seeds_tell_of_no_verdicts(tmp_path: Path) -> None:
    study = build_fake_study(tmp_path / "s", networks=["lenet5", "vgg16"], seeds=2, has_examples=False)
    text = text_of(read_results(study))
    assert "there are no verdicts" in text and "Holm" not in text and "Spatial" not in text


def test_a_validation_split_of_the_data_is_judged_by_units_and_not_by_folds(tmp_path: Path) -> None:
    # as on test, all seeds answer the same images there
    study = build_fake_study(tmp_path / "s", networks=["lenet5", "vgg16"], seeds=3, has_examples=False)
    results = read_results(study)
    text = text_of(replace(results, info=replace(results.info, num_val=100)))
    assert "crossed random effects" in text and "fold is the unit" not in text


def test_judged_on_test_the_choice_by_folds_is_told_too(tmp_path: Path) -> None:
    study = build_fake_study(tmp_path / "s", networks=["lenet5", "vgg16"], seeds=3, has_examples=False)
    text = text_of(read_results(study))
    assert "crossed random effects" in text and "the fold is the unit" in text


def test_a_single_network_with_many_seeds_is_not_said_to_have_one_or_two(tmp_path: Path) -> None:
    study = build_fake_study(tmp_path / "s", networks=["lenet5"], seeds=4, has_examples=False)
    text = text_of(read_results(study))
    assert "One or two seeds" not in text and "one or two seeds" not in text and "crossed random effects" in text


def test_one_validation_part_for_all_seeds_is_not_said_to_vary(tmp_path: Path) -> None:
    results = read_results(build_fake_study(tmp_path / "s", networks=["lenet5"], seeds=1, has_examples=False))
    assert "which vary the split, the initial weights" in text_of(results)
    own = replace(results, info=replace(results.info, num_val=100))
    assert "which vary the initial weights" in text_of(own)


def test_without_the_split_the_unit_of_error_is_not_known(tmp_path: Path) -> None:
    study = build_fake_study(tmp_path / "s", networks=["lenet5", "vgg16"], seeds=3, has_examples=False)
    for path in [study / "split.csv", *study.glob("*/seed-*/*.npz")]:  # a copy for others, as those under results/
        path.unlink()
    text = text_of(read_results(study))
    assert "the split (split.csv) is missing" in text and "names no groups" not in text


def test_the_unit_of_error_has_its_name(tmp_path: Path) -> None:
    study = build_fake_study(tmp_path / "s", networks=["lenet5"], seeds=1, has_examples=False)
    assert name_unit(read_results(study), "test") == "recovered track"
    assert name_unit(read_results(study), "val") == "track"
    info = study / "study.json"
    text = info.read_text().replace('"source": "gtsrb"', '"source": "photos"')
    info.write_text(text)
    assert name_unit(read_results(study), "val") == "group"
    old = ("--data-dir data", "--group auto")  # before the field there is only the command
    for was, now in (old, ('"group_origin": ""', '"group_origin": "auto"')):
        assert was in text
        info.write_text(text.replace(was, now))
        assert name_unit(read_results(study), "val") == "probable frame chain"
    rows = [{**row, "group": ""} for row in read_rows(study / "split.csv")]
    write_rows(study / "split.csv", rows, rows[0])
    assert name_unit(read_results(study), "test") == "single image"


def change_text(study: Path, run: str, old: str, new: str) -> None:
    path = study / run / "record.json"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def test_a_seed_that_collapsed_is_listed_and_counts(tmp_path: Path) -> None:
    study = build_fake_study(tmp_path / "s", networks=["lenet5", "vgg16"], seeds=3, has_examples=False)
    change_record(study / "lenet5" / "seed-1", "val", {"num_seen": 100, "num_correct": 3, "loss_sum": 400.0})
    assert ["lenet5, seed 1 (3.00 % in validation)" in note for note in collapse_notes(read_results(study))] == [True]


def test_times_of_a_busy_machine_are_marked(tmp_path: Path) -> None:
    study = build_fake_study(tmp_path / "s", networks=["lenet5"], seeds=1, has_examples=False)
    rows: list[dict[str, Any]] = [{**row, "is_busy": "True"} for row in read_rows(study / "latency.csv")]
    write_rows(study / "latency.csv", rows, rows[0])
    change_text(study, "lenet5/seed-0", '"load": 0.04', '"load": 0.5')  # one process on one of two cores
    runs, latencies = time_notes(read_results(study))
    assert "lenet5, seed 0" in runs and "not to be trusted" in runs and "latencies" in latencies
    table = latency_table(read_results(study))
    assert table is not None and {row[-1].below for row in table.rows} == {"machine was busy"}


def test_runs_that_had_others_beside_them_are_said_to_have_had_them(tmp_path: Path) -> None:
    study = build_fake_study(tmp_path / "s", networks=["lenet5"], seeds=2, has_examples=False)
    change_text(study, "lenet5/seed-0", '"num_jobs": 1', '"num_jobs": 2')
    (note,) = time_notes(read_results(study))
    assert note.startswith("1 of 2 runs ") and "not to be trusted" not in note
    assert any("up to 2 runs at a time" in fact.text for fact in machine_facts(read_records(study)))


def test_runs_of_several_machines_are_named_with_theirs(tmp_path: Path) -> None:
    study = build_fake_study(tmp_path / "s", networks=["lenet5", "lenet5+stn"], seeds=2, has_examples=False)
    (alone,) = machine_facts(read_records(study))
    assert (alone.term, ":" in alone.text) == ("4 runs", False)
    change_text(study, "lenet5/seed-1", "Example CPU", "Other CPU")
    facts = {fact.term: fact.text.partition(": ")[2] for fact in machine_facts(read_records(study))}
    assert facts == {"3 runs": "lenet5, seed 0; lenet5+stn, seeds 0 and 1", "1 run": "lenet5, seed 1"}
