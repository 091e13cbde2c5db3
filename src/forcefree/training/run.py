"""One training run from configuration to model file, resumable after every validation."""

from __future__ import annotations

import json
import logging
import math
import time
import warnings
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only

from forcefree.data.h5md import read_store
from forcefree.data.trajectory import Trajectory
from forcefree.errors import ForcefreeError
from forcefree.memory import keep_freed_memory
from forcefree.models.card import Card
from forcefree.models.files import find_model, read_card, save_model
from forcefree.models.forecaster import Forecaster
from forcefree.models.registry import build_model, find_architecture
from forcefree.training.blocks import freeze_blocks
from forcefree.training.callbacks import ErrorBar, KeepBest, StopWhenBothStall, StopWhenDiverged
from forcefree.training.checks import check_trajectory
from forcefree.training.config import TrainingConfig
from forcefree.training.folder import TrainingFolder, data_hash
from forcefree.training.initial import continued
from forcefree.training.loader import fixed_loader, training_loader
from forcefree.training.loss import Scales, unrolled_loss
from forcefree.training.module import ForecasterModule, one_step_errors, rollout_error
from forcefree.training.molecules import without
from forcefree.training.potential import PotentialScales, potential_errors
from forcefree.training.report import write_training_report
from forcefree.training.splits import split
from forcefree.training.statistics import departure_scales, guard_limits, told_temperatures
from forcefree.training.windows import Windows, WindowSource, window_source

_SAMPLE = 512  # windows whose first frames an untrained model may look at


def train(config: TrainingConfig | Path | str | Mapping[str, Any], *, resume: bool = False, progress: bool = True) -> Path:
    """Train a forecaster and write its model file and training report.

    The model file has the averaged weights of the validation with the smallest one-step error.

    Args:
        config: Data, architecture, optimizer and output, or the path of the YAML file that says so, or its keys and values.
        resume: Continue from the last checkpoint in the folder beside the output; on a processor the result is the same as without interruption.
        progress: Show a progress bar.

    Returns:
        The model file.

    Raises:
        ForcefreeError: If the configuration is wrong, the data cannot be trained on, the output exists, there is nothing to resume,
            or the training diverges.
    """
    config = TrainingConfig.accept(config)
    started, worked = time.monotonic(), time.process_time()
    keep_freed_memory()
    digest = data_hash(config.data.files)
    folder = TrainingFolder(config, digest)
    checkpoint = folder.go_on() if resume else None
    if checkpoint is None:
        folder.refuse_taken()
    trajectories = _trajectories(config)
    early, late = split(trajectories, config.data, config.seed)
    seed_everything(config.seed, verbose=False)
    source = _source(config, early, config.model.t_max * config.unroll)
    one_step = _source(config, early, config.model.t_max)
    model = _model(config, trajectories, one_step, digest)
    freeze_blocks(model, config.freeze)
    held_out = _source(config, late, config.model.t_max, reversal=False)
    long = _source(config, late, config.model.t_max * config.validation.segments, reversal=False)
    rollouts, windows = long.draw(config.validation.rollouts, 2), held_out.draw(config.validation.windows, 1)
    model.check_system(windows.history[-1])
    scales = Scales.measure(one_step)
    module = ForecasterModule(model, config, scales, rollouts, _potential_scales(model, config, one_step))
    if checkpoint is None and rank_zero_only.rank == 0:
        folder.claim()
    trainer = _trainer(config, folder, progress)
    loaders = (
        training_loader(
            source, config.optimizer.batch, config.validation.every, lambda: trainer.global_step, trainer.global_rank, trainer.world_size
        ),
        fixed_loader(windows),
    )
    _fit(config, trainer, module, loaders, checkpoint)
    chosen_step, validation = _load_average(model, folder), _metrics(model, windows, rollouts, scales)
    if not math.isfinite(validation["val_one_step"]):  # where the last steps were not looked at
        raise ForcefreeError(f"training diverged: its errors on held-out windows are not finite, so no model is written; {_cure(config)}")
    outcome = {
        "chosen_step": chosen_step,
        "validation": validation,
        "steps": trainer.global_step,
        "seconds": round(time.monotonic() - started),
        "processor_seconds": round(time.process_time() - worked, 1),
        "torch": torch.__version__,
        "hardware": _hardware(trainer),
        "command": "forcefree train, with the configuration stored here",
    }
    model.card = model.card.model_copy(update={"training": model.card.training | outcome})
    if trainer.is_global_zero:
        save_model(model, config.output)
        write_training_report(config, model, held_out.draw(max(256, config.validation.windows), 3), seconds=time.monotonic() - started)
    return config.output


