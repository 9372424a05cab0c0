"""A trained network as one ONNX graph, opened in ONNX Runtime, compared with the network and timed beside it.

uint8 images go in, logits and probabilities come out, the preprocessing is inside: the function that training used is
traced with the network, so the two cannot drift apart. Batch norm is folded into the convolutions, and what follows
from the weights alone is computed once, here: VGG-16's folded layer leaves 135 MB of 538. The exporter's notes of paths
and lines of code are removed, so that the same run gives the same bytes. This file adds no operator.

Parity is the largest difference of logits, the number of changed predictions (another class is the most probable one)
and accuracy, in counts that add up over batches. All engines are timed on the same work, uint8 images in, logits out,
in rounds that take turns; the study's own PyTorch rows time the network alone.

int8 is static quantisation by ONNX Runtime, its ranges taken from training images: per channel for weights, symmetric.

N images, S x S pixels, K classes. Opset 20 is the first whose GridSample is not bound to two dimensions; ONNX Runtime
reads it from version 1.17 on. https://onnx.ai/onnx/operators/onnx__GridSample.html The extra `export` brings onnx,
onnxscript and onnxruntime; they are imported when something is exported, never before.
"""

import importlib.util
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from roadtest.records import RunRecord
from roadtest.training.augment import prepare_batch
from roadtest.training.profile import LatencySample, measure_latency

if TYPE_CHECKING:
    import onnx
    import onnxruntime
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
NEEDED = ("onnx", "onnxscript", "onnxruntime")
OPSET = 20
INPUT = "images"
LOGITS, PROBABILITIES = "logits", "probabilities"
PYTORCH = "pytorch"
BATCH_SIZE = 256
TIMED_BATCH_SIZES = (1, 64)
MAX_BYTES = 2**31 - 1
"""A protocol buffer, which an ONNX file is, holds no more."""
_EXAMPLE_SIZE = 2
"""Images of the example that the exporter traces; any number but 0 and 1, which it takes for constants."""
_ERRORS_ONLY = 3


def check_extra() -> None:
    """Raise a ValueError that says what to install where a library of the extra is missing."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ValueError(
            f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed, and export needs "
            f'{", ".join(NEEDED)}: run pip install -e ".[export]" in the checkout of roadtest'
        )


class Prepared(nn.Module):
    """A network with its preprocessing before it and the softmax behind it."""

    def __init__(self, network: nn.Module, normalisation: str) -> None:
        super().__init__()
        self.network = network
        self.normalisation = normalisation

    def forward(self, images_NHWC: Tensor) -> tuple[Tensor, Tensor]:
        """Give logits_NK and probabilities_NK, float32, of uint8 images."""
        logits_NK: Tensor = self.network(prepare_batch(images_NHWC, normalisation=self.normalisation)).float()
        return logits_NK, logits_NK.softmax(1)


def write_graph(path: Path, prepared: Prepared, record: RunRecord) -> None:
    """Write a network in evaluation mode as ONNX, the same bytes for the same run; a ValueError where it cannot be."""
    path.write_bytes(build_graph(prepared, record).SerializeToString(deterministic=True))


def build_graph(prepared: Prepared, record: RunRecord) -> "onnx.ModelProto":
    """Trace a network in evaluation mode; a ValueError in one line where it cannot be written as ONNX."""
    import onnx
    from onnxscript import optimizer

    example_NHWC = torch.zeros((_EXAMPLE_SIZE, record.image_size, record.image_size, 3), dtype=torch.uint8)
    try:
        with torch.no_grad():
            program = torch.onnx.export(
                prepared,
                (example_NHWC,),
                dynamo=True,
                input_names=[INPUT],
                output_names=[LOGITS, PROBABILITIES],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                opset_version=OPSET,
                verbose=False,
            )
        assert program is not None
        optimizer.fold_constants(program.model, input_size_limit=MAX_BYTES, output_size_limit=MAX_BYTES)
        optimizer.optimize_ir(program.model)
        model: onnx.ModelProto = program.model_proto
    except Exception as error:
        reason = (str(error).strip().splitlines() or ["no reason given"])[0][:200]
        raise ValueError(
            f"{record.label} cannot be written as ONNX ({type(error).__name__}: {reason}): some networks decide by "
            "values what to compute; export another run"
        ) from error
    graph = model.graph
    parts: list[Any] = [model, graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer]
    for part in parts:  # stack traces and names of modules hold paths of this computer
        del part.metadata_props[:]
        part.doc_string = ""
    onnx.helper.set_model_props(model, _metadata(record))
    if model.ByteSize() > MAX_BYTES:
        raise ValueError(f"{record.label} has {model.ByteSize():,} bytes: an ONNX file holds 2 GB; export another run")
    onnx.checker.check_model(model)
    return model


def _metadata(record: RunRecord) -> dict[str, str]:
    """What travels inside the file; values are texts there."""
    return {
        "class_names": json.dumps(record.class_names, ensure_ascii=False),
        "network": record.label,
        "seed": str(record.seed),
        "image_size": str(record.image_size),
        "normalisation": f"{record.normalisation}, inside the graph",
        "input": "uint8 RGB images, N x height x width x 3",
        "data": record.data_title,
        "data_fingerprint": record.data_fingerprint,
        "protocol": f"{record.protocol_name} {record.protocol_fingerprint}",
        "made_by": "roadtest export",
    }


def open_session(path: Path, *, num_threads: int) -> "onnxruntime.InferenceSession":
    """Open an ONNX file on the processor."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def run_logits(
    session: "onnxruntime.InferenceSession", images_NHWC: npt.NDArray[np.uint8], *, batch_size: int = BATCH_SIZE
) -> Floats:
    """Give logits_NK of uint8 images, a batch at a time."""
    batches = (images_NHWC[start : start + batch_size] for start in range(0, len(images_NHWC), batch_size))
    return np.concatenate([session.run([LOGITS], {INPUT: np.ascontiguousarray(batch)})[0] for batch in batches])


