"""Ensembles, conservation and independence of replicas, with analytic forecasters."""

from __future__ import annotations

import physical_validation as pv
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from scipy import stats
from torch import Tensor

from forcefree.benchmark.free_flight import FreeFlight
from forcefree.errors import ForcefreeError
from forcefree.models.forecaster import Forecaster
from forcefree.nn.conservation import angular_momentum
from forcefree.simulation.building import build_engine
from forcefree.simulation.engine import Engine
from forcefree.simulation.options import SimulationOptions
from forcefree.state import State
from forcefree.temperature import element_temperatures, kinetic_energy
from forcefree.units import BOLTZMANN
from oracles import Springs, boxed, boxed_atoms, phantom, phantom_start

KELVIN = 350.0


def _engine(model: Forecaster, start: State, **options: object) -> Engine:
    values = {"duration": 1e5, "temperature": KELVIN, "guards": False, "propagator": "direct", "interval": 10.0, **options}
    return build_engine(model, start, SimulationOptions.parse(values, "test"))[0]


def _turning(state: State) -> Tensor:
    return angular_momentum(state, state.positions[None], state.velocities[None])[0]


def _sampled(engine: Engine, steps: int, every: int, burn: int = 0) -> list[State]:
    states = []
    for step in range(burn + steps):
        engine.step()
        if step >= burn and step % every == 0:
            states.append(engine.state)
    return states


@pytest.mark.parametrize("propagator", ["direct", "reversible"])
def test_nve_keeps_energy_momentum_and_angular_momentum(propagator: str) -> None:
    model = phantom()
    engine = _engine(model, phantom_start(4), ensemble="nve", rotation=True, propagator=propagator)
    begin = engine.state

    for _ in range(300):
        engine.step()

    end = engine.state
    energies = [kinetic_energy(s, "nothing") + model.potential_energy(s) for s in (begin, end)]
    torch.testing.assert_close(energies[1], energies[0], rtol=1e-10, atol=0.0)
    assert float(end.mean_by_mass(end.velocities).abs().max()) < 1e-15
    torch.testing.assert_close(_turning(end), _turning(begin), rtol=0.0, atol=1e-12)
    assert float(_turning(begin).abs().max()) > 1e-2
    assert end.time.tolist() == [3000.0] * 4


@pytest.mark.parametrize("thermostat", ["csvr", "csvr-elements", "langevin"])
def test_an_isolated_molecule_without_rotation_never_turns_nor_drifts(thermostat: str) -> None:
    engine = _engine(phantom(), phantom_start(8), thermostat=thermostat, thermostat_time=50.0)

    for state in _sampled(engine, 200, 1):
        assert float(_turning(state).abs().max()) < 1e-12
        assert float(state.mean_by_mass(state.velocities).abs().max()) < 1e-15


@pytest.mark.parametrize("thermostat", ["csvr", "csvr-elements", "langevin"])
@pytest.mark.parametrize("rotation", [True, False])
@pytest.mark.parametrize("start", ["isolated", "periodic"])
def test_kinetic_energy_is_canonical_in_the_right_number_of_freedoms(thermostat: str, rotation: bool, start: str) -> None:
    replicas = 400
    if start == "isolated":
        model, begin = phantom(), phantom_start(replicas, KELVIN)
    else:
        model, begin = boxed(), State.from_atoms([boxed_atoms()] * replicas)
        begin = begin.with_(positions=model.canonical_positions(KELVIN, replicas))
    engine = _engine(model, begin, thermostat=thermostat, thermostat_time=30.0, rotation=rotation)
    freedom = 21.0 if start == "isolated" and not rotation else 24.0
    assert engine.freedom.unique().tolist() == [freedom]

    states = _sampled(engine, 100, 20, burn=20)

    temperatures = torch.stack([engine._temperatures(s.velocities) for s in states])
    error = float(temperatures.mean(1).std()) + KELVIN * (2.0 / freedom / replicas / len(states)) ** 0.5
    assert float(temperatures.mean()) == pytest.approx(KELVIN, abs=4.0 * error)
    reduced = freedom * temperatures[-1] / KELVIN
    assert stats.kstest(reduced.numpy(), stats.chi2(freedom).cdf).pvalue > 1e-4


def test_the_wrong_number_of_freedoms_would_be_noticed() -> None:
    engine = _engine(phantom(), phantom_start(2000, KELVIN), thermostat_time=30.0)
    engine.step()

    reduced = 21.0 * engine.temperatures() / KELVIN

    assert stats.kstest(reduced.numpy(), stats.chi2(24.0).cdf).pvalue < 1e-4


