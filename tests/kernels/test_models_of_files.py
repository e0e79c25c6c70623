"""The kernels evaluate a model file for clusters like the Potential does for periodic frames."""

import ctypes
import os
from dataclasses import replace
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest

from spinpot import kernels
from spinpot.kernels.interface import structure
from spinpot.models.exchange.settings import EXCHANGE_TERMS
from spinpot.models.model_file import write_model_file
from support.frames import batch_of, random_system, small_potential, system
from support.native_spin import small_native

pytestmark = pytest.mark.usefixtures("compiled")
CLUSTER = structure("spinpot_cluster")
DERIVATIVES = structure("spinpot_cluster_derivatives")
FACTS = structure("spinpot_model_facts")
OUTPUTS = ("energy", "force", "force_mag", "virial")


def read(path):
    """A file's model, to be freed."""
    handle = ctypes.c_void_p()
    kernels.checked(kernels.library().spinpot_model_read(os.fsencode(path), ctypes.byref(handle)))
    return handle


class Model:
    """A potential, by way of a file."""

    def __init__(self, potential, folder):
        self.library = kernels.library()
        write_model_file(folder / "model.safetensors", potential)
        self.handle = read(folder / "model.safetensors")
        self.reach = potential.spec.reach(5.0) / 2.0

    def __del__(self):
        self.library.spinpot_model_free(self.handle)

    def facts(self):
        facts = FACTS()
        kernels.checked(self.library.spinpot_model_facts_of(self.handle, ctypes.byref(facts)))
        return facts

    def evaluate(self, cluster, threads=1, outputs=5):
        """Everything, of the centres and of all atoms, or the first outputs alone."""
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
        to = DERIVATIVES(*(array.ctypes.data for array in found[:outputs]))
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
    """Within that part of the largest component; of energies of about 1 eV zero is known to 1e-16."""
    largest = float(np.abs(expected).max()) if np.size(expected) else 0.0
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=max(tolerance * largest, 1e-16))


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
    "deepspin, exchange": lambda: small_potential(exchange=EXCHANGE_TERMS),
    "deepspin, exchange, reversed": lambda: small_potential(exchange=("bilinear",), time_reversal=True),
    "deepspin, exchange, some types unseen": lambda: small_potential(
        exchange=EXCHANGE_TERMS, exclude_types=((0, 1), (1, 1))
    ),
    "native_spin, exchange": lambda: small_native(exchange=EXCHANGE_TERMS),
    "native_spin, exchange, two magnetic elements": lambda: small_native(
        exchange=EXCHANGE_TERMS, use_spin=(True, True)
    ),
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
    coord = sites @ box + rng.uniform(-0.3, 0.3, (32, 3))
    return system(("Ni", "O"), types, box, coord, rng.normal(size=(32, 3)))


FRAMES = {"2 atoms": lambda: random_system(3, n_ni=1, n_o=1, edge=2.9), "32 atoms": large_system}


@pytest.mark.parametrize("make_frame", FRAMES.values(), ids=FRAMES)
def test_as_the_potential(potential, make_frame, tmp_path):
    assert_as_potential(potential, Model(potential, tmp_path), make_frame())


def test_energies_alone(potential, tmp_path, monkeypatch):
    """They are the same, bit by bit, and the kernels are given no place for derivatives."""
    library, places = kernels.library(), []

    def watched(function):
        def forward(given, out, *more):
            places.append([getattr(out._obj, name) for name in OUTPUTS[1:]])
            return function(given, out, *more)

        return forward

    batch = batch_of(potential, large_system(), random_system(3, n_ni=1, n_o=1, edge=2.9))
    model, cluster = Model(potential, tmp_path), cluster_of(large_system(), 8.0)
    expected, of_file = potential(batch), model.evaluate(cluster)
    for name in ("deepspin", "native_spin", "exchange"):
        function = getattr(library, f"spinpot_{name}_forward")
        monkeypatch.setattr(library, f"spinpot_{name}_forward", watched(function))
    found = potential.energy(batch)
    assert places
    assert all(place == [None] * 3 for place in places)
    assert set(found) == {"energy", "atom_energy"}
    for name, value in found.items():
        np.testing.assert_array_equal(value.numpy(), expected[name].numpy())
    np.testing.assert_array_equal(model.evaluate(cluster, outputs=1).energy, of_file.energy)


