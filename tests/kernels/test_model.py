"""A model file evaluated by the kernels for clusters gives what the Potential gives for periodic frames."""

import ctypes
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest

from spinpot import kernels
from spinpot.kernels.interface import structure
from spinpot.models.model_file import write_model_file
from support.frames import batch_of, random_system, small_potential, system
from support.native_spin import small_native

pytestmark = pytest.mark.usefixtures("compiled")
CLUSTER = structure("spinpot_cluster")
DERIVATIVES = structure("spinpot_cluster_derivatives")
FACTS = structure("spinpot_model_facts")
OUTPUTS = ("energy", "force", "force_mag", "virial")


class Model:
    """A potential, by way of a file."""

    def __init__(self, potential, folder):
        self.library, self.handle = kernels.library(), ctypes.c_void_p()
        write_model_file(folder / "model.safetensors", potential)
        path = str(folder / "model.safetensors").encode()
        kernels.checked(self.library.spinpot_model_read(path, ctypes.byref(self.handle)))
        self.reach = potential.spec.reach(5.0) / 2.0

    def __del__(self):
        self.library.spinpot_model_free(self.handle)

    def facts(self):
        facts = FACTS()
        kernels.checked(self.library.spinpot_model_facts_of(self.handle, ctypes.byref(facts)))
        return facts

    def evaluate(self, cluster, threads=1):
        """Everything, of the centres and of all atoms."""
        lists = [np.array(own, dtype=np.int32) for own in cluster.candidates]
        counts = np.array([len(own) for own in lists], dtype=np.int32)
        places = (ctypes.c_void_p * len(lists))(*(own.ctypes.data for own in lists))
        atoms, centres = len(cluster.types), len(lists)
        given = CLUSTER(
            atoms,
            centres,
            cluster.types.ctypes.data,
            cluster.coord.ctypes.data,
            cluster.spin.ctypes.data,
            ctypes.addressof(places),
            counts.ctypes.data,
            cluster.mask,
        )
        shapes = (centres,), (atoms, 3), (atoms, 3), (3, 3), (centres, 3, 3)
        found = [np.full(shape, np.nan) for shape in shapes]
        to = DERIVATIVES(*(array.ctypes.data for array in found))
        run = self.library.spinpot_model_evaluate
        kernels.checked(run(self.handle, ctypes.byref(given), ctypes.byref(to), threads))
        return SimpleNamespace(**dict(zip((*OUTPUTS, "atom_virial"), found, strict=True)))


def cluster_of(frame, reach, pbc=True):
    """The atoms of a system's first frame as centres, and behind them the images that they may see.

    owner: of each atom the centre that it is an image of.
    """
    box, coord = frame.box[0], frame.coord[0]
    n = int(np.ceil(reach * np.linalg.norm(np.linalg.inv(box), axis=0).max())) + 1 if pbc else 0
    shifts = np.array(list(product(range(-n, n + 1), repeat=3)))
    shifts = shifts[np.argsort((shifts != 0).any(1), kind="stable")]
    owner = np.tile(np.arange(len(coord)), len(shifts))
    places = (coord + (shifts @ box)[:, None]).reshape(-1, 3)
    distance = np.linalg.norm(places[:, None] - coord, axis=-1)
    kept = (distance.min(1) < reach) | (np.arange(len(places)) < len(coord))
    distance, places, owner = distance[kept], places[kept], owner[kept]
    near = [np.flatnonzero(distance[:, i] < reach) for i in range(len(coord))]
    return SimpleNamespace(
        types=frame.types[owner].copy(),
        coord=places.copy(),
        spin=frame.spin[0][owner].copy(),
        candidates=[own[own != i] for i, own in enumerate(near)],
        owner=owner,
        mask=-1,
    )


def folded(cluster, of_atoms):
    """Forces on images added to those on their owners."""
    made = np.zeros((len(cluster.candidates), 3))
    np.add.at(made, cluster.owner, of_atoms)
    return made


def assert_same(found, expected, tolerance=1e-12):
    largest = float(np.abs(expected).max()) if np.size(expected) else 0.0
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=tolerance * largest)


def assert_as_potential(potential, model, frame, tolerance=1e-12, **options):
    """That a frame's energies and derivatives are those of Potential.forward."""
    theirs = potential(batch_of(potential, frame))
    cluster = cluster_of(frame, model.reach, **options)
    ours = model.evaluate(cluster)
    assert_same(ours.energy, theirs["atom_energy"].numpy(), tolerance)
    assert_same(folded(cluster, ours.force), theirs["force"].numpy(), tolerance)
    assert_same(folded(cluster, ours.force_mag), theirs["force_mag"].numpy(), tolerance)
    assert_same(ours.virial, theirs["virial"][0].numpy(), tolerance)
    assert_same(ours.atom_virial.sum(0), ours.virial, tolerance)
    return cluster, ours


KINDS = {
    "deepspin": lambda: small_potential(),
    "deepspin, one side": lambda: small_potential(type_one_side=True, resnet_dt=True),
    "deepspin, reversed": lambda: small_potential(time_reversal=True),
    "deepspin, some types unseen": lambda: small_potential(exclude_types=((1, 2), (1, 1))),
    "native_spin": lambda: small_native(groups="all"),
    "native_spin, linear": lambda: small_native(neuron=()),
    "native_spin, reversed": lambda: small_native(time_reversal=True),
}


@pytest.fixture(params=[pytest.param(make, id=name) for name, make in KINDS.items()])
def potential(request):
    return request.param()


def large_system():
    """32 atoms in a skewed cell."""
    rng = np.random.default_rng(5)
    box = np.array([[8.4, 0.3, 0.0], [0.6, 8.2, -0.3], [-0.4, 0.5, 8.3]])
    sites = np.array([s for s in product(range(4), repeat=3) if sum(s) % 2 == 0]) / 4.0
    types = np.arange(32) % 2
    spin = rng.normal(size=(32, 3)) * (types == 0)[:, None]
    return system(("Ni", "O"), types, box, sites @ box + rng.uniform(-0.3, 0.3, (32, 3)), spin)


FRAMES = {"2 atoms": lambda: random_system(3, n_ni=1, n_o=1, edge=2.9), "32 atoms": large_system}


@pytest.mark.parametrize("make_frame", FRAMES.values(), ids=FRAMES)
def test_as_the_potential(potential, make_frame, tmp_path):
    assert_as_potential(potential, Model(potential, tmp_path), make_frame())
