"""The csv with the classes of GTSRB's test images, believed in nothing."""

import csv
import io
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadtest.data.gtsrb_labels import MAX_CSV_BYTES, parse_test_labels

OFFICIAL = "Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId"
KAGGLE = "Width,Height,Roi.X1,Roi.Y1,Roi.X2,Roi.Y2,ClassId,Path"


def _parse(*lines: str, end: str = "\r\n") -> dict[str, int]:
    return parse_test_labels(end.join((*lines, "")).encode(), "GT.csv")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_the_publisher_s_and_kaggle_s_csv_say_the_same(end: str, mark: str) -> None:
    official = _parse(mark + OFFICIAL, "00000.ppm;53;54;6;5;48;49;16", "00001.ppm;42;45;5;5;36;40;1", end=end)
    kaggle = _parse(mark + KAGGLE, "53,54,6,5,48,49,16,Test/00000.png", "42,45,5,5,36,40,1,Test/00001.png", end=end)
    assert official == kaggle == {"00000": 16, "00001": 1}


def test_an_empty_line_is_no_row() -> None:
    assert _parse("Filename;ClassId", "", "00000.ppm;0", "") == {"00000": 0}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("00002.ppm;43", "line 3: class '43': it must be a number from 0 to 42"),
        ("00002.ppm;-1", "line 3: class '-1'"),
        ("00002.ppm;", "line 3: class ''"),
        ("00002.ppm;1.5", "line 3: class '1.5'"),
        ("00002.ppm;１", "line 3: class '１'"),  # a digit, but not of ours
        ("00002.ppm;1_0", "line 3: class '1_0'"),
        ("00002.ppm;014", "line 3: class '014'"),
        ("../../etc/00002.ppm;1", "line 3: image '../../etc/00002.ppm': it must read like 00000.ppm"),
        ("/00002.ppm;1", "line 3: image '/00002.ppm'"),
        ("Test/../00002.ppm;1", "line 3: image 'Test/../00002.ppm'"),
        ("2.ppm;1", "line 3: image '2.ppm'"),
        ("00002.jpg;1", "line 3: image '00002.jpg'"),
        ("00001.png;1", "line 3: image 00001 comes twice"),
        ("00002.ppm", "line 3: 1 columns: it must have the header's 2"),
        ("00002.ppm;1;1", "line 3: 3 columns"),
        ('00002.ppm;"1" 1', "line 3: no csv"),
        ("00002.ppm;" + "1" * 200_000, "line 3: no csv .field larger"),
    ],
)
def test_a_wrong_row_is_named_with_its_line(line: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"GT.csv {reason}") as caught:
        _parse("Filename;ClassId", "00001.ppm;1", line)
    assert str(caught.value).isprintable()
    assert "GTSRB_Final_Test_GT.zip" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "line 1: columns ''"),
        (b"Filename;Width;Height\n00000.ppm;1;1\n", "line 1: columns 'Filename,Width,Height': it must have ClassId"),
        (b"Width,ClassId\n1,1\n", "line 1: columns 'Width,ClassId'"),
        (b"Filename;ClassId\n", "has no rows"),
        (b"\xff\xfe\x00", "is no text"),
        (b"PK\x03\x04;\n", r"line 1: columns 'PK\\x03\\x04,'"),
        (b"x" * (MAX_CSV_BYTES + 1), "at most 8,388,608 are read"),
    ],
)
def test_a_file_that_is_something_else_is_named(content: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=f"GT.csv .*{reason}") as caught:
        parse_test_labels(content, "GT.csv")
    assert str(caught.value).isprintable()


labels_strategy = st.dictionaries(st.integers(0, 99_999).map("{:05d}".format), st.integers(0, 42), min_size=1)


@pytest.mark.slow
@given(labels=labels_strategy, is_kaggle=st.booleans(), shuffled=st.randoms())
def test_whatever_was_written_is_read_back(labels: dict[str, int], is_kaggle: bool, shuffled: "object") -> None:
    text = io.StringIO()
    writer = csv.writer(text, delimiter="," if is_kaggle else ";")
    writer.writerow(["ClassId", "Path"] if is_kaggle else ["Filename", "Width", "ClassId"])
    items = list(labels.items())
    shuffled.shuffle(items)  # type: ignore[attr-defined]
    for digits, label in items:
        writer.writerow([label, f"Test/{digits}.png"] if is_kaggle else [f"{digits}.ppm", 30, label])
    assert parse_test_labels(text.getvalue().encode(), "GT.csv") == labels


hostile_cells = st.one_of(st.text(max_size=8), st.sampled_from(["00000.ppm", "Test/00001.png", "7", "42", "43", '"']))
hostile_lines = st.lists(hostile_cells, max_size=4).map(";".join)


@pytest.mark.slow
@given(
    content=st.one_of(
        st.binary(max_size=200),
        st.lists(hostile_lines, max_size=6).map(lambda lines: "\n".join(["Filename;ClassId", *lines]).encode()),
    )
)
def test_any_bytes_are_labels_or_one_line_that_names_the_file(content: bytes) -> None:
    labels: dict[str, int] = {}
    with suppress(ValueError):
        labels = parse_test_labels(content, "GT.csv")
        assert labels
    assert all(len(digits) == 5 and digits.isascii() and digits.isdigit() for digits in labels)
    assert all(0 <= label <= 42 for label in labels.values())
    if not labels:
        with pytest.raises(ValueError, match=r"^GT\.csv") as caught:
            parse_test_labels(content, "GT.csv")
        assert str(caught.value).isprintable()
