"""Contenders side by side: ratios within rounds, a fair start for everybody, and failures that cost nobody else."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.speed import side_by_side
from benchmarks.speed.side_by_side import Contender, Sample


def _samples(**speeds: list[float]) -> list[Sample]:
    """One network's samples of a second each."""
    return [
        Sample(
            label="lenet5",
            contender=name,
            round=i,
            num_images=round(speed),
            seconds=1.0,
            num_threads=2,
            others_cores=0.0,
        )
        for name, of_rounds in speeds.items()
        for i, speed in enumerate(of_rounds)
    ]


def test_a_ratio_is_formed_within_a_round() -> None:
    # Rounds: 200/100, 90/30, 40/10: 2, 3 and 4. The ratio of the medians would be 90/30 = 3 as well, of means 2.36.
    samples = _samples(ours=[200, 90, 40], theirs=[100, 30, 10])
    ratio = side_by_side.ratio_of(samples, "ours", "theirs")
    assert ratio is not None and (ratio.median, ratio.low, ratio.high) == (3, 2, 4)


def test_a_ratio_is_of_the_rounds_in_which_both_ran() -> None:
    # the other failed in the third round: 2 and 3
    samples = _samples(ours=[200, 90, 40], theirs=[100, 30])
    ratio = side_by_side.ratio_of(samples, "ours", "theirs")
    assert ratio is not None and (ratio.median, ratio.low, ratio.high) == (2.5, 2, 3)
    assert side_by_side.ratio_of(samples, "ours", "nobody") is None


def test_every_round_begins_with_another_contender(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    def pretend(contender: Contender, job: dict[str, Any]) -> tuple[dict[str, Any], float]:
        started.append((job["network"], contender.name))
        return {"num_images": 1, "seconds": 1.0, "num_threads": 2}, 0.0

    monkeypatch.setattr(side_by_side, "run_contender", pretend)
    contenders = [Contender(name=name, script="") for name in "ab"]
    jobs = {"x": {"network": "x"}, "y": {"network": "y"}}
    # what there is after each round: two contenders on two networks, then as many again
    assert [len(one.samples) for one in side_by_side.run_rounds(contenders, jobs, 2)] == [4, 8]
    assert "".join(network + name for network, name in started) == "xaxb" + "yayb" + "xbxa" + "ybya"


def test_a_contender_that_fails_is_left_out_and_loses_nobody_elses_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    def pretend(contender: Contender, job: dict[str, Any]) -> tuple[dict[str, Any], float]:
        started.append(contender.name)
        if contender.name == "b" and started.count("b") == 2:
            raise side_by_side.ProcessFailed("code 1: no memory")
        return {"num_images": 1, "seconds": 1.0, "num_threads": 2}, 0.0

    monkeypatch.setattr(side_by_side, "run_contender", pretend)
    contenders = [Contender(name=name, script="") for name in "ab"]
    *_, measured = side_by_side.run_rounds(contenders, {"x": {}}, 4)
    assert started == ["a", "b", "b", "a", "a", "a"]
    assert [(one.contender, one.round) for one in measured.samples] == [
        ("a", 0),
        ("b", 0),
        ("a", 1),
        ("a", 2),
        ("a", 3),
    ]
    text = side_by_side.render_measured(measured, 128, "signs")
    assert "- left out from round 2: b (code 1: no memory)" in text
    assert side_by_side.Measured.from_dict(json.loads(json.dumps(measured.to_dict()))) == measured


def test_a_script_that_cannot_run_is_a_failure_in_one_line(tmp_path: Path) -> None:
    script = tmp_path / "peer.py"
    script.write_text("import nothing_of_this_name")
    with pytest.raises(side_by_side.ProcessFailed, match="code 1: ModuleNotFoundError: No module named 'nothing_of"):
        side_by_side.run_process([str(script)], {})
    script.write_text("print('no figures')")
    with pytest.raises(side_by_side.ProcessFailed, match="without figures"):
        side_by_side.run_process([str(script)], {})


def test_peers_do_not_inherit_what_the_user_set_for_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1")
    monkeypatch.setenv("SOMETHING_ELSE", "kept")
    monkeypatch.setenv(side_by_side.NO_BYTECODE, "1")
    environment = side_by_side.plain_environment()
    assert environment["SOMETHING_ELSE"] == "kept"
    assert not [name for name in environment if name.startswith(side_by_side.LIBRARY_VARIABLES)]
    assert side_by_side.NO_BYTECODE not in environment
