"""A finished run whose images lie in a cache, to be exported; and a bundle small enough to be made by hand."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from roadtest.inference.export import measure
from roadtest.records import PlannedRun, read_study_info, to_json, write_atomically
from roadtest.training.run import execute
from tiny import TINY, coloured_squares, write_tiny_study

NUM_CLASSES, SIZE = 3, 32


def write_run(folder: Path, *, network: str = "lenet5", has_stn: bool = False) -> Path:
    """Train a network for a moment on the coloured squares, put their pixels into `folder/cache`, and give the run."""
    job = write_tiny_study(folder, replace(TINY, max_epochs=1), network=network)
    run = PlannedRun(network=network, has_stn=has_stn, seed=0)
    info = replace(read_study_info(job.study_dir), runs=(run,))
    write_atomically(job.study_dir / "study.json", to_json(info))
    job = replace(job, run=run)
    execute(job, emit=lambda event: None)
    write_cache(folder / "cache")
    return job.run_dir


def write_cache(cache_dir: Path, **changes: object) -> Path:
    """Put the coloured squares' pixels where decoded images lie."""
    image_set = coloured_squares()
    folder = cache_dir / "decoded" / "squares-0"
    folder.mkdir(parents=True)
    images_NHWC = image_set.images_NHWC
    np.save(folder / "images.npy", images_NHWC)
    about = {"fingerprint": image_set.fingerprint, "image_size": SIZE, "num_images": len(images_NHWC), **changes}
    (folder / "about.json").write_text(json.dumps(about))
    return folder


def write_small_bundle(folder: Path, **identity: object) -> Path:
    """A bundle whose network gives the mean of each colour as a logit; made without PyTorch."""
    folder.mkdir(parents=True)
    _write_means(folder / "model.onnx")
    generator = np.random.default_rng(3)
    images_NHWC = generator.integers(0, 256, (10, SIZE, SIZE, 3), np.uint8)
    np.savez(folder / "sample.npz", images_NHWC=images_NHWC, logits_NK=images_NHWC.mean((1, 2)).astype(np.float32))
    run: dict[str, Any] = {"network": "lenet5", "has_stn": False, "seed": 0}
    run |= {"protocol_fingerprint": "p" * 64, "data_fingerprint": "d" * 64, **identity}
    manifest = {"run": run, "input": {"shape": ["batch", SIZE, SIZE, 3]}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "measure.py").write_bytes(Path(measure.__file__).read_bytes())
    return folder


def _write_means(path: Path) -> None:
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats", "axes"], ["logits"], keepdims=0),
    ]
    axes = helper.make_tensor("axes", TensorProto.INT64, [2], [1, 2])
    given = helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", SIZE, SIZE, 3])
    answer = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", NUM_CLASSES])
    graph = helper.make_graph(nodes, "means", [given], [answer], [axes])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