def _potential_scales(model: Forecaster, config: TrainingConfig, source: WindowSource) -> PotentialScales | None:
    """Units of the energy head's errors and its references; a head that is not trained stays as it is."""
    if model.energy is None:
        return None
    if not config.potential_weight:
        model.energy.requires_grad_(False)
        return None
    return PotentialScales.fit(model.energy, source)


def _trajectories(config: TrainingConfig) -> list[Trajectory]:
    """The data, which must have what the loss asks for.

    Raises:
        ForcefreeError: If it cannot be trained on.
    """
    first = (islice(read_store(path), config.data.runs) for path in config.data.files)
    trajectories = without([trajectory for runs in first for trajectory in runs], config.data.exclude)
    for trajectory in trajectories:
        check_trajectory(trajectory, config.model.cutoff)
    if config.energy_weight and any(trajectory.forces is None for trajectory in trajectories):
        raise ForcefreeError("energy_weight needs forces in every trajectory; record them, or set energy_weight to 0")
    if config.potential_weight and any(trajectory.energies is None for trajectory in trajectories):
        raise ForcefreeError("potential_weight needs potential energies in every trajectory; record them, or set potential_weight to 0")
    if config.reversal_weight and _timing(config).get("history_length", 1) > 1:
        raise ForcefreeError(f"reversal_weight is for models of one frame, and {config.model.name} sees several; set it to 0")
    if config.own_past and _timing(config).get("history_length", 1) == 1:
        raise ForcefreeError(f"own_past is for models of several frames, and {config.model.name} sees one; leave it out")
    return trajectories


def _metrics(model: Forecaster, windows: Windows, rollouts: Windows, scales: Scales) -> dict[str, float]:
    """Errors on held-out data, as the card tells them."""
    errors = one_step_errors(model, windows)
    if model.knows_energy and windows.energies is not None:
        errors |= potential_errors(model, windows)
    found = {name: float(value) for name, value in errors.items()}
    with torch.inference_mode():
        found["val_one_step"] = float(unrolled_loss(model, windows, scales).sqrt())
    return found | {"val_rollout": float(rollout_error(model, rollouts))}


def _fit(config: TrainingConfig, trainer: Trainer, module: ForecasterModule, loaders: tuple[Any, Any], checkpoint: Path | None) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*(num_workers|does not have many workers|checkpoint directory|isinstance).*")
        warnings.filterwarnings("ignore", message=".*sync_dist=True.*")  # every device validates the same windows
        try:
            trainer.fit(
                module, *loaders, ckpt_path=None if checkpoint is None else str(checkpoint), weights_only=True if checkpoint else None
            )
        except SystemExit:
            if trainer.interrupted:
                raise KeyboardInterrupt from None
            raise
        except torch.linalg.LinAlgError as error:  # type: ignore[attr-defined]  # SOAP met gradients that are not finite
            raise ForcefreeError(
                f"training diverged: gradients were not finite at step {trainer.global_step}, so no model is written; {_cure(config)}"
            ) from error


def _cure(config: TrainingConfig) -> str:
    """What helps against divergence."""
    options = config.optimizer
    return (
        f"remove {config.folder} and train again with a smaller optimizer.learning_rate (now {options.learning_rate:g}) "
        f"or optimizer.clip (now {options.clip:g})"
    )


def _hardware(trainer: Trainer) -> str:
    """What the training ran on."""
    device = trainer.strategy.root_device
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _on_processor(config: TrainingConfig) -> bool:
    """Whether no GPU will be used."""
    return config.accelerator == "cpu" or (config.accelerator == "auto" and not torch.cuda.is_available())


