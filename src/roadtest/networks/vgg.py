"""VGG-16's head, folded where its input is 49 copies of one pixel.

VGG-16 ends in a 7 x 7 map of 512 channels and a fully connected layer of 25,088 -> 4,096 weights. An image of 32 pixels
leaves a 1 x 1 map, which torchvision's adaptive pool copies 49 times. A weight times 49 equal numbers is the sum of
49 weights times one: the layer becomes 512 -> 4,096, with the same values, gradients, parameters and initial weights.
Measured on two cores of an AMD EPYC (AVX-512), batch 128, float32, this layer forward and backward: 760 ms unfolded,
157 ms folded (docs/networks.md).

N images, C channels, U hidden units. The network itself is torchvision's; this file only decides how it is computed.
"""

import torch.nn.functional as F
from torch import Tensor, nn


class FoldedVGG(nn.Module):
    """Torchvision's VGG with its names and weights, and a first linear layer that skips equal copies."""

    def __init__(self, features: nn.Module, avgpool: nn.AdaptiveAvgPool2d, classifier: nn.Sequential) -> None:
        super().__init__()
        self.features = features
        self.avgpool = avgpool
        self.classifier = classifier

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """Give the logits, N x K."""
        maps_NChw = self.features(images_NCHW)
        first, rest = self.classifier[0], self.classifier[1:]
        # On the meta device nothing is computed, only counted, and what counts is the network's definition.
        if maps_NChw.shape[2:] == (1, 1) and not maps_NChw.is_meta:
            hidden_NU = _linear_on_copies(maps_NChw.flatten(1), first)
        else:
            hidden_NU = first(self.avgpool(maps_NChw).flatten(1))
        logits_NK: Tensor = rest(hidden_NU)
        return logits_NK


def _linear_on_copies(values_NC: Tensor, linear: nn.Module) -> Tensor:
    """Apply a layer that expects each value several times in a row to the values themselves."""
    assert isinstance(linear, nn.Linear)
    weight_UCp = linear.weight.view(linear.out_features, values_NC.shape[1], -1)
    return F.linear(values_NC, weight_UCp.sum(2), linear.bias)
