"""A training step's time is told by kind of operation; no test here looks at a time."""

import json
from pathlib import Path

import pytest

from benchmarks.speed import profile_step


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (["aten::conv2d", "aten::convolution", "aten::empty"], "convolution, forward"),
        (["autograd::engine::evaluate_function: ConvolutionBackward0", "aten::copy_"], "convolution, backward"),
        (["autograd::engine::evaluate_function: _WholeMapConvBackward", "aten::mm"], "convolution, backward"),
        (["_WholeMapConv", "aten::mm"], "convolution, forward"),
        (["aten::linear", "aten::addmm"], "matrix product, forward"),
        (["autograd::engine::evaluate_function: AddmmBackward0", "aten::mm"], "matrix product, backward"),
        (["autograd::engine::evaluate_function: MaxPool2DWithIndicesBackward0"], "pooling, backward"),
        (["autograd::engine::evaluate_function: NativeBatchNormBackward0"], "batch norm, backward"),
        (["aten::grid_sampler", "aten::grid_sampler_2d"], "grid_sample, forward"),
        (["batch and augmentation", "aten::grid_sampler"], "batch and augmentation"),
        (["Optimizer.step#SGD.step", "aten::_fused_sgd_"], "optimiser"),
        (["aten::log_softmax"], "rest"),
    ],
)
def test_what_an_operation_stands_in_decides_its_kind(names: list[str], kind: str) -> None:
    assert profile_step.kind_of(names) == kind


@pytest.mark.slow
def test_the_kinds_add_up_to_the_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    profile_step.main(["lenet5+stn", "--steps", "2", "--threads", "1", "--out", str(tmp_path)])
    text = capsys.readouterr().out
    (written,) = tmp_path.glob("profile-step-lenet5+stn-*.json")
    found = json.loads(written.read_text())
    kinds_ms = found["kinds_ms"]
    # all of them are in a step of this network, and what lies between operations is not negative
    assert all(kinds_ms[kind] > 0 for kind in profile_step.KINDS if kind != profile_step.EVALUATION)
    assert 0 < sum(kinds_ms.values()) <= found["step_ms"]
    assert "| between operations | " in text and written.with_suffix(".md").read_text() == text
