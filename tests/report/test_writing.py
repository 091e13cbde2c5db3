"""A report is a folder that is either whole or refused in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from forcefree.analysis import Analysis
from forcefree.errors import ForcefreeError
from forcefree.report import write_report, writing


def test_numbers_pictures_and_page_are_written(tmp_path: Path, analysis: Analysis) -> None:
    page = write_report(analysis, tmp_path / "new" / "report")
    assert page == tmp_path / "new" / "report" / "report.html"
    assert Analysis.model_validate_json((page.parent / "report.json").read_text()) == analysis
    assert {"spectrum.png", "bonds.png"} <= {path.name for path in (page.parent / "plots").iterdir()}
    assert not list(tmp_path.rglob("*.partial"))


def test_an_earlier_report_is_replaced(tmp_path: Path, analysis: Analysis) -> None:
    (tmp_path / "report.html").write_text("old")
    assert "<!doctype html>" in write_report(analysis, str(tmp_path)).read_text()


def test_a_full_disk_keeps_the_earlier_report(tmp_path: Path, analysis: Analysis, monkeypatch: pytest.MonkeyPatch) -> None:
    page = write_report(analysis, tmp_path)
    before = page.read_bytes()

    def full(self: Path, content: bytes) -> int:
        with self.open("wb") as file:
            file.write(content[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writing.Path, "write_bytes", full)
    with pytest.raises(ForcefreeError, match=r"cannot be written to .*: No space left on device; free space"):
        write_report(analysis, tmp_path)
    assert page.read_bytes() == before
    assert not list(tmp_path.rglob("*.partial"))


def test_a_file_in_the_way_is_named(tmp_path: Path, analysis: Analysis) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(ForcefreeError, match="taken"):
        write_report(analysis, tmp_path / "taken")
