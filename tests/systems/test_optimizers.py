"""Optimizers: chains against optax, their state and tangents, schedules, import paths."""

import functools
import itertools
import textwrap

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dynfrac.systems.chains import PARTS
from dynfrac.systems.numerics import is_inexact, precision
from dynfrac.systems.optimizers import MEANINGS, OPTIMIZERS, make_optimizer

LR = 0.07  # not the default
TEXTS = (
    *OPTIMIZERS,
    "clip+adam+warmup+cosine",
    "decay+momentum",
    "clip-value+rmsprop+decay+step",
    "decay+lion+linear",
)

# Small enough for both branches of each modifier and for several milestones in a short run.
SHORT = {
    "clip_norm": 0.2,
    "clip_value": 0.12,
    "warmup_steps": 7.0,
    "schedule_steps": 20.0,
    "schedule_end": 0.05,
    "half_life": 9.0,
    "step_every": 8.0,
    "step_factor": 0.3,
    "weight_decay": 0.02,
}


@pytest.fixture(autouse=True)
def double_precision():
    with precision():
        yield


def hparams_of(optimizer, dtype="float64", **given):
    values = {"lr": LR, **dict(optimizer.parameters)}
    values |= {name: value for name, value in SHORT.items() if name in values} | given
    return {name: jnp.asarray(value, dtype) for name, value in values.items()}


@functools.cache
def small_problem(dtype="float64"):
    """Weights and gradient of a small regression, compiled once, so the same for all."""
    random = np.random.default_rng(3)
    x, y, w, b = (
        jnp.asarray(random.standard_normal(shape), dtype)
        for shape in ((5, 3), (5, 2), (3, 2), (1, 2))
    )

    def loss(params):
        return jnp.mean((jnp.tanh(x @ params["w"] + params["b"]) - y) ** 2)

    return {"b": b, "w": w}, jax.jit(jax.grad(loss))


def move(optimizer, hparams, gradient, params, state):
    """Take one step as the training map does."""
    updates, state = optimizer.transform(hparams).update(gradient, state, params)
    if optimizer.includes_rate:
        return optax.apply_updates(params, updates), state
    return jax.tree.map(lambda w, d: w - hparams["lr"] * d, params, updates), state


def orbit(optimizer, hparams, n_steps=30, dtype="float64"):
    """Weights after every step, one uncompiled operation at a time."""
    params, gradient = small_problem(dtype)
    state = optimizer.transform(hparams).init(params)
    for _ in range(n_steps):
        params, state = move(optimizer, hparams, gradient(params), params, state)
        yield params


def reference_orbit(reference, n_steps=30):
    params, gradient = small_problem()
    state = reference.init(params)
    for _ in range(n_steps):
        updates, state = reference.update(gradient(params), state, params)
        params = optax.apply_updates(params, updates)
        yield params


def scheduled(schedule):
    """Adam whose direction is multiplied by a factor before the learning rate, as here."""
    return optax.chain(
        optax.scale_by_adam(), optax.scale_by_schedule(schedule), optax.scale_by_learning_rate(LR)
    )


REFERENCES = {
    "sgd": optax.sgd(LR),
    "momentum": optax.sgd(LR, momentum=0.9),
    "nesterov": optax.sgd(LR, momentum=0.9, nesterov=True),
    "adam": optax.adam(LR),
    "adamw": optax.adamw(LR, weight_decay=0.02),
    "lion": optax.lion(LR, weight_decay=0.02),
    "rmsprop": optax.rmsprop(LR),
    "adagrad": optax.adagrad(LR),
    "clip": optax.chain(optax.clip_by_global_norm(0.2), optax.sgd(LR)),
    "clip-value": optax.chain(optax.clip(0.12), optax.sgd(LR)),
    "decay": optax.chain(optax.add_decayed_weights(0.02), optax.sgd(LR)),
    "adam+decay": optax.adamw(LR, weight_decay=0.02),
    "decay+adam": optax.chain(optax.add_decayed_weights(0.02), optax.adam(LR)),
    "clip+adam": optax.chain(optax.clip_by_global_norm(0.2), optax.adam(LR)),
    "adam+clip": optax.chain(
        optax.scale_by_adam(), optax.clip_by_global_norm(0.2), optax.scale_by_learning_rate(LR)
    ),
    "adam+cosine": scheduled(optax.cosine_decay_schedule(1.0, 20, alpha=0.05)),
    # Lengths are floats, because optax divides a counter by an integer in float32.
    "adam+linear": scheduled(optax.linear_schedule(1.0, 0.05, 20.0)),
    "adam+exponential": scheduled(optax.exponential_decay(1.0, 9.0, 0.5)),
    "adam+step": scheduled(optax.exponential_decay(1.0, 8.0, 0.3, staircase=True)),
    "optax:adamw": optax.adamw(LR, weight_decay=0.02),
    "optax:scale_by_lion": optax.lion(LR, weight_decay=0.0),
}


