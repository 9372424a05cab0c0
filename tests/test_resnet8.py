"""The small residual network of the benchmarks: as large as it says, and for any size of image."""

import pytest
import torch

from benchmarks.peers import resnet8
from roadtest.training.profile import count_macs, count_parameters


def test_it_has_the_parameters_and_macs_that_it_names() -> None:
    network = resnet8.build(43, 32)
    assert count_parameters(network) == 308_411
    assert count_macs(network, 32) == pytest.approx(11e6, rel=0.1)


@pytest.mark.parametrize("image_size", [16, 32, 64])
def test_it_answers_images_of_any_size(image_size: int) -> None:
    network = resnet8.build(5, image_size).eval()
    assert network(torch.zeros(2, 3, image_size, image_size)).shape == (2, 5)
