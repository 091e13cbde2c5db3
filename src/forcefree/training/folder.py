"""The folder beside a model file: what the training was asked for, on which data, and its checkpoints."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from pathlib import Path

from forcefree.errors import ForcefreeError
from forcefree.training.config import TrainingConfig


class TrainingFolder:
    """One training's own folder.

    Args:
        config: What is trained; ``config.folder`` is the folder.
        data_sha256: Hash of the contents of the data files.
    """

    def __init__(self, config: TrainingConfig, data_sha256: str) -> None:
        self._config, self._data = config, data_sha256
        self.path = config.folder
        self.last = self.path / "last.ckpt"
        self.best = self.path / "best.ckpt"
        self._stamp, self._hash = self.path / "config.json", self.path / "data.sha256"

    def refuse_taken(self) -> None:
        """See that a training can begin here.

        Raises:
            ForcefreeError: If the model file or a checkpoint exists.
        """
        if self._config.output.exists() or self.last.exists():
            raise ForcefreeError(f"{self._config.output} or its checkpoint exists already; resume with --resume, or choose another output")

    def claim(self) -> None:
        """Write down what the training is asked for and on which data; one process of a training does so."""
        self.path.mkdir(parents=True, exist_ok=True)
        self.best.unlink(missing_ok=True)
        self._stamp.write_text(self._wanted, encoding="utf-8")
        self._hash.write_text(self._data, encoding="utf-8")

    def go_on(self) -> Path:
        """The checkpoint to continue from.

        Raises:
            ForcefreeError: If the training is finished, has no checkpoint or a damaged one, or was begun with another configuration
                or other data.
        """
        if self._config.output.exists():
            raise ForcefreeError(f"{self._config.output} is finished already; remove it to write it again from its last checkpoint")
        if not self.last.is_file():
            raise ForcefreeError(f"there is no checkpoint {self.last} to resume from; train without --resume")
        if _read(self._stamp) != self._wanted:
            raise ForcefreeError(f"{self._stamp} differs from this configuration; resume with the configuration that was started")
        begun = _read(self._hash)
        if begun and begun != self._data:  # a folder from before the hash was kept has none to compare
            raise ForcefreeError(
                f"the data have changed since this training began (SHA-256 {begun[:12]}…, now {self._data[:12]}…); "
                f"restore {', '.join(str(path) for path in self._config.data.files)} or train into another output"
            )
        _check_whole(self.last, f"restore it, or remove {self.path} and train again")
        if self.best.is_file():
            _check_whole(self.best, "restore it, or remove it to go on without the best weights so far")
        return self.last

    @property
    def chosen(self) -> Path:
        """The checkpoint whose averaged weights are the result: the best that was validated, otherwise the last."""
        return self.best if self.best.is_file() else self.last

    @property
    def _wanted(self) -> str:
        return self._config.model_dump_json(indent=1)


def data_hash(files: list[Path]) -> str:
    """SHA-256 over the contents of the data files, in order.

    Raises:
        ForcefreeError: If a file does not exist.
    """
    digest = hashlib.sha256()
    for path in files:
        if not path.is_file():
            raise ForcefreeError(f"{path} does not exist; give the path of an H5MD trajectory")
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _check_whole(checkpoint: Path, cure: str) -> None:
    """Refuse a checkpoint that does not agree with the checksums inside it; torch would read it without a word or raise anything."""
    try:
        with zipfile.ZipFile(checkpoint) as archive:
            damaged = archive.testzip() is not None
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, zlib.error):
        damaged = True
    if damaged:
        raise ForcefreeError(f"checkpoint {checkpoint} is damaged; {cure}")


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""
