"""What made the comparison this project began with unfair: one test for each, on the code that every run goes through.

There, frames of a training sign stood in validation, augmented copies stood on both sides of the split, signs were
flipped, the ResNet had no shortcuts, loading and evaluating counted as training, and the test set was looked at before
the end.
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from roadtest.data.open import reopen_image_set
from roadtest.networks import build_network
from roadtest.protocol import GTSRB_V1, SIGNS_V1
from roadtest.records import PlannedRun, read_predictions, read_record, read_rows
from roadtest.records.events import Event, RunSpec
from roadtest.study.options import Options
from roadtest.study.resolve import chosen_protocol
from roadtest.training import loop as train_module
from roadtest.training import run as run_figures
from roadtest.training import run as run_module
from roadtest.training import step as steps_module
from roadtest.training.augment import AugmentationParameters, augment_batch, prepare_batch, sample_parameters
from roadtest.training.loop import train
from roadtest.training.run import build_training, execute
from tiny import TINY, coloured_squares, tiny_training, write_tiny_study


@pytest.fixture
def job(tmp_path: Path) -> RunSpec:
    return write_tiny_study(tmp_path, replace(TINY, max_epochs=1))


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, set[int]]]:
    """Which images a run looked at, and when."""
    seen: list[tuple[float, set[int]]] = []
    honest = run_module.pixel_reader

    def spied(images_NHWC: npt.NDArray[np.uint8], device: str) -> Callable[[torch.Tensor], torch.Tensor]:
        read = honest(images_NHWC, device)

        def look(ids_N: torch.Tensor) -> torch.Tensor:
            seen.append((time.perf_counter(), set(ids_N.tolist())))
            return read(ids_N)

        return look

    monkeypatch.setattr(run_module, "pixel_reader", spied)
    return seen


def ids_of(job: RunSpec, split: str) -> set[int]:
    return {i for i, row in enumerate(read_rows(job.study_dir / "split.csv")) if row["split"] == split}


# Frames of a training sign in validation


@pytest.mark.parametrize("seed", range(4))
def test_no_frame_of_a_training_sign_is_in_validation(job: RunSpec, seed: int) -> None:
    job = replace(job, run=PlannedRun(network="lenet5", has_stn=False, seed=seed))
    image_set, training = build_training(job, lambda: False)
    train_signs = {image_set.groups[i] for i in training.train_ids_N}
    val_signs = {image_set.groups[i] for i in training.val_ids_N}
    assert train_signs and val_signs
    assert not train_signs & val_signs
    assert len(train_signs) + len(val_signs) == 24
    assert not set(training.train_ids_N) & set(training.val_ids_N)
    assert set(training.train_eval_ids_N) <= set(training.train_ids_N)


def test_every_network_of_a_seed_has_the_same_split_order_and_augmentation(job: RunSpec) -> None:
    pairs = [("lenet5", False), ("lenet5", True)]
    runs = [PlannedRun(network=name, has_stn=has_stn, seed=2) for name, has_stn in pairs]
    trainings = [build_training(replace(job, run=run), lambda: False)[1] for run in runs]
    for training in trainings[1:]:
        assert np.array_equal(training.train_ids_N, trainings[0].train_ids_N)
        assert np.array_equal(training.val_ids_N, trainings[0].val_ids_N)
        assert (training.seed, training.protocol) == (trainings[0].seed, trainings[0].protocol)


# Augmented copies on both sides of the split


@pytest.mark.slow
def test_images_are_varied_in_training_only_and_copies_are_never_kept(
    job: RunSpec, reads: list[tuple[float, set[int]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    varied: set[int] = set()
    honest = steps_module.augment_batch

    def watched(images_NHWC: torch.Tensor, changes: AugmentationParameters, **more: Any) -> torch.Tensor:
        varied.update(changes.image_ids_N.tolist())
        return honest(images_NHWC, changes, **more)

    monkeypatch.setattr(steps_module, "augment_batch", watched)
    before = job.pixels_path.read_bytes()
    execute(job, emit=lambda event: None)
    val_ids = set(read_predictions(job.run_dir / "val.npz").image_ids_N.tolist())
    assert varied and varied <= ids_of(job, "train") - val_ids
    assert job.pixels_path.read_bytes() == before
    kept = {path.name for path in job.run_dir.iterdir()} - {".lock"}
    assert kept == {"epochs.csv", "val.npz", "test.npz", "weights.safetensors", "examples.npz", "record.json"}


@pytest.mark.slow
def test_validation_and_test_images_are_judged_as_they_are(job: RunSpec) -> None:
    execute(job, emit=lambda event: None)
    image_set, _ = reopen_image_set(job.study_dir, job.pixels_path)
    record = read_record(job.run_dir)
    network = build_network("lenet5", num_classes=3, image_size=32, has_stn=False, seed=0)
    from safetensors.torch import load_file

    network.load_state_dict(load_file(job.run_dir / "weights.safetensors"))
    for name in ("val.npz", "test.npz"):
        kept = read_predictions(job.run_dir / name)
        images_NHWC = torch.from_numpy(np.asarray(image_set.images_NHWC[kept.image_ids_N]))
        with torch.inference_mode():
            images_NCHW = prepare_batch(images_NHWC, normalisation=record.normalisation)
            logits_NK = network.eval()(images_NCHW)
        if record.precision == "float32":
            assert np.allclose(logits_NK.numpy(), kept.logits_NK, atol=0.02)
        assert (logits_NK.argmax(1).numpy() == kept.logits_NK.argmax(1)).mean() > 0.9


# Flipped signs


def marked(num_images: int) -> torch.Tensor:
    """Grey images with a bright bar along the left edge."""
    images_NHWC = torch.full((num_images, 32, 32, 3), 90, dtype=torch.uint8)
    images_NHWC[:, 4:28, 3:8] = 255
    return images_NHWC


def test_no_sign_is_ever_flipped() -> None:
    assert [protocol.augmentation.flip_probability for protocol in (GTSRB_V1, SIGNS_V1)] == [0, 0]
    with pytest.raises(ValueError, match="--flips"):
        chosen_protocol("gtsrb", Options(flips="on"), num_runs=1)
    ids_N = torch.arange(512)
    for epoch in range(3):
        changes = sample_parameters(ids_N, augmentation=GTSRB_V1.augmentation, seed=0, epoch=epoch)
        images_NCHW = augment_batch(marked(512), changes, normalisation=GTSRB_V1.normalisation)
        columns_NW = images_NCHW.mean((1, 2))
        left_N, right_N = columns_NW[:, :16].amax(1), columns_NW[:, 16:].amax(1)
        assert bool((left_N > right_N).all())


# A "ResNet" without its shortcuts


def blocks_of(network: torch.nn.Module) -> list[torch.nn.Module]:
    return [module for module in network.modules() if type(module).__name__ == "BasicBlock"]


OTHERS = [pytest.param(name, marks=pytest.mark.slow) for name in ("resnet34-s1", "resnet34-imagenet")]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet34", *OTHERS])
def test_a_resnet_has_its_shortcuts(name: str) -> None:
    network = build_network(name, num_classes=43, image_size=32, has_stn=False, seed=0).eval()
    blocks = blocks_of(network)
    assert len(blocks) == 16  # 3 + 4 + 6 + 3 of two convolutions, the stem and the head: 34 layers
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    for block in blocks:
        # With its last weights zero, a block with a shortcut gives what went in; one without gives nothing.
        torch.nn.init.zeros_(block.bn2.weight)  # type: ignore[union-attr, arg-type]
        torch.nn.init.zeros_(block.bn2.bias)  # type: ignore[union-attr, arg-type]
        block.register_forward_hook(lambda part, given, output: seen.append((given[0], output)))
    with torch.inference_mode():
        network(torch.randn(2, 3, 32, 32))
    for block, (given, output) in zip(blocks, seen, strict=True):
        assert output.abs().sum() > 0
        if block.downsample is None:
            assert torch.equal(output, given.relu())


# Loading and evaluating counted as training


@pytest.mark.slow
def test_loading_is_told_apart_and_evaluating_stands_outside(job: RunSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: Counter[str] = Counter()

    def slowed(honest: Callable[..., Any], seconds: float) -> Callable[..., Any]:
        def slow(*arguments: Any, **more: Any) -> Any:
            calls[honest.__name__] += 1
            time.sleep(seconds)
            return honest(*arguments, **more)

        return slow

    monkeypatch.setattr(steps_module, "augment_batch", slowed(steps_module.augment_batch, 0.03))
    monkeypatch.setattr(train_module, "predict_logits", slowed(train_module.predict_logits, 0.05))
    start = time.perf_counter()
    execute(job, emit=lambda event: time.sleep(0.02))
    elapsed = time.perf_counter() - start
    cost, num_rows = read_record(job.run_dir).cost, len(read_rows(job.run_dir / "epochs.csv"))
    assert cost.data_seconds >= 0.03 * cost.num_steps  # making batches is part of training, and known
    assert cost.train_seconds >= cost.data_seconds
    # Training images and validation at each row; all training images and test at the end, where validation is known.
    assert calls["predict_logits"] == 2 * num_rows + 2
    assert cost.eval_seconds >= 0.05 * calls["predict_logits"]
    assert cost.train_seconds + cost.eval_seconds < elapsed


# The test set seen before the end


@pytest.mark.slow
def test_the_test_set_is_read_once_after_training_and_after_its_line_in_the_ledger(
    job: RunSpec, reads: list[tuple[float, set[int]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    moments: dict[str, float] = {}
    honest = run_figures.note_test_read

    def noted(*arguments: Any, **more: Any) -> None:
        honest(*arguments, **more)
        moments["ledger"] = time.perf_counter()
        assert len(read_rows(job.cache_dir / "test-reads.csv")) == 1

    def emit(event: Event) -> None:
        moments[event.kind] = time.perf_counter()  # the last row is the end of training

    monkeypatch.setattr(run_figures, "note_test_read", noted)
    execute(job, emit=emit)
    test_ids = ids_of(job, "test")
    before = set().union(*(ids for moment, ids in reads if moment < moments["ledger"]))
    after = [ids for moment, ids in reads if moment > moments["ledger"]]
    assert moments["row"] < moments["ledger"]
    assert not before & test_ids
    assert before == ids_of(job, "train")
    assert sum(len(ids) for ids in after if len(ids) > 24) == len(test_ids)  # once; then up to 24 of the worst to show
    assert set().union(*after) == test_ids


@pytest.mark.slow
def test_without_reading_the_test_set_not_a_pixel_of_it_is_seen(
    job: RunSpec, reads: list[tuple[float, set[int]]]
) -> None:
    execute(replace(job, reads_test=False), emit=lambda event: None)
    assert not set().union(*(ids for _, ids in reads)) & ids_of(job, "test")
    assert not (job.cache_dir / "test-reads.csv").exists()
    assert read_record(job.run_dir).test is None


@pytest.mark.slow
def test_what_chooses_cannot_reach_test_labels() -> None:
    # Garbage in every test label changes nothing of a training: patience, rates and weights are chosen without them.
    def final_weights(labels_N: torch.Tensor) -> torch.Tensor:
        training = tiny_training(replace(TINY, patience=1, max_epochs=6), labels_N=labels_N)
        list(train(training))
        return torch.cat([p.detach().flatten() for p in training.network.parameters()])

    image_set = coloured_squares()
    labels_N = torch.from_numpy(image_set.labels_N)
    scrambled_N = labels_N.clone()
    scrambled_N[image_set.indices_of("test")] = 2 - scrambled_N[image_set.indices_of("test")]
    assert not torch.equal(labels_N, scrambled_N)
    assert torch.equal(final_weights(labels_N), final_weights(scrambled_N))
