"""What training says at its end: errors on held-out trajectories beside the no-skill row, as JSON and one HTML page."""

from __future__ import annotations

import base64
import csv
import html
import io
import json
from typing import Any

import torch

from forcefree.models.card import Card
from forcefree.models.forecaster import Forecaster
from forcefree.training.config import TrainingConfig
from forcefree.training.potential import potential_errors
from forcefree.training.windows import Windows


def error_table(model: Forecaster, windows: Windows) -> list[dict[str, float]]:
    """Errors of one forecast at every time of the windows, beside free flight and a frozen molecule.

    Returns:
        One row a time: ``time`` in fs, mean absolute errors in pm, velocity errors in percent of the rms velocity.
    """
    with torch.inference_mode():
        predicted = model.conserving_departures(windows.history, windows.times)
    positions, velocities = windows.departures()
    last = windows.history[-1]
    moved = windows.positions - last.positions
    rows = []
    for index, time in enumerate(windows.times[:, 0].tolist()):
        rms = windows.velocities[index].square().mean().sqrt()
        rows.append(
            {
                "time": time,
                "position_pm": 100.0 * float((positions[index] - predicted.positions[index]).abs().mean()),
                "velocity_percent": 100.0 * float((velocities[index] - predicted.velocities[index]).abs().mean() / rms),
                "free_flight_pm": 100.0 * float(positions[index].abs().mean()),
                "free_flight_velocity_percent": 100.0 * float(velocities[index].abs().mean() / rms),
                "frozen_pm": 100.0 * float(moved[index].abs().mean()),
            }
        )
    return rows


def energy_errors(model: Forecaster, windows: Windows) -> dict[str, float]:
    """Errors of the energy head beside no skill, in meV per atom; empty where there is no head or no energies in the data.

    Returns:
        ``potential`` of the energy itself, ``change`` of its change over a window, and ``no_skill_change`` of calling it
        constant.
    """
    if not model.knows_energy or windows.energies is None:
        return {}
    errors = potential_errors(model, windows)
    moved = (windows.energies[-1] - windows.energies[0]) / windows.history[-1].sizes
    return {
        "potential": 1000.0 * float(errors["val_potential_mae"]),
        "change": 1000.0 * float(errors["val_change_mae"]),
        "no_skill_change": 1000.0 * float(moved.abs().mean()),
    }


def write_training_report(config: TrainingConfig, model: Forecaster, held_out: Windows, *, seconds: float) -> None:
    """Write ``training-report.json`` and ``training-report.html`` into the training folder.

    Args:
        config: What was trained.
        model: The result.
        held_out: Windows that training never saw.
        seconds: How long it took.
    """
    card, table, history = model.card, error_table(model.eval(), held_out), _history(config)
    energy = energy_errors(model, held_out)
    report = {"card": card.model_dump(mode="json"), "errors": table, "energy": energy, "history": history, "seconds": round(seconds, 1)}
    (config.folder / "training-report.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
    (config.folder / "training-report.html").write_text(_page(card, table, energy, history, seconds), encoding="utf-8")


def _history(config: TrainingConfig) -> list[dict[str, float]]:
    """Validation errors of every attempt, those of a later attempt in place of an earlier one's at the same step."""
    found: dict[float, dict[str, float]] = {}
    for path in sorted(config.folder.glob("csv-*/metrics.csv"), key=lambda path: int(path.parent.name.removeprefix("csv-"))):
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if row.get("val_one_step") and row.get("val_rollout"):
                    step = float(row["step"])
                    found[step] = {"step": step, **{name: float(row[name]) for name in ("val_one_step", "val_rollout")}}
    return [found[step] for step in sorted(found)]


def _curves(history: list[dict[str, float]]) -> str:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.2), layout="constrained")
    axes = figure.subplots()
    for name, label in (("val_one_step", "one step, relative departure error"), ("val_rollout", "rollout, relative velocity error")):
        axes.plot([row["step"] for row in history], [row[name] for row in history], label=label)
    axes.set(xlabel="optimizer step", yscale="log")
    axes.legend(frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _page(card: Card, table: list[dict[str, float]], energy: dict[str, float], history: list[dict[str, float]], seconds: float) -> str:
    columns: dict[str, Any] = {
        "time": "time / fs",
        "position_pm": "position MAE / pm",
        "free_flight_pm": "free flight / pm",
        "frozen_pm": "frozen / pm",
        "velocity_percent": "velocity MAE / % of rms",
        "free_flight_velocity_percent": "free flight / %",
    }
    head = "".join(f"<th>{html.escape(label)}</th>" for label in columns.values())
    body = "".join("<tr>" + "".join(f"<td>{row[key]:.4g}</td>" for key in columns) + "</tr>" for row in table)
    potential = (
        f"<p>Energy head: mean absolute error {energy['potential']:.3g} meV per atom; of changes over a window {energy['change']:.3g} meV "
        f"per atom, where the changes themselves are {energy['no_skill_change']:.3g}.</p>"
        if energy
        else ""
    )
    picture = f'<img alt="validation errors" src="data:image/png;base64,{_curves(history)}">' if history else ""
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>Training report</title><style>body{font:15px/1.5 system-ui;max-width:60rem;"
        "margin:2rem auto;padding:0 1rem;color:#1b2430}table{border-collapse:collapse}td,th{padding:.3rem .8rem;text-align:right;"
        "border-bottom:1px solid #d5dbe3}img{max-width:100%}</style>"
        f"<h1>Training report: {html.escape(card.name)}</h1><p>{html.escape(card.model)}, {html.escape(card.level_of_theory)}, "
        f"trained for {seconds / 60.0:.1f} minutes on {card.training.get('picoseconds')} ps.</p>"
        f"<h2>Errors on held-out trajectories</h2><table><tr>{head}</tr>{body}</table>{potential}<h2>Validation</h2>{picture}</html>\n"
    )
