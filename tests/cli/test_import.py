"""``forcefree import`` as a user types it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import write
from typer.testing import CliRunner

from forcefree.cli.main import app
from forcefree.data.h5md import read_store
from methanol import run_methanol

runner = CliRunner()


@pytest.fixture(scope="module")
def traj(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Methanol as an ASE trajectory without times."""
    path = tmp_path_factory.mktemp("import") / "methanol.traj"
    images = run_methanol(20)
    for image in images:
        image.info = {}
    write(path, images)
    return path


def _import(*words: object) -> tuple[int, str, str]:
    result = runner.invoke(app, ["import", *map(str, words)], env={"COLUMNS": "160"})
    return result.exit_code, result.stdout, result.stderr


def test_a_trajectory_comes_in_and_is_summed_up(tmp_path: Path, traj: Path) -> None:
    output = tmp_path / "out.h5"
    code, shown, said = _import(traj, "--output", output, "--timestep", "0.25 fs", "--name", "methanol_300K")
    assert code == 0, said
    for part in ("methanol_300K", "20", "CH4O", "0.25", "recorded", "6 6.3246 6.6521"):
        assert part in shown
    (found,) = read_store(output)
    assert found.name == "methanol_300K"
    assert len(found) == 20


def test_derived_velocities_say_so(tmp_path: Path, traj: Path) -> None:
    code, shown, _ = _import(traj, "-o", tmp_path / "out.h5", "--timestep", "0.25fs", "--velocities", "derive")
    assert code == 0
    assert "central differences" in shown
    assert " 18 " in shown


def test_positions_alone_have_no_temperature(tmp_path: Path, traj: Path) -> None:
    code, shown, _ = _import(traj, "-o", tmp_path / "out.h5", "--timestep", "0.25fs", "--velocities", "none")
    assert code == 0
    assert "none" in shown


def test_many_trajectories_are_counted(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    positions = rng.uniform(0, 9, (25, 3, 3))
    velocities = rng.normal(scale=0.01, size=(25, 3, 3))
    np.savez(
        tmp_path / "pairs.npz",
        Z=np.array([8, 1, 1]),
        pos=positions,
        vel=velocities,
        pos_future=positions + velocities,
        vel_future=velocities,
        lag_fs=1.0,
    )
    code, shown, said = _import(tmp_path / "pairs.npz", "-o", tmp_path / "out.h5")
    assert code == 0, said
    assert "25 trajectories" in shown
    assert "and 5 more" in shown


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "give --timestep"),
        (("--timestep", "fast"), "'fast' is not a duration"),
        (("--timestep", "0.25 fs", "--format", "xtc"), "with --topology"),
        (("--timestep", "0.25 fs", "--velocity-unit", "A"), "'A' is not a unit of velocity"),
        (("--timestep", "0.25 fs", "--velocity-unit", "A/fs"), "--velocity-unit ase"),
        (("--timestep", "0.25 fs", "--velocity-unit", "ase", "--velocities", "derive"), "so --velocity-unit changes nothing; leave it out"),
        (("--timestep", "0.25 fs", "--energy-unit", "kcal/mol"), "has neither energies nor forces, so --energy-unit changes nothing"),
        (("--timestep", "0.25 fs", "--units", "metal"), "--units is for LAMMPS dumps, and"),
        (
            (
                "--timestep",
                "25 fs",
            ),
            "instead of 25 fs apart would fit",
        ),
    ],
)
def test_what_is_wrong_is_one_sentence_on_stderr_and_code_two(tmp_path: Path, traj: Path, words: tuple[str, ...], sentence: str) -> None:
    code, _, said = _import(traj, "-o", tmp_path / "out.h5", *words)
    assert code == 2
    assert sentence in said
    assert len(said.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_missing_files_and_existing_output_are_refused(tmp_path: Path, traj: Path) -> None:
    code, _, said = _import(tmp_path / "none.xyz", "-o", tmp_path / "out.h5")
    assert (code, "does not exist" in said) == (2, True)
    (tmp_path / "out.h5").write_text("mine")
    code, _, said = _import(traj, "-o", tmp_path / "out.h5", "--timestep", "0.25fs")
    assert (code, "exists already" in said) == (2, True)
    assert (tmp_path / "out.h5").read_text() == "mine"


def test_an_output_that_is_not_named_as_the_store_it_would_be_is_refused(tmp_path: Path, traj: Path) -> None:
    code, _, said = _import(traj, "-o", tmp_path / "out.xyz", "--timestep", "0.25 fs")
    assert code == 2
    assert "out.xyz would be an H5MD file but is not named as one; give it a name such as out.h5" in " ".join(said.split())
    assert not list(tmp_path.iterdir())
    assert _import(traj, "-o", tmp_path / "out.h5md", "--timestep", "0.25 fs")[0] == 0


def test_a_unit_of_velocities_that_are_not_there_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "still.xyz", [Atoms("H2O", np.eye(3)) for _ in range(3)], format="extxyz")
    code, _, said = _import(tmp_path / "still.xyz", "-o", tmp_path / "out.h5", "--timestep", "1fs", "--velocity-unit", "A/ps")
    assert code == 2
    assert "still.xyz has no velocities, so --velocity-unit changes nothing; leave it out" in said


def test_lammps_options_reach_the_reader(tmp_path: Path) -> None:
    dump = tmp_path / "argon.lammpstrj"
    frames = [
        f"ITEM: TIMESTEP\n{10 * step}\nITEM: NUMBER OF ATOMS\n2\nITEM: BOX BOUNDS pp pp pp\n0 20\n0 20\n0 20\n"
        f"ITEM: ATOMS id type x y z vx vy vz\n1 1 {1 + 0.03 * step} 1 1 3.0 0 0\n2 2 {9 - 0.03 * step} 9 9 -3.0 0 0\n"
        for step in range(5)
    ]
    dump.write_text("".join(frames))
    code, shown, said = _import(dump, "-o", tmp_path / "out.h5", "--units", "metal", "--timestep", "1 fs", "--elements", "Ar, Kr")
    assert code == 0, said
    assert "ArKr" in shown
    (found,) = read_store(tmp_path / "out.h5")
    np.testing.assert_allclose(found.velocities[:, 0, 0], 0.003)  # type: ignore[index]
    assert found.spacing == pytest.approx(10.0)


def test_help_shows_examples_and_every_unit_option() -> None:
    result = runner.invoke(app, ["import", "--help"], env={"COLUMNS": "160"})
    assert result.exit_code == 0
    for part in ("--velocity-unit", "--length-unit", "--energy-unit", "--units", "forcefree import md17_ethanol.npz", "--topology"):
        assert part in result.stdout


def test_a_structure_file_is_too_short_for_velocities(tmp_path: Path) -> None:
    write(tmp_path / "one.xyz", Atoms("H2O", np.eye(3)))
    code, _, said = _import(tmp_path / "one.xyz", "-o", tmp_path / "out.h5", "--timestep", "1fs")
    assert code == 2
    assert "no frame with both neighbours" in said
