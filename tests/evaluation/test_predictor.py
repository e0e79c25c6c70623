"""`spinpot.load`: the predictor gives the potential's results for frames of every kind."""

import copy
import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms

import spinpot
from spinpot.core.errors import InputError
from spinpot.data.geometry import Geometry
from spinpot.data.systems import System
from spinpot.evaluation.predictor import Predictor
from support.checkpoints import write_checkpoint
from support.folders import write_npy
from support.frames import evaluate, random_system, small_potential, with_random_labels

SHAPES = {"energy": (), "force": (5, 3), "force_mag": (5, 3), "virial": (3, 3), "atom_energy": (5,)}

NO_FORCES = "no forces; it has energy, virial, force, force_mag, atom_energy"


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return spinpot.load(write_checkpoint(tmp_path_factory.mktemp("run") / "best.ckpt", small_potential()))


def assert_same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert found.keys() == expected.keys() == SHAPES.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-12, atol=1e-12, err_msg=name)


def to_atoms(system: System, frame: int = 0) -> Atoms:
    symbols = [system.type_map[kind] for kind in system.types]
    atoms = Atoms(symbols, system.coord[frame], cell=system.box[frame], pbc=True)
    atoms.set_initial_magnetic_moments(system.spin[frame])
    return atoms


def test_a_system_gives_the_potentials_own_numbers(predictor: Predictor) -> None:
    system = random_system(n_frames=3)
    found = predictor(system)
    expected = evaluate(small_potential(), system)
    for name, shape in SHAPES.items():
        assert found[name].shape == (3, *shape)
        assert found[name].dtype == np.float64
    assert_same(found, {name: values.reshape(3, *SHAPES[name]) for name, values in expected.items()})


def test_every_source_of_frames_gives_the_same(predictor: Predictor, tmp_path: Path) -> None:
    system = random_system(n_frames=2)
    expected = predictor(system)
    folder = write_npy(tmp_path / "frames", system)
    assert_same(predictor(folder), expected)
    assert_same(predictor(str(folder)), expected)
    frames = [to_atoms(system, frame) for frame in range(2)]
    for frame, found in enumerate(predictor(frames)):
        assert_same(found, {name: values[[frame]] for name, values in expected.items()})
    assert_same(predictor(frames[0]), {name: values[[0]] for name, values in expected.items()})


def test_one_source_gives_a_dict_and_several_a_list(predictor: Predictor, tmp_path: Path) -> None:
    a, b = random_system(1), random_system(2, n_frames=2, n_ni=2, n_o=1)
    write_npy(tmp_path / "all/a", a)
    write_npy(tmp_path / "all/b", b)
    expected = [predictor(a), predictor(b)]
    for found in (predictor([a, tmp_path / "all/b"]), predictor(tmp_path / "all")):
        assert [len(one["energy"]) for one in found] == [1, 2]
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)
    assert isinstance(predictor([a]), list)
    assert predictor([]) == []


def test_the_names_are_attributes_too(predictor: Predictor) -> None:
    a, b = random_system(1), random_system(2, n_frames=2, n_ni=2, n_o=1)
    one, several = predictor(a), predictor([a, b])
    assert isinstance(one, Mapping)
    for name, array in one.items():
        assert getattr(one, name) is array
        for found in (several[name], getattr(several, name), dict(several)[name]):
            assert [len(values) for values in found] == [1, 2]
            np.testing.assert_array_equal(found[0], several[0][name])
    assert {*SHAPES} <= {*dir(one)} & {*dir(several)}
    assert repr(one).startswith("Prediction(energy (1,), virial (1, 3, 3), ")
    for changed in (copy.deepcopy(several), pickle.loads(pickle.dumps(several))):
        assert changed[1].force.shape == (2, 3, 3)
    for prediction in (one, several, predictor([])):
        with pytest.raises(AttributeError, match=NO_FORCES):
            prediction.forces  # noqa: B018


def test_a_predictor_says_what_its_model_is(predictor: Predictor) -> None:
    parameters = predictor.potential.describe()["parameters"]
    assert repr(predictor) == (
        f"Predictor(deepspin of Ni O, magnetic: Ni; {parameters} parameters, torch.float64 on cpu)"
    )


def test_networks_in_another_precision(predictor: Predictor, tmp_path: Path) -> None:
    file = write_checkpoint(tmp_path / "best.ckpt", small_potential())
    rounded = spinpot.load(file, device="cpu", dtype=torch.float32)
    assert "torch.float32 on cpu" in repr(rounded)
    system = random_system()
    exact, found = predictor(system), rounded(system)
    assert found.force.dtype == np.float64
    assert 0.0 < np.abs(found.force - exact.force).max() < 1e-4
    with pytest.raises(InputError, match=r"dtype=torch.float16: expected torch.float64 or torch.float32\."):
        spinpot.load(file, dtype=torch.float16)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 100])
def test_batching_changes_nothing(predictor: Predictor, batch_size: int) -> None:
    systems = [random_system(1, n_frames=3), random_system(2, n_frames=2, n_ni=1, n_o=3)]
    for system, found in zip(systems, predictor(systems, batch_size=batch_size), strict=True):
        assert_same(found, predictor(system, progress=True))


