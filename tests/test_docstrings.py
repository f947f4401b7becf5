"""Every public name is documented: what it takes, returns and refuses, and where it is from."""

import ast
import dataclasses
import enum
import functools
import importlib
import inspect
import operator
import pkgutil
import re

import pytest
from flax import linen as nn
from numpydoc.docscrape import ClassDoc, FunctionDoc
from numpydoc.validate import validate

import dynfrac
from tests.pages import ROOT

LISTED = re.findall(r"^   (dynfrac\.\w+)$", (ROOT / "docs" / "api.md").read_text("utf-8"), re.M)
KEYS = set(
    re.findall(r"^@\w+\{(\w+),", (ROOT / "docs" / "references.bib").read_text("utf-8"), re.M)
)

FORM = {
    *("GL03", "GL05", "GL06", "GL07", "GL08", "GL10"),  # sections: known, in order, one blank line
    *("SS01", "SS02", "SS03", "SS04", "SS06"),  # a summary: one line, a sentence
    *("PR01", "PR02", "PR03", "PR05", "PR06", "PR10"),  # the parameters of the signature, in order
    *("RT01", "YD01"),
}
"""What numpydoc finds amiss with the docstring of a public function, as its codes."""

PUBLISHED = """
basin_entropy boundary_dimension box_dimension correlation_dimension correlation_sum
covariant_lyapunov_vectors finite_time_lyapunov generalized_dimension kaplan_yorke_dimension
load_mnist lyapunov_spectrum max_lyapunov report_dimension takens_dimension track_edge
uncertainty_exponent
""".split()
"""Public functions that follow a publication or hand out what was published."""

REFERRED = re.compile(r"(?:Of a map, as|As|as) in `([\w.]+)`")
ARRAY = re.compile(r"\([\w, *?]+\).* arrays?\b|pytree")


def modules():
    """Import every module that the reference shows."""
    for name in LISTED:
        package = importlib.import_module(name)
        yield package
        for found in pkgutil.walk_packages(package.__path__, f"{name}."):
            yield importlib.import_module(found.name)


def public(module):
    """Return the functions and classes that a module defines, by name."""
    return {
        name: value
        for name, value in vars(module).items()
        if (inspect.isclass(value) or inspect.isroutine(value))
        and getattr(value, "__module__", None) == module.__name__
        and not name.startswith("_")
    }


def own_methods(cls):
    """Return the public methods and properties that a class defines itself, by name."""
    kinds = (property, functools.cached_property, classmethod, staticmethod)
    return {
        name: value
        for name, value in vars(cls).items()
        if not name.startswith("_") and (inspect.isfunction(value) or isinstance(value, kinds))
    }


MODULES = list(modules())
FUNCTIONS = [name for name in dynfrac.__all__ if inspect.isfunction(getattr(dynfrac, name))]
CLASSES = [
    pytest.param(value, id=f"{module.__name__}.{name}")
    for module in MODULES
    for name, value in public(module).items()
    if dataclasses.is_dataclass(value) and "Attributes\n" in (value.__doc__ or "")
]


def test_the_reference_lists_every_package_that_is_no_program():
    packages = {f"dynfrac.{found.name}" for found in pkgutil.iter_modules(dynfrac.__path__)}
    assert set(LISTED) == packages - {"dynfrac.__main__", "dynfrac.cli", "dynfrac.web"}


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_nothing_public_is_without_a_docstring(module):
    assert module.__doc__
    for name, value in public(module).items():
        assert value.__doc__, name
        for method in own_methods(value) if inspect.isclass(value) else ():
            assert inspect.getdoc(getattr(value, method)), f"{name}.{method}"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_say_what_they_take_return_and_refuse(name):
    home = dynfrac._HOMES[name]
    errors = [error for error in validate(f"{home}.{name}")["errors"] if error[0] in FORM]
    assert not errors
    function = getattr(dynfrac, name)
    doc = FunctionDoc(function)
    assert doc["Raises"]
    if "ndarray" in str(inspect.signature(function).return_annotation):
        assert all(ARRAY.search(returned.type) for returned in doc["Returns"])


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_no_parameter_is_documented_that_does_not_exist(module):
    for name, value in public(module).items():
        paths = (
            [f"{name}.{method}" for method in own_methods(value)]
            if inspect.isclass(value)
            else [name]
        )
        for path in paths:
            function = operator.attrgetter(path)(module)
            if callable(function):
                known = inspect.signature(inspect.unwrap(function)).parameters
                assert documented(function).keys() <= known.keys(), path


def documented(function):
    """Return name -> (type, description) of the parameters that a docstring has."""
    return {
        name.strip().lstrip("*"): (parameter.type, " ".join(parameter.desc))
        for parameter in FunctionDoc(function)["Parameters"]
        for name in parameter.name.split(",")
    }


def explain(function, parameter):
    """Return type and description of a parameter, from where the docstring refers to if it does."""
    kind, meaning = documented(function)[parameter]
    if kind:
        return kind, meaning
    (text,) = REFERRED.findall(meaning)
    module, _, name = text.rpartition(".")
    return explain(getattr(importlib.import_module(module or "dynfrac"), name), parameter)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_parameters_have_a_type_and_a_meaning(name):
    function = getattr(dynfrac, name)
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind != inspect.Parameter.VAR_KEYWORD:
            kind, meaning = explain(function, parameter.name)
            assert kind and meaning, parameter
            if re.search("ArrayLike|ndarray", str(parameter.annotation)):
                assert ARRAY.search(kind), f"{parameter}: an array without its shape"


@pytest.mark.parametrize("cls", CLASSES)
def test_records_document_every_field(cls):
    doc = ClassDoc(cls)
    attributes = doc["Attributes"]
    names = [name.strip() for attribute in attributes for name in attribute.name.split(",")]
    # Sphinx cannot tell fields of one name apart; such ones are told in the notes.
    names += sorted(set(re.findall(r"``(\w+)``", " ".join(doc["Notes"]))) - set(names))
    fields = [f.name for f in dataclasses.fields(cls) if not f.name.startswith("_")]
    if issubclass(cls, nn.Module):
        fields = [name for name in fields if name not in ("parent", "name")]  # of every module
    assert sorted(name for name in names if name in fields) == sorted(fields)
    assert all(a.type or REFERRED.search(" ".join(a.desc)) for a in attributes)


@pytest.mark.parametrize("name", sorted(set(dynfrac.__all__) - set(FUNCTIONS)))
def test_classes_list_what_they_hold(name):
    cls = getattr(dynfrac, name)
    if issubclass(cls, enum.Enum):
        (tree,) = ast.parse(inspect.getsource(cls)).body
        pairs = zip(tree.body, tree.body[1:], strict=False)
        told = {a.targets[0].id for a, b in pairs if isinstance(a, ast.Assign) and is_text(b)}
        assert told == set(cls.__members__)
    else:
        assert dataclasses.fields(cls) == () or "Attributes\n---" in inspect.getdoc(cls)


def is_text(statement):
    """Whether a statement is a docstring."""
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_methods_name_their_source(name):
    doc = inspect.getdoc(getattr(dynfrac, name))
    cited = set(re.findall(r"`([a-z]+\d{4}\w*)`", doc))
    assert cited & KEYS or re.search(r"\b(19|20)\d\d\b", doc)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_keys_of_references_exist(module):
    assert set(re.findall(r"`([a-z]+(?:19|20)\d\d[a-z]*)`", inspect.getsource(module))) <= KEYS
