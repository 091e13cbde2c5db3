"""ASTEROID: causal, silent about the future in training terms, and better than free flight after a few steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from forcefree.errors import ForcefreeError
from forcefree.models.asteroid import Asteroid
from forcefree.models.card import Card
from forcefree.models.files import load
from forcefree.simulation import simulate
from forcefree.training.config import TrainingConfig
from forcefree.training.loss import Scales, unrolled_loss
from forcefree.training.run import train
from forcefree.training.windows import Windows, window_source
from networks import molecular_dynamics, store

OPTIONS: dict[str, Any] = {"window": 6, "spacing": 1.0, "channels": 8, "heads": 2, "filter_width": 8, "radial_functions": 8}
pytestmark = pytest.mark.filterwarnings("ignore")


def build(t_max: float = 4.0, **options: Any) -> Asteroid:
    chosen = OPTIONS | options
    card = Card(name="a", model="asteroid", options=chosen, species=[1, 8], t_max=t_max, cutoff=5.0, **Asteroid.timing(chosen, t_max))
    torch.manual_seed(0)
    return Asteroid(card)


@pytest.fixture(scope="module")
def runs() -> list[Any]:
    return molecular_dynamics(6, 120, every=2, ensemble="nve")


@pytest.fixture(scope="module")
def windows(runs: list[Any]) -> Windows:
    return window_source(runs, 4.0, Asteroid.timing(OPTIONS, 4.0)).draw(16, 0)


def delay_vectors(model: Asteroid, windows: Windows) -> torch.Tensor:
    """What the primary map says at every row, caught on its way."""
    caught: list[torch.Tensor] = []
    handle = model.primary.register_forward_hook(lambda module, inputs, output: caught.append(output[0]))
    model.departures(windows.history, windows.times)
    handle.remove()
    return caught[0]


def randomised(model: Asteroid) -> Asteroid:
    generator = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        parameter.data = 0.3 * torch.randn(parameter.shape, generator=generator)
    return model.double().eval()


def test_no_row_knows_of_a_later_frame(windows: Windows) -> None:
    model = randomised(build())
    plain = delay_vectors(model, windows)
    assert len(plain) == 3
    shaken = list(windows.history)
    generator = torch.Generator().manual_seed(2)
    for frame in (-1, -2):
        noise = 0.05 * torch.randn(shaken[0].positions.shape, generator=generator, dtype=torch.float64)
        shaken[frame] = shaken[frame].with_(positions=shaken[frame].positions + noise, velocities=shaken[frame].velocities + 0.01 * noise)
        changed = delay_vectors(model, Windows(tuple(shaken), windows.times, windows.positions, windows.velocities))
        assert torch.equal(changed[: len(plain) + frame], plain[: len(plain) + frame])
        assert not torch.allclose(changed[frame], plain[frame])


def test_a_frame_of_the_decoder_knows_of_no_later_proposal(windows: Windows) -> None:
    model = randomised(build())
    assert model.decoder is not None
    answers = []
    for shift in (0.0, 0.5):

        def proposed(module: Any, inputs: Any, output: Any, shift: float = shift) -> Any:
            moved = output[0].clone()
            moved[..., [2, 3, 6, 7]] += shift  # displacements and velocities of the third and fourth frame
            return moved, output[1]

        handle = model.primary.register_forward_hook(proposed)
        answers.append(model.departures(windows.history, windows.times))
        handle.remove()
    assert torch.equal(answers[0].positions[:2], answers[1].positions[:2])
    assert torch.equal(answers[0].velocities[:2], answers[1].velocities[:2])
    assert not torch.allclose(answers[0].positions[2], answers[1].positions[2])


def test_the_linear_start_already_beats_free_flight(runs: list[Any], windows: Windows) -> None:
    model = build()
    source = window_source(runs, 4.0, Asteroid.timing(OPTIONS, 4.0))
    scales = Scales.measure(source, 256)
    assert float(unrolled_loss(model.eval(), windows, scales)) < 0.5


def test_terms_are_asked_for_in_training_only_and_can_be_switched_off(windows: Windows) -> None:
    model = build()
    with_terms = model.train().departures(windows.history, windows.times).penalty
    assert with_terms is not None
    assert float(with_terms) > 0.0
    assert model.eval().departures(windows.history, windows.times).penalty is None
    off = build(known_weight=0.0, consistency_weight=0.0, conjugate_weight=0.0)
    assert off.conjugate is None
    assert off.train().departures(windows.history, windows.times).penalty is None


@pytest.mark.parametrize("name", ["known_weight", "consistency_weight", "conjugate_weight"])
def test_each_term_has_gradients_of_its_own(windows: Windows, name: str) -> None:
    weights = dict.fromkeys(("known_weight", "consistency_weight", "conjugate_weight"), 0.0)
    model = build(**(weights | {name: 1.0})).train()
    penalty = model.departures(windows.history, windows.times).penalty
    assert penalty is not None
    penalty.backward()
    assert model.primary.linear.grad is not None
    assert float(model.primary.linear.grad.abs().max()) > 0.0
    assert model.decoder is not None
    assert all(p.grad is None or float(p.grad.abs().max()) == 0.0 for p in model.decoder.parameters()), "the forecast is not pulled"


def shaken_past(windows: Windows, size: float) -> Windows:
    """Windows whose earlier frames are off by errors of this size in Å, and of a quarter of it per fs."""
    generator = torch.Generator().manual_seed(3)
    frames = list(windows.history)
    for index in range(len(frames) - 1):
        noise = size * torch.randn(2, *frames[0].positions.shape, generator=generator, dtype=torch.float64)
        frame = frames[index]
        frames[index] = frame.with_(positions=frame.positions + noise[0], velocities=frame.velocities + 0.25 * noise[1])
    return Windows(tuple(frames), windows.times, windows.positions, windows.velocities)


def change(model: Asteroid, windows: Windows, size: float) -> float:
    """Root mean square change of the last forecast frame in Å when the past is off by ``size``."""
    plain, other = (model.departures(w.history, w.times).positions[-1] for w in (windows, shaken_past(windows, size)))
    return float((other - plain).square().mean().sqrt().detach())


def test_what_a_wrong_past_can_do_is_bounded(windows: Windows) -> None:
    model = build(autoregressive=False).double().eval()
    model.scales.fill_(0.1)
    assert change(model, windows, 1.0) < 2.0 * change(model, windows, 0.1), "however wrong it is"
    with torch.no_grad():
        model.primary.trust.bias.fill_(-20.0)
    assert change(model, windows, 1.0) < 1e-6, "not at all where it is not trusted"


def test_a_past_that_the_last_frame_implies_adds_nothing(windows: Windows) -> None:
    model = randomised(build(autoregressive=False))
    primary = model.primary
    caught: list[Any] = []
    handle = primary.register_forward_hook(lambda module, inputs, output: caught.append(inputs))
    model.departures(windows.history, windows.times)
    handle.remove()
    _, *token = caught[0]
    _, expected = primary(caught[0][0], *token)
    anchored = build(autoregressive=False, innovation=False).double()
    anchored.load_state_dict(model.state_dict())
    torch.testing.assert_close(primary(expected, *token)[0], anchored.primary(expected, *token)[0])
    assert not torch.allclose(primary(2.0 * expected, *token)[0], anchored.primary(expected, *token)[0])


def test_training_on_its_own_past_starts_from_true_frames(runs: list[Any]) -> None:
    """The second forecast sees the truth now, and behind it the forces of the first forecast."""
    windows = window_source(runs, 8.0, Asteroid.timing(OPTIONS, 4.0)).draw(4, 1)
    model = randomised(build())
    seen: list[Any] = []

    def watched(history: Any, times: torch.Tensor, known: Any = model.conserving_departures) -> Any:
        seen.append((history, known(history, times)))
        return seen[-1][1]

    model.conserving_departures = watched  # type: ignore[method-assign]
    scales = Scales(torch.ones(4), torch.ones(4), 1.0)
    unrolled_loss(model, windows, scales, 2, own_past=True)
    (first, told), (second, _) = seen
    torch.testing.assert_close(second[-1].positions, windows.positions[3])
    torch.testing.assert_close(second[-1].velocities, windows.velocities[3])
    assert not any(state.positions.requires_grad for state in second)
    kick = (told.velocities[2] - told.velocities[3]).detach()
    torch.testing.assert_close(second[-2].velocities - second[-1].velocities, kick)
    flown = second[-1].positions - second[-1].velocities
    bent = (told.positions[2] - told.positions[3] + told.velocities[3]).detach()
    torch.testing.assert_close(second[-2].positions - flown, bent)
    assert second[-2].time.tolist() == (first[-1].time + 3.0).tolist()


def test_the_known_term_vanishes_for_the_truth(windows: Windows) -> None:
    from forcefree.models.asteroid_terms import sti_penalty
    from forcefree.nn.delay import departures_from

    model = build(conjugate_weight=0.0)
    whole = torch.cat([torch.stack([s.positions for s in windows.history]), windows.positions])
    faster = torch.cat([torch.stack([s.velocities for s in windows.history]), windows.velocities])
    rows, steps = torch.arange(3, 6), torch.arange(1, 5)
    scale = torch.full((windows.history[0].n_atoms, 1, 1), 0.1, dtype=torch.float64)
    truth = departures_from(whole, faster, steps, rows, 1.0) / scale
    past = model.modes((whole[:6], faster[:6]), scale)
    terms = {"scale": scale, "spread": model.primary.spread.double(), "past": past, "recovered": (past, past)}
    found = sti_penalty(model.config, (whole[:6], faster[:6]), truth, truth[-1], **terms)
    wrong = sti_penalty(model.config, (whole[:6], faster[:6]), 1.1 * truth, truth[-1], **terms)
    assert float(found) < 1e-20
    assert float(wrong) > 1e-5


def test_it_learns_is_written_and_runs(tmp_path: Path, runs: list[Any], windows: Windows) -> None:
    path = store(tmp_path / "runs.h5", runs)
    config = TrainingConfig.parse(
        {
            "data": {"files": [str(path)], "validation_fraction": 0.2},
            "model": {"name": "tiny", "architecture": "asteroid", "t_max": 4.0, "cutoff": 5.0, "options": OPTIONS},
            "optimizer": {"steps": 60, "warmup": 5, "batch": 12, "learning_rate": 0.01, "ema": 0.9},
            "validation": {"every": 30, "windows": 24, "rollouts": 4, "segments": 2},
            "unroll": 2,
            "own_past": True,
            "output": str(tmp_path / "m.safetensors"),
        },
        "test",
    )
    model = load(train(config, progress=False))
    assert model.card.history_length == 6
    assert model.card.fixed_times == [1.0, 2.0, 3.0, 4.0]
    scales = Scales.measure(window_source(runs, 4.0, Asteroid.timing(OPTIONS, 4.0)), 256)
    start = build()
    start.scales.copy_(model.get_buffer("scales"))
    before, after = (float(unrolled_loss(m.eval(), windows, scales)) for m in (start, model))
    assert after < 0.3 * before

    ended = simulate(model, path, temperature=300.0, duration=8.0, output=tmp_path / "t.h5", save_every=1.0, guards=False)
    (trajectory,) = ended.trajectories()
    assert len(trajectory) == 9
    assert bool(np.isfinite(trajectory.positions).all())


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"lags": 6}, r"lags \(6\) must be fewer than the frames of the window \(6\)"),
        ({"heads": 3}, r"channels \(8\) must be a multiple of heads \(3\)"),
        ({"local_attention": False, "global_attention": False}, "cannot both be off"),
        ({"spacing": 3.0}, "t_max must be a multiple of the spacing of 3 fs, not 4 fs"),
    ],
)
def test_options_that_cannot_be_are_said(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ForcefreeError, match=sentence):
        build(**options)


def test_a_card_of_another_history_is_refused() -> None:
    with pytest.raises(ForcefreeError, match="needs a card with a history of 6 frames 1 fs apart"):
        Asteroid(Card(name="a", model="asteroid", options=OPTIONS, species=[1, 8], t_max=4.0, cutoff=5.0))
