"""Every figure as the page draws it and as files: complete, legible in grey and on dark, room for points and names."""

import json
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import altair as alt
import pytest
import vl_convert
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fake_study import build_fake_study
from roadtest.analysis import leaderboard_rows, read_results
from roadtest.analysis.costs import COSTS
from roadtest.report.blocks import Context, unfold
from roadtest.report.build import build_sections
from roadtest.report.charts import (
    QUIET,
    WITH,
    WITHOUT,
    Bar,
    CostPoint,
    Figure,
    IntervalPoint,
    cost_domains,
    draw_bars,
    interval_domain,
    place_labels,
    spread,
    unchecked,
    vega_bundle,
    write_figure_files,
)
from roadtest.report.sections import errors
from roadtest.report.sections.costs import cost_points
from roadtest.report.sections.curves import curve_columns, curve_figures
from roadtest.report.sections.errors import class_points, confusion_cells
from roadtest.report.sections.pairs import difference_figure, difference_points

PAPER, DARK_PAPER = "#ffffff", "#15181b"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("studies") / "six"
    return build_fake_study(folder, failed="vgg16+stn", undertrained="resnet34+stn")


@pytest.fixture(scope="module")
def figures(study: Path) -> dict[str, Figure]:
    return figures_of(study)


def figures_of(study: Path) -> dict[str, Figure]:
    sections = build_sections(Context(results=read_results(study)))
    blocks = [block for section in sections for block in unfold(section.blocks)]
    return {block.name: block for block in blocks if isinstance(block, Figure)}


@unchecked()
def curves_of(study: Path) -> dict[str, Figure]:
    """The learning curves alone."""
    return {figure.name: figure for figure in curve_figures(read_results(study))}


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


@pytest.mark.slow
def test_all_figures_of_the_report_are_there(figures: dict[str, Figure]) -> None:
    names = ["accuracy", "differences", "pareto", "costs", "stn-gain", "classes", "confusion"]
    assert sorted(figures) == sorted([*names, "curves-lenet5", "curves-resnet34", "curves-vgg16"])


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
    scales = [spec["layer"][0]["encoding"]["y"]["scale"] for spec in specs]
    assert scales[0] == scales[1] and scales[2] == scales[3]


def test_a_long_label_keeps_its_end_and_a_number_has_room_behind_its_bar() -> None:
    bars = [
        Bar(label="timm:mobilenetv3_small_100+stn", cost=60.0, text="1 min 00 s", has_stn=True),
        Bar(label="timm:mobilenetv3_small_100", cost=30.0, text="30 s", has_stn=False),
    ]
    panel = draw_bars(bars, "Training time of a run")
    spec = {**panel.chart.properties(width=190).to_dict(), "config": {"view": {"stroke": None}}}
    drawn = ElementTree.fromstring(vl_convert.vegalite_to_svg(spec))
    texts = {"".join(node.itertext()): node for node in drawn.iter("{http://www.w3.org/2000/svg}text")}
    assert {"…tv3_small_100+stn", "…lenetv3_small_100"} <= set(texts)
    number = re.search(r"translate\(([\d.]+),", texts["1 min 00 s"].get("transform", ""))
    assert number and float(number[1]) + 6 * len("1 min 00 s") <= 190


def test_one_or_two_seeds_are_lines_and_three_are_a_band(tmp_path: Path, figures: dict[str, Figure]) -> None:
    two = curves_of(build_fake_study(tmp_path / "s", networks=["lenet5"], seeds=2, class_names=["a", "b"]))
    assert "layer" not in two["curves-lenet5"].page_specs()[0]
    assert "one line a seed" in two["curves-lenet5"].caption
    marks = [layer["mark"]["type"] for layer in figures["curves-lenet5"].page_specs()[0]["layer"]]
    assert marks == ["area", "line", "area", "line"]
    assert "the median of the seeds, in a band" in figures["curves-lenet5"].caption


def test_training_and_validation_differ_in_more_than_colour(tmp_path: Path, figures: dict[str, Figure]) -> None:
    one = curves_of(build_fake_study(tmp_path / "s", networks=["lenet5"], seeds=1, class_names=["a", "b"]))
    dashes = one["curves-lenet5"].page_specs()[0]["encoding"]["strokeDash"]["scale"]["range"]
    assert dashes == [[1, 0], [4, 3]]
    layers = figures["curves-lenet5"].page_specs()[0]["layer"]
    assert [layer["mark"]["strokeDash"] for layer in layers if layer["mark"]["type"] == "line"] == [[4, 3], [1, 0]]


