"""The subcommands that take a network elsewhere: `export`, and `add-device` for what was measured there."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter

from roadtest.cli.options import MACHINE, OUTPUT, FormatOption, Quiet, StudyPath, Verbose, Whole, option
from roadtest.cli.tables import Column, print_rows, print_table
from roadtest.cli.use import OwnNetwork, RunPath
from roadtest.format import format_bytes, format_milliseconds, format_percent, plural

if TYPE_CHECKING:
    from roadtest.inference.export import Exported
    from roadtest.records.measurements import Measurement

BUNDLE = Group("The bundle", sort_key=1)
ENGINES = {"pytorch": "PyTorch", "onnxruntime": "ONNX Runtime", "onnxruntime-int8": "ONNX Runtime, int8"}


def export(
    run: RunPath,
    /,
    *,
    out: Annotated[
        Path | None,
        option("--out", "-o", help="The bundle's folder, a new one. Default: <network>-onnx.", group=BUNDLE),
    ] = None,
    int8: Annotated[
        bool,
        option("--int8", help="Also in 8 bits, calibrated on training images.", group=BUNDLE),
    ] = False,
    with_images: Annotated[
        bool,
        option("--with-images", help="Pack ten validation images instead of drawn signs, to hand out.", group=BUNDLE),
    ] = False,
    check_on: Annotated[
        Literal["val", "test"],
        option(
            "--check-on",
            help="Whose images are compared: val, or test (its labels are not looked at). Default: val.",
            group=BUNDLE,
        ),
    ] = "val",
    network: OwnNetwork = None,
    threads: Annotated[
        Whole | None,
        option("--threads", help="Processor threads while latency is measured. Default: all cores.", group=MACHINE),
    ] = None,
    format: FormatOption = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Write a network as an ONNX bundle that needs no roadtest: checked, measured, with a model card.

    Preprocessing and class names are inside. Needs the extra: pip install -e ".[export]", in the checkout.
    """
    from roadtest.study.api import export_and_note
    from roadtest.study.progress import show_progress

    if threads is not None and threads < 1:
        raise ValueError(f"--threads {threads} is no number of threads: give 1 or more")
    with show_progress(is_quiet=quiet) as on_event:
        exported = export_and_note(
            run,
            out,
            has_int8=int8,
            has_own_images=with_images,
            check_on=check_on,
            network_file=network,
            num_threads=threads,
            emit=on_event,
        )
    if exported.words and not quiet:
        print(exported.words, file=sys.stderr)
    if format is not None or not quiet:
        _print_exported(exported, format or "table")
    print(exported.folder.resolve().as_uri(), file=sys.stderr)
    return 0


def add_device(
    study: StudyPath,
    measurement: Annotated[Path, Parameter(help="What `python measure.py > pi5.json` wrote on the device.")],
    /,
    *,
    name: Annotated[
        str | None,
        option("--name", help="What the device is called, in small letters. Default: the file's name.", group=OUTPUT),
    ] = None,
    format: FormatOption = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Put latency and memory that were measured on another computer beside the study's own.

    Then `roadtest recommend --device NAME` chooses by that computer's latency.
    """
    from roadtest.study.api import note_device

    device, found = note_device(study, measurement, name)
    if format is not None or not quiet:
        _print_measured(device, found, format or "table")
    if found.num_changed:
        print(
            f"careful: on {device} {found.num_changed} of {found.num_checked} packed images are classified otherwise "
            f"(largest difference {found.largest_difference:.3g}): its accuracy is not the study's",
            file=sys.stderr,
        )
    return 0


def _print_exported(exported: "Exported", format: str) -> None:

    if format != "table":
        print_rows(exported.rows, format)
        return
    print_table(
        (
            Column(title="engine", text=lambda row: ENGINES[row["runtime"]], is_right=False),
            Column(title="size", text=lambda row: format_bytes(row["size_bytes"]), rank=4),
            Column(title="largest difference", text=_difference),
            Column(title="changed", text=_changed),
            Column(title="accuracy", text=lambda row: format_percent(row["val_accuracy"]), rank=5),
            Column(title="one image", text=lambda row: format_milliseconds(row["latency_p50_ms"]), rank=3),
            Column(title="64 images", text=lambda row: format_milliseconds(row["latency_64_p50_ms"]), rank=2),
        ),
        [("", exported.rows)],
    )
    threads = exported.rows[0]["num_threads"]
    largest = f"{exported.rows[0]['largest_logit']:.3g}"
    busy = " Other processes disturbed it." if any(row["is_busy"] for row in exported.rows) else ""
    print(f"Compared on {exported.checked_on}: differences of logits, the largest of which is {largest}.")
    print(f"Latency with {plural(threads, 'thread')}, preprocessing included, medians.{busy}")


def _difference(row: dict[str, Any]) -> str:
    return "–" if row["runtime"] == "pytorch" else f"{row['largest_difference']:.2g}"


def _changed(row: dict[str, Any]) -> str:
    return "–" if row["runtime"] == "pytorch" else f"{row['num_changed']:,} of {row['num_images']:,}"


def _print_measured(device: str, measurement: "Measurement", format: str) -> None:
    from roadtest.records.measurements import latency_summary

    rows = latency_summary(measurement, device)
    if format != "table":
        print_rows(rows, format)
        return
    print_table(
        (
            Column(title="device", text=lambda row: str(row["device"]), is_right=False),
            Column(title="network", text=lambda row: measurement.label, is_right=False),
            Column(title="runtime", text=lambda row: ENGINES[row["runtime"]], is_right=False, rank=1),
            Column(title="batch", text=lambda row: str(row["batch_size"])),
            Column(title="threads", text=lambda row: str(row["num_threads"])),
            Column(title="median", text=lambda row: format_milliseconds(row["latency_p50_ms"])),
            Column(title="p90", text=lambda row: format_milliseconds(row["latency_p90_ms"]), rank=3),
            Column(title="samples", text=lambda row: str(row["num_samples"]), rank=2),
        ),
        [("", rows)],
    )
    machine, memory = measurement.machine, format_bytes(measurement.peak_memory_bytes)
    print(f"{machine.cpu_name}, {plural(machine.num_cores, 'core')}, {machine.system}; memory {memory}.")
    print(
        f"Answers on {measurement.num_checked} packed images: largest difference {measurement.largest_difference:.2g}, "
        f"{measurement.num_changed} changed."
    )
