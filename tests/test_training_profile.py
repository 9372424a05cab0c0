"""Counts with known answers; latency rows as latency.csv wants them; memory of this process alone."""

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import fields

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from roadtest.training import profile as cost
from roadtest.training.profile import (
    LatencySample,
    count_macs,
    count_parameters,
    is_disturbed,
    measure_latency,
    peak_memory_bytes,
)

LATENCY_COLUMNS = "network, has_stn, runtime, device, batch_size, num_threads, round, sample, latency_ms, is_busy"


class Small(nn.Module):
    """One convolution, and a note of how it was called."""

    def __init__(self, sleep_seconds: float = 0.0) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 4, 3, bias=False)
        self.sleep_seconds = sleep_seconds
        self.calls: list[tuple[int, bool, bool, int, bool]] = []

    def forward(self, images_NCHW: Tensor) -> Tensor:
        is_channels_last = images_NCHW.is_contiguous(memory_format=torch.channels_last)
        num_threads, is_inference = torch.get_num_threads(), torch.is_inference_mode_enabled()
        self.calls.append((len(images_NCHW), self.training, is_inference, num_threads, is_channels_last))
        time.sleep(self.sleep_seconds)
        return self.layer(images_NCHW).mean((2, 3))  # type: ignore[no-any-return]


class Sampling(nn.Module):
    """Nothing but sampling: 5 x 7 values of each of 3 channels."""

    def __init__(self, mode: str) -> None:
        super().__init__()
        self.mode = mode

    def forward(self, images_NCHW: Tensor) -> Tensor:
        grid_NHW2 = images_NCHW.new_zeros(len(images_NCHW), 5, 7, 2)
        return F.grid_sample(images_NCHW, grid_NHW2, mode=self.mode, align_corners=False)


