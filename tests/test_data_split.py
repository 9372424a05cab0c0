"""Folds by track: nothing of one unit on both sides, shares that are equal, and no dependence on file order.

Recovered tracks: they keep together what looks alike, and on real tracks they judge as the true ones do.

The ledger of test readings: a line each, before the reading, and never lost."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from roadtest.analysis import stats as judge
from roadtest.data.cache import open_image_set
from roadtest.data.dataset import TRAIN, ImageSet
from roadtest.data.sources.gtsrb import list_gtsrb
from roadtest.data.split import (
    COLUMNS,
    assign_folds,
    copy_test_reads,
    every_tenth_frame,
    find_units,
    note_test_read,
    recover_tracks,
    shuffled,
    split_fingerprint,
    split_for_seed,
    split_rows,
    thumbnails,
)
from roadtest.records import PlannedRun, read_rows, write_rows

GTSRB_TRACKS = (
    *(7, 74, 75, 47, 66, 62, 14, 48, 47, 49, 67, 44, 70, 72, 26, 21, 14, 37, 40, 7, 12, 11, 13, 17, 9, 50, 20, 8),
    *(18, 9, 15, 26, 8, 23, 14, 40, 13, 7, 69, 10, 12, 8, 8),
)
"""Tracks per class in the published training set; 1,307 in all."""


def image_set(rows: list[tuple[int, str, int, str]], paths: list[str] | None = None) -> ImageSet:
    """An ImageSet of (label, group, frame, split) rows, whose pixels do not matter."""
    return ImageSet(
        source="made",
        title="made",
        class_names=tuple(str(label) for label in range(1 + max(row[0] for row in rows))),
        images_NHWC=np.zeros((len(rows), 1, 1, 3), np.uint8),
        labels_N=np.array([row[0] for row in rows]),
        groups=tuple(row[1] for row in rows),
        frames_N=np.array([row[2] for row in rows]),
        splits=tuple(row[3] for row in rows),
        paths=tuple(paths or [f"{i:05d}.png" for i in range(len(rows))]),
        fingerprint="made",
    )


def tracks(counts: tuple[int, ...], num_frames: int = 30, split: str = "train") -> list[tuple[int, str, int, str]]:
    return [
        (label, f"{label}/{track}", frame, split)
        for label, count in enumerate(counts)
        for track in range(count)
        for frame in range(num_frames)
    ]


def test_tracks_of_gtsrb_are_dealt_into_folds_of_130_or_131() -> None:
    whole = image_set(tracks(GTSRB_TRACKS, num_frames=1))
    counts = np.bincount(assign_folds(whole, 10))
    assert counts.sum() == 1307
    assert set(counts.tolist()) == {130, 131}


def test_every_fold_has_its_share_of_every_class() -> None:
    whole = image_set(tracks(GTSRB_TRACKS, num_frames=1))
    folds_N = assign_folds(whole, 10)
    for label, count in enumerate(GTSRB_TRACKS):
        shares = np.bincount(folds_N[whole.labels_N == label], minlength=10)
        assert shares.min() >= count // 10
        assert shares.max() <= -(-count // 10)


units_of_groups = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 30), st.booleans()), min_size=40, max_size=120
)  # class, group number, whether the image has a group


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(drawn=units_of_groups, num_folds=st.integers(2, 5), seed=st.integers(0, 12))
def test_images_of_one_group_are_never_on_both_sides(
    drawn: list[tuple[int, int, bool]], num_folds: int, seed: int
) -> None:
    rows = [
        (label, f"g{group}" if is_grouped else "", i, "train") for i, (label, group, is_grouped) in enumerate(drawn)
    ]
    whole = image_set(rows)
    units = find_units(whole.groups, whole.paths, whole.labels_N)
    assume(len(units.sizes_U) >= num_folds)
    split = split_for_seed(whole, assign_folds(whole, num_folds), seed)
    train_groups = {whole.groups[i] for i in split.train_N} - {""}
    val_groups = {whole.groups[i] for i in split.val_N} - {""}
    assert not train_groups & val_groups
    assert sorted([*split.train_N, *split.val_N]) == list(range(len(rows)))
    assert len(split.val_N) > 0


@settings(max_examples=60, deadline=None)
@given(counts=st.lists(st.integers(2, 9), min_size=2, max_size=8), num_folds=st.integers(2, 10))
def test_a_class_of_two_tracks_is_in_every_training_part(counts: list[int], num_folds: int) -> None:
    whole = image_set(tracks(tuple(counts), num_frames=2))
    assume(sum(counts) >= num_folds)
    folds_N = assign_folds(whole, num_folds)
    for seed in range(num_folds):
        split = split_for_seed(whole, folds_N, seed)
        assert set(whole.labels_N[split.train_N]) == set(range(len(counts)))
        assert len(split.val_N) > 0


def test_a_class_that_only_shares_its_groups_with_others_is_still_in_every_training_part() -> None:
    # Class 2 appears in two groups only, both of which hold mostly class 0: they must not be dealt into one fold.
    rows = tracks((12, 12), num_frames=3)
    rows += [(2, "0/3", 3, "train"), (2, "0/7", 3, "train")]
    whole = image_set(rows)
    folds_N = assign_folds(whole, 3)
    for seed in range(3):
        assert 2 in whole.labels_N[split_for_seed(whole, folds_N, seed).train_N]


@settings(max_examples=30, deadline=None)
@given(order=st.permutations(range(60)))
def test_folds_do_not_depend_on_the_order_of_the_files(order: list[int]) -> None:
    rows = tracks((6, 4), num_frames=4) + [(1, "", 0, "train")] * 20
    paths = [f"{i}.png" for i in range(60)]
    straight = assign_folds(image_set(rows, paths), 5)
    mixed = assign_folds(image_set([rows[i] for i in order], [paths[i] for i in order]), 5)
    assert mixed.tolist() == straight[order].tolist()


def test_the_deal_is_the_same_on_every_machine() -> None:
    # Golden values: a change here changes the validation part of every published result.
    assert shuffled(8, 20110804, 3).tolist() == [0, 7, 4, 5, 6, 1, 2, 3]
    assert assign_folds(image_set(tracks((5, 3), num_frames=1)), 4).tolist() == [2, 1, 0, 3, 0, 2, 3, 1]


def test_seed_k_validates_on_fold_k_mod_the_number_of_folds() -> None:
    whole = image_set(tracks((9, 9), num_frames=2) + [(0, "", 0, "test")] * 5)
    folds_N = assign_folds(whole, 3)
    split = split_for_seed(whole, folds_N, 7)
    assert set(folds_N[split.val_N]) == {1}
    assert set(folds_N[split.train_N]) == {0, 2}
    assert folds_N[36:].tolist() == [-1] * 5


def test_a_validation_part_of_its_own_is_kept_for_every_seed() -> None:
    whole = image_set([*tracks((3, 3), num_frames=2), (0, "v", 0, "val"), (1, "t", 0, "test")])
    folds_N = assign_folds(whole, 10)  # ten folds of six tracks cannot be made, and need not be
    assert folds_N.tolist() == [-1] * 14
    for seed in (0, 1, 12):
        split = split_for_seed(whole, folds_N, seed)
        assert split.train_N.tolist() == list(range(12))
        assert split.val_N.tolist() == [12]


def test_fewer_groups_than_folds_is_one_clear_line() -> None:
    with pytest.raises(ValueError, match=r"4 groups of training images for 10 folds.*validation part") as error:
        assign_folds(image_set(tracks((2, 2))), 10)
    assert "\n" not in str(error.value)


def test_images_without_a_group_are_groups_of_their_own() -> None:
    whole = image_set([(i % 2, "", 0, "train") for i in range(40)])
    assert np.bincount(assign_folds(whole, 10)).tolist() == [4] * 10


def test_every_tenth_frame_of_each_track_counts_from_its_first() -> None:
    # Tracks of 30, 11 and 1 frames give 3, 2 and 1; 21 images without a group, all of class 1, give 3.
    rows = [(0, "a", frame, "train") for frame in range(30)]
    rows += [(0, "b", frame, "train") for frame in range(5, 16)]
    rows += [(1, "c", 7, "train")]
    rows += [(1, "", 0, "train")] * 21
    chosen = every_tenth_frame(image_set(rows), np.arange(len(rows)))
    assert chosen.tolist() == [0, 10, 20, 30, 40, 41, 42, 52, 62]


def test_every_tenth_frame_goes_by_the_frame_and_not_by_the_row() -> None:
    rows = [(0, "a", frame, "train") for frame in reversed(range(30))]
    assert every_tenth_frame(image_set(rows), np.arange(30)).tolist() == [9, 19, 29]


def test_every_tenth_frame_stays_inside_the_given_images() -> None:
    whole = image_set(tracks((4,), num_frames=10))
    assert every_tenth_frame(whole, np.arange(10, 30)).tolist() == [10, 20]


def test_the_split_file_gives_its_fingerprint_back(tmp_path: Path) -> None:
    whole = image_set([*tracks((3, 3), num_frames=2), (0, "", 0, "test"), (1, "", 0, "train")])
    rows = split_rows(whole, assign_folds(whole, 3))
    assert list(rows[0]) == ["path", "label", "group", "split", "fold"]
    write_rows(tmp_path / "split.csv", rows, list(rows[0]))
    assert split_fingerprint(read_rows(tmp_path / "split.csv")) == split_fingerprint(rows)


def test_the_split_fingerprint_follows_the_tracks_and_not_the_names_of_files() -> None:
    rows = tracks((3, 3), num_frames=2)
    here, there = image_set(rows), image_set(rows, paths=[f"elsewhere/{i}.ppm" for i in range(len(rows))])
    folds_N = assign_folds(here, 3)
    fingerprint = split_fingerprint(split_rows(here, folds_N))
    assert split_fingerprint(split_rows(there, assign_folds(there, 3))) == fingerprint
    assert split_fingerprint(split_rows(here, (folds_N + 1) % 3)) != fingerprint


def test_images_without_a_group_are_told_apart_by_their_paths_in_the_split_fingerprint() -> None:
    rows = [(i % 2, "", 0, "train") for i in range(6)]
    here, there = image_set(rows), image_set(rows, paths=[f"{9 - i}.png" for i in range(6)])
    folds_N = assign_folds(here, 3)
    assert split_fingerprint(split_rows(here, folds_N)) != split_fingerprint(split_rows(there, folds_N))


@pytest.mark.gtsrb
def test_real_gtsrb_has_ten_folds_of_about_131_tracks(gtsrb_dir: Path, tmp_path: Path) -> None:
    items = list_gtsrb(gtsrb_dir, cache_dir=tmp_path).items
    whole = image_set([(item.label, item.group, item.frame, item.split) for item in items], [i.path for i in items])
    folds_N = assign_folds(whole, 10)
    groups = np.array(whole.groups)
    counts = [len(set(groups[folds_N == fold])) for fold in range(10)]
    assert sum(counts) == 1307  # so no track stands in two folds
    assert set(counts) == {130, 131}
    assert sum(item.split == "train" for item in items) == 39209 == (folds_N >= 0).sum()
    # "18 of the 43 classes have a single one there" (the protocol's page): few tracks per class and fold.
    singles = [sum(len(set(groups[(folds_N == f) & (whole.labels_N == k)])) == 1 for k in range(43)) for f in range(10)]
    assert 14 <= np.mean(singles) <= 22
    # 9/10 of the tracks, three frames of each (the one track of 29 frames gives three as well).
    split = split_for_seed(whole, folds_N, 0)
    assert len(every_tenth_frame(whole, split.train_N)) == 3 * (1307 - counts[0])


Pixels = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]


def _draw_tracks(num_tracks: int, num_frames: int, *, seed: int = 0, size: int = 16) -> tuple[Pixels, Ints]:
    """Frames of one track: a random picture of its own, a little brighter or darker, with noise."""
    rng = np.random.default_rng(seed)
    scenes = np.kron(rng.uniform(40, 200, (num_tracks, 1, 4, 4, 3)), np.ones((1, 1, size // 4, size // 4, 1)))
    light = rng.uniform(0.9, 1.1, (num_tracks, num_frames, 1, 1, 1))
    frames = scenes * light + rng.normal(0, 4, (num_tracks, num_frames, size, size, 3))
    pixels = frames.clip(0, 255).astype(np.uint8).reshape(-1, size, size, 3)
    return pixels, np.repeat(np.arange(num_tracks), num_frames)


def test_no_track_is_torn_apart_and_two_clusters_stand_for_three_tracks() -> None:
    images_NHWC, tracks_N = _draw_tracks(12, 30)
    ids_N = recover_tracks(images_NHWC, np.zeros(len(images_NHWC), np.int64))
    assert len(np.unique(ids_N)) == 8
    assert all(len(np.unique(ids_N[tracks_N == track])) == 1 for track in range(12))


def test_no_track_reaches_over_two_classes() -> None:
    # The same pictures under two labels: the looks agree, the classes do not.
    images_NHWC, _ = _draw_tracks(2, 30)
    labels_N = np.arange(60) % 2
    ids_N = recover_tracks(images_NHWC, labels_N)
    assert not set(ids_N[labels_N == 0]) & set(ids_N[labels_N == 1])


def test_numbers_run_from_zero_without_gaps() -> None:
    images_NHWC, tracks_N = _draw_tracks(9, 20)
    ids_N = recover_tracks(images_NHWC, tracks_N // 3, num_images_per_track=20)
    assert sorted(set(ids_N.tolist())) == list(range(6))


def test_the_images_order_changes_nothing_but_the_numbers() -> None:
    images_NHWC, _ = _draw_tracks(6, 30)
    labels_N = np.zeros(180, np.int64)
    order = np.random.default_rng(1).permutation(180)
    there, again = recover_tracks(images_NHWC, labels_N), recover_tracks(images_NHWC[order], labels_N)
    assert len({(a, b) for a, b in zip(there[order], again, strict=True)}) == len(set(there.tolist()))


def test_a_class_of_one_image_is_one_track() -> None:
    images_NHWC, _ = _draw_tracks(1, 1)
    assert recover_tracks(images_NHWC, np.array([7])).tolist() == [0]


def test_thumbnails_are_logarithms_of_patch_means() -> None:
    # Left half black, right half at level 15: log 1 = 0 and log 16.
    images_NHWC = np.zeros((1, 32, 32, 3), np.uint8)
    images_NHWC[:, :, 16:] = 15
    found = thumbnails(images_NHWC).reshape(8, 8, 3)
    assert (found[:, :4] == 0).all()
    np.testing.assert_allclose(found[:, 4:], np.log(16), rtol=1e-6)


def test_any_size_from_eight_pixels_on_will_do() -> None:
    assert thumbnails(np.zeros((2, 13, 50, 3), np.uint8)).shape == (2, 192)
    with pytest.raises(ValueError, match="7 x 32 pixels are too small: use at least 8"):
        thumbnails(np.zeros((2, 32, 7, 3), np.uint8))


def test_labels_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="3 images, 2 labels"):
        recover_tracks(np.zeros((3, 8, 8, 3), np.uint8), np.zeros(2, np.int64))


@pytest.mark.slow
def test_gtsrbs_largest_class_takes_seconds() -> None:
    images_NHWC, _ = _draw_tracks(75, 30)
    start = time.process_time()
    recover_tracks(images_NHWC, np.zeros(2250, np.int64))
    assert time.process_time() - start < 5


def _orientations(images_NHWC: Pixels, cell: int) -> npt.NDArray[np.float32]:
    """Histograms of 12 edge directions in cells of `cell` pixels: enough for a linear classifier at 88 to 94 %."""
    grey = np.sqrt(images_NHWC.mean(axis=-1, dtype=np.float32))
    rise_y, rise_x = np.zeros_like(grey), np.zeros_like(grey)
    rise_y[:, 1:-1], rise_x[:, :, 1:-1] = grey[:, 2:] - grey[:, :-2], grey[:, :, 2:] - grey[:, :, :-2]
    direction = ((np.arctan2(rise_y, rise_x) / (2 * np.pi) * 12) % 12).astype(int) % 12
    strength, side = np.hypot(rise_y, rise_x), grey.shape[1] // cell
    bins = [
        np.where(direction == number, strength, 0).reshape(len(grey), side, cell, side, cell).sum(axis=(2, 4))
        for number in range(12)
    ]
    flat = np.stack(bins, axis=-1).reshape(len(grey), -1)
    return np.sqrt(flat / (flat.sum(axis=1, keepdims=True) + 1e-6)).astype(np.float32)


@pytest.mark.gtsrb
@pytest.mark.slow
def test_real_tracks_recovered_judge_as_the_true_ones_do(gtsrb_dir: Path, tmp_path: Path) -> None:
    """Classifiers trained on two thirds of the tracks err on the last: as many tracks as in the test set."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    listing = list_gtsrb(gtsrb_dir, cache_dir=tmp_path)
    listing = replace(listing, items=tuple(item for item in listing.items if item.split == TRAIN))
    image_set = open_image_set(listing, image_size=32, cache_dir=tmp_path)
    images_NHWC, labels_N = np.asarray(image_set.images_NHWC), image_set.labels_N
    tracks_N = np.unique(image_set.groups, return_inverse=True)[1]
    third_N = np.random.default_rng(0).permutation(np.arange(tracks_N.max() + 1) % 3)[tracks_N]
    features = [_orientations(images_NHWC, cell) for cell in (4, 8)]
    variances: dict[str, list[tuple[float, float]]] = {"coarse": [], "fine": [], "difference": []}
    for third in range(3):
        held, seen = np.flatnonzero(third_N == third), np.flatnonzero(third_N != third)[::3]
        fine, coarse = (
            (LinearDiscriminantAnalysis().fit(f[seen], labels_N[seen]).predict(f[held]) == labels_N[held])[None]
            for f in features
        )
        assert fine.mean() > 0.9
        both = (tracks_N[held], recover_tracks(images_NHWC[held], labels_N[held]))
        for name, judged in (
            ("fine", [judge.accuracy_interval(fine, units_N) for units_N in both]),
            ("coarse", [judge.accuracy_interval(coarse, units_N) for units_N in both]),
            ("difference", [judge.difference_interval(fine, coarse, units_N) for units_N in both]),
        ):
            variances[name].append((judged[0].cluster_variance, judged[1].cluster_variance))
    for name, pairs in variances.items():
        true, recovered = np.sum(pairs, axis=0)
        assert 0.9 <= np.sqrt(recovered / true) <= 1.2, name


