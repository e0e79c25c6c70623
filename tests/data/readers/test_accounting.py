"""A line names every numeric column or key that is not used."""

from dataclasses import replace

import ase.io
import numpy as np
import pytest
from ase import Atoms

from spinpot.core.errors import InputError
from spinpot.core.notes import Notes
from spinpot.data.readers.find import READERS, read_frames
from spinpot.data.readers.frames import RawFrame, systems_of
from spinpot.data.readers.reader import Wanted
from support.folders import write_npy
from support.frames import random_system

SPIN = np.array([[0.0, 0.0, 2.2]])


def frame(columns=None, entries=None):
    return RawFrame(
        ("Fe",),
        3 * np.eye(3),
        (True,) * 3,
        np.zeros((1, 3)),
        {"spin": SPIN, **(columns or {})},
        entries or {},
    )


def said_of(path, *frames, **wanted):
    notes = Notes()
    systems = systems_of(frames, path, Wanted(**wanted), notes)
    return systems, list(notes)


@pytest.mark.parametrize("suffix", ["xyz", "traj", "db", "json"])
@pytest.mark.parametrize("name", ["bader_charge", "dos"])
def test_ase_formats(suffix, name, tmp_path):
    atoms = Atoms("Fe", cell=3 * np.eye(3), pbc=True)
    atoms.set_initial_magnetic_moments(SPIN)
    if suffix in ("db", "json"):
        from ase.db import connect

        with connect(tmp_path / f"a.{suffix}") as rows:
            rows.write(atoms, data={name: 1.5})
    else:
        atoms.info[name] = 1.5
        ase.io.write(tmp_path / f"a.{suffix}", atoms)
    notes = Notes()
    read_frames(tmp_path / f"a.{suffix}", "auto", Wanted(), notes)
    assert f"{name}: not used; to read it, give --energy {name} ({tmp_path / f'a.{suffix}'})" in list(notes)


def test_what_numbers_could_be(tmp_path):
    columns = {"my_forces": np.ones((1, 3)), "charge": np.ones(1)}
    entries = {"my_energy": np.array(1.0), "my_virial": np.eye(3), "dipole": np.ones(3)}
    _, said = said_of(tmp_path, frame(columns, entries))
    assert said == [
        "my_forces: not used; to read it, give --forces my_forces or --magnetic-forces my_forces or "
        f"--moments my_forces ({tmp_path})",
        f"charge: not used ({tmp_path})",
        f"my_energy: not used; to read it, give --energy my_energy ({tmp_path})",
        f"my_virial: not used; to read it, give --virial my_virial ({tmp_path})",
        f"dipole: not used ({tmp_path})",
        f"spin: read from spin ({tmp_path})",
    ]


def test_a_name_that_the_user_gives(tmp_path):
    columns = {"my_forces": np.ones((1, 3)), "forces": np.zeros((1, 3))}
    (system,), said = said_of(tmp_path, frame(columns), columns={"force": "my_forces"})
    assert system.force.tolist() == [[[1, 1, 1]]]
    assert any(line.startswith("forces: not used") for line in said)
    with pytest.raises(
        InputError, match=r"--forces other: .*, frame 0 has no such name. It has: spin, forces."
    ):
        said_of(tmp_path, frame({"forces": np.zeros((1, 3))}), columns={"force": "other"})


def test_two_sources_that_disagree(tmp_path):
    columns = {"forces": np.zeros((1, 3)), "REF_forces": np.full((1, 3), 0.1)}
    with pytest.raises(InputError) as error:
        said_of(tmp_path, frame(columns))
    assert str(error.value) == (
        f"{tmp_path}, frame 0: forces and REF_forces are both read as force, but differ by up to 0.1. Name "
        "the one to read: --forces forces or --forces REF_forces."
    )


def test_two_sources_that_agree(tmp_path):
    columns = {"forces": np.full((1, 3), 0.1), "REF_forces": np.full((1, 3), 0.1 + 1e-7)}
    _, said = said_of(tmp_path, frame(columns))
    assert said == [f"spin: read from spin ({tmp_path})", f"force: read from forces, REF_forces ({tmp_path})"]


