"""Candidates for two small networks for signs: `signnet-s` under 100,000 parameters, `signnet` under a million.

Depthwise-separable residual blocks after a stem at full resolution; a global average and one linear layer at the end.
Sources: MobileNetV2 (Sandler et al., 2018) for the inverted block, squeeze-and-excitation (Hu et al., 2018).
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Excitation(nn.Module):
    """Scale each channel by what the whole map says."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(width, width // 4, 1), nn.Conv2d(width // 4, width, 1)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        return x_NCHW * torch.sigmoid(self.up(F.relu(self.down(x_NCHW.mean((2, 3), keepdim=True)))))


class Inverted(nn.Module):
    """1 x 1 up, depthwise 3 x 3 or 5 x 5, 1 x 1 down; a shortcut where shapes allow it."""

    def __init__(self, width_in: int, width_out: int, stride: int, factor: int, kernel: int) -> None:
        super().__init__()
        wide = width_in * factor
        self.branch = nn.Sequential(
            nn.Conv2d(width_in, wide, 1, bias=False),
            nn.BatchNorm2d(wide),
            nn.ReLU(inplace=True),
            nn.Conv2d(wide, wide, kernel, stride, kernel // 2, groups=wide, bias=False),
            nn.BatchNorm2d(wide),
            nn.ReLU(inplace=True),
            Excitation(wide),
            nn.Conv2d(wide, width_out, 1, bias=False),
            nn.BatchNorm2d(width_out),
        )
        self.has_shortcut = stride == 1 and width_in == width_out

    def forward(self, x_NCHW: Tensor) -> Tensor:
        out_NCHW = self.branch(x_NCHW)
        return x_NCHW + out_NCHW if self.has_shortcut else out_NCHW


class Residual(nn.Module):
    """Two 3 x 3 convolutions and a shortcut, as in ResNet (He et al., 2016)."""

    def __init__(self, width_in: int, width_out: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width_in, width_out, 3, stride, 1, bias=False)
        self.norm1, self.norm2 = nn.BatchNorm2d(width_out), nn.BatchNorm2d(width_out)
        self.second = nn.Conv2d(width_out, width_out, 3, 1, 1, bias=False)
        self.shortcut = nn.Identity()
        if stride != 1 or width_in != width_out:
            self.shortcut = nn.Sequential(  # type: ignore[assignment]
                nn.AvgPool2d(stride) if stride > 1 else nn.Identity(),
                nn.Conv2d(width_in, width_out, 1, bias=False),
                nn.BatchNorm2d(width_out),
            )

    def forward(self, x_NCHW: Tensor) -> Tensor:
        out_NCHW = self.norm2(self.second(F.relu(self.norm1(self.first(x_NCHW)))))
        return F.relu(out_NCHW + self.shortcut(x_NCHW))


def plain(widths: tuple[int, ...], num_classes: int) -> nn.Module:
    """A stem, one residual block per width, halving the map from block to block; average and linear."""
    layers: list[nn.Module] = [
        nn.Conv2d(3, widths[0], 3, 1, 1, bias=False),
        nn.BatchNorm2d(widths[0]),
        nn.ReLU(inplace=True),
    ]
    for index, (width_in, width_out) in enumerate(zip((widths[0], *widths), widths, strict=False)):
        layers.append(Residual(width_in, width_out, 1 if index == 0 else 2))
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(widths[-1], num_classes)]
    return nn.Sequential(*layers)


def inverted(widths: tuple[int, ...], repeats: int, factor: int, num_classes: int) -> nn.Module:
    """A stem with stride 2, then stages of inverted blocks, average and linear."""
    layers: list[nn.Module] = [
        nn.Conv2d(3, widths[0], 3, 2, 1, bias=False),
        nn.BatchNorm2d(widths[0]),
        nn.ReLU(inplace=True),
    ]
    width = widths[0]
    for index, width_out in enumerate(widths):
        for place in range(repeats):
            stride = 2 if place == 0 and index > 0 else 1
            layers.append(Inverted(width, width_out, stride, factor, 5 if index > 0 else 3))
            width = width_out
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(width, num_classes)]
    return nn.Sequential(*layers)


SIGNNETS: dict[str, Callable[[int], nn.Module]] = {
    "signnet-s-plain": lambda num_classes: plain((12, 24, 36, 48), num_classes),
    "signnet-s-inverted": lambda num_classes: inverted((16, 24, 40), 2, 4, num_classes),
    "signnet-plain": lambda num_classes: plain((32, 64, 128, 128), num_classes),
    "signnet-inverted": lambda num_classes: inverted((32, 64, 112), 3, 4, num_classes),
}
