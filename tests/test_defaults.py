"""The library under jax's own defaults: 32 bits, and settings that are the caller's."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from dynfrac.analysis.lyapunov import lyapunov_spectrum
from dynfrac.orbits.evaluator import evaluate
from dynfrac.systems.chaotic_maps import Henon


def run_python(code, **environment):
    """Run code in a fresh process and return what it prints, as JSON."""
    process = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


def test_importing_the_library_changes_no_jax_setting():
    before, after = run_python(
        """
import importlib, json, pkgutil
import jax
def settings():
    return {name: str(value) for name, value in jax.config.values.items()}
before = settings()
import dynfrac
for module in pkgutil.walk_packages(dynfrac.__path__, "dynfrac."):
    importlib.import_module(module.name)
print(json.dumps([before, settings()]))
"""
    )
    assert before["jax_enable_x64"] == "False"
    assert after == before


PRECISION = """
import json
import jax, jax.numpy as jnp
from dynfrac.systems.numerics import precision
with precision():
    draw = jax.random.normal(jax.random.PRNGKey(0), (4,))
    inside = [str(draw.dtype), jax.config.jax_enable_x64]
print(json.dumps({"inside": inside, "draw": draw.tolist(), "outside": str(jnp.ones(()).dtype)}))
"""


@pytest.mark.parametrize("partitionable", ["0", "1"])
def test_random_numbers_do_not_depend_on_the_callers_settings(partitionable):
    result = run_python(
        PRECISION, JAX_THREEFRY_PARTITIONABLE=partitionable, JAX_ENABLE_X64=partitionable
    )
    assert result["inside"] == ["float64", True]
    assert result["outside"] == ("float64" if partitionable == "1" else "float32")
    # Drawn once with jax 0.10.2; partitionable threefry keys, float64. The numbers are jax's
    # promise of reproducibility, the tolerance is its inverse error function's last bits.
    expected = [-0.2058421394796434, -0.7847657764467411, 1.8160866726679836, 0.1878440128937887]
    assert result["draw"] == pytest.approx(expected, rel=1e-12)


def test_entry_points_compute_in_64_bits_whatever_the_caller_does():
    outcomes, exponents = run_python(
        """
import json
import numpy as np
import jax
from dynfrac.analysis.lyapunov import lyapunov_spectrum
from dynfrac.orbits.evaluator import evaluate
from dynfrac.systems.chaotic_maps import Henon
assert not jax.config.jax_enable_x64
outcomes = evaluate(Henon(), {"a": np.linspace(1.0, 1.4, 5)}, n_steps=60)
spectrum = lyapunov_spectrum(Henon(), n_steps=500)
print(json.dumps([outcomes.final_loss.tolist(), spectrum.exponents.tolist()]))
"""
    )
    # Chaotic orbits double an error every second step: after 60 steps, float32 agrees in no digit.
    here = evaluate(Henon(), {"a": np.linspace(1.0, 1.4, 5)}, n_steps=60)
    assert outcomes == here.final_loss.tolist()
    assert exponents == lyapunov_spectrum(Henon(), n_steps=500).exponents.tolist()
