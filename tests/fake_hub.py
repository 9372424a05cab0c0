"""A hub's cache on disk with the weights of a network that nobody trained: what timm would have fetched."""

from pathlib import Path

import timm
import torch
from safetensors.torch import save_file

NAME = "mobilenetv3_small_050"
NETWORK = f"timm:{NAME}"
REPOSITORY = "timm/mobilenetv3_small_050.lamb_in1k"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def fill_cache(cache_dir: Path, *, has_weights: bool = True) -> Path:
    """Lay a cache out as the hub's client does; give the file with the weights, or where it would be."""
    repository = cache_dir / f"models--{REPOSITORY.replace('/', '--')}"
    path = repository / "snapshots" / COMMIT / "model.safetensors"
    path.parent.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    if has_weights:
        save_file(published_weights(), path)
    return path


def published_weights() -> dict[str, torch.Tensor]:
    """A thousand classes, as published; drawn from a seed that no run has."""
    with torch.random.fork_rng():
        torch.manual_seed(987_654)
        network = timm.create_model(NAME, pretrained=False)
    return {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
