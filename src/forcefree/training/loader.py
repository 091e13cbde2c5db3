"""Data loaders that count: batch n of epoch e is the same whether training was interrupted or not."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from torch.utils.data import DataLoader, Dataset, Sampler

from forcefree.training.windows import Windows, WindowSource


class WindowBatches(Dataset[Windows]):
    """Whole batches by number.

    Args:
        source: Where windows are drawn.
        batch: Windows per batch.
    """

    def __init__(self, source: WindowSource, batch: int) -> None:
        self._source, self._batch = source, batch

    def __getitem__(self, counter: int) -> Windows:
        return self._source.draw(self._batch, counter)


class CountingSampler(Sampler[int]):
    """Numbers of the batches of one epoch, different on every device.

    Args:
        length: Batches per epoch and device.
        step: Tells the number of optimizer steps done when an epoch begins.
        rank: Which device this is.
        world: How many devices there are.
    """

    def __init__(self, length: int, step: Callable[[], int], rank: int = 0, world: int = 1) -> None:
        self._length, self._step, self._rank, self._world = length, step, rank, world

    def __iter__(self) -> Iterator[int]:
        first = self._step()
        return iter((first + index) * self._world + self._rank for index in range(self._length))

    def __len__(self) -> int:
        return self._length


def training_loader(
    source: WindowSource, batch: int, per_epoch: int, step: Callable[[], int], rank: int = 0, world: int = 1
) -> DataLoader[Windows]:
    """Loader of ``per_epoch`` batches an epoch, numbered on from the steps done."""
    return DataLoader(WindowBatches(source, batch), sampler=CountingSampler(per_epoch, step, rank, world), batch_size=None)


def fixed_loader(windows: Windows) -> DataLoader[Windows]:
    """Loader of one batch, always the same."""
    return DataLoader(_Single(windows), batch_size=None)


class _Single(Dataset[Windows]):
    def __init__(self, windows: Windows) -> None:
        self._windows = windows

    def __getitem__(self, index: int) -> Windows:
        if index:
            raise IndexError(index)
        return self._windows

    def __len__(self) -> int:
        return 1
