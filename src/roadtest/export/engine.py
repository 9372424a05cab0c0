"""ONNX Runtime, as roadtest uses it: on the processor, with a stated number of threads.

The extra `export` brings onnx, onnxscript and onnxruntime. They come in when something is exported, never before.
"""

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from roadtest.export.graph import INPUT, LOGITS

if TYPE_CHECKING:
    import onnxruntime

NEEDED = ("onnx", "onnxscript", "onnxruntime")
BATCH_SIZE = 256
_ERRORS_ONLY = 3


def check_extra() -> None:
    """Raise a ValueError that says what to install where a library of the extra is missing."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ValueError(
            f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed, and export needs "
            f'{", ".join(NEEDED)}: run pip install -e ".[export]" in the checkout of roadtest'
        )


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
) -> npt.NDArray[np.float32]:
    """Give logits_NK of uint8 images, a batch at a time."""
    parts_NK = [
        session.run([LOGITS], {INPUT: np.ascontiguousarray(images_NHWC[start : start + batch_size])})[0]
        for start in range(0, len(images_NHWC), batch_size)
    ]
    logits_NK: npt.NDArray[np.float32] = np.concatenate(parts_NK)
    return logits_NK
