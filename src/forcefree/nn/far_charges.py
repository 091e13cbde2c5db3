"""Charges that a network gives its atoms, and what their far field tells each atom along a provisional trajectory."""

from __future__ import annotations

from torch import Tensor, nn

from forcefree.nn.lattice_waves import FarField

_POTENTIAL_UNIT, _FIELD_UNIT = 3.0, 10.0  # Å and Å², bring what water's charges give to order one


class FarCharges(nn.Module):
    """Scalars and vectors of the atoms with what the smooth field of all charges adds to them.

    After the latent charges of Cheng (npj Comput. Mater. 11, 80, 2025), whose energies become here fields that a forecast may use.

    Args:
        channels: Scalars and vectors per atom.
        kinds: Charges per atom; those of one kind see each other.
        n_times: Times at which the field is looked at.
    """

    def __init__(self, channels: int, kinds: int, n_times: int) -> None:
        super().__init__()
        self.charges = nn.Linear(channels, kinds)
        self.scalars_from_potentials = nn.Linear(n_times * kinds, channels, bias=False)
        self.vectors_from_fields = nn.Linear(n_times * kinds, channels, bias=False)
        for heard in (self.scalars_from_potentials, self.vectors_from_fields):
            nn.init.zeros_(heard.weight)

    def forward(self, scalars: Tensor, vectors: Tensor, waves: FarField, moved: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Hear the field.

        Args:
            scalars: Shape (n_atoms, channels).
            vectors: Shape (n_atoms, 3, channels).
            waves: Of the cells, with the atoms' phases at the start of the segment.
            moved: Å, shape (n_times, n_atoms, 3), None for the start itself.

        Returns:
            Scalars and vectors of the same shapes.
        """
        seen = waves.field(self.charges(scalars), moved)
        potentials = (_POTENTIAL_UNIT * seen[:, :, 0]).transpose(0, 1).flatten(1)
        fields = (_FIELD_UNIT * seen[:, :, 1:]).permute(1, 2, 0, 3).flatten(2)
        return scalars + self.scalars_from_potentials(potentials), vectors + self.vectors_from_fields(fields)
