"""Published single-step errors of periodic systems, beside which ours stand.

Source: Thiemann et al., arXiv 2503.23794, table S1: one model for each time, the largest training set, the best of three seeds; BKS with truncated
Coulomb forces, and flexible SPC water.
"""

from __future__ import annotations

from forcefree.benchmark.single_step import StepError

SINGLE_STEP: dict[str, dict[float, StepError]] = {
    "quartz": {
        5.0: StepError(0.33, 0.63),
        10.0: StepError(0.69, 1.18),
        20.0: StepError(1.50, 2.36),
        30.0: StepError(2.52, 3.96),
        50.0: StepError(5.51, 8.76),
    },
    "water": {5.0: StepError(0.17, 0.37), 10.0: StepError(0.67, 1.63), 15.0: StepError(2.04, 4.64)},
}
"""By system and time in fs."""
