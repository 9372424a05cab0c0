"""Time augmentation beside what a user would write instead, in microseconds per image.

All rows rotate, shift, zoom, shear, vary brightness, contrast, saturation and hue, grey some images and normalise.
They are not equal in what they give: torchvision on a whole batch varies all its images alike; only ours crops and
standardises per image besides. Rows are timed in turn, round by round, so that a busy moment hits all of them.

    python -m benchmarks.speed.augment_speed [--num-threads 2] [--batch-size 128] [--image-size 32] [--num-rounds 30]

Writes results/augment-speed-<machine>.json and .md.

Seen on a busy machine, one thread: 19 µs per 32 x 32 image for ours, and 40 to 60 times that where images are taken one
at a time; not yet measured on an idle one. Busy threads wait for each other: compare with --num-threads 1.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import kornia.augmentation as K
import torch
from torch import Tensor
from torchvision.transforms import v2

from benchmarks.result_files import RESULTS, describe_run, render_run, render_table, results_path, write_results
from roadtest.protocol import Augmentation
from roadtest.training.augment import augment_batch, prepare_batch, sample_parameters

A = Augmentation()
Row = Callable[[], object]


def ours(images_NHWC: Tensor) -> dict[str, Row]:
    """The package's own functions."""
    ids_N = torch.arange(len(images_NHWC))

    def augment() -> Tensor:
        changes = sample_parameters(ids_N, augmentation=A, seed=0, epoch=0)
        return augment_batch(images_NHWC, changes, normalisation="per-image")

    return {
        "roadtest augment_batch": augment,
        "roadtest prepare_batch (no augmentation)": lambda: prepare_batch(images_NHWC, normalisation="per-image"),
    }


def torchvision_steps() -> list[torch.nn.Module]:
    """The same kinds of change, in torchvision's words."""
    degrees, shear = A.rotation_degrees, A.shear_degrees
    zoom = (1 - A.log_scale, 1 + A.log_scale)
    return [
        v2.RandomAffine(degrees, (A.shift, A.shift), zoom, shear, interpolation=v2.InterpolationMode.BILINEAR),
        v2.ColorJitter(A.brightness, A.contrast, A.saturation, A.hue_degrees / 360),
        v2.RandomGrayscale(A.grayscale_probability),
    ]


def torchvision_rows(images_NHWC: Tensor) -> dict[str, Row]:
    """Whole batch with one draw; tensor by tensor; Pillow image by Pillow image."""
    images_NCHW = images_NHWC.permute(0, 3, 1, 2).contiguous()
    pictures = [v2.functional.to_pil_image(image_CHW) for image_CHW in images_NCHW]
    to_float = [v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5] * 3, [0.25] * 3)]
    on_tensors = v2.Compose([v2.ToDtype(torch.float32, scale=True), *torchvision_steps(), to_float[1]])
    on_pictures = v2.Compose([*torchvision_steps(), v2.PILToTensor(), *to_float])
    return {
        "torchvision v2, one draw per batch": lambda: on_tensors(images_NCHW),
        "torchvision v2, tensor by tensor": lambda: torch.stack([on_tensors(image_CHW) for image_CHW in images_NCHW]),
        "torchvision v2 on Pillow, one by one": lambda: torch.stack([on_pictures(picture) for picture in pictures]),
    }


def kornia_rows(images_NHWC: Tensor) -> dict[str, Row]:
    """Whole batch with a draw per image."""
    images_NCHW = images_NHWC.permute(0, 3, 1, 2).contiguous()
    zoom, shear = (1 - A.log_scale, 1 + A.log_scale), A.shear_degrees
    steps = K.AugmentationSequential(
        K.RandomAffine(A.rotation_degrees, (A.shift, A.shift), zoom, shear, p=1.0, padding_mode="border"),
        K.ColorJiggle(A.brightness, A.contrast, A.saturation, A.hue_degrees / 360, p=1.0),
        K.RandomGrayscale(p=A.grayscale_probability),
        K.Normalize(0.5, 0.25),
        data_keys=["input"],
    )
    return {"kornia, a draw per image": lambda: steps(images_NCHW.float() / 255)}


def measure_us_per_image(rows: dict[str, Row], num_images: int, num_rounds: int) -> dict[str, list[float]]:
    """Time every row once per round, after two rounds of warm-up."""
    samples: dict[str, list[float]] = {name: [] for name in rows}
    for round_index in range(num_rounds + 2):
        for name, row in rows.items():
            start = time.perf_counter()
            row()
            if round_index >= 2:
                samples[name].append((time.perf_counter() - start) / num_images * 1e6)
    return samples


def render_samples(samples: Mapping[str, Sequence[float]]) -> str:
    """One line per row: median, the quarters around it, extremes, and the ratio to the first row."""
    first = statistics.median(next(iter(samples.values())))
    rows = []
    for name, values in samples.items():
        low, median, high = statistics.quantiles(values, n=4)
        figures = (f"{median:.1f}", f"{low:.1f} to {high:.1f}", f"{min(values):.1f}", f"{max(values):.1f}")
        rows.append([name, *figures, f"{median / first:.1f}"])
    return render_table(["µs per image", "median", "quartiles", "least", "largest", "ratio to the first"], rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--num-threads", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--num-rounds", type=int, default=30)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.num_threads)
    shape = (options.batch_size, options.image_size, options.image_size, 3)
    images_NHWC = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    rows = ours(images_NHWC) | torchvision_rows(images_NHWC) | kornia_rows(images_NHWC)
    about = describe_run()
    samples = measure_us_per_image(rows, options.batch_size, options.num_rounds)
    how = f"A batch of {' x '.join(map(str, shape))}, {options.num_threads} threads, {options.num_rounds} rounds."
    text = f"# Augmentation\n\n{render_run(about)}\n\n{how}\n\n{render_samples(samples)}"
    print(text)
    plain = {"about": about, "batch_shape": shape, "num_threads": options.num_threads, "us_per_image": samples}
    write_results(results_path(options.out, "augment-speed", about), plain, text)


if __name__ == "__main__":
    main()
