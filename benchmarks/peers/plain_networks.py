"""The compared networks as they are usually written: the same parameters and the same values as roadtest's own.

What roadtest computes in a cheaper way is written here in the way of textbooks and libraries, because that is what a
user would train: ReLU before pooling in LeNet-5, `F.affine_grid` in the STN, VGG-16's first fully connected layer over
49 copies. tests/test_benchmarks.py shows that the weights of one fit the other and give the same logits.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from roadtest.networks.zoo import build_resnet34, build_resnet34_imagenet


class PlainLeNet5(nn.Module):
    """LeNet-5 with the layers in the textbook's order."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 6, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 16, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 120, 5),
            nn.BatchNorm2d(120),
            nn.ReLU(),
            nn.Conv2d(120, 84, 1),
            nn.BatchNorm2d(84),
            nn.ReLU(),
            nn.Conv2d(84, num_classes, 1),
        )

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """Give the logits, N x K."""
        logits_NK: Tensor = self.layers(images_NCHW).mean((2, 3))
        return logits_NK


class PlainSTN(nn.Module):
    """A spatial transformer as PyTorch's tutorial writes it, in front of a network; for 32 x 32 images."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.localisation = nn.Sequential(
            nn.Conv2d(3, 8, 7),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Conv2d(8, 10, 5),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(160, 32),
            nn.ReLU(),
        )
        self.theta = nn.Linear(32, 6)
        self.network = network
        with torch.no_grad():
            self.theta.weight.zero_()
            self.theta.bias.copy_(torch.tensor([1.0, 0.0, 0.0, 0.0, 1.0, 0.0]))

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """Give the network's logits for the warped images."""
        theta_N23 = self.theta(self.localisation(images_NCHW)).view(-1, 2, 3)
        grid_NHW2 = F.affine_grid(theta_N23, list(images_NCHW.shape), align_corners=False)
        warped_NCHW = F.grid_sample(images_NCHW, grid_NHW2, align_corners=False)
        logits_NK: Tensor = self.network(warped_NCHW)
        return logits_NK


def build_plain_vgg16(num_classes: int, image_size: int) -> nn.Module:
    """Torchvision's own VGG-16, nothing folded."""
    from torchvision.models import vgg16_bn

    network: nn.Module = vgg16_bn(weights=None, num_classes=num_classes)
    return network


PLAIN_NETWORKS = {
    "lenet5": lambda num_classes, image_size: PlainLeNet5(num_classes),
    "vgg16": build_plain_vgg16,
    "resnet34": build_resnet34,
    "resnet34-imagenet": build_resnet34_imagenet,
}


def build_plain(name: str, *, num_classes: int, image_size: int, has_stn: bool) -> nn.Module:
    """Build a network in its usual form, with weights from torch's global generator."""
    network = PLAIN_NETWORKS[name](num_classes, image_size)
    return PlainSTN(network) if has_stn else network