def test_physical_validation_accepts_csvr() -> None:
    replicas = 400
    engine = _engine(phantom(), phantom_start(replicas, KELVIN), thermostat_time=30.0)

    states = _sampled(engine, 60, 20, burn=10)

    kinetic = torch.cat([kinetic_energy(s) for s in states]).numpy()
    data = pv.data.SimulationData(
        units=pv.data.UnitData(
            kb=BOLTZMANN, energy_str="eV", energy_conversion=96.485, length_str="A", length_conversion=0.1, volume_str="A^3",
            volume_conversion=1e-3, temperature_str="K", temperature_conversion=1.0, pressure_str="eV/A^3",
            pressure_conversion=1.6e6, time_str="fs", time_conversion=1e-3,
        ),
        ensemble=pv.data.EnsembleData("NVT", natoms=9, volume=1.0, temperature=KELVIN),
        system=pv.data.SystemData(
            natoms=9, nconstraints=0, ndof_reduction_tra=3, ndof_reduction_rot=3, mass=phantom_start().masses.numpy()
        ),
        observables=pv.data.ObservableData(kinetic_energy=kinetic, potential_energy=kinetic, constant_of_motion=kinetic),
    )  # fmt: skip
    mean, width = pv.kinetic_energy.distribution(data, strict=False, verbosity=0)
    assert abs(mean) < 4.5
    assert abs(width) < 4.5


@pytest.mark.parametrize("rotation", [True, False])
def test_langevin_gives_every_element_its_share(rotation: bool) -> None:
    engine = _engine(phantom(), phantom_start(300, KELVIN), thermostat="langevin", thermostat_time=60.0, rotation=rotation)

    states = _sampled(engine, 150, 10, burn=30)

    conserved = "momentum" if rotation else "momentum and rotation"
    by_frame = [element_temperatures(state, conserved) for state in states]
    for symbol in ("H", "C", "O"):
        values = torch.stack([frame[symbol] for frame in by_frame])
        error = float(values.mean(0).std()) / 300**0.5
        assert float(values.mean()) == pytest.approx(KELVIN, abs=4.0 * error), symbol
        assert error < 0.02 * KELVIN


def test_langevin_relaxes_a_cold_start_at_the_friction_it_was_given() -> None:
    model = boxed()
    start = State.from_atoms([boxed_atoms()] * 400)
    engine = _engine(model, start, thermostat="langevin", thermostat_time=100.0)
    engine.move(start.positions, torch.zeros_like(start.velocities))

    for _ in range(20):
        engine.step()

    expected = KELVIN * (1.0 - torch.exp(torch.tensor(-200.0 / 100.0)))
    energy = kinetic_energy(engine.state) + model.potential_energy(engine.state)
    assert float(energy.mean() / (24.0 * BOLTZMANN)) == pytest.approx(float(expected), rel=0.03)


def test_csvr_heats_a_system_at_rest() -> None:
    engine = _engine(boxed(), State.from_atoms([boxed_atoms()]), thermostat_time=100.0)
    engine.move(engine.state.positions, 1e-9 * engine.state.velocities)

    for _ in range(100):
        engine.step()

    assert float(engine.temperatures()[0]) > 0.05 * KELVIN


@pytest.mark.parametrize("thermostat", ["csvr", "csvr-elements", "langevin"])
@pytest.mark.parametrize("propagator", ["direct", "reversible"])
def test_a_replica_is_the_same_to_the_last_bit_in_every_batch(thermostat: str, propagator: str) -> None:
    replicas = 6
    options = {"thermostat": thermostat, "propagator": propagator, "thermostat_time": 80.0}
    one_start = phantom_start(1)
    together = _engine(phantom(), one_start, replicas=replicas, **options)
    alone = _engine(phantom(), one_start, first_replica=4, **options)

    for _ in range(30):
        together.step()
        alone.step()

    assert torch.equal(together.state.positions.view(replicas, 9, 3)[4], alone.state.positions)
    assert torch.equal(together.state.velocities.view(replicas, 9, 3)[4], alone.state.velocities)
    assert not torch.equal(together.state.positions.view(replicas, 9, 3)[3], alone.state.positions)


def test_frames_inside_a_step_end_with_the_thermostatted_state() -> None:
    times = torch.tensor([2.0, 4.0, 6.0, 8.0, 10.0], dtype=torch.float64)
    dense, plain = (_engine(phantom(), phantom_start(2), thermostat_time=20.0) for _ in range(2))

    frames = dense.step(times)
    assert plain.step() is None

    assert frames is not None
    assert torch.equal(frames.positions[-1], plain.state.positions)
    assert torch.equal(frames.velocities[-1], plain.state.velocities)


def test_a_linear_molecule_that_bends_is_thermostatted_with_3n_minus_6() -> None:
    stick = Atoms("OCO", positions=[[-1.2, 0.0, 0.0], [0.0, 0.0, 0.0], [1.2, 0.0, 0.0]])

    engine = _engine(Springs([8, 6, 8]), State.from_atoms([stick]), replicas=2)

    assert engine.freedom.tolist() == [3.0, 3.0]
    engine.step()
    assert bool(engine.state.positions.isfinite().all())


