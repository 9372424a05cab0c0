"""Which networks run: stems, starts and the STN, by switch and by name; objects instead of names are refused."""

from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants
from torch import nn

import fake_hub
from roadtest.events import Event
from roadtest.record import PlannedRun
from roadtest.study import build_options
from roadtest.study.options import FOLDER_NETWORKS, Options
from roadtest.study.variants import choose_variants, fetch_weights

TIMM = fake_hub.NETWORK


def chosen(*networks: str, source: str = "pictures", **options: Any) -> list[str]:
    variants = choose_variants(source, Options(networks=networks or None, **options), lambda event: None)
    return [network + "+stn" * has_stn for network, has_stn in variants]


def test_images_of_ones_own_are_compared_by_networks_in_use_and_signs_by_the_classic_ones() -> None:
    assert chosen(stn="off") == list(FOLDER_NETWORKS)
    assert chosen(source="gtsrb", stn="off") == chosen(source="signs", stn="off") == ["lenet5", "vgg16", "resnet34"]
    assert chosen()[:2] == ["lenet5", "lenet5+stn"]


def test_a_switch_speaks_for_names_that_say_nothing() -> None:
    words = (f"{TIMM},{TIMM}@small-s1", f"{TIMM}@imagenet")
    assert chosen(*words, stem="small") == [f"{TIMM}@small", f"{TIMM}@small-s1", TIMM]
    assert chosen(*words) == [TIMM, f"{TIMM}@small-s1"]
    assert chosen("lenet5", TIMM, stn="off", stem="small") == ["lenet5", f"{TIMM}@small"]
    assert chosen(TIMM, stem="imagenet") == [TIMM]


def test_a_stem_for_nobody_is_refused() -> None:
    with pytest.raises(ValueError, match="--stem small goes with networks of timm and torchvision, and none is named"):
        chosen("lenet5", "resnet34", stem="small")


def test_pretraining_is_a_factor_like_the_stn() -> None:
    assert chosen(TIMM, pretrained="both") == [TIMM, f"{TIMM}+pretrained"]
    assert chosen(TIMM, pretrained="on", stn="both") == [f"{TIMM}+pretrained", f"{TIMM}+pretrained+stn"]
    assert chosen(f"{TIMM}+pretrained", TIMM) == [f"{TIMM}+pretrained", TIMM]
    assert chosen(TIMM, pretrained="both", stem="small-s1") == [f"{TIMM}@small-s1", f"{TIMM}@small-s1+pretrained"]


def test_who_cannot_start_pretrained_starts_from_nothing_and_is_named() -> None:
    told: list[Event] = []
    variants = choose_variants("x", Options(networks=("torchvision:resnet18", TIMM), pretrained="on"), told.append)
    assert [network for network, _ in variants] == ["torchvision:resnet18", f"{TIMM}+pretrained"]
    assert [event.text for event in told] == ["no pretrained weights, so from nothing: torchvision:resnet18"]


def test_where_nobody_can_start_pretrained_it_is_a_mistake() -> None:
    with pytest.raises(ValueError, match=r"--pretrained both was given: lenet5 has no pretrained weights here"):
        chosen("lenet5", pretrained="both")


def test_weights_that_cannot_be_had_are_told_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    run = PlannedRun(network=f"{TIMM}+pretrained", has_stn=False, seed=0)
    with pytest.raises(ValueError, match="are not in the cache"):
        fetch_weights([run], tmp_path, lambda event: None, is_fresh=False)
    (tmp_path / run.folder).mkdir(parents=True)
    (tmp_path / run.folder / "record.json").touch()
    fetch_weights([run], tmp_path, lambda event: None, is_fresh=False)  # it is done: nothing is needed
    with pytest.raises(ValueError, match="are not in the cache"):
        fetch_weights([run], tmp_path, lambda event: None, is_fresh=True)


def test_names_may_come_in_any_collection() -> None:
    for names in ("lenet5", ["lenet5"], {"lenet5": 1}.keys(), (name for name in ["lenet5"])):
        assert build_options({"networks": names}).networks == ("lenet5",)


def build(num_classes: int, image_size: int) -> nn.Module:
    return nn.Linear(1, num_classes)


class MyNet(nn.Module):
    pass


MyNet.__module__ = "__main__"


@pytest.mark.parametrize("networks", [build, [build], ["lenet5", build]])
def test_a_function_of_a_file_is_answered_with_its_name_there(networks: Any) -> None:
    with pytest.raises(ValueError, match=r"is an object of this session: .*name it '.*test_study_variants.py:build'"):
        build_options({"networks": networks})


@pytest.mark.parametrize(
    ("network", "word"),
    [(MyNet, "MyNet"), (MyNet(), "build"), (nn.Sequential(nn.ReLU()), "build"), (lambda: 0, "build")],
)
def test_a_network_of_a_notebook_is_answered_with_the_line_that_puts_it_into_a_file(network: Any, word: str) -> None:
    if word == "build" and callable(network) and not isinstance(network, nn.Module):
        network.__module__ = "__main__"
    with pytest.raises(ValueError, match=rf"put %%writefile my_net.py into .* name it 'my_net.py:{word}'") as error:
        build_options({"networks": [network]})
    assert "\n" not in str(error.value)