class Deciding(nn.Module):
    """A linear layer that runs only after a look at the image, which no network on paper can take."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 5)

    def forward(self, images_NCHW: Tensor) -> Tensor:
        assert images_NCHW.sum().item() == 0
        logits_NK: Tensor = self.layer(images_NCHW.mean((2, 3)))
        return logits_NK


def test_frozen_parameters_are_not_counted_and_shared_ones_once() -> None:
    shared = nn.Linear(4, 4, bias=False)
    frozen = nn.Linear(10, 10).requires_grad_(False)
    assert count_parameters(nn.Sequential(shared, shared, frozen)) == 16


@pytest.mark.parametrize(
    ("network", "macs"),
    [
        (nn.Conv2d(3, 8, 3, padding=1), 8 * 8 * 8 * 27),
        (nn.Conv2d(3, 6, 3, groups=3), 6 * 6 * 6 * 9),  # each output sees one channel
        (nn.Conv2d(3, 8, 3, stride=2, padding=1), 4 * 4 * 8 * 27),
        (nn.Sequential(nn.Flatten(), nn.Linear(192, 7)), 192 * 7),
        (nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2), nn.AvgPool2d(2)), 0),
        (Sampling("bilinear"), 5 * 7 * 3 * 4),
        (Sampling("nearest"), 0),
        (Sampling("bicubic"), 5 * 7 * 3 * 16),
        (Deciding(), 15),
    ],
)
def test_macs_of_one_8_pixel_image_add_up(network: nn.Module, macs: int) -> None:
    assert count_macs(network, 8) == macs


def test_attention_is_counted_as_its_two_matrix_products() -> None:
    class Attending(nn.Module):
        def forward(self, images_NCHW: Tensor) -> Tensor:
            tokens_NTC = images_NCHW.flatten(2).transpose(1, 2)
            return F.scaled_dot_product_attention(tokens_NTC, tokens_NTC, tokens_NTC)

    # 64 tokens of 3 channels: 64*64*3 for the weights and as much for the weighted sums.
    assert count_macs(Attending(), 8) == 2 * 64 * 64 * 3


def test_counting_changes_nothing_in_the_network() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    count_macs(network, 8)
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert all(part.training for part in network.modules())


def test_counting_does_not_depend_on_the_images_the_network_was_trained_with() -> None:
    network = nn.Conv2d(3, 4, 1)
    assert count_macs(network, 16) == 4 * count_macs(network, 8)


def measure(networks: dict[tuple[str, bool], nn.Module], **options: object) -> list[LatencySample]:
    defaults = {"image_size": 8, "batch_sizes": (1, 4), "num_threads": 1, "num_rounds": 2, "seconds_per_visit": 0.005}
    return measure_latency(networks, **(defaults | options))  # type: ignore[arg-type]


def test_a_latency_sample_has_the_columns_of_latency_csv() -> None:
    assert ", ".join(field.name for field in fields(LatencySample)) == LATENCY_COLUMNS


def test_rounds_visit_every_network_and_batch_size_in_turn() -> None:
    samples = measure({("a", False): Small(), ("a", True): Small()})
    visits = list(dict.fromkeys((row.round, row.network, row.has_stn, row.batch_size) for row in samples))
    once = [("a", False, 1), ("a", False, 4), ("a", True, 1), ("a", True, 4)]
    assert visits == [(round_, *each) for round_ in (0, 1) for each in once]
    for visit in visits:
        numbers = [row.sample for row in samples if (row.round, row.network, row.has_stn, row.batch_size) == visit]
        assert numbers == list(range(len(numbers))) and 3 <= len(numbers) <= 50


def test_networks_are_timed_as_they_are_used() -> None:
    network = Small().train()
    measure({("a", False): network}, batch_sizes=(4,))
    # 4 images, not training, inference mode, 1 thread, channels-last
    assert set(network.calls) == {(4, False, True, 1, True)}
    assert network.training


def test_the_first_passes_are_not_samples() -> None:
    network = Small()
    samples = measure({("a", False): network}, batch_sizes=(1,), num_rounds=1)
    assert len(network.calls) > len(samples)


def test_a_latency_is_the_milliseconds_of_the_whole_batch() -> None:
    samples = measure({("a", False): Small(sleep_seconds=0.02)}, batch_sizes=(4,), num_rounds=1)
    assert all(20 <= row.latency_ms < 200 for row in samples)
    assert {(row.runtime, row.device, row.batch_size, row.num_threads) for row in samples} == {("pytorch", "cpu", 4, 1)}


def test_the_number_of_threads_is_put_back() -> None:
    before = torch.get_num_threads()
    network = Small()
    measure({("a", False): network}, num_threads=before + 1)
    assert {call[3] for call in network.calls} == {before + 1}
    assert torch.get_num_threads() == before


def test_progress_counts_visits() -> None:
    told: list[tuple[int, int]] = []
    measure({("a", False): Small()}, on_progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize(("others_cores", "is_busy"), [(0.0, False), (1.5, True)])
def test_rows_say_whether_other_processes_were_busy(
    monkeypatch: pytest.MonkeyPatch, others_cores: float, is_busy: bool
) -> None:
    clock: Callable[[], float] = lambda: others_cores * time.perf_counter()  # noqa: E731
    monkeypatch.setattr(cost, "others_cpu_seconds", clock)
    monkeypatch.setattr(cost, "count_usable_cores", lambda: 2)
    samples = measure({("a", False): Small()}, num_threads=2)
    assert {row.is_busy for row in samples} == {is_busy}


def test_a_quarter_core_disturbs_where_every_core_is_ours_and_half_the_spare_ones_do_not() -> None:
    assert is_disturbed(0.3, num_threads=2, num_cores=2)
    assert not is_disturbed(0.2, num_threads=2, num_cores=2)
    assert not is_disturbed(2.0, num_threads=2, num_cores=8)  # 0.25 + 6 / 2 = 3.25 are allowed
    assert is_disturbed(3.5, num_threads=2, num_cores=8)


@pytest.mark.slow
def test_peak_memory_remembers_what_was_given_back() -> None:
    before = peak_memory_bytes()
    block = bytearray(300 << 20)
    block[:: 1 << 12] = b"x" * len(block[:: 1 << 12])  # touch every page
    del block
    # The process may have peaked higher before this test; it is never below 300 MB now, nor wildly above.
    assert max(before, 300 << 20) <= peak_memory_bytes() < before + (400 << 20)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux hands a parent's peak down")
def test_a_new_process_does_not_inherit_its_parents_peak() -> None:
    code = "print(next(l for l in open('/proc/self/status') if l.startswith('VmHWM')).split()[1])"
    block = bytearray(200 << 20)
    block[:: 1 << 12] = b"x" * len(block[:: 1 << 12])  # touch every page
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) << 10 < 100 << 20 < len(block) < peak_memory_bytes()
