"""Clips show the end of a run, at one pace, without drift and tumbling."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from forcefree.analysis import Analysis
from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError
from forcefree.report.movie import clips, to_xyz
from networks import molecular_dynamics, store


def _frames(xyz: str) -> np.ndarray:
    lines = xyz.strip().split("\n")
    atoms = int(lines[0])
    blocks = np.array(lines).reshape(-1, atoms + 2)
    return np.array([[[float(x) for x in line.split()[1:]] for line in block[2:]] for block in blocks])


def test_both_clips_run_at_one_pace_to_the_end(analysis: Analysis) -> None:
    found = clips(analysis)
    assert [clip.spacing for clip in found] == [4.0, 4.0]
    for clip in found:
        frames = _frames(clip.xyz)
        assert len(frames) == 200
        assert clip.start + (len(frames) - 1) * clip.spacing == pytest.approx(798.0)
        assert not clip.periodic


def test_a_tumbling_molecule_is_shown_still() -> None:
    run = molecular_dynamics(1, 60)[0]
    shape = np.repeat(run.positions[:1], 60, axis=0)
    turns = Rotation.from_rotvec(np.linspace(0.0, 3.0, 60)[:, None] * [0.2, 0.5, -0.3]).as_matrix()
    moving = replace(run, positions=shape @ turns + np.arange(60.0)[:, None, None])
    shown = _frames(to_xyz(moving, run.positions[0]))
    np.testing.assert_allclose(shown, np.repeat(shown[:1], 60, axis=0), atol=1.1e-3)
    centre = run.masses @ run.positions[0] / run.masses.sum()
    np.testing.assert_allclose(shown[0], run.positions[0] - centre, atol=6e-4)


def test_periodic_frames_carry_their_cell_and_stay_where_they_are() -> None:
    run = replace(molecular_dynamics(1, 40)[0], cell=np.diag([9.0, 10.0, 11.0]), pbc=np.ones(3, dtype=bool))
    text = to_xyz(run, run.positions[0])
    assert 'Lattice="9.0000 0.0000 0.0000 0.0000 10.0000 0.0000 0.0000 0.0000 11.0000"' in text
    np.testing.assert_allclose(_frames(text), run.positions, atol=6e-4)


def test_a_short_run_is_shown_whole(tmp_path: Path, analysis: Analysis) -> None:
    path = store(tmp_path / "short.h5", molecular_dynamics(1, 40))
    side = analysis.trajectory.model_copy(update={"path": str(path), "shown_run": "run_0000"})
    found = clips(analysis.model_copy(update={"trajectory": side}))
    assert len(_frames(found[0].xyz)) == 20


def test_a_store_that_has_gone_is_named(tmp_path: Path, analysis: Analysis) -> None:
    side = analysis.reference.model_copy(update={"path": str(tmp_path / "gone.h5")})
    with pytest.raises(ForcefreeError, match=r"gone\.h5 does not exist"):
        clips(analysis.model_copy(update={"reference": side}))


@pytest.mark.parametrize(("atoms", "frames"), [(4, 200), (400, 100), (4000, 40)])
def test_large_systems_are_shown_for_a_shorter_time(analysis: Analysis, atoms: int, frames: int) -> None:
    sides = {noun: getattr(analysis, noun).model_copy(update={"n_atoms": atoms}) for noun in ("trajectory", "reference")}
    for clip in clips(analysis.model_copy(update=sides)):
        assert len(_frames(clip.xyz)) == frames
        assert clip.start + (frames - 1) * clip.spacing == pytest.approx(798.0)


def test_atoms_and_diatomic_molecules_are_centred_but_not_turned() -> None:
    positions = np.array([[[1.0, 2.0, 3.0], [1.0, 2.0, 5.0]], [[4.0, 4.0, 4.0], [6.0, 4.0, 4.0]]])
    pair = Trajectory("r", np.array([1, 9]), np.array([1.0, 19.0]), np.arange(2.0), positions)
    expected = [[[0.0, 0.0, -1.9], [0.0, 0.0, 0.1]], [[-1.9, 0.0, 0.0], [0.1, 0.0, 0.0]]]
    np.testing.assert_allclose(_frames(to_xyz(pair, positions[0])), expected, atol=6e-4)
    lone = Trajectory("r", np.array([18]), np.array([40.0]), np.arange(2.0), positions[:, :1])
    assert not _frames(to_xyz(lone, positions[0, :1])).any()
