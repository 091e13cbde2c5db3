"""Every wrong configuration ends in one sentence that names the key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from forcefree.errors import ForcefreeError
from forcefree.reference.config import ReferenceConfig

GOOD: dict[str, Any] = {"start": {"name": "ethanol"}, "temperatures": [300], "output": "x.h5"}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"temperature": 300}, "temperature: is not an option here"),
        ({"temperatures": []}, "temperatures: list should have at least 1 item"),
        ({"temperatures": [300, -5]}, "temperatures must lie between 0 and 100000 K"),
        ({"temperatures": [float("nan")]}, "temperatures must lie between 0 and 100000 K"),
        ({"temperatures": ["hot"]}, "temperatures.0: input should be a valid number"),
        ({"timestep": "0.5"}, "timestep: '0.5' is not a duration"),
        ({"timestep": "0.5 parsec"}, "timestep: '0.5 parsec' is not a duration"),
        ({"timestep": [1]}, r"timestep: '\[1\]' is not a duration"),
        ({"timestep": "0 fs"}, "timestep: a duration must be positive"),
        ({"timestep": "0.5 ps", "recording": {"every": "1 ps"}}, "timestep is 500 fs, longer than any reference stays stable"),
        ({"timestep": "0.7 fs"}, r"recording.every \(1 fs\) must be a multiple of timestep \(0.7 fs\)"),
        ({"recording": {"every": "1 ps", "duration": "0.5 ps"}}, r"recording.duration \(500 fs\) must be at least recording.every"),
        ({"recording": {"ensemble": "npt"}}, "recording.ensemble: input should be 'nve' or 'nvt'"),
        ({"recording": {"ensemble": "nve", "thermostat_time": "50 fs"}}, r"recording: thermostat_time \(50 fs\) is for ensemble nvt"),
        ({"start": {"name": "ethanol", "smiles": "CCO"}}, "give exactly one of file, name or smiles, not name, smiles"),
        ({"start": {}}, "give exactly one of file, name or smiles, not none"),
        ({"start": []}, "start: list should have at least 1 item"),
        ({"start": [{"name": "ethanol"}, {"smiles": "C", "name": "CH4"}]}, "start.1: give exactly one of file, name or smiles"),
        ({"start": [{"name": "ethanol"}, {"name": "ethanol"}]}, "start lists 'ethanol' twice; name each structure once"),
        ({"runs_per_temperature": 0}, "runs_per_temperature: input should be greater than or equal to 1"),
        ({"workers": 0}, "workers: input should be greater than or equal to 1"),
        ({"seed": -1}, "seed: input should be greater than or equal to 0"),
        ({"output": None}, "output: input is not a valid path"),
    ],
)
def test_a_wrong_value_is_one_sentence(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ForcefreeError, match=sentence) as caught:
        ReferenceConfig.parse({**GOOD, **changes}, "reference.yaml")
    assert str(caught.value).startswith("reference.yaml: ")
    assert "\n" not in str(caught.value)


def test_a_missing_key_is_named() -> None:
    with pytest.raises(ForcefreeError, match="temperatures: is needed but missing; output: is needed but missing"):
        ReferenceConfig.parse({"start": {"name": "ethanol"}}, "reference.yaml")


def test_durations_have_units_and_count_frames(tmp_path: Path) -> None:
    path = tmp_path / "reference.yaml"
    recording = {"duration": "2 ps", "every": "4 fs"}
    path.write_text(yaml.safe_dump({**GOOD, "timestep": "0.5 fs", "recording": recording}))
    config = ReferenceConfig.read(path)
    assert (config.timestep, config.recording.duration) == (0.5, 2000.0)
    assert (config.steps_per_frame, config.frames_per_run) == (8, 501)


def test_one_start_is_a_list_of_one_and_each_has_a_label() -> None:
    starts: list[Any] = [{"name": "ethanol"}, {"smiles": "C=O"}, {"file": "made/up.xyz"}]
    assert ReferenceConfig.parse(GOOD, "x") == ReferenceConfig.parse({**GOOD, "start": starts[:1]}, "x")
    assert [start.label for start in ReferenceConfig.parse({**GOOD, "start": starts}, "x").start] == ["ethanol", "C=O", "up"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("temperatures: [300", "is not valid YAML"),
        ("", "start: is needed but missing"),
        ("- 1", "the top level: input should be a valid dict"),
    ],
)
def test_a_broken_file_is_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "reference.yaml"
    path.write_text(text)
    with pytest.raises(ForcefreeError, match=sentence) as caught:
        ReferenceConfig.read(path)
    assert "\n" not in str(caught.value)


def test_a_missing_or_binary_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ForcefreeError, match="does not exist"):
        ReferenceConfig.read(tmp_path / "none.yaml")
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ForcefreeError, match="is not valid YAML"):
        ReferenceConfig.read(binary)


@pytest.mark.parametrize(
    ("calculator", "native", "theory"),
    [
        ({"name": "gfn2-xtb"}, False, "gfn2-xtb"),
        ({"name": "nwchem:NWChem", "options": {"theory": "dft"}}, False, "nwchem:NWChem"),
        ({"name": "LAMMPS", "options": {"theory": "Tersoff 1989"}}, True, "Tersoff 1989"),
        ({"name": "openmm"}, True, "openmm"),
    ],
)
def test_the_level_of_theory_is_what_the_options_of_a_program_call_it(calculator: dict[str, Any], native: bool, theory: str) -> None:
    config = ReferenceConfig.parse({**GOOD, "calculator": calculator}, "test").calculator
    assert config.native is native
    assert config.level_of_theory == theory


@pytest.mark.parametrize("recording", [{}, {"ensemble": "nvt", "thermostat_time": "50 fs"}])
def test_a_configuration_that_was_stored_with_all_its_defaults_can_be_read_again(recording: dict[str, Any]) -> None:
    config = ReferenceConfig.parse({**GOOD, "recording": recording}, "x")
    assert ReferenceConfig.parse(config.model_dump(mode="json"), "again") == config
