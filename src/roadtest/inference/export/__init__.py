"""A run in use elsewhere: an ONNX bundle, checked against the trained network, with a card and a measuring script.

    from roadtest.inference.export import export_run

    exported = export_run("runs/first", "lenet5-onnx")  # a run, or a study: then the network it recommends
    exported.rows  # one per engine: size, largest difference, changed predictions, accuracy, latency

`bundle` writes the folder, `onnx` the file and the comparison, `quantise` int8; `card` is the README; `measure` is
copied into the bundle and runs without roadtest. The extra `export` brings onnx, onnxscript and onnxruntime, which only
this package imports.
"""

from roadtest.inference.export.bundle import Exported, export_run
from roadtest.inference.export.card import find_study_info

__all__ = ["Exported", "export_run", "find_study_info"]
