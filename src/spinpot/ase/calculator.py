"""An ASE calculator for one potential or an ensemble of several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from spinpot.core.errors import InputError
from spinpot.core.vectors import largest
from spinpot.data.from_ase import moments_of, system_from_atoms
from spinpot.evaluation.deviation import deviation
from spinpot.evaluation.moving import Moving
from spinpot.evaluation.predictor import Predictor, load
from spinpot.models.training_facts import Crystals

EXPECTED = {
    "energy_sigma": "energy_sigma",
    "forces_sigma": "force_sigma",
    "magnetic_forces_sigma": "force_mag_sigma",
    "leverage": "leverage",
}
"""Results with expected errors, and their names in spinpot.core.conventions."""

DEVIATIONS = {"forces_deviation": "force", "magnetic_forces_deviation": "force_mag"}
"""Results with deviations between several models, and the quantities whose deviations they are."""
ENERGIES = {"energy", "free_energy"}
MOVES = {"positions", "initial_magmoms", "initial_charges"}
"""Changes that keep the atoms and the cell."""

Source = str | Path | Predictor
"""A checkpoint, a model of deepmd-kit, or a loaded model."""


class SpinCalculator(Calculator):
    """E(R, S) and its derivatives for ase.Atoms with vectors as initial magnetic moments (μ_B), in float64.

    Results: energy (eV), free_energy (the same), forces (N, 3) eV/Å, magnetic_forces −∂E/∂S (N, 3) eV/μ_B,
    stress (6,) eV/Å³: the symmetric part of −virial/volume, at fixed spins. As with ASE's calculators, there
    is no stress without three lattice vectors.

    Several models form an ensemble: results are their means. Additional results are the deviations
    forces_deviation and magnetic_forces_deviation (N,): √⟨|F − ⟨F⟩|²⟩ of each atom.

    A model that predicts its errors (model=native_spin) has more results, computed on request, e.g. with
    get_property("leverage", atoms): energy_sigma, eV/atom; forces_sigma, eV/Å, and magnetic_forces_sigma,
    eV/μ_B (N,), standard deviations of each component; leverage (N,), the distance of an atom from the
    training frames, about 1 within their range.

    models: files, or results of spinpot.load; one or several.
    skin: Å. The neighbour list is rebuilt when an atom has moved by half of it.

    Moments on elements without spin in the model are ignored, with a warning. Moments outside the range of
    training, or near zero, also cause a warning.

    Raises InputError for files that cannot be used, and in calculations for structures with unknown elements.
    """

    implemented_properties = [  # noqa: RUF012
        *("energy", "free_energy", "forces", "stress", "magnetic_forces"),
        *DEVIATIONS,
        *EXPECTED,
    ]

    def __init__(self, models: Source | Sequence[Source], skin: float = 0.5, **options: Any) -> None:
        super().__init__(**options)  # type: ignore[no-untyped-call]
        sources: list[Source] = [models] if isinstance(models, Source) else list(models)
        if not sources:
            raise InputError("SpinCalculator: no model given. Expected at least one file.")
        if not 0.0 <= skin < float("inf"):
            raise InputError(f"SpinCalculator: skin={skin} Å. Expected a finite number >= 0.")
        self.predictors = [_with_skin(source, skin) for source in sources]
        self.moving: list[Moving] = []
        self.volume: float | None = None  # Å³; None without three lattice vectors

    def check_state(self, atoms: Atoms, tol: float = 1e-15) -> list[str]:
        """What has changed since the last calculation; ase's method ignores an array `spin`."""
        known = cast(Atoms | None, self.atoms)
        if known is None or len(known) != len(atoms):
            return list(all_changes)
        changes = [
            name
            for name in ("positions", "numbers", "cell", "pbc")
            if not np.array_equal(getattr(known, name), getattr(atoms, name))
        ]
        if not np.array_equal(live_moments(known), live_moments(atoms)):
            changes.append("initial_magmoms")
        return changes

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Fill `results`. The energy alone is cheaper; all derivatives together cost no more than one."""
        super().calculate(atoms, properties, system_changes)  # type: ignore[no-untyped-call]
        current = cast(Atoms, self.atoms)
        self.move(current, anew=not MOVES.issuperset(system_changes))
        expected = not EXPECTED.keys().isdisjoint(properties)
        energy_alone = ENERGIES.issuperset(properties)
        predictions = [one.predict(expected, energy_alone) for one in self.moving]
        means = _means(predictions)
        self.results = dict.fromkeys(ENERGIES, float(means["energy"]))
        if energy_alone:
            return
        self.results |= {"forces": means["force"], "magnetic_forces": means["force_mag"]}
        if len(predictions) > 1 or not DEVIATIONS.keys().isdisjoint(properties):
            for name, own in DEVIATIONS.items():
                self.results[name] = deviation(np.array([one[own] for one in predictions]))
        if expected:
            self.results |= {name: means[own] for name, own in EXPECTED.items()}
        if self.volume is not None:
            stress = -means["virial"] / self.volume
            self.results["stress"] = full_3x3_to_voigt_6_stress((stress + stress.T) / 2.0)

    def move(self, atoms: Atoms, anew: bool) -> None:
        """Update to the current atoms. anew: more than positions and moments has changed, so rebuild all."""
        spin = live_moments(atoms)
        if self.moving and not anew:
            for one in self.moving:
                one.move(atoms.positions, spin)
            return
        self.moving = []  # if the following fails, no state of other atoms remains
        self.volume = float(atoms.get_volume()) if atoms.cell.rank == 3 else None
        system = system_from_atoms(atoms, "atoms 0", spin)
        self.moving = [Moving(predictor, system, type(self).__name__) for predictor in self.predictors]

    def reach(self, atoms: Atoms) -> float:
        """The interaction range in Å: the largest distance of two atoms that act on each other."""
        longest = largest(atoms.get_initial_magnetic_moments())
        return max(predictor.spec.reach(longest) for predictor in self.predictors)

    def training_crystals(self) -> list[Crystals]:
        """The cells of each model's training crystals; empty if a file does not contain them."""
        facts = [predictor.potential.facts for predictor in self.predictors]
        return [one.crystals if one else {} for one in facts]

    def drawn(self, number: int) -> list[SpinCalculator]:
        """Models drawn at random from the posterior of the linear part, with a fixed seed.

        The spread of their results is the uncertainty of a result. Empty for several models, and for a model
        that does not predict its errors.
        """
        if len(self.predictors) > 1:
            return []
        (predictor,) = self.predictors
        generator = torch.Generator().manual_seed(0)
        drawn = (predictor.potential.drawn(generator) for _ in range(number))
        return [SpinCalculator(Predictor(one)) for one in drawn if one is not None]


