"""Configuration files: what is right is frozen, what is wrong is one sentence."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

import pytest
from pydantic import Field, ValidationError

from forcefree.errors import ForcefreeError
from forcefree.settings import Duration, DurationOrNone, Settings


class _Inner(Settings):
    every: Duration = 1.0


class _Pause(Settings):
    lasts: DurationOrNone = 0.0


class _Outer(Settings):
    duration: Duration
    runs: int = Field(default=1, ge=1)
    inner: _Inner = _Inner()


def _write(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_durations_become_femtoseconds_at_every_depth(tmp_path: Path) -> None:
    config = _Outer.read(_write(tmp_path, "duration: 2 ps\ninner:\n  every: 0.5fs\n"))
    assert (config.duration, config.inner.every, config.runs) == (2000.0, 0.5, 1)


def test_a_setting_cannot_be_changed_after_it_was_read() -> None:
    config = _Outer.parse({"duration": 10}, "here")
    with pytest.raises(ValidationError, match="frozen"):
        config.runs = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("duration: 2 ps\nrnus: 3\n", "rnus: is not an option here"),
        ("runs: 3\n", "duration: is needed but missing"),
        ("", "duration: is needed but missing"),
        ("duration: 2 parsec\n", "duration: '2 parsec' is not a duration"),
        ("duration: 2 ps\nruns: 0\n", "runs: input should be greater than or equal to 1"),
        ("duration: 2 ps\ninner: {every: -1 fs}\n", "inner.every: "),
        ("duration: [1, 2\n", "is not valid YAML"),
        ("- just\n- a list\n", "the top level"),
    ],
)
def test_what_is_wrong_is_named_with_its_key(tmp_path: Path, text: str, sentence: str) -> None:
    path = _write(tmp_path, text)
    with pytest.raises(ForcefreeError, match=sentence.replace("(", r"\(")) as caught:
        _Outer.read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_wrong_key_is_in_one_sentence() -> None:
    with pytest.raises(ForcefreeError) as caught:
        _Outer.parse({"runs": 0, "colour": "red"}, "given")
    assert all(part in str(caught.value) for part in ("given: ", "duration", "runs", "colour"))


def test_missing_and_binary_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ForcefreeError, match="does not exist"):
        _Outer.read(tmp_path / "none.yaml")
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(ForcefreeError, match="not valid YAML"):
        _Outer.read(binary)


def test_settings_a_file_and_a_mapping_are_all_accepted_and_nothing_else(tmp_path: Path) -> None:
    path = _write(tmp_path, "duration: 2 ps\n")
    settings = _Outer.read(path)
    assert _Outer.accept(settings) is settings
    assert _Outer.accept(path) == _Outer.accept(str(path)) == _Outer.accept(MappingProxyType({"duration": "2 ps"})) == settings
    with pytest.raises(ForcefreeError, match="the configuration: runs: input should be greater than or equal to 1"):
        _Outer.accept({"duration": 1, "runs": 0})
    with pytest.raises(ForcefreeError, match="a configuration is the path of a YAML file, a mapping of its keys or a _Outer, not int"):
        _Outer.accept(5)  # type: ignore[arg-type]


def test_a_duration_that_may_be_none_is_zero_or_any_other() -> None:
    assert [_Pause.parse({"lasts": value}, "here").lasts for value in (0, 0.0, "0 ps", "0.0fs", "2 ps", 3)] == [
        0.0,
        0.0,
        0.0,
        0.0,
        2000.0,
        3.0,
    ]
    for value in (-1.0, float("nan"), "-1 ps", "0 parsec"):
        with pytest.raises(ForcefreeError, match=r"here: lasts: .*duration"):
            _Pause.parse({"lasts": value}, "here")
