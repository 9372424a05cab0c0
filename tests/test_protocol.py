"""The protocol: what is equal is in its fingerprint, and what cannot be is refused."""

import json
from dataclasses import asdict, fields, replace
from typing import Any

import pytest

from roadtest.protocol import FOLDER_V1, GTSRB_V1, PRESETS, PROTOCOLS, SIGNS_V1, Augmentation, Protocol

OTHER: dict[str, Any] = {
    "name": "other",
    "normalisation": "fixed",
    "class_weights": "balanced",
    "learning_rates": (("lenet5", 0.011),),
    "sweep_rates": (0.3,),
    "decay_fraction": 0.31,
    "budget_seconds": 61.0,
    "augmentation": Augmentation(rotation_degrees=11.0),
}


@pytest.mark.parametrize("name", [f.name for f in fields(Protocol)])
def test_every_field_changes_the_fingerprint_and_is_named_as_the_difference(name: str) -> None:
    value = OTHER.get(name)
    if value is None:
        value = getattr(GTSRB_V1, name) * 2 or 0.5
        value = min(value, 0.9) if name == "label_smoothing" else value
    changed = replace(GTSRB_V1, **{name: value})
    assert changed.fingerprint != GTSRB_V1.fingerprint
    difference = GTSRB_V1.first_difference(changed)
    assert difference is not None
    assert difference.startswith(f"{name} is ")


@pytest.mark.parametrize("name", [f.name for f in fields(Augmentation)])
def test_every_number_of_the_augmentation_changes_the_fingerprint(name: str) -> None:
    augmentation = replace(GTSRB_V1.augmentation, **{name: 0.77})
    assert replace(GTSRB_V1, augmentation=augmentation).fingerprint != GTSRB_V1.fingerprint


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
def test_a_protocol_comes_back_from_json_with_its_fingerprint(protocol: Protocol) -> None:
    again = Protocol.from_dict(json.loads(json.dumps(protocol.to_dict())))
    assert again == protocol
    assert again.fingerprint == protocol.fingerprint
    assert again.first_difference(protocol) is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda plain: plain.pop("augmentation"),
        lambda plain: plain.update(augmentation=3),
        lambda plain: plain.update(flip_probability=0.5),
        lambda plain: plain.update(image_size="32"),
        lambda plain: plain.update(image_size=10**9),
        lambda plain: plain.update(learning_rates=[["lenet5"]]),
        lambda plain: plain.update(sweep_rates=["fast"]),
        lambda plain: plain.update(sweep_rates=[10**400]),
        lambda plain: plain["augmentation"].update(flip=True),
    ],
)
def test_what_is_no_protocol_is_refused_in_one_line(damage: Any) -> None:
    plain = GTSRB_V1.to_dict()
    damage(plain)
    with pytest.raises(ValueError, match="no protocol of this roadtest") as error:
        Protocol.from_dict(plain)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("image_size", 15),
        ("batch_size", 1),
        ("max_epochs", 0),
        ("budget_seconds", 0.0),
        ("budget_seconds", float("nan")),
        ("normalisation", "none"),
        ("decay_fraction", 1.0),
    ],
)
def test_a_value_out_of_range_is_refused_with_the_range(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=name):
        replace(GTSRB_V1, **{name: value})


def test_a_rate_is_looked_up_by_label_then_by_star_then_not_at_all() -> None:
    protocol = replace(GTSRB_V1, learning_rates=(("lenet5", 0.1), ("*", 0.2)))
    assert protocol.learning_rate("lenet5") == 0.1
    assert protocol.learning_rate("lenet5+stn") == 0.2
    assert FOLDER_V1.learning_rate("lenet5") is None


def test_the_published_protocols_have_a_rate_for_each_of_the_six_and_differ_in_the_sweep_alone() -> None:
    for protocol in (GTSRB_V1, SIGNS_V1):
        for network in ("lenet5", "vgg16", "resnet34"):
            assert protocol.learning_rate(network) and protocol.learning_rate(f"{network}+stn")
    same = {"name": GTSRB_V1.name, "sweep_seconds": GTSRB_V1.sweep_seconds, "learning_rates": GTSRB_V1.learning_rates}
    assert replace(SIGNS_V1, **same) == GTSRB_V1


def test_the_presets_are_those_of_the_interface() -> None:
    quick, standard = PRESETS["quick"], PRESETS["standard"]
    assert (quick.num_seeds, quick.budget_seconds, quick.signs_budget_seconds) == (1, 300.0, 30.0)
    assert (standard.num_seeds, standard.budget_seconds) == (3, None)
    assert PRESETS["thorough"].runs_sweep


def test_a_protocol_cannot_be_changed_in_place() -> None:
    with pytest.raises(AttributeError):
        GTSRB_V1.batch_size = 3  # type: ignore[misc]
    assert asdict(GTSRB_V1)["batch_size"] == 128
