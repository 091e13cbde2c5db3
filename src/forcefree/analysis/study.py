"""The whole analysis: a trajectory beside its reference, measure by measure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from forcefree.analysis.diffusion import diffusion_measures, finite_size_notes
from forcefree.analysis.discard import Discard
from forcefree.analysis.energetics import EnergyOptions, drift_measure, potential_measures
from forcefree.analysis.motion import conserved_by
from forcefree.analysis.pieces import Piece, Split, cut, split_halves
from forcefree.analysis.result import Analysis, EnergyResult, Measure, SideResult
from forcefree.analysis.sample import Sample, check_pair, load_sample
from forcefree.analysis.structure import radial_measure, structure_measures
from forcefree.analysis.thermal import heat_measures, temperature_measures, temperatures
from forcefree.analysis.verdict import Thresholds, conclude
from forcefree.analysis.vibrations import vibration_measures
from forcefree.models.files import find_reference
from forcefree.reference.config import CalculatorConfig
from forcefree.reference.electrons import Electrons

Progress = Callable[[str], None]
"""Told what is being done now."""

_FEW_RUNS = 6
_OTHER_TEMPERATURE = 0.1
_HOLD_ELEMENTS = {"csvr-elements": "element", "langevin": "atom"}


def analyze(
    trajectory: Path | str,
    reference: Path | str,
    *,
    calculator: CalculatorConfig | str | None = "stored",
    temperature: float | None = None,
    discard: str = "10%",
    samples: int = 400,
    workers: int = 1,
    splits: int = 10,
    seed: int = 0,
    thresholds: Thresholds | None = None,
    progress: Progress | None = None,
) -> Analysis:
    """Measure a trajectory beside its reference and beside what the reference says of itself.

    Args:
        trajectory: H5MD store with velocities.
        reference: H5MD store of the same system with velocities, or the name of a bundled one such as ``ethanol-nvt-300K``.
        calculator: For true energies: ``"stored"`` takes the one that the reference's provenance names, another name or
            configuration takes that one, None or ``"none"`` leaves energies out.
        temperature: K, where the trajectory holds runs at several target temperatures.
        discard: Start of each run of the trajectory that is left out, such as ``"10%"`` or ``"5ps"``.
        samples: Frames whose true energy is computed.
        workers: Processes that compute them.
        splits: Random halves of the reference.
        seed: Of the splits.
        thresholds: What the trajectory is held to.
        progress: Told what is being done now.

    Returns:
        The measures with their verdicts and everything that a report shows.

    Raises:
        ForcefreeError: If a file cannot be used, or the two do not belong together.
    """
    tell = progress or (lambda _: None)
    limits = thresholds or Thresholds()
    tell("reading")
    model, base = _load(Path(trajectory), find_reference(reference), temperature, Discard.of(discard))
    ours, theirs = cut(model, base)
    halves = split_halves(ours, theirs, count=splits, seed=seed)
    kelvin = model.temperature or base.temperature or temperatures(base.runs)["all"][0]
    tell("temperatures")
    measures = [_completeness(model), *temperature_measures(model, base, limits), *heat_measures(model)]
    found: dict[str, Any] = {}
    tell("true energies")
    chosen = _energy_options(calculator, base, samples, workers)
    notes = study_notes(model, base, chosen)
    if chosen is not None:
        measures += _energies(model, base, (ours, theirs), kelvin, chosen, limits, seed, found)
    tell("vibrations")
    vibration, found["spectrum"], more = vibration_measures(ours, theirs, halves, kelvin, base, limits)
    measures += vibration
    notes += more
    tell("structure")
    measures += _structure(base, ours, theirs, halves, limits, found)
    notes += finite_size_notes(measures, base.runs[0].cell, kelvin)
    used = {"discard": discard, "samples": samples, "splits": splits, "seed": seed, "thresholds": limits.model_dump()}
    found |= {"options": used | _amounts(ours, theirs, halves), "stopped": model.stopped, "notes": notes}
    return Analysis(trajectory=_side(model), reference=_side(base), measures=measures, conclusion=conclude(measures), **found)


def _load(trajectory: Path, reference: Path, temperature: float | None, discard: Discard) -> tuple[Sample, Sample]:
    model = load_sample(trajectory, temperature=temperature, discard=discard)
    base = load_sample(reference, temperature=model.temperature if temperature is None else temperature)
    check_pair(model, base)
    return model, base


def _completeness(model: Sample) -> Measure:
    stopped, runs = len(model.stopped), len(model.whole)
    return Measure(
        key="stopped",
        group="completeness",
        label="replicas stopped by a guard",
        model=stopped,
        deviation=stopped,
        threshold=0.0,
        verdict="does not hold" if stopped else "holds",
        note=f"of {runs}",
    )


def _energies(
    model: Sample,
    reference: Sample,
    pieces: tuple[list[Piece], list[Piece]],
    kelvin: float,
    options: EnergyOptions,
    limits: Thresholds,
    seed: int,
    found: dict[str, Any],
) -> list[Measure]:
    measures, result = potential_measures(pieces[0], pieces[1], kelvin, options, limits, seed)
    if model.ensemble == "nve":
        drift, times, total = drift_measure(model, reference, options, limits)
        measures = [drift, *measures]
        result = EnergyResult(**{**result.model_dump(), "times": times, "total": total})
    found["energies"] = result
    return measures


def _structure(
    reference: Sample, ours: list[Piece], theirs: list[Piece], halves: list[Split], limits: Thresholds, found: dict[str, Any]
) -> list[Measure]:
    measures, found["distributions"] = structure_measures(ours, theirs, halves, limits)
    if reference.runs[0].pbc.all():
        radial, distances, found["radial"] = radial_measure(ours, theirs, halves, limits)
        found["distributions"] += distances
        moving, found["displacements"] = diffusion_measures(ours, theirs, limits)
        measures += [radial, *moving]
    return measures


def _energy_options(wanted: CalculatorConfig | str | None, reference: Sample, samples: int, workers: int) -> EnergyOptions | None:
    if wanted is None or wanted == "none":
        return None
    provenance = reference.whole[0].provenance
    stored = provenance.get("calculator")
    own = CalculatorConfig.parse(stored, f"the calculator in {reference.path}") if isinstance(stored, dict) else None
    named = CalculatorConfig(name=wanted) if isinstance(wanted, str) else wanted
    chosen = own if wanted == "stored" else named
    if chosen is None:
        return None
    has_energies = all(run.energies is not None for run in reference.runs)
    electrons = Electrons.stored(provenance, str(reference.path))
    stored_too = has_energies and chosen == own
    start = reference.whole[0].frames(0, 1)
    return EnergyOptions(chosen, stored=stored_too, samples=samples, workers=workers, electrons=electrons, bonded=start)


def study_notes(model: Sample, reference: Sample, energies: EnergyOptions | None) -> list[str]:
    """What a reader should know of the two samples before believing a verdict, in sentences."""
    notes = []
    if len(reference.runs) == 1:
        notes.append(
            "The reference is a single run, so its halves are stretches of time: where the run is slow to forget, the ceiling is too "
            "low and the trajectory is judged too harshly."
        )
    elif len(reference.runs) < _FEW_RUNS:
        notes.append(f"The reference has only {len(reference.runs)} runs, so the ceiling is uncertain; at least {_FEW_RUNS} are better.")
    if model.too_short:
        notes.append(f"{model.too_short} of {len(model.whole)} replicas are too short to be analysed and are left out.")
    if conserved_by(model.runs) != conserved_by(reference.runs):
        notes.append(
            f"The trajectory conserves {conserved_by(model.runs)}, the reference {conserved_by(reference.runs)}; temperatures count "
            "the freedom of each, and spectra are taken without rigid rotation."
        )
    if model.energy_drifts:
        drifts = model.energy_drifts
        kept = ", and velocities were scaled after every step to take it out again" if model.whole[0].provenance.get("keep_energy") else ""
        notes.append(
            f"The model's own energy head estimates that the dynamics adds {sum(drifts) / len(drifts):+.3g} meV per atom and ps to "
            f"the total energy, on average over {len(drifts)} replicas, thermostat not counted{kept}."
        )
    if model.thermostat in _HOLD_ELEMENTS and len(set(model.runs[0].numbers.tolist())) > 1:
        notes.append(
            f"The thermostat ({model.thermostat}) acts on every {_HOLD_ELEMENTS[model.thermostat]} by itself and holds the temperatures of elements: that they are "
            "right is weak evidence of equipartition"
            + ("; the heat that the forecasts bring to each element shows how much it has to hold." if model.heat else ".")
        )
    ours, theirs = (temperatures(sample.runs)["all"][0] for sample in (model, reference))
    if model.ensemble == "nve" and abs(ours / theirs - 1.0) > _OTHER_TEMPERATURE:
        notes.append(
            f"The trajectory ran without a thermostat at {ours:.0f} K, the reference at {theirs:.0f} K, so that all that depends on the "
            "temperature differs for that reason alone. Velocities drawn for a relaxed structure lose half of their heat to its "
            "vibrations: equilibrate before (forcefree simulate --equilibration 5ps)."
        )
    if energies is None:
        named = isinstance(reference.whole[0].provenance.get("calculator"), dict)
        why = "none were asked for" if named else "no calculator was chosen, and none is named in the reference's provenance"
        notes.append(f"True energies were not computed: {why}.")
    for noun, sample in (("trajectory", model), ("reference", reference)):
        if sample.whole[0].provenance.get("velocities") == "central differences":
            notes.append(f"The {noun}'s velocities were derived from positions, which damps fast vibrations.")
    return notes


def _amounts(ours: list[Piece], theirs: list[Piece], halves: list[Split]) -> dict[str, Any]:
    frames = theirs[0].frames
    return {
        "piece_ps": float(f"{len(frames) * frames.spacing / 1000.0:.6g}"),
        "pieces_of_trajectory": len(ours),
        "pieces_of_reference": len(theirs),
        "pieces_compared": len(halves[0].model),
    }


def _side(sample: Sample) -> SideResult:
    run = sample.runs[0]
    return SideResult(
        path=str(sample.path),
        formula=str(Atoms(run.numbers).get_chemical_formula()),
        n_atoms=len(run.numbers),
        periodic=sample.periodic,
        runs=len(sample.whole),
        analysed_runs=len(sample.runs),
        spacing=sample.spacing,
        duration=float(np.round(sample.duration / 1000.0, 6)),
        ensemble=sample.ensemble,
        temperature=sample.temperature,
        conserved=conserved_by(sample.runs),
        shown_run=max(sample.runs, key=len).name,
        provenance=sample.whole[0].provenance,
    )
