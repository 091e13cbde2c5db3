"""The numbers printed at the end, against trajectories whose numbers are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import units
from ase.build import molecule

from forcefree.data.h5md import write_store
from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError
from forcefree.reference.summary import energy_drift, kinetic_energies, summarize, temperatures
from forcefree.units import BOLTZMANN, KINETIC_UNIT

WATER = molecule("H2O")


def _run(
    name: str = "run_0000", *, temperature: float = 300.0, drift: float = 0.0, ensemble: str = "nve", rotation: bool = True
) -> Trajectory:
    """Water at a constant kinetic temperature (9 - 3 or 9 - 6 degrees of freedom) and a total energy that drifts (meV/atom/ps)."""
    masses = WATER.get_masses()
    freedom = 6 if rotation else 3
    velocities = np.zeros((101, 3, 3))
    velocities[:, 0, 0] = np.sqrt(freedom * BOLTZMANN * temperature / (KINETIC_UNIT * masses[0]))
    times = np.arange(101) * 2.0
    return Trajectory(
        name=name,
        numbers=WATER.numbers.astype(np.int64),
        masses=masses,
        times=times,
        positions=np.repeat(WATER.positions[None], 101, axis=0),
        velocities=velocities,
        energies=-100.0 + drift * 1e-3 * 3 * times * 1e-3,
        provenance={"temperature": 300.0, "ensemble": ensemble, "rotation": rotation},
    )


@pytest.mark.parametrize("rotation", [True, False])
def test_the_temperature_counts_the_degrees_of_freedom_that_the_run_has(rotation: bool) -> None:
    np.testing.assert_allclose(temperatures(_run(temperature=273.0, rotation=rotation)), 273.0, rtol=1e-12)


def test_the_kinetic_energy_is_that_of_ase() -> None:
    atoms = WATER.copy()
    run = _run()
    assert run.velocities is not None
    atoms.set_velocities(run.velocities[0] / units.fs)
    assert kinetic_energies(run)[0] == pytest.approx(atoms.get_kinetic_energy(), rel=1e-9)


def test_the_drift_is_the_slope_per_atom_and_ps() -> None:
    assert energy_drift(_run(drift=-1.7)) == pytest.approx(-1.7, rel=1e-6)
    assert energy_drift(_run(drift=-1.7, ensemble="nvt")) is None


def test_runs_of_a_temperature_are_taken_together(tmp_path: Path) -> None:
    runs = [_run("a", temperature=290.0, drift=1.0), _run("b", temperature=310.0, drift=-3.0)]
    write_store(tmp_path / "x.h5", runs)
    (row,) = summarize(tmp_path / "x.h5")
    assert (row.temperature, row.runs, row.frames) == (300.0, 2, 202)
    assert row.mean_temperature == pytest.approx(300.0)
    assert row.error == pytest.approx(10.0)
    assert row.drift == pytest.approx(2.0, rel=1e-6)


def test_a_store_of_something_else_is_refused(tmp_path: Path) -> None:

    write_store(tmp_path / "x.h5", [replace(_run(), provenance={})])
    with pytest.raises(ForcefreeError, match="was not made by forcefree reference"):
        summarize(tmp_path / "x.h5")
    with pytest.raises(ForcefreeError, match="has no kinetic energy"):
        kinetic_energies(replace(_run(), velocities=None))


@pytest.mark.parametrize("ensemble", ["nve", "nvt"])
def test_runs_far_from_their_temperature_are_complained_of(tmp_path: Path, ensemble: str) -> None:
    def warning(*found: float) -> str | None:
        path = tmp_path / f"{'-'.join(map(str, found))}.h5"
        write_store(path, [_run(f"run_{index}", temperature=value, ensemble=ensemble) for index, value in enumerate(found)])
        return summarize(path)[0].warning

    cure = "an nve recording keeps the energy" if ensemble == "nve" else "a longer equilibration or a shorter recording.thermostat_time"
    said = warning(195.0, 205.0)
    assert said is not None
    assert said.startswith(f"the runs at 300 K have a mean temperature of 200 ± 5 K; {cure}")
    assert warning(410.0, 400.0) is not None
    assert warning(280.0, 280.0) is None  # within a tenth
    assert warning(150.0, 350.0) is None  # within two errors
    assert warning(200.0) is None  # one run of six degrees of freedom tells little
    assert warning(40.0) == f"the runs at 300 K have a mean temperature of 40 K; {said.partition('; ')[2]}"


def test_each_temperature_has_its_row_in_order_with_what_its_runs_tell(tmp_path: Path) -> None:
    def at(target: float, name: str, **changes: float | str) -> Trajectory:
        run = _run(name, temperature=target, **changes)  # type: ignore[arg-type]
        return replace(run, provenance={**run.provenance, "temperature": target})

    silent = replace(at(300.0, "d"), energies=None)
    write_store(tmp_path / "x.h5", [at(500.0, "a", ensemble="nvt"), at(300.0, "b", drift=2.0), at(100.0, "c"), silent])
    cold, warm, hot = summarize(tmp_path / "x.h5")
    assert [row.temperature for row in (cold, warm, hot)] == [100.0, 300.0, 500.0]
    assert [row.mean_temperature for row in (cold, warm, hot)] == pytest.approx([100.0, 300.0, 500.0])
    assert [row.runs for row in (cold, warm, hot)] == [1, 2, 1]
    assert np.isnan([cold.error, hot.error]).all()
    assert warm.error == pytest.approx(0.0, abs=1e-9)
    assert warm.drift == pytest.approx(2.0, rel=1e-6)
    assert hot.drift is None


def test_two_frames_make_no_drift() -> None:
    assert energy_drift(_run(drift=3.0).frames(0, 2)) is None
    assert energy_drift(_run(drift=3.0).frames(0, 3)) == pytest.approx(3.0, rel=1e-6)
