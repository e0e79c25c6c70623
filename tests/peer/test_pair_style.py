"""`pair_style ml/spinpot` gives spinpot's numbers in LAMMPS, for every model, on any number of ranks."""

import numpy as np
import pytest

import spinpot
from spinpot.data.lammps_files import HBAR as HBAR_OF_DEEPSPIN
from spinpot.data.lammps_files import write_data
from spinpot.models.model_file import write_model_file
from support.lammps import (
    ELEMENTS,
    HBAR,
    SKINS,
    agree,
    case,
    disturbed,
    lammps_numbers,
    spinpot_numbers,
    thermo,
)


def compare(models, run_lammps, tmp_path, sizes, skins, ranks):
    """One start of LAMMPS for all models, sizes and skins."""
    folder, predictors = models
    cells = {n: write_data(tmp_path / f"{n}.data", disturbed(n), ELEMENTS) for n in sizes}
    cases = [(name, n, skin) for name in predictors for n in cells for skin in skins]
    loads = "\nclear\n" + "plugin load ${plugin}\n"
    texts = [
        case(f"{n}.data", f"{folder / name}.safetensors Ni O", f"{k}.dump", skin)
        for k, (name, n, skin) in enumerate(cases)
    ]
    rows = thermo(run_lammps(loads.join(texts), tmp_path, ranks))
    ours = {(name, n): spinpot_numbers(predictors[name], cells[n]) for name in predictors for n in cells}
    for k, (name, n, skin) in enumerate(cases):
        print(name, n, skin, ranks, "E =", rows[k][1])
        agree(lammps_numbers(rows[k], tmp_path / f"{k}.dump"), ours[name, n])


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_every_model_gives_spinpots_numbers(ranks, models, run_lammps, tmp_path):
    compare(models, run_lammps, tmp_path, (2, 32), SKINS, ranks)


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_every_model_gives_spinpots_numbers_of_2048_atoms(ranks, models, run_lammps, tmp_path):
    """Enough atoms that ranks have neighbours they do not share."""
    compare(models, run_lammps, tmp_path, (2048,), (0.1, 2.0), ranks)


@pytest.mark.parametrize("radial", ["collocated", "direct"])
def test_the_numbers_of_deepspin(radial, trained, run_lammps, tmp_path):
    """deepmd-kit's own pair style on the same model, which needs a skin of the virtual atoms' distance."""
    potential = spinpot.load(trained[0]).potential
    potential.descriptor.radial = radial
    write_model_file(tmp_path / "model.safetensors", potential)
    atoms = write_data(tmp_path / "x.data", disturbed(32, length=1.9), ELEMENTS)
    cases = [
        case("x.data", coeff, f"{style[:2]}-{skin}.dump", skin, style=style, atom_virial=False)
        for style, coeff in (("ml/spinpot", "model.safetensors Ni O"), (f"deepspin {trained[1]}", "Ni O"))
        for skin in (0.1, 2.0)
    ]
    rows = thermo(run_lammps("\nclear\nplugin load ${plugin}\n".join(cases), tmp_path))
    names = ("ml-0.1", "ml-2.0", "de-0.1", "de-2.0")
    ours, wide, narrow, theirs = (
        lammps_numbers(row, tmp_path / f"{name}.dump") for row, name in zip(rows, names, strict=True)
    )
    agree(ours, wide)
    quantities = ("energy", "force", "force_mag")
    theirs["force_mag"] *= HBAR_OF_DEEPSPIN / HBAR
    differs = {name: np.abs(theirs[name] - wide[name]).max() for name in quantities}
    print(f"\n{radial}: deepspin and ml/spinpot differ by", differs)
    if radial == "direct":
        agree(theirs, wide, 1e-9, quantities)
    bounds = {"energy": 1e-8 * len(atoms), "force": 1e-7, "force_mag": 1e-7}
    assert all(differs[name] < bounds[name] for name in quantities)
    lost = np.abs(narrow["force"] - theirs["force"]).max()
    print(f"deepspin with a skin of 0.1 Å is off by {lost:.2e} eV/Å")
    assert lost > 1e-5
