import shutil

import numpy as np
import pytest

from spinpot.audit.work import work_along_pairs
from spinpot.core.errors import InputError
from spinpot.data.fe_gpaw import SHIPPED, copy_fe_gpaw
from spinpot.data.systems import read_systems

SETS = ("train", "validation", "test")


def files(folder):
    return sorted(file.relative_to(folder) for file in folder.rglob("*") if file.is_file())


def test_the_set_is_copied_once(tmp_path, capsys):
    copy_fe_gpaw(tmp_path / "Fe_gpaw")
    assert capsys.readouterr().out == (
        f"Data set Fe_gpaw written to {tmp_path}/Fe_gpaw. paths.data_dir=DIR or SPINPOT_DATA chooses another "
        "place.\n"
    )
    assert files(tmp_path / "Fe_gpaw") == files(SHIPPED)
    then = (tmp_path / "Fe_gpaw" / "provenance.json").stat().st_mtime_ns
    copy_fe_gpaw(tmp_path / "Fe_gpaw")
    assert (tmp_path / "Fe_gpaw" / "provenance.json").stat().st_mtime_ns == then
    assert capsys.readouterr().out == ""


def test_another_version_is_refused(tmp_path):
    copy_fe_gpaw(tmp_path / "Fe_gpaw")
    shutil.rmtree(tmp_path / "Fe_gpaw" / "test")
    with pytest.raises(InputError, match=r"Fe_gpaw: holds other frames than the set Fe_gpaw of this version"):
        copy_fe_gpaw(tmp_path / "Fe_gpaw")


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "Fe_gpaw").mkdir()
    copy_fe_gpaw(tmp_path / "Fe_gpaw")
    assert files(tmp_path / "Fe_gpaw") == files(SHIPPED)


def test_frames_are_of_different_configurations_and_within_the_recipe():
    seen = []
    for name in SETS:
        for system in read_systems([SHIPPED / name]):
            assert system.virial is None
            torque = np.cross(system.spin, system.force_mag).sum(axis=1)
            assert np.abs(torque).max() < 1e-3  # eV: no spin–orbit coupling
            assert np.linalg.norm(system.spin, axis=-1).min() > 0.5
            along = (system.spin * system.force_mag).sum(axis=-1)
            assert np.abs(along).max() < 0.05  # eV: lengths are free
            assert np.abs(system.spin[..., :2]).max() > 0.5  # not z components alone
            seen += [frame.tobytes() for frame in np.asarray(system.coord)]
    assert len(seen) == len(set(seen)) > 0


def test_the_set_has_the_frames_that_its_page_names():
    frames = {}
    for name in SETS:
        for system in read_systems([SHIPPED / name]):
            own = frames.setdefault(system.name, {"atoms": system.n_atoms})
            own[name] = len(system)
    counts = {name: sum(own.get(part, 0) for part in SETS) for name, own in frames.items()}
    assert counts == {"Fe16": 40, "Fe2": 48, "Fe2_dense": 24, "Fe2_sheared": 24, "Fe2_wide": 24, "Fe4": 48}
    assert [sum(own[part] for own in frames.values()) for part in SETS] == [147, 29, 32]
    assert {name: own["atoms"] for name, own in frames.items()}["Fe16"] == 16


@pytest.mark.parametrize("name", ["Fe2", "Fe2_dense", "Fe2_sheared", "Fe2_wide", "Fe4", "Fe16"])
def test_forces_and_magnetic_forces_are_the_derivatives_of_the_energies(name):
    """With the frames of `pairs`, of which each second one is a small step from the one before it."""
    (system,) = read_systems([SHIPPED / "pairs" / name])
    work = work_along_pairs(system)
    for label in ("force", "force_mag/Fe/transverse"):
        factor = work.factors[label]
        assert abs(factor.value - 1.0) < 0.02
        assert factor.error < 0.02
