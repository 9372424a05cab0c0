"""A trained network as one ONNX graph: uint8 images in, logits and probabilities out, the preprocessing inside.

The preprocessing is the very function that training used, traced with the network, so the two cannot drift apart.
Batch norm is folded into the convolutions, and what follows from the weights alone is computed once, here: VGG-16's
folded layer leaves 135 MB of 538. What the exporter notes about this computer (paths, lines of code) is taken out, so
that the same run gives the same bytes. torch.onnx's exporter and its optimiser do the work; this file adds no operator.

N images, S x S pixels, K classes. Opset 20 is the first whose GridSample is not bound to two dimensions; ONNX Runtime
reads it from version 1.17 on. https://onnx.ai/onnx/operators/onnx__GridSample.html
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from roadtest.augment import prepare_batch
from roadtest.record import RunRecord

if TYPE_CHECKING:
    import onnx

OPSET = 20
INPUT = "images"
LOGITS, PROBABILITIES = "logits", "probabilities"
MAX_BYTES = 2**31 - 1
"""A protocol buffer, which an ONNX file is, holds no more."""
_EXAMPLE_SIZE = 2
"""Images of the example that the exporter traces; any number but 0 and 1, which it takes for constants."""


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
    _forget_this_computer(model)
    onnx.helper.set_model_props(model, _metadata(record))
    if model.ByteSize() > MAX_BYTES:
        raise ValueError(f"{record.label} has {model.ByteSize():,} bytes: an ONNX file holds 2 GB; export another run")
    onnx.checker.check_model(model)
    return model


def write_graph(path: Path, model: "onnx.ModelProto") -> None:
    """Write an ONNX file, the same bytes for the same graph."""
    path.write_bytes(model.SerializeToString(deterministic=True))


def _forget_this_computer(model: "onnx.ModelProto") -> None:
    """Remove stack traces and names of modules; they hold paths, and nobody reads them."""
    graph = model.graph
    parts: list[Any] = [model, graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer]
    for part in parts:
        del part.metadata_props[:]
        part.doc_string = ""


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
