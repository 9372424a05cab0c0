"""The data check as a whole: a clean set passes, and every planted trouble is found, weighed and told in one line."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fake_looks import Shot, arrow, clean_shots, draw_folder_of, frames, image_set_of, name, picture, pixels
from roadtest.data.audit import Audit, audit_images, audit_source, audit_to_dict, finding_rows
from roadtest.data.audit.flips import judge_flips
from roadtest.data.cache import open_image_set
from roadtest.data.gtsrb_classes import MIRRORED_CLASSES
from roadtest.data.sources.folder import list_folder
from roadtest.data.sources.gtsrb import list_gtsrb
from roadtest.format import count_noun, part_of
from roadtest.records.schema import Finding


@pytest.fixture(autouse=True)
def few_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folders here are small; what is said of too few images has a test of its own."""
    monkeypatch.setattr("roadtest.data.audit.files.LEAST_IMAGES", 1)


def checked(root: Path) -> Audit:
    audit, _ = audit_source(list_folder(root, is_checked=True), cache_dir=root.parent / "cache")
    for one in audit.findings:
        assert "\n" not in one.text + one.advice
        assert one.topic
    return audit


def the(audit: Audit, topic: str, word: str = "") -> Finding:
    """The only finding of a topic whose text has a word."""
    (found,) = [one for one in audit.findings if one.topic == topic and word in one.text]
    return found


def troubles(audit: Audit) -> dict[str, str]:
    """Topic -> severity of all that is no praise."""
    return {one.topic: one.severity for one in audit.findings if one.severity != "ok"}


def test_a_clean_folder_has_no_problem(tmp_path: Path) -> None:
    audit = checked(draw_folder_of(tmp_path / "data"))
    assert audit.verdict == "no problem found"
    assert troubles(audit) == {}
    assert [one.text for one in audit.findings] == [
        "all 80 images can be read",
        "short sides of 40 to 40 pixels, half of them below 40; 80 PNG RGB",
        "2 classes: 40 training images, 40 test images",
        "no two images have the same pixels",
        "no sign of frames of one thing among the images without a group",
        "no two images of different groups look the same",
        "flips are off: only 0 of 2 classes could be judged; --flips on where left and right mean nothing",
    ]
    assert audit.classes[1] == {
        "class_id": 1,
        "class_name": "b",
        "num_train": 20,
        "num_val": 0,
        "num_test": 20,
        "num_groups": 20,
        "mirror_of": None,
        "is_symmetric": None,
    }
    assert (audit.num_images, audit.num_classes, audit.suggested_image_size) == (80, 2, 32)
    assert (audit.is_flip_safe, audit.has_errors) == (False, False)


def test_a_folder_that_compare_refuses_for_its_size_is_not_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roadtest.data.audit.files.LEAST_IMAGES", 200)
    audit = checked(draw_folder_of(tmp_path / "data"))
    assert audit.has_errors and audit.findings[0].text == "80 images: compare asks for 200 at least"


