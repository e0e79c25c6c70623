"""Frames in units of another code: the audit names the units, and scripts of docs/audit.md convert them."""

import re
from dataclasses import replace

import numpy as np
import pytest
from ase.units import Bohr, GPa, Hartree

from spinpot.audit.run import audit, wrong
from spinpot.data.systems import read_systems, select
from support.cli import PROJECT
from support.folders import write_npy
from support.nickel_oxide import primitive_nio


@pytest.fixture
def right():
    return select(primitive_nio(), np.arange(20))


def test_from_hartree_and_kbar(right, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    volume = np.abs(np.linalg.det(right.box))[:, None, None]
    stress = right.virial / volume / (0.1 * GPa)
    others = {"energy": right.energy / Hartree, "force": right.force / (Hartree / Bohr), "virial": stress}
    write_npy(tmp_path / "my_frames", replace(right, **others))
    assert wrong(audit(["my_frames"]))
    said = capsys.readouterr().out
    assert (
        "my_frames: the factors fit energies in Hartree (multiply energy by 27.2114), forces in Hartree/Bohr "
        "(multiply force by 51.4221), stress in kbar instead of the virial (virial = volume · stress · "
        "0.000624151)." in said
    )
    assert "docs/audit.md, Convert units" in said
    assert "label_scale_fm" not in said

    blocks = re.findall(r"```python\n(.*?)```", (PROJECT / "docs" / "audit.md").read_text(), re.S)
    exec("\n".join(blocks), {})
    (converted,) = read_systems(["converted"])
    for name in ("energy", "force", "force_mag", "virial", "coord"):
        np.testing.assert_allclose(getattr(converted, name), getattr(right, name), rtol=1e-5, atol=1e-9)
    assert not wrong(audit(["converted"]))


def test_coordinates_come_first(right, tmp_path, capsys):
    """Factors mean little before coordinates are in Å, so no other unit is guessed."""
    write_npy(tmp_path / "bohr", replace(right, coord=right.coord / Bohr, box=right.box / Bohr))
    audit([tmp_path / "bohr"])
    said = capsys.readouterr().out
    assert "bohr: coordinates and cell in Bohr? Nearest neighbours are" in said
    assert "Convert them, then audit again." in said
    assert "the factors fit" not in said
