"""Pictures are drawn from the numbers of the analysis, and only where there are any."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from forcefree.analysis import Analysis
from forcefree.analysis.result import Curve
from forcefree.report import plots


def test_pictures_of_all_that_was_measured(analysis: Analysis) -> None:
    images = plots.draw(analysis)
    assert list(images) == ["temperatures", "energies", "spectrum", "distances", "bonds", "angles", "dihedrals"]
    assert all(image.startswith(b"\x89PNG") and len(image) > 5000 for image in images.values())


def test_what_was_not_measured_is_not_drawn(analysis: Analysis) -> None:
    bare = analysis.model_copy(update={"energies": None, "spectrum": None, "distributions": []})
    assert list(plots.draw(bare)) == ["temperatures"]


def test_periodic_systems_get_their_pictures(analysis: Analysis) -> None:
    curve = Curve(name="O-O", x=[0.0, 1.0, 2.0], model=[0.0, 1.0, 1.0], reference=[0.0, 1.1, 1.0])
    images = plots.draw(analysis.model_copy(update={"radial": [curve], "displacements": [curve] * 5}))
    assert {"radial", "displacements"} <= set(images)


def _lines(figure: Figure, panel: int = 0) -> list[np.ndarray]:
    return [np.asarray(line.get_ydata()) for line in figure.axes[panel].get_lines()]


def test_the_temperature_plot_shows_the_measured_temperatures(analysis: Analysis) -> None:
    drawn = np.concatenate([y for y in _lines(plots.temperatures(analysis)) if len(y) == 3])
    for name in ("all", "H", "O"):
        assert np.isclose(drawn, analysis.measure(f"temperature.{name}").model).any()


def test_every_run_has_its_line_of_total_energy(analysis: Analysis) -> None:
    assert len(_lines(plots.energies(analysis), 1)) == len(analysis.energies.total) + 1


def test_a_failed_energy_leaves_a_gap(analysis: Analysis) -> None:
    total = [[0.0, None, 1.0, 2.0]]
    energies = analysis.energies.model_copy(update={"total": total, "times": [0.0, 1.0, 2.0, 3.0]})
    drawn = _lines(plots.energies(analysis.model_copy(update={"energies": energies})), 1)[0]
    np.testing.assert_array_equal(np.isnan(drawn), [False, True, False, False])


def test_the_farthest_distributions_come_first(analysis: Analysis) -> None:
    bonds = [result for result in analysis.distributions if result.kind == "bond"]
    figure = plots.distributions(bonds)
    ratios = {result.curve.name: result.distance / result.ceiling for result in bonds}
    titles = [axes.get_title() for axes in figure.axes]
    assert [ratios[title] for title in titles] == sorted(ratios.values(), reverse=True)


@pytest.mark.parametrize("count", [13, 40])
def test_at_most_twelve_panels(analysis: Analysis, count: int) -> None:
    figure = plots.distributions((analysis.distributions * 20)[:count])
    assert len(figure.axes) == 12


def test_bars_are_two_standard_errors_and_the_target_is_drawn_where_there_is_one(analysis: Analysis) -> None:
    figure = plots.temperatures(analysis)
    (bars,) = figure.axes[0].containers[0].lines[2]
    spans = [np.ptp(segment[:, 1]) for segment in bars.get_segments()]
    assert spans == pytest.approx([4.0 * analysis.measure(f"temperature.{name}").model_error for name in ("all", "H", "O")])
    side = analysis.trajectory.model_copy(update={"temperature": None})
    aimless = plots.temperatures(analysis.model_copy(update={"trajectory": side}))
    assert [len(one.axes[0].get_lines()) for one in (figure, aimless)] == [7, 6]


@pytest.mark.parametrize(("nyquist", "shown"), [(1500.0, 1500.0), (16000.0, 4200.0)])
def test_a_spectrum_is_shown_as_far_as_its_frames_or_any_vibration_reach(analysis: Analysis, nyquist: float, shown: float) -> None:
    spectrum = analysis.spectrum.model_copy(update={"nyquist": nyquist})
    figure = plots.spectrum(analysis.model_copy(update={"spectrum": spectrum}))
    assert figure.axes[-1].get_xlim() == (0.0, shown)
    marks = [line.get_xdata()[0] for line in figure.axes[0].get_lines() if line.get_linestyle() == ":"]
    assert marks == [peak.reference for peak in spectrum.peaks]
