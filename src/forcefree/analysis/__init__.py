"""What a trajectory says, beside its reference and beside what the reference says of itself."""

from forcefree.analysis.result import Analysis, Measure
from forcefree.analysis.study import analyze
from forcefree.analysis.verdict import Thresholds

__all__ = ["Analysis", "Measure", "Thresholds", "analyze"]
