"""The page stands alone, says what the numbers say, and cannot be broken by what it is fed."""

from __future__ import annotations

import base64
import json
import re
from html.parser import HTMLParser

import pytest

from forcefree.analysis import Analysis
from forcefree.report.movie import Clip, clips
from forcefree.report.page import number, render, script, value
from forcefree.report.plots import draw

PIXEL = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")


class _Reader(HTMLParser):
    """Collects addresses, ids, scripts and whether every element is closed."""

    void = frozenset({"meta", "link", "img", "input", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.scripts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [v or "" for k, v in attrs if k in {"src", "href", "action"}]
        if tag not in self.void:
            self.open.append(tag)
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts[-1] += data


@pytest.fixture(scope="module")
def page(analysis: Analysis) -> str:
    return render(analysis, draw(analysis), clips(analysis))


@pytest.fixture(scope="module")
def reader(page: str) -> _Reader:
    found = _Reader()
    found.feed(page)
    found.close()
    return found


def test_nothing_is_fetched(reader: _Reader, page: str) -> None:
    assert reader.addresses
    assert all(address.startswith("data:") for address in reader.addresses)
    assert "default-src 'none'" in page
    assert not re.search(r"@import|url\((?!data:)", page.split("</style>")[0])


def test_the_markup_is_well_formed_and_the_library_whole(reader: _Reader) -> None:
    assert reader.open == []
    data, library, player = reader.scripts
    assert len(library) > 400_000
    assert "createViewer" in player
    shown = json.loads(data)
    assert [clip["title"] for clip in shown] == ["Trajectory: run_0000", "Reference: run_0000"]
    assert shown[0]["bonds"] == [[0, 1], [0, 2], [1, 3]]


def test_every_measure_is_in_the_table_with_its_verdict(page: str, analysis: Analysis) -> None:
    for measure in analysis.measures:
        row = page[page.index(f"<td>{measure.label}") :].split("</tr>")[0]
        assert f">{measure.verdict}</span>" in row
        assert value(measure.model, measure.model_error) in row
    assert analysis.conclusion in page.replace("&#39;", "'")


def test_sentences_from_files_are_escaped(page: str) -> None:
    assert "a bond &lt;b&gt;broke&lt;/b&gt;" in page
    assert "a bond <b>broke" not in page


def test_a_clip_cannot_end_its_script(analysis: Analysis) -> None:
    nasty = Clip("</script><!-- <script>alert(1)", "1\nframe\nH 0 0 0\n", [], 0.0, 1.0, False)
    reader = _Reader()
    reader.feed(render(analysis, {}, [nasty]))
    assert len(reader.scripts) == 3
    assert json.loads(reader.scripts[0].replace("<\\!--", "<!--"))[0]["title"] == nasty.title


def test_without_clips_there_is_no_viewer(analysis: Analysis) -> None:
    page = render(analysis, {"temperatures": PIXEL}, [])
    assert "<script" not in page
    assert 'id="viewer"' not in page


def test_an_analysis_of_the_bare_minimum_renders(analysis: Analysis) -> None:
    bare = analysis.model_copy(
        update={"spectrum": None, "energies": None, "distributions": [], "stopped": [], "notes": [], "measures": analysis.measures[:1]}
    )
    assert "Headline numbers" in render(bare, draw(bare), [])


@pytest.mark.parametrize(
    ("quantity", "text"),
    [
        (None, "–"),
        (0.0, "0"),
        (1.2345, "1.23"),
        (123456.0, "123456"),
        (300.4, "300"),
        (0.012345, "0.0123"),
        (2.3e-7, "2.3e-07"),
        (-4.5, "-4.5"),
        (99.96, "100"),
        (999.6, "1000"),
        (-999.7, "-1000"),
        (0.99996, "1"),
    ],
)
def test_numbers_for_people(quantity: float | None, text: str) -> None:
    assert number(quantity) == text


@pytest.mark.parametrize(
    ("quantity", "error", "text"),
    [
        (300.123, 4.2, "300 ± 4"),
        (300.123, 0.42, "300.1 ± 0.4"),
        (300.123, 1.2, "300.1 ± 1.2"),
        (-0.001, 1.4, "0.0 ± 1.4"),
        (1234.6, 42.0, "1235 ± 42"),
        (1.5, None, "1.5"),
        (1.5, 0.0, "1.5"),
        (None, 1.0, "–"),
    ],
)
def test_values_with_errors(quantity: float | None, error: float | None, text: str) -> None:
    assert value(quantity, error) == text


def test_scripts_are_made_safe_without_changing_their_strings() -> None:
    source = 'var a = "</script>";'
    assert "</script" not in script(source)
    assert json.loads(script(json.dumps("</a>"))) == "</a>"
