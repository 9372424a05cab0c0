"""The page as a file: self-contained, small, escaped, complete whatever state a study is in."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from benchmarks.same_outputs import page_text
from fake_study import SIX, build_fake_study
from roadtest.records import read_rows
from roadtest.records.files import write_config
from roadtest.report import build, write_report

EVIL_NAMES = (
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(2)</script>",
    "\"quotes\" & 'more'",
    "{{ 7 * 7 }}",
    "<!--",
    "x" * 300,
    "日本語",
)
STATES: dict[str, dict[str, Any]] = {
    "one network": {"networks": ["lenet5"], "seeds": 1},
    "no test set": {"networks": ["lenet5", "vgg16"], "seeds": 1, "has_test": False},
    "test not read": {"networks": ["lenet5", "vgg16"], "seeds": 1, "reads_test": False},
    "nothing finished": {"unfinished": SIX, "has_latency": False},
    "all undertrained": {"networks": ["lenet5"], "seeds": 2, "undertrained": "lenet5"},
    "all failed": {"networks": ["lenet5"], "seeds": 1, "failed": "lenet5", "has_latency": False},
    "no latency, no pictures": {"networks": ["lenet5+stn"], "seeds": 1, "has_latency": False, "has_examples": False},
    "ten seeds": {"networks": ["lenet5"], "seeds": 10, "tracks_per_class": 10, "class_names": ["a", "b", "c"]},
    "two classes": {"networks": ["lenet5", "lenet5+stn"], "seeds": 3, "class_names": ["no", "yes"]},
    "large images": {"networks": ["lenet5+stn"], "seeds": 1, "image_size": 300, "tracks_per_class": 1},
}


class Page(HTMLParser):
    """What a browser would ask for, which ids there are, and all text outside scripts and styles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.requests: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.texts: list[str] = []
        self._silent = ""
        self.feed(html.replace("<wbr>", ""))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.tags.append(tag)
        self._silent = tag if tag in ("script", "style") else self._silent
        self.requests += [values[name] or "" for name in ("src", "srcset", "data") if name in values]
        self.requests += [values["href"] or ""] if tag == "link" else []
        self.links += [values["href"] or ""] if tag == "a" else []
        self.ids += [values["id"] or ""] if "id" in values else []

    def handle_endtag(self, tag: str) -> None:
        self._silent = "" if tag == self._silent else self._silent

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


@pytest.fixture(autouse=True, scope="module")
def short_bundle() -> Iterator[None]:
    """The charts' libraries take a second and a half to put together; test_report_browser.py has them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "vega_bundle", lambda cache_dir: "window.vegaEmbed = async () => {};")
        yield


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six networks, of which one seed failed, and a table that an older report left behind."""
    folder = tmp_path_factory.mktemp("studies") / "six"
    build_fake_study(folder, failed="vgg16+stn", undertrained="resnet34+stn", notes=["A part of GTSRB only."])
    (folder / "report" / "tables").mkdir(parents=True)
    (folder / "report" / "tables" / "of-yesterday.csv").write_text("x\n")
    return folder


@pytest.fixture(scope="module")
def html(study: Path, short_bundle: None) -> str:
    return write_report(study, has_figures=False).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def read_page(study: Path, **options: bool) -> Page:
    return Page(write_report(study, has_figures=False, **options).read_text(encoding="utf-8"))


def test_the_first_screen_says_what_won_by_how_much_from_how_many_where_and_how(page: Page) -> None:
    # every word of a page stands in tests/golden/page.txt
    first = page.text[: page.text.index("Figure 1.")]
    for words in ("Use ", "95 % interval", "1,290 test images", "Example CPU", "17 of 18 runs", "A part of GTSRB"):
        assert words in first, words


def test_the_page_has_one_headline_and_the_pictures_of_every_network(page: Page) -> None:
    assert page.tags.count("h1") == 1
    # 24 worst images, and eight before and after for each of three networks with an STN
    assert page.tags.count("img") == 24 + 3 * 16


def test_the_page_asks_for_nothing_and_links_only_to_its_own_files(page: Page) -> None:
    assert all(request.startswith("data:") for request in page.requests)
    assert all(link.startswith(("#", "tables/", "figures/")) for link in page.links)
    assert all(link[1:] in page.ids for link in page.links if link.startswith("#"))
    assert len(page.ids) == len(set(page.ids))


def test_a_percent_sign_never_stands_alone_on_a_line(html: str) -> None:
    assert "95\u00a0% interval" in html and "95 % interval" not in Page(html).texts


