"""The values of a record: rates from sums, labels, and folder names that every system takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import roadtest.records
from roadtest.records import MAX_SEED, EpochMetrics, PlannedRun, SetResult, folder_name, network_label


def test_rates_are_the_sums_divided_once() -> None:
    result = SetResult(num_seen=8, num_correct=6, loss_sum=4.0)
    assert (result.accuracy, result.loss) == (0.75, 0.5)


@pytest.mark.parametrize(("num_correct", "num_seen"), [(0, 0), (3, 2), (-1, 2)])
def test_counts_that_cannot_be_are_refused(num_correct: int, num_seen: int) -> None:
    with pytest.raises(ValueError, match="images correct"):
        SetResult(num_seen=num_seen, num_correct=num_correct, loss_sum=0.0)


def test_a_row_of_the_curve_knows_its_two_sets_apart() -> None:
    sums = {"train_num_seen": 4, "train_num_correct": 3, "train_loss_sum": 2.0}
    sums |= {"val_num_seen": 2, "val_num_correct": 1, "val_loss_sum": 3.0}
    times = dict.fromkeys(("learning_rate", "train_seconds", "data_seconds", "eval_seconds", "images_per_second"), 1.0)
    row = EpochMetrics(epoch=1.0, step=5, **times, **sums)  # type: ignore[arg-type]
    assert (row.train.accuracy, row.train.loss) == (0.75, 0.5)
    assert (row.val.accuracy, row.val.loss) == (0.5, 1.5)


def test_a_label_tells_the_switch() -> None:
    assert network_label("lenet5", False) == "lenet5"
    assert network_label("lenet5", True) == "lenet5+stn"
    assert PlannedRun(network="lenet5", has_stn=True, seed=2).folder == "lenet5+stn/seed-2"


@pytest.mark.parametrize("seed", [-1, MAX_SEED + 1])
def test_a_seed_out_of_range_is_refused(seed: int) -> None:
    with pytest.raises(ValueError, match="must lie between 0 and"):
        PlannedRun(network="lenet5", has_stn=False, seed=seed)


def test_a_network_whose_name_speaks_to_the_terminal_is_refused() -> None:
    with pytest.raises(ValueError, match="must be printable") as error:
        PlannedRun(network="lenet5\x1b[2J", has_stn=False, seed=0)
    assert "\x1b" not in str(error.value)


def test_plain_labels_keep_their_names_and_others_get_a_hash() -> None:
    assert folder_name("resnet34-s1+stn") == "resnet34-s1+stn"
    assert folder_name("timm:vit_b") == "timm_vit_b-" + folder_name("timm:vit_b")[-6:]
    assert folder_name("timm:vit_b") != folder_name("timm/vit_b")


@given(st.text(max_size=300))
def test_no_label_escapes_its_folder(label: str) -> None:
    name = folder_name(label)
    assert 0 < len(name) <= 107
    assert not set(name) - set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-")
    assert name.strip(".") != ""


@given(st.text(max_size=130), st.text(max_size=130))
def test_two_labels_never_share_a_folder(first: str, second: str) -> None:
    assert (folder_name(first) == folder_name(second)) == (first == second)


def test_what_is_public_is_sorted_and_there() -> None:
    names = roadtest.records.__all__
    assert sorted(names, key=lambda name: (name.upper() != name, name[0].islower(), name)) == names
    assert all(hasattr(roadtest.records, name) for name in names)
