"""Images of one's own choose their size and their flips before the protocol has a name; arrays are images too.

Which networks run: stems, starts and the STN, by switch and by name; objects instead of names are refused.

The data check in short, at the start of a study: leaks are told before anything trains, and nothing is refused."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from huggingface_hub import constants
from PIL import Image
from torch import nn

import fake_hub
from fake_looks import Shot, clean_shots, draw_folder_of, image_set_of, name
from roadtest.data.dataset import ImageSet, Listing
from roadtest.data.open import open_source
from roadtest.records import PlannedRun
from roadtest.records.events import Event
from roadtest.records.files import read_config
from roadtest.study import prepare as check
from roadtest.study import prepare as images
from roadtest.study.api import compare, open_context
from roadtest.study.options import Options, build_options
from roadtest.study.prepare import (
    check_in_short,
    choose_variants,
    find_missing_weights,
    list_originals,
    name_source,
    settle,
)
from roadtest.study.resolve import FOLDER_NETWORKS, chosen_protocol
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
def test_what_was_settled_is_in_the_config_that_repeats_the_study(pictures: Path) -> None:
    study, told = compare_small(pictures, "good")
    config = read_config(study.path / "study.toml")
    assert (config["image_size"], config["flips"]) == (32, "on")
    assert "--image-size 32 --flips on" in study.info.command
    assert len(told.of("note")) == 4  # its size, its flips, its test split, and that its images are in order
    for same in ({}, {"image_size": 32, "flips": "on"}):  # flips that are not settled yet are no other protocol
        assert compare_small(pictures, "good", **same)[1].runs() == []
    assert study.info.protocol["augmentation"]["flip_probability"] == 0.5
    with pytest.raises(ValueError, match="augmentation is "):
        compare_small(pictures, "good", flips="off")


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


TIMM = fake_hub.NETWORK


def chosen(*networks: str, source: str = "pictures", **options: Any) -> list[str]:
    variants = choose_variants(source, Options(networks=networks or None, **options), lambda event: None)
    return [network + "+stn" * has_stn for network, has_stn in variants]


def test_images_of_ones_own_are_compared_by_networks_in_use_and_signs_by_the_classic_ones() -> None:
    assert chosen(stn="off") == list(FOLDER_NETWORKS)
    assert chosen(source="gtsrb", stn="off") == chosen(source="signs", stn="off") == ["lenet5", "vgg16", "resnet34"]
    assert chosen()[:2] == ["lenet5", "lenet5+stn"]


def test_a_switch_speaks_for_names_that_say_nothing() -> None:
    words = (f"{TIMM},{TIMM}@small-s1", f"{TIMM}@imagenet")
    assert chosen(*words, stem="small") == [f"{TIMM}@small", f"{TIMM}@small-s1", TIMM]
    assert chosen(*words) == [TIMM, f"{TIMM}@small-s1"]
    assert chosen("lenet5", TIMM, stn="off", stem="small") == ["lenet5", f"{TIMM}@small"]
    assert chosen(TIMM, stem="imagenet") == [TIMM]


def test_a_stem_for_nobody_is_refused() -> None:
    with pytest.raises(ValueError, match="--stem small goes with networks of timm and torchvision, and none is named"):
        chosen("lenet5", "resnet34", stem="small")


def test_pretraining_is_a_factor_like_the_stn() -> None:
    assert chosen(TIMM, pretrained="both") == [TIMM, f"{TIMM}+pretrained"]
    assert chosen(TIMM, pretrained="on", stn="both") == [f"{TIMM}+pretrained", f"{TIMM}+pretrained+stn"]
    assert chosen(f"{TIMM}+pretrained", TIMM) == [f"{TIMM}+pretrained", TIMM]
    assert chosen(TIMM, pretrained="both", stem="small-s1") == [f"{TIMM}@small-s1", f"{TIMM}@small-s1+pretrained"]


def test_who_cannot_start_pretrained_starts_from_nothing_and_is_named() -> None:
    told: list[Event] = []
    variants = choose_variants("x", Options(networks=("torchvision:resnet18", TIMM), pretrained="on"), told.append)
    assert [network for network, _ in variants] == ["torchvision:resnet18", f"{TIMM}+pretrained"]
    assert [event.text for event in told] == ["no pretrained weights, so from nothing: torchvision:resnet18"]


def test_where_nobody_can_start_pretrained_it_is_a_mistake() -> None:
    with pytest.raises(ValueError, match=r"--pretrained both was given: lenet5 has no pretrained weights here"):
        chosen("lenet5", pretrained="both")


def test_weights_that_cannot_be_had_are_told_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    run = PlannedRun(network=f"{TIMM}+pretrained", has_stn=False, seed=0)
    with pytest.raises(ValueError, match="are not in the cache"):
        find_missing_weights([run], tmp_path, lambda event: None, is_fresh=False, is_fetching=True)
    (tmp_path / run.folder).mkdir(parents=True)
    (tmp_path / run.folder / "record.json").touch()
    find_missing_weights(
        [run], tmp_path, lambda event: None, is_fresh=False, is_fetching=True
    )  # it is done: nothing is needed
    with pytest.raises(ValueError, match="are not in the cache"):
        find_missing_weights([run], tmp_path, lambda event: None, is_fresh=True, is_fetching=True)


def test_names_may_come_in_any_collection() -> None:
    for names in ("lenet5", ["lenet5"], {"lenet5": 1}.keys(), (one for one in ["lenet5"])):
        assert build_options({"networks": names}).networks == ("lenet5",)


def build(num_classes: int, image_size: int) -> nn.Module:
    return nn.Linear(1, num_classes)


class MyNet(nn.Module):
    pass


MyNet.__module__ = "__main__"


@pytest.mark.parametrize("networks", [build, [build], ["lenet5", build]])
def test_a_function_of_a_file_is_answered_with_its_name_there(networks: Any) -> None:
    with pytest.raises(ValueError, match=r"is an object of this session: .*name it '.*test_study_prepare.py:build'"):
        build_options({"networks": networks})


@pytest.mark.parametrize(
    ("network", "word"),
    [(MyNet, "MyNet"), (MyNet(), "build"), (nn.Sequential(nn.ReLU()), "build"), (lambda: 0, "build")],
)
def test_a_network_of_a_notebook_is_answered_with_the_line_that_puts_it_into_a_file(network: Any, word: str) -> None:
    if word == "build" and callable(network) and not isinstance(network, nn.Module):
        network.__module__ = "__main__"
    with pytest.raises(ValueError, match=rf"put %%writefile my_net.py into .* name it 'my_net.py:{word}'") as error:
        build_options({"networks": [network]})
    assert "\n" not in str(error.value)


def told(shots: list[Shot]) -> list[tuple[str, str]]:
    events: list[Event] = []
    check_in_short("my/images", image_set_of(shots), events.append)
    return [(event.kind, event.text) for event in events]


def test_clean_images_get_one_line() -> None:
    assert told(clean_shots()) == [("phase", "checking 60 images"), ("note", "data check: no problem found")]


@pytest.mark.slow
def test_a_copy_across_parts_is_told_before_anything_trains_and_only_when_a_study_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(tmp_path, monkeypatch)
    images = draw_folder_of(tmp_path / "leaky", num_each=60)
    for k in range(10):
        shutil.copy(images / "train" / "a" / f"{name(k)}.png", images / "test" / "a" / f"copy{name(k)}.png")
    study, events = compare_small(images, "good")
    first = next(event for event in events if "data check" in event.text)
    assert first.kind == "warning" and "copies" in first.text and "\n" not in first.text
    assert any(event.text.startswith("data check: not ready") and str(images) in event.text for event in events)
    kinds = [event.kind for event in events]
    assert events.index(first) < kinds.index("planned") and study.missing() == []
    _, events = compare_small(images, "good", seeds=2)
    assert not any("data check" in event.text for event in events)


@pytest.mark.slow
def test_what_was_left_out_is_told_once_when_a_study_begins_and_by_a_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = prepare(tmp_path, monkeypatch)
    (images / "red" / "more.heic").touch()
    (images / "red" / "broken.png").touch()
    options = {"networks": own("good"), "lr": 0.05, "out": Path("study"), "skip_broken": True}
    planned: list[Event] = []
    open_context(str(images), dict(options), planned.append, is_plan=True)
    _, compared = compare_small(images, "good", skip_broken=True)
    for events in (planned, compared):
        told = [(event.kind, event.text.split(":")[0]) for event in events if event.text.endswith(".")]
        assert told == [
            ("warning", "Files were left out"),
            ("note", "No test part was given"),
            ("warning", "1 broken images were left out"),
        ]
    (verdict,) = [event.text for event in compared if event.text.startswith("data check: ")]
    assert verdict.startswith("data check: usable with care: 2 warnings")  # neither is told again
    _, again = compare_small(images, "good", skip_broken=True, seeds=2)
    assert not any("left out" in event.text for event in again)


@pytest.mark.slow
def test_the_form_of_the_files_is_looked_at_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = prepare(tmp_path, monkeypatch)
    for path in sorted((images / "blue").iterdir()):
        with Image.open(path) as image:
            image.save(path.with_suffix(".bmp"))
        path.unlink()
    _, events = compare_small(images, "good")
    told = [event.text for event in events if event.text.startswith("data check: file forms")]
    assert len(told) == 1 and "BMP RGB is always 'blue'" in told[0]


def test_a_test_part_that_was_taken_elsewhere_makes_no_image_broken(tmp_path: Path) -> None:
    images = draw_folder_of(tmp_path / "data")
    opened = open_source(str(images), image_size=32, cache_dir=tmp_path / "cache")
    whole = list_originals(str(images), opened, tmp_path / "cache")
    assert whole is not None and len(whole.items) == 80
    composed = replace(opened, test_title="another", paths=opened.paths[:40], splits=opened.splits[:40])
    taken = list_originals(str(images), composed, tmp_path / "cache")
    assert taken is not None and {item.split for item in taken.items} == {"train"}


def test_very_many_images_are_left_to_the_verb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "MAX_CHECKED_IMAGES", 10)
    same = [Shot(image_HWC=np.zeros((32, 32, 3), np.uint8), label=k % 2) for k in range(20)]
    assert told(same) == [
        ("note", "data check: more than 10 images are not looked at by themselves: roadtest data check my/images does")
    ]