@pytest.mark.parametrize("text", REFERENCES)
def test_thirty_steps_have_the_bits_of_optax(text):
    optimizer = make_optimizer(text)
    ours = orbit(optimizer, hparams_of(optimizer))
    for mine, theirs in zip(ours, reference_orbit(REFERENCES[text]), strict=True):
        assert jax.tree.all(jax.tree.map(np.array_equal, mine, theirs))


def test_both_branches_of_the_clips_are_taken():
    params, gradient = small_problem()
    sizes = []
    for visited in itertools.chain([params], reference_orbit(REFERENCES["clip"])):
        leaves = np.concatenate([np.ravel(g) for g in jax.tree.leaves(gradient(visited))])
        sizes.append((np.linalg.norm(leaves) < 0.2, np.abs(leaves).max() < 0.12))
    assert {a for a, _ in sizes} == {b for _, b in sizes} == {True, False}


def test_a_schedule_inside_the_learning_rate_differs_by_rounding_alone():
    optimizer = make_optimizer("adam+cosine")
    reference = optax.adam(optax.cosine_decay_schedule(LR, 20, alpha=0.05))
    ours = orbit(optimizer, hparams_of(optimizer))
    for mine, theirs in zip(ours, reference_orbit(reference), strict=True):
        # Here lr * (factor * d), there (lr * factor) * d: one rounding in each of 30 steps.
        for a, b in zip(jax.tree.leaves(mine), jax.tree.leaves(theirs), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-13)


def factors(text, n_steps, **given):
    """What a chain without a rule multiplies a gradient of 1 by, step by step."""
    optimizer = make_optimizer(text)
    transform = optimizer.transform(hparams_of(optimizer, **given))
    one = jnp.ones(())
    state = transform.init(one)
    values = []
    for _ in range(n_steps):
        value, state = transform.update(one, state, one)
        values.append(float(value))
    return np.asarray(values)