def test_a_label_of_a_wrong_shape(tmp_path):
    with pytest.raises(InputError, match=r"frame 0: virial has the shape \(4,\). Expected \(3, 3\)"):
        said_of(tmp_path, frame(entries={"virial": np.ones(4)}))


def test_no_frames(tmp_path):
    with pytest.raises(InputError, match="no frames in it"):
        said_of(tmp_path)


def test_other_files_are_answered_with_what_is_read(tmp_path):
    (tmp_path / "POSCAR").write_text("a structure\n")
    with pytest.raises(InputError) as error:
        read_frames(tmp_path / "POSCAR", "auto", Wanted(), Notes())
    message = str(error.value)
    assert message.startswith(f"{tmp_path / 'POSCAR'}: does not have a known format.")
    for reader in READERS.values():
        assert reader.what in message


def test_a_folder_of_files_and_links_that_lead_back(tmp_path):
    atoms = Atoms("Fe", cell=3 * np.eye(3), pbc=True)
    atoms.arrays["spin"] = SPIN
    for name in ("a/one.xyz", "b/two.xyz"):
        (tmp_path / name).parent.mkdir()
        ase.io.write(tmp_path / name, atoms)
    (tmp_path / "b" / "up").symlink_to(tmp_path, target_is_directory=True)
    systems = read_frames(tmp_path, "auto", Wanted(), Notes())
    assert [system.name for system in systems] == ["one", "two"]


def test_frames_of_any_periodicity(tmp_path):
    flat = np.diag([3.0, 0.0, 3.0])
    cluster = replace(frame(), box=np.zeros((3, 3)), pbc=(False,) * 3)
    slab = replace(frame(entries={"stress": np.ones(6)}), box=flat, pbc=(True, False, True))
    systems, notes = said_of(tmp_path, frame(), cluster, slab)
    assert [system.pbc for system in systems] == [(True,) * 3, (False,) * 3, (True, False, True)]
    assert notes == [
        f"stress: not used ({tmp_path})",
        f"spin: read from spin ({tmp_path})",
        f"Periodic in no direction of the cell ({tmp_path})",
        f"Periodic along a and c of the cell ({tmp_path})",
    ]
    with pytest.raises(InputError, match=r"stress is a stress, and the cell .* has no volume"):
        said_of(tmp_path, slab, columns={"virial": "stress"})
    with pytest.raises(InputError, match=r"periodic along a, b and c\. Expected independent"):
        said_of(tmp_path, replace(frame(), box=flat))


def test_two_energies_ten_millielectronvolts_apart_are_two_energies(tmp_path):
    entries = {"total_energy": np.array(-123456.795), "energy": np.array(-123456.785)}
    with pytest.raises(InputError, match="energy and total_energy are both read as energy"):
        said_of(tmp_path, frame(entries=entries))
    single = {"free_energy": np.array(-123456.785, dtype=np.float32), "energy": np.array(-123456.785)}
    (system,), _ = said_of(tmp_path, frame(entries=single))
    assert system.energy.tolist() == [-123456.785]


def test_frames_whose_energies_are_different_quantities(tmp_path):
    frames = [frame(entries={name: np.array(-1.0)}) for name in ("energy", "free_energy")]
    with pytest.raises(InputError) as error:
        said_of(tmp_path, *frames)
    assert str(error.value) == (
        f"{tmp_path}: energy would be read from energy in frame 0, and from free_energy in frame 1. "
        "These may be different quantities: put the frames into files of their own."
    )


def test_lengths_of_moments_are_not_offered_as_moments(tmp_path):
    _, said = said_of(tmp_path, frame({"magmoms": np.ones(1)}))
    assert f"magmoms: not used ({tmp_path})" in said


def test_json_of_others_and_files_that_cannot_be_read_do_not_stop_a_folder(tmp_path):
    write_npy(tmp_path / "set", random_system())
    (tmp_path / "record.json").write_text('{"energy": 1.0}\n')
    (tmp_path / "broken.xyz").write_text("3\nnot what it says\nNi 0 0\n")
    notes = Notes()
    (system,) = read_frames(tmp_path, "auto", Wanted(), notes)
    assert system.name == "set"
    assert any(line.startswith("not read: could not be read as extxyz") for line in notes)
