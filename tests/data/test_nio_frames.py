"""The built-in NiO set: ranges of its frames, and its files."""

from __future__ import annotations

import itertools
import json
import math
import subprocess
from pathlib import Path

import dpdata
import numpy as np
import pytest

from spinpot.core.errors import InputError
from spinpot.data import nio, nio_frames
from spinpot.data.nio import Structure, labels, structure
from spinpot.data.nio_frames import prepare_nio, sample
from spinpot.data.systems import read_systems
from support.cli import PROJECT, python, run_python

FEW = {split: dict.fromkeys(nio_frames.SHAPES, 2) for split in nio_frames.FRAMES}


@pytest.fixture(scope="module")
def whole_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "NiO"
    prepare_nio(folder)
    return folder


def test_frames_stay_in_their_ranges() -> None:
    rng = np.random.default_rng(1)
    spreads, strains, forces = [], [], []
    for shape in itertools.islice(itertools.cycle(nio_frames.SHAPES), 60):
        frame, perfect = sample(shape, rng), structure(nio_frames.SHAPES[shape])
        strain = np.linalg.solve(perfect.box, frame.box).T - np.eye(3)
        np.testing.assert_allclose(strain, strain.T, atol=1e-12)
        strains.append(np.abs(strain).max())
        spreads.append((frame.coord - perfect.coord @ (np.eye(3) + strain).T).std())
        forces.append(np.abs(labels(frame)["force"]).max())
    assert 0.009 < max(strains) <= nio_frames.STRAIN
    assert 0.015 < min(spreads) < 0.03
    assert 0.05 < max(spreads) < 0.07
    assert max(forces) < 10


def test_moments_stay_in_their_ranges() -> None:
    rng = np.random.default_rng(1)
    perfect = structure(np.eye(3) * 2)
    nickel = perfect.types == nio.NICKEL
    frames = np.array([nio_frames._disorder(perfect.spin, rng) for _ in range(100)])
    assert not frames[:, ~nickel].any()
    length = np.linalg.norm(frames[:, nickel], axis=2)
    cosine = (frames[:, nickel] * perfect.spin[nickel]).sum(2) / (length * nio.MOMENT)
    largest = np.degrees(np.arccos(cosine)).max(axis=1)
    assert largest.min() < 6
    assert 55 < largest.max() <= nio_frames.TILT[1] + 1e-6
    assert 0.95 <= length.min() / nio.MOMENT < 0.951
    assert 1.049 < length.max() / nio.MOMENT <= 1.05


def test_moments_of_all_frames_start_in_the_easy_plane() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        frame = sample("primitive_16", rng)
        moments = frame.spin[frame.types == nio.NICKEL]
        mean_axis = np.linalg.svd(moments)[2][0]
        assert abs(mean_axis.sum()) / math.sqrt(3) < 0.5


def test_files_hold_the_labels_of_the_hamiltonian(whole_set: Path) -> None:
    for split, shapes in nio_frames.FRAMES.items():
        assert sorted(path.name for path in (whole_set / split).iterdir()) == sorted(shapes)
    for name in nio_frames._systems():
        system = dpdata.LabeledSystem(str(whole_set / name), fmt="deepmd/npy")
        split, shape = name.split("/")
        assert len(system) == nio_frames.FRAMES[split][shape]
        assert system["atom_names"] == ["Ni", "O"]
        for index in (0, len(system) - 1):
            frame = Structure(
                system["atom_types"], system["cells"][index], system["coords"][index], system["spins"][index]
            )
            expected = labels(frame)
            assert system["energies"][index] == pytest.approx(float(expected["energy"]), abs=1e-9)
            for key, label in [("forces", "force"), ("force_mags", "force_mag"), ("virials", "virial")]:
                np.testing.assert_allclose(system[key][index], expected[label], atol=1e-10)


