"""The spatial transformer of Jaderberg et al., in front of any network.

M. Jaderberg, K. Simonyan, A. Zisserman, K. Kavukcuoglu: Spatial Transformer Networks, 2015, sections 3.1 to 3.3,
https://arxiv.org/abs/1506.02025. A small localisation network looks at the image and gives six numbers theta, the
affine map from output to input coordinates; the image is sampled there bilinearly, with zeros outside. Coordinates run
from -1 to 1 over the pixels' outer edges (align_corners=False). It starts as the identity: the last layer is zero but
for its bias. It wraps, it is never inherited from; it deliberately knows no other transformations than affine ones.

| the paper | here |
|---|---|
| localisation networks of several sizes, by experiment | conv 7x7 3->8, conv 5x5 8->10, linear 160->32->6 |
| anywhere in a network, also several | one, in front of it |

N images, H x W pixels, P = H * W of them, theta_N23 the maps, (x, y, 1) the base grid's three rows.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NUM_POOLED = 4
"""Side of the localisation network's last map; at 32 pixels it has that size by itself."""


class SpatialTransformer(nn.Module):
    """Warp square images of one size by an affine map that it learns to choose for each."""

    base_grid_3P: Tensor

    def __init__(self, image_size: int) -> None:
        super().__init__()
        self.image_size = image_size
        self.localisation = nn.Sequential(
            nn.Conv2d(3, 8, 7),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Conv2d(8, 10, 5),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(NUM_POOLED),
            nn.Flatten(),
            nn.Linear(10 * NUM_POOLED**2, 32),
            nn.ReLU(),
        )
        self.theta = nn.Linear(32, 6)
        with torch.no_grad():
            self.theta.weight.zero_()
            self.theta.bias.copy_(torch.tensor([1.0, 0.0, 0.0, 0.0, 1.0, 0.0]))
        # Not in the weights file: it follows from the image size alone.
        self.register_buffer("base_grid_3P", _base_grid(image_size), persistent=False)

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """Give the warped images, in the layout channels-last and the type of the given ones."""
        assert images_NCHW.shape[2:] == (self.image_size, self.image_size), images_NCHW.shape
        features_NF = self.localisation(images_NCHW)
        kind = images_NCHW.device.type
        if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind):
            # bfloat16 has 8 bits: near the edge of 512 pixels a point would move by half of one. Float32 from theta on.
            with torch.autocast(kind, enabled=False):
                return self._sample(images_NCHW, features_NF)
        return self._sample(images_NCHW, features_NF)

    def _sample(self, images_NCHW: Tensor, features_NF: Tensor) -> Tensor:
        theta_N6 = F.linear(features_NF.float(), self.theta.weight.float(), self.theta.bias.float())
        # One matrix product; x and y stay apart in memory, which is how grid_sample reads fastest (docs/networks.md).
        grid_N2P = theta_N6.view(-1, 2, 3) @ self.base_grid_3P.float()
        grid_NHW2 = grid_N2P.view(-1, 2, self.image_size, self.image_size).permute(0, 2, 3, 1)
        warped_NCHW = F.grid_sample(
            images_NCHW.float(), grid_NHW2, mode="bilinear", padding_mode="zeros", align_corners=False
        )
        return warped_NCHW.to(images_NCHW.dtype).contiguous(memory_format=torch.channels_last)


class WithSTN(nn.Module):
    """A network that sees its images through a spatial transformer."""

    def __init__(self, stn: SpatialTransformer, network: nn.Module) -> None:
        super().__init__()
        self.stn = stn
        self.network = network

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """Give the network's logits for the warped images."""
        logits_NK: Tensor = self.network(self.stn(images_NCHW))
        return logits_NK

    def transform(self, images_NCHW: Tensor) -> Tensor:
        """Give the images as the network behind sees them."""
        warped_NCHW: Tensor = self.stn(images_NCHW)
        return warped_NCHW


def _base_grid(image_size: int) -> Tensor:
    """The pixels' centres as rows x, y, 1, in coordinates from -1 to 1 over the outer edges."""
    centres_S = (torch.arange(image_size) * 2 + 1) / image_size - 1
    y_HW, x_HW = torch.meshgrid(centres_S, centres_S, indexing="ij")
    return torch.stack([x_HW, y_HW, torch.ones_like(x_HW)]).view(3, -1)
