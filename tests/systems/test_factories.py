"""A user's factory runs in the package's numerical setting."""

import sys
import types

import jax

from dynfrac.systems.chaotic_maps import Henon
from dynfrac.systems.factories import call_imported


def test_a_factory_sees_the_numerical_setting_of_the_package(monkeypatch):
    seen = []

    def factory():
        seen.append((jax.config.jax_enable_x64, jax.config.jax_default_matmul_precision))
        return Henon()

    module = types.ModuleType("own_factories")
    module.factory = factory
    monkeypatch.setitem(sys.modules, "own_factories", module)
    call_imported("own_factories:factory", factory, {})
    # The suite runs in 64 bits anyway; only the package asks for exact products.
    assert seen == [(True, "highest")]
    assert jax.config.jax_default_matmul_precision is None
