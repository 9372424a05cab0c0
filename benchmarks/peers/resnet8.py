"""A residual network with 0.3 million parameters and 11 million MACs; also an example of a network of one's own.

    roadtest compare signs:40000,wild --networks benchmarks/peers/resnet8.py:build --lr 0.05 --stn on

A 3 x 3 convolution at full resolution, then three of He 2015's basic blocks (torchvision's) that halve it, with 32, 64
and 128 channels: as much of `resnet34` as two processor cores train at a thousand images a second.
"""

from torch import nn
from torchvision.models.resnet import BasicBlock, ResNet


def build(num_classes: int, image_size: int) -> nn.Module:
    """Build it for square images; the last map is averaged, so any size from 16 pixels will do."""
    network = ResNet(BasicBlock, [1, 1, 1, 1], num_classes=num_classes)
    network.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
    network.bn1 = nn.BatchNorm2d(16)
    network.maxpool = nn.Identity()
    network.layer1 = _halving(16, 32)
    network.layer2 = _halving(32, 64)
    network.layer3 = _halving(64, 128)
    network.layer4 = nn.Identity()
    network.fc = nn.Linear(128, num_classes)
    return network


def _halving(num_in: int, num_out: int) -> BasicBlock:
    shortcut = nn.Sequential(nn.Conv2d(num_in, num_out, 1, stride=2, bias=False), nn.BatchNorm2d(num_out))
    return BasicBlock(num_in, num_out, stride=2, downsample=shortcut)