def test_schedules_are_their_formulas():
    t = np.arange(30)
    rising = np.minimum((t + 1) / 7, 1)
    falling = 0.05 + 0.95 * (1 + np.cos(np.pi * np.minimum(t, 20) / 20)) / 2
    tight = {"rtol": 0, "atol": 1e-15}  # a few roundings of numbers up to 1
    np.testing.assert_allclose(factors("warmup", 30), rising, **tight)
    np.testing.assert_allclose(factors("cosine", 30), falling, **tight)
    np.testing.assert_allclose(factors("warmup+cosine", 30), rising * falling, **tight)
    np.testing.assert_allclose(factors("linear", 30), 1 - 0.95 * np.minimum(t, 20) / 20, **tight)
    np.testing.assert_allclose(factors("exponential", 30), 2 ** (-t / 9), **tight)
    np.testing.assert_allclose(factors("step", 30), 0.3 ** (t // 8), **tight)
    line = optax.linear_schedule(1 / 7, 1, 6.0)
    np.testing.assert_allclose(factors("warmup", 30), [line(i) for i in t], **tight)


def test_schedules_without_length_start_at_their_end():
    for length in (0.0, -3.0):
        np.testing.assert_array_equal(factors("warmup", 3, warmup_steps=length), 1)
    for name in ("cosine", "linear"):
        short = factors(name, 3, schedule_steps=0.0, schedule_end=0.25)
        np.testing.assert_allclose(short, [1, 0.25, 0.25])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_adam_has_the_bits_of_optax_at_gradients_of_any_size(dtype):
    largest = 150 if dtype == "float64" else 18
    powers = 10.0 ** np.arange(-330, largest)
    sizes = jnp.asarray(np.concatenate([[0.0], powers, -3.3 * powers, [1e30, 1e-30]]), dtype)
    optimizer = make_optimizer("adam")
    ours = optimizer.transform(hparams_of(optimizer, dtype))
    numbers = {name: jnp.asarray(value, dtype) for name, value in optimizer.parameters}
    theirs = optax.scale_by_adam(**numbers)
    mine, reference = ours.init(sizes), theirs.init(sizes)
    for factor in (1.0, -0.5, 0.0, 0.0, 2.0):
        a, mine = ours.update(factor * sizes, mine)
        b, reference = theirs.update(factor * sizes, reference)
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_state_has_the_type_of_the_weights_and_counters_are_integers(text, dtype):
    optimizer = make_optimizer(text)
    hparams = hparams_of(optimizer, "float32" if dtype == "bfloat16" else dtype)
    params, _ = small_problem(dtype)
    transform = optimizer.transform(hparams)
    state = jax.eval_shape(transform.init, params)
    direction, after = jax.eval_shape(transform.update, params, state, params)
    assert jax.tree.structure(after) == jax.tree.structure(state)
    for old, new in zip(jax.tree.leaves(state), jax.tree.leaves(after), strict=True):
        assert (old.shape, old.dtype) == (new.shape, new.dtype)
        assert old.dtype == dtype or (old.shape, old.dtype) == ((), jnp.int32)
    for leaf in jax.tree.leaves(direction):
        assert leaf.dtype == ("float32" if dtype == "bfloat16" else dtype)


def test_bfloat16_gradients_are_squared_in_float32():
    optimizer = make_optimizer("clip")
    gradient = jnp.full(1000, 1.0, jnp.bfloat16)
    transform = optimizer.transform(hparams_of(optimizer, "float32", clip_norm=1.0))
    direction, _ = transform.update(gradient, transform.init(gradient), gradient)
    np.testing.assert_allclose(direction, 1000**-0.5, rtol=1e-6)  # a sum in bfloat16 sticks at 256


def whole_step(optimizer, hparams, state):
    """One step as a function of the floats of gradient, weights and state alone."""
    leaves, structure = jax.tree.flatten(state)
    chosen = [is_inexact(leaf) for leaf in leaves]

    def step(gradient, params, floats):
        rest = iter(floats)
        filled = [next(rest) if c else leaf for leaf, c in zip(leaves, chosen, strict=True)]
        params, after = move(optimizer, hparams, gradient, params, structure.unflatten(filled))
        return params, [leaf for leaf in jax.tree.leaves(after) if is_inexact(leaf)]

    return step, [leaf for leaf, c in zip(leaves, chosen, strict=True) if c]


@pytest.mark.parametrize("text", TEXTS)
def test_tangents_match_central_differences(text):
    optimizer = make_optimizer(text)
    hparams = hparams_of(optimizer)
    params, gradient = small_problem()
    state = optimizer.transform(hparams).init(params)
    for _ in range(3):
        params, state = move(optimizer, hparams, gradient(params), params, state)
    step, floats = whole_step(optimizer, hparams, state)
    point = (gradient(params), params, floats)
    random = np.random.default_rng(11)
    # In proportion to each entry, so that second moments stay positive.
    direction = jax.tree.map(lambda x: x * random.standard_normal(x.shape), point)
    _, tangent = jax.jit(lambda p, d: jax.jvp(step, p, d))(point, direction)
    size = 1e-6  # truncation 1e-12 of the third derivative, rounding 1e-10
    ahead, behind = (
        step(*jax.tree.map(lambda x, d, s=sign: x + s * size * d, point, direction))
        for sign in (1, -1)
    )
    difference = jax.tree.map(lambda a, b: (a - b) / (2 * size), ahead, behind)
    for a, b in zip(jax.tree.leaves(difference), jax.tree.leaves(tangent), strict=True):
        assert np.linalg.norm(a - b) < 1e-6 * np.linalg.norm(b)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_tangents_are_finite_at_a_gradient_of_zero(text, dtype):
    optimizer = make_optimizer(text)
    hparams = hparams_of(optimizer, dtype)
    params, _ = small_problem(dtype)
    step, floats = whole_step(optimizer, hparams, optimizer.transform(hparams).init(params))
    point = (jax.tree.map(jnp.zeros_like, params), params, floats)
    ones = jax.tree.map(jnp.ones_like, point)
    after, tangent = jax.jvp(step, point, ones)
    _, pull = jax.vjp(step, *point)
    for leaf in jax.tree.leaves((after, tangent, pull(jax.tree.map(jnp.ones_like, after)))):
        assert np.all(np.isfinite(leaf))


def test_clipping_passes_nan_on():
    optimizer = make_optimizer("clip")
    transform = optimizer.transform(hparams_of(optimizer))
    sick = jnp.asarray([jnp.nan, 1.0])
    direction, _ = transform.update(sick, transform.init(sick), sick)
    assert np.all(np.isnan(direction))


@pytest.mark.parametrize("text", [*TEXTS, "optax:adamw"])
def test_lanes_with_traced_hyperparameters_equal_single_runs(text):
    optimizer = make_optimizer(text)
    single = [hparams_of(optimizer)]
    single.append({name: 0.9 * value for name, value in single[0].items()} | {"lr": 0.7 * LR})
    lanes = jax.tree.map(lambda *values: jnp.stack(values), *single)
    params, gradient = small_problem()

    @jax.jit
    @jax.vmap
    def run(hparams):
        state = optimizer.transform(hparams).init(params)
        w = params
        for _ in range(3):
            w, state = move(optimizer, hparams, gradient(w), w, state)
        return w

    together = run(lanes)
    ends = [list(orbit(optimizer, hparams, 3))[-1] for hparams in single]
    for lane, end in enumerate(ends):
        for a, b in zip(jax.tree.leaves(together), jax.tree.leaves(end), strict=True):
            # Fused multiplications and additions of compiled code round once instead of twice.
            np.testing.assert_allclose(a[lane], b, rtol=1e-13, atol=1e-14)
    assert any(np.any(a[0] != a[1]) for a in jax.tree.leaves(together))


@pytest.mark.parametrize("text", ["adam", "clip+adam+warmup+cosine", "optax:adamw"])
def test_the_same_text_finds_what_is_compiled(text):
    traces = []

    @jax.jit
    def run(optimizer, hparams):
        traces.append(optimizer.name)
        transform = optimizer.transform(hparams)
        return transform.update(jnp.ones(2), transform.init(jnp.ones(2)), jnp.ones(2))[0]

    for _ in range(2):
        optimizer = make_optimizer(text)
        run(optimizer, hparams_of(optimizer))
    assert traces == [text]
    assert make_optimizer(text) == make_optimizer(text)
    assert make_optimizer("adam+clip").transform != make_optimizer("clip+adam").transform


def test_every_number_is_declared_and_explained():
    read = {name for part in PARTS.values() for name, _ in part.parameters}
    assert set(MEANINGS) == read
    assert all(OPTIMIZERS.values())
    for name in OPTIMIZERS:
        assert make_optimizer(name).parameters == PARTS[name].parameters
    optimizer = make_optimizer(" decay + adamw + cosine + linear ")
    assert optimizer.name == "decay+adamw+cosine+linear"
    names = [name for name, _ in optimizer.parameters]
    expected = ["weight_decay", "b1", "b2", "eps", "schedule_steps", "schedule_end"]
    assert names == expected
    # The default of a shared number is the rule's.
    for text in ("decay+lion", "lion+decay"):
        assert dict(make_optimizer(text).parameters)["weight_decay"] == 1e-3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("adma", "did you mean 'adam'"),
        ("clip+momentun", "did you mean 'momentum'"),
        ("adam+", "unknown optimizer ''"),
        ("", "unknown optimizer ''"),
        ("clip+adam+clip", "part 'clip' twice"),
        ("adam+sgd", r"2 rules \(adam, sgd\)"),
        ("clip+optax:adam", "chain the parts inside the factory"),
        (0.1, "0.1 is not a text"),
        ("optx:adam", "no module 'optx'"),
        ("optax:adamv", "did you mean 'adam"),
        ("optax:adam:w", "not an import path"),
        ("optax:qqqqq", "name one that it has"),
        ("math:pi", "makes the optimizer"),
        ("builtins:dict", "not a plain function"),
        ("optax:lookahead", "needs the argument fast_optimizer"),
        ("optax:inject_hyperparams", "needs the argument inner_factory"),
        ("optax:polyak_sgd", "cannot take a step.*'value'"),
    ],
)
def test_optimizers_that_do_not_exist_are_refused_in_one_sentence(text, words):
    with pytest.raises(ValueError, match=words) as caught:
        make_optimizer(text)
    assert "\n" not in str(caught.value)


