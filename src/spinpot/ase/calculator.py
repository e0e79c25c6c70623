"""A potential, or several, as an ASE calculator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from spinpot.core.errors import InputError
from spinpot.core.vectors import largest
from spinpot.data.from_ase import moments_of, system_from_atoms
from spinpot.evaluation.deviation import deviation
from spinpot.evaluation.moving import Moving
from spinpot.evaluation.predictor import Predictor, load

EXPECTED = {
    "energy_sigma": "energy_sigma",
    "forces_sigma": "force_sigma",
    "magnetic_forces_sigma": "force_mag_sigma",
    "leverage": "leverage",
}
"""Results that are expected errors, and their names in spinpot.core.conventions."""

DEVIATIONS = {"forces_deviation": "force", "magnetic_forces_deviation": "force_mag"}
"""Results that are deviations of several models, and of what."""
ENERGIES = {"energy", "free_energy"}
MOVES = {"positions", "initial_magmoms", "initial_charges"}
"""Changes after which atoms are the same ones in the same cell."""

Source = str | Path | Predictor
"""A checkpoint, a model of deepmd-kit, or one that was loaded already."""


class SpinCalculator(Calculator):
    """E(R, S) and its derivatives for ase.Atoms with vectors as initial magnetic moments (μ_B), in float64.

    Results: energy (eV), free_energy (the same), forces (N, 3) eV/Å, magnetic_forces −∂E/∂S (N, 3) eV/μ_B,
    stress (6,) eV/Å³: the symmetric part of −virial/volume, at fixed spins. As of ASE's own calculators,
    there is no stress without three lattice vectors; with them, atoms may be periodic along any.

    Several models are an ensemble: results are their means, and besides there are the deviations of their
    forces and magnetic forces, forces_deviation and magnetic_forces_deviation (N,): √⟨|F − ⟨F⟩|²⟩ of each
    atom.

    A model that expects errors (model=native_spin) gives these when they are asked for, by
    get_property("leverage", atoms) or one of the others: energy_sigma, eV/atom, forces_sigma, eV/Å, and
    magnetic_forces_sigma, eV/μ_B (N,), standard deviations of each component, and leverage (N,), how far an
    atom is from the training frames, about 1 within them.

    models: files, or what spinpot.load gave; one or several.
    skin: Å; the neighbours are looked for again when an atom has moved by half of it.

    Moments on elements without spin in the model are ignored, with a warning; so there is one where moments
    leave the range of training, or are near zero.

    Raises InputError for files that cannot be used, and on calculating for structures that the models do not
    know.
    """

    implemented_properties = [  # noqa: RUF012
        *("energy", "free_energy", "forces", "stress", "magnetic_forces"),
        *DEVIATIONS,
        *EXPECTED,
    ]

    def __init__(
        self,
        models: Source | Sequence[Source],
        skin: float = 0.5,
        **options: Any,
    ) -> None:
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
        """What changed since the last calculation, a column `spin` too, at which ase itself does not look."""
        known = cast(Atoms | None, self.atoms)
        if known is None or len(known) != len(atoms):
            return list(all_changes)
        changes = [name for name in ("positions", "numbers") if _differ(name, known.arrays, atoms.arrays)]
        changes += [
            name for name in ("cell", "pbc") if not np.array_equal(getattr(known, name), getattr(atoms, name))
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
        """Fill `results`: with the energy alone for less; all derivatives cost as much as one."""
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
        """Take the atoms as they are now; anew: where more than positions and moments has changed."""
        spin = live_moments(atoms)
        if self.moving and not anew:
            for one in self.moving:
                one.move(atoms.positions, spin)
            return
        self.moving = []  # so that where this fails nothing is left of other atoms
        self.volume = float(atoms.get_volume()) if atoms.cell.rank == 3 else None
        system = system_from_atoms(atoms, "atoms 0", spin)
        self.moving = [Moving(predictor, system, type(self).__name__) for predictor in self.predictors]

    def reach(self, atoms: Atoms) -> float:
        """Å: how far apart two atoms can act on each other. An atom between them may see both."""
        longest = largest(atoms.get_initial_magnetic_moments())
        return max(predictor.spec.reach(longest) for predictor in self.predictors)

    def tells_apart(self) -> float | None:
        """Å: half of the largest of the training cells' shortest lattice vectors; None if a file lacks it.

        Atoms farther apart coincide with images of nearer ones in every frame that the model was trained on.
        """
        facts = [predictor.potential.facts for predictor in self.predictors]
        known = [0.5 * one.largest_shortest_vector for one in facts if one is not None]
        return min(known) if len(known) == len(facts) else None


def evaluated(atoms: Atoms, *names: str) -> list[np.ndarray]:
    """Several properties of atoms, by one evaluation at most, where get_property takes one for each."""
    calculator = cast(Calculator, atoms.calc)
    changes = calculator.check_state(atoms)
    if changes:
        calculator.reset()
    if not calculator.results.keys() >= set(names):
        calculator.calculate(atoms, names, changes)
    return [calculator.results[name] for name in names]


def _means(predictions: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    if len(predictions) == 1:
        return predictions[0]
    return {name: np.mean([one[name] for one in predictions], axis=0) for name in predictions[0]}


def _differ(name: str, one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return not np.array_equal(one[name], other[name])


def live_moments(atoms: Atoms) -> np.ndarray:
    """The moments (N, 3), μ_B, of atoms that move: initial_magmoms, which are what dynamics and relaxations
    change; without vectors there, those of moments_of.
    """
    initial = atoms.arrays.get("initial_magmoms")
    if initial is not None and initial.shape == (len(atoms), 3):
        return initial
    return moments_of(atoms.copy(), "SpinCalculator").values  # a copy has no calculator to ask


def _with_skin(source: Source, skin: float) -> Predictor:
    """A predictor of its own for each calculator: it keeps the neighbours of one structure."""
    loaded = source if isinstance(source, Predictor) else load(source)
    predictor = Predictor(loaded.potential)
    predictor.watch = loaded.watch
    predictor.geometry = replace(predictor.geometry, skin=skin)
    return predictor
