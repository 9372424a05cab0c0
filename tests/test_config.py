"""study.toml: what is written is read back, and what is wrong is said in one line."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadtest import config

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
numbers = st.floats(allow_nan=False) | st.integers(-(2**63), 2**63 - 1) | st.booleans()
values = texts | numbers | st.lists(texts | numbers, max_size=4)


@pytest.mark.slow
@given(st.dictionaries(texts, values, max_size=6))
def test_whatever_is_written_is_read_back(options: dict[str, Any]) -> None:
    import tomllib

    assert tomllib.loads(config.render_config(options)) == options


def test_a_file_keeps_order_and_leaves_none_out(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    config.write_config(path, {"source": "gtsrb", "epochs": None, "seeds": (0, 1), "data_dir": Path("a b"), "lr": 0.05})
    assert config.read_config(path) == {"source": "gtsrb", "seeds": [0, 1], "data_dir": "a b", "lr": 0.05}
    assert path.read_text().splitlines() == [
        "# Repeats this study: roadtest compare --config study.toml",
        'source = "gtsrb"',
        "seeds = [0, 1]",
        'data_dir = "a b"',
        "lr = 0.05",
    ]


def test_not_a_number_is_written_as_toml_knows_it() -> None:
    assert config.render_config({"a": float("nan"), "b": float("inf")}) == "a = nan\nb = inf\n"


def test_a_value_without_a_form_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="no form"):
        config.render_config({"a": {"b": 1}})


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"a = ", "is no TOML"), (b"\xff\xfe", "is no TOML"), (b"a = 1\n" * 200_000, "bytes"), (None, "there is no")],
)
def test_a_bad_file_is_one_line(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "study.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=words) as caught:
        config.read_config(path)
    assert "\n" not in str(caught.value)


def test_a_folder_in_place_of_the_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is a folder"):
        config.read_config(tmp_path)