FACTORIES = """
    import jax.numpy as jnp
    import optax

    from dynfrac.systems.optimizers import Optimizer

    def plain(lr=0.02, beta=0.8, steps=3, nesterov=True, name="x"):
        return optax.sgd(lr, momentum=beta, nesterov=nesterov)

    def direction(*, beta=0.8):
        return optax.trace(beta)

    def raises(beta=0.5):
        raise RuntimeError("no\\nluck")

    def raises_late(lr):
        raise RuntimeError("no luck")

    def nothing(lr):
        return 3.0

    def branches(lr, beta=0.5, gamma=1.0):
        return optax.sgd(lr, momentum=beta if beta > 0 else None)

    def converts(lr, beta=0.5):
        return optax.sgd(lr, momentum=float(beta))

    def grows(lr):
        def update(updates, state, params=None):
            return updates, (*state, jnp.zeros(()))
        return optax.GradientTransformation(lambda params: (), update)

    def counts_in_floats(lr):
        def update(updates, state, params=None):
            return updates, state + 0.5
        return optax.GradientTransformation(lambda params: jnp.zeros((), jnp.int32), update)

    def flattens(lr):
        def update(updates, state, params=None):
            return jnp.ones(8), state
        return optax.GradientTransformation(lambda params: (), update)

    def hidden_rate():
        return optax.adam(1e-3)

    def uphill(lr):
        return optax.scale(lr)

    def needs_more(lr, decay):
        return optax.sgd(lr)

    def two_rates(lr, learning_rate):
        return optax.sgd(lr)

    def dynamic(lr, beta=0.7):
        return optax.inject_hyperparams(optax.sgd)(learning_rate=lr, momentum=beta)

    def wraps(lr):
        return optax.lookahead(optax.sgd(lr), 5, 0.5)

    def transform(hparams):
        return optax.trace(hparams["beta"])

    def own():
        return Optimizer("mine", transform, (("beta", 0.6),))

    def own_broken():
        return Optimizer("mine", transform)
"""


