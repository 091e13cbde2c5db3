"""The npz files of MD17, revised MD17 and MD22."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from forcefree.data.importing.archive import Archive
from forcefree.data.importing.source import Block, Source, standard_masses
from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError

MD17_SPACING = 0.5
"""fs between frames of MD17 (Chmiela et al., Sci. Adv. 3, e1603015, 2017)."""

MD22_SPACING = 1.0
"""fs between frames of MD22 (Chmiela et al., Sci. Adv. 9, eadf0873, 2023)."""


def read_md17(source: Source) -> Iterator[Block]:
    """Read an MD17 archive (keys E, F, R, z in kcal/mol and Å, consecutive frames 0.5 fs apart).

    Raises:
        ForcefreeError: If a key is missing or ``--timestep`` differs.
    """
    facts = {"level_of_theory": "PBE+vdW-TS", "ensemble": "nvt", "temperature": 500.0}
    yield _sgdml_layout(source, "md17", MD17_SPACING, facts)


def read_md22(source: Source) -> Iterator[Block]:
    """Read an MD22 archive (keys E, F, R, z in kcal/mol and Å, consecutive frames 1 fs apart).

    Raises:
        ForcefreeError: If a key is missing or ``--timestep`` differs.
    """
    yield _sgdml_layout(source, "md22", MD22_SPACING, {"level_of_theory": "PBE+MBD", "ensemble": "nvt"})


def _sgdml_layout(source: Source, kind: str, spacing: float, facts: dict[str, object]) -> Block:
    with Archive(source.path) as archive:
        length = source.unit("length", written=archive.text("r_unit"), usual="A")
        energy = source.unit("energy", written=archive.text("e_unit"), usual="kcal/mol")
        positions = archive.frames("R") * length
        numbers = archive.numbers("z")
        return Block(
            Trajectory(
                name=source.path.stem,
                numbers=numbers,
                masses=standard_masses(numbers),
                times=source.times(0, len(positions), spacing=spacing),
                positions=positions,
                energies=archive.scalars("E", len(positions)) * energy,
                forces=archive.frames("F") * energy / length,
                provenance={"format": kind, **facts},
            )
        )


def read_rmd17(source: Source) -> Iterator[Block]:
    """Read a revised MD17 archive, sorted by ``old_indices``, the place of each frame in MD17.

    The file holds a random part of MD17's frames in random order, so most lack a neighbour in time; energies and forces
    are PBE/def2-SVP single points along a trajectory of PBE+vdW-TS (Christensen and von Lilienfeld, 2020).

    Raises:
        ForcefreeError: If ``old_indices`` is missing or repeats, since then nothing tells the times.
    """
    with Archive(source.path) as archive:
        if "old_indices" not in archive:
            raise ForcefreeError(
                f"{source.path} has no 'old_indices', and revised MD17 frames are in random order without it; download the original archive"
            )
        places = np.asarray(archive["old_indices"]).reshape(-1).astype(np.int64)
        order = np.argsort(places, kind="stable")
        if len(np.unique(places)) != len(places):
            raise ForcefreeError(f"{source.path} repeats some of its old_indices, so its frames have no order in time; download it again")
        numbers, energy = archive.numbers("nuclear_charges"), source.unit("energy", usual="kcal/mol")
        length, spacing = source.unit("length", usual="A"), source.spacing(MD17_SPACING)
        yield Block(
            Trajectory(
                name=source.path.stem,
                numbers=numbers,
                masses=standard_masses(numbers),
                times=np.asarray(places[order] * spacing, dtype=np.float64),
                positions=archive.frames("coords", len(places))[order] * length,
                energies=archive.scalars("energies", len(places))[order] * energy,
                forces=archive.frames("forces", len(places))[order] * energy / length,
                provenance={
                    "format": "rmd17",
                    "level_of_theory": "PBE+vdW-TS",
                    "energies_and_forces": "PBE/def2-SVP",
                    "ensemble": "nvt",
                    "temperature": 500.0,
                },
            ),
            spacing=spacing,
        )
