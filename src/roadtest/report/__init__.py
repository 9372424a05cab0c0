"""The report of a study: one page that opens anywhere, its figures as files, and its tables for other programs.

Reads the study's folder through `roadtest.analysis` and imports no torch. The page needs no network and no server.
"""

from pathlib import Path


def write_report(
    study_dir: Path,
    *,
    has_images: bool | None = None,
    has_figures: bool = True,
    metric: str | None = None,
    tolerance_points: float | None = None,
) -> Path:
    """Write `report/index.html`, `figures/` and `tables/` into the study and return the page's path.

    `has_images=False` leaves out pixels of the data set (a published study may not show them), and None is what the
    study was asked for; `has_figures=False` leaves out the SVG and PNG files, which take most of the time. `metric`
    None is the study's own, `tolerance_points` None half a point.
    """
    from roadtest.report.build import build_report  # late: brings altair and jinja2

    return build_report(
        study_dir, has_images=has_images, has_figures=has_figures, metric=metric, tolerance_points=tolerance_points
    )
