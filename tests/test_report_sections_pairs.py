"""The tables of the judgement: letters, both statements, all pairs, the STN's worth."""

from dataclasses import replace
from pathlib import Path

import pytest

from exact_study import build_exact_study, change_record
from fake_study import build_fake_study
from roadtest.analysis import Results, read_results
from roadtest.report.blocks import Context, Table
from roadtest.report.sections import pairs as judged_tables
from roadtest.report.sections.factors import describe_benefit, stn_table
from roadtest.report.sections.leaderboard import accuracy_table, leaderboard_table


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Three networks with five seeds: one far behind, two near each other."""
    folder = tmp_path_factory.mktemp("studies") / "judged"
    networks = ["lenet5", "lenet5+stn", "resnet34"]
    return read_results(build_fake_study(folder, networks=networks, seeds=5, has_examples=False))


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Results:
    folder = tmp_path_factory.mktemp("studies") / "observed"
    return read_results(build_fake_study(folder, networks=["lenet5", "lenet5+stn"], seeds=2, has_examples=False))


def column(table: Table | None, title: str) -> list[str]:
    """The texts of one column."""
    assert table is not None
    place = [one.title for one in table.columns].index(title)
    return [row[place].text for row in table.rows]


def titles(table: Table | None) -> list[str]:
    assert table is not None
    return [one.title for one in table.columns]


@pytest.mark.slow
def test_the_leaderboard_has_letters_the_leading_set_and_what_they_rest_on(judged: Results) -> None:
    table = leaderboard_table(Context(results=judged))
    letters = dict(zip(column(table, "Network"), column(table, "Letters"), strict=True))
    assert letters["resnet34"] == "a" and "a" not in letters["lenet5"]
    below = {row[0].text: row[titles(table).index("Letters")].below for row in table.rows}
    assert below["resnet34"] == "leading" and below["lenet5"] == ""
    place = titles(table).index("Rests on")
    assert [row[place].text for row in table.rows] == ["5 seeds"] * 3
    assert all(row[place].below.startswith("129 tracks, design effect ") for row in table.rows)
    assert "does not mean the same" in table.caption


def test_a_pair_with_different_numbers_of_seeds_names_both(judged: Results) -> None:
    first, *others = judged.variants
    fewer = replace(judged, variants=(replace(first, records=first.records[:3]), *others))
    table = judged_tables.verdict_table(Context(results=fewer))
    assert column(table, "Rests on") == [
        "5 seeds, 129 tracks",
        "5 and 3 seeds, 129 tracks",
        "5 and 3 seeds, 129 tracks",
    ]


def test_with_two_seeds_there_are_no_letters_and_no_verdicts(observed: Results) -> None:
    assert "Letters" not in titles(leaderboard_table(Context(results=observed)))
    table = judged_tables.verdict_table(Context(results=observed))
    assert not {"Verdict", "p", "To separate them", "Trained again"} & set(titles(table))
    assert table is not None and "these trained weights, on new signs" in table.caption


def test_both_statements_stand_beside_each_other_and_the_wider_one_is_wider(judged: Results) -> None:
    table = accuracy_table(Context(results=judged))
    assert table is not None
    again, new = column(table, "Trained again"), column(table, "New signs")
    on_test = [place for place, name in enumerate(column(table, "Set")) if name == "test"]
    assert len(on_test) == 3
    for place in on_test:
        narrow, wide = ([float(end) for end in text.split(" to ")] for text in (again[place], new[place]))
        assert wide[1] - wide[0] > narrow[1] - narrow[0] > 0
    assert column(table, "Units")[0] == "129 tracks" and column(table, "Units")[-1] == "5 folds"


def test_below_three_seeds_nothing_is_said_of_training_again(observed: Results) -> None:
    table = accuracy_table(Context(results=observed))
    assert set(column(table, "Trained again")) == {"–"}


def test_every_pair_is_there_with_its_verdict_and_who_is_better(judged: Results) -> None:
    table = judged_tables.verdict_table(Context(results=judged))
    assert table is not None
    assert len(table.rows) == 3
    place = titles(table).index("Verdict")
    found = {(row[0].text, row[1].text): (row[place].text, row[place].below) for row in table.rows}
    assert found["resnet34", "lenet5"] == ("separated", "resnet34 is better")
    assert "after Holm’s correction for all pairs" in table.caption


@pytest.mark.slow
def test_what_more_would_cost_stands_where_two_were_not_separated(tmp_path: Path) -> None:
    # validation alone: one to two mistakes more in 1000 over five folds are not enough
    study = build_exact_study(tmp_path / "s", {"lenet5": (10, 11, 10, 12, 9), "vgg16": (12, 12, 10, 14, 10)})
    for path in study.glob("*/seed-*/record.json"):
        change_record(path.parent, "test", None)
    table = judged_tables.verdict_table(Context(results=read_results(study)))
    assert column(table, "Verdict") == ["not separated"]
    (cell,) = column(table, "To separate them")
    assert "more seed" in cell or "no number of seeds" in cell


@pytest.mark.slow
def test_a_common_gain_pays_and_its_price_stands_beside_it(tmp_path: Path) -> None:
    # 2 points gained in each of five folds, with a spread of a tenth: far above half a point
    wrong = {"lenet5": (40, 41, 40, 41, 40), "lenet5+stn": (20, 20, 21, 20, 21)}
    table = stn_table(read_results(build_exact_study(tmp_path / "s", wrong)))
    assert column(table, "The STN") == ["pays"]
    assert column(table, "Validation gain") == ["+2.00"]
    assert column(table, "Rests on") == ["5 seeds, 5 folds"]
    assert column(table, "Parameters") == ["+8.54 k"]
    assert table is not None
    below = [cell.below for cell in table.rows[0]]
    assert "+13 %" in below and "+149 %" in below  # 8,544 of 65,219; 970,000 of 650,000


def test_what_a_gain_on_test_rests_on_stands_beside_it(judged: Results) -> None:
    table = stn_table(judged)
    assert table is not None
    place = [column.title for column in table.columns].index("Rests on")
    assert all(row[place].below.startswith("test: 129 tracks, design effect ") for row in table.rows)


@pytest.mark.parametrize(
    ("worth", "status", "words"),
    [
        ("pays", "compared", "pays"),
        ("not judged: needs 3 seeds, 5 are better", "compared", "not judged"),
        (None, "undertrained", "too little training"),
        (None, "compared", "no interval"),
    ],
)
def test_the_stns_worth_in_a_word_or_why_there_is_none(worth: str | None, status: str, words: str) -> None:
    assert describe_benefit({"worth": worth, "status": status}) == words
