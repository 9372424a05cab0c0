"""Names, wildcards and near misses; seeded, paired weights; networks from the user's file; networks on paper."""

import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from roadtest.networks import (
    NETWORKS,
    build_network,
    build_on_meta,
    default_stn,
    describe_network,
    parse_label,
    resolve_networks,
)
from roadtest.networks.shapes import evaluation_mode, output_shape

OWN = """
from torch import nn

def build(num_classes, image_size):
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * image_size * image_size, num_classes))
"""


def own_file(folder: Path, text: str = OWN, name: str = "net.py") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def build_lenet(has_stn: bool = False, seed: int = 0, image_size: int = 32) -> nn.Module:
    return build_network("lenet5", num_classes=43, image_size=image_size, has_stn=has_stn, seed=seed)


# ------------------------------------------------------------------------------------------------------------- names


def test_names_lists_and_wildcards_are_put_in_the_order_given_each_once() -> None:
    words = ["vgg16, lenet5", "resnet34*", "lenet5+stn", "vgg16"]
    expected = ["vgg16", "lenet5", "resnet34", "resnet34-s1", "resnet34-imagenet", "lenet5+stn"]
    assert resolve_networks(words) == expected


def test_a_wildcard_carries_the_stn_to_all_it_finds() -> None:
    assert resolve_networks(["resnet34-*+stn"]) == ["resnet34-s1+stn", "resnet34-imagenet+stn"]


def test_wildcards_reach_into_timm() -> None:
    found = resolve_networks(["timm:mobilenetv3_small_*"])
    assert "timm:mobilenetv3_small_100" in found
    assert all(name.startswith("timm:mobilenetv3_small_") for name in found)


@pytest.mark.parametrize(("word", "meant"), [("resnet-34", "resnet34"), ("VGG16", "vgg16"), ("lenet", "lenet5")])
def test_a_near_miss_is_answered_with_the_name_that_was_meant(word: str, meant: str) -> None:
    with pytest.raises(ValueError, match=rf"'{word}' is not known: choose from lenet5, .*did you mean {meant}\b"):
        resolve_networks([word])


def test_an_unknown_name_of_timm_is_answered_with_the_nearest_three() -> None:
    with pytest.raises(ValueError, match="of timm") as caught:
        resolve_networks(["timm:resnt18"])
    nearest = str(caught.value).partition("such as ")[2].split(", ")
    assert len(nearest) == 3 and nearest[0] == "timm:resnet18"


def test_an_unknown_name_of_torchvision_is_answered_too() -> None:
    with pytest.raises(ValueError, match=r"such as torchvision:resnet18$"):
        resolve_networks(["torchvision:resnet-18"])


@pytest.mark.parametrize("words", [[], [""], [" , "]])
def test_no_network_at_all_is_the_users_mistake(words: list[str]) -> None:
    with pytest.raises(ValueError, match="no network is named: choose from lenet5"):
        resolve_networks(words)


def test_a_wildcard_that_finds_nothing_is_the_users_mistake() -> None:
    with pytest.raises(ValueError, match=r"no network matches 'dense\*'"):
        resolve_networks(["dense*"])


def test_a_wildcard_that_finds_nothing_in_a_library_is_answered_with_near_names() -> None:
    with pytest.raises(ValueError, match=r"'torchvision:resnt18.': .* such as torchvision:resnet18,"):
        resolve_networks(["torchvision:resnt18*"])


def test_a_label_is_a_name_and_perhaps_a_switch() -> None:
    assert parse_label("lenet5+stn") == ("lenet5", True)
    assert parse_label("lenet5") == ("lenet5", None)
    assert parse_label("timm:resnet18+stn") == ("timm:resnet18", True)


@given(st.lists(st.sampled_from([*NETWORKS, *(f"{name}+stn" for name in NETWORKS)]), min_size=1, max_size=8))
@settings(max_examples=30, deadline=None)
def test_known_labels_stand_for_themselves_however_they_are_written(labels: list[str]) -> None:
    expected = list(dict.fromkeys(labels))
    assert resolve_networks(labels) == resolve_networks([",".join(labels)]) == expected


@given(st.text(alphabet="abenrstvglt0123456789-_.:/+", min_size=1, max_size=12))
@settings(max_examples=60, deadline=None)
def test_any_other_word_is_one_line_of_advice(word: str) -> None:
    name = parse_label(word)[0]
    if name in NETWORKS or name.startswith(("timm:", "torchvision:")):
        return
    with pytest.raises(ValueError) as caught:
        resolve_networks([word])
    assert "\n" not in str(caught.value)


