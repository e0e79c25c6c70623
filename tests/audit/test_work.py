"""Factors of labels: exact ones give 1, scaled ones their scale, and the public NiO frames 0.8."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from spinpot.audit.findings import of_work
from spinpot.audit.work import NODES, TRAPEZOID, WEIGHTS, TooFew, Untestable, missed, work_along_pairs
from spinpot.data import nio
from spinpot.data.fe_gpaw import SHIPPED
from spinpot.data.systems import read_systems, select
from spinpot.models.native_spin.settings import NetSettings, SumsSettings
from spinpot.models.native_spin.spec import NativeSpinSettings
from spinpot.models.registry import build_potential
from spinpot.models.start import TrainingLabels
from support.folders import with_labels_of_a_potential
from support.frames import evaluate, random_system
from support.nickel_oxide import primitive_nio

TRANSVERSE, LONGITUDINAL = "force_mag/Ni/transverse", "force_mag/Ni/longitudinal"


@pytest.fixture(scope="module")
def few():
    return select(primitive_nio(), np.arange(40))


@pytest.fixture(scope="module")
def exact(few):
    return work_along_pairs(few)


def still(system, **changes):
    """The frames with the atoms and the cell of the first, so that only the moments differ."""
    n = len(system)
    return replace(system, coord=system.coord[:1].repeat(n, 0), box=system.box[:1].repeat(n, 0), **changes)


def test_the_built_in_set_has_factors_of_one():
    work = work_along_pairs(primitive_nio())
    assert work.factors[TRANSVERSE].value == pytest.approx(1, abs=0.01)
    assert work.factors["force"].value == pytest.approx(1, abs=0.01)
    assert work.factors["virial"].value == pytest.approx(1, abs=0.01)
    assert work.factors[LONGITUDINAL].value == pytest.approx(1, abs=0.02)
    assert all(abs(factor.value - 1) < 2 * factor.error for factor in work.factors.values())
    assert work.r2 > 0.9999


@pytest.mark.slow
@pytest.mark.parametrize("name", ["data_0", "data_1", "data_2"])
def test_the_public_frames_have_magnetic_forces_of_four_fifths(shared_data, name):
    (system,) = read_systems([shared_data / "NiO_deltaspin" / name])
    work = work_along_pairs(system)
    assert work.factors[TRANSVERSE].value == pytest.approx(0.8, abs=0.02)
    assert work.factors[TRANSVERSE].error < 0.03
    assert abs(work.factors["force"].value - 1) < 2 * work.factors["force"].error
    # One frame alone has another length of the moments.
    assert work.factors[LONGITUDINAL].value is None
    assert work.r2 > 0.998


@pytest.mark.slow
def test_exact_labels_of_the_public_frames_have_factors_of_one(shared_data):
    (made,) = read_systems([shared_data / "NiO_deltaspin" / "data_2"])
    frames = [
        nio.Structure(made.types, *arrays) for arrays in zip(made.box, made.coord, made.spin, strict=True)
    ]
    found = [nio.labels(frame) for frame in frames]
    exact = {name: np.stack([one[name] for one in found]) for name in ("energy", "force", "force_mag")}
    work = work_along_pairs(replace(made, **exact))
    assert work.factors[TRANSVERSE].value == pytest.approx(1, abs=0.01)


def test_a_factor_is_that_of_its_label_alone(few, exact):
    scaled = work_along_pairs(replace(few, force_mag=0.8 * few.force_mag, force=-few.force))
    for name, scale in {"force": -1, "virial": 1, TRANSVERSE: 0.8, LONGITUDINAL: 0.8}.items():
        assert scaled.factors[name].value == pytest.approx(scale * exact.factors[name].value, rel=1e-6)
        assert scaled.factors[name].error == pytest.approx(abs(scale) * exact.factors[name].error, rel=1e-6)
    assert scaled.r2 == pytest.approx(exact.r2, abs=1e-12)


def test_lengths_that_were_relaxed_test_nothing(few, exact):
    length = np.linalg.norm(few.spin, axis=2, keepdims=True)
    unit = few.spin / np.where(length > 0.0, length, 1.0)
    along = unit * (unit * few.force_mag).sum(axis=2, keepdims=True)
    across = few.force_mag - along
    size = 0.04 * np.sqrt((across**2).sum() / (length > 0.0).sum())
    noise = size * unit * np.random.default_rng(0).normal(size=length.shape)
    work = work_along_pairs(replace(few, force_mag=across + noise))
    assert exact.factors[LONGITUDINAL].value is not None
    assert work.factors[LONGITUDINAL].value is None
    assert "less than 5 % of the transverse ones" in work.factors[LONGITUDINAL].undetermined


def test_energies_of_other_frames_are_not_explained(few):
    energy = np.random.default_rng(0).permutation(few.energy)
    work = work_along_pairs(replace(few, energy=energy))
    assert work.r2 < 0.5
    assert work.factors[TRANSVERSE].value is None


def test_what_hardly_moves_is_not_determined(few):
    length = np.linalg.norm(few.spin, axis=-1, keepdims=True)
    spin = 1.9 * few.spin / np.where(length > 0, length, 1)
    factor = work_along_pairs(replace(few, spin=spin)).factors[LONGITUDINAL]
    assert factor.value is None
    assert "hardly any work" in factor.undetermined


def test_what_one_frame_alone_does_is_not_determined(few):
    length = np.linalg.norm(few.spin, axis=-1, keepdims=True)
    spin = 1.9 * few.spin / np.where(length > 0, length, 1)
    spin[7] *= 1.2
    energy = few.energy + 0.4 * (np.arange(len(few)) == 7)
    factor = work_along_pairs(replace(few, spin=spin, energy=energy)).factors[LONGITUDINAL]
    assert factor.value is None
    assert "one frame" in factor.undetermined


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"energy": None}, "no energies"),
        ({"force": None}, "atoms move"),
        ({"force_mag": None}, "moments change"),
        ({"virial": None}, "cells differ"),
        ({"force": None, "force_mag": None, "virial": None}, "energies only"),
    ],
)
def test_missing_labels_are_told(few, changes, reason):
    assert reason in work_along_pairs(replace(few, **changes)).reason


def test_few_frames_and_equal_energies_are_told(few):
    assert work_along_pairs(select(few, np.arange(7))) == TooFew("fewer than 8 frames: 7")
    assert "the same" in work_along_pairs(replace(few, energy=np.zeros(len(few)))).reason


def test_opposite_moments_have_no_path(few):
    up = np.where(few.types == 0, 1.9, 0)[:, None] * [0, 0, 1.0]
    signs = np.random.default_rng(1).choice([-1, 1], size=(len(few), few.n_atoms, 1))
    work = work_along_pairs(replace(few, spin=signs * up))
    assert isinstance(work, Untestable)
    assert re.match(r"only \d pairs of frames are close .* and have similar moments; at least 8", work.reason)


def test_copies_of_frames_do_not_replace_the_nearest_ones(few, exact):
    work = work_along_pairs(select(few, np.tile(np.arange(len(few)), 2)))
    for name, factor in exact.factors.items():
        assert work.factors[name].value == pytest.approx(factor.value, abs=0.02)


def test_labels_of_what_does_not_move_are_not_needed(few):
    """Rigid rotors in a field: E = −Σ B·S, whose magnetic forces are B."""
    field = np.array([0.01, -0.02, 0.03])
    n = len(few)
    labels = {"energy": -(few.spin @ field).sum(axis=1), "force_mag": np.broadcast_to(field, few.spin.shape)}
    work = work_along_pairs(still(few, force=None, virial=None, **labels))
    assert work.frames == n
    assert work.factors[TRANSVERSE].value == pytest.approx(1, abs=1e-3)
    assert work.factors[LONGITUDINAL].value == pytest.approx(1, abs=1e-3)


def test_the_nodes_integrate_polynomials_to_the_fifth_power():
    for power in range(6):
        assert NODES**power @ WEIGHTS == pytest.approx(1 / (power + 1), abs=1e-14)


def test_what_the_trapezoid_rule_misses():
    """Integrands that the functions hold are integrated exactly, whatever their ends."""
    c = np.random.default_rng(2).normal(size=(30, 3))
    functions = c[:, None, :] * NODES[None, :, None] ** np.arange(1, 4)
    true = np.array([2.0, -1.0, 0.5])
    values = functions @ true
    found = values @ TRAPEZOID + missed(values[:, [0, -1]], functions)
    np.testing.assert_allclose(found, c @ (true / np.arange(2, 5)), atol=1e-6)


@pytest.mark.parametrize("pbc", [(False, False, False), (True, True, False)], ids=["cluster", "slab"])
def test_exact_labels_of_what_is_no_crystal_have_factors_of_one(pbc):
    rng = np.random.default_rng(1)
    made = select(random_system(1), np.zeros(40, dtype=int))
    made.coord[:] += np.array([3.1, 2.2, 90.0]) + 0.03 * rng.normal(size=made.coord.shape)
    made.spin[:, :3] += 0.03 * rng.normal(size=(40, 3, 3))
    made.box[:] = made.box @ (np.eye(3) + 0.003 * rng.normal(size=(40, 3, 3)))
    made.box[:, ~np.array(pbc)] = 0.0
    work = work_along_pairs(with_labels_of_a_potential(replace(made, pbc=pbc)))
    assert work.r2 > 0.999
    names = {"force", TRANSVERSE, LONGITUDINAL} | ({"virial"} if any(pbc) else set())
    for name in names:
        assert work.factors[name].value == pytest.approx(1.0, abs=0.03), name


@pytest.mark.slow
def test_exact_labels_of_few_frames_with_large_tilts_are_not_wrong():
    """The interpolation misses much of such paths, and the standard error says so."""
    systems = read_systems(SHIPPED / "train")
    settings = NativeSpinSettings(
        descriptor=SumsSettings(cutoff=4.5, closest=2.0), fitting_net=NetSettings(neuron=[])
    )
    spec = settings.spec(("Fe",), (True,))
    potential = build_potential(spec)
    potential.set_statistics(iter(()), systems)
    prefactors = {"e": 1.0, "fr": 1.0, "fm": 1.0}
    potential.start(TrainingLabels(systems, spec.geometry, prefactors, 0.5, torch.tensor([True])))
    made = next(system for system in systems if system.name == "Fe16")
    outputs = evaluate(potential, made)
    labels = {name: outputs[name].reshape(made.coord.shape) for name in ("force", "force_mag")}
    exact = replace(made, energy=outputs["energy"], **labels)
    findings = of_work(exact, work_along_pairs(exact))
    assert [one.text for one in findings if one.severity == "wrong"] == []
