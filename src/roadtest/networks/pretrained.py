"""Pretrained weights: timm's, as safetensors and nothing else, from the cache of its hub.

`timm:resnet18+pretrained` is a network of its own beside `timm:resnet18`, as `+stn` is. The hub's cache is searched
first, so that nothing needs a connection twice; the process that plans the study fetches, before anything is trained.
The hub's environment variables hold (HF_HOME, HF_HUB_CACHE, HF_HUB_OFFLINE). Weights that are not published as
safetensors are refused: other formats are pickles, and a pickle is a program.

Such a network expects images minus the mean and over the deviation of the set it was trained on. Its runs are given
images in `fixed` normalisation, whatever the protocol says of others, and the network itself takes the step from there
to its own constants (`OwnConstants`): whoever holds the network needs to know nothing.
"""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from roadtest.networks import zoo
from roadtest.networks.registry import ModelName, parse_network
from roadtest.networks.user_file import first_line

if TYPE_CHECKING:
    from collections.abc import Sequence

NORMALISATION = "fixed"
"""What runs of pretrained networks are given: minus FIXED_MEAN, over FIXED_DEVIATION, which can be undone."""
FIXED_MEAN, FIXED_DEVIATION = 0.5, 0.25
SUFFIX = ".safetensors"


class OwnConstants(nn.Module):
    """A network that expects its own mean and deviation, behind images in `fixed` normalisation."""

    scale_C11: Tensor
    offset_C11: Tensor

    def __init__(self, network: nn.Module, mean_C: "Sequence[float]", deviation_C: "Sequence[float]") -> None:
        super().__init__()
        self.network = network
        mean_C11, deviation_C11 = (torch.tensor(values).view(3, 1, 1) for values in (mean_C, deviation_C))
        # In the weights file: another version of timm may know other constants.
        self.register_buffer("scale_C11", FIXED_DEVIATION / deviation_C11)
        self.register_buffer("offset_C11", (FIXED_MEAN - mean_C11) / deviation_C11)

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """Give the network's logits."""
        own_NCHW = images_NCHW * self.scale_C11 + self.offset_C11
        logits_NK: Tensor = self.network(own_NCHW.contiguous(memory_format=torch.channels_last))
        return logits_NK


def why_no_weights(model: ModelName) -> str | None:
    """Why timm's network has no pretrained weights that may be used, as one line; None where it has."""
    published = zoo.published_by_timm(model.inner)
    if published is None:
        return f"{model.name} has no pretrained weights: timm publishes none under this name; leave +pretrained out"
    if not published.filename.endswith(SUFFIX):
        return (
            f"{model.name} has no pretrained weights that roadtest reads: {published.filename} may hold a program "
            "(a pickle), and only safetensors are opened; leave +pretrained out"
        )
    return None


def find_weights(network: str, *, is_fetching: bool = False) -> Path:
    """The file with a network's pretrained weights, in the hub's cache; a ValueError in one line where it is not there.

    With `is_fetching` it is fetched where it is missing, unless the hub's variables forbid it.
    """
    from huggingface_hub import hf_hub_download

    model = parse_network(network)
    if (reason := why_no_weights(model)) is not None:
        raise ValueError(reason)
    published = zoo.published_by_timm(model.inner)
    assert published is not None
    repository, _, revision = published.hub_id.partition("@")
    for is_local in (True, False) if is_fetching else (True,):
        try:
            return Path(
                hf_hub_download(repository, published.filename, revision=revision or None, local_files_only=is_local)
            )
        except Exception as error:  # whatever a connection, a hub or a disk may raise
            reason = first_line(error)
    raise ValueError(
        f"the pretrained weights of {model.name} ({repository}, {published.filename}) are not in the cache and could "
        f"not be fetched ({reason}): connect once, or leave +pretrained and --pretrained out"
    )


def read_weights(network: str) -> dict[str, Tensor]:
    """A network's pretrained weights from the hub's cache; a ValueError in one line where they cannot be read."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = find_weights(network)
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise ValueError(
            f"{path} holds no safetensors ({first_line(error)}): delete it, and it is fetched again"
        ) from None


def name_weights(network: str) -> str:
    """Which weights a network starts from, for a record: where they are published, and the file's fingerprint."""
    path = find_weights(network)
    published = zoo.published_by_timm(parse_network(network).inner)
    assert published is not None
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return f"{published.hub_id} {path.name} sha256:{digest[:16]}"