@pytest.fixture
def factories(tmp_path, monkeypatch):
    (tmp_path / "rules_for_tests.py").write_text(textwrap.dedent(FACTORIES))
    monkeypatch.syspath_prepend(tmp_path)
    return "rules_for_tests:{}".format


@pytest.mark.parametrize(
    ("name", "parameters", "includes_rate", "rate", "reference"),
    [
        ("plain", (("beta", 0.8),), True, 0.02, optax.sgd(LR, momentum=0.8, nesterov=True)),
        ("direction", (("beta", 0.8),), False, None, optax.sgd(LR, momentum=0.8)),
        ("dynamic", (("beta", 0.7),), True, None, optax.sgd(LR, momentum=0.7)),
        ("own", (("beta", 0.6),), False, None, optax.sgd(LR, momentum=0.6)),
    ],
)
def test_imported_factories(factories, name, parameters, includes_rate, rate, reference):
    optimizer = make_optimizer(factories(name))
    assert optimizer.name == ("mine" if name == "own" else factories(name))
    assert optimizer.parameters == parameters
    assert (optimizer.includes_rate, optimizer.rate) == (includes_rate, rate)
    ours = orbit(optimizer, hparams_of(optimizer), 10)
    for mine, theirs in zip(ours, reference_orbit(reference, 10), strict=True):
        assert jax.tree.all(jax.tree.map(np.array_equal, mine, theirs))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("raises", "raised RuntimeError: no luck$"),
        ("raises_late", "raised RuntimeError: no luck$"),
        ("nothing", "returned a float; return an optax.GradientTransformation"),
        ("branches", "looks at the value of beta, which"),
        ("converts", "looks at the value of beta, which"),
        ("grows", "changes structure"),
        ("counts_in_floats", "changes structure, shapes or types"),
        ("flattens", "not shaped like the weights"),
        ("hidden_rate", "no argument lr but its update goes downhill"),
        ("uphill", "takes the learning rate but its update goes uphill"),
        ("needs_more", "needs the argument decay"),
        ("two_rates", "leave one"),
        ("wraps", "cannot take a step"),
        ("own_broken", "cannot take a step: it raised KeyError: 'beta'"),
        ("plainn", "did you mean 'plain'"),
    ],
)
def test_factories_that_fail_are_refused_in_one_sentence(factories, name, words):
    with pytest.raises(ValueError, match=words) as caught:
        make_optimizer(factories(name))
    assert "\n" not in str(caught.value)
    assert type(caught.value) is ValueError


def test_an_imported_state_keeps_its_types_in_half_precision():
    optimizer = make_optimizer("optax:adam")
    params, _ = small_problem("bfloat16")
    transform = optimizer.transform(hparams_of(optimizer, "float32"))
    state = transform.init(params)
    _, after = transform.update(params, state, params)
    for old, new in zip(jax.tree.leaves(state), jax.tree.leaves(after), strict=True):
        assert old.dtype == new.dtype
