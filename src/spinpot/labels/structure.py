"""Reads or builds the structure of a recipe: from a file, or with ase.build.bulk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import ase.io
import numpy as np
from ase import Atoms
from ase.build import bulk

from spinpot.core.errors import InputError
from spinpot.labels.configuration import Array

if TYPE_CHECKING:
    from spinpot.labels.recipe import Recipe

LEAST_VOLUME = 1.0  # Å³ per atom


def structure_of(recipe: Recipe, path: str | None) -> Atoms | None:
    """As find_structure; None if all systems of the recipe are trajectories.

    Raises InputError also for a structure that nothing uses.
    """
    if recipe.needs_structure():
        return find_structure(path, recipe.structure)
    if path is not None:
        raise InputError(
            f"structure={path} is not used: all systems of the recipe are trajectories. Remove it."
        )
    return None


def find_structure(path: str | None, built: Mapping[str, Any] | None) -> Atoms:
    """The structure, with its moments as vectors.

    path: a file that ase reads; `FILE@3` is its fourth frame. built: arguments of ase.build.bulk, used
    without a path. Raises InputError if the structure cannot be read or built, or has no periodic cell.
    """
    if path is None and built is None:
        raise InputError(
            "structure is missing, and the recipe has none. Give structure=FILE in any format that ase reads."
        )
    where = f"structure={path}" if path is not None else "recipe.structure"
    try:
        atoms = ase.io.read(path) if path is not None else bulk(**(built or {}))
    except FileNotFoundError as error:
        raise InputError(f"{where}: no such file. Correct the path.") from error
    except Exception as error:  # ase's readers raise many types of errors
        raise InputError(
            f"{where}: could not be {'read' if path else 'built'} ({type(error).__name__}: {error}). "
            f"Expected {'a file that ase reads' if path else 'arguments of ase.build.bulk'}."
        ) from error
    if isinstance(atoms, list):
        raise InputError(f"{where}: several structures. Give one, e.g. {path}@0.")
    check_cell(atoms, where)
    moments = vectors_of(atoms)
    atoms.arrays.pop("initial_magmoms", None)  # it may hold scalars, which vectors cannot replace
    atoms.set_initial_magnetic_moments(moments)
    return atoms


def check_cell(atoms: Atoms, where: str) -> None:
    """Raise InputError unless there are atoms in a cell that is periodic in all directions."""
    if not len(atoms):
        raise InputError(f"{where}: holds no atoms. Expected at least one.")
    if not atoms.pbc.all() or abs(atoms.cell.volume) < LEAST_VOLUME * len(atoms):
        raise InputError(
            f"{where}: has no cell that is periodic in all three directions (cell "
            f"{atoms.cell.array.round(3).tolist()}, periodic {atoms.pbc.tolist()}). Expected a crystal, e.g. "
            "a CIF file."
        )


def vectors_of(atoms: Atoms) -> Array:
    """The moments (N, 3): the array `spin`, else initial moments, else calculated ones.

    Scalar moments are taken along z.
    """
    calculated = getattr(atoms.calc, "results", {}).get("magmoms", atoms.get_initial_magnetic_moments())
    found = atoms.arrays.get("spin", atoms.arrays.get("initial_magmoms", calculated))
    values = np.asarray(found, dtype=np.float64)
    return values if values.ndim == 2 else values[:, None] * np.array([0.0, 0.0, 1.0])