def test_readers_without_scripts_get_each_figure_in_words(page: Page) -> None:
    # all figures but nine tables and three strips of pictures
    assert page.text.count("This chart needs scripts") == page.tags.count("figure") - 9 - 3


def test_linked_files_are_there(study: Path, page: Page) -> None:
    linked = [link for link in page.links if not link.startswith("#")]
    assert len(linked) > 10
    assert all((study / "report" / link).stat().st_size > 0 for link in linked)


def test_every_figure_and_table_has_its_number_and_a_link_of_its_own(page: Page) -> None:
    for kind, count in (("figure", 10), ("table", 9)):
        numbers = [int(number) for number in re.findall(rf"{kind.capitalize()} (\d+)\.", page.text)]
        assert numbers == list(range(1, count + 1))
        anchors = [link[1:] for link in page.links if link.startswith(f"#{kind}-")]
        assert sorted(anchors) == sorted(name for name in page.ids if name.startswith(f"{kind}-"))


@pytest.mark.slow
def test_what_was_not_judged_has_no_letters_and_nothing_is_called_equal(tmp_path: Path) -> None:
    text = read_page(build_fake_study(tmp_path / "s", networks=["lenet5", "vgg16"], seeds=2)).text
    assert "Not judged: needs 3 seeds" in text and "--seeds 5 --out" in text
    assert "Letters" not in text and "Verdict" not in text
    assert not re.search(r"(is|are|be) equal|equally|equal to", text)


@pytest.mark.slow
@pytest.mark.parametrize("state", STATES)
def test_the_page_copes_with(state: str, tmp_path: Path) -> None:
    study = build_fake_study(tmp_path / "s", **STATES[state])
    path = write_report(study, has_figures=False)
    page = Page(path.read_text(encoding="utf-8"))
    assert "Leaderboard" in page.text and "How to repeat it" in page.text
    assert "None" not in page.text and "nan" not in page.text.replace("resonan", "")
    assert path.stat().st_size < 2_000_000


def test_a_missing_test_set_is_said_and_never_filled_from_validation(tmp_path: Path) -> None:
    study = build_fake_study(tmp_path / "s", networks=["lenet5"], seeds=1, has_test=False)
    page = read_page(study)
    assert "no test set" in page.text
    assert "No test set was read" in page.text
    row = read_rows(study / "report" / "tables" / "leaderboard.csv")[0]
    assert row["test_accuracy_mean"] == row["test_loss_mean"] == ""


@pytest.mark.slow
def test_what_is_written_in_a_study_is_text_and_never_markup(tmp_path: Path) -> None:
    study = build_fake_study(
        tmp_path / "s",
        networks=["file<b>x</b>.py:build", "lenet5+stn"],
        seeds=2,
        class_names=EVIL_NAMES,
        notes=["<b>a note</b>"],
        data_title="<script>alert(3)</script>",
        command="roadtest compare \"<i>x</i>\" '50 %'",
        failed="lenet5+stn",
    )
    html = write_report(study, has_figures=False).read_text(encoding="utf-8")
    page = Page(html)
    assert not {"b", "i"} & set(page.tags) - {"b"} and "file<b>x</b>.py:build" in page.text
    assert "<script>alert(3)</script>" in page.text and "{{ 7 * 7 }}" in page.text
    assert "'50 %'" in html.replace("&#39;", "'")  # a command is copied as it is, without fixed spaces
    assert page.tags.count("script") == 3
    assert "onerror" not in re.sub(r"&lt;img.*?&gt;|\\u003cimg.*?\\u003e", "", html)


def test_a_long_name_breaks_after_its_slashes_and_colons(tmp_path: Path) -> None:
    study = build_fake_study(tmp_path / "s", networks=["mine/nets.py:build"], seeds=1, tracks_per_class=1)
    html = write_report(study, has_figures=False).read_text(encoding="utf-8")
    assert '<span class="name">mine/<wbr>nets.py:<wbr>build' in html
    assert "<h1>mine/<wbr>nets.py:<wbr>build is the network that was tested</h1>" in html


@pytest.mark.slow
def test_pictures_stay_out_where_they_are_not_wanted(tmp_path: Path) -> None:
    study = build_fake_study(tmp_path / "s", networks=["lenet5", "lenet5+stn"], seeds=1)
    page = read_page(study, has_images=False)
    assert "img" not in page.tags
    assert page.text.count("Pictures were left out of this page.") == 2


