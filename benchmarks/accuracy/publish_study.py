"""Copy what of a finished study may be published: records, curves, tables, page; no weights, no images, no raw outputs.

    roadtest report runs/gtsrb-30m --no-images
    python -m benchmarks.accuracy.publish_study runs/gtsrb-30m results/gtsrb-v1/30-minutes

The page must be built without images, every planned run must be there, and no file may name a path of this machine;
where one of these is not so, nothing is copied and one line says why. What lay at the destination before, and is not
of the study (a README), stays.
"""

import argparse
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from roadtest.records import is_finished, read_study_info

PATTERNS = (
    "study.json",
    "latency.csv",
    "sweep.csv",
    "failures.csv",
    "test-reads.csv",
    "*/seed-*/record.json",
    "*/seed-*/epochs.csv",
    "*/seed-*/branches.csv",
    "report/index.html",
    "report/figures/*",
    "report/tables/*",
)
_PATH_HERE = re.compile(rb"/(?:home|root|tmp|work|Users|mnt)/[\w.+-]+")
_PICTURE = re.compile(rb"data:image/(?:jpeg|png|webp)")


def files_of(study_dir: Path) -> list[Path]:
    """The files to publish, relative to the study, sorted."""
    return sorted(path.relative_to(study_dir) for pattern in PATTERNS for path in study_dir.glob(pattern))


def reasons_against(study_dir: Path) -> list[str]:
    """Why a study may not be published as it lies there, a line each."""
    planned = [run.folder for run in read_study_info(study_dir).runs]
    missing = [folder for folder in planned if not is_finished(study_dir / folder)]
    reasons = [f"{folder} has no record: finish it with the study's own command" for folder in missing]
    for path in files_of(study_dir):
        content = (study_dir / path).read_bytes()
        if found := _PATH_HERE.search(content):
            reasons.append(f"{path} names a path of this machine, {found[0].decode()}")
        if path.suffix == ".html" and _PICTURE.search(content):
            reasons.append(f"{path} holds images: build it with roadtest report --no-images")
    if not (study_dir / "report" / "index.html").exists():
        reasons.append("report/index.html is missing: build it with roadtest report --no-images")
    return reasons


def publish(study_dir: Path, destination: Path) -> list[Path]:
    """Copy the study's publishable files; return them."""
    files = files_of(study_dir)
    for path in files:
        (destination / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(study_dir / path, destination / path)
    return files


def main(words: Sequence[str] | None = None) -> int:
    """Check, copy, say how much."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("destination", type=Path)
    options = parser.parse_args(words)
    reasons = reasons_against(options.study)
    if reasons:
        print(f"{options.study} is not published: {'; '.join(reasons)}", file=sys.stderr)
        return 2
    files = publish(options.study, options.destination)
    num_bytes = sum((options.destination / path).stat().st_size for path in files)
    print(f"{len(files)} files, {num_bytes / 1e6:.1f} MB, in {options.destination}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
