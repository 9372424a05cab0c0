"""Counts are added up and divided once; the network's mode and the order of the images are kept."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from roadtest.records import SetResult
from roadtest.training.predict import (
    add_up,
    count_correct,
    eval_batch_size,
    forward,
    pixel_reader,
    predict_logits,
    to_predictions,
)
from tiny import TinyNet, coloured_squares

IMAGES = coloured_squares()
READ = pixel_reader(IMAGES.images_NHWC, "cpu")
IDS = np.arange(50, dtype=np.int64)


class Brightness(nn.Module):
    """Logits from the mean of each colour: no weights, the answer is known."""

    def forward(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        return images_NCHW.mean((2, 3)) * 100


def test_known_logits_give_known_counts() -> None:
    # Logits (0, ln 3): probabilities 1/4 and 3/4. Labels 1, 1, 0: two correct, losses ln 4/3 twice and ln 4.
    logits_NK = torch.tensor([[0.0, math.log(3)]] * 3)
    result = count_correct(logits_NK, torch.tensor([1, 1, 0]))
    assert (result.num_seen, result.num_correct) == (3, 2)
    assert result.loss_sum == pytest.approx(2 * math.log(4 / 3) + math.log(4), rel=1e-7)


def test_a_short_last_batch_does_not_bias_accuracy() -> None:
    # 50 images in batches of 49 and 1: a mean of batch means would give the last image half of the weight.
    labels_N = torch.from_numpy(IMAGES.labels_N[IDS])
    whole = count_correct(predict_logits(Brightness(), READ, IDS, normalisation="fixed", batch_size=50), labels_N)
    parts = count_correct(predict_logits(Brightness(), READ, IDS, normalisation="fixed", batch_size=49), labels_N)
    assert parts == whole
    assert whole.num_correct == 50


def test_logits_come_in_the_order_of_the_ids() -> None:
    logits_NK = predict_logits(Brightness(), READ, IDS, normalisation="fixed", batch_size=7)
    backwards_NK = predict_logits(Brightness(), READ, IDS[::-1], normalisation="fixed", batch_size=7)
    assert torch.equal(logits_NK, backwards_NK.flip(0))


def test_evaluation_switches_dropout_off_and_gives_the_mode_back() -> None:
    network = TinyNet()
    for is_training in (True, False):
        network.train(is_training)
        before = {name: value.clone() for name, value in network.state_dict().items()}
        first = predict_logits(network, READ, IDS, normalisation="per-image")
        assert torch.equal(first, predict_logits(network, READ, IDS, normalisation="per-image"))
        assert network.training is is_training
        assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_the_mode_is_given_back_where_the_network_fails() -> None:
    class Broken(nn.Module):
        def forward(self, images_NCHW: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("broken")

    network = Broken().train()
    with pytest.raises(RuntimeError, match="broken"):
        predict_logits(network, READ, IDS, normalisation="fixed")
    assert network.training


def test_evaluation_stops_between_two_batches() -> None:
    calls: list[int] = []

    def should_stop() -> bool:
        calls.append(1)
        return len(calls) == 3

    with pytest.raises(InterruptedError):
        predict_logits(Brightness(), READ, IDS, normalisation="fixed", batch_size=5, should_stop=should_stop)
    assert len(calls) == 3


def test_bfloat16_is_used_where_it_is_asked_for_and_float32_comes_out() -> None:
    network, images_NCHW = nn.Linear(4, 2), torch.randn(3, 4)
    seen: list[torch.dtype] = []
    network.register_forward_hook(lambda *hooked: seen.append(hooked[2].dtype))
    assert forward(network, images_NCHW, "bfloat16").dtype == torch.float32
    assert forward(network, images_NCHW, "float32").dtype == torch.float32
    assert seen == [torch.bfloat16, torch.float32]


def test_pixels_are_copied_and_the_map_is_never_written(tmp_path: object) -> None:
    np.save(f"{tmp_path}/a.npy", IMAGES.images_NHWC)
    mapped_NHWC = np.load(f"{tmp_path}/a.npy", mmap_mode="r")
    pixels_NHWC = pixel_reader(mapped_NHWC, "cpu")(torch.tensor([5, 3]))
    assert pixels_NHWC.dtype == torch.uint8
    assert np.array_equal(pixels_NHWC.numpy(), IMAGES.images_NHWC[[5, 3]])
    pixels_NHWC.zero_()
    assert np.array_equal(mapped_NHWC, IMAGES.images_NHWC)


def test_logits_are_halved_on_disk_where_every_answer_stays() -> None:
    predictions = to_predictions(torch.tensor([[1.0, -3.5, 2.0]]), torch.tensor([0]), np.array([4]))
    assert predictions.logits_NK.dtype == np.float16
    assert predictions.logits_NK.tolist() == [[1.0, -3.5, 2.0]]
    assert (predictions.labels_N.tolist(), predictions.image_ids_N.tolist()) == ([0], [4])


@pytest.mark.parametrize("logits", [[1e6, -1e6, 2.0], [3.0, 3.0 + 1e-5, 0.0]], ids=["too large", "a tie in float16"])
def test_logits_that_float16_would_answer_otherwise_stay_whole(logits: list[float]) -> None:
    logits_NK = torch.tensor([logits])
    predictions = to_predictions(logits_NK, torch.tensor([0]), np.array([4]))
    assert predictions.logits_NK.dtype == np.float32
    assert np.array_equal(predictions.logits_NK, logits_NK.numpy())


def test_parts_add_up_to_the_whole() -> None:
    parts = [SetResult(num_seen=3, num_correct=2, loss_sum=0.5), SetResult(num_seen=1, num_correct=0, loss_sum=2.0)]
    assert add_up(parts) == SetResult(num_seen=4, num_correct=2, loss_sum=2.5)


def test_larger_images_are_evaluated_in_smaller_batches() -> None:
    # 512 * 32 * 32 / (64 * 64) = 128; at 224 pixels 10 would fit, and 32 are taken
    assert [eval_batch_size(size) for size in (16, 32, 64, 224)] == [2048, 512, 128, 32]