def test_broken_files_are_named_with_their_reasons(tmp_path: Path) -> None:
    root = draw_folder_of(tmp_path / "data")
    (root / "train" / "a" / "empty.png").write_bytes(b"")
    whole = (root / "train" / "a" / "b.png").read_bytes()
    (root / "test" / "b" / "cut.png").write_bytes(whole[: len(whole) // 2])
    audit = checked(root)
    finding = the(audit, "files")
    assert finding.severity == "error"  # 2 of 82 are more than one in a hundred
    assert finding.text.startswith(
        "2 of 82 images cannot be read: train/a/empty.png (the file is empty); test/b/cut.png ("
    )
    assert finding.paths == ("train/a/empty.png", "test/b/cut.png")
    assert "--skip-broken" in finding.advice
    assert audit.verdict == "not ready: 1 error; results on this data would be wrong"


def test_a_class_that_cannot_be_read_at_all_is_told_and_does_not_crash(tmp_path: Path) -> None:
    root = draw_folder_of(tmp_path / "data", num_each=3)
    for part in ("train", "test"):
        for path in (root / part / "b").iterdir():
            path.write_bytes(b"no picture")
    audit, image_set = audit_source(list_folder(root), cache_dir=tmp_path / "cache")
    assert image_set is None
    assert [one.text.split(":")[0] for one in audit.findings] == [
        "1 class without a readable image",
        "6 of 12 images cannot be read",
    ]
    assert audit.has_errors
    for path in root.rglob("*.png"):
        path.write_bytes(b"no picture")
    assert "2 classes without" in audit_source(list_folder(root), cache_dir=tmp_path / "cache")[0].findings[0].text


def test_other_mistakes_stay_errors(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where a folder should be")
    with pytest.raises(ValueError, match="cache cannot be kept"):
        audit_source(list_folder(draw_folder_of(tmp_path / "data", num_each=2)), cache_dir=tmp_path / "cache")


def test_no_image_is_opened_again_for_a_mistake_that_is_not_the_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = draw_folder_of(tmp_path / "data", num_each=2)
    for path in root.glob("*/b/*"):
        path.write_bytes(b"no picture")  # perhaps the one that crashed the decoder: this process must not open it

    def full(*_: object, **__: object) -> None:
        raise ValueError("the disk is full")

    monkeypatch.setattr("roadtest.data.audit.open_image_set", full)
    with pytest.raises(ValueError, match="the disk is full"):
        audit_source(list_folder(root), cache_dir=tmp_path / "cache")


@pytest.mark.slow
def test_copies_across_parts_are_leaks(tmp_path: Path) -> None:
    root = draw_folder_of(tmp_path / "data")
    shutil.copy(root / "train" / "a" / "a.png", root / "test" / "a" / "stolen.png")
    audit = checked(root)
    leak = the(audit, "leaks")
    assert leak.severity == "error"
    assert leak.text == "1 of 41 test images (2.4 %) is a copy of images in another part"
    assert leak.paths == ("train/a/a.png", "test/a/stolen.png")
    assert troubles(audit) == {"leaks": "error"}


@pytest.mark.slow
def test_leaks_weigh_as_much_as_their_share() -> None:
    shots = [Shot(image_HWC=pixels(k), label=k % 2, split="train" if k < 100 else "test") for k in range(1300)]
    one = audit_images(image_set_of([*shots, replace(shots[0], split="test")]))  # 1 of 1,201: under 0.1 %
    assert the(one, "leaks").severity == "note"
    assert one.verdict == "no problem found"
    two = audit_images(image_set_of([*shots, *(replace(shot, split="test") for shot in shots[:3])]))
    assert the(two, "leaks").severity == "warning"
    assert two.verdict == "usable with care: 1 warning"


def test_look_alikes_across_parts_are_leaks_too(tmp_path: Path) -> None:
    root = draw_folder_of(tmp_path / "data")
    picture(0, 40).resize((80, 80)).save(root / "test" / "a" / "larger.jpg", quality=80)
    leak = the(checked(root), "leaks")
    assert leak.severity == "warning"
    assert leak.text == "1 of 41 test images (2.4 %) looks the same as images in another part"


def test_one_picture_under_two_labels_is_an_error(tmp_path: Path) -> None:
    root = draw_folder_of(tmp_path / "data")
    shutil.copy(root / "train" / "a" / "c.png", root / "train" / "b" / "also.png")
    audit = checked(root)
    finding = the(audit, "two labels")
    assert (finding.severity, finding.text) == ("error", "1 picture with the same pixels under two labels")
    assert finding.paths == ("train/a/c.png", "train/b/also.png")


def test_copies_in_one_part_warn_unless_they_share_a_group() -> None:
    shots = clean_shots()
    alone = audit_images(image_set_of([*shots, shots[0], shots[0]]))
    assert the(alone, "copies").text == "2 images are copies of another in the same part"
    assert the(alone, "copies").severity == "warning"
    grouped = [replace(shot, group=f"g{k}") for k, shot in enumerate(shots)]
    assert the(audit_images(image_set_of([*grouped, grouped[0]])), "copies").severity == "note"


def draw_tracks(root: Path, class_names: tuple[str, ...]) -> Path:
    for label, class_name in enumerate(class_names):
        for track in range(4):
            for frame, image in enumerate(frames(100 * label + track, 8)):
                path = root / class_name / f"{track:05d}_{frame:05d}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(image).save(path)
    return root


def test_frames_without_groups_are_an_error_where_a_test_part_was_dealt_from_them(tmp_path: Path) -> None:
    audit = checked(draw_tracks(tmp_path / "data", ("a", "b")))
    finding = the(audit, "sequences")
    assert finding.severity == "error"
    assert finding.text == (
        "64 images look like frames of 8 sequences (numbered names, neighbours alike): frames of one thing would train "
        "and validate; 100.0 % of the test images have frames in training"
    )
    assert "--group auto" in finding.advice
    assert "gtsrb" not in finding.advice
    assert len(set(audit.proposed_groups)) == 8
    assert [row["num_groups"] for row in audit.classes] == [4, 4]


@pytest.mark.slow
def test_a_folder_like_gtsrb_is_sent_to_the_source_of_that_name(tmp_path: Path) -> None:
    audit = checked(draw_tracks(tmp_path / "data", tuple(f"{label:05d}" for label in range(43))))
    assert the(audit, "sequences").advice.startswith("use the source gtsrb, which knows its tracks")


def test_grouped_frames_are_fine(tmp_path: Path) -> None:
    shots = [
        Shot(image_HWC=image, label=track % 2, group=f"t{track}", split="test" if track > 5 else "train")
        for track in range(8)
        for image in frames(track)
    ]
    audit = audit_images(image_set_of(shots))
    assert the(audit, "sequences").text == "all images have groups (8 groups)"
    assert troubles(audit) == {"mirror images": "note"}  # eight pictures, none of them its own mirror image


@pytest.mark.slow
def test_a_class_that_compare_refuses_is_an_error_of_the_check(tmp_path: Path) -> None:
    only_tested = draw_folder_of(tmp_path / "tested")
    shutil.rmtree(only_tested / "train" / "b")
    empty = draw_folder_of(tmp_path / "empty")
    (empty / "train" / "c").mkdir()
    untrained = draw_folder_of(tmp_path / "untrained", parts=("test",))
    for root, words in ((only_tested, "1 class without training images: b"), (empty, "training images: c")):
        finding = the(checked(root), "missing classes", "training images")
        assert (finding.severity, finding.text.endswith(words)) == ("error", True)
        with pytest.raises(ValueError):
            list_folder(root)
    assert the(checked(untrained), "missing classes").text == "2 classes without training images: a, b"
    assert [row["num_train"] for row in checked(empty).classes] == [20, 20, 0]


def test_a_folder_of_one_class_is_an_error_of_the_check(tmp_path: Path) -> None:
    root = draw_folder_of(tmp_path / "data", parts=("train",))
    shutil.rmtree(root / "train" / "b")
    finding = the(checked(root), "classes")
    assert (finding.severity, finding.text) == ("error", "one class, 'a'")
    with pytest.raises(ValueError, match="at least two classes"):
        list_folder(root)


def test_a_group_in_two_parts_is_an_error_of_the_check(tmp_path: Path) -> None:
    rows = ["path,label,group,split"]
    for k in range(40):
        picture(k).save(tmp_path / f"{name(k)}.png")
        rows.append(f"{name(k)}.png,{'ab'[k % 2]},patient {k // 4},{'test' if k % 20 > 16 else 'train'}")
    (tmp_path / "list.csv").write_text("\n".join(rows) + "\n")
    finding = the(checked(tmp_path / "list.csv"), "groups")
    assert finding.severity == "error"
    assert finding.text == (
        "2 groups stand in two parts: 'patient 4' (training and test), 'patient 9' (training and test)"
    )
    assert finding.paths == ("bg.png", "bi.png", "dg.png", "di.png")  # 16 trains and 18 tests, 36 and 38 likewise
    with pytest.raises(ValueError, match="group 'patient 4' has images in train and in test"):
        list_folder(tmp_path / "list.csv")


@pytest.mark.slow
def test_pictures_that_were_left_out_are_a_warning_and_other_files_a_note(tmp_path: Path) -> None:
    root = draw_folder_of(tmp_path / "data")
    (root / "train" / "a" / ".DS_Store").touch()
    (root / "README.md").touch()
    audit = checked(root)
    assert (the(audit, "left out").severity, audit.verdict) == ("note", "no problem found")
    for k in range(3):
        (root / "train" / "a" / f"{name(k)}.heic").touch()
    picture(1).save(root / "train" / "loose.png")
    audit = checked(root)
    finding = the(audit, "left out")
    assert audit.verdict == "usable with care: 1 warning"
    assert finding.text == "Files were left out: 3 .heic, 1 .md, 1 hidden, 1 in no class folder"
    assert "PNG or JPEG" in finding.advice and "beside the class folders" in finding.advice


def test_what_was_dealt_and_where_the_images_lie_is_told(tmp_path: Path) -> None:
    draw_folder_of(tmp_path / "data" / "archive", parts=("train",))
    shutil.move(tmp_path / "data" / "archive" / "train", tmp_path / "data" / "pets")
    shutil.rmtree(tmp_path / "data" / "archive")
    told = [(one.severity, one.text) for one in checked(tmp_path / "data").findings if one.topic == "source"]
    assert told == [
        ("note", "The images lie deeper: pets was taken"),
        ("note", "No test part was given: 6 of 40 images were held out as the test set, by class"),
    ]


def test_copies_in_a_test_part_that_was_dealt_here_are_kept_together_by_groups() -> None:
    shots = clean_shots()
    leaky = image_set_of([*shots, replace(shots[0], split="test")])
    assert the(audit_images(leaky), "leaks").advice.startswith("remove them from one part")
    dealt = replace(leaky, is_test_held_out=True)
    assert the(audit_images(dealt), "leaks").advice.startswith("--group auto deals them into one part")
    grouped = dealt.with_groups(tuple(map(str, range(len(dealt.groups)))))
    assert the(audit_images(grouped), "leaks").advice.startswith("give them one group")


TOP, MIDDLE, CORNER = (slice(2, 10), slice(8, 24)), (slice(12, 20), slice(8, 24)), (slice(2, 10), slice(2, 10))


def rectangles(*places: tuple[slice, slice]) -> list[Shot]:
    """Images of one bright rectangle on noise, of a class for every place."""
    shots = []
    for k in range(60 * len(places)):
        label = k % len(places)
        image_HWC = np.random.default_rng(k).integers(0, 40, (32, 32, 3))
        image_HWC[places[label]] += 160
        shots.append(Shot(image_HWC=image_HWC.astype(np.uint8), label=label))
    return shots


@pytest.mark.slow
def test_the_check_says_of_flips_what_compare_does() -> None:
    safe, changed, unknown = rectangles(TOP, MIDDLE), rectangles(CORNER, TOP, MIDDLE), clean_shots()
    for shots, is_safe in ((safe, True), (changed, False), (unknown, False)):
        image_set = image_set_of(shots)
        audit, verdict = audit_images(image_set), judge_flips(image_set)
        assert audit.is_flip_safe == verdict.is_safe == is_safe
        assert the(audit, "mirror images").text == verdict.reason


@pytest.mark.slow
def test_mirrored_classes_are_noted_and_flips_refused() -> None:
    shots = [Shot(image_HWC=arrow(k, is_left=bool(k % 2)), label=k % 2) for k in range(80)]
    audit = audit_images(image_set_of(shots))
    finding = the(audit, "mirror images")
    assert finding.severity == "note"
    assert finding.text == "flips are off: 'class a' and 'class b' are mirror images of each other"
    assert finding.advice == "--flips on is refused: it would change labels"
    assert not audit.is_flip_safe
    assert [row["mirror_of"] for row in audit.classes] == ["class b", "class a"]


@pytest.mark.slow
def test_a_set_of_one_picture_is_told() -> None:
    noise = np.random.default_rng(0).integers(-4, 5, (40, 32, 32, 3))
    images_NHWC = (pixels(0) + noise).clip(0, 255).astype(np.uint8)
    shots = [Shot(image_HWC=image, label=k % 2) for k, image in enumerate(images_NHWC)]
    finding = the(audit_images(image_set_of(shots)), "look-alikes", "random pairs")
    assert (finding.severity, finding.text) == ("warning", "100 % of random pairs of images look the same at 16 x 16")


def test_blank_images_are_named() -> None:
    blank = Shot(image_HWC=np.full((32, 32, 3), 7, np.uint8))
    audit = audit_images(image_set_of([*clean_shots(), blank, blank]))
    assert troubles(audit) == {"blank images": "warning"}
    assert the(audit, "blank images").text == "2 images of one even colour: they show nothing"


def test_small_and_missing_classes_warn() -> None:
    shots = [shot for shot in clean_shots() if shot.label != 2]
    lonely = [Shot(image_HWC=pixels(60_000 + k), label=2, group="all one thing") for k in range(12)]
    few = [Shot(image_HWC=pixels(61_000 + k), label=3, split="test" if k > 6 else "train") for k in range(9)]
    audit = audit_images(image_set_of([*shots, *lonely, *few]))
    assert troubles(audit) == {"missing classes": "warning", "small classes": "warning"}
    assert the(audit, "missing classes").text == "1 class without test images: class c"
    assert the(audit, "small classes").text.endswith("class c (12 images, 1 group), class d (7 images, 7 groups)")


def test_a_class_without_training_images_is_an_error() -> None:
    shots = [shot if shot.label else replace(shot, split="test") for shot in clean_shots()]
    assert the(audit_images(image_set_of(shots)), "missing classes").severity == "error"


def test_a_skewed_set_is_told_what_guessing_reaches() -> None:
    shots = [Shot(image_HWC=pixels(k), label=int(k < 10)) for k in range(120)]
    finding = the(audit_images(image_set_of(shots)), "balance")
    assert finding.severity == "note"
    assert "always answering 'class a' is right for 91.7 %" in finding.advice  # 110 of 120


def test_a_form_of_file_that_tells_the_class_is_a_warning(tmp_path: Path) -> None:
    root = draw_folder_of(tmp_path / "data")
    for path in sorted(root.glob("*/b/*.png")):
        picture(len(path.name) + hash_of(path)).resize((40, 40)).save(path.with_suffix(".jpg"), quality=95)
        path.unlink()
    finding = the(checked(root), "file forms")
    assert finding.text == "the form of a file tells its class: JPEG RGB is always 'b', PNG RGB is always 'a'"


def hash_of(path: Path) -> int:
    return 1_000_000 + sum(ord(letter) * 31**k for k, letter in enumerate(path.stem + path.parts[-3][:2]))


@pytest.mark.slow
def test_large_originals_ask_for_a_larger_input(tmp_path: Path) -> None:
    root = tmp_path / "data"
    for label in range(2):
        for k in range(12):
            path = root / "ab"[label] / f"{name(k)}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            picture(100 * label + k, 150).resize((320, 150)).save(path)
    finding = the(checked(root), "sizes")
    assert finding.severity == "note"
    assert "compare takes 128; here they were looked at with 32 pixels a side" in finding.advice
    assert "100.0 % are over twice as long as wide" in finding.advice


def test_rows_and_json_hold_everything(tmp_path: Path) -> None:
    root = draw_folder_of(tmp_path / "data")
    shutil.copy(root / "train" / "a" / "a.png", root / "test" / "a" / "stolen.png")
    audit = checked(root)
    assert list(finding_rows(audit)[0]) == ["severity", "topic", "text", "advice", "examples"]
    assert [row["severity"] for row in finding_rows(audit)][:2] == ["error", "ok"]  # the worst first
    plain = json.loads(json.dumps(audit_to_dict(audit)))
    assert plain["verdict"] == "not ready: 1 error; results on this data would be wrong"
    assert plain["findings"][0]["examples"] == ["train/a/a.png", "test/a/stolen.png"]
    assert len(plain["classes"]) == 2
    assert "proposed_groups" not in plain
    assert plain["num_proposed_groups"] == 1


def test_numbers_read_well() -> None:
    assert [count_noun(1, "class"), count_noun(3, "class"), count_noun(2, "copy"), count_noun(2000, "image")] == [
        "1 class",
        "3 classes",
        "2 copies",
        "2,000 images",
    ]
    assert [part_of(1, 3), part_of(8, 12630), part_of(0, 5), part_of(0, 0)] == [
        "33.3 %",
        "0.063 %",
        "0.0 %",
        "0.0 %",
    ]


@pytest.mark.gtsrb
@pytest.mark.slow
def test_gtsrb_has_its_known_flaws_and_no_others(gtsrb_dir: Path, tmp_path: Path) -> None:
    listing = list_gtsrb(gtsrb_dir, cache_dir=tmp_path)
    image_set = open_image_set(listing, image_size=32, cache_dir=tmp_path)
    audit = audit_images(image_set, listing)
    assert audit.verdict == "no problem found"
    # Eight frames of one stop sign's track (14/23) are test images too, to the last pixel.
    assert the(audit, "leaks", "copies").text.startswith("8 of 12,630 test images (0.063 %)")
    assert {path.split("_")[0] for path in the(audit, "leaks", "copies").paths if path.startswith("train/")} == {
        "train/00014/00023"
    }
    assert [row["class_id"] for row in audit.classes if row["mirror_of"]] == sorted(
        label for pair in MIRRORED_CLASSES for label in pair
    )
    assert audit.suggested_image_size == 32
    assert audit.audit_seconds < 60