@dataclass(frozen=True, kw_only=True)
class Parity:
    """How the predictions of an exported network differ from the trained network's, which is PyTorch in float32."""

    num_images: int
    largest_difference: float
    """Of any two logits."""
    largest_logit: float
    """In absolute value, PyTorch's: the scale of the difference."""
    num_changed: int
    num_correct: int | None
    """None without labels."""


def compare_logits(expected_NK: Floats, found_NK: Floats, labels_N: Ints | None) -> Parity:
    """Compare logits of the same images, PyTorch's first."""
    assert expected_NK.shape == found_NK.shape, (expected_NK.shape, found_NK.shape)
    return Parity(
        num_images=len(expected_NK),
        largest_difference=float(np.abs(expected_NK - found_NK).max()),
        largest_logit=float(np.abs(expected_NK).max()),
        num_changed=int((expected_NK.argmax(1) != found_NK.argmax(1)).sum()),
        num_correct=None if labels_N is None else int((found_NK.argmax(1) == labels_N).sum()),
    )


def join_parities(parts: Sequence[Parity]) -> Parity:
    """The parity over all images of several batches."""
    counts = [part.num_correct for part in parts if part.num_correct is not None]
    return Parity(
        num_images=sum(part.num_images for part in parts),
        # numpy's maximum keeps a NaN; Python's may lose it
        largest_difference=float(np.max([part.largest_difference for part in parts])),
        largest_logit=float(np.max([part.largest_logit for part in parts])),
        num_changed=sum(part.num_changed for part in parts),
        num_correct=sum(counts) if len(counts) == len(parts) else None,
    )


class _Engine(nn.Module):
    """Any function of a batch size, in the place where `measure_latency` expects a network."""

    def __init__(self, run: Callable[[int], object]) -> None:
        super().__init__()
        self.run = run

    def forward(self, images_NCHW: Tensor) -> object:
        """Classify as many of the engine's own images."""
        return self.run(len(images_NCHW))


