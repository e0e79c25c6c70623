"""Packages import only lower ones, and knowledge about one model stays in models."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import spinpot

SOURCE = Path(spinpot.__file__).parent
LAYERS = (
    *("core", "report", "kernels", "data", "models", "loss", "looks", "config", "evaluation"),
    *("ase", "lammps", "analysis", "audit", "labels", "runs", "training", "learning", "benchmark", "cli"),
)
"""From the bottom up; each may import itself and what stands before it."""
BANNED = re.compile(
    r"se_e2_a|descriptor|fitting_net|rcut|virtual_len|(?<![a-z])sel(?![a-z])|native_?spin|invariants"
)
OTHERS = {"NUMERICAL_DESCRIPTOR"}
"""A section of ABACUS's STRU."""
AT_HOME = ("models/", "data/readers/deepmd/", "benchmark/cases.py", "benchmark/inference.py")
"""The last two name experiments."""
ROOT = {"__init__.py", "__main__.py", "py.typed"}


def sources() -> Iterator[tuple[str, ast.Module]]:
    """Each file's path below the package, and what it says."""
    for file in sorted(SOURCE.rglob("*.py")):
        yield file.relative_to(SOURCE).as_posix(), ast.parse(file.read_text(encoding="utf-8"))


def imported(tree: ast.Module) -> Iterator[str]:
    """The names of all that is imported, within functions and for type checkers too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def names(tree: ast.Module) -> Iterator[str]:
    """Identifiers, and strings that may be keys: those that are one word."""
    for node in ast.walk(tree):
        found = (getattr(node, field, None) for field in ("id", "attr", "arg", "name", "value"))
        yield from (name for name in found if isinstance(name, str) and not re.search(r"\s", name))


def test_packages_import_downwards_only():
    upwards = [
        f"{file} imports {name}"
        for file, tree in sources()
        if "/" in file
        for name in imported(tree)
        if name.startswith("spinpot.")
        and name.split(".")[1] not in ("__version__", *LAYERS[: LAYERS.index(file.split("/")[0]) + 1])
    ]
    assert not upwards


def test_models_alone_import_a_model():
    found = [
        f"{file} imports {name}"
        for file, tree in sources()
        if not file.startswith("models/")
        for name in imported(tree)
        if name.startswith(("spinpot.models.deepspin", "spinpot.models.native_spin"))
    ]
    assert not found


def test_the_root_is_no_attic():
    assert {file.name for file in SOURCE.iterdir() if file.is_file()} <= ROOT


def test_only_models_know_the_words_of_one():
    found = [
        f"{file}: {name}"
        for file, tree in sources()
        if not file.startswith(AT_HOME)
        for name in names(tree)
        if BANNED.search(name.lower()) and name not in OTHERS
    ]
    assert not found
