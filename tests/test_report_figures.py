"""Every figure as the page draws it and as files: complete, legible in grey and on dark, and small enough."""

import json
import re
from pathlib import Path

import pytest
from PIL import Image

from fake_study import build_fake_study
from roadtest.report import figure_rows as rows_of
from roadtest.report.figures import Figure, vega_bundle, write_figure_files
from roadtest.report.gallery import build_figures
from roadtest.report.style import QUIET, WITH, WITHOUT
from roadtest.summarise import leaderboard_rows, read_results

PAPER, DARK_PAPER = "#ffffff", "#15181b"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("studies") / "six"
    return build_fake_study(folder, failed="vgg16+stn", undertrained="resnet34+stn")


@pytest.fixture(scope="module")
def figures(study: Path) -> dict[str, Figure]:
    return figures_of(study)


def figures_of(study: Path) -> dict[str, Figure]:
    results = read_results(study)
    sections = build_figures(results, leaderboard_rows(results))
    return {figure.name: figure for section in sections.values() for figure in section}


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    bright, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("colour", [WITHOUT, WITH, QUIET])
def test_colours_stand_out_on_white_and_on_dark_paper(colour: str) -> None:
    assert contrast(colour, PAPER) >= 3
    assert contrast(colour, DARK_PAPER) >= 3


def test_all_figures_of_the_report_are_there(figures: dict[str, Figure]) -> None:
    names = ["accuracy", "pareto", "costs", "curves-lenet5", "curves-resnet34", "curves-vgg16", "stn-gain", "classes"]
    assert sorted(figures) == sorted([*names, "confusion"])


def test_with_and_without_the_stn_stand_side_by_side_on_equal_axes(figures: dict[str, Figure]) -> None:
    figure = figures["curves-lenet5"]
    specs = figure.page_specs()
    assert figure.num_columns == 2
    assert [spec["title"] for spec in specs] == [
        "lenet5: accuracy, %",
        "lenet5+stn: accuracy, %",
        "lenet5: loss, nats",
        "lenet5+stn: loss, nats",
    ]
    scales = [spec["encoding"]["y"]["scale"] for spec in specs]
    assert scales[0] == scales[1] and scales[2] == scales[3]


def test_training_and_validation_differ_in_more_than_colour(figures: dict[str, Figure]) -> None:
    spec = figures["curves-lenet5"].page_specs()[0]
    assert spec["encoding"]["strokeDash"]["scale"]["range"] == [[1, 0], [4, 3]]


def test_costs_are_set_against_validation_accuracy_with_the_front_marked(study: Path) -> None:
    board = leaderboard_rows(study)
    rows = rows_of.cost_rows(board, rows_of.COSTS[0])
    assert {row["label"] for row in rows} == {"lenet5", "lenet5+stn", "vgg16", "vgg16+stn", "resnet34"}
    means = {f"{row['network']}{'+stn' if row['has_stn'] else ''}": row["val_accuracy_mean"] for row in board}
    assert all(row["accuracy"] == 100 * means[row["label"]] for row in rows)
    # vgg16 has more parameters than resnet34 and validates worse
    assert [row["is_front"] for row in rows if row["label"] == "vgg16"] == [False]


def test_undertrained_networks_show_their_costs_and_curves_but_no_accuracy_beside_others(
    figures: dict[str, Figure],
) -> None:
    assert "resnet34+stn" not in json.dumps(figures["accuracy"].page_specs())
    assert "resnet34+stn" not in json.dumps(figures["pareto"].page_specs())
    assert "resnet34+stn" in json.dumps(figures["costs"].page_specs())
    assert "resnet34+stn" in json.dumps(figures["curves-resnet34"].page_specs())


def test_long_curves_are_thinned_and_keep_both_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = build_fake_study(tmp_path / "s", networks=["lenet5"], seeds=1, num_evaluations=200)
    monkeypatch.setattr(rows_of, "MAX_CURVE_ROWS", 50)
    results = read_results(study)
    epochs = rows_of.curve_columns(results, results.variants[0])["epoch"]
    assert len(epochs) == 50
    assert (epochs[0], epochs[-1]) == (1.0, 200.0)


def test_a_loss_that_blew_up_is_a_gap_and_not_a_crash(tmp_path: Path) -> None:
    study = build_fake_study(tmp_path / "s", networks=["lenet5"], seeds=1)
    path = study / "lenet5" / "seed-0" / "epochs.csv"
    lines = path.read_text().splitlines()
    lines[3] = lines[3].rsplit(",", 1)[0] + ",nan"
    path.write_text("\n".join(lines) + "\n")
    results = read_results(study)
    assert rows_of.curve_columns(results, results.variants[0])["val_loss"][2] is None
    assert "NaN" not in json.dumps([f.page_specs() for f in figures_of(study).values()])


def test_of_too_many_classes_the_confused_ones_are_drawn(tmp_path: Path) -> None:
    names = [f"class {number}" for number in range(300)]
    study = build_fake_study(
        tmp_path / "s", networks=["lenet5"], seeds=1, class_names=names, tracks_per_class=1, frames_per_track=3
    )
    results = read_results(study)
    cells, classes = rows_of.confusion_cells(results, results.variants[0], "test")
    assert len(classes) <= rows_of.MAX_CLASSES
    assert any(cell["is_error"] for cell in cells)
    assert len(rows_of.class_accuracy_rows(results, results.variants[0], "test")) <= rows_of.MAX_CLASSES


@pytest.mark.slow
def test_every_figure_is_saved_as_svg_and_png_and_none_is_empty(figures: dict[str, Figure], tmp_path: Path) -> None:
    write_figure_files(list(figures.values()), tmp_path)
    for name in figures:
        svg = (tmp_path / f"{name}.svg").read_text()
        if name.startswith("curves-"):
            # left without, right with the STN, each in its own colour
            assert WITHOUT in svg and WITH in svg
        assert "e+" not in "".join(re.findall(r">([^<]+)</text>", svg))
        assert svg.startswith("<svg") and svg.count("<path") + svg.count("<line") > 5
        with Image.open(tmp_path / f"{name}.png") as image:
            assert image.width > 600
            assert len(image.convert("RGB").resize((64, 64)).getcolors(64 * 64) or []) > 8


def test_the_bundle_is_built_once_and_read_ever_after(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr("vl_convert.javascript_bundle", lambda: calls.append(1) or "window.vegaEmbed = 1;")
    assert vega_bundle(tmp_path) == vega_bundle(tmp_path) == "window.vegaEmbed = 1;"
    assert len(calls) == 1


def test_a_cache_that_cannot_be_written_costs_time_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setattr("vl_convert.javascript_bundle", lambda: "window.vegaEmbed = 1;")
    assert vega_bundle(blocked) == "window.vegaEmbed = 1;"


def test_names_of_figure_files_are_safe_and_stay_apart(tmp_path: Path) -> None:
    networks = ["../../x", "a/b", "a:b", "n" * 200 + "1", "n" * 200 + "2"]
    names = figures_of(build_fake_study(tmp_path / "s", networks=networks, seeds=1, tracks_per_class=1))
    curves = [name for name in names if name.startswith("curves-")]
    assert len(set(curves)) == 5
    assert all("/" not in name and ":" not in name and len(name) < 100 for name in curves)
