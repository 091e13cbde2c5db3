"""LAMMPS text dumps, written here as LAMMPS writes them and compared with ASE's reader."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import read

from forcefree.data.importing.lammps_box import read_box
from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError
from methanol import Import, assert_same

_TYPES = {6: 1, 8: 2, 1: 3}
_KCAL = 0.04336410390059322


def _dump(
    path: Path, true: Trajectory, *, columns: str, units: str = "metal", header: str = "", element: bool = False, box: str = "tilt"
) -> Path:
    """Write ``true``, with the atoms of every frame in another order and the box away from the origin."""
    rng, cell, origin = np.random.default_rng(1), true.cell, np.array([1.0, -2.0, 0.5])
    assert true.velocities is not None
    assert true.forces is not None
    velocity = true.velocities * (1000.0 if units == "metal" else 1.0)
    force = true.forces / (1.0 if units == "metal" else _KCAL)
    lines = [header] if header else []
    for index in range(len(true)):
        unwrapped = true.positions[index] + origin
        scaled_unwrapped = true.positions[index] @ np.linalg.inv(cell)
        image = np.floor(scaled_unwrapped)
        names = {
            "id": np.arange(1, len(true.numbers) + 1)[:, None],
            "type": np.array([_TYPES[int(z)] for z in true.numbers])[:, None],
            "mass": true.masses[:, None] + 1.0,
            "x y z": unwrapped - image @ cell,
            "xu yu zu": unwrapped,
            "xs ys zs": scaled_unwrapped - image,
            "xsu ysu zsu": scaled_unwrapped,
            "ix iy iz": image.astype(int),
            "vx vy vz": velocity[index],
            "fx fy fz": force[index],
        }
        chosen = [names[group] for group in columns.split(", ")]
        symbols = Atoms(true.numbers).get_chemical_symbols()
        lines += ["ITEM: TIMESTEP", str(100 + 5 * index), "ITEM: NUMBER OF ATOMS", str(len(true.numbers)), *_box(cell, origin, box)]
        lines.append("ITEM: ATOMS " + columns.replace(",", "") + (" element" if element else ""))
        for atom in rng.permutation(len(true.numbers)):
            cells = [repr(number.item()) for block in chosen for number in np.atleast_1d(block[atom])]
            lines.append(" ".join([*cells, symbols[atom]] if element else cells))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _box(cell: np.ndarray, origin: np.ndarray, kind: str) -> list[str]:
    if kind == "abc":
        rows = [" ".join(map(repr, [*map(float, vector), float(start)])) for vector, start in zip(cell, origin, strict=True)]
        return ["ITEM: BOX BOUNDS abc origin pp pp pp", *rows]
    xy, xz, yz = cell[1, 0], cell[2, 0], cell[2, 1]
    low = origin + np.array([min(0.0, xy, xz, xy + xz), min(0.0, yz), 0.0])
    high = origin + np.diag(cell) + np.array([max(0.0, xy, xz, xy + xz), max(0.0, yz), 0.0])
    rows = [f"{a!r} {b!r} {t!r}" for a, b, t in zip(low.tolist(), high.tolist(), (float(xy), float(xz), float(yz)), strict=True)]
    return ["ITEM: BOX BOUNDS xy xz yz pp pp pp", *rows]


@pytest.mark.parametrize("units", ["metal", "real"])
@pytest.mark.parametrize("columns", ["x y z", "xs ys zs", "xu yu zu", "xsu ysu zsu", "x y z, ix iy iz", "xs ys zs, ix iy iz"])
def test_every_kind_of_coordinates_gives_the_same_trajectory(
    tmp_path: Path, true: Trajectory, bring: Import, units: str, columns: str
) -> None:
    path = _dump(tmp_path / "run.lammpstrj", true, columns=f"id, type, {columns}, vx vy vz, fx fy fz", units=units)
    found = bring(path, lammps_units=units, timestep=0.05, elements=("C", "O", "H"))
    assert found.times[0] == pytest.approx(5.0)
    shifted = Trajectory(**{**vars(found), "times": found.times - found.times[0]})
    assert_same(shifted, true, energies=False)
    if "u" in columns or "ix" in columns:
        np.testing.assert_allclose(found.positions, true.positions + np.array([1.0, -2.0, 0.5]), atol=1e-9)


def test_ase_reads_the_same_positions(tmp_path: Path, true: Trajectory, bring: Import) -> None:
    path = _dump(tmp_path / "run.lammpstrj", true.frames(0, 5), columns="id, type, xu yu zu, vx vy vz", element=True)
    found = bring(path, lammps_units="metal", timestep=0.05)
    for ours, theirs in zip(found.positions, read(path, index=":", format="lammps-dump-text"), strict=True):
        np.testing.assert_allclose(ours - ours[0], theirs.positions - theirs.positions[0], atol=1e-6)
        np.testing.assert_allclose(theirs.cell.lengths(), np.linalg.norm(found.cell, axis=1), atol=1e-6)


def test_elements_masses_units_and_times_of_the_file_are_used(tmp_path: Path, true: Trajectory, bring: Import) -> None:
    path = _dump(
        tmp_path / "run.dump",
        true,
        columns="id, mass, xu yu zu, vx vy vz",
        units="real",
        header="ITEM: UNITS\nreal\nITEM: TIME\n0.0",
        element=True,
    )
    text = path.read_text()
    for index in range(len(true)):
        text = text.replace(f"ITEM: TIMESTEP\n{100 + 5 * index}\n", f"ITEM: TIME\n{0.25 * index}\nITEM: TIMESTEP\n{100 + 5 * index}\n")
    path.write_text(text)
    found = bring(path)
    assert_same(found, true, forces=False, energies=False)
    np.testing.assert_allclose(found.masses, true.masses + 1.0)
    with pytest.raises(ForcefreeError, match="states units real, not metal"):
        bring(path, lammps_units="metal")


def test_gzipped_dumps_and_general_boxes_are_read(tmp_path: Path, true: Trajectory, bring: Import) -> None:
    plain = _dump(tmp_path / "run.lammpstrj", true, columns="id, x y z, vx vy vz", element=True, box="abc")
    packed = tmp_path / "run.lammpstrj.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    found = bring(packed, lammps_units="metal", timestep=0.05)
    np.testing.assert_allclose(found.cell, true.cell, atol=1e-12)
    assert found.name == "run"
    packed.write_bytes(packed.read_bytes()[:-2000])
    with pytest.raises(ForcefreeError, match="truncated or binary"):
        bring(packed, lammps_units="metal", timestep=0.05)


@pytest.mark.parametrize(
    ("columns", "options", "sentence"),
    [
        ("id, type, x y z", {"timestep": 1.0, "elements": ("C", "O", "H")}, "give --units real or --units metal"),
        ("id, type, x y z", {"lammps_units": "metal", "elements": ("C", "O", "H")}, "how long one is; give the integrator's step"),
        ("id, type, x y z", {"lammps_units": "metal", "timestep": 1.0}, "such as --elements Si,O"),
        ("id, type, x y z", {"lammps_units": "metal", "timestep": 1.0, "elements": ("C", "O")}, "atom type 3, but --elements names only 2"),
        ("id, type, x y z", {"lammps_units": "metal", "timestep": 1.0, "elements": ("C", "O", "Xx")}, "element 'Xx' is unknown"),
        ("type, x y z", {"lammps_units": "metal", "timestep": 1.0, "elements": ("C", "O", "H")}, "no atom ids"),
        ("id, type, vx vy vz", {"lammps_units": "metal", "timestep": 1.0, "elements": ("C", "O", "H")}, "no columns x y z"),
    ],
)
def test_what_the_dump_does_not_say_must_be_said(
    tmp_path: Path, true: Trajectory, bring: Import, columns: str, options: dict[str, object], sentence: str
) -> None:
    path = _dump(tmp_path / "run.lammpstrj", true.frames(0, 3), columns=columns)
    with pytest.raises(ForcefreeError, match=sentence):
        bring(path, **options)


def test_real_for_metal_is_found_out(tmp_path: Path, true: Trajectory, bring: Import) -> None:
    path = _dump(tmp_path / "run.lammpstrj", true, columns="id, x y z, vx vy vz", element=True, units="metal")
    with pytest.raises(ForcefreeError, match="--velocity-unit A/ps"):
        bring(path, lammps_units="real", timestep=0.05)


@pytest.mark.parametrize("cut", [10, 40, 130, 400, 3000, -3, -60])
def test_a_truncated_dump_is_one_sentence_with_its_frame(tmp_path: Path, true: Trajectory, bring: Import, cut: int) -> None:
    path = _dump(tmp_path / "run.lammpstrj", true, columns="id, x y z, vx vy vz", element=True)
    path.write_text(path.read_text()[:cut])
    with pytest.raises(ForcefreeError, match=r"run\.lammpstrj") as caught:
        bring(path, lammps_units="metal", timestep=0.05)
    assert "\n" not in str(caught.value)


def test_the_bounding_box_of_a_tilted_cell_is_undone() -> None:
    box = read_box(["xy", "xz", "yz", "pp", "pp", "ff"], ["-3.0 12.0 2.0", "0.0 11.0 -3.0", "1.0 9.0 1.0"])
    np.testing.assert_allclose(box.cell, [[10.0, 0, 0], [2, 10, 0], [-3, 1, 8]])
    np.testing.assert_allclose(box.origin, [0.0, 0.0, 1.0])
    np.testing.assert_array_equal(box.pbc, [True, True, False])
    orthogonal = read_box(["pp", "pp", "pp"], ["0 4", "1 6", "2 8"])
    np.testing.assert_allclose(orthogonal.cell, np.diag([4.0, 5.0, 6.0]))


@pytest.mark.parametrize("lines", [["0 1", "0 1", ""], ["0 1 0 0"] * 3, ["a b", "0 1", "0 1"]])
def test_a_damaged_box_is_refused(lines: list[str]) -> None:
    with pytest.raises(ValueError, match=r"numbers|convert|homogeneous"):
        read_box(["pp", "pp", "pp"], lines)


@pytest.mark.parametrize(
    ("found", "replaced", "sentence"),
    [
        ("ITEM: UNITS\nmetal", "ITEM: UNITS\nlj", "is in LAMMPS units lj; only real and metal can be imported"),
        ("\n1 1 ", "\n1 0 ", "has atom type 0; atom types of LAMMPS count from 1"),
        ("\n1 1 ", "\n1 1 1.0.0 ", "cut short"),
        ("\n1 1 0.5 ", "\n1 1 0.5.5 ", r"a column that is not of numbers in frame 0 \(.*0\.5\.5.*\); mend the dump"),
    ],
)
def test_a_dump_of_other_units_types_or_words_is_one_sentence(
    tmp_path: Path, bring: Import, found: str, replaced: str, sentence: str
) -> None:
    frame = (
        "ITEM: TIMESTEP\n0\nITEM: NUMBER OF ATOMS\n1\nITEM: BOX BOUNDS pp pp pp\n0 9\n0 9\n0 9\nITEM: ATOMS id type x y z\n1 1 0.5 0 0\n"
    )
    path = tmp_path / "run.lammpstrj"
    path.write_text("ITEM: UNITS\nmetal\n" + frame)
    assert len(bring(path, timestep=1.0, elements=("Ar",), velocities="none")) == 1
    path.write_text(path.read_text().replace(found, replaced))
    with pytest.raises(ForcefreeError, match=sentence):
        bring(path, timestep=1.0, elements=("Ar",), velocities="none")
