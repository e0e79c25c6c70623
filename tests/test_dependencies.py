"""pyproject.toml declares exactly the packages that the sources import."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

PROJECT = Path(__file__).parents[1]
EXTRAS = ("wandb", "analysis", "label")
"""Those whose packages the sources import; Lightning imports tensorboard, and Hydra the plugins of sweeps."""


def imported():
    """The packages that the sources import, but for Python's own and spinpot."""
    found = set()
    for file in (PROJECT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                found |= {name.name.partition(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                found.add(node.module.partition(".")[0])
    return found - sys.stdlib_module_names - {"spinpot"}


def names(requirements):
    """Of distributions, written in one way."""
    return {normal(re.match(r"[\w.-]+", requirement)[0]) for requirement in requirements}


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_import_is_declared_and_every_dependency_imported():
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    declared = names(project["dependencies"])
    for extra in EXTRAS:
        declared |= names(project["optional-dependencies"][extra])
    bringing = packages_distributions()
    needed = {normal(bringing.get(name, [name])[0]) for name in imported()}
    assert needed == declared
