"""A run in use elsewhere: an ONNX bundle, checked against the trained network, with a card and a measuring script.

    from roadtest.export import export_run

    exported = export_run("runs/first", "lenet5-onnx")  # a run, or a study: then the network it recommends
    exported.rows  # one per engine: size, largest difference, changed predictions, accuracy, latency

`bundle` writes the folder, `graph` the ONNX file, `quantise` int8; `pictures` finds the images that `parity` compares
answers on; `latency` times; `card` is the README; `measure` is copied into the bundle and runs without roadtest.
This package is the only door of onnx, onnxscript and onnxruntime, which the extra `export` brings.
"""

from roadtest.inference.export.bundle import Exported, export_run
from roadtest.inference.export.card import find_study_info

__all__ = ["Exported", "export_run", "find_study_info"]