def test_only_the_three_networks_of_the_comparison_are_trained_both_ways() -> None:
    assert [name for name in [*NETWORKS, "timm:resnet18"] if default_stn(name) == "both"] == [
        "lenet5",
        "vgg16",
        "resnet34",
    ]


def test_every_network_can_be_described_in_one_line() -> None:
    lines = [describe_network(name) for name in [*NETWORKS, "timm:resnet18", "a/net.py:build"]]
    assert all(line and "\n" not in line for line in lines)
    assert len(set(lines)) == len(lines)


def test_names_are_resolved_without_importing_torch() -> None:
    code = (
        "import sys; from roadtest.networks import resolve_networks as r; r(['lenet5,resnet*']);"
        "sys.exit(any(name in sys.modules for name in ('torch', 'torchvision', 'timm', 'numpy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ----------------------------------------------------------------------------------------------------------- weights


def test_a_seed_gives_one_set_of_weights_whatever_was_drawn_before() -> None:
    first = build_lenet(seed=5).state_dict()
    torch.rand(17)
    second, other = build_lenet(seed=5).state_dict(), build_lenet(seed=6).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["layers.0.weight"], other["layers.0.weight"])


def test_with_and_without_stn_the_network_starts_from_the_same_weights() -> None:
    bare, wrapped = build_lenet(seed=1).state_dict(), build_lenet(has_stn=True, seed=1).state_dict()
    assert all(torch.equal(bare[name], wrapped[f"network.{name}"]) for name in bare)


def test_the_stns_own_weights_follow_the_seed() -> None:
    name = "stn.localisation.0.weight"
    weights = [build_lenet(has_stn=True, seed=seed).state_dict()[name] for seed in (0, 0, 1)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


def test_building_leaves_every_global_generator_alone() -> None:
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()  # type: ignore[index]
    build_lenet(has_stn=True, seed=3)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert np.array_equal(np.random.get_state()[1], before[2])  # type: ignore[index]


def test_a_network_comes_channels_last_and_ready_to_train() -> None:
    network = build_lenet(has_stn=True)
    assert all(part.training for part in network.modules())
    weight = network.state_dict()["network.layers.3.weight"]
    assert weight.is_contiguous(memory_format=torch.channels_last) and not weight.is_contiguous()


def test_with_an_stn_the_first_logits_are_those_without() -> None:
    images_NCHW = torch.rand(4, 3, 32, 32)
    bare, wrapped = build_lenet().eval(), build_lenet(has_stn=True).eval()
    torch.testing.assert_close(wrapped(images_NCHW), bare(images_NCHW), rtol=0, atol=1e-4)


@pytest.mark.parametrize("has_stn", [False, True])
def test_images_that_are_too_small_are_refused_with_a_size_that_is_not(has_stn: bool) -> None:
    label = r"lenet5\+stn" if has_stn else "lenet5"
    with pytest.raises(ValueError, match=rf"'{label}' cannot classify 16 x 16 images .*use --image-size 32$"):
        build_lenet(has_stn, image_size=16)


@pytest.mark.slow
def test_on_paper_too_small_images_are_refused_as_well() -> None:
    with pytest.raises(ValueError, match=r"'vgg16' cannot classify 16 x 16 images .*use --image-size 32$"):
        build_on_meta("vgg16", num_classes=43, image_size=16, has_stn=False)


# ------------------------------------------------------------------------------------------------- the user's own file


def test_a_network_from_the_users_file_is_built_with_its_seed(tmp_path: Path) -> None:
    name = f"{own_file(tmp_path)}:build"
    assert resolve_networks([f"{name}+stn"]) == [f"{name}+stn"]
    first, second = (build_network(name, num_classes=4, image_size=16, has_stn=False, seed=2) for _ in range(2))
    assert output_shape(first, 16) == (2, 4)
    assert torch.equal(first.state_dict()["1.weight"], second.state_dict()["1.weight"])


def test_a_path_is_read_from_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nets").mkdir()
    own_file(tmp_path / "nets")
    monkeypatch.chdir(tmp_path)
    network = build_network("nets/net.py:build", num_classes=4, image_size=20, has_stn=True, seed=0)
    assert output_shape(network, 20) == (2, 4)


def test_two_files_of_one_name_do_not_meet(tmp_path: Path) -> None:
    for folder, width in (("a", 3), ("b", 5)):
        (tmp_path / folder).mkdir()
        own_file(tmp_path / folder, OWN.replace("num_classes)", f"{width}), nn.Linear({width}, num_classes)"))
    names = [f"{tmp_path / folder / 'net.py'}:build" for folder in "ab"]
    built = [build_network(name, num_classes=4, image_size=16, has_stn=False, seed=0) for name in names]
    assert [network.state_dict()["1.weight"].shape[0] for network in built] == [3, 5]


def test_the_users_file_may_define_dataclasses(tmp_path: Path) -> None:
    text = "import dataclasses\n@dataclasses.dataclass\nclass Size:\n    width: 'int' = 3\n" + OWN
    build_network(f"{own_file(tmp_path, text)}:build", num_classes=4, image_size=16, has_stn=False, seed=0)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import no_such_module_anywhere", "ModuleNotFoundError: No module named 'no_such_module_anywhere'"),
        ("def build(:", "SyntaxError"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("x = 1", "has no function 'build'"),
        ("build = 3", "has no function 'build'"),
        ("def build(): pass", "TypeError"),
        ("def build(num_classes, image_size): raise KeyError('width')", "KeyError: 'width'"),
        ("def build(num_classes, image_size): return 3", "returned int: it must return a torch.nn.Module"),
    ],
)
def test_whatever_fails_in_the_users_file_is_one_line_with_file_and_reason(
    tmp_path: Path, text: str, reason: str
) -> None:
    path = own_file(tmp_path, text)
    with pytest.raises(ValueError) as caught:
        build_network(f"{path}:build", num_classes=4, image_size=16, has_stn=False, seed=0)
    assert str(path) in str(caught.value) and reason in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_file_and_a_missing_function_name_are_found_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no file"):
        resolve_networks([f"{tmp_path / 'absent.py'}:build"])
    with pytest.raises(ValueError, match="names no function"):
        resolve_networks([str(own_file(tmp_path, "raise SystemExit"))])


