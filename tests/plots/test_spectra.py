"""The figure of a spectrum shows what the spectrum holds."""

import io

import numpy as np
import pytest

from dynfrac.analysis.finite_time import finite_time_lyapunov
from dynfrac.analysis.lyapunov import lyapunov_spectrum
from dynfrac.plots.spectra import finite_time_figure, spectrum_figure
from dynfrac.systems.chaotic_maps import Henon
from dynfrac.systems.descents import QuadraticDescent
from dynfrac.systems.interval_maps import Logistic


def test_exponents_and_history_are_drawn():
    spectrum = lyapunov_spectrum(Henon(), n_steps=2000)
    points, history = spectrum_figure(spectrum, title="henon").axes
    drawn = points.containers[0].lines[0].get_ydata()
    np.testing.assert_array_equal(drawn, spectrum.exponents)
    # After the zero line, one running mean for each exponent.
    for j, line in enumerate(history.lines[1:]):
        np.testing.assert_array_equal(line.get_xdata(), spectrum.history.steps)
        np.testing.assert_array_equal(line.get_ydata(), spectrum.history.exponents[:, j])
    labels = [text.get_text() for text in history.get_legend().get_texts()]
    assert [float(label[:7].replace("−", "-")) for label in labels] == [
        round(float(x), 4) for x in spectrum.exponents
    ]


def test_a_loss_has_its_own_panel():
    spectrum = lyapunov_spectrum(QuadraticDescent(), n_steps=100, n_warmup=0)
    *_, loss = spectrum_figure(spectrum, loss_label="loss").axes
    np.testing.assert_array_equal(loss.lines[0].get_ydata(), spectrum.history.observations)
    assert loss.get_ylabel() == "loss" and loss.get_yscale() == "log"


@pytest.mark.parametrize("n_steps", [5, 50])
def test_a_run_that_blew_up_can_be_drawn(n_steps):
    spectrum = lyapunov_spectrum(Logistic(), {"r": 5.0}, n_steps=n_steps, n_warmup=n_steps // 5)
    figure = spectrum_figure(spectrum, loss_label="loss")
    figure.savefig(io.BytesIO(), format="png")
    if n_steps == 50:
        assert figure.axes[0].texts[0].get_text() == "not finite"


def test_finite_time_exponents_are_drawn_with_their_narrowing():
    growth = finite_time_lyapunov(Henon(), window=20, n_steps=4000, n_exponents=2)
    left, right = finite_time_figure(growth, title="henon").axes
    heights = [sum(bar.get_height() for bar in bars) for bars in left.containers]
    assert heights == [200, 200]
    for j in range(2):
        np.testing.assert_array_equal(right.lines[j].get_xdata(), growth.lengths)
        np.testing.assert_array_equal(right.lines[j].get_ydata(), growth.sds[:, j])
    assert right.get_xscale() == right.get_yscale() == "log"
    # Both signs are seen, so zero is marked, beside the two means.
    marks = sorted(line.get_xdata()[0] for line in left.lines)
    np.testing.assert_allclose(marks, [growth.mean[1], 0, growth.mean[0]])


def test_windows_without_scatter_can_be_drawn():
    growth = finite_time_lyapunov(QuadraticDescent(), window=20, n_steps=400)
    finite_time_figure(growth).savefig(io.BytesIO(), format="png")
    lost = finite_time_lyapunov(Logistic(), {"r": [5.0, 3.9]}, window=20, n_warmup=0)
    finite_time_figure(lost).savefig(io.BytesIO(), format="png")


def test_the_title_and_the_label_keep_apart():
    spectrum = lyapunov_spectrum(Henon(), n_steps=100)
    figure = spectrum_figure(spectrum, title="henon")
    figure.draw_without_rendering()
    label = figure.axes[0].yaxis.label.get_window_extent()
    titles = [figure._suptitle, *(getattr(figure.axes[0], n) for n in ("title", "_left_title"))]
    boxes = [t.get_window_extent() for t in titles if t is not None and t.get_text()]
    assert boxes and not any(label.overlaps(box) for box in boxes)
