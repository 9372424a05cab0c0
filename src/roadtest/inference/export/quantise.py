"""int8: weights and activations in 8 bits, their ranges taken from training images.

Static quantisation by ONNX Runtime: per channel for weights, symmetric, ranges of activations by smallest and largest
value; the graph says where values are rounded (QDQ). Left in float32: the preprocessing, a pretrained network's step to
its own mean and deviation with it, the softmax, and all that a sampling grid is computed from: rounded to 8 bits, an
affine map would move pixels by fractions of their distance.
https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from roadtest.inference.export.onnx import INPUT

if TYPE_CHECKING:
    import onnx

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
