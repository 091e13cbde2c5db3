"""One self-contained HTML page: numbers, plots, a 3-D viewer."""

from forcefree.report.writing import write_report

__all__ = ["write_report"]