@pytest.mark.slow
def test_pictures_that_compare_left_out_do_not_come_back_by_themselves(tmp_path: Path) -> None:
    study = build_fake_study(tmp_path / "s", networks=["lenet5", "lenet5+stn"], seeds=1)
    write_config(study / "study.toml", {"source": "gtsrb", "has_images": False})
    assert "img" not in read_page(study).tags
    assert "img" in read_page(study, has_images=True).tags
    write_config(study / "study.toml", {"source": "gtsrb", "has_images": True})
    assert "img" in read_page(study).tags
    assert "img" not in read_page(study, has_images=False).tags


def test_a_study_published_without_its_pictures_says_so(tmp_path: Path) -> None:
    page = read_page(build_fake_study(tmp_path / "s", networks=["lenet5+stn"], seeds=1, has_examples=False))
    assert "This copy of the study holds no pictures of test images." in page.text


def test_a_picture_file_of_another_shape_is_refused_with_its_name(tmp_path: Path) -> None:
    import numpy as np

    study = build_fake_study(tmp_path / "s", networks=["lenet5"], seeds=1)
    path = study / "lenet5" / "seed-0" / "examples.npz"
    np.savez(path, worst_images_NHWC=np.zeros((3, 8, 8)), worst_ids_N=np.arange(3))
    with pytest.raises(ValueError, match=r"worst_images_NHWC is float64 \(3, 8, 8\)"):
        read_page(study)


def test_a_picture_file_that_is_no_picture_file_is_refused_with_its_name(tmp_path: Path) -> None:
    study = build_fake_study(tmp_path / "s", networks=["lenet5"], seeds=1)
    (study / "lenet5" / "seed-0" / "examples.npz").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"examples\.npz is damaged"):
        read_page(study)


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
@pytest.mark.parametrize("name", ["report", "report/tables", "report/figures"])
def test_a_link_never_leads_a_report_out_of_its_study(name: str, tmp_path: Path) -> None:
    study = build_fake_study(tmp_path / "s", networks=["lenet5"], seeds=1, has_examples=False)
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    for file in ("a.csv", "b.svg", "c.png"):
        (theirs / file).touch()
    (study / name).parent.mkdir(exist_ok=True)
    (study / name).symlink_to(theirs)
    with pytest.raises(ValueError, match=f"{name} is a link: what is written lies inside"):
        read_page(study)
    assert sorted(path.name for path in theirs.iterdir()) == ["a.csv", "b.svg", "c.png"]


READ = ("leaderboard", "accuracies", "metrics", "verdicts", "runs", "latency", "stn", "classes", "pairs")


def test_tables_lie_beside_the_page_and_older_ones_go(study: Path, page: Page) -> None:
    names = {path.name for path in (study / "report" / "tables").iterdir()}
    assert names == {
        *(f"{name}.csv" for name in ("leaderboard", "runs", "latency", "stn", "verdicts", "classes", "confusion")),
        *(f"{name}.{kind}" for name in READ for kind in ("md", "tex")),
    }


@pytest.mark.slow
def test_building_a_page_needs_no_torch(study: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from roadtest.report import build, write_report;"
        "build.vega_bundle = lambda cache_dir: '';"
        f"write_report(Path({str(study)!r}), has_figures=False); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_importing_the_report_brings_neither_altair_nor_jinja() -> None:
    code = "import sys, roadtest.report; assert not {'altair', 'jinja2', 'vl_convert'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_data_that_are_no_signs_are_not_spoken_of_as_signs(tmp_path: Path) -> None:
    study = build_fake_study(tmp_path / "s", networks=["lenet5", "vgg16"], seeds=3)
    assert "on new signs of this kind" in read_page(study).text
    path = study / "study.json"
    path.write_text(path.read_text().replace('"subject": "signs"', '"subject": "images"'))
    text = read_page(study).text
    assert "on new images of this kind" in text and "new signs" not in text
    assert not any("new signs" in table.read_text() for table in (study / "report" / "tables").glob("*.md"))


@pytest.mark.slow
def test_a_folder_with_sign_in_its_name_is_not_about_signs(tmp_path: Path) -> None:
    study = build_fake_study(tmp_path / "study", seeds=3, data_title="design-icons", has_examples=False)
    plain = json.loads((study / "study.json").read_text())
    (study / "study.json").write_text(json.dumps({**plain, "source": "design-icons", "subject": "images"}))
    page = page_text(write_report(study, has_figures=False).read_text(encoding="utf-8"))
    assert "on new images of this kind" in page and "new signs" not in page