def test_elements_are_known_by_name(predictor: Predictor) -> None:
    system = random_system()
    permuted = replace(system, type_map=("Fe", "O", "Ni"), types=np.array([2, 1])[system.types])
    assert_same(predictor(permuted), predictor(system))


def test_pairs_are_found_as_the_frames_are_needed(predictor: Predictor) -> None:
    class Counting(Geometry):
        frames = 0

        def pairs(self, n_atoms, *given):
            Counting.frames += len(n_atoms)
            return super().pairs(n_atoms, *given)

    own = Predictor(predictor.potential)
    own.geometry = Counting(*vars(own.geometry).values())
    stream = own.batches([random_system(n_frames=9)], batch_size=2)
    next(stream)
    assert Counting.frames == 2


# ---- what cannot be used ----


def test_an_unknown_element(predictor: Predictor, tmp_path: Path) -> None:
    system = replace(random_system(), type_map=("Fe", "O"))
    with pytest.raises(InputError, match=r"holds Fe .*Fe O.*trained for Ni O"):
        predictor(system)
    with pytest.raises(InputError, match=r"holds Fe .*Fe O.*lacks: Ni O"):
        predictor(write_npy(tmp_path / "iron", system))
    with pytest.raises(InputError, match=r"atoms 1: holds Fe .*trained for Ni O"):
        predictor([to_atoms(random_system()), to_atoms(system)])


def test_more_neighbours_than_sel() -> None:
    predictor = Predictor(small_potential(sel=(3, 3)))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        predictor([random_system(0), random_system(1)])
        predictor(random_system(2))
    (only,) = (str(warning.message) for warning in said)
    assert only.startswith("model.descriptor.sel=[3, 3] is too small for random0, frame 0: an atom has ")
    assert only.endswith("deepmd-kit and its LAMMPS plugin ignore the farthest ones.")


def test_an_energy_that_is_not_finite() -> None:
    potential = small_potential()
    potential.energy_bias[0] = torch.nan
    with pytest.raises(InputError, match=r"random0, frame 0: the predicted energy is not finite"):
        Predictor(potential)(random_system())


def test_no_frames_per_batch(predictor: Predictor) -> None:
    with pytest.raises(InputError, match="batch_size=0"):
        predictor(random_system(), batch_size=0)


def test_something_else(predictor: Predictor) -> None:
    with pytest.raises(TypeError, match="not int"):
        predictor([3])  # type: ignore[list-item]


def without_moments(atoms: Atoms) -> None:
    del atoms.arrays["initial_magmoms"]


def collinear(atoms: Atoms) -> None:
    atoms.set_initial_magnetic_moments(None)
    atoms.set_initial_magnetic_moments(np.ones(len(atoms)))


def flat_slab(atoms: Atoms) -> None:
    atoms.pbc = (True, True, False)
    atoms.cell[1] = 2 * atoms.cell[0]


def flat_cell(atoms: Atoms) -> None:
    atoms.cell[2] = 0


def nothing(atoms: Atoms) -> None:
    del atoms[:]


def a_nan(atoms: Atoms) -> None:
    atoms.positions[1, 2] = np.nan


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (nothing, "holds no atoms"),
        (without_moments, r"no magnetic moments\. Expected a vector"),
        (collinear, r"initial_magmoms has one number per atom"),
        (flat_slab, r"the cell .*, periodic along a and b. Expected independent"),
        (flat_cell, r"the cell .*, periodic along a, b and c. Expected independent"),
        (a_nan, r"coord, frame 0, atom 1 .*, component z: nan"),
    ],
)
def test_spoilt_atoms(predictor: Predictor, spoil: Callable[[Atoms], None], message: str) -> None:
    atoms = to_atoms(random_system())
    spoil(atoms)
    with pytest.raises(InputError, match=f"atoms 0[:,] .*{message}"):
        predictor(atoms)


class Foreign:
    """What a pickle could run code with."""


def test_files_that_are_no_checkpoint(tmp_path: Path) -> None:
    whole = write_checkpoint(tmp_path / "whole.ckpt", small_potential())
    (tmp_path / "cut.ckpt").write_bytes(whole.read_bytes()[:-1000])
    bias, other = (np.array([value, -1.5]).tobytes() for value in (-2.0, -3.0))
    assert bias in whole.read_bytes()
    (tmp_path / "changed.ckpt").write_bytes(whole.read_bytes().replace(bias, other))
    (tmp_path / "text.ckpt").write_text("energy = 0\n")
    (tmp_path / "empty.ckpt").touch()
    (tmp_path / "pickle.ckpt").write_bytes(pickle.dumps(Foreign()))
    torch.save({"state_dict": {}}, tmp_path / "other.ckpt")
    torch.save(Foreign(), tmp_path / "foreign.ckpt")
    names = ("absent", "cut", "changed", "text", "empty", "pickle", "other", "foreign")
    for name in names:
        with pytest.raises(InputError, match=f"{name}.ckpt: "):
            spinpot.load(tmp_path / f"{name}.ckpt")
    with pytest.raises(InputError):
        spinpot.load(tmp_path)


def test_importing_spinpot_is_quick() -> None:
    code = "import sys, spinpot; spinpot.load; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_labels_play_no_part(predictor: Predictor) -> None:
    system = random_system(n_frames=2)
    assert_same(predictor(with_random_labels(system)), predictor(system))