def test_a_batch_without_frames(potential):
    """As of a rank that has none: it gives nothing, and gradients of zero."""
    found = potential(batch_of(potential), differentiable=True)
    assert found["force"].shape == (0, 3)
    if any(own.requires_grad for own in potential.parameters()):
        found["energy"].sum().backward()
    assert not any(own.grad.any() for own in potential.parameters() if own.grad is not None)


def test_energies_alone_by_torch():
    potential = small_potential()
    with kernels.without():
        expected = potential(batch_of(potential, large_system()))
        found = potential.energy(batch_of(potential, large_system()))
    np.testing.assert_array_equal(found["energy"].numpy(), expected["energy"].numpy())


def test_facts_of_a_model(tmp_path):
    model = Model(small_potential(time_reversal=True), tmp_path)
    facts = model.facts()
    assert facts.kind == b"deepspin"
    assert facts.n_elements == 2
    assert [ctypes.cast(facts.elements, ctypes.POINTER(ctypes.c_char_p))[t] for t in range(2)] == [
        b"Ni",
        b"O",
    ]
    assert [ctypes.cast(facts.magnetic, ctypes.POINTER(ctypes.c_uint8))[t] for t in range(2)] == [1, 0]
    assert [ctypes.cast(facts.virtual_scale, ctypes.POINTER(ctypes.c_double))[t] for t in range(2)] == [
        0.3,
        0.0,
    ]
    assert facts.cutoff == 4.0


def test_candidates_in_any_order_and_beyond_reach(potential, tmp_path):
    model = Model(potential, tmp_path)
    cluster = cluster_of(large_system(), model.reach)
    expected = model.evaluate(cluster)
    rng = np.random.default_rng(0)
    everyone = [np.delete(np.arange(len(cluster.types)), i) for i in range(len(cluster.candidates))]
    marked = [rng.permutation(own) | (rng.integers(0, 4, len(own)) << 29) for own in everyone]
    for threads in (1, 2):
        found = model.evaluate(
            SimpleNamespace(**vars(cluster) | {"candidates": marked, "mask": 2**29 - 1}), threads
        )
        for name, value in vars(expected).items():
            assert_same(getattr(found, name), value)


def test_some_centres_share_the_sum(potential, tmp_path):
    """Of two halves of the centres, whose other atoms are neighbours alone, everything adds up."""
    model = Model(potential, tmp_path)
    cluster = cluster_of(large_system(), model.reach)
    whole, sums = model.evaluate(cluster), []
    for half in (np.arange(13), np.arange(13, 32)):
        order = np.concatenate((half, np.setdiff1d(np.arange(len(cluster.types)), half)))
        place = np.argsort(order)
        of_atoms = {name: getattr(cluster, name)[order] for name in ("types", "coord", "spin")}
        found = model.evaluate(
            SimpleNamespace(**of_atoms, candidates=[place[cluster.candidates[i]] for i in half], mask=-1)
        )
        assert_same(found.energy, whole.energy[half])
        assert_same(found.atom_virial, whole.atom_virial[half], 1e-11)
        sums.append((found.force[place], found.force_mag[place], found.virial))
    for first, second, expected in zip(*sums, (whole.force, whole.force_mag, whole.virial), strict=True):
        assert_same(first + second, expected)


def test_open_boundaries(potential, tmp_path):
    frame = replace(large_system(), pbc=(False, False, False))
    _, found = assert_as_potential(potential, Model(potential, tmp_path), frame, pbc=False)
    np.testing.assert_allclose(found.force.sum(0), 0.0, atol=1e-10)


def test_atoms_without_neighbours(potential, tmp_path):
    far = np.arange(4)[:, None] * [9.0, 0.0, 0.0]
    spins = [[0.0, 0.0, 1.5], [0.0, 0.0, 0.0], [0.3, 0.4, 0.0], [0.0, 0.0, 0.0]]
    frame = system(("Ni", "O"), [0, 1, 0, 1], 40.0 * np.eye(3), far, spins)
    assert_as_potential(potential, Model(potential, tmp_path), replace(frame, pbc=(False,) * 3), pbc=False)


