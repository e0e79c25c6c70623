"""Frames of every format, written and read back; complete splits; duplicates; errors."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import ase.io
import numpy as np
import pytest

from spinpot.core.errors import InputError
from spinpot.core.notes import Notes
from spinpot.data.description import fingerprint
from spinpot.data.duplicates import copies, left_out, without
from spinpot.data.prepare import _atoms, divided, prepare, write_lammps
from spinpot.data.readers.find import read_frames
from spinpot.data.readers.reader import Wanted
from spinpot.data.systems import read_systems
from support.folders import labelled_by_a_potential, write_npy
from support.frames import evaluate, random_system, small_potential, system
from support.in_process import run_here, the_message
from support.large import SAMPLE, as_large

ARRAYS = ("box", "coord", "spin", "energy", "force", "force_mag", "virial")
OLD = Wanted(elements=("Ni", "O"), magnetic=("Ni",), virtual_scale=0.4 / 1.2737)
OLD_ARGUMENTS = ["--elements", "Ni", "O", "--magnetic", "Ni", "--virtual-len", "0.4", "--spin-norm", "1.2737"]


@pytest.fixture
def frames(tmp_path):
    """Ten labelled frames and their folder."""
    made = labelled_by_a_potential(1, 10)
    write_npy(tmp_path / "frames", made)
    return made, tmp_path / "frames"


def same(one, other, names=ARRAYS, atol=1e-12):
    for name in names:
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=atol, err_msg=name)


@pytest.mark.parametrize(
    ("kind", "arguments", "tolerance"),
    [("npy", [], 0.0), ("extxyz", [], 1e-7), ("old", OLD_ARGUMENTS, 1e-12)],
)
def test_there_and_back(kind, arguments, tolerance, frames, tmp_path):
    made, folder = frames
    result = run_here("prepare_data.py", str(folder), "there", "--to", kind, *arguments, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    written = tmp_path / "there" / ("frames.xyz" if kind == "extxyz" else "frames")
    result = run_here("prepare_data.py", str(written), "back", "--format", kind, *arguments, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "Ni 0." in result.stdout or "Ni" in result.stdout
    (back,) = read_systems([tmp_path / "back"])
    assert back.type_map == ("Ni", "O")
    same(back, made, atol=tolerance)


OPEN = {"cluster": (False, False, False), "wire": (True, False, False), "slab": (True, False, True)}


@pytest.mark.parametrize("kind", OPEN)
@pytest.mark.parametrize(
    ("layout", "arguments"),
    [("npy", []), ("extxyz", []), ("old", OLD_ARGUMENTS)],
)
def test_frames_that_are_not_crystals_there_and_back(layout, arguments, kind, tmp_path):
    made = replace(labelled_by_a_potential(1, 3), pbc=OPEN[kind], name="frames")
    made.box[:, ~np.array(made.pbc)] = 0.0  # as ase has them
    made.coord[:] += np.array([20.0, -30.0, 7.0])
    xyz = tmp_path / "frames.xyz"
    ase.io.write(xyz, [_atoms(made, frame) for frame in range(3)], format="extxyz")
    for source, target, into in (("frames.xyz", "there", layout), (None, "back", "npy")):
        written = "there/frames.xyz" if layout == "extxyz" else "there/frames"
        read_as = "extxyz" if source else layout
        command = [source or written, target, "--format", read_as, "--to", into, *arguments]
        result = run_here("prepare_data.py", *command, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
    mark = "the file nopbc" if kind == "cluster" else "pbc.raw, which deepmd-kit does not read"
    assert f"marked by {mark}" in result.stdout
    (back,) = read_systems([tmp_path / "back"])
    assert back.pbc == made.pbc
    same(back, made, [name for name in ARRAYS if name != "box"], atol=2e-8)  # what extxyz keeps
    np.testing.assert_allclose(back.cell, made.cell, atol=2e-8)
    if layout == "npy":
        assert fingerprint([back]) == fingerprint([read_frames(xyz, "extxyz", Wanted(), Notes())[0]])
    potential = small_potential()
    ours, theirs = (evaluate(potential, replace(one, spin=made.spin)) for one in (back, made))
    np.testing.assert_allclose(ours["force"], theirs["force"], atol=1e-6)


def test_programs_that_know_crystals_alone_see_a_vacuum(tmp_path):
    made = replace(random_system(1, n_frames=2), pbc=(True, True, False), name="slab")
    place = prepare_npy(made, tmp_path)
    assert (place / "pbc.raw").read_text() == "1 1 0\n"
    assert not (place / "nopbc").exists()
    (place / "pbc.raw").unlink()
    (crystal,) = read_systems([place])
    potential = small_potential()
    np.testing.assert_allclose(
        evaluate(potential, crystal)["force"], evaluate(potential, made)["force"], atol=1e-12
    )


def prepare_npy(made, folder):
    write_npy(folder / "in" / made.name, made)
    prepare([folder / "in"], folder / "out", Wanted())
    return folder / "out" / made.name


def test_lammps_data_of_a_slab(tmp_path):
    made = replace(random_system(1), pbc=(True, False, True), name="slab")
    made.coord[:] += np.array([20.0, -30.0, 7.0])
    write_lammps(tmp_path, made, [made], Wanted())
    text = (tmp_path / "slab" / "frame_00000.data").read_text().splitlines()
    assert text[0].endswith("; boundary p s p")
    bounds = {line.split()[2]: [float(x) for x in line.split()[:2]] for line in text[5:8]}
    tilts = [float(x) for x in text[8].split()[:3]]
    assert abs(tilts[0]) < 1e-12 > abs(tilts[2])  # LAMMPS wants no tilt along y, which is not periodic
    first = next(k for k, line in enumerate(text) if line.startswith("Atoms")) + 2
    positions = np.array([line.split()[2:5] for line in text[first:]], dtype=float)
    assert bounds["ylo"] == pytest.approx([positions[:, 1].min() - 1, positions[:, 1].max() + 1])
    assert bounds["xlo"] == pytest.approx([0.0, np.linalg.norm(made.box[0, 0])])


def test_frames_without_moments_need_the_users_word(tmp_path):
    made = labelled_by_a_potential(1, 3)
    (write_npy(tmp_path / "frames", made) / "set.000" / "spin.npy").unlink()
    message = the_message(run_here("prepare_data.py", "frames", "out", cwd=tmp_path))
    assert message.startswith("frames: spin.npy is missing.")
    assert "spinpot prepare --non-magnetic" in message
    assert not (tmp_path / "out").exists()
    result = run_here("prepare_data.py", "frames", "out", "--non-magnetic", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "No spins: taken as non-magnetic, with spins of zero (frames)" in result.stdout
    (back,) = read_systems([tmp_path / "out"])
    assert not back.spin.any()
    assert len(back) == 3


def test_what_training_says_of_the_old_layout_has_a_remedy(frames, tmp_path):
    prepare([frames[1]], tmp_path / "old", OLD, write_as="old")
    with pytest.raises(InputError, match="old layout"):
        read_systems([tmp_path / "old"])
    prepare([tmp_path / "old" / "frames"], tmp_path / "new", OLD, read_as="old")
    same(read_systems([tmp_path / "new"])[0], frames[0])


def test_lammps_data_files(frames, tmp_path):
    prepare([frames[1]], tmp_path / "data", Wanted(), write_as="lammps")
    files = sorted((tmp_path / "data" / "frames").iterdir())
    assert len(files) == 10
    assert "5 atoms" in files[0].read_text()


@pytest.mark.parametrize(("kind", "count"), [("scf", 1), ("relax", 3), ("md", 4)])
def test_abacus(kind, count, shared_data, tmp_path):
    import shutil

    shutil.copytree(shared_data / "abacus_spin", tmp_path / "run")
    shutil.copy(tmp_path / "run" / f"INPUT.{kind}", tmp_path / "run" / "INPUT")
    prepare([tmp_path / "run"], tmp_path / "out", Wanted())
    (system,) = read_systems([tmp_path / "out"])
    assert len(system) <= count
    assert {"energy", "force", "force_mag"} <= set(system.labels)
    assert np.abs(system.spin).max() > 1.0


def test_the_public_frames_in_the_old_layout(shared_data, tmp_path):
    prepare([shared_data / "NiO_tf_layout" / "data_0"], tmp_path / "out", OLD, read_as="old")
    (system,) = read_systems([tmp_path / "out"])
    lengths = np.linalg.norm(system.spin[:, system.types == 0], axis=-1)
    assert len(system) == 10
    assert 1.2 < lengths.min() <= lengths.max() < 1.35
    assert system.force_mag is not None


@pytest.mark.parametrize("block", [1, 5])
def test_a_split_leaves_nothing_out(block, frames, tmp_path):
    made, folder = frames
    sets = prepare([folder], tmp_path / "out", Wanted(), split=(0.6, 0.4, 0.0), block=block, seed=3)
    parts = {name: read_systems([tmp_path / "out" / name]) for name in ("train", "validation")}
    energies = np.concatenate([part[0].energy for part in parts.values()])
    np.testing.assert_allclose(np.sort(energies), np.sort(made.energy))
    assert set(sets) == {"train", "validation"}
    if block == 5:
        assert list(parts["train"][0].energy) in [list(made.energy[:5]), list(made.energy[5:])]
    else:
        assert len(parts["train"][0]) == 6


def test_the_seed_decides(frames):
    made, _ = frames
    choices = [divided([made], (0.5, 0.5), 1, seed)["train"][0].energy.tolist() for seed in (1, 1, 2)]
    assert choices[0] == choices[1] != choices[2]


def test_duplicates(frames, tmp_path, capsys):
    made, folder = frames
    write_npy(tmp_path / "again" / "frames", made)
    sets = prepare([folder, tmp_path / "again"], tmp_path / "out", Wanted())
    assert [len(system) for system in sets[""]] == [10]
    assert "10 duplicate frames left out" in capsys.readouterr().out
    others = [made, random_system(8, n_frames=2)]
    assert [len(system) for system in without(others, copies(others))] == [10, 2]
    assert list(left_out(others, copies(others))) == []


def test_copies_with_noise_and_in_another_place_are_left_out(frames, tmp_path, capsys):
    made, folder = frames
    rng = np.random.default_rng(1)
    for k in range(5):
        coord = made.coord + rng.normal(0, 1e-7, made.coord.shape) + 0.4 * k
        write_npy(tmp_path / "again" / str(k), replace(made, coord=coord))
    sets = prepare([folder, tmp_path / "again"], tmp_path / "out", Wanted())
    assert [len(one) for one in sets[""]] == [10]
    np.testing.assert_array_equal(sets[""][0].coord, made.coord)
    assert (
        "50 duplicate frames left out: each equals an earlier one within 0.0001 Å and μ_B, up to lattice "
        "vectors and a shift of all atoms (0: 10, 1: 10, 2: 10 and 2 more)"
    ) in capsys.readouterr().out


def test_overlapping_atoms_are_refused_in_every_format_of_the_output(frames, tmp_path):
    prepare([frames[1]], tmp_path / "xyz", Wanted(), write_as="extxyz")
    (file,) = (tmp_path / "xyz").glob("*.xyz")
    every = ase.io.read(file, index=":")
    every[7].positions[3] = every[7].positions[1] + 0.02
    ase.io.write(file, every)
    with pytest.raises(InputError, match=r"frame 7: atoms 1 \(Ni\) and 3 \(O\) are 0.0346 Å apart"):
        prepare([file], tmp_path / "out", Wanted(), write_as="extxyz")
    assert not (tmp_path / "out").exists()


def test_several_compositions_of_one_file(tmp_path):
    first, second = labelled_by_a_potential(1, 2), labelled_by_a_potential(2, 3, n_ni=2, n_o=4)
    write_npy(tmp_path / "a", first)
    write_npy(tmp_path / "b", second)
    prepare([tmp_path / "a", tmp_path / "b"], tmp_path / "xyz", Wanted(), write_as="extxyz")
    joined = tmp_path / "all.xyz"
    joined.write_text("".join(file.read_text() for file in sorted((tmp_path / "xyz").iterdir())))
    systems = read_frames(joined, "auto", Wanted(), Notes())
    assert [(len(system), system.n_atoms) for system in systems] == [(2, 5), (3, 6)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["absent", "out"], "no such file or folder"),
        (["frames", "frames"], "is there already"),
        (["frames", "out", "--split", "0.5", "0.4"], "add up to 1"),
        (["frames", "out", "--split", "0.5", "0.5", "--block", "20"], "would be empty"),
        (["frames", "out", "--format", "old"], "--magnetic"),
        (["frames", "out", "--to", "old"], "--magnetic"),
        (["frames", "out", "--format", "abacus"], "no INPUT in it. Expected a folder in which ABACUS ran"),
        (["bad.xyz", "out"], "could not be read as extxyz"),
        (["nospin.xyz", "out"], "no magnetic moments"),
    ],
)
def test_what_is_refused(arguments, said, frames, tmp_path):
    (tmp_path / "bad.xyz").write_text("3\nnot what it says\nNi 0 0\n")
    (tmp_path / "nospin.xyz").write_text(
        '1\nLattice="3 0 0 0 3 0 0 0 3" Properties=species:S:1:pos:R:3 pbc="T T T"\nNi 0 0 0\n'
    )
    assert said in the_message(run_here("prepare_data.py", *arguments, cwd=tmp_path))
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".*"))


def test_two_at_once_do_not_mix(frames, tmp_path, monkeypatch):
    both = threading.Barrier(2)

    def read_together(*arguments):
        found = list(read_frames(*arguments))
        both.wait(timeout=60)  # each has seen that there is no output yet
        return found

    monkeypatch.setattr("spinpot.data.prepare.read_frames", read_together)

    def attempt(_):
        try:
            return prepare([frames[1]], tmp_path / "out", Wanted())
        except InputError as error:
            return str(error)

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(attempt, range(2)))
    (refused,) = [result for result in results if isinstance(result, str)]
    assert "is there already" in refused
    same(read_systems([tmp_path / "out"])[0], frames[0])
    assert not list(tmp_path.glob(".*"))


def test_overlapping_atoms_are_refused_under_their_new_name(tmp_path):
    made = random_system(1)
    made.coord[0, 1] = made.coord[0, 0] + 0.01
    text = [
        '5\nLattice="4.6 0.3 0 0.4 4.6 -0.2 -0.3 0.5 4.6" Properties=species:S:1:pos:R:3:spin:R:3 pbc="T T T"'
    ]
    for t, position, spin in zip(made.types, made.coord[0], made.spin[0], strict=True):
        text.append(" ".join([made.type_map[t], *map(str, position), *map(str, spin)]))
    (tmp_path / "x.xyz").write_text("\n".join(text) + "\n")
    message = the_message(run_here("prepare_data.py", "x.xyz", "out", cwd=tmp_path))
    assert "Å apart" in message
    assert ".out.new" not in message


def test_frames_that_lack_a_label_take_none_from_the_others(frames, tmp_path):
    prepare([frames[1]], tmp_path / "there", Wanted(), write_as="extxyz")
    (file,) = (tmp_path / "there").glob("*.xyz")
    every = ase.io.read(file, index=":")
    del every[3].arrays["mforce"]
    ase.io.write(tmp_path / "some.xyz", every)
    systems = read_frames(tmp_path / "some.xyz", "extxyz", Wanted(), Notes())
    assert sorted((len(system), "force_mag" in system.labels) for system in systems) == [
        (1, False),
        (9, True),
    ]


def test_the_wrong_magnetic_element_is_refused(tmp_path):
    coord = np.array([[[0.0, 0, 0], [2.0, 0, 0]]])
    made = system(("Ni", "O"), [0, 1], [6.0 * np.eye(3)], coord, [[[0.0, 0, 1.2], [0, 0, 0]]])
    prepare([write_npy(tmp_path / "frames", made)], tmp_path / "old", OLD, write_as="old")
    with pytest.raises(InputError, match="Å from its real atom according to --magnetic"):
        read_frames(tmp_path / "old" / "frames", "old", replace(OLD, magnetic=("O",)), Notes())
    with pytest.raises(InputError, match="--magnetic: Fe is not in Ni O"):
        read_frames(tmp_path / "old" / "frames", "old", replace(OLD, magnetic=("Fe",)), Notes())
    with pytest.raises(InputError, match="--magnetic: Fe is not in Ni O"):
        prepare([tmp_path / "frames"], tmp_path / "new", replace(OLD, magnetic=("Fe",)), write_as="old")


def test_shares_that_are_no_numbers(frames):
    with pytest.raises(InputError, match="add up to 1"):
        divided([frames[0]], [float("nan"), 0.5], 1, 0)


def test_columns_that_the_command_line_names(tmp_path):
    (tmp_path / "a.xyz").write_text(
        '1\nLattice="3 0 0 0 3 0 0 0 3" Properties=species:S:1:pos:R:3:f:R:3:m:R:3:h:R:3 e=-1.5 pbc="T T T"\n'
        "Fe 0 0 0 0.1 0.2 0.3 0 0 1 0.4 0.5 0.6\n"
    )
    named = ["--energy", "e", "--forces", "f", "--moments", "m", "--magnetic-forces", "h"]
    refused = the_message(run_here("prepare_data.py", "a.xyz", "out", *named, cwd=tmp_path))
    assert "all moments have the length 1" in refused
    result = run_here("prepare_data.py", "a.xyz", "out", *named, "--moment-unit", "mu_B", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    (made,) = read_systems([tmp_path / "out"])
    assert made.labels == ("energy", "force", "force_mag")
    np.testing.assert_allclose(made.spin, [[[0, 0, 1]]])
    np.testing.assert_allclose(made.force_mag, [[[0.4, 0.5, 0.6]]])
    for line in ("energy: read from e (a.xyz)", "force: read from f (a.xyz)", "spin: read from m (a.xyz)"):
        assert line in result.stdout


@pytest.mark.parametrize("layout", [(), ("--format", "old")])
@pytest.mark.parametrize("option", ["--moment-unit mu_B", "--energy free_energy", "--rename Fe1=Fe"])
def test_a_layout_of_deepmd_has_fixed_names_and_units(frames, tmp_path, option, layout):
    given = ["frames", "new", *layout, *option.split()]
    message = the_message(run_here("prepare_data.py", *given, cwd=tmp_path))
    assert message.startswith("frames: a layout of deepmd-kit, whose arrays and units are fixed")
    assert f"Leave out {option};" in message
    assert not (tmp_path / "new").exists()


def test_frames_without_moments_are_not_magnetic_only_where_the_user_says_so(tmp_path):
    (tmp_path / "a.xyz").write_text(
        '1\nLattice="3 0 0 0 3 0 0 0 3" Properties=species:S:1:pos:R:3 energy=-1.5 pbc="T T T"\nFe 0 0 0\n'
    )
    assert "give --non-magnetic" in the_message(run_here("prepare_data.py", "a.xyz", "out", cwd=tmp_path))
    result = run_here("prepare_data.py", "a.xyz", "out", "--non-magnetic", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "spin: read from no column: set to zero, for non-magnetic frames (a.xyz)" in result.stdout


def test_what_a_format_cannot_hold_is_named(frames, tmp_path):
    made, _ = frames
    made.spin[:, made.types == 1] = 0.2
    write_npy(tmp_path / "both", made)
    for kind, line in (
        ("lammps", "LAMMPS data files have no labels: energy, force, force_mag, virial not written (both)"),
        ("old", "moments and magnetic forces of O: not written, it is not in --magnetic (both)"),
    ):
        result = run_here("prepare_data.py", "both", kind, "--to", kind, *OLD_ARGUMENTS, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        assert line in result.stdout
        clean = run_here("prepare_data.py", "frames", f"{kind}2", "--to", "npy", cwd=tmp_path)
        assert "not written" not in clean.stdout


@pytest.mark.parametrize(("column", "array"), [(0, "coord"), (3, "spin"), (6, "force")])
@pytest.mark.parametrize("kind", ["npy", "extxyz"])
def test_numbers_that_are_not_finite(column, array, kind, tmp_path):
    numbers = ["0", "0", "0", "0", "0", "2", "0.1", "0", "0"]
    numbers[column] = "nan"
    (tmp_path / "a.xyz").write_text(
        '1\nLattice="3 0 0 0 3 0 0 0 3" Properties=species:S:1:pos:R:3:spin:R:3:forces:R:3 pbc="T T T"\n'
        f"Fe {' '.join(numbers)}\n"
    )
    message = the_message(run_here("prepare_data.py", "a.xyz", "out", "--to", kind, cwd=tmp_path))
    assert message == (
        f"a.xyz: a, {array}, frame 0, atom 0 (Fe), component x: nan (1 of 1 frames looked at have NaN, "
        "inf or numbers beyond 1e+15). "
        "Expected finite numbers. Remove these frames from every file, or compute them again."
    )


def test_options_without_effect_and_frames_that_look_wrong_are_named(frames, tmp_path):
    made, _ = frames
    made.spin[:] *= 1e-23
    write_npy(tmp_path / "tiny", made)
    result = run_here("prepare_data.py", "tiny", "out", "--block", "3", "--magnetic", "Ni", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "--block has no effect without --split." in result.stdout
    assert "--magnetic, --virtual-len and --spin-norm have no effect without --format old or --to old." in (
        result.stdout
    )
    assert "look: " in result.stdout
    assert "not in μ_B" in result.stdout
    refused = the_message(
        run_here("prepare_data.py", "tiny", "o2", "--elements", "Ni", "O", "Ni", cwd=tmp_path)
    )
    assert refused == "--elements: Ni is given twice. Expected each element once."


@pytest.mark.parametrize(
    ("given", "to", "arguments"),
    [
        ("npy", "npy", ["--float32"]),
        ("npy", "old", OLD_ARGUMENTS),
        ("npy", "extxyz", []),
        ("npy", "lammps", []),
        ("extxyz", "npy", []),
    ],
)
def test_of_large_sets_few_frames_are_in_memory_at_once(given, to, arguments, frames, tmp_path, monkeypatch):
    write_npy(tmp_path / "again", labelled_by_a_potential(2, 5, n_ni=2))
    command = ["--to", to, "--split", "0.8", "0.2", *arguments]
    inputs = [str(frames[1]), str(tmp_path / "again")]
    if given == "extxyz":
        assert run_here("prepare_data.py", *inputs, "given", "--to", given, cwd=tmp_path).returncode == 0
        inputs = ["given"]
    written, said = [], []
    for name in ("small", "large"):
        sizes = as_large(monkeypatch) if name == "large" else []
        result = run_here("prepare_data.py", *inputs, str(tmp_path / name), *command, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        files = sorted(file for file in (tmp_path / name).rglob("*") if file.is_file())
        written.append([(str(file.relative_to(tmp_path / name)), file.read_bytes()) for file in files])
        said.append(
            [line for line in result.stdout.splitlines() if not line.startswith(("Written", "15 frames"))]
        )
    assert max(sizes) <= SAMPLE
    assert written[0] == written[1]
    assert said[0] == said[1]


def test_float32_says_what_it_costs(frames, tmp_path):
    made, folder = frames
    result = run_here("prepare_data.py", str(folder), str(tmp_path / "out"), "--float32", cwd=tmp_path)
    kinds = {}
    for name in ARRAYS:
        (file,) = (tmp_path / "out").rglob(f"{name}.npy")
        kinds[name] = np.load(file)
        exact = getattr(made, name).reshape(kinds[name].shape)
        np.testing.assert_array_equal(kinds[name], exact.astype(kinds[name].dtype))
    short = {name for name, values in kinds.items() if values.dtype == np.float32}
    assert short == {"coord", "spin", "force", "force_mag"}
    most = np.abs(made.force - made.force.astype(np.float32)).max()
    assert f"force by up to {most:.1g} eV/Å" in result.stdout
    again = run_here("prepare_data.py", "out", "twice", "--float32", cwd=tmp_path)
    assert "float32: no number has changed" in again.stdout
    other = run_here("prepare_data.py", "out", "xyz", "--float32", "--to", "extxyz", cwd=tmp_path)
    assert "--float32 has no effect with --to extxyz" in other.stdout
