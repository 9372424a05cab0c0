"""Pretrained weights come from the hub's cache as safetensors alone, and bring their own normalisation."""

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import constants

import fake_hub
from fake_hub import NETWORK
from roadtest.networks import build_network, describe_network, resolve_networks, zoo
from roadtest.networks.pretrained import NORMALISATION, OwnConstants, find_weights, name_weights, read_weights
from roadtest.training.augment import prepare_batch

PRETRAINED = f"{NETWORK}+pretrained"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub's cache with the weights, and no connection."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


def build(name: str = PRETRAINED, *, seed: int = 0, starts_pretrained: bool = True, has_stn: bool = False) -> Any:
    return build_network(
        name, num_classes=5, image_size=32, has_stn=has_stn, seed=seed, starts_pretrained=starts_pretrained
    )


@pytest.mark.slow
def test_it_starts_from_the_published_weights_all_but_its_classifier(hub: Path) -> None:
    fake_hub.fill_cache(hub)
    published, network = fake_hub.published_weights(), build()
    started = network.network.state_dict()
    assert set(started) == set(published)
    assert [name for name in published if not torch.equal(started[name], published[name])] == [
        "classifier.weight",
        "classifier.bias",
    ]
    assert started["classifier.weight"].shape[0] == 5


@pytest.mark.slow
def test_seeds_share_the_weights_and_differ_in_the_classifier(hub: Path) -> None:
    fake_hub.fill_cache(hub)
    first, second = build(seed=0).state_dict(), build(seed=1).state_dict()
    differing = [name for name in first if not torch.equal(first[name], second[name])]
    assert differing == ["network.classifier.weight"]  # timm starts its bias at zero


@pytest.mark.slow
def test_weights_that_are_read_next_are_not_looked_for(hub: Path) -> None:
    network = build(starts_pretrained=False)
    assert isinstance(network, OwnConstants)


def test_the_network_takes_fixed_normalisation_to_the_weights_own_constants() -> None:
    mean, deviation = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    seen: list[torch.Tensor] = []

    class Looking(torch.nn.Module):
        def forward(self, images_NCHW: torch.Tensor) -> torch.Tensor:
            seen.append(images_NCHW)
            return images_NCHW

    images_NHWC = torch.randint(0, 256, (2, 32, 32, 3), dtype=torch.uint8)
    OwnConstants(Looking(), mean, deviation)(prepare_batch(images_NHWC, normalisation=NORMALISATION))
    wanted = (images_NHWC.permute(0, 3, 1, 2) / 255 - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(deviation).view(
        3, 1, 1
    )
    torch.testing.assert_close(seen[0], wanted, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_the_constants_travel_with_the_weights(hub: Path) -> None:
    state = build(starts_pretrained=False).state_dict()
    assert {"scale_C11", "offset_C11"} < set(state)


@pytest.mark.slow
def test_with_an_stn_in_front_the_rest_is_the_same(hub: Path) -> None:
    fake_hub.fill_cache(hub)
    bare, behind = build().state_dict(), build(has_stn=True).state_dict()
    assert all(torch.equal(bare[name], behind[f"network.{name}"]) for name in bare)


@pytest.mark.slow
def test_a_new_stem_leaves_the_other_weights(hub: Path) -> None:
    fake_hub.fill_cache(hub)
    own, small = build().state_dict(), build(f"{NETWORK}@small-s1+pretrained").state_dict()
    assert [name for name in own if not torch.equal(own[name], small[name])] == []  # 3 x 3 already: its stride changes


def test_a_record_can_say_which_weights_they_were(hub: Path) -> None:
    fake_hub.fill_cache(hub)
    assert name_weights(PRETRAINED).startswith(f"{fake_hub.REPOSITORY} model.safetensors sha256:")


@pytest.mark.parametrize("is_fetching", [False, True])
def test_without_connection_and_cache_one_line_says_so(hub: Path, is_fetching: bool) -> None:
    with pytest.raises(ValueError, match=r"weights of timm:mobilenetv3_small_050 .* are not in the cache") as error:
        find_weights(PRETRAINED, is_fetching=is_fetching)
    assert "\n" not in str(error.value) and "--pretrained" in str(error.value)


def test_the_cache_is_asked_before_the_connection(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = fake_hub.fill_cache(hub)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    assert find_weights(PRETRAINED, is_fetching=True) == path


def test_a_pickle_under_a_safe_name_is_not_opened(hub: Path, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "exploded",)

    path = fake_hub.fill_cache(hub, has_weights=False)
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ValueError, match="holds no safetensors"):
        read_weights(PRETRAINED)
    assert not (tmp_path / "exploded").exists()


def test_weights_of_another_kind_are_refused_before_anything_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    published = zoo.published_by_timm(fake_hub.NAME)
    assert published is not None
    monkeypatch.setattr(zoo, "published_by_timm", lambda name: replace(published, filename="pytorch_model.bin"))
    with pytest.raises(ValueError, match="only safetensors are opened"):
        resolve_networks([PRETRAINED])


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("lenet5+pretrained", "lenet5 has no pretrained weights here: they come through timm"),
        ("torchvision:resnet18+pretrained", "take timm:resnet18"),
        ("timm:resnet18.no_such_tag+pretrained", "timm publishes none under this name"),
    ],
)
def test_who_has_no_pretrained_weights_says_so(word: str, words: str) -> None:
    with pytest.raises(ValueError) as error:
        resolve_networks([word])
    assert words in str(error.value) and "\n" not in str(error.value)


def test_the_suffixes_may_come_in_any_order_and_are_written_in_one() -> None:
    wanted = [f"{NETWORK}@small-s1+pretrained+stn"]
    assert resolve_networks([f"{NETWORK}@small-s1+stn+pretrained"]) == resolve_networks(wanted) == wanted


def test_a_wildcard_keeps_those_that_have_weights() -> None:
    found = resolve_networks(["timm:mobilenetv3_small_*+pretrained"])
    assert PRETRAINED in found and all(name.endswith("+pretrained") for name in found)


def test_it_is_described_as_pretrained() -> None:
    assert describe_network(PRETRAINED) == "from timm, starting from pretrained weights"
