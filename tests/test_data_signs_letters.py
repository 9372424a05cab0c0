"""Lettering: it fits its box, is centred, and no two characters are alike."""

from itertools import combinations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from roadtest.data.signs.letters import CENTRE_LINES, write


def drawn(text: str) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    image = Image.new("L", (40, 60))
    pen = ImageDraw.Draw(image)
    for outline in write(text, height=0.9, width=0.6, weight=0.16, gap=0.1):
        pen.polygon([(20 + 60 * x, 30 + 60 * y) for x, y in outline], fill=255)
    return np.asarray(image) > 0


def test_every_character_of_the_signs_can_be_written() -> None:
    assert set("20305060708010012" + "STOP") <= set(CENTRE_LINES)


@pytest.mark.parametrize("text", ["20", "120", "STOP"])
def test_a_line_is_centred_and_as_high_as_asked(text: str) -> None:
    points = np.array(
        [point for outline in write(text, height=0.8, width=0.4, weight=0.1, gap=0.1) for point in outline]
    )
    low, high = points.min(axis=0), points.max(axis=0)
    assert high[1] - low[1] == pytest.approx(0.8, abs=0.11)  # joints may round a corner by half a pen
    assert low[0] + high[0] == pytest.approx(0.0, abs=0.06) and low[1] + high[1] == pytest.approx(0.0, abs=0.06)


def test_no_two_characters_look_alike() -> None:
    pictures = {character: drawn(character) for character in CENTRE_LINES if character != "O"}  # O is drawn as 0
    for a, b in combinations(pictures, 2):
        differing = np.count_nonzero(pictures[a] != pictures[b])
        assert differing > 0.12 * np.count_nonzero(pictures[a] | pictures[b]), (a, b)