def test_every_pair_has_both_intervals_and_its_verdict(study: Path) -> None:
    rows, num_pairs = difference_points(read_results(study))
    assert len(rows) == num_pairs == 10  # five compared networks
    for row in rows:
        assert row.low is not None and row.high is not None and row.low < row.value < row.high
        if row.seeds_low is not None and row.seeds_high is not None:  # a network that lost a seed has none
            assert row.seeds_low < row.value < row.seeds_high
    assert {row.verdict for row in rows} <= {"separated", "not separated", "not judged"}


@pytest.mark.slow
def test_a_reader_may_switch_both_axes_of_accuracy_against_cost(figures: dict[str, Figure]) -> None:
    costs = ("parameters", "MACs", "size", "training time", "latency", "memory")
    views = figures["pareto"].view_specs()
    assert list(views) == [f"{cost}, {part}" for part in ("validation", "test") for cost in costs]
    assert figures["pareto"].page_specs() == []
    # saved files show validation against all costs, beside each other
    assert len(figures["pareto"].file_spec()["concat"]) == 6


@pytest.mark.slow
def test_accuracy_against_cost_carries_its_interval(study: Path) -> None:
    for part in ("val", "test"):
        for point in cost_points(leaderboard_rows(study), COSTS[0], part):
            assert point.low is not None and point.high is not None and point.low < point.accuracy < point.high


def test_costs_are_set_against_validation_accuracy_with_the_front_marked(study: Path) -> None:
    board = leaderboard_rows(study)
    rows = cost_points(board, COSTS[0])
    assert {row.label for row in rows} == {"lenet5", "lenet5+stn", "vgg16", "vgg16+stn", "resnet34"}
    means = {f"{row['network']}{'+stn' if row['has_stn'] else ''}": row["val_accuracy_mean"] for row in board}
    assert all(row.accuracy == 100 * means[row.label] for row in rows)
    # vgg16 has more parameters than resnet34 and validates worse
    assert [row.is_front for row in rows if row.label == "vgg16"] == [False]


def test_undertrained_networks_show_their_costs_and_curves_but_no_accuracy_beside_others(
    figures: dict[str, Figure],
) -> None:
    assert "resnet34+stn" not in json.dumps(figures["accuracy"].page_specs())
    assert "resnet34+stn" not in json.dumps(figures["pareto"].view_specs())
    assert "resnet34+stn" in json.dumps(figures["costs"].page_specs())
    assert "resnet34+stn" in json.dumps(figures["curves-resnet34"].page_specs())


def test_a_loss_that_blew_up_is_a_gap_and_not_a_crash(tmp_path: Path) -> None:
    study = build_fake_study(tmp_path / "s", networks=["lenet5"], seeds=1)
    path = study / "lenet5" / "seed-0" / "epochs.csv"
    lines = path.read_text().splitlines()
    lines[3] = lines[3].rsplit(",", 1)[0] + ",nan"
    path.write_text("\n".join(lines) + "\n")
    results = read_results(study)
    assert curve_columns(results, results.variants[0])["val_loss"][2] is None
    assert "NaN" not in json.dumps([[*f.page_specs(), f.view_specs()] for f in figures_of(study).values()])


def test_of_too_many_classes_the_confused_ones_are_drawn(tmp_path: Path) -> None:
    names = [f"class {number}" for number in range(300)]
    study = build_fake_study(
        tmp_path / "s", networks=["lenet5"], seeds=1, class_names=names, tracks_per_class=1, frames_per_track=3
    )
    results = read_results(study)
    cells, classes = confusion_cells(results, results.variants[0])
    assert len(classes) <= errors.MAX_CLASSES
    assert any(cell.is_error for cell in cells)
    assert len(class_points(results, results.variants[0])) <= errors.MAX_CLASSES


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
    curves = list(curves_of(build_fake_study(tmp_path / "s", networks=networks, seeds=1, tracks_per_class=1)))
    assert len(set(curves)) == 5 and all(name.startswith("curves-") for name in curves)
    assert all("/" not in name and ":" not in name and len(name) < 100 for name in curves)


