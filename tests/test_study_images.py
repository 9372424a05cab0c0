"""Images of one's own choose their size and their flips before the protocol has a name; arrays are images too."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from roadtest.config import read_config
from roadtest.data.imageset import ImageSet, Listing
from roadtest.data.open import open_source
from roadtest.events import Event
from roadtest.study import compare, images
from roadtest.study.images import name_source, settle
from roadtest.study.options import Options, chosen_protocol
from small_study import Told, compare_small, draw_images, own, prepare


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return prepare(tmp_path, monkeypatch)


def settled(source: Path, **options: Any) -> tuple[Options, list[Event]]:
    told: list[Event] = []
    return settle(str(source), Options(**options), Path("cache"), told.append), told


def write_set(root: Path, width: int, height: int, num_images: int = 200) -> Path:
    for number in range(num_images):
        path = root / f"class-{number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (width, height), number % 251).save(path)
    return root


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sides", "wanted"), [((20, 90), 32), ((70, 40), 32), ((64, 64), 64), ((300, 200), 128), ((400, 900), 224)]
)
def test_the_size_is_the_largest_usual_one_not_above_the_median_short_side(
    sides: tuple[int, int], wanted: int, pictures: Path, tmp_path: Path
) -> None:
    options, told = settled(write_set(tmp_path / "set", *sides), flips="off")
    assert options.image_size == wanted
    text = (
        f"images are made {wanted} x {wanted}: their median short side is {min(sides)} pixels; --image-size changes it"
    )
    assert [event.text for event in told] == [text]


def test_a_size_of_the_users_stands_and_no_header_is_read(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "read_headers", lambda listing: pytest.fail("it was read"))
    options, told = settled(pictures, image_size=48, flips="off")
    assert (options.image_size, told) == (48, [])


def test_signs_settle_nothing(tmp_path: Path) -> None:
    for source in ("gtsrb", "signs"):
        assert settle(source, Options(), tmp_path, lambda event: pytest.fail(event.text)) == Options()


def test_flips_follow_the_images_and_are_told(pictures: Path) -> None:
    options, told = settled(pictures, image_size=32)  # one reddish class, one bluish: a flip changes neither
    assert options.flips == "on"
    assert next(event.text for event in told if event.kind == "note").startswith("flips are on: 2 of 2 classes")
    assert chosen_protocol(str(pictures), options, 1).augmentation.flip_probability == 0.5
    off = chosen_protocol(str(pictures), settled(pictures, image_size=32, flips="off")[0], 1)
    assert off.augmentation.flip_probability == 0


@pytest.mark.slow
def test_flips_are_judged_by_none_of_the_test_images_that_proposed_groups_deal(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for track in range(20):
        generator = np.random.default_rng(track)
        base_HWC = generator.integers(0, 200, (8, 8, 3)).repeat(3, 0).repeat(3, 1)
        for frame in range(10):
            path = tmp_path / "tracks" / ("red", "blue")[track % 2] / f"{track:02d}_{frame:02d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            image_HWC = (base_HWC + generator.integers(0, 20, base_HWC.shape)).astype(np.uint8)
            Image.fromarray(image_HWC).save(path)
    judged: list[ImageSet] = []
    honest = images.judge_flips
    monkeypatch.setattr(images, "judge_flips", lambda image_set: judged.append(image_set) or honest(image_set))
    settled(tmp_path / "tracks", image_size=32, group="auto")
    compared = open_source(str(tmp_path / "tracks"), image_size=32, cache_dir=Path("cache"), group="auto")
    assert len(set(compared.groups)) == 20
    assert (judged[0].paths, judged[0].splits) == (compared.paths, compared.splits)


@pytest.mark.slow
def test_a_study_of_another_protocol_is_refused_before_images_are_decoded_for_their_flips(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compare_small(pictures, "good")  # with flips, as the images allow
    monkeypatch.setattr(images, "open_image_set", lambda *all, **more: pytest.fail("it was decoded"))
    for different in ({"epochs": 3}, {"epochs": 3, "flips": "on"}):
        with pytest.raises(ValueError, match="max_epochs is 2 there and 3 here"):
            compare_small(pictures, "good", **different)


@pytest.mark.slow
def test_flips_that_are_not_settled_yet_are_no_other_protocol(pictures: Path) -> None:
    compare_small(pictures, "good")
    study, again = compare_small(pictures, "good")
    assert again.runs() == [] and study.info.protocol["augmentation"]["flip_probability"] == 0.5
    with pytest.raises(ValueError, match="augmentation is "):
        compare_small(pictures, "good", flips="off")


@pytest.mark.slow
def test_flips_are_refused_where_classes_mirror_each_other(pictures: Path, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for number in range(200):
        image_HWC = generator.integers(0, 60, (32, 32, 3), np.uint8)
        image_HWC[8:24, (slice(2, 10), slice(22, 30))[number % 2]] += 160
        path = tmp_path / "sides" / ("left", "right")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image_HWC).save(path)
    with pytest.raises(ValueError, match=r"--flips on would change labels: 'left' and 'right' are mirror images"):
        settled(tmp_path / "sides", image_size=32, flips="on")
    assert settled(tmp_path / "sides", image_size=32)[0].flips == "off"


@pytest.mark.parametrize("source", ["gtsrb", "signs"])
def test_signs_are_never_flipped(source: str) -> None:
    with pytest.raises(ValueError, match=r"--flips on would turn signs into others: .*'Keep right' and 'Keep left'"):
        chosen_protocol(source, Options(flips="on"), 1)
    assert chosen_protocol(source, Options(), 1).augmentation.flip_probability == 0


@pytest.mark.parametrize(
    ("num_images", "num_classes", "words"),
    [
        (199, 2, "has 199 images: at least 200 are needed"),
        (1_000_001, 2, "has 1,000,001 images: at most 1,000,000"),
        (5_000, 1_001, "has 1,001 classes: 2 to 1,000 can be compared"),
    ],
)
def test_too_few_and_too_many_are_one_line(num_images: int, num_classes: int, words: str) -> None:
    class Many(tuple[Any, ...]):
        def __len__(self) -> int:
            return num_images

    listing = Listing(
        source="s",
        title="s",
        class_names=("c",) * num_classes,
        items=Many(),
        read_image=lambda item: Image.new("L", (1, 1)),
    )
    with pytest.raises(ValueError) as error:
        images._check_limits(listing)
    assert words in str(error.value) and "\n" not in str(error.value)


def test_too_few_images_are_refused_before_anything_is_decoded(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 200 are needed"):
        compare_small(draw_images(tmp_path / "few", 40), "good")
    assert not (tmp_path / "cache" / "decoded").exists()


@pytest.mark.slow
def test_what_was_settled_stands_in_the_config_that_repeats_the_study(pictures: Path) -> None:
    study, told = compare_small(pictures, "good")
    config = read_config(study.path / "study.toml")
    assert (config["image_size"], config["flips"]) == (32, "on")
    assert "--image-size 32 --flips on" in study.info.command
    assert study.info.protocol["augmentation"]["flip_probability"] == 0.5
    assert len(told.of("note")) == 4  # its size, its flips, its test part, and that its images are in order
    _, again = compare_small(pictures, "good", image_size=32, flips="on")
    assert again.runs() == []


@pytest.mark.slow
def test_arrays_are_compared_like_any_images(pictures: Path) -> None:
    generator = np.random.default_rng(0)
    labels_N = np.arange(220) % 2
    images_NHWC = generator.integers(0, 120, (220, 20, 20, 3), np.uint8)
    images_NHWC[np.arange(220), :, :, 2 * labels_N] += 90
    told = Told()
    how: dict[str, Any] = {"networks": own("good"), "lr": 0.05, "epochs": 1, "device": "cpu"}
    study = compare((images_NHWC, labels_N), on_event=told.append, **how)
    assert study.path.parent.name == "runs" and study.path.name.startswith("arrays-folder-v1-")
    assert (study.info.source, study.info.data_title, study.info.class_names) == ("arrays", "arrays", ("0", "1"))
    assert told.of("note")[0].text.startswith("images are made 32 x 32: their median short side is 20")
    again = Told()
    compare((images_NHWC.copy(), labels_N.tolist()), on_event=again.append, **how)
    assert again.runs() == []
    config = read_config(study.path / "study.toml")
    source = config.pop("source")
    assert compare(source, **config).path == study.path


@pytest.mark.parametrize("source", [7, None, ([1], [2], [3]), np.zeros((3, 3))])
def test_what_is_no_source_is_one_line(source: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"cannot be compared: give gtsrb, signs, a path, or two arrays"):
        name_source(source, tmp_path)
