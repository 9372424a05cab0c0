"""The page in a real browser: every chart drawn, not a word on the console, not a request, no sideways scrolling."""

import contextlib
import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from branched_study import Ends, build_branched_study
from fake_study import build_fake_study
from roadtest.report import write_report

with contextlib.suppress(ImportError):  # where it is missing, the fixture `chromium` skips, or fails where it may not
    from playwright import sync_api as playwright
pytestmark = pytest.mark.browser
EVIL = ["<img src=x onerror=alert(1)>", "</script><script>alert(2)</script>", "x" * 300, "{{ 7 * 7 }}"]


@dataclass
class Visit:
    """A page that was opened, and what it said and asked for meanwhile."""

    page: "playwright.Page"
    messages: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def count(self, selector: str) -> int:
        found: int = self.page.locator(selector).count()
        return found

    @property
    def overflow(self) -> int:
        """Pixels that the page is wider than its window."""
        root = "document.documentElement"
        pixels: int = self.page.evaluate(f"{root}.scrollWidth - {root}.clientWidth")
        return pixels


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    folder = tmp_path_factory.mktemp("reports")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROADTEST_CACHE", str(folder / "cache"))
        six = build_fake_study(folder / "six", failed="vgg16+stn", undertrained="resnet34+stn")
        networks = ["file<b>x</b>.py:build", "timm:" + "very_long_name_" * 12, "lenet5+stn"]
        evil = build_fake_study(folder / "evil", networks=networks, seeds=1, class_names=EVIL, tracks_per_class=10)
        many = [f"class {number}" for number in range(1000)]
        wide = build_fake_study(
            folder / "wide", networks=["lenet5"], seeds=2, class_names=many, tracks_per_class=1, frames_per_track=4
        )
        fast = Ends(wrong=[(60, 40, 30), (50, 40, 20), (40, 40, 10)])
        slow = Ends(wrong=[(300, 60, 5), (320, 50, 5), (310, 40, 5)], epochs=(0.8, 2.5, 5.0))
        budgets = build_branched_study(folder / "budgets", {"lenet5+stn": fast, "vgg16": slow})
        yield {study.name: write_report(study, has_figures=False) for study in (six, evil, wide, budgets)}


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator["playwright.Browser"]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


