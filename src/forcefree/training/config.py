"""What ``forcefree train`` is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from forcefree.models.energy_config import EnergyConfig
from forcefree.settings import Duration, Settings


class DataConfig(Settings):
    """Trajectories and how they are split; never by random frames of one trajectory."""

    files: list[Path] = Field(min_length=1)
    """H5MD stores made by ``forcefree reference`` or ``forcefree import``."""

    runs: int | None = Field(default=None, ge=1)
    """Only the first so many trajectories of every file; all when not given."""

    exclude: list[str] = Field(default_factory=list)
    """Molecules that this training never touches, not even to validate: names or SMILES of their starts, or formulas of imported data."""

    split: Literal["trajectory", "molecule", "time"] = "trajectory"
    """``trajectory``: whole runs are held out. ``molecule``: all runs of some molecules. ``time``: the last part of every run, after a gap."""

    validation_fraction: float = Field(default=0.1, gt=0.0, lt=0.9)
    """Share of runs (or of molecules, or of each run's time) held out."""

    gap: Duration = 100.0
    """fs left out between the two parts of a run (``time`` split only)."""

    time_reversal: bool = True
    """Half of all examples run backwards in time with velocities turned round; exact for NVE runs."""


class ModelConfig(Settings):
    """Which forecaster to train."""

    name: str
    """Name on the card, such as ``trajcast-ethanol``."""

    architecture: str = "trajcast"
    t_max: Duration = 10.0
    """Longest forecast in fs, a multiple of the spacing of the data."""

    cutoff: float = Field(default=6.0, gt=0.0)
    """Å."""

    options: dict[str, Any] = Field(default_factory=dict)
    """Options of the architecture, such as ``channels``."""

    energy: EnergyConfig = EnergyConfig()
    """The energy head, which a model has where ``potential_weight`` is above zero."""


class OptimizerConfig(Settings):
    """How the weights are found."""

    name: Literal["soap", "adam"] = "soap"
    """SOAP (Vyas et al., arXiv 2409.11321) needs several times fewer steps than Adam on flow maps."""

    learning_rate: float = Field(default=3e-3, gt=0.0)
    steps: int = Field(default=20000, ge=1)
    """Optimizer steps in all."""

    batch: int = Field(default=64, ge=1)
    """Windows per step and device."""

    warmup: int = Field(default=200, ge=1)
    """Steps over which the learning rate rises; then it falls along a cosine."""

    clip: float = Field(default=1.0, gt=0.0)
    """Largest norm of the gradient."""

    ema: float = Field(default=0.999, ge=0.0, lt=1.0)
    """Decay of the running average of the weights, which is what is validated and written; 0 for the weights themselves. An average over
    more than a tenth of all steps lags behind them."""


class ValidationConfig(Settings):
    """When training looks at held-out data and when it gives up."""

    every: int = Field(default=500, ge=1)
    """Steps between validations, each of which writes a checkpoint."""

    windows: int = Field(default=256, ge=1)
    """Held-out windows for the one-step error."""

    rollouts: int = Field(default=16, ge=1)
    """Held-out starts of short rollouts."""

    segments: int = Field(default=8, ge=1)
    """Forecasts one after another in each rollout."""

    patience: int = Field(default=20, ge=1)
    """Validations without a better one-step *and* without a better rollout error before training stops."""


class TrainingConfig(Settings):
    """One training run."""

    data: DataConfig
    model: ModelConfig
    optimizer: OptimizerConfig = OptimizerConfig()
    validation: ValidationConfig = ValidationConfig()
    unroll: int = Field(default=1, ge=1)
    """Forecasts one after another through which the loss is taken."""

    own_past: bool = False
    """For models of several frames, with ``unroll`` of two or more: every forecast starts in a true frame, but the past that leads to
    it, after the first, is the model's own forecast. So a model learns how far to trust a past that is not exact."""

    energy_weight: float = Field(default=0.0, ge=0.0)
    """Weight of the error of the total energy in the loss; above zero it needs forces in the data."""

    potential_weight: float = Field(default=0.0, ge=0.0)
    """Weight of the error of the potential energy in the loss; above zero the model gets an energy head, by which rollouts check
    their own total energy. It needs potential energies in the data, and learns from forces too where there are some."""

    reversal_weight: float = Field(default=0.0, ge=0.0)
    """Weight of the error of going back to the start with all velocities turned round, in the loss. It makes a map that loses
    no energy on average, at twice the time per step."""

    initial: Path | None = None
    """Model file or bundled name from which to start instead of random weights; its architecture and options stay, elements are added."""

    freeze: list[str] = Field(default_factory=list)
    """Blocks that stay as they are, by the beginning of their parameters' names, such as ``network.messages``."""

    rate_factors: dict[str, float] = Field(default_factory=dict)
    """Factors of the learning rate for some blocks, such as ``{network.messages: 0.1}``; of several that fit the longest counts."""

    output: Path
    """Model file to write; logs and checkpoints go to a folder beside it."""

    seed: int = Field(default=0, ge=0, lt=1 << 32)
    precision: Literal["32-true", "bf16-mixed", "64-true"] = "32-true"
    devices: int | Literal["auto"] = 1
    accelerator: str = "auto"
    """``cpu``, ``gpu``, or whichever there is. Only on a processor do a seed and a resumed run give the same weights again."""

    strategy: str = "auto"
    """Any strategy name of Lightning, such as ``ddp``."""

    compile: bool = False
    """Compile the network with ``torch.compile`` (needs a C++ compiler on a CPU; about twice as fast for molecules)."""

    @model_validator(mode="after")
    def _consistent(self) -> TrainingConfig:
        if self.optimizer.warmup > self.optimizer.steps:
            raise ValueError(f"optimizer.warmup ({self.optimizer.warmup}) must not exceed optimizer.steps ({self.optimizer.steps})")
        if any(factor <= 0.0 for factor in self.rate_factors.values()):
            raise ValueError(f"rate_factors must be positive, not {self.rate_factors}; a block that must not change is named in freeze")
        if self.own_past and self.unroll < 2:
            raise ValueError(f"own_past needs unroll of at least 2, not {self.unroll}; the first forecast always has a true past")
        if self.output.suffix != ".safetensors":
            raise ValueError(f"output must end in .safetensors, not '{self.output.name}'")
        return self

    @property
    def folder(self) -> Path:
        """Where logs and checkpoints go."""
        return self.output.with_suffix(".training")