class _LosesOne(Forecaster):
    """Exact, but after 50 fs replica number two is thrown away."""

    def __init__(self, inner: Springs, value: float) -> None:
        super().__init__(inner.card)
        self.inner, self.value = inner, value

    def departures(self, history: tuple[State, ...], times: Tensor) -> tuple[Tensor, Tensor]:
        positions, velocities = self.inner.departures(history, times)
        if float(history[-1].time.max()) >= 50.0:
            positions = positions.clone()
            positions[:, 18:27] += self.value * torch.arange(9.0, dtype=torch.float64)[:, None]
        return positions, velocities


@pytest.mark.parametrize("value", [float("nan"), 5.0])
@pytest.mark.parametrize(("propagator", "last"), [("direct", 50.0), ("reversible", 40.0)])
@pytest.mark.parametrize("thermostat", ["csvr", "csvr-elements", "langevin"])
def test_a_stopped_replica_rests_and_the_others_never_notice(value: float, propagator: str, last: float, thermostat: str) -> None:
    start = State.from_atoms([boxed_atoms()])
    options = {"replicas": 4, "propagator": propagator, "guards": True, "thermostat": thermostat}
    model = boxed(guards={"closest": {"1-1": 0.5}, "longest_bond": {f"{a}-{b}": 2.5 for a in (1, 6, 8) for b in (1, 6, 8)}})
    whole = _engine(model, start, **options)
    broken = _engine(_LosesOne(model, value), start, **options)

    for _ in range(12):
        whole.step()
        broken.step()

    assert list(broken.stopped) == [2]
    assert f"replica 2 was stopped after {last:g} fs because " in broken.stopped[2].reason
    assert broken.running.tolist() == [True, True, False, True]
    assert broken.state.time.tolist() == [120.0, 120.0, last, 120.0]
    assert not whole.stopped
    mine, others = broken.state.positions.view(4, 9, 3), whole.state.positions.view(4, 9, 3)
    assert torch.equal(mine[[0, 1, 3]], others[[0, 1, 3]])
    assert bool(mine[2].isfinite().all())


MIXED = ("H2O", "C2H6", "O2", "CH4")


def _mixed(names: tuple[str, ...]) -> State:
    return State.from_atoms([molecule(name) for name in names])


@pytest.mark.parametrize("thermostat", ["csvr", "csvr-elements", "langevin"])
def test_molecules_of_a_mixed_batch_move_as_each_would_alone(thermostat: str) -> None:
    model = FreeFlight(phantom().card)
    options = {"thermostat": thermostat, "thermostat_time": 50.0}
    together = _engine(model, _mixed(MIXED), replicas=2, **options)
    assert together.names == tuple(range(8))
    alone = {name: _engine(model, _mixed((MIXED[name % 4],)), first_replica=name, **options) for name in (1, 2, 7)}

    for _ in range(5):
        together.step()
        for engine in alone.values():
            engine.step()

    for name, engine in alone.items():
        own = together.state.select(torch.arange(8) == name)
        assert torch.equal(own.positions, engine.state.positions), name
        assert torch.equal(own.velocities, engine.state.velocities), name
    assert together.freedom.tolist() == [3.0, 18.0, 1.0, 9.0] * 2


def test_a_mixed_batch_has_one_temperature_whatever_the_sizes_of_its_molecules() -> None:
    engine = _engine(FreeFlight(phantom().card), _mixed(MIXED), replicas=400, thermostat_time=5.0, rotation=True)
    for _ in range(4):
        engine.step()

    reduced = (engine.freedom * engine.temperatures() / KELVIN).view(400, 4)
    for column, freedom in zip(reduced.T, (6.0, 21.0, 3.0, 12.0), strict=True):
        assert stats.kstest(column.numpy(), stats.chi2(freedom).cdf).pvalue > 1e-4


def test_an_atom_among_molecules_is_refused_because_nothing_of_it_can_be_warm() -> None:
    with pytest.raises(ForcefreeError, match="a system of 1 atom has no degree of freedom left when momentum and rotation is conserved"):
        _engine(FreeFlight(phantom().card), State.from_atoms([molecule("H2O"), Atoms("O")]))


def test_a_run_whose_velocities_are_turned_round_goes_back_to_where_it_began() -> None:
    """Whatever the map loses, converged corrections retrace it, and so does what keeps the angular momentum of a turning molecule."""
    model = phantom(shrink=2e-3)
    start = phantom_start(3)
    generator = torch.Generator().manual_seed(0)
    start = start.with_(velocities=0.01 * torch.randn(start.positions.shape, generator=generator, dtype=torch.float64))
    engine = _engine(model, start, ensemble="nve", temperature=None, propagator="reversible", corrections=5)
    assert float(_turning(start).abs().max()) > 0.01

    for _ in range(3):
        engine.step()
    away = float((engine.state.positions - start.positions).norm(dim=1).min())
    engine.move(engine.state.positions, -engine.state.velocities)
    for _ in range(3):
        engine.step()

    assert away > 0.1
    torch.testing.assert_close(engine.state.positions, start.positions, rtol=0.0, atol=1e-9)
    torch.testing.assert_close(engine.state.velocities, -start.velocities, rtol=0.0, atol=1e-10)
