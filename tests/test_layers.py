"""The shape of the house, read from its source: imports point one way, rooms keep to their work.

Everything here parses; nothing is imported, so a wrong arrow is found even where it is lazy.
"""

import ast
import functools
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "dynfrac"

# Rooms on one level do not see each other; every room sees all the levels before its own.
LEVELS = [
    {"systems"},
    {"orbits"},
    {"analysis"},
    {"sweeps", "boundaries"},
    {"studies"},
    {"plots", "web"},
    {"cli"},
    {"__main__"},
]
LEVEL_OF = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}

# The only modules of `analysis` that differentiate, and therefore need jax.
ANALYSIS_WITH_JAX = {
    "dynfrac.analysis.cascades",
    "dynfrac.analysis.covariant",
    "dynfrac.analysis.curvature",
    "dynfrac.analysis.diagrams",
    "dynfrac.analysis.finite_time",
    "dynfrac.analysis.lyapunov",
    "dynfrac.analysis.spectra",
    "dynfrac.analysis.spectrum_summaries",
}
NUMERICAL = {"numpy", "scipy", "skimage"}
# Which rooms may use a package that the others must not know.
RESERVED = {
    "matplotlib": {"plots"},
    "click": {"cli"},
    "rich": {"cli"},
    "uvicorn": {"cli"},
    "starlette": {"web"},
    "tensorstore": {"sweeps"},
}

# Re-exporting such a name would hide the module; this one is the entry point of the script.
NAMESAKES = {"dynfrac.cli.main"}


@functools.cache
def sources():
    """Return module name -> parsed source, for every module of the package."""
    trees = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        trees[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = ast.parse(
            path.read_text(encoding="utf-8")
        )
    return trees


@functools.cache
def imports(module):
    """Return the absolute names of all modules that `module` imports, lazily or not."""
    found = set()
    for node in ast.walk(sources()[module]):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import, line {node.lineno}"
            for alias in node.names:
                # `from package import module` imports the module, not only the package.
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in sources() else node.module)
    return found


def inner_imports(module):
    return {name for name in imports(module) if name.partition(".")[0] == "dynfrac"}


def outer_imports(module):
    tops = {name.partition(".")[0] for name in imports(module)}
    return tops - {"dynfrac"} - set(sys.stdlib_module_names)


def room_of(module):
    return module.split(".")[1]


def reachable(module):
    """Return `module` and everything of the package that importing it imports."""
    seen, waiting = set(), [module]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting.extend(inner_imports(name))
    return seen


ROOM_MODULES = sorted(name for name in sources() if name != "dynfrac")
DEFINITIONS = (ast.FunctionDef, ast.ClassDef)


def test_every_room_is_on_the_plan():
    assert {room_of(module) for module in ROOM_MODULES} <= set(LEVEL_OF)


@pytest.mark.parametrize("module", ROOM_MODULES)
def test_imports_point_left(module):
    room = room_of(module)
    for name in inner_imports(module):
        assert name in sources(), f"{module} imports {name}, which does not exist"
        assert name != "dynfrac", f"{module} imports the package that re-exports it"
        other = room_of(name)
        assert other == room or LEVEL_OF[other] < LEVEL_OF[room], f"{module} imports {name}"


def test_no_cycle():
    graph = {module: inner_imports(module) - {module} for module in sources()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize("module", ROOM_MODULES)
def test_reserved_packages_stay_in_their_rooms(module):
    for package in outer_imports(module) & set(RESERVED):
        assert room_of(module) in RESERVED[package], f"{module} imports {package}"


@pytest.mark.parametrize(
    "module",
    [
        # Not the room itself, which may re-export what its modules offer.
        module
        for module in ROOM_MODULES
        if module.startswith("dynfrac.analysis.") and module not in ANALYSIS_WITH_JAX
    ],
)
def test_analysis_is_numerical_python_only(module):
    for name in reachable(module):
        assert outer_imports(name) <= NUMERICAL, f"{module} reaches {outer_imports(name)} in {name}"
        assert not imports(name) & {"pathlib", "os", "os.path", "io"}, f"{name} knows about files"


def public_definitions(body):
    return [n for n in body if isinstance(n, DEFINITIONS) and not n.name.startswith("_")]


@pytest.mark.parametrize("module", sorted(sources()))
def test_public_names_have_docstrings(module):
    tree = sources()[module]
    assert ast.get_docstring(tree), f"{module} has no docstring"
    for node in public_definitions(tree.body):
        assert ast.get_docstring(node), f"{module}.{node.name} has no docstring"


@functools.cache
def classes():
    """Return class -> (concrete methods, abstract methods, bases inside the package)."""
    found = {}
    for module, tree in sources().items():
        known = {
            alias.asname or alias.name: f"{node.module}.{alias.name}"
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        nodes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
        known |= {node.name: f"{module}.{node.name}" for node in nodes}
        for node in nodes:
            methods = [n for n in node.body if isinstance(n, ast.FunctionDef)]
            abstract = {m.name for m in methods if is_abstract(m)}
            concrete = {m.name for m in methods} - abstract
            bases = {known.get(ast.unparse(base), "") for base in node.bases}
            found[known[node.name]] = (concrete, abstract, bases)
    return found


def is_abstract(method):
    return any("abstract" in ast.unparse(decorator) for decorator in method.decorator_list)


def ancestors(name):
    """Return the package's own classes that a class inherits from."""
    # A node is a way to be a dataclass and a tree, and no contract.
    bases = classes()[name][2] & classes().keys() - {"dynfrac.systems.nodes.Node"}
    return set(bases).union(*(ancestors(base) for base in bases))


@pytest.mark.parametrize("name", sorted(classes()))
def test_classes_are_abstract_or_final(name):
    concrete, _, _ = classes()[name]
    for base in ancestors(name):
        inherited, required, _ = classes()[base]
        assert required, f"{name} inherits from {base}, which is not abstract"
        assert not concrete & inherited, f"{name} overrides {concrete & inherited} of {base}"


@pytest.mark.parametrize("module", sorted(sources()))
def test_no_module_shares_its_name_with_an_export(module):
    tree = sources()[module]
    defined = {node.name for node in public_definitions(tree.body)}
    if module not in NAMESAKES:
        assert module.rpartition(".")[2] not in defined
    exported = defined | {
        alias.asname
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname == alias.name
    }
    inside = {m.rpartition(".")[2] for m in sources() if m.rpartition(".")[0] == module}
    assert not exported & inside, f"{module} hides its own {exported & inside}"


def test_lazy_imports_are_seen():
    # The frame of the command line imports one name inside a function: the rules above hold for
    # such imports only if they are found.
    assert "dynfrac.systems.abstract" in imports("dynfrac.cli.main")
