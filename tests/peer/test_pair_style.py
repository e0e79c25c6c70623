"""`pair_style ml/spinpot`: spinpot's own numbers in LAMMPS, for every model, on any number of ranks."""

import pytest

from spinpot.data.lammps_files import write_data
from support.lammps import ELEMENTS, SKINS, agree, case, disturbed, lammps_numbers, spinpot_numbers, thermo


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
