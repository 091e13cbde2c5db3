"""How much an atom attends to each neighbour: never a jump, not even where a neighbour leaves."""

from __future__ import annotations

import torch
from torch import Tensor

from forcefree.graph import sum_by_receiver

LARGEST_LOGIT = 6.0
"""Logits are bent smoothly so that they stay below; a sum of exponentials then needs no subtraction of a maximum."""


def neighbour_weights(logits: Tensor, own: Tensor, envelope: Tensor, receiver: Tensor, degree: int) -> Tensor:
    r"""Softmax over the neighbours of an atom and the atom itself, with the envelope inside the sum.

    :math:`w_{ij} = f_{ij} e^{a_{ij}} / (e^{a_i} + \sum_k f_{ik} e^{a_{ik}})`. A neighbour that reaches the cutoff, where
    :math:`f` vanishes with two derivatives, takes its weight and its say in everybody else's weight away smoothly. What
    the sum over neighbours lacks to one is the weight of the atom itself, so that crowded and lonely atoms differ and an
    atom without neighbours is no special case.

    Args:
        logits: :math:`a_{ij}`, shape (n_pairs, heads).
        own: :math:`a_i`, shape (n_atoms, heads).
        envelope: :math:`f_{ij}`, shape (n_pairs, 1).
        receiver: Atom of each pair that attends, sorted, shape (n_pairs,).
        degree: Pairs per receiver where all have the same, otherwise 0.

    Returns:
        Shape (n_pairs, heads), between 0 and 1.
    """
    shares = envelope * _bounded_exponential(logits)
    total = _bounded_exponential(own) + sum_by_receiver(shares, receiver, len(own), degree)
    return shares / total[receiver]


def gate_weights(logits: Tensor, envelope: Tensor) -> Tensor:
    """Weight of each neighbour for itself, whoever else there is: a sigmoid times the envelope.

    Args:
        logits: Shape (n_pairs, heads).
        envelope: Shape (n_pairs, 1).

    Returns:
        Shape (n_pairs, heads), between 0 and 1.
    """
    return envelope * torch.sigmoid(logits)


def _bounded_exponential(logits: Tensor) -> Tensor:
    return torch.exp(LARGEST_LOGIT * torch.tanh(logits / LARGEST_LOGIT))
