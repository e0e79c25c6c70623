"""Expected errors of a model file, from rows of clusters with images, equal Potential.uncertainty."""

import ctypes

import numpy as np
import pytest
import torch
from test_models_of_files import CLUSTER, Model, cluster_of, large_system

from spinpot import kernels
from spinpot.kernels.interface import structure
from spinpot.models.exchange.settings import EXCHANGE_TERMS
from support.frames import batch_of, random_system, small_potential, system
from support.native_spin import calibrated_native, frames_of, native_under, small_native

pytestmark = pytest.mark.usefixtures("compiled")
ROWS, COMPLETE, UNCERTAINTY = map(structure, ("spinpot_rows", "spinpot_complete_rows", "spinpot_uncertainty"))
OF_ATOMS = ("leverage", "force_sigma", "force_mag_sigma")


def call(name, *arguments):
    """A function of the library; checked."""
    kernels.checked(getattr(kernels.library(), f"spinpot_model_{name}")(*arguments))


def cluster_struct(cluster):
    """The struct of a cluster, and what it points to."""
    lists = [np.array(own, dtype=np.int32) for own in cluster.candidates]
    counts = np.array([len(own) for own in lists], dtype=np.int32)
    places = (ctypes.c_void_p * len(lists))(*(own.ctypes.data for own in lists))
    addresses = (array.ctypes.data for array in (cluster.types, cluster.coord, cluster.spin))
    sizes = len(cluster.types), len(lists)
    given = CLUSTER(*sizes, *addresses, ctypes.addressof(places), counts.ctypes.data, cluster.mask)
    return given, (lists, counts, places)


def rows_of(model, cluster, threads=1):
    """Rows of the energy, and of the forces of the centres with those of their images."""
    size, atoms = model.facts().row_size, len(cluster.types)
    found = [np.full(shape, np.nan) for shape in ((size,), (atoms, 3, size), (atoms, 3, size))]
    given, kept = cluster_struct(cluster)
    to = ROWS(*(array.ctypes.data for array in found))
    call("rows", model.handle, ctypes.byref(given), ctypes.byref(to), threads)
    del kept
    energy, *of_forces = found
    complete = [np.zeros((len(cluster.candidates), 3, size)) for _ in of_forces]
    for made, own in zip(complete, of_forces, strict=True):
        np.add.at(made, cluster.owner, own)
    return energy, *complete


def uncertainty_of(model, types, rows, threads=1):
    """What the library makes of complete rows."""
    counts = np.bincount(types, minlength=model.facts().n_elements)
    places = (array.ctypes.data for array in (types, counts, *rows))
    given = COMPLETE(len(types), *places)
    found = {name: np.full(len(types), np.nan) for name in OF_ATOMS} | {"energy_sigma": np.full(1, np.nan)}
    to = UNCERTAINTY(**{name: array.ctypes.data for name, array in found.items()})
    call("uncertainty", model.handle, ctypes.byref(given), ctypes.byref(to), threads)
    return found


def assert_as_potential(potential, folder, frame, threads=1):
    model = Model(potential, folder)
    rows = rows_of(model, cluster_of(frame, model.reach), threads)
    ours = uncertainty_of(model, frame.types, rows, threads)
    theirs = potential.uncertainty(batch_of(potential, frame))
    assert set(theirs) == set(ours)
    for name, expected in theirs.items():
        np.testing.assert_allclose(ours[name], expected.numpy(), rtol=1e-11)
    return ours


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="as usual"),
        pytest.param({"groups": "all"}, id="all groups"),
        pytest.param({"neuron": ()}, id="linear"),
        pytest.param({"exchange": EXCHANGE_TERMS}, id="with exchange"),
        pytest.param({"time_reversal": True}, id="reversed"),
    ],
)
def test_as_the_potential(options, tmp_path):
    potential = calibrated_native(**options)
    found = assert_as_potential(potential, tmp_path, random_system(3, n_ni=2, n_o=1))
    assert (found["force_sigma"] > 0.02).all()
    assert (found["force_mag_sigma"] > 0.03).tolist() == [True, True, False]


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_many_atoms_on_threads(threads, tmp_path):
    assert_as_potential(calibrated_native(), tmp_path, large_system(), threads)


def test_elements_of_which_there_is_no_atom(tmp_path):
    potential = calibrated_native(use_spin=(False, True, True, False, True))
    frame = frames_of((False, True, True, False, True), 2)
    few = np.flatnonzero(frame.types != 2)
    part = system(frame.type_map, frame.types[few], frame.box[0], frame.coord[0][few], frame.spin[0][few])
    assert_as_potential(potential, tmp_path, part)


def test_noise_that_is_not_known(tmp_path):
    """Training frames without magnetic forces."""
    potential = calibrated_native()
    native_under(potential).expected_errors.noise[2] = torch.nan
    found = assert_as_potential(potential, tmp_path, random_system(3, n_ni=2, n_o=1))
    assert np.isnan(found["force_mag_sigma"]).tolist() == [True, True, False]
    assert np.isfinite(found["leverage"]).all()


@pytest.mark.parametrize("make", [small_potential, small_native])
def test_models_that_expect_no_errors(make, tmp_path):
    model = Model(make(), tmp_path)
    assert model.facts().row_size == 0
    frame = random_system(3, n_ni=1, n_o=1)
    given, _ = cluster_struct(cluster_of(frame, model.reach))
    with pytest.raises(RuntimeError, match="a model that expects errors"):
        call("rows", model.handle, ctypes.byref(given), ctypes.byref(ROWS()), 1)
    with pytest.raises(RuntimeError, match="a model that expects errors"):
        call("uncertainty", model.handle, ctypes.byref(COMPLETE()), ctypes.byref(UNCERTAINTY()), 1)
