"""Numbers for people: units, rounding, signs."""

import pytest

from roadtest.report import words


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
        (words.bare_points(-0.0093), "0.93"),
        (words.times(287.6), "288 times"),
        (words.times(1.52), "1.5 times"),
        (words.times(9.96), "10 times"),
        (words.about(29), "less than a minute"),
        (words.about(1500), "about 25 min"),
        (words.about(7500), "about 2 h 05 min"),
        (words.share(0.131), "13 %"),
        (words.share(0.0004), "0.04 %"),
        (words.share(1.492), "149 %"),
        (words.change(1.231), "+123 %"),
        (words.change(-0.02), "−2 %"),
        (words.change(-0.001), "0 %"),
        (words.p_value(0.00099), "< 0.001"),
        (words.p_value(0.0312), "0.031"),
        (words.p_value(0.347), "0.35"),
        (words.p_value(None), "–"),
        (words.capital("macro-F1"), "Macro-F1"),
        (words.number_word(3), "three"),
        (words.number_word(13), "13"),
        (words.units(1, "folds"), "1 fold"),
        (words.design_effect(11.94), "design effect 11.9"),
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
