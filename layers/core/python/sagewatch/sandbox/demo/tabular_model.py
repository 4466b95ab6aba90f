"""The tabular demo's model: a logistic regression, fitted by Newton's steps on drawn customers (pure)."""

from __future__ import annotations

from typing import Any

import numpy as np

from sagewatch.sandbox.demo.tabular_data import COLUMNS, NUMBERS, REGIONS, Customers, Numbers

STEPS = 12
RIDGE = 1e-3


def fit_model(customers: Customers) -> dict[str, Any]:
    """The model as `tabular_endpoint` loads it: JSON of means, scales, weights and offsets."""
    numbers = np.stack([customers.values[name] for name in NUMBERS], axis=1)
    mean, scale = numbers.mean(axis=0), numbers.std(axis=0)
    region = np.eye(len(REGIONS))[customers.values["region"].astype(int)]
    design = np.hstack([np.ones((len(numbers), 1)), (numbers - mean) / scale, region])
    weights = fit_weights(design, customers.left)
    return {
        "columns": list(COLUMNS),
        "bias": float(weights[0]),
        "numbers": {
            name: [float(mean[n]), float(scale[n]), float(weights[1 + n])] for n, name in enumerate(NUMBERS)
        },
        "regions_of": {
            "region": {
                name: float(weight) for name, weight in zip(REGIONS, weights[-len(REGIONS) :], strict=True)
            }
        },
    }


def fit_weights(design: Numbers, left: Numbers) -> Numbers:
    """Weights that make the observed outcome likeliest; a small ridge keeps redundant columns finite."""
    weights = np.zeros(design.shape[1])
    for _ in range(STEPS):
        chance = 1 / (1 + np.exp(-design @ weights))
        gradient = design.T @ (left - chance) - RIDGE * weights
        curvature = (design * (chance * (1 - chance))[:, None]).T @ design + RIDGE * np.eye(len(weights))
        weights = weights + np.linalg.solve(curvature, gradient)
    return weights
