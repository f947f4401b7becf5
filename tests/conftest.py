"""Settings of the whole suite.

The suite runs in 64 bits and refuses implicit rank promotion, so that a slip in our own array code
fails loudly. The library must not depend on either: `test_defaults.py` runs it in a fresh process
under jax's own defaults.
"""

import os
import signal

import hypothesis
import jax
import pytest

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")

# The same examples in every run, and no deadline: the first example pays for compilation.
hypothesis.settings.register_profile("dynfrac", derandomize=True, deadline=None)
hypothesis.settings.load_profile("dynfrac")


@pytest.fixture
def ctrl_c():
    """Give Ctrl-C its usual meaning, which it does not have in a shell's background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    """Keep the settings of whoever runs the tests out of them."""
    for name in [name for name in os.environ if name.startswith("DYNFRAC_")]:
        monkeypatch.delenv(name)
