"""Runs that begin where others ended."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from forcefree.data.h5md import read_store, write_store
from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError
from forcefree.simulation import simulate
from forcefree.simulation.engine import Engine
from forcefree.state import State
from oracles import boxed, boxed_atoms

OPTIONS = {"duration": 100.0, "guards": False, "propagator": "direct", "interval": 10.0, "save_every": 10.0}


@pytest.fixture
def warm(tmp_path: Path) -> list[Trajectory]:
    """Two replicas at 300 K, in ``warm.h5``."""
    simulate(boxed(), boxed_atoms(), output=tmp_path / "warm.h5", temperature=300.0, replicas=2, **OPTIONS)
    return list(read_store(tmp_path / "warm.h5"))


@pytest.mark.parametrize("suffix", [".h5", ".hdf5", ".h5md"])
def test_nve_goes_on_from_the_end_of_every_replica_with_its_velocities(tmp_path: Path, warm: list[Trajectory], suffix: str) -> None:
    path = (tmp_path / "warm.h5").rename(tmp_path / f"then{suffix}")

    later = simulate(boxed(), path, ensemble="nve", **OPTIONS)

    for before, after in zip(warm, later.trajectories(), strict=True):
        assert before.velocities is not None
        assert after.velocities is not None
        np.testing.assert_array_equal(after.positions[0], before.positions[-1])
        np.testing.assert_array_equal(after.velocities[0], before.velocities[-1])
        np.testing.assert_array_equal(after.times, 10.0 * np.arange(11))
        assert after.pbc.all()


def test_velocities_and_replicas_are_chosen_as_for_every_start(tmp_path: Path, warm: list[Trajectory]) -> None:
    drawn = list(simulate(boxed(), tmp_path / "warm.h5", temperature=300.0, replicas=2, **OPTIONS).trajectories())
    kept = list(simulate(boxed(), str(tmp_path / "warm.h5"), temperature=300.0, velocities="start", **OPTIONS).trajectories())

    assert [len(drawn), len(kept)] == [4, 2]
    for index, run in enumerate((*drawn, *kept)):
        ended = warm[index % 2]
        assert run.velocities is not None
        assert ended.velocities is not None
        np.testing.assert_array_equal(run.positions[0], ended.positions[-1])
        assert np.allclose(run.velocities[0], ended.velocities[-1], atol=1e-12) is (index >= 4)


def test_positions_alone_need_a_temperature(tmp_path: Path, warm: list[Trajectory]) -> None:
    write_store(tmp_path / "bare.h5", [warm[0], replace(warm[1], velocities=None)])

    with pytest.raises(ForcefreeError, match="the start has no velocities; give a temperature"):
        simulate(boxed(), tmp_path / "bare.h5", ensemble="nve", **OPTIONS)
    assert len(list(simulate(boxed(), tmp_path / "bare.h5", temperature=300.0, **OPTIONS).trajectories())) == 2


def test_what_a_guard_stopped_is_left_out(tmp_path: Path, warm: list[Trajectory]) -> None:
    lost = replace(warm[0], provenance={**warm[0].provenance, "stopped": "it boiled"})
    write_store(tmp_path / "some.h5", [lost, warm[1]])
    write_store(tmp_path / "none.h5", [lost])
    told: list[str] = []

    [run] = simulate(boxed(), tmp_path / "some.h5", ensemble="nve", notice=told.append, **OPTIONS).trajectories()

    np.testing.assert_array_equal(run.positions[0], warm[1].positions[-1])
    assert told == [f"'replica_0000' of {tmp_path / 'some.h5'} is left out, because a guard stopped it"]
    with pytest.raises(ForcefreeError, match=r"none\.h5 has no trajectory to start from: each is empty or was stopped by a guard"):
        simulate(boxed(), tmp_path / "none.h5", ensemble="nve", **OPTIONS)


def test_a_stop_is_known_of_a_run_that_was_interrupted_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step = Engine.step

    def interrupted(self: Engine, times: object = None) -> object:
        if self.steps == 9:
            raise KeyboardInterrupt
        if self.steps == 5:
            first = (self.state.system == 0)[:, None]
            self.state = self.state.with_(positions=self.state.positions.masked_fill(first, np.nan))
        return step(self, times)

    monkeypatch.setattr(Engine, "step", interrupted)
    model = boxed(guards={"closest": {"1-1": 0.3}}, temperatures=[300.0])
    options = OPTIONS | {"guards": True}
    with pytest.raises(KeyboardInterrupt):
        simulate(model, boxed_atoms(), output=tmp_path / "t.h5", temperature=300.0, replicas=2, checkpoint_every=0.0, **options)

    assert ["stopped" in t.provenance for t in read_store(tmp_path / "t.h5")] == [True, False]


def test_impossible_ends_are_said(tmp_path: Path, warm: list[Trajectory]) -> None:
    crushed = warm[0].positions * np.where(np.arange(11) == 10, 0.1, 1.0)[:, None, None]
    write_store(tmp_path / "t.h5", [replace(warm[0], positions=crushed)])

    with pytest.raises(ForcefreeError, match=r"the end of trajectory 'replica_0000' of .*t\.h5 has atoms .* apart"):
        simulate(boxed(), tmp_path / "t.h5", ensemble="nve", **OPTIONS)
    with pytest.raises(ForcefreeError, match=r"missing\.h5 does not exist"):
        simulate(boxed(), tmp_path / "missing.h5", ensemble="nve", **OPTIONS)


def test_structures_may_come_one_by_one() -> None:
    begun = simulate(boxed(), iter([boxed_atoms(), boxed_atoms()]), temperature=300.0, **OPTIONS)
    assert begun.state.n_systems == 2


def test_what_is_no_start_is_refused() -> None:
    state = State.from_atoms([boxed_atoms()])
    for start in (5, [state, state], [boxed_atoms(), "water.xyz"]):
        with pytest.raises(ForcefreeError, match="a start is a file, a name, ASE structures or one State; put several systems into one"):
            simulate(boxed(), start, temperature=300.0, **OPTIONS)  # type: ignore[arg-type]
