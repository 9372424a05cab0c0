"""Show that a change of the code moved nothing: one small study's outputs before and after, on one machine.

    python -m benchmarks.same_outputs write before --src ../roadtest-before/src     # about two minutes on two cores
    python -m benchmarks.same_outputs write after
    python -m benchmarks.same_outputs compare before after                         # exit code 1 where anything differs

Compared bit by bit: losses and counts of every evaluation, raw outputs, weights, the split, the exported graph.
Compared as text with times, memory and dates masked: the page, its tables, the leaderboard in five formats, the
recommendation, the model card, `--help` of every subcommand; the same of the published studies under `results/`.
"""

import argparse
import html
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.result_files import ROOT

STUDY = ("compare", "signs:1200", "--networks", "lenet5,timm:resnet10t", "--stn", "off", "--seeds", "2")
STUDY += ("--epochs", "3", "--device", "cpu", "--threads", "1", "--out", "study", "--image-size", "32", "--quiet")
SUBCOMMANDS = ("compare", "plan", "demo", "leaderboard", "recommend", "report", "networks", "doctor", "predict")
SUBCOMMANDS += ("evaluate", "add", "export", "add-device", "data check", "data preview")
FORMATS = ("table", "csv", "json", "md", "tex")
MASKS = (
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(?:Z|\+00:00)|\d{4}-\d\d-\d\d"), "DATE"),
    (re.compile(r"[−-]?\d[\d,]*(?:\.\d+)?(?:e[+-]\d+)?(?= ?(?:s|ms|min|h|MB|GB|KB|images/s)\b)"), "N"),
    (re.compile(r"\b(?=\d*[a-f])[0-9a-f]{7,64}\b"), "HASH"),
)
VOLATILE = re.compile(r"seconds|_ms|_at$|memory|load|images_per|size_bytes|cost|commit|versions|machine|command")


def run_roadtest(src: Path, folder: Path, *words: str) -> str:
    """Run the command line of one checkout; its standard output, or a line with its exit code where it failed."""
    environment = {**os.environ, "PYTHONPATH": str(src), "COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}
    environment |= {"ROADTEST_CACHE": str(folder / "cache")}
    done = subprocess.run(
        [sys.executable, "-m", "roadtest", *words], cwd=folder, env=environment, capture_output=True, text=True
    )
    return done.stdout if done.returncode == 0 else f"{done.stdout}\nexit code {done.returncode}\n{done.stderr}"


def mask(text: str) -> str:
    """The text without what differs from one call to the next: times, memory, dates, fingerprints."""
    for pattern, word in MASKS:
        text = pattern.sub(word, text)
    return text


def page_text(page: str) -> str:
    """The words of a page, a line an element; scripts, styles, pictures and mark-up are left out."""
    body = re.sub(r"<(script|style|svg)\b.*?</\1>", "", page, flags=re.S)
    lines = (html.unescape(re.sub(r"\s+", " ", line)).strip() for line in re.split(r"<[^>]+>", body))
    return "\n".join(line for line in lines if line)


def write_outputs(out: Path, src: Path) -> None:
    """Train the small study with the code under `src` and keep all that is to be compared in `out`."""
    work, texts, bits = out / "work", out / "texts", out / "bits"
    for folder in (work, texts, bits):
        folder.mkdir(parents=True)
    print(run_roadtest(src, work, *STUDY), file=sys.stderr)
    keep_bits(work / "study", bits)
    for study in (work / "study", *published_studies(work)):
        keep_texts(src, work, study, texts)
    (texts / "export.txt").write_text(mask(run_roadtest(src, work, "export", "study", "--out", "bundle", "--quiet")))
    for path in sorted((work / "bundle").glob("*")):
        if path.suffix == ".onnx":
            shutil.copy(path, bits)
        elif path.suffix in (".md", ".txt", ".py"):
            (texts / f"bundle-{path.name}.txt").write_text(mask(path.read_text()))
    for words in SUBCOMMANDS:
        (texts / f"help-{words.replace(' ', '-')}.txt").write_text(run_roadtest(src, work, *words.split(), "--help"))


def published_studies(work: Path) -> list[Path]:
    """Copies of the studies under results/: a report writes into its study."""
    copies = []
    for path in sorted((ROOT / "results").rglob("study.json")):
        copies.append(work / path.parent.relative_to(ROOT).as_posix().replace("/", "-"))
        shutil.copytree(path.parent, copies[-1])
    return copies


def keep_bits(study: Path, bits: Path) -> None:
    """What must be equal bit by bit: arrays and weights as bytes, of epochs.csv the columns that hold no time."""
    shutil.copy(study / "split.csv", bits)
    for run in sorted(path.parent for path in study.rglob("epochs.csv")):
        name = run.relative_to(study).as_posix().replace("/", "-")
        header, *rows = [line.split(",") for line in (run / "epochs.csv").read_text().splitlines()]
        kept = [i for i, column in enumerate(header) if not VOLATILE.search(column)]
        (bits / f"{name}-epochs.csv").write_text("\n".join(",".join(row[i] for i in kept) for row in (header, *rows)))
        shutil.copy(run / "weights.safetensors", bits / f"{name}.safetensors")
        for part in ("val", "test"):
            with np.load(run / f"{part}.npz", allow_pickle=False) as arrays:
                for key in arrays.files:
                    np.save(bits / f"{name}-{part}-{key}.npy", arrays[key])


def keep_texts(src: Path, work: Path, study: Path, texts: Path) -> None:
    """Page, tables, leaderboard and recommendation of one study."""
    for form in FORMATS:
        found = run_roadtest(src, work, "leaderboard", study.name, "--format", form)
        (texts / f"{study.name}-leaderboard.{form}.txt").write_text(mask(found))
    (texts / f"{study.name}-recommend.txt").write_text(mask(run_roadtest(src, work, "recommend", study.name)))
    run_roadtest(src, work, "report", study.name, "--no-images")
    (texts / f"{study.name}-page.txt").write_text(mask(page_text((study / "report" / "index.html").read_text())))
    for path in sorted((study / "report" / "tables").glob("*")):
        (texts / f"{study.name}-{path.name}.txt").write_text(mask(path.read_text()))


def compare_outputs(before: Path, after: Path) -> list[str]:
    """A line for every file that differs."""
    lines = []
    for folder in ("bits", "texts"):
        names = {path.name for side in (before, after) for path in (side / folder).iterdir()}
        for name in sorted(names):
            old, new = (side / folder / name for side in (before, after))
            if not (old.exists() and new.exists()):
                lines.append(f"{folder}/{name}: only {'before' if old.exists() else 'after'}")
            elif old.read_bytes() != new.read_bytes():
                lines.append(f"{folder}/{name}: differs")
    return lines


def main(words: Sequence[str] | None = None) -> int:
    """Write one side, or compare two."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    subparsers = parser.add_subparsers(dest="what", required=True)
    write = subparsers.add_parser("write")
    write.add_argument("out", type=Path)
    write.add_argument("--src", type=Path, default=ROOT / "src")
    compare = subparsers.add_parser("compare")
    compare.add_argument("before", type=Path)
    compare.add_argument("after", type=Path)
    given = parser.parse_args(words)
    if given.what == "write":
        write_outputs(given.out.resolve(), given.src.resolve())
        return 0
    lines = compare_outputs(given.before, given.after)
    print("\n".join(lines) or json.dumps({"differences": 0}))
    return 1 if lines else 0


if __name__ == "__main__":
    raise SystemExit(main())
