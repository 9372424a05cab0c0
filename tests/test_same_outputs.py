"""The comparison of two versions' outputs: what is masked, what counts as a difference."""

from pathlib import Path

from benchmarks.same_outputs import compare_outputs, mask, page_text


def test_times_dates_and_fingerprints_are_masked_and_accuracies_are_not() -> None:
    text = "95.40 % in 12.5 min on 2026-11-30, commit d3b3bfe, 3,100 MB"
    assert mask(text) == "95.40 % in N min on DATE, commit HASH, N MB"


def test_a_page_is_its_words() -> None:
    page = "<html><style>p {}</style><p>One&nbsp;<b>two</b>\n three</p><svg><text>no</text></svg></html>"
    assert page_text(page) == "One\ntwo\nthree"


def test_a_file_that_differs_or_is_missing_is_named(tmp_path: Path) -> None:
    for side, texts in {"before": {"a": "1", "b": "1", "c": "1"}, "after": {"a": "1", "b": "2"}}.items():
        (tmp_path / side / "bits").mkdir(parents=True)
        (tmp_path / side / "texts").mkdir()
        for name, text in texts.items():
            (tmp_path / side / "texts" / name).write_text(text)
    found = compare_outputs(tmp_path / "before", tmp_path / "after")
    assert found == ["texts/b: differs", "texts/c: only before"]