def test_a_network_that_gives_the_wrong_number_of_logits_is_refused(tmp_path: Path) -> None:
    path = own_file(tmp_path, OWN.replace("num_classes)", "10)"))
    with pytest.raises(ValueError, match=r"it gives \(2, 10\) for 2 images and 4 classes.*mend it if it is yours"):
        build_network(f"{path}:build", num_classes=4, image_size=16, has_stn=False, seed=0)


def test_a_network_that_gives_something_else_than_logits_is_refused(tmp_path: Path) -> None:
    text = "from torch import nn\nclass Net(nn.Module):\n    def forward(self, x):\n        return {'out': x}\n"
    path = own_file(tmp_path, text + "def build(num_classes, image_size): return Net()\n")
    with pytest.raises(ValueError, match="it gives dict instead of one tensor of logits"):
        build_network(f"{path}:build", num_classes=4, image_size=16, has_stn=False, seed=0)


# ---------------------------------------------------------------------------------------------------------- on paper


class Deciding(nn.Module):
    """Looks at values before it decides, which no network on paper can."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 5)

    def forward(self, images_NCHW: Tensor) -> Tensor:
        means_NC = images_NCHW.mean((2, 3))
        logits_NK: Tensor = self.layer(means_NC * 2 if means_NC.sum().item() > 0 else means_NC)
        return logits_NK


def test_a_network_that_looks_at_values_is_run_for_real() -> None:
    assert output_shape(Deciding(), 8) == (2, 5)


def test_a_network_that_looks_at_values_while_it_is_built_is_built_for_real(tmp_path: Path) -> None:
    text = OWN.replace("    return", "    import torch\n    assert torch.linspace(0, 1, 3)[2].item() == 1\n    return")
    name = f"{own_file(tmp_path, text)}:build"
    network = build_on_meta(name, num_classes=4, image_size=20, has_stn=True)
    assert output_shape(network, 20) == (2, 4)


def test_on_paper_a_network_has_shapes_and_no_contents() -> None:
    network = build_on_meta("lenet5", num_classes=43, image_size=32, has_stn=True)
    assert all(parameter.is_meta for parameter in network.parameters())


def test_looking_at_shapes_changes_nothing_in_the_network() -> None:
    network = build_lenet()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    output_shape(network, 32)
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_evaluation_mode_puts_each_part_back_as_it_was() -> None:
    network = nn.Sequential(nn.Dropout(), nn.Sequential(nn.Dropout(), nn.Dropout()))
    network[1][0].eval()
    before = [part.training for part in network.modules()]
    with evaluation_mode(network):
        assert not any(part.training for part in network.modules())
    assert [part.training for part in network.modules()] == before
