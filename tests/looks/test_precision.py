"""The spacing of stored energies is found from their type and from the numbers."""

import numpy as np
import pytest

from spinpot.data.systems import read_systems
from spinpot.looks.precision import precision_looks, spacing_of
from support.folders import write_npy
from support.frames import random_system, system

RNG = np.random.default_rng(1)
ENERGY = -96000 + RNG.normal(0, 0.04, 40)


@pytest.mark.parametrize("spacing", [0.01, 0.002, 1 / 128, 13.605693 * 1e-3])
def test_multiples_of_anything(spacing):
    assert spacing_of(np.round(ENERGY / spacing) * spacing) == pytest.approx(spacing, rel=1e-3)


def test_full_precision_has_no_spacing():
    for seed in range(200):
        values = np.random.default_rng(seed).normal(-100, 0.3, 5 + seed % 40)
        assert spacing_of(values) == 0.0


def test_few_or_equal_numbers_tell_nothing():
    assert spacing_of(np.array([1.0, 1.5, 2.0])) == 0.0
    assert spacing_of(np.zeros(20)) == 0.0


def written(folder, dtype, energy=ENERGY, n_atoms=5):
    frames = random_system(1, len(energy))
    place = write_npy(folder, system(frames.type_map, frames.types, frames.box, frames.coord, frames.spin))
    np.save(place / "set.000" / "energy.npy", energy.astype(dtype))
    return place


def test_a_file_of_float32(tmp_path):
    place = written(tmp_path / "a", np.float32)
    ((found, look),) = precision_looks(read_systems([place]))
    assert found.name == "a"
    spread = 100 / 128 / ENERGY.astype(np.float32).astype(float).std()
    assert look.seen == (
        f"{place}/set.000/energy.npy is float32: at −96,000 eV its numbers lie 0.0078 eV apart, 1.6 "
        f"meV/atom, {spread:.2g} % of their spread"
    )


def test_float64_made_from_rounded_numbers(tmp_path):
    place = written(tmp_path / "a", np.float64, np.round(ENERGY, 2))
    ((_, look),) = precision_looks(read_systems([place]))
    assert look.seen.startswith(f"{place}/set.000/energy.npy: its numbers lie 0.01 eV apart, 2 meV/atom, 2")


def test_a_text_file_of_few_digits(tmp_path):
    place = written(tmp_path / "a", np.float64)
    for name in ("box", "coord", "spin"):
        np.savetxt(place / f"{name}.raw", np.load(place / "set.000" / f"{name}.npy"))
    np.savetxt(place / "energy.raw", ENERGY, fmt="%.2f")
    for file in (place / "set.000").iterdir():
        file.unlink()
    (place / "set.000").rmdir()
    ((_, look),) = precision_looks(read_systems([place]))
    assert look.seen.startswith(f"{place}/energy.raw: its numbers lie 0.01 eV apart")


def test_numbers_fine_enough(tmp_path):
    energy = -10 + RNG.normal(0, 0.04, 40)
    places = [
        written(tmp_path / "float64", np.float64),
        written(tmp_path / "float32", np.float32, energy),
        written(tmp_path / "digits", np.float64, np.round(energy, 5)),
    ]
    for place in places:
        assert list(precision_looks(read_systems([place]))) == []


def test_the_spread_is_that_of_the_composition_over_all_files(tmp_path):
    """Frames of one file may be nearly equal: what counts is what the model has to tell apart."""
    near, far = written(tmp_path / "near", np.float32), written(tmp_path / "far", np.float32, ENERGY - 40)
    assert len(list(precision_looks(read_systems([near])))) == 1
    assert list(precision_looks(read_systems([near, far]))) == []


def test_energies_that_float32_made_equal(tmp_path):
    place = written(tmp_path / "a", np.float32, ENERGY - 1e7)
    ((_, look),) = precision_looks(read_systems([place]))
    assert look.seen.endswith(
        " is float32: at −10,096,000 eV its numbers lie 1 eV apart, 200 meV/atom, and all are equal"
    )
    assert list(precision_looks(read_systems([written(tmp_path / "b", np.float64, np.full(40, -3.0))]))) == []
