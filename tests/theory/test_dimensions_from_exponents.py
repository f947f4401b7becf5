"""Young, Ledrappier-Young, Kaplan-Yorke: equality on bakers, strict inequality where it fails."""

import math

import numpy as np
import pytest

from dynfrac import kaplan_yorke_dimension, lyapunov_spectrum, make_map
from dynfrac.systems.self_similarity import self_similar_dimension

LN = math.log


def young(entropy, up, down):
    return entropy * (1 / up - 1 / down)


def lyapunov_dimension(exponents):
    return kaplan_yorke_dimension(exponents).value


@pytest.mark.parametrize("name", ["cat", "baker", "skinny-baker", "generalized-baker"])
def test_young_and_kaplan_yorke_agree_on_measures_that_pesin_describes(name):
    made = make_map(name)
    up, down = made.exponents(made.defaults)
    # The entropy is the exponent: the measure is smooth along the stretched direction.
    value = young(up, up, down)
    assert lyapunov_dimension([up, down]) == pytest.approx(value, abs=1e-12)
    if name in ("cat", "baker"):
        assert value == pytest.approx(2.0, abs=1e-12)
    else:
        assert made.dimension(made.defaults, 1) == pytest.approx(value, abs=1e-8)


def test_young_on_a_saddle_whose_entropy_is_less_than_its_exponent():
    horseshoe = make_map("horseshoe")
    hparams = {"expansion": 3.5, "contraction": 0.2}
    up, down = horseshoe.exponents(hparams)
    entropy = up - horseshoe.escape_rate(hparams)
    assert entropy == pytest.approx(LN(2), abs=1e-12)
    value = young(entropy, up, down)
    assert value == pytest.approx(horseshoe.dimension(hparams, 1), abs=1e-12)
    # Kaplan and Yorke's formula is about attractors.
    assert value < lyapunov_dimension([up, down]) - 0.1


@pytest.mark.parametrize("weight", [0.1, 0.3, 0.7])
def test_partial_dimensions_of_bernoulli_measures_of_the_baker(weight):
    split, left, right = 0.4, 0.25, 0.35
    shares = np.array([weight, 1 - weight])
    entropy = -float(shares @ np.log(shares))
    up = -float(shares @ np.log([split, 1 - split]))
    down = float(shares @ np.log([left, right]))
    along = self_similar_dimension([split, 1 - split], shares, 1)
    across = self_similar_dimension([left, right], shares, 1)
    # h = l_1 gamma_1 = |l_2| gamma_2, and the parts add up to Young's formula.
    assert up * along == pytest.approx(entropy, abs=1e-12)
    assert -down * across == pytest.approx(entropy, abs=1e-12)
    assert along + across == pytest.approx(young(entropy, up, down), abs=1e-12)
    # Ruelle's inequality, strict: of these measures only the weight `split` is smooth along x.
    assert entropy < up - 1e-3 and along < 1 - 1e-3


def test_partial_dimensions_of_the_solenoid():
    solenoid = make_map("solenoid")
    up, down, again = solenoid.exponents(solenoid.defaults)
    assert down == again
    found = 1 + up / -down
    assert found == pytest.approx(solenoid.dimension(solenoid.defaults, 1), abs=1e-8)
    assert lyapunov_dimension([up, down, again]) == pytest.approx(found, abs=1e-12)


@pytest.mark.parametrize(("one", "other"), [(0.2, 0.1), (0.3, 0.05), (0.45, 0.2)])
def test_kaplan_yorke_is_strictly_too_large_on_products(one, other):
    made = make_map("skinny-baker")
    parts = [{**made.defaults, "contraction": c} for c in (one, other)]
    exponents = [value for hparams in parts for value in made.exponents(hparams)]
    dimension = sum(made.dimension(hparams, 1) for hparams in parts)
    assert dimension < lyapunov_dimension(exponents) - 1e-3
    equal = [value for _ in range(2) for value in made.exponents(parts[0])]
    twice = 2 * made.dimension(parts[0], 1)
    assert lyapunov_dimension(equal) == pytest.approx(twice, abs=1e-8)


def test_the_box_dimension_lies_between_kaplan_yorke_and_the_largest_local_one():
    baker = make_map("generalized-baker")
    hparams = baker.defaults
    s, left, right = (hparams[name] for name in ("split", "left", "right"))
    local = [
        lyapunov_dimension([-LN(s), LN(left)]),
        lyapunov_dimension([-LN(1 - s), LN(right)]),
    ]
    box = baker.dimension(hparams, 0)
    chain = [lyapunov_dimension(baker.exponents(hparams)), box, max(local)]
    np.testing.assert_allclose(chain, [1.5682248, 1.5728661, 1.6609640], atol=1e-6)
    assert np.all(np.diff(chain) > 1e-3)


def test_henon_has_one_number_by_both_formulas():
    spectrum = lyapunov_spectrum(make_map("henon"), n_steps=20_000, n_transient=100)
    up, down = spectrum.exponents
    both = float(spectrum.kaplan_yorke)
    assert both == pytest.approx(young(up, up, down), abs=1e-12)
    assert abs(both - 1.2583) < max(4e-3, 4 * spectrum.kaplan_yorke.stderr)
    # A constant Jacobian leaves one free number.
    assert both == pytest.approx(1 + up / (up - LN(0.3)), abs=1e-9)


@pytest.mark.parametrize("total", [-0.1, -3.0])
def test_a_map_that_loses_volume_has_no_attractor_of_full_dimension(total):
    for leading in (0.5, 2.0):
        spectrum = [leading, 0.1, total - leading - 0.1]
        assert lyapunov_dimension(spectrum) < 3 - 1e-3
    assert lyapunov_dimension([0.5, 0.1, -0.6]) == pytest.approx(3.0, abs=1e-12)


def test_the_spectrum_of_a_run_that_settled_says_nothing_about_the_boundary():
    cubic = make_map("gd-cubic")
    spectrum = lyapunov_spectrum(cubic, {"lr": 0.9}, n_steps=500, n_transient=200)
    assert float(spectrum.kaplan_yorke) == 0.0
    tent = make_map("tent")
    assert tent.dimension({"slope": 3.0}) > 0.6
