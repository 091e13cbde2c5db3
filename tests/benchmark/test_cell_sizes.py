"""Speeds of growing cells: counted in the right units, and the cost grows with the atoms."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from ase import Atoms

import copper
from forcefree.benchmark import cell_sizes, like_force_network, materials
from forcefree.benchmark.cell_sizes import SizeSpeed, exponent, measure_size, supercell
from forcefree.benchmark.like_force_network import ForceDynamics
from forcefree.benchmark.propagation import Propagation
from forcefree.benchmark.table import Table
from forcefree.errors import ForcefreeError
from forcefree.models.card import Card
from forcefree.models.forecaster import Forecaster
from forcefree.models.registry import build_model
from forcefree.simulation.compilation import CompilationError
from forcefree.simulation.options import SimulationOptions
from forcefree.state import State

OPTIONS = {"channels": 8, "layers": 1, "refinements": 1, "refinement_width": 8}


def model(architecture: str = "trajcast", **options: object) -> Forecaster:
    torch.manual_seed(0)
    card = Card(name="tiny", model=architecture, options=OPTIONS | options, species=[29], t_max=10.0, cutoff=4.0)
    built = build_model(card).eval()
    built.set_scales(torch.full((1,), 1e-3), torch.full((1,), 1e-4))
    return built


def test_a_supercell_is_as_dense_and_as_warm() -> None:
    large = supercell(copper.crystal(), 3, 300.0)
    assert len(large) == 27 * 32
    assert len(large) / large.cell.volume == pytest.approx(32 / copper.crystal().cell.volume)
    assert large.get_temperature() == pytest.approx(300.0, rel=0.1)
    assert abs(large.get_momenta().sum(axis=0)).max() < 1e-8


def test_nanoseconds_per_day_are_steps_per_second_in_other_words() -> None:
    found = measure_size(model(), supercell(copper.crystal(), 1, 300.0), Propagation("direct", 10.0, None), 2.0, 0.05)
    assert found.atoms == 32
    assert found.nanoseconds * found.step == pytest.approx(10e-6 * 86400.0)
    assert found.clock * found.wall == pytest.approx(10e-6 * 86400.0)
    assert found.forced is not None
    assert found.forced > 0.0


@pytest.mark.parametrize("keep", [False, True])
def test_what_is_timed_keeps_the_energy_where_its_label_says_so(monkeypatch: pytest.MonkeyPatch, keep: bool) -> None:
    asked: list[object] = []

    def build(model: Forecaster, state: State, options: SimulationOptions) -> object:
        asked.append((options.propagator, options.interval, options.corrections, options.keep_energy))
        return SimpleNamespace(step=lambda: None), None

    monkeypatch.setattr(cell_sizes, "build_engine", build)
    how = Propagation("reversible", 20.0, 2, keep_energy=keep)
    measure_size(model(), supercell(copper.crystal(), 1, 300.0), how, None, 0.0)
    assert asked == [("reversible", 20.0, 2, keep)]


def test_rows_of_sizes_are_those_that_were_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timed: list[tuple[int, str, float | None]] = []

    def measure(_: object, atoms: Atoms, how: Propagation, timestep: float | None, *__: object) -> SizeSpeed:
        timed.append((len(atoms), how.label, timestep))
        return SizeSpeed(len(atoms), 1e-5 * len(atoms) ** 1.5, 0.1, 6.0, 3.0, None if timestep is None else 2.0, 30.0)

    monkeypatch.setattr(materials, "measure_size", measure)
    monkeypatch.setattr(materials, "can_compile", lambda *_: False)
    table, hows = Table("sizes", tmp_path), [Propagation("direct", 10.0, None), Propagation("direct", 5.0, None)]
    materials.size_rows(table, model(), copper.crystal(), hows, [4, 1, 5], 2.0)
    assert timed == [(n, how.label, 2.0 if how is hows[0] else None) for n in (32, 2048, 4000) for how in hows]
    found = {row.figure: row for row in table.rows}
    slope = found["exponent of the time of a step from 1000 atoms on"]
    assert (slope.measured, slope.seeds, slope.holds) == (pytest.approx(1.5), 2, False)
    assert found["32 atoms, direct 10 fs: over the force network"].measured == 3.0
    assert found["2048 atoms, direct 10 fs: atom steps"].measured == pytest.approx(1e5 / 2048**0.5)
    assert found["2048 atoms, direct 10 fs: peak memory of the process"].holds is False, "more than 24 GiB"
    assert "32 atoms, direct 5 fs: over the force network" not in found
    few = Table("few", tmp_path)
    materials.size_rows(few, model(), copper.crystal(), hows[:1], [1, 4], None)
    assert not any("exponent" in row.figure for row in few.rows), "one large cell has no slope"


def test_the_exponent_is_the_slope() -> None:
    sizes = [SizeSpeed(n, 1e-6 * n**1.25, 0.0, 0.0, 0.0, None, 0.0) for n in (100, 1000, 10000)]
    assert exponent(sizes) == pytest.approx(1.25)


def test_the_force_network_pushes_the_atoms() -> None:
    state = State.from_atoms([supercell(copper.crystal(), 1, 300.0)])
    dynamics = ForceDynamics(model(), state, 2.0)
    for _ in range(3):
        dynamics.step()
    flown = state.positions + 6.0 * state.velocities
    assert (dynamics.state.positions - flown).abs().max() < 1e-2
    assert not torch.equal(dynamics.state.velocities, state.velocities)


def test_the_force_network_runs_back_to_its_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Velocity Verlet under forces of positions alone can be turned round; a slip of half a step could not."""
    monkeypatch.setattr(like_force_network, "_TINY", 10.0)
    state = State.from_atoms([supercell(copper.crystal(), 1, 300.0)])
    dynamics = ForceDynamics(model(), state, 10.0)
    for _ in range(6):
        dynamics.step()
    assert (dynamics.state.velocities - state.velocities).abs().max() > 1e-4
    dynamics.state = dynamics.state.with_(velocities=-dynamics.state.velocities)
    for _ in range(6):
        dynamics.step()
    torch.testing.assert_close(dynamics.state.positions, state.positions, rtol=0.0, atol=1e-5)


def test_only_what_has_a_like_network_is_compared() -> None:
    state = State.from_atoms([supercell(copper.crystal(), 1, 300.0)])
    other = model("mdtrajnet", matrix_channels=4, heads=2)
    with pytest.raises(ForcefreeError, match="for TrajCast with the fast preset only, not for mdtrajnet"):
        ForceDynamics(other, state, 2.0)
    assert measure_size(other, supercell(copper.crystal(), 1, 300.0), Propagation("direct", 10.0, None), 2.0, 0.05).forced is None


def test_a_network_that_cannot_be_compiled_is_named_instead_of_timed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measure(*_: object, compiled: bool = False) -> SizeSpeed:
        if compiled:
            raise CompilationError("model tiny could not be compiled (no room); simulate without compilation")
        return SizeSpeed(32, 0.1, 0.1, 1.0, 1.0, None, 0.1)

    monkeypatch.setattr(materials, "measure_size", measure)
    monkeypatch.setattr(materials, "can_compile", lambda *_: True)
    table = Table("sizes", tmp_path)
    materials.size_rows(table, model(), copper.crystal(), [Propagation("direct", 10.0, None)], [1], None)
    assert table.rows
    assert not any("compiled" in row.figure for row in table.rows)
    assert "32 atoms, direct 10 fs, compiled: no row, because model tiny could not be compiled (no room)" in capsys.readouterr().err
