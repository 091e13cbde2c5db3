"""Model files: nothing is lost on the way to disk and back, and nothing damaged is used."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from forcefree.errors import ForcefreeError
from forcefree.models import files
from forcefree.models.card import FORMAT_VERSION, Card
from forcefree.models.files import (
    bundled_models,
    bundled_references,
    count_weights,
    find_model,
    find_reference,
    load,
    read_card,
    save_model,
)
from forcefree.models.forecaster import Forecaster
from forcefree.state import State


class Drag(Forecaster):
    """Departures that are two weights times velocity and time."""

    def __init__(self, card: Card) -> None:
        super().__init__(card)
        self.rate = nn.Parameter(torch.tensor([0.1, 0.2]))

    def departures(self, history: tuple[State, ...], times: Tensor) -> tuple[Tensor, Tensor]:
        slowed = -self.rate[0] * times[:, history[-1].system, None] * history[-1].velocities
        return slowed * times[:, history[-1].system, None] / 2.0, slowed


CARD = Card(name="drag", model="drag", species=[1, 8], t_max=10.0, cutoff=5.0, options={"note": "é"})


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model file."""
    monkeypatch.setattr(files, "build_model", Drag)
    model = Drag(CARD)
    nn.init.constant_(model.rate, 0.7)
    file = tmp_path / "folder" / "drag.safetensors"
    save_model(model, file)
    return file


def test_weights_and_card_come_back_exactly(path: Path) -> None:
    model = load(path)
    assert isinstance(model, Drag)
    assert model.rate.tolist() == pytest.approx([0.7, 0.7])
    assert model.card == CARD == read_card(path)
    assert not model.training
    assert count_weights(path) == 2
    assert [file.name for file in path.parent.iterdir()] == ["drag.safetensors"]


def test_no_pickle_is_loaded(tmp_path: Path) -> None:
    torch.save({"card": "x"}, tmp_path / "evil.safetensors")
    with pytest.raises(ForcefreeError, match="is damaged or not a safetensors file"):
        load(tmp_path / "evil.safetensors")


@pytest.mark.parametrize("size", [0, 5, 100, -1])
def test_a_truncated_file_is_said_to_be_damaged(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ForcefreeError, match="is damaged or not a safetensors file") as caught:
        load(path)
    assert str(path) in str(caught.value)


def test_a_flipped_bit_in_the_weights_is_noticed(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(ForcefreeError, match="are damaged: their checksum does not match"):
        load(path)


def _write(path: Path, card: Any, **tensors: Tensor) -> None:
    metadata = {} if card is None else {"card": card if isinstance(card, str) else json.dumps(card)}
    save_file(tensors or {"rate": torch.zeros(2)}, path, metadata=metadata)


@pytest.mark.parametrize(
    ("card", "sentence"),
    [
        (None, "has no forcefree card; it was not written by forcefree"),
        ("{", "the card of model file .* is damaged"),
        ([1], "the card of model file .* is damaged: it has no format version"),
        ({"format_version": "new"}, "is damaged: it has no format version"),
        ({"format_version": FORMAT_VERSION + 1}, f"has format {FORMAT_VERSION + 1}, this forcefree reads up to {FORMAT_VERSION}; update"),
        ({**CARD.model_dump(), "charge": 0, "age": 1}, "has age, charge, which this forcefree does not know; update forcefree"),
        ({"format_version": 1}, "the card of model file .*: name: is needed but missing"),
    ],
)
def test_a_card_that_is_not_ours_is_refused(path: Path, card: Any, sentence: str) -> None:
    _write(path, card)
    with pytest.raises(ForcefreeError, match=sentence):
        read_card(path)


@pytest.mark.parametrize("tensors", [{"rate": torch.zeros(3)}, {"other": torch.zeros(2)}, {"rate": torch.zeros(2), "more": torch.zeros(1)}])
def test_weights_of_another_model_are_refused(path: Path, tensors: dict[str, Tensor]) -> None:
    _write(path, CARD.model_dump(), **tensors)
    with pytest.raises(ForcefreeError, match="other weights than architecture 'drag' of this forcefree has by its card"):
        load(path)


def test_an_architecture_that_was_changed_since_is_said_to_be(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def renamed(card: Card) -> Drag:
        model = Drag(card)
        model.slowing = nn.Parameter(torch.zeros(2))
        return model

    monkeypatch.setattr(files, "build_model", renamed)
    with pytest.raises(ForcefreeError, match="the architecture or the card was changed after it was written; train it again"):
        load(path)


def test_an_unknown_architecture_is_named(tmp_path: Path) -> None:
    _write(tmp_path / "x.safetensors", {**CARD.model_dump(), "model": "oracle"})
    with pytest.raises(ForcefreeError, match="architecture 'oracle' is unknown; this forcefree has trajcast"):
        load(tmp_path / "x.safetensors")


def test_a_header_that_claims_too_much_is_refused(path: Path) -> None:
    path.write_bytes(struct.pack("<Q", 2**40) + b"{}")
    with pytest.raises(ForcefreeError, match="is damaged or not a safetensors file"):
        read_card(path)


def test_a_failed_write_leaves_the_old_file_and_no_rubbish(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(tensors: object, target: Path, metadata: object) -> None:
        target.write_bytes(b"half")
        raise files.SafetensorError("No space left on device (os error 28)")

    before = path.read_bytes()
    monkeypatch.setattr(files, "save_file", full)
    with pytest.raises(ForcefreeError, match=r"cannot be written \(No space left on device"):
        save_model(Drag(CARD), path)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["drag.safetensors"]


def test_what_does_not_exist_names_what_does(tmp_path: Path) -> None:
    for name in ("no-such-model", str(tmp_path / "none.safetensors")):
        with pytest.raises(ForcefreeError, match="does not exist; bundled models are"):
            load(name)
    with pytest.raises(ForcefreeError, match=r"reference none.h5 does not exist; bundled references are"):
        find_reference("none.h5")


def test_bundled_names_are_found_and_files_win_over_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, file in bundled_models().items():
        assert find_model(name) == file
        assert read_card(file).name == name
    for name, file in bundled_references().items():
        assert find_reference(name) == file
    monkeypatch.chdir(tmp_path)
    Path("trajcast-ethanol").write_text("mine")
    assert find_model("trajcast-ethanol") == Path("trajcast-ethanol")
