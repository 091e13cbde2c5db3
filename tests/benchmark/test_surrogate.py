"""Surrogate dynamics: canonical temperature, no momentum, no angular momentum, files of MD17's form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from forcefree.benchmark import surrogate
from forcefree.benchmark.surrogate import Dynamics, make_surrogate
from forcefree.cli.main import app
from forcefree.errors import ForcefreeError
from networks import MOLECULE, energies_and_forces


def springs(positions: np.ndarray) -> tuple[float, np.ndarray]:
    """H-O-O-H of springs as a field."""
    energies, forces = energies_and_forces(positions[None])
    return float(energies[0]), forces[0]


def test_dynamics_is_canonical_and_does_not_turn() -> None:
    dynamics = Dynamics.start(springs, MOLECULE.positions, MOLECULE.numbers, seed=3)
    temperatures = []
    for _ in range(20_000):
        dynamics.step()
        temperatures.append(dynamics.temperature)
    freedom = 3 * len(MOLECULE) - 6
    assert np.mean(temperatures) == pytest.approx(500.0, rel=0.15)
    assert np.std(temperatures) / np.mean(temperatures) == pytest.approx(np.sqrt(2.0 / freedom), rel=0.25)
    momentum = (dynamics.masses * dynamics.velocities).sum(axis=0)
    spin = (dynamics.masses * np.cross(dynamics.positions, dynamics.velocities)).sum(axis=0)
    np.testing.assert_allclose(momentum, 0.0, atol=1e-10)
    np.testing.assert_allclose(spin, 0.0, atol=1e-10)


def test_a_surrogate_has_the_form_of_the_original(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surrogate, "SHORTEST", 50)
    monkeypatch.setattr(surrogate, "_EQUILIBRATION", 20)
    monkeypatch.setattr(surrogate, "load_model", lambda path: {"R_train": MOLECULE.positions[None]})
    field = type("Springs", (), {"numbers": MOLECULE.numbers, "__call__": lambda self, positions: springs(positions)})
    monkeypatch.setattr(surrogate, "GradientDomainField", lambda values: field())
    temperature = make_surrogate(tmp_path / "field.npz", tmp_path / "md17_x.npz", frames=50, seed=1)
    assert 50.0 < temperature < 2000.0
    with np.load(tmp_path / "md17_x.npz") as file:
        assert file["R"].shape == (50, 4, 3)
        assert file["R"].dtype == np.float32
        assert file["z"].tolist() == MOLECULE.numbers.tolist()
        assert str(file["surrogate"]).startswith("surrogate: 50 frames at 500 K (CSVR, 0.5 fs)")
    assert [path.name for path in tmp_path.iterdir()] == ["md17_x.npz"]


def test_a_short_surrogate_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ForcefreeError, match="a surrogate of 1000 frames is too short"):
        make_surrogate(tmp_path / "field.npz", tmp_path / "out.npz", frames=1000)


def test_a_field_without_a_geometry_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surrogate, "load_model", lambda path: {})
    with pytest.raises(ForcefreeError, match=r"field\.npz has no training geometries R_train to start from"):
        make_surrogate(tmp_path / "field.npz", tmp_path / "out.npz", frames=30_000)


def test_the_same_seed_is_the_same_surrogate_and_another_is_another() -> None:
    def end(seed: int) -> np.ndarray:
        dynamics = Dynamics.start(springs, MOLECULE.positions, MOLECULE.numbers, seed)
        for _ in range(20):
            dynamics.step()
        return dynamics.positions

    np.testing.assert_array_equal(end(1), end(1))
    assert np.abs(end(1) - end(2)).max() > 1e-3


def test_between_thermostat_and_field_no_energy_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the thermostat velocity Verlet keeps the energy to second order in its step."""
    monkeypatch.setattr(surrogate, "rescaling_factor", lambda *_: 1.0)
    dynamics = Dynamics.start(springs, MOLECULE.positions, MOLECULE.numbers, seed=3)
    totals = []
    for _ in range(400):
        dynamics.step()
        totals.append(dynamics.energy + dynamics.kinetic_energy)
    assert np.ptp(totals) < 0.02 * np.mean(totals)
    assert abs(np.polyfit(np.arange(400), totals, 1)[0]) * 400 < 0.005 * np.mean(totals)


def test_the_command_names_files_after_fields(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[Path, Path]] = []
    monkeypatch.setattr(surrogate, "make_surrogate", lambda model, output, frames, seed: made.append((model, output)) or 501.0)
    arguments = ["benchmark", "md17-surrogate", "fields/ethanol.npz", "benzene.DFT.npz", "--output", str(tmp_path), "--frames", "200000"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert [output.name for _, output in made] == ["md17_ethanol.npz", "md17_benzene.npz"]
    assert "200000 frames at 501.0 K" in result.output


def test_a_runaway_is_a_sentence() -> None:
    dynamics = Dynamics.start(springs, MOLECULE.positions, MOLECULE.numbers, seed=3)
    dynamics.velocities = 100.0 * dynamics.velocities
    with pytest.raises(ForcefreeError, match="ran away"):
        dynamics.step()
