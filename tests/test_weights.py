"""Weights are read only where every tensor is the network's, and nothing larger than the network is ever read."""

import json
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from roadtest.weights import check_weights, read_weights


def small() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file that is right."""
    save_file(small().state_dict(), tmp_path / "weights.safetensors")
    return tmp_path / "weights.safetensors"


def refusal(path: Path) -> str:
    with pytest.raises(ValueError) as error:
        read_weights(path, small(), "small")
    assert "\n" not in str(error.value)
    return str(error.value)


def change(path: Path, **changes: torch.Tensor | None) -> None:
    """Write other tensors; None takes one away. A dot stands as two underscores."""
    tensors = {**small().state_dict(), **{name.replace("__", "."): tensor for name, tensor in changes.items()}}
    save_file({name: tensor for name, tensor in tensors.items() if tensor is not None}, path)


def test_every_tensor_arrives(path: Path) -> None:
    change(path, **{"0__weight": torch.full((2, 3, 3, 3), 7.0)})
    network = small()
    read_weights(path, network, "small")
    assert (network.state_dict()["0.weight"] == 7).all()


@pytest.mark.parametrize(
    ("name", "tensor", "words"),
    [
        ("0__weight", None, "'0.weight' is missing"),
        ("2__weight", torch.zeros(1), "'2.weight' is not in the network"),
        ("0__weight", torch.zeros(2, 3, 3, 1), r"is (2, 3, 3, 1), and (2, 3, 3, 3) in the network"),
        ("0__weight", torch.zeros(2, 3, 3, 3, dtype=torch.float64), "is F64, and F32 in the network"),
        ("0__weight", torch.full((2, 3, 3, 3), torch.nan), "'0.weight' holds values that are no numbers"),
        ("1__running_var", torch.full((2,), torch.inf), "'1.running_var' holds values that are no numbers"),
    ],
)
def test_another_tensor_is_named(path: Path, name: str, tensor: torch.Tensor | None, words: str) -> None:
    change(path, **{name: tensor})
    assert words in refusal(path)


def test_a_file_larger_than_the_network_is_not_read(path: Path) -> None:
    os.truncate(path, 10 << 30)  # a hole: it takes no room
    assert "it has 10,737,418,240 bytes, at most" in refusal(path)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "weights.safetensors").mkdir()
    assert "it is no file" in refusal(tmp_path / "weights.safetensors")
    assert "keeps no weights" in refusal(tmp_path / "nowhere" / "weights.safetensors")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80\x04.",
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 4) + b"null",
        struct.pack("<Q", 2) + b"{}",
    ],
)
def test_a_damaged_header_is_refused(content: bytes, path: Path) -> None:
    path.write_bytes(content)
    assert "does not hold this network's weights, small (" in refusal(path)


def test_a_header_that_lies_about_places_is_refused(path: Path) -> None:
    header: dict[str, Any] = {"0.weight": {"dtype": "F32", "shape": [2, 3, 3, 3], "data_offsets": [0, 10**12]}}
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(216))
    assert "does not hold this network's weights" in refusal(path)


@pytest.mark.slow
@given(data=st.data())
def test_any_damage_is_one_line_or_no_damage(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("weights")
    save_file(small().state_dict(), folder / "weights.safetensors")
    content = bytearray((folder / "weights.safetensors").read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (folder / "weights.safetensors").write_bytes(content[: data.draw(st.integers(0, len(content)))])
    network = small()
    try:
        read_weights(folder / "weights.safetensors", network, "small")
    except ValueError as error:
        assert "\n" not in str(error)
    assert all(np.isfinite(tensor.numpy()).all() for tensor in network.state_dict().values())


def test_shells_without_contents_are_enough_to_compare_with(path: Path) -> None:
    with torch.device("meta"):
        paper = small()
    check_weights(path, paper.state_dict(), "small")
    with torch.device("meta"), pytest.raises(ValueError, match="in the network"):
        check_weights(path, nn.Sequential(nn.Conv2d(3, 2, 5), nn.BatchNorm2d(2)).state_dict(), "small")
