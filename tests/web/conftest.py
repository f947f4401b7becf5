"""A server that the tests of one module share."""

import pytest

from tests.web.servers import quadratic_scene, serving


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """Return a client of a server that the tests of one module share."""
    with serving(quadratic_scene(), tmp_path_factory.mktemp("tiles")) as found:
        yield found