def test_labels_have_learnable_sizes(whole_set: Path) -> None:
    force = [np.load(path) for path in whole_set.glob("train/*/set.000/force.npy")]
    force_mag = [np.load(path) for path in whole_set.glob("train/*/set.000/force_mag.npy")]
    nickel = np.concatenate([labels[:, : labels.shape[1] // 2].ravel() for labels in force_mag])
    assert 0.5 < np.concatenate([labels.ravel() for labels in force]).std() < 1.5
    assert 0.015 < nickel.std() < 0.05


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def few_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nio_frames, "FRAMES", FEW)


@pytest.mark.usefixtures("few_frames")
def test_same_seed_same_bits(tmp_path: Path) -> None:
    for name, seed in [("a", 3), ("b", 3), ("c", 4)]:
        prepare_nio(tmp_path / name / "NiO", seed)
    a, b, c = (contents(tmp_path / name / "NiO") for name in "abc")
    assert a == b
    system = "train/primitive_16/set.000/coord.npy"
    assert a[system] != c[system]
    assert a[system] != a[system.replace("train", "validation")]


@pytest.mark.usefixtures("few_frames")
def test_complete_set_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "NiO"
    folder.mkdir()  # an empty folder is none
    prepare_nio(folder)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["NiO"]
    monkeypatch.setattr(nio_frames, "_write", lambda *_: pytest.fail("wrote again"))
    prepare_nio(folder)


@pytest.mark.usefixtures("few_frames")
def test_another_set_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "NiO"
    prepare_nio(folder, seed=1)
    with pytest.raises(InputError, match=r"another seed \(1, not 2\).*Remove"):
        prepare_nio(folder, seed=2)
    monkeypatch.setattr(nio_frames, "VERSION", 0)
    with pytest.raises(InputError, match=r"another version"):
        prepare_nio(folder, seed=1)
    monkeypatch.undo()
    monkeypatch.setattr(nio_frames, "FRAMES", FEW)
    monkeypatch.setattr(nio, "J2", 0.02)
    with pytest.raises(InputError, match="another parameters"):
        prepare_nio(folder, seed=1)


@pytest.mark.usefixtures("few_frames")
def test_damaged_or_foreign_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "NiO"
    prepare_nio(folder)
    (folder / "test" / "primitive_16" / "type.raw").unlink()
    with pytest.raises(InputError, match="lacks test/primitive_16"):
        prepare_nio(folder)
    (folder / nio_frames.MANIFEST).write_text("{")
    with pytest.raises(InputError, match="not a NiO data set"):
        prepare_nio(folder)


@pytest.mark.usefixtures("few_frames")
def test_unwritable_folder_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="data_dir"):
        prepare_nio(tmp_path / "file" / "NiO")


@pytest.mark.usefixtures("few_frames")
def test_interruption_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dump, done = nio_frames.write_system, []

    def interrupted(*args) -> None:
        if len(done) == 4:
            raise KeyboardInterrupt
        done.append(dump(*args))

    monkeypatch.setattr(nio_frames, "write_system", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepare_nio(tmp_path / "NiO")
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("few_frames")
@pytest.mark.slow
def test_of_processes_at_once_one_makes_the_set(tmp_path: Path, whole_set: Path) -> None:
    command = f"""
from spinpot.data import nio_frames
write = nio_frames._write
nio_frames._write = lambda *arguments: (print("made"), write(*arguments))
nio_frames.prepare_nio({str(tmp_path / "NiO")!r})
"""
    callers = [python(["-c", command], stderr=subprocess.PIPE) for _ in range(3)]
    said = ""
    for caller in callers:
        output, errors = caller.communicate(timeout=120)
        assert caller.returncode == 0, errors
        said += output
    assert said.count("made") == 1
    assert contents(tmp_path / "NiO") == contents(whole_set)
    assert json.loads((tmp_path / "NiO" / nio_frames.MANIFEST).read_text())["seed"] == 0
    assert [path.name for path in tmp_path.iterdir()] == ["NiO"]


def test_the_example_of_frames_beyond_the_tilts_of_the_set(tmp_path: Path) -> None:
    example = PROJECT / "examples" / "tilted_nio.py"
    done = run_python([example, tmp_path / "tilted"])
    assert done.returncode == 0, done.stderr
    (made,) = read_systems([tmp_path / "tilted"])
    nickel = made.spin[:, made.types == made.type_map.index("Ni")]
    reference = structure(nio_frames.SHAPES["rhombohedral_32"]).spin[: nickel.shape[1]]
    cosine = (nickel * reference).sum(-1) / nio.MOMENT**2
    tilt = np.degrees(np.arccos(cosine))
    assert 60.0 <= tilt.min() < tilt.max() <= 75.0
    assert made.labels == ("energy", "force", "force_mag", "virial")
