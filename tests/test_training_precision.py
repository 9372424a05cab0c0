"""Precision is measured, never assumed, and one for all seeds of a network; a word is taken as given."""

import copy
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from roadtest.machine import describe_machine
from roadtest.records.events import RunSpec
from roadtest.training import precision as precision_module
from roadtest.training.precision import FILE_NAME, choose_precision, probe_precision
from tiny import TINY, TinyNet, write_tiny_study

WHERE = {"device": "cpu", "image_size": 32, "num_classes": 3}
Clock = Callable[[nn.Module, torch.Tensor, torch.Tensor, str], float]


def with_clock(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    """A step takes as many milliseconds as the clock says of what it is made of, and nothing is computed."""
    monkeypatch.setattr(precision_module, "_step", lambda *parts: parts)
    monkeypatch.setattr(precision_module, "_time_ms", lambda parts, device: clock(*parts))


def with_step_ms(monkeypatch: pytest.MonkeyPatch, **step_ms: float) -> None:
    """A clock by which every step takes so long: fake, or unreachable where nothing is named."""
    with_clock(monkeypatch, lambda *parts: step_ms[parts[-1]])
    monkeypatch.setattr(precision_module, "PROBE_SECONDS", 0.0)


@pytest.mark.parametrize("word", ["float32", "bfloat16"])
def test_a_word_is_taken_as_said_without_measuring(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with_step_ms(monkeypatch)
    assert probe_precision(TinyNet(), word, **WHERE) == (word, {})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("float32", "bfloat16", "chosen"),
    [(10.0, 5.0, "bfloat16"), (10.0, 9.0, "bfloat16"), (10.0, 9.2, "float32"), (10.0, 60.0, "float32")],
)
def test_bfloat16_must_be_a_tenth_faster(
    float32: float, bfloat16: float, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_step_ms(monkeypatch, float32=float32, bfloat16=bfloat16)
    step_ms = {"float32": float32, "bfloat16": bfloat16}
    assert probe_precision(TinyNet(), "auto", **WHERE) == (chosen, step_ms)  # type: ignore[arg-type]


def test_a_disturbed_step_does_not_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    # Two steps on a few images are not counted; of the others the fastest: float32 10, bfloat16 4 in spite of the 400.
    times_ms = {"float32": iter([999.0, 9.0, 10.0, 12.0]), "bfloat16": iter([999.0, 9.0, 400.0, 4.0])}
    with_step_ms(monkeypatch)
    with_clock(monkeypatch, lambda *parts: next(times_ms[parts[-1]]))
    assert probe_precision(TinyNet(), "auto", **WHERE) == ("bfloat16", {"float32": 10.0, "bfloat16": 4.0})  # type: ignore[arg-type]


def test_a_precision_that_is_hopeless_on_a_few_images_is_not_tried_on_more(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    # the very first step waits for memory: its share alone would make bfloat16 look less than three times as slow
    times_ms = {"float32": iter([1500.0, 600.0]), "bfloat16": iter([4200.0, 4300.0])}

    def clock(network: nn.Module, images_NCHW: torch.Tensor, labels_N: torch.Tensor, precision: str) -> float:
        sizes.append(len(images_NCHW))
        return next(times_ms[precision])

    with_clock(monkeypatch, clock)
    # 4200 ms are seven times 600, and more than half a second
    assert probe_precision(TinyNet(), "auto", **WHERE) == ("float32", {"float32": 600.0, "bfloat16": 4200.0})  # type: ignore[arg-type]
    assert sizes == [4, 4, 4, 4]


@pytest.mark.parametrize(("image_size", "num_images"), [(32, 128), (64, 64)])
def test_what_counts_is_a_step_of_a_training_batch_or_half_of_one(
    image_size: int, num_images: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def clock(network: nn.Module, images_NCHW: torch.Tensor, labels_N: torch.Tensor, precision: str) -> float:
        assert images_NCHW.shape[2:] == (image_size, image_size) and len(labels_N) == len(images_NCHW)
        sizes.append(len(images_NCHW))
        return 1.0

    with_step_ms(monkeypatch)
    with_clock(monkeypatch, clock)
    probe_precision(TinyNet(), "auto", device="cpu", image_size=image_size, num_classes=3)
    assert sizes == [4] * 4 + [num_images] * 4


def test_the_probe_leaves_network_and_generator_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision_module, "PROBE_SECONDS", 0.0)
    network = TinyNet()
    before, state = copy.deepcopy(network.state_dict()), torch.get_rng_state()
    chosen, step_ms = probe_precision(network, "auto", **WHERE)  # type: ignore[arg-type]
    assert chosen in step_ms
    assert all(value > 0 for value in step_ms.values())
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_a_steps_clock_waits_for_whatever_device_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []
    monkeypatch.setattr(precision_module, "wait_for_device", heard.append)
    step = precision_module._step(TinyNet(), torch.zeros(2, 3, 32, 32), torch.tensor([0, 1]), "float32")
    assert precision_module._time_ms(step, "mps") > 0
    assert heard == ["mps"]


class NoBfloat16(TinyNet):
    def forward(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        logits_NK = super().forward(images_NCHW)
        torch.linalg.inv(logits_NK.T @ logits_NK + torch.eye(3, dtype=logits_NK.dtype))
        if logits_NK.dtype != torch.float32:
            raise RuntimeError("not implemented for 'BFloat16'")
        return logits_NK


def test_a_network_without_bfloat16_trains_in_float32_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(precision_module, "PROBE_SECONDS", 0.0)
    chosen, step_ms = probe_precision(NoBfloat16(), "auto", **WHERE)  # type: ignore[arg-type]
    assert (chosen, list(step_ms)) == ("float32", ["float32"])
    assert "bfloat16 is not used" in capsys.readouterr().err


def test_a_network_that_fails_in_float32_fails() -> None:
    class Broken(nn.Module):
        def forward(self, images_NCHW: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        probe_precision(Broken(), "auto", **WHERE)  # type: ignore[arg-type]


@pytest.mark.cuda
@pytest.mark.usefixtures("cuda")
def test_on_a_gpu_the_steps_are_recorded_as_in_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision_module, "PROBE_SECONDS", 0.1)
    recorded, plain = (
        probe_precision(TinyNet(), "auto", device="cuda", image_size=32, num_classes=3, is_capturable=is_capturable)[1]
        for is_capturable in (True, False)
    )
    assert all(recorded[precision] < plain[precision] for precision in ("float32", "bfloat16"))


HERE = describe_machine()


@pytest.fixture
def job(tmp_path: Path) -> RunSpec:
    job = replace(write_tiny_study(tmp_path, TINY, num_seeds=2), precision="auto")
    job.run_dir.parent.mkdir(parents=True, exist_ok=True)
    return job


def probe(word: str) -> tuple[str, dict[str, float]]:
    return ("bfloat16", {"float32": 2.0, "bfloat16": 1.0}) if word == "auto" else (word, {})


def test_the_first_run_probes_and_the_next_takes_what_it_found(job: RunSpec) -> None:
    assert choose_precision(job, HERE, probe) == ("bfloat16", {"float32": 2.0, "bfloat16": 1.0})
    later = replace(job, run=replace(job.run, seed=1))
    assert choose_precision(later, HERE, probe) == ("bfloat16", {})
    elsewhere = replace(HERE, cpu_flags=("avx2",))
    assert choose_precision(later, elsewhere, lambda word: ("float32", {"float32": 1.0}))[0] == "float32"


def test_runs_that_begin_together_probe_once(job: RunSpec) -> None:
    asked: list[str] = []
    found: list[str] = []

    def slow_probe(word: str) -> tuple[str, dict[str, float]]:
        asked.append(word)
        time.sleep(0.3)
        # beside other work the second would have found the other one faster
        return ("float32" if asked.count("auto") == 1 else "bfloat16", {}) if word == "auto" else (word, {})

    def begin(seed: int) -> None:
        found.append(choose_precision(replace(job, run=replace(job.run, seed=seed)), HERE, slow_probe)[0])

    threads = [threading.Thread(target=begin, args=(seed,)) for seed in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert asked == ["auto", "float32"] and found == ["float32", "float32"]


def test_a_precision_that_was_asked_for_is_neither_probed_nor_kept(job: RunSpec) -> None:
    assert choose_precision(replace(job, precision="float32"), HERE, probe) == ("float32", {})
    assert not (job.run_dir.parent / FILE_NAME).exists()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"precision": "float64", "place": []}', '{"precision": 1, "place": 2}']
)
def test_a_damaged_note_says_nothing(text: str, job: RunSpec) -> None:
    (job.run_dir.parent / FILE_NAME).write_text(text)
    assert choose_precision(job, HERE, probe)[1] != {}