RUN = PlannedRun(network="lenet5", has_stn=True, seed=4)


def note(cache_dir: Path, data: str = "d", study: str = "first") -> None:
    note_test_read(cache_dir, data_fingerprint=data, study=study, run=RUN, protocol_fingerprint="p")


def test_every_reading_is_a_line_and_lines_are_only_added(tmp_path: Path) -> None:
    note(tmp_path / "cache")
    first = (tmp_path / "cache" / "test-reads.csv").read_text()
    note(tmp_path / "cache", study="second")
    rows = read_rows(tmp_path / "cache" / "test-reads.csv")
    assert (tmp_path / "cache" / "test-reads.csv").read_text().startswith(first)
    assert tuple(rows[0]) == COLUMNS
    assert [row["study"] for row in rows] == ["first", "second"]
    assert (rows[0]["network"], rows[0]["has_stn"], rows[0]["seed"]) == ("lenet5", "True", "4")
    assert rows[0]["read_at"].startswith("20")


def test_no_line_is_lost_where_several_runs_begin_a_ledger_at_once(tmp_path: Path) -> None:
    num_runs = 4
    for trial in range(10):  # what is raced for takes microseconds: without a lock most trials lose or double a line
        cache_dir, together = tmp_path / str(trial), Barrier(num_runs)

        def run(k: int, cache_dir: Path = cache_dir, together: Barrier = together) -> None:
            together.wait()
            note(cache_dir, study=str(k))

        with ThreadPoolExecutor(num_runs) as pool:
            list(pool.map(run, range(num_runs)))
        rows = read_rows(cache_dir / "test-reads.csv")
        assert sorted(row["study"] for row in rows) == ["0", "1", "2", "3"]