def _load_average(model: Forecaster, folder: TrainingFolder) -> int:
    """Take the averaged weights from the chosen checkpoint, and tell the step at which it was made."""
    checkpoint = torch.load(folder.chosen, map_location="cpu", weights_only=True)
    model.cpu().load_state_dict({name.removeprefix("model."): tensor for name, tensor in checkpoint["state_dict"].items()})
    model.eval()
    return int(checkpoint["global_step"])


def _source(config: TrainingConfig, trajectories: list[Trajectory], horizon: float, *, reversal: bool = True) -> WindowSource:
    return window_source(trajectories, horizon, _timing(config), time_reversal=reversal and config.data.time_reversal, seed=config.seed)


def _timing(config: TrainingConfig) -> dict[str, Any]:
    """Which frames the model starts from and forecasts: that of the initial model, where there is one."""
    if config.initial is None:
        return find_architecture(config.model.architecture).timing(config.model.options, config.model.t_max)
    card = read_card(find_model(config.initial))
    return find_architecture(card.model).timing(card.options, card.t_max)


def _model(config: TrainingConfig, trajectories: list[Trajectory], source: WindowSource, digest: str) -> Forecaster:
    made = {
        "data_sha256": digest,
        "trajectories": len(trajectories),
        "picoseconds": round(sum(float(t.times[-1] - t.times[0]) for t in trajectories) / 1000.0, 3),
        "config": json.loads(config.model_dump_json()),
    }
    if config.initial is not None:
        return continued(config, trajectories, source, made)
    species = sorted({int(z) for t in trajectories for z in t.numbers})
    limits = guard_limits(trajectories)
    first = trajectories[0].provenance
    card = Card(
        name=config.model.name,
        model=config.model.architecture,
        options=config.model.options,
        species=species,
        t_max=config.model.t_max,
        cutoff=config.model.cutoff,
        **_timing(config),
        energy=config.model.energy if config.potential_weight else None,
        ensemble=str(first.get("ensemble", "unknown")),
        temperatures=told_temperatures(trajectories),
        level_of_theory=str(first.get("level_of_theory", "unknown")),
        calculator=first.get("calculator"),
        guards=limits,
        training=made,
    )
    model = build_model(card)
    set_scales: Any = getattr(model, "set_scales", None)
    if set_scales is not None:
        set_scales(*departure_scales(source, species))
    start_from: Any = getattr(model, "start_from", None)
    if start_from is not None:
        start_from(source.draw(_SAMPLE, 1 << 52).history[-1])
    return model


def _trainer(config: TrainingConfig, folder: TrainingFolder, progress: bool) -> Trainer:
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    torch.set_float32_matmul_precision("highest")  # departures are forecast to a part in a thousand, which is all that TF32 keeps
    checkpoints = ModelCheckpoint(dirpath=folder.path, filename="last", save_on_train_epoch_end=True, enable_version_counter=False)
    attempt = len(list(config.folder.glob("csv-*")))
    return Trainer(
        accelerator=config.accelerator,
        devices=config.devices,
        strategy=config.strategy,
        precision=config.precision,
        max_steps=config.optimizer.steps,
        gradient_clip_val=config.optimizer.clip,
        logger=[
            CSVLogger(config.folder, name="", version=f"csv-{attempt}"),
            TensorBoardLogger(config.folder, name="", version="tensorboard"),
        ],
        callbacks=[
            EMAWeightAveraging(decay=config.optimizer.ema, update_starting_at_step=config.optimizer.warmup - 1),
            StopWhenDiverged(_cure(config)),
            StopWhenBothStall(config.validation.patience),
            KeepBest(folder.best),
            checkpoints,
            *([ErrorBar(refresh_rate=20)] if progress else []),
        ],
        enable_progress_bar=progress,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        deterministic=_on_processor(config),  # sums over neighbours in a fixed order take several times as long on a GPU
        log_every_n_steps=min(50, config.validation.every),
    )
