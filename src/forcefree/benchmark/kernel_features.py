"""Smooth functions of a vector as a linear model: Gaussian kernels on landmarks, with their width chosen by the evidence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

WIDTHS = (0.5, 1.0, 2.0, 4.0)
RIDGES = (1e-6, 1e-4, 1e-2)
_SMALLEST = 1e-10  # relative eigenvalue of the kernel among the landmarks that still counts


@dataclass(frozen=True)
class KernelFeatures:
    """Features whose products are the Gaussian kernel of whitened inputs, projected on landmarks (Nyström).

    Attributes:
        centre: Mean of the inputs, shape (n_inputs,).
        basis: Whitened principal components, shape (n_inputs, n_components).
        landmarks: Whitened inputs at which kernels sit, shape (n_landmarks, n_components).
        root: From kernels to features, shape (n_landmarks, n_features).
        width: Of the kernel, in units of the standard deviation of a component.
    """

    centre: Tensor
    basis: Tensor
    landmarks: Tensor
    root: Tensor
    width: float

    @classmethod
    def of(cls, inputs: Tensor, components: int, resolution: float, count: int, width: float, generator: torch.Generator) -> KernelFeatures:
        """Features for inputs like these.

        Args:
            inputs: Shape (n, n_inputs).
            components: Most principal components.
            resolution: Standard deviation below which a component is not blown up.
            count: Most landmarks.
            width: Of the kernel.
            generator: Chooses the landmarks.
        """
        centre = inputs.mean(dim=0)
        away = inputs - centre
        variances, vectors = torch.linalg.eigh(away.T @ away / len(away))
        basis = vectors.flip(1)[:, :components] / (variances.flip(0)[:components].clamp_min(0.0) + resolution**2).sqrt()
        landmarks = (away @ basis)[torch.randperm(len(away), generator=generator)[:count]]
        values, modes = torch.linalg.eigh(_kernel(landmarks, landmarks, width))
        kept = values > _SMALLEST * values[-1]
        return cls(centre, basis, landmarks, modes[:, kept] / values[kept].sqrt(), width)

    def whitened(self, inputs: Tensor) -> Tensor:
        """Principal components of order one, shape (..., n_components)."""
        return (inputs - self.centre) @ self.basis

    def __call__(self, inputs: Tensor) -> Tensor:
        """Shape (n, n_features) for inputs (n, n_inputs)."""
        return _kernel(self.whitened(inputs), self.landmarks, self.width) @ self.root


@dataclass(frozen=True)
class Ridge:
    """A linear map from features to outputs.

    Attributes:
        weights: Shape (n_features, n_outputs).
        variance: Mean of squared residuals with the price of the weights, shape (n_outputs,).
    """

    weights: Tensor
    variance: Tensor

    @classmethod
    def fit(cls, features: Tensor, outputs: Tensor, ridge: float) -> Ridge:
        """Least squares with a penalty ``ridge`` on squared weights; features (n, n_features), outputs (n, n_outputs)."""
        gram = features.T @ features + ridge * torch.eye(features.shape[1], dtype=features.dtype)
        products = features.T @ outputs
        weights = torch.linalg.solve(gram, products)
        left = (outputs.square().sum(dim=0) - (products * weights).sum(dim=0)).clamp_min(0.0)
        return cls(weights, left / len(outputs) + 1e-14 * outputs.square().mean(dim=0) + 1e-300)


def log_evidences(features: Tensor, outputs: Tensor, ridges: Sequence[float]) -> list[float]:
    """Logarithms of the marginal likelihood of the outputs under a Gaussian process with free scales, up to a constant.

    Source: Rasmussen and Williams, "Gaussian Processes for Machine Learning", chapter 5.

    Args:
        features: Shape (n, n_features).
        outputs: Shape (n, n_outputs), each with a scale of its own.
        ridges: Variances of the noise over that of the process.
    """
    values, modes = torch.linalg.eigh(features.T @ features)
    values, products = values.clamp_min(0.0), (modes.T @ (features.T @ outputs)).square()
    total = outputs.square().sum(dim=0)
    found = []
    for ridge in ridges:
        left = (total - (products / (values + ridge)[:, None]).sum(dim=0)).clamp_min(1e-14 * total)
        volume = torch.log1p(values / ridge).sum()
        found.append(-0.5 * float(len(outputs) * left.log().sum() + outputs.shape[1] * volume))
    return found


def chosen_features(
    inputs: Tensor, outputs: Tensor, components: int, resolution: float, count: int, generator: torch.Generator
) -> tuple[KernelFeatures, float]:
    """Features, and the ridge that goes with them, with the largest evidence among a few widths and ridges.

    Args:
        inputs: As of :meth:`KernelFeatures.of`, and so are the other arguments.
        outputs: Shape (n, n_outputs).
        components: Most principal components.
        resolution: Standard deviation below which a component is not blown up.
        count: Most landmarks.
        generator: Chooses the landmarks.
    """
    best = -math.inf
    found: tuple[KernelFeatures, float] | None = None
    for width in WIDTHS:
        features = KernelFeatures.of(inputs, components, resolution, count, width, generator)
        for ridge, evidence in zip(RIDGES, log_evidences(features(inputs), outputs, RIDGES), strict=True):
            if evidence > best:
                best, found = evidence, (features, ridge)
    assert found is not None
    return found


def _kernel(one: Tensor, other: Tensor, width: float) -> Tensor:
    return torch.exp(-torch.cdist(one, other).square() / (2.0 * width**2))
