"""LeNet-5 as five convolutions, for colour images of 32 pixels and more.

Y. LeCun, L. Bottou, Y. Bengio, P. Haffner: Gradient-based learning applied to document recognition, 1998, section II.B,
http://yann.lecun.com/exdb/publis/pdf/lecun-98.pdf. Its fully connected layers are written as convolutions, as the
paper itself does for C5, so that larger images need no other network: their last map is averaged.

| the paper | here |
|---|---|
| one grey channel | three colour channels |
| average pooling with a learned scale and bias | max pooling |
| scaled tanh | ReLU |
| a hand-made table of connections into C3 | all connections |
| no normalisation | batch norm after the two inner layers, 120 and 84 |
| ten radial basis units | one linear unit per class |

N images, K classes, H x W pixels. No options: another LeNet is another file.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LeNet5(nn.Module):
    """6@5x5, pool, 16@5x5, pool, 120@5x5, 84@1x1, K@1x1: 65,219 parameters at 43 classes."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        # Pooling before the ReLU gives the same values and gradients as after it, with a quarter of the ReLU's work.
        self.layers = nn.Sequential(
            nn.Conv2d(3, 6, 5),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Conv2d(6, 16, 5),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Conv2d(16, 120, 5),
            nn.BatchNorm2d(120),
            nn.ReLU(),
            nn.Conv2d(120, 84, 1),
            nn.BatchNorm2d(84),
            nn.ReLU(),
            nn.Conv2d(84, num_classes, 1),
        )

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """Give the logits, N x K; at 32 pixels the last map is 1 x 1 and its mean is itself."""
        if not torch.is_grad_enabled():  # nothing of what follows pays without a backward pass
            maps_NKhw: Tensor = self.layers(images_NCHW)
            return maps_NKhw.mean((2, 3))
        maps_NChw = self._first_maps(images_NCHW)
        is_covered = maps_NChw.shape[2:] == (5, 5)
        for layer in self.layers[6:]:
            maps_NChw = _cover(layer, maps_NChw) if is_covered and isinstance(layer, nn.Conv2d) else layer(maps_NChw)
        return maps_NChw.mean((2, 3))

    def _first_maps(self, images_NCHW: Tensor) -> Tensor:
        """The two layers that slide, with their pools."""
        first, second = self.layers[0], self.layers[3]
        assert isinstance(first, nn.Conv2d) and isinstance(second, nn.Conv2d) and first.bias is not None
        if images_NCHW.device.type != "cpu":
            maps_NChw: Tensor = self.layers[:6](images_NCHW)
            return maps_NChw
        # A pool over 6 channels takes longer than one over 8, three times in bfloat16: two are added that stay zero.
        weight, bias = F.pad(first.weight, (0, 0, 0, 0, 0, 0, 0, 2)), F.pad(first.bias, (0, 2))
        maps_N8hw = F.relu(F.max_pool2d(F.conv2d(images_NCHW, weight, bias), 2))
        maps_N16hw = F.conv2d(maps_N8hw, F.pad(second.weight, (0, 0, 0, 0, 0, 2)), second.bias)
        return F.relu(F.max_pool2d(maps_N16hw, 2))


def _cover(layer: nn.Conv2d, maps_NCHW: Tensor) -> Tensor:
    """Apply a convolution whose kernel covers its whole input: as a matrix product, whose gradient is far cheaper."""
    values_NF = maps_NCHW.permute(0, 2, 3, 1).flatten(1)
    weight_UF = layer.weight.permute(0, 2, 3, 1).flatten(1)
    return F.linear(values_NF, weight_UF, layer.bias)[:, :, None, None]