def visit(browser: "playwright.Browser", path: Path, *, width: int = 1280, scheme: str = "light") -> Visit:
    """Open a page offline and wait until its charts are drawn."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
    opened = Visit(context.new_page())
    opened.page.on("console", lambda message: opened.messages.append(message.text))
    opened.page.on("pageerror", lambda error: opened.messages.append(str(error)))
    opened.page.on("dialog", lambda dialog: (opened.messages.append(dialog.message), dialog.dismiss()))
    opened.page.on("request", lambda request: opened.requests.append(request.url))
    opened.page.goto(path.as_uri())
    opened.page.wait_for_function("document.documentElement.dataset.charts === 'drawn'", timeout=30_000)
    return opened


@pytest.mark.parametrize("name", ["six", "evil", "wide", "budgets"])
@pytest.mark.parametrize("width", [1280, 390])
def test_every_chart_is_drawn_silently_offline_and_within_the_window(
    browser: "playwright.Browser", reports: dict[str, Path], name: str, width: int
) -> None:
    opened = visit(browser, reports[name], width=width)
    assert opened.messages == []
    assert [url for url in opened.requests if not url.startswith("data:")] == [reports[name].as_uri()]
    assert opened.count(".panel") == opened.count(".panel svg") > 8
    assert opened.overflow <= 0
    assert reports[name].stat().st_size < 3_000_000


def test_wide_tables_scroll_inside_their_own_box(browser: "playwright.Browser", reports: dict[str, Path]) -> None:
    opened = visit(browser, reports["six"], width=390)
    box = "document.querySelector('#table-leaderboard .scroll')"
    assert opened.page.evaluate(f"{box}.scrollWidth > {box}.clientWidth")


@pytest.mark.parametrize(("scheme", "is_dark"), [("light", False), ("dark", True)])
def test_text_follows_the_reader_into_the_dark_charts_included(
    browser: "playwright.Browser", reports: dict[str, Path], scheme: str, is_dark: bool
) -> None:
    opened = visit(browser, reports["six"], scheme=scheme)
    brightness = "getComputedStyle({}).{}.match(/[0-9]+/g).slice(0, 3).reduce((a, b) => +a + +b, 0) / 765"
    paper = opened.page.evaluate(brightness.format("document.body", "backgroundColor"))
    axis = opened.page.evaluate(brightness.format("document.querySelector('.role-axis-label text')", "fill"))
    title = opened.page.evaluate(brightness.format("document.querySelector('.role-title-text text')", "fill"))
    assert (paper < 0.2) is is_dark
    assert abs(axis - paper) > 0.4 and abs(title - paper) > 0.6


def test_paper_is_white_and_shows_no_navigation(browser: "playwright.Browser", reports: dict[str, Path]) -> None:
    opened = visit(browser, reports["six"], scheme="dark")
    opened.page.emulate_media(media="print", color_scheme="dark")
    assert opened.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not opened.page.locator("nav").is_visible()
    assert len(opened.page.pdf(format="A4")) > 50_000


def test_class_names_stay_text_under_the_pointer(browser: "playwright.Browser", reports: dict[str, Path]) -> None:
    opened = visit(browser, reports["evil"])
    cells = opened.page.locator("#confusion-0 .mark-rect path")
    for place in range(cells.count()):
        cells.nth(place).hover(force=True)
    tip = opened.page.locator("#vg-tooltip-element")
    assert "onerror" in opened.page.locator("#figure-classes").text_content() + tip.text_content()
    assert opened.count("#vg-tooltip-element img") == 0
    assert opened.messages == []


def test_without_scripts_the_page_still_tells_its_results(
    browser: "playwright.Browser", reports: dict[str, Path]
) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(reports["six"].as_uri())
    # six networks and the line above the undertrained one
    assert page.locator("#table-leaderboard tbody tr").count() == 7
    assert page.locator("h1").is_visible()


def test_a_reader_switches_the_axes_of_accuracy_against_cost(
    browser: "playwright.Browser", reports: dict[str, Path]
) -> None:
    opened = visit(browser, reports["six"])
    title = opened.page.locator("#pareto-view .role-title-text").first
    assert title.text_content() == "Trainable parameters"
    opened.page.locator("#figure-pareto label", has_text="latency").click()
    playwright.expect(title).to_have_text("Median latency of an image, ms")
    opened.page.locator("#figure-pareto label", has_text="test").first.click()
    axis = opened.page.locator("#pareto-view .role-axis-title text", has_text="test accuracy, %")
    playwright.expect(axis).to_have_count(1)
    assert opened.messages == []


def test_a_table_is_copied_as_its_file_has_it(browser: "playwright.Browser", reports: dict[str, Path]) -> None:
    opened = visit(browser, reports["six"])
    spy = "Object.defineProperty(navigator, 'clipboard', { value: { writeText: async (t) => { window.copied = t; } } })"
    opened.page.evaluate(spy)
    for name in ("leaderboard", "stn", "runs"):
        copied = {}
        for kind in ("Markdown", "LaTeX", "CSV"):
            opened.page.locator(f"#table-{name} .copy button", has_text=kind).click()
            copied[kind] = opened.page.evaluate("window.copied")
        files = reports["six"].parent / "tables"
        assert copied["Markdown"].replace("---:", "---") == (files / f"{name}.md").read_text(encoding="utf-8")
        body = (files / f"{name}.tex").read_text(encoding="utf-8").splitlines()[1:]
        assert copied["LaTeX"].splitlines()[1:] == body
        heads, *rows = csv.reader(copied["CSV"].splitlines())
        assert len(rows) == copied["Markdown"].count("\n") - 2 and {len(row) for row in rows} == {len(heads)}
    assert opened.messages == []


def test_copying_works_without_a_clipboard_and_says_so(browser: "playwright.Browser", reports: dict[str, Path]) -> None:
    opened = visit(browser, reports["six"])
    opened.page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    copy = opened.page.locator("#table-stn .copy")
    copy.locator("button").first.click()
    playwright.expect(copy.locator(".copied")).to_have_text("copied")
    assert opened.count("textarea") == 0 and opened.messages == []


def test_a_link_into_a_fold_opens_it(browser: "playwright.Browser", reports: dict[str, Path]) -> None:
    opened = visit(browser, reports["six"])
    table = opened.page.locator("#table-verdicts table")
    assert not table.is_visible()
    opened.page.evaluate("location.hash = '#table-verdicts'")
    playwright.expect(table).to_be_visible()


def test_paper_shows_what_is_folded(browser: "playwright.Browser", reports: dict[str, Path]) -> None:
    opened = visit(browser, reports["six"])
    opened.page.emulate_media(media="print")
    assert opened.page.locator("#table-verdicts table").is_visible()
    assert not opened.page.locator("#figure-pareto .views").is_visible()
    assert not opened.page.locator("#table-verdicts .files").is_visible()
