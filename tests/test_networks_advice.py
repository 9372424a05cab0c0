"""A look at networks before they are trained: what it finds is a sentence, and so is what it cannot look at."""

import pytest

from roadtest.networks import build
from roadtest.networks.advice import remark_on_networks
from roadtest.records import PlannedRun


def runs(*names: str) -> list[PlannedRun]:
    return [PlannedRun(network=name, has_stn=False, seed=seed) for seed in (0, 1) for name in names]


def test_a_network_whose_maps_are_maps_is_not_remarked_upon() -> None:
    assert remark_on_networks(runs("lenet5"), num_classes=3, image_size=32) == []


@pytest.mark.slow
def test_a_network_that_cannot_be_looked_at_is_a_remark_and_the_others_are_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    honest = build.build_on_meta

    def build_on_meta(name: str, **options: object) -> object:
        if name == "resnet34":
            raise RuntimeError("no kernel\nfor this")
        return honest(name, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(build, "build_on_meta", build_on_meta)
    (first, second) = remark_on_networks(runs("resnet34", "resnet34-imagenet"), num_classes=3, image_size=32)
    assert first == "resnet34: its maps could not be looked at before training: no kernel for this"
    assert second.startswith("resnet34-imagenet: at 32 x 32 its maps shrink to ")


def test_a_network_of_ones_own_is_not_run_here() -> None:
    assert remark_on_networks(runs("nowhere.py:build"), num_classes=3, image_size=32) == []