@pytest.mark.slow
def test_every_chart_is_what_vega_lite_allows(figures: dict[str, Figure]) -> None:
    # altair checks nothing while the page is built
    for figure in figures.values():
        for spec in (*figure.page_specs()[:2], *[*figure.view_specs().values()][:1]):
            alt.LayerChart.from_dict(spec) if "layer" in spec else alt.Chart.from_dict(spec)


def test_a_chart_that_vega_lite_does_not_know_would_be_found(figures: dict[str, Figure]) -> None:
    spec = figures["accuracy"].page_specs()[0]
    spec["layer"][0]["mark"]["type"] = "blob"
    with pytest.raises(Exception, match="On instance"):
        alt.LayerChart.from_dict(spec)


def test_differences_are_named_by_the_metric_that_chooses(study: Path) -> None:
    results = read_results(study, metric="macro-f1")
    with unchecked():
        figure = difference_figure(Context(results=results))
    assert figure is not None
    assert '"difference in macro-F1, percentage points"' in json.dumps(figure.page_specs())


POSITIVE = st.floats(1e-6, 1e12, allow_nan=False)


@given(st.lists(st.tuples(POSITIVE, st.floats(0, 100)), min_size=1, max_size=8))
def test_every_point_lies_inside_its_axes(points: list[tuple[float, float]]) -> None:
    costs, accuracies = cost_domains(cost_points_at(*points))
    assert all(costs[0] < cost < costs[1] for cost, _ in points)
    assert all(accuracies[0] < accuracy < accuracies[1] for _, accuracy in points)


def interval(set: str, value: float, low: float, high: float) -> IntervalPoint:
    return IntervalPoint(label="a", has_stn=False, set=set, n=3, value=value, low=low, high=high)


def test_a_wide_validation_interval_may_leave_the_frame_and_a_test_interval_may_not() -> None:
    low, high = interval_domain([interval("test", 97.0, 95.0, 98.0), interval("validation", 98.0, 20.0, 100.0)])
    assert 90 < low < 95 and 98 < high <= 100


def test_a_validation_interval_that_is_little_wider_lies_inside() -> None:
    low, high = interval_domain([interval("test", 95.0, 91.3, 97.1), interval("validation", 97.4, 91.8, 99.2)])
    assert low < 91.3 and 99.2 < high <= 100


def test_the_axis_of_gains_always_shows_zero() -> None:
    low, high = interval_domain([interval("test", 2.0, 1.0, 3.0)], has_zero=True)
    assert low < 0 < 3.0 < high


def cost_points_at(*places: tuple[float, float], is_front: bool = True) -> list[CostPoint]:
    return [
        CostPoint(
            label=f"network-{n}",
            has_stn=False,
            cost=cost,
            text="",
            accuracy=accuracy,
            low=None,
            high=None,
            is_front=is_front,
        )
        for n, (cost, accuracy) in enumerate(places)
    ]


def test_names_of_neighbours_stand_on_different_sides() -> None:
    placed = place_labels(cost_points_at((1.0, 90.0), (100.0, 97.0), (110.0, 97.2)))
    assert placed[1].place != placed[2].place


def test_a_crowd_off_the_front_is_left_to_the_pointer() -> None:
    first, *others = cost_points_at(*((10.0 + 0.01 * n, 95.0 + 0.01 * n) for n in range(30)))
    placed = place_labels([first, *(replace(other, is_front=False) for other in others)])
    assert placed[0].place != "none"
    assert sum(point.place == "none" for point in placed) >= 8


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_points_need_no_care(count: int) -> None:
    assert len(place_labels(cost_points_at(*[(1.0, 50.0)] * count))) == count


def test_names_move_apart_keep_their_order_and_stay_inside() -> None:
    assert spread([50.0, 20.0], 5.0, (0.0, 100.0)) == [50.0, 20.0]
    assert spread([99.0, 99.5, 98.0], 2.0, (90.0, 100.0)) == [97.5, 99.5, 95.5]
    assert spread([90.0, 90.5], 2.0, (90.0, 100.0)) == [90.0, 92.0]