def time_engines(
    prepared: Prepared,
    models: Mapping[str, Path],
    record: RunRecord,
    *,
    num_threads: int,
    num_rounds: int,
    seconds_per_visit: float,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[LatencySample]:
    """Time PyTorch and the ONNX files (runtime -> file) side by side; samples name their runtime."""
    generator = np.random.default_rng(0)
    shape = (record.image_size, record.image_size, 3)
    images = {size: generator.integers(0, 256, (size, *shape), np.uint8) for size in TIMED_BATCH_SIZES}
    tensors = {size: torch.from_numpy(images_NHWC) for size, images_NHWC in images.items()}
    engines: dict[str, Callable[[int], object]] = {PYTORCH: lambda size: prepared(tensors[size])}
    for runtime, path in models.items():
        session = open_session(path, num_threads=num_threads)
        engines[runtime] = lambda size, session=session: session.run([LOGITS], {INPUT: images[size]})  # type: ignore[misc]
    samples = measure_latency(
        {(runtime, False): _Engine(run) for runtime, run in engines.items()},
        image_size=record.image_size,
        batch_sizes=TIMED_BATCH_SIZES,
        num_threads=num_threads,
        num_rounds=num_rounds,
        seconds_per_visit=seconds_per_visit,
        on_progress=on_progress,
    )
    return [replace(one, network=record.network, has_stn=record.has_stn, runtime=one.network) for one in samples]


def median_ms(samples: Sequence[LatencySample], runtime: str, batch_size: int) -> float | None:
    """The median time of a batch; None where it was not measured."""
    found = [one.latency_ms for one in samples if (one.runtime, one.batch_size) == (runtime, batch_size)]
    return float(np.median(found)) if found else None


LEARNED = ("Conv", "Gemm", "MatMul")
"""Where the network itself begins; not every network begins with a convolution."""
QUANTISED = ("Conv", "Gemm", "MatMul", "Add", "MaxPool", "AveragePool", "GlobalAveragePool", "Concat")
BATCH_SIZE = 32


def write_int8(source: Path, target: Path, images_NHWC: npt.NDArray[np.uint8]) -> None:
    """Write the int8 version of an ONNX file, calibrated on uint8 images."""
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType
    from onnxruntime.quantization import quantize_static as quantise

    starts = range(0, len(images_NHWC), BATCH_SIZE)
    batches = ({INPUT: np.ascontiguousarray(images_NHWC[start : start + BATCH_SIZE])} for start in starts)

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def get_next(self) -> dict[str, npt.NDArray[np.uint8]] | None:
            return next(batches, None)

    float_model = onnx.load(source)
    sampled = nodes_before_sampling(float_model.graph)
    with _quiet():
        quantise(
            str(source),
            str(target),
            Reader(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(QUANTISED),
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=sorted(sampled | nodes_before_learning(float_model.graph, sampled)),
            calibrate_method=CalibrationMethod.MinMax,
        )
    model = onnx.load(target)
    metadata = {entry.key: entry.value for entry in float_model.metadata_props}
    onnx.helper.set_model_props(model, {**metadata, "precision": "int8"})
    target.write_bytes(model.SerializeToString(deterministic=True))


def nodes_before_sampling(graph: "onnx.GraphProto") -> set[str]:
    """The names of all nodes that a sampling, or the grid it samples at, is computed from."""
    makers = {output: node for node in graph.node for output in node.output}
    waiting = [name for node in graph.node if node.op_type == "GridSample" for name in node.input]
    found: set[str] = set()
    while waiting:
        node = makers.get(waiting.pop())
        if node is not None and node.name not in found:
            found.add(node.name)
            waiting.extend(node.input)
    return found


def nodes_before_learning(graph: "onnx.GraphProto", sampled: set[str]) -> set[str]:
    """The names of all nodes that work on the images alone, warped ones too, before any learned layer has.

    `sampled` are those that a sampling is computed from: the layers among them learn where to look, not what is seen.
    """
    learned: set[str] = set()
    found: set[str] = set()
    for node in graph.node:  # in an order in which every node's inputs come first
        if node.name in sampled:
            continue
        if node.op_type in LEARNED or not learned.isdisjoint(node.input):
            learned.update(node.output)
        else:
            found.add(node.name)
    return found


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the quantiser's advice off the terminal: what it recommends to do before has been done."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
