"""Model files: one safetensors file whose header carries the card as JSON; no pickle is ever loaded."""

from __future__ import annotations

import hashlib
import json
import math
import os
from importlib import resources
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from forcefree.errors import ForcefreeError
from forcefree.models.card import FORMAT_VERSION, Card
from forcefree.models.forecaster import Forecaster
from forcefree.models.registry import build_model

SUFFIX = ".safetensors"


def save_model(model: Forecaster, path: Path) -> None:
    """Write weights and card to ``path``; the file appears only when it is complete.

    Raises:
        ForcefreeError: If the file cannot be written, as on a full disk.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    try:
        save_file(tensors, partial, metadata={"card": model.card.model_dump_json(), "sha256": _digest(tensors)})
        os.replace(partial, path)
    except SafetensorError as error:
        raise ForcefreeError(f"model file {path} cannot be written ({error}); free some disk space or choose another folder") from error
    finally:
        partial.unlink(missing_ok=True)


def read_card(path: Path) -> Card:
    """Read the card alone, without building the model.

    Raises:
        ForcefreeError: If the file is missing, truncated, not ours, or of a later format.
    """
    if not path.is_file():
        raise ForcefreeError(f"model file {path} does not exist; bundled models are {', '.join(bundled_models()) or 'none'}")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise ForcefreeError(f"model file {path} is damaged or not a safetensors file ({error}); copy or train it again") from error
    if "card" not in metadata:
        raise ForcefreeError(f"model file {path} has no forcefree card; it was not written by forcefree")
    try:
        values = json.loads(metadata["card"])
    except json.JSONDecodeError as error:
        raise ForcefreeError(f"the card of model file {path} is damaged: {error}") from error
    version = values.get("format_version", 0) if isinstance(values, dict) else None
    if not isinstance(version, int):
        raise ForcefreeError(f"the card of model file {path} is damaged: it has no format version")
    if version > FORMAT_VERSION:
        raise ForcefreeError(f"model file {path} has format {version}, this forcefree reads up to {FORMAT_VERSION}; update forcefree")
    unknown = sorted(set(values) - set(Card.model_fields))
    if unknown:
        raise ForcefreeError(
            f"the card of model file {path} has {', '.join(unknown)}, which this forcefree does not know; update forcefree"
        )
    return Card.parse(values, f"the card of model file {path}")


def count_weights(path: Path) -> int:
    """Numbers stored in a model file, trained or not."""
    with safe_open(path, framework="pt") as file:
        return sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118 (not a mapping)


def load(model: str | Path) -> Forecaster:
    """Load a model from a file or by its bundled name.

    Args:
        model: Path of a model file, or a bundled name such as ``trajcast-ethanol``.

    Returns:
        The model in evaluation mode, on the CPU.

    Raises:
        ForcefreeError: If there is no such model or its file cannot be used.
    """
    path = find_model(model)
    card = read_card(path)
    forecaster = build_model(card)
    expected = forecaster.state_dict()
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
        written = (file.metadata() or {}).get("sha256")
    if written is not None and written != _digest(tensors):
        raise ForcefreeError(f"the weights in model file {path} are damaged: their checksum does not match; copy or train it again")
    if set(tensors) != set(expected) or any(tensors[name].shape != expected[name].shape for name in expected):
        raise ForcefreeError(
            f"model file {path} holds other weights than architecture '{card.model}' of this forcefree has by its card: the architecture "
            "or the card was changed after it was written; train it again, or use the forcefree that wrote it"
        )
    forecaster.load_state_dict(tensors)
    return forecaster.eval()


def find_model(model: str | Path) -> Path:
    """The file of a model: a bundled name wins over nothing, an existing path wins over a bundled name."""
    path = Path(model)
    if path.is_file() or path.suffix or len(path.parts) > 1:
        return path
    return bundled_models().get(str(model), path)


def bundled_models() -> dict[str, Path]:
    """Files of the models that come with the package, by name."""
    return _bundled(SUFFIX)


def find_reference(reference: str | Path) -> Path:
    """The file of a reference store: an existing path, or a bundled name such as ``ethanol-nvt-300K``.

    Raises:
        ForcefreeError: If there is neither.
    """
    path = Path(reference)
    if path.is_file():
        return path
    bundled = bundled_references()
    if str(reference) not in bundled:
        raise ForcefreeError(f"reference {path} does not exist; bundled references are {', '.join(bundled) or 'none'}")
    return bundled[str(reference)]


def bundled_references() -> dict[str, Path]:
    """Reference stores that come with the package, by name."""
    return _bundled(".h5")


def _digest(tensors: dict[str, Tensor]) -> str:
    """SHA-256 of all weights in order of their names; safetensors itself has no checksum."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].numpy().tobytes())
    return digest.hexdigest()


def _bundled(suffix: str) -> dict[str, Path]:
    folder = Path(str(resources.files("forcefree.models") / "bundled"))
    return {path.name.removesuffix(suffix): path for path in sorted(folder.glob(f"*{suffix}"))}