def test_spins_of_zero(potential, tmp_path):
    frame = large_system()
    some = frame.spin.copy()
    some[:, ::4] = 0.0
    model = Model(potential, tmp_path)
    assert_as_potential(potential, model, replace(frame, spin=some))
    assert_as_potential(potential, model, replace(frame, spin=np.zeros_like(some)))


def test_spins_of_elements_without_any_are_ignored(potential, tmp_path):
    if all(potential.spec.use_spin):
        pytest.skip("has no such element")
    model, frame = Model(potential, tmp_path), large_system()
    cluster = cluster_of(frame, model.reach)
    expected = model.evaluate(cluster)
    cluster.spin[cluster.types == 1] = [0.0, 1.0, 2.0]
    found = model.evaluate(cluster)
    for name, value in vars(expected).items():
        np.testing.assert_array_equal(getattr(found, name), value)


def test_no_centres(potential, tmp_path):
    model = Model(potential, tmp_path)
    cluster = cluster_of(large_system(), model.reach)
    for atoms in (slice(None), slice(0)):
        own = {name: getattr(cluster, name)[atoms] for name in ("types", "coord", "spin")}
        found = model.evaluate(SimpleNamespace(**own, candidates=[], mask=-1))
        assert not any(np.any(array) for array in vars(found).values())


@pytest.mark.parametrize("kind", ["deepspin", "deepspin, reversed", "deepspin, exchange"])
def test_neighbours_closer_than_in_training(kind, tmp_path):
    """The nodes reach further then, and those before stay where they are."""
    potential = KINDS[kind]()
    model, usual = Model(potential, tmp_path), random_system(3, n_ni=1, n_o=1, edge=2.9)
    _, before = assert_as_potential(potential, model, usual)
    for distance in (0.3, 0.05, 1e-4):
        coord = usual.coord.copy()
        coord[:, 1] = coord[:, 0] + [distance, 0.0, 0.0]
        assert_as_potential(potential, model, replace(usual, coord=coord))
    _, after = assert_as_potential(potential, model, usual)
    for name, value in vars(before).items():
        assert_same(getattr(after, name), value)


def test_where_1_by_r_is_infinite(tmp_path):
    model = Model(small_potential(env_protection=0.0), tmp_path)
    frame = large_system()
    frame.spin[0, 4] = 0.0
    with pytest.raises(RuntimeError, match="its own, if its moment vanishes"):
        model.evaluate(cluster_of(frame, model.reach))


def changed(path, change):
    """Rewrite a file."""
    path.write_bytes(change(path.read_bytes()))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda contents: contents[:-1], "no model file, or a damaged one"),
        (lambda contents: contents[:100], "no model file, or a damaged one"),
        (lambda contents: b"", "too short"),
        (
            lambda contents: contents[:-9] + bytes([contents[-9] ^ 1]) + contents[-8:],
            "not those that were written",
        ),
        (lambda contents: contents.replace(b'format\\": 1', b'format\\": 2'), "Update spinpot"),
        (
            lambda contents: contents.replace(b'kind\\": \\"nati', b'kind\\": \\"n?ti'),
            "not those that were written",
        ),
    ],
)
def test_files_that_are_refused(change, says, tmp_path):
    path = tmp_path / "own model.safetensors"
    write_model_file(path, small_native())
    changed(path, change)
    with pytest.raises(RuntimeError, match=rf"{path}: .*{says}"):
        read(path)


@pytest.mark.parametrize("path", ["missing.safetensors", "."])
def test_paths_that_are_no_files(path, tmp_path):
    with pytest.raises(RuntimeError, match=str(tmp_path / path)):
        read(tmp_path / path)


def test_a_path_that_is_no_text_and_longer_than_messages(tmp_path):
    with pytest.raises(RuntimeError, match=str(tmp_path)):
        read(bytes(tmp_path) + b"/\xff" + "Å".encode() * 3000)
