"""Exponents that are formulas, against dense Jacobians along orbits; and orbits that keep going."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dynfrac.orbits.evaluator import evaluate
from dynfrac.systems.catalogue import list_maps, make_map

WITH_FORMULA = [entry.name for entry in list_maps() if hasattr(make_map(entry.name), "exponents")]
OPEN = {"two-scale-tent", "horseshoe"}
# Where every step stretches alike the formula holds from the first step on; a split of 1/2 + 1e-9
# leaves 4e-9 / sqrt(600).
UNIFORM = {"tent", "beta", "cat", "baker", "skinny-baker", "linear"}
N_ORBITS, N_STEPS = 64, 600


@functools.partial(jax.jit, static_argnums=(2, 3))
def qr_exponents(map_, hparams, n_steps, n_aligned):
    """Return the exponents of one orbit by QR of its dense Jacobians, after some steps of both."""

    def advance(carry, t):
        state, frame = carry
        jacobian = jax.jacfwd(lambda x: map_.step(x, hparams, t))(state)
        q, r = jnp.linalg.qr(jacobian.reshape(frame.shape) @ frame)
        return (map_.step(state, hparams, t), q), jnp.log(jnp.abs(jnp.diag(r)))

    state = jnp.asarray(map_.init(hparams))
    carry = (state, jnp.eye(state.size))
    logs = jax.lax.scan(advance, carry, jnp.arange(n_aligned + n_steps))[1]
    return logs[n_aligned:].mean(0)


def starts(name, n, seed=11):
    """Return hyperparameters with n random starts; every start of these maps lies in [0, 1]."""
    rng = np.random.default_rng(seed)
    defaults = make_map(name).defaults
    places = {key for key in defaults if key.endswith("0")}
    return {
        key: jnp.asarray(rng.random(n) if key in places else np.full(n, value))
        for key, value in defaults.items()
    }


@pytest.mark.parametrize("name", sorted(set(WITH_FORMULA) - OPEN))
def test_orbits_have_the_exponents_of_the_formula(name):
    map_ = make_map(name)
    hparams = starts(name, N_ORBITS)
    found = jax.vmap(lambda h: qr_exponents(map_, h, N_STEPS, 100))(hparams)
    exact = np.asarray(map_.exponents(map_.defaults))
    assert np.all(np.diff(exact) <= 0)
    if name in UNIFORM:
        np.testing.assert_allclose(found, np.broadcast_to(exact, found.shape), atol=1e-9)
        return
    mean, stderr = found.mean(0), found.std(0, ddof=1) / math.sqrt(N_ORBITS)
    assert np.all(stderr < 0.02)
    # The 1e-3 is for the frame, whose vectors go on turning: an end effect of order 1 / N_STEPS.
    np.testing.assert_array_less(np.abs(mean - exact), 4 * stderr + 1e-3)


@pytest.mark.parametrize(
    ("name", "hparams", "exact"),
    [
        ("tent", {}, [0.6931471806]),
        ("tent", {"slope": 1.5}, [0.4054651081]),
        ("skew-tent", {"peak": 0.25}, [0.5623351446]),
        ("beta", {"b": 3.0}, [1.0986122887]),
        ("gauss", {}, [2.3731382208]),
        ("two-scale-tent", {}, [0.8539350071]),
        ("cat", {}, [0.9624236501, -0.9624236501]),
        ("linear", {"a": 0.5, "b": -2.0}, [0.6931471806, -0.6931471806]),
        ("linear", {"a": 0.0}, [-0.2231435513, -math.inf]),
        ("baker", {}, [0.6931471806, -0.6931471806]),
        ("generalized-baker", {}, [0.6730116670, -1.1844110191]),
        ("skinny-baker", {}, [0.6931471806, -1.0986122887]),
        ("kaplan-yorke", {}, [0.6931471806, -1.6094379124]),
        ("solenoid", {}, [0.6931471806, -1.3862943611, -1.3862943611]),
        ("horseshoe", {"contraction": 0.25}, [1.0986122887, -1.3862943611]),
    ],
)
def test_formulas_give_the_known_numbers(name, hparams, exact):
    map_ = make_map(name)
    np.testing.assert_allclose(map_.exponents({**map_.defaults, **hparams}), exact, atol=1e-9)


SUMS = {
    "henon": math.log(0.3),
    "lozi": math.log(0.5),
    "ikeda": 2 * math.log(0.9),
    "standard": 0.0,
    "baker": 0.0,
    "cat": 0.0,
}


@pytest.mark.parametrize("name", SUMS)
def test_volumes_change_at_the_same_rate_everywhere(name):
    map_ = make_map(name)
    states = jnp.asarray(np.random.default_rng(5).random((30, 2)))
    jacobians = jax.vmap(jax.jacfwd(lambda x: map_.step(x, map_.defaults, 0)))(states)
    rates = np.log(np.abs(np.linalg.det(jacobians)))
    np.testing.assert_allclose(rates, SUMS[name], atol=1e-12)
    if hasattr(map_, "exponent_sum"):
        assert map_.exponent_sum(map_.defaults) == pytest.approx(SUMS[name], abs=1e-15)


def test_the_sum_of_a_map_that_annihilates_is_minus_infinity():
    for name in ("henon", "lozi", "ikeda"):
        map_ = make_map(name)
        assert map_.exponent_sum({**map_.defaults, "b": 0.0}) == -math.inf


@pytest.mark.parametrize("name", ["tent", "baker", "skinny-baker", "kaplan-yorke", "solenoid"])
def test_maps_that_double_keep_going_and_fill_the_interval_evenly(name):
    map_ = make_map(name)
    n_steps = 1_000_000

    @jax.jit
    def orbit(hparams):
        def advance(state, t):
            state = map_.step(state, hparams, t)
            return state, jnp.ravel(state)[0]

        state = map_.init(hparams)
        return jax.lax.scan(advance, state, jnp.arange(n_steps))[1]

    x = np.asarray(orbit({key: jnp.asarray(value) for key, value in map_.defaults.items()}))
    assert len(np.unique(x)) > 0.999 * n_steps
    counts = np.histogram(x, bins=50, range=(0, 1))[0]
    # Independent points would scatter by sqrt(n / 50), and their square on average by 1 +- 0.2.
    assert np.mean((counts - n_steps / 50) ** 2) < 1.8 * n_steps / 50


def test_doubling_exactly_ends_at_once():
    # Why the defaults are not 2 and 1/2.
    x = jnp.asarray(0.3)
    for _ in range(60):
        x = make_map("tent").step(x, {"slope": 2.0}, 0)
    assert x == 0


def test_the_fraction_of_the_gauss_map_ends_at_zero():
    map_ = make_map("gauss")
    value, slope = jax.value_and_grad(lambda x: map_.step(x, {}, 0))(0.0)
    assert (value, slope) == (0.0, 0.0)
    # sqrt(2) - 1 = [0; 2, 2, 2, ...] is a fixed point, of slope -1 / x^2.
    fixed = math.sqrt(2) - 1
    value, slope = jax.value_and_grad(lambda x: map_.step(x, {}, 0))(fixed)
    assert value == pytest.approx(fixed, abs=1e-15)
    assert slope == pytest.approx(-1 / fixed**2, rel=1e-15)


@pytest.mark.parametrize("name", ["beta", "cat", "standard", "gauss"])
def test_wrapping_keeps_states_in_the_period(name):
    map_ = make_map(name)
    states = jnp.asarray(np.random.default_rng(2).uniform(0, 1, (1000, 2)))
    after = jax.vmap(lambda s: map_.step(s, map_.defaults, 0))(states)
    assert np.all((after >= 0) & (after <= (2 * math.pi if name == "standard" else 1)))


def test_the_difference_of_coupled_maps_grows_as_its_formula_says():
    map_ = make_map("coupled-logistic")
    x, e = 0.3, 0.1
    hparams = {**map_.defaults, "coupling": e}
    together, apart = jnp.asarray([x, x]), jnp.asarray([1.0, -1.0])
    _, tangent = jax.jvp(lambda s: map_.step(s, hparams, 0), (together,), (apart,))
    np.testing.assert_allclose(tangent, (1 - 2 * e) * 4 * (1 - 2 * x) * apart, rtol=1e-14)
    exact = map_.transverse_exponent(hparams)
    assert exact == pytest.approx(math.log(2) + math.log(0.8), abs=1e-15)
    for edge in (0.25, 0.75):
        assert map_.transverse_exponent({"r": 4.0, "coupling": edge}) == 0
    assert map_.transverse_exponent({"r": 4.0, "coupling": 0.5}) == -math.inf
    with pytest.raises(ValueError, match="r=3.9"):
        map_.transverse_exponent({"r": 3.9, "coupling": 0.1})


def test_coupled_maps_find_together_between_the_known_couplings():
    map_ = make_map("coupled-logistic")
    hparams = starts("coupled-logistic", 60)
    hparams["coupling"] = jnp.repeat(jnp.asarray([0.15, 0.3, 0.7, 0.85]), 15)

    @jax.jit
    @jax.vmap
    def distance(hparams):
        last = jax.lax.fori_loop(0, 2000, lambda t, s: map_.step(s, hparams, t), map_.init(hparams))
        return map_.observe(last, hparams)

    together = np.asarray(distance(hparams)).reshape(4, 15) < 1e-9
    assert together.all(1).tolist() == [False, True, True, False]
    assert not together[[0, 3]].any()


def test_the_letters_of_the_word_choose_the_parameter():
    map_ = make_map("markus-lyapunov", word="AAB")
    hparams = {"a": 3.1, "b": 3.9, "x0": 0.3}
    x = expected = 0.3
    for t, r in enumerate([3.1, 3.1, 3.9] * 3):
        x, expected = map_.step(x, hparams, t), r * expected * (1 - expected)
        assert x == pytest.approx(expected, abs=1e-14)
    # A word of one letter, or two equal parameters, is the logistic map.
    for word, b in (("A", 3.9), ("AB", 3.1)):
        same = make_map("markus-lyapunov", word=word).step(0.3, {"a": 3.1, "b": b}, 1)
        assert same == make_map("logistic").step(0.3, {"r": 3.1}, 1)
    for word in ("", "ABC", "ab"):
        with pytest.raises(ValueError, match="spell it with A and B"):
            make_map("markus-lyapunov", word=word)


def test_the_border_of_the_markus_picture_is_where_the_exponent_changes_sign():
    # Mean ln abs(r (1 - 2 x)) of a plain loop of 20000 steps: -0.1043 and +0.1518.
    outcomes = evaluate(make_map("markus-lyapunov"), {"b": [3.5, 3.7]}, n_steps=2000)
    assert outcomes.labels.tolist() == [True, False]


def test_towel_and_ikeda_stay_on_their_attractors():
    for name, bound in (("towel", 2.0), ("ikeda", 7.0)):
        map_ = make_map(name)
        last = jax.jit(
            lambda h, map_=map_: jax.lax.fori_loop(
                0, 20_000, lambda t, s: map_.step(s, h, t), map_.init(h)
            )
        )({key: jnp.asarray(value) for key, value in map_.defaults.items()})
        assert map_.observe(last, map_.defaults) < bound


IMAGES = [
    # map, hyperparameters, a state, and its image worked out from the published formula
    ("henon", {}, (0.5, 0.2), (1 - 1.4 * 0.25 + 0.2, 0.15)),
    ("lozi", {}, (-0.5, 0.2), (1 - 1.7 * 0.5 + 0.2, -0.25)),
    ("standard", {"k": 2.0}, (0.5, 0.1), (0.6 + 2 * math.sin(0.5), 0.1 + 2 * math.sin(0.5))),
    ("cat", {}, (0.6, 0.7), (0.9, 0.3)),
    ("linear", {"a": 3.0, "b": -0.5}, (0.6, 0.7), (1.8, -0.35)),
    ("coupled-logistic", {"coupling": 0.25}, (0.5, 0.0), (0.75, 0.25)),
    ("baker", {"split": 0.25}, (0.2, 0.6), (0.8, 0.15)),
    ("baker", {"split": 0.25}, (0.7, 0.6), (0.4, 0.55)),
    ("generalized-baker", {}, (0.2, 0.6), (0.5, 0.15)),
    ("generalized-baker", {}, (0.7, 0.6), (0.5, 0.86)),
    ("skinny-baker", {"split": 0.4, "contraction": 0.1}, (0.7, 0.6), (0.5, 0.96)),
    ("kaplan-yorke", {"split": 0.4}, (0.2, 0.6), (0.5, 0.12 + math.cos(0.8 * math.pi))),
    ("solenoid", {"split": 0.4}, (0.25, 0.4, 0.8), (0.625, 0.1, 0.7)),
    ("horseshoe", {}, (0.2, 0.6), (0.6, 0.2)),
    ("horseshoe", {}, (0.7, 0.6), (0.9, 0.8)),
    (
        "towel",
        {},
        (0.5, 0.15, 0.25),
        (0.95 - 0.05 * 0.25, 0.1 * (0.25 - 1) * 0.05, 3.78 * 0.1875 + 0.2 * 0.15),
    ),
]


@pytest.mark.parametrize(("name", "hparams", "state", "image"), IMAGES)
def test_a_step_is_the_formula(name, hparams, state, image):
    map_ = make_map(name)
    found = map_.step(jnp.asarray(state), {**map_.defaults, **hparams}, 0)
    np.testing.assert_allclose(found, image, atol=1e-14)


def test_ikeda_is_its_complex_formula():
    map_ = make_map("ikeda")
    z = 0.4 - 0.7j
    after = 1 + 0.9 * z * np.exp(1j * (0.4 - 6 / (1 + abs(z) ** 2)))
    found = map_.step(jnp.asarray([z.real, z.imag]), map_.defaults, 0)
    np.testing.assert_allclose(found, [after.real, after.imag], atol=1e-15)


@pytest.mark.parametrize(
    ("name", "hparams", "words"),
    [
        ("baker", {"split": 2.0}, "split=2 is not between 0 and 1"),
        ("skinny-baker", {"contraction": 0.7}, "contraction=0.7"),
        ("horseshoe", {"expansion": 1.5}, "expansion=1.5"),
        ("coupled-logistic", {"coupling": -0.1}, "coupling=-0.1"),
        ("beta", {"b": 0.5}, "b=0.5"),
    ],
)
def test_hyperparameters_out_of_range_are_refused(name, hparams, words):
    with pytest.raises(ValueError, match=words):
        evaluate(make_map(name), hparams, n_steps=5)


def test_float32_is_refused_where_it_would_double_exactly():
    for name in ("tent", "baker", "kaplan-yorke"):
        with pytest.raises(ValueError, match="float64"):
            evaluate(make_map(name), {}, n_steps=5, dtype="float32")
