"""The GPU's benchmark without a GPU: what it prints of speeds, and what it says where there is none."""

from pathlib import Path

import pytest

from benchmarks.result_files import describe_run
from benchmarks.speed import cuda_speed


def test_ratios_are_formed_within_a_round() -> None:
    speeds = {name: [100.0, 200.0, 300.0] for name in cuda_speed.CONTENDERS}
    speeds |= {cuda_speed.OURS: [400.0, 600.0, 600.0], cuda_speed.BARE: [500.0, 750.0, 750.0]}
    about = describe_run()
    about["machine"]["gpu_name"] = "GPU of 1 kW"
    text = cuda_speed.render(
        {"about": about, "networks": {"lenet5": {"precision": "bfloat16", "images_per_second": speeds}}}
    )
    assert "GPU of 1 kW" in text
    ratio = "3.0 (2.0 to 4.0)"
    assert f"| lenet5 | bfloat16 | {ratio} | {ratio} | {ratio} | 80% (80% to 80%) |" in text


def test_a_noise_image_is_written_for_each_label_as_the_tensors_have_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from PIL import Image

    monkeypatch.setattr(cuda_speed, "NUM_IMAGES", 86)
    cuda_speed.write_files(tmp_path)
    pixels_NHWC, labels_N = cuda_speed.noise()
    assert len(list(tmp_path.rglob("*.ppm"))) == 86
    with Image.open(tmp_path / f"{labels_N[50]:05d}" / "000050.ppm") as image:
        assert image.tobytes() == pixels_NHWC[50].numpy().tobytes()


def test_without_a_gpu_it_says_so_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(SystemExit) as stop:
        cuda_speed.main([])
    assert stop.value.code == 2
    assert "torch finds no CUDA device here" in capsys.readouterr().err