def evaluated(atoms: Atoms, *names: str) -> list[np.ndarray]:
    """Several properties of atoms from at most one evaluation; get_property would need one for each."""
    calculator = cast(Calculator, atoms.calc)
    if changes := calculator.check_state(atoms):
        calculator.reset()
    if not calculator.results.keys() >= set(names):
        calculator.calculate(atoms, names, changes)
    return [calculator.results[name] for name in names]


def _means(predictions: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    if len(predictions) == 1:
        return predictions[0]
    return {name: np.mean([one[name] for one in predictions], axis=0) for name in predictions[0]}


def vector_moments(atoms: Atoms, speaker: str) -> np.ndarray:
    """A copy of the initial moments (N, 3), μ_B. Raises InputError if they are no vectors."""
    moments = np.array(atoms.get_initial_magnetic_moments(), dtype=np.float64)
    if moments.shape != (len(atoms), 3):
        raise InputError(
            f"{speaker}: the initial magnetic moments of the atoms are no vectors. Set three numbers (μ_B) "
            "per atom: atoms.set_initial_magnetic_moments(moments)."
        )
    return moments


def live_moments(atoms: Atoms) -> np.ndarray:
    """The moments (N, 3), μ_B, of moving atoms: initial_magmoms, which dynamics and relaxations change.

    If these are not vectors, the moments that moments_of finds.
    """
    initial = atoms.arrays.get("initial_magmoms")
    if initial is not None and initial.shape == (len(atoms), 3):
        return initial
    return moments_of(atoms.copy(), "SpinCalculator").values  # a copy has no calculator to read moments from


def _with_skin(source: Source, skin: float) -> Predictor:
    """A separate predictor for each calculator, because it keeps the neighbour list of one structure."""
    loaded = source if isinstance(source, Predictor) else load(source)
    predictor = Predictor(loaded.potential)
    predictor.watch = loaded.watch
    predictor.geometry = replace(predictor.geometry, skin=skin)
    return predictor