def test_a_study_gets_the_lines_about_its_own_test_set_of_all_studies(tmp_path: Path) -> None:
    note(tmp_path, data="d", study="first")
    note(tmp_path, data="other", study="first")
    note(tmp_path, data="d", study="second")
    study_dir = tmp_path / "study"
    study_dir.mkdir()
    copy_test_reads(tmp_path, study_dir, "d")
    assert [row["study"] for row in read_rows(study_dir / "test-reads.csv")] == ["first", "second"]


def test_lines_that_only_the_study_knows_stay_in_the_order_of_time(tmp_path: Path) -> None:
    study_dir, cache_dir = tmp_path / "study", tmp_path / "cache"
    study_dir.mkdir(), note(cache_dir, study="here")
    copy_test_reads(cache_dir, study_dir, "d")
    path = study_dir / "test-reads.csv"
    head, line = path.read_text().splitlines()
    path.write_text(f"{head}\n{line}\n2000-01-01T00:00:00+00:00,d,elsewhere,vgg16,False,0,p\n")
    for _ in range(2):
        copy_test_reads(cache_dir, study_dir, "d")
        assert [row["study"] for row in read_rows(path)] == ["elsewhere", "here"]
    copy_test_reads(tmp_path / "the cache is gone", study_dir, "d")
    assert [row["study"] for row in read_rows(path)] == ["elsewhere", "here"]


def test_without_a_ledger_a_study_has_an_empty_one(tmp_path: Path) -> None:
    copy_test_reads(tmp_path / "no cache", tmp_path, "d")
    assert read_rows(tmp_path / "test-reads.csv") == []
    assert (tmp_path / "test-reads.csv").read_text() == ",".join(COLUMNS) + "\n"


def test_two_headers_of_two_beginners_do_no_harm(tmp_path: Path) -> None:
    note(tmp_path)
    header = ",".join(COLUMNS) + "\n"
    path = tmp_path / "test-reads.csv"
    path.write_text(header + path.read_text())
    study_dir = tmp_path / "study"
    study_dir.mkdir()
    copy_test_reads(tmp_path, study_dir, "d")
    assert len(read_rows(study_dir / "test-reads.csv")) == 1
