"""Words for people: units, rounding, and sentences that never say more than their interval."""

from pathlib import Path

import pytest

from fake_study import SIX, build_fake_study
from roadtest.report import words
from roadtest.summarise import read_results


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (words.percent(0.98314), "98.31 %"),
        (words.percent(None), "–"),
        (words.points(0.0093), "+0.93"),
        (words.points(-0.0093), "−0.93"),
        (words.points(-0.000001), "0.00"),
        (words.gain_interval(-0.003, 0.0152), "−0.30 to +1.52"),
        (words.short_count(134_445_163), "134.4 M"),
        (words.short_count(65_219), "65.2 k"),
        (words.short_count(999), "999"),
        (words.short_count(650_000), "650.0 k"),
        (words.size(537_818_828), "537.8 MB"),
        (words.size(12), "12 B"),
        (words.seconds(4.21), "4.21 s"),
        (words.seconds(59.4), "59 s"),
        (words.seconds(303), "5 min 03 s"),
        (words.seconds(7500), "2 h 05 min"),
        (words.milliseconds(0.33), "0.330 ms"),
        (words.milliseconds(31.04), "31.0 ms"),
        (words.milliseconds(2310.4), "2,310 ms"),
        (words.plural(1, "run"), "1 run"),
        (words.plural(1200, "class", "classes"), "1,200 classes"),
        (words.listed(["a", "b", "c"]), "a, b and c"),
        (words.class_title(38, "Keep right"), "Keep right (38)"),
        (words.class_title(7, "7"), "7"),
    ],
)
def test_numbers_read_as_people_write_them(text: str, expected: str) -> None:
    assert text == expected


def test_a_second_short_of_a_minute_never_reads_sixty_seconds() -> None:
    assert words.seconds(59.7) == "1 min 00 s"
    assert words.seconds(3599.8) == "1 h 00 min"


def test_a_count_just_below_a_prefix_takes_it() -> None:
    assert words.short_count(999_960) == "1.00 M"
    assert words.size(999_999_999) == "1.00 GB"


def sentences(study: Path) -> str:
    return " ".join(words.verdict(read_results(study)))


def test_one_seed_gives_an_observation_and_no_verdict(tmp_path: Path) -> None:
    text = sentences(build_fake_study(tmp_path / "s", networks=["lenet5", "resnet34"], seeds=1))
    assert "resnet34 minus lenet5" in text
    assert "these trained weights, on new signs" in text
    assert "no verdict" in text and "observed" in text
    assert "better" not in text


def test_three_seeds_separate_what_lies_far_apart(tmp_path: Path) -> None:
    text = sentences(build_fake_study(tmp_path / "s", networks=["lenet5", "resnet34+stn"], seeds=3))
    assert text.endswith("resnet34+stn is better.")
    assert "on new signs of this kind" in text


def test_a_verdict_among_many_says_that_it_was_judged_among_many(tmp_path: Path) -> None:
    text = sentences(build_fake_study(tmp_path / "s", networks=["lenet5", "vgg16", "resnet34+stn"], seeds=3))
    assert "judged together with all 3 pairs of networks" in text


def test_what_cannot_be_told_apart_is_not_separated_and_never_equal(tmp_path: Path) -> None:
    text = sentences(build_fake_study(tmp_path / "s", networks=["resnet34", "vgg16+stn"], seeds=3))
    assert "not separated" in text
    assert "better" not in text and "equal" not in text


def test_without_a_test_set_the_sentence_speaks_of_validation_and_says_why_to_doubt_it(tmp_path: Path) -> None:
    text = sentences(build_fake_study(tmp_path / "s", networks=["lenet5", "vgg16"], seeds=3, has_test=False))
    assert "validation images" in text and "optimistic" in text
    assert "test images" not in text


def test_undertrained_networks_win_nothing(tmp_path: Path) -> None:
    study = build_fake_study(tmp_path / "s", networks=["lenet5"], undertrained="lenet5", seeds=1)
    results = read_results(study)
    assert words.headline(results) == "No network was trained long enough to be compared"
    assert "less than two passes" in sentences(study)


def test_a_study_that_has_not_begun_says_so(tmp_path: Path) -> None:
    study = build_fake_study(tmp_path / "s", unfinished=SIX, seeds=3, has_latency=False)
    assert words.headline(read_results(study)) == "No run has finished yet"
    assert "0 of 18 planned runs" in sentences(study)


def test_the_headline_names_what_validation_chooses(tmp_path: Path) -> None:
    study = build_fake_study(tmp_path / "s", networks=["lenet5", "resnet34"], seeds=1)
    assert words.headline(read_results(study)) == "Validation chooses resnet34"
    alone = build_fake_study(tmp_path / "t", networks=["lenet5"], seeds=1)
    assert words.headline(read_results(alone)) == "lenet5 is the network that was tested"


def test_a_network_that_is_left_alone_has_not_won(tmp_path: Path) -> None:
    study = build_fake_study(tmp_path / "s", networks=["lenet5", "vgg16"], undertrained="vgg16", seeds=1)
    assert words.headline(read_results(study)) == "Only lenet5 got far enough to be compared"
