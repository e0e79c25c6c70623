"""Writes structures for LAMMPS' atom style `spin`, and converts its magnetic forces to eV/μ_B."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.lammps import Prism
from ase.data import atomic_masses, atomic_numbers

from spinpot.core.errors import InputError
from spinpot.core.files import write_atomically
from spinpot.core.vectors import unit
from spinpot.data.cell import completed
from spinpot.data.from_ase import system_from_atoms

HBAR = 6.5821191e-4  # eV·ps, as in LAMMPS' deepspin


def turned(atoms: Atoms) -> Atoms:
    """The atoms with cell, positions and moments rotated as LAMMPS requires: the cell is lower triangular.

    Energies do not change; forces and magnetic forces rotate with the crystal. Non-periodic lattice vectors
    become unit vectors along LAMMPS' axes.
    """
    cell = completed(atoms.cell.array, atoms.pbc)
    vectors = {"positions": atoms.positions, "cell": cell, "magmoms": atoms.get_initial_magnetic_moments()}
    to_lammps = Prism(cell).vector_to_lammps
    own = {name: to_lammps(values, wrap=False) for name, values in vectors.items()}
    return Atoms(atoms.symbols, pbc=atoms.pbc, **own)


def write_data(path: Path, atoms: Atoms, elements: Sequence[str]) -> Atoms:
    """Write a LAMMPS data file and return its atoms: rotated and wrapped into the cell.

    The first line names the `boundary` that LAMMPS needs.

    elements: of the types 1, 2, …, as in `pair_coeff`. Raises InputError if an atom's element is missing, or
    if there are no moments.
    """
    unknown = sorted(set(atoms.get_chemical_symbols()) - set(elements))
    if unknown:
        raise InputError(
            f"{path}: no type for {' '.join(unknown)}; the types are {' '.join(elements)}. Add it."
        )
    moments = system_from_atoms(atoms, str(path)).spin[0]  # raises InputError without moments
    atoms = atoms.copy()
    atoms.set_initial_magnetic_moments(moments)
    made = turned(atoms)
    made.wrap(eps=0.0)
    (_, _, _), (xy, _, _), (xz, yz, _) = made.cell.array
    boundary = " ".join("p" if periodic else "s" for periodic in made.pbc)
    lines = [
        f"{made.get_chemical_formula()}, for atom_style spin: id type x y z, direction and length of S "
        f"(μ_B); boundary {boundary}",
        "",
        f"{len(made)} atoms",
        f"{len(elements)} atom types",
        "",
        *(f"{low:.16g} {high:.16g} {axis}lo {axis}hi" for axis, low, high in _bounds(made)),
        f"{xy:.16g} {xz:.16g} {yz:.16g} xy xz yz",
        "",
        "Masses",
        "",
        *(
            f"{n} {atomic_masses[atomic_numbers[name]]:.10g}  # {name}"
            for n, name in enumerate(elements, start=1)
        ),
        "",
        "Atoms # spin",
        "",
        *_atom_lines(made, elements),
    ]
    write_atomically(path, "\n".join(lines) + "\n")
    return made


def _bounds(atoms: Atoms) -> Iterator[tuple[str, float, float]]:
    """Bounds along each axis: of the cell, or, if not periodic, of the atoms with 1 Å on either side."""
    for k, axis in enumerate("xyz"):
        low, high = 0.0, float(atoms.cell.array[k, k])
        if not atoms.pbc[k]:
            low, high = (float(atoms.positions[:, k].min()) - 1.0, float(atoms.positions[:, k].max()) + 1.0)
        yield axis, low, high


def _atom_lines(atoms: Atoms, elements: Sequence[str]) -> list[str]:
    moments = atoms.get_initial_magnetic_moments()
    lengths = np.linalg.norm(moments, axis=1)
    directions = unit(np.where(lengths[:, None] > 0.0, moments, [0.0, 0.0, 1.0]))
    kinds = [elements.index(symbol) + 1 for symbol in atoms.get_chemical_symbols()]
    rows = np.column_stack((atoms.positions, directions, lengths))
    return [
        " ".join([str(n), str(kind), *(f"{x:.16g}" for x in row)])
        for n, (kind, row) in enumerate(zip(kinds, rows, strict=True), start=1)
    ]


def force_mag_from_fm(fm: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Convert LAMMPS' fm = −∂E/∂S·|S|/ħ (rad/ps, (…, N, 3)) to −∂E/∂S, eV/μ_B; zero for zero moments.

    lengths: |S|, (…, N).
    """
    lengths = lengths[..., None]
    return np.where(lengths > 0.0, fm * HBAR / np.where(lengths > 0.0, lengths, 1.0), 0.0)
