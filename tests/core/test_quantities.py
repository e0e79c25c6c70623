"""Names and units of the quantities are defined in one place."""

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import spinpot
from spinpot.core.conventions import LABELS
from spinpot.core.quantities import ERRORS, OF_LABEL, PARTS, QUANTITIES, SCALED, WHOLE
from spinpot.loss.ener_spin import EnerSpinLoss

SOURCE = Path(spinpot.__file__).parent
OF_DEEPMD = ("models/deepspin/deepmd", "benchmark/peer.py", "evaluation/deviation.py")
"""Where they are deepmd-kit's."""
NAME = re.compile(r"(rmse|mae|pref)_(e|fr|fm|v)|(fr|fm|fm_transverse|fm_longitudinal)(_scaled)?")


def strings(file):
    """The strings in the code of a file, docstrings and parts of f-strings left out."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    left_out = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Expr, ast.JoinedStr))
        for inner in ast.walk(node)
        if isinstance(node, ast.JoinedStr) or isinstance(node.value, ast.Constant)
    }
    constants = (node for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return {node.value for node in constants if isinstance(node.value, str) and id(node) not in left_out}


def test_no_other_module_spells_a_name():
    found = {}
    for file in SOURCE.rglob("*.py"):
        place = file.relative_to(SOURCE).as_posix()
        if place != "core/quantities.py" and not place.startswith(OF_DEEPMD):
            found[place] = sorted(text for text in strings(file) if NAME.fullmatch(text))
    assert {place: names for place, names in found.items() if names} == {}


def test_the_settings_of_the_loss_are_named_after_them():
    settings = inspect.signature(EnerSpinLoss).parameters
    asked = {f"{end}_{quantity.pref}" for quantity in QUANTITIES.values() for end in ("start", "limit")}
    assert asked == {name for name in settings if "_pref_" in name}


def test_every_label_has_one():
    assert tuple(OF_LABEL) == LABELS
    assert [quantity.label for quantity in WHOLE] == list(LABELS)


@pytest.mark.parametrize(
    ("name", "title", "shown"),
    [
        ("e", "energy", "E 1.500 meV/atom"),
        ("fm_transverse", "magnetic force, transverse", "Fm⊥ 1.500 meV/μ_B"),
        ("fm_scaled", "magnetic force, scaled", "Fm 1.500 meV/μ_B"),
        ("fm_longitudinal_scaled", "magnetic force, scaled longitudinal", "Fm∥ 1.500 meV/μ_B"),
    ],
)
def test_in_words(name, title, shown):
    assert (ERRORS[name].title, ERRORS[name].shown(1.5e-3)) == (title, shown)


def test_parts_and_their_scaled_errors_know_the_whole():
    for part in PARTS:
        assert (part.whole, ERRORS[part.name + SCALED].whole) == ("fm", "fm")
        assert ERRORS[part.name + SCALED].part == part.part


def test_a_config_is_checked_without_torch():
    """It needs the names of the errors, not what computes them."""
    loaded = "import spinpot.config.validate, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", loaded], check=False).returncode == 0
