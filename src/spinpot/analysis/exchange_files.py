"""Writes exchange constants for other programs: Vampire's unit cell and materials, TB2J's results."""

import itertools
import pickle
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from ase import Atoms, units
from ase.build import make_supercell

from spinpot.analysis.exchange_tensors import Exchange
from spinpot.core.vectors import unit

MOST = 4  # largest multiple of the lattice vectors in the search for an orthogonal cell
TITLE = "Exchange constants of a spin potential, written by spinpot."
NO_ORTHOGONAL_CELL = (
    "No files for Vampire were written: Vampire needs a rectangular unit cell, and no small supercell of "
    "this magnetic cell is rectangular."
)


# ---- TB2J ----

NOT_KNOWN = " Isotropic: DMI and J_ani are unknown and set to zero."
"""Readers of vector moments, such as pyspinw, need both for every pair."""


def _tb2j_parts(exchange: Exchange) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """J_iso (P,), DMI (P, 3) and J_ani (P, 3, 3) in TB2J's convention, eV."""
    factor = 0.5 if exchange.full else 0.0
    return 0.5 * exchange.isotropic, factor * exchange.antisymmetric, factor * exchange.anisotropic


def tb2j_text(exchange: Exchange, warning: str = "") -> str:
    """The text of TB2J's exchange.out, in meV. E = −Σ_{i≠j}, so TB2J's constants are half of spinpot's.

    warning: added to the first line.
    """
    names = _numbered(exchange.cell)
    cell = "\n".join("  ".join(f"{x:12.8f}" for x in vector) for vector in exchange.cell.cell.array)
    moments = exchange.cell.get_initial_magnetic_moments()
    rows = zip(names, exchange.cell.positions, moments, strict=True)
    head = ("Atom_number", "x", "y", "z", "w_charge", "M(x)", "M(y)", "M(z)")
    sites = [
        f"{name:<12s}" + "".join(f" {x:13.8f}" for x in (*place, 0.0, *moment))
        for name, place, moment in rows
    ]
    total = f"{'Total':<12s}" + " " * 42 + "".join(f" {x:13.8f}" for x in (0.0, *moments.sum(axis=0)))
    double = "=" * 90
    known = "" if exchange.full else NOT_KNOWN
    lines = [f"{TITLE} E = -Σ_{{i≠j}} e_i J_ij e_j.{known} {warning}".rstrip(), double]
    lines += ["Cell (Angstrom):", cell, "", double, "Atoms:", "(charges are not known)"]
    lines += [" ".join(head), *sites, total, "", double, "Exchange:"]
    lines += ["    i      j          R        J_iso(meV)          vector          distance(A)"]
    return "\n".join([*lines, *_tb2j_pairs(exchange, names)]) + "\n"


def _tb2j_pairs(exchange: Exchange, names: list[str]) -> Iterator[str]:
    isotropic, dmi, anisotropic = (1000.0 * part for part in _tb2j_parts(exchange))
    for p, (i, j) in enumerate(zip(exchange.i, exchange.j, strict=True)):
        R = ", ".join(f"{n:3d}" for n in exchange.shift[p])
        vector = ", ".join(f"{x:8.4f}" for x in exchange.vector[p])
        yield "-" * 88
        sites = f"{names[i]:5s} {names[j]:5s}"
        yield f"   {sites} ({R}) {isotropic[p]:11.6f} ({vector}) {exchange.distance[p]:8.4f}"
        yield f"J_iso: {isotropic[p]:11.6f}"
        yield "DMI: (" + " ".join(f"{x:11.6f}" for x in dmi[p]) + ")"
        yield "J_ani:"
        rows = [" ".join(f"{x:11.6f}" for x in row) for row in anisotropic[p]]
        yield "[[" + "]\n [".join(rows) + "]]"


def tb2j_pickle(exchange: Exchange, warning: str = "") -> bytes:
    """TB2J.pickle, which TB2J's programs read: the contents of its SpinIO, plain data and ase.Atoms."""
    cell = exchange.cell.copy()
    moments = cell.get_initial_magnetic_moments()
    cell.set_initial_magnetic_moments(None)
    spins = np.cumsum(moments.any(axis=1)) - 1  # numbers of the magnetic atoms among themselves
    index = [int(spins[k]) if moments[k].any() else -1 for k in range(len(cell))]
    keys = [
        (tuple(int(n) for n in shift), index[i], index[j])
        for shift, i, j in zip(exchange.shift, exchange.i, exchange.j, strict=True)
    ]
    isotropic, dmi, anisotropic = _tb2j_parts(exchange)
    distances = zip(exchange.vector, exchange.distance, strict=True)
    contents = {
        "atoms": cell,
        "spinat": moments,
        "magmoms": np.linalg.norm(moments, axis=1),
        "charges": np.zeros(len(cell)),
        "index_spin": index,
        "colinear": False,
        "distance_dict": {key: (v, float(d)) for key, (v, d) in zip(keys, distances, strict=True)},
        "exchange_Jdict": dict(zip(keys, isotropic.tolist(), strict=True)),
        "dmi_ddict": dict(zip(keys, dmi, strict=True)),
        "Jani_dict": dict(zip(keys, anisotropic, strict=True)),
        "description": f"{TITLE}{'' if exchange.full else NOT_KNOWN} {warning}".rstrip() + "\n",
    }
    return pickle.dumps(contents)


def _numbered(cell: Atoms) -> list[str]:
    """TB2J's names of the atoms: `Ni1`, `Ni2`, `O1` …"""
    symbols = cell.get_chemical_symbols()
    return [f"{symbol}{symbols[: k + 1].count(symbol)}" for k, symbol in enumerate(symbols)]


# ---- Vampire ----


def vampire_files(exchange: Exchange, warning: str = "") -> tuple[dict[str, str], str]:
    """vampire.ucf and vampire.mat (to be completed) for the magnetic atoms in a rectangular box.

    E = −½ Σ_{i≠j} e_i·J_ij·e_j as in spinpot, in joules. warning: written as a comment. If there is no such
    box, returns no files and a remark.
    """
    matrix = orthogonal_matrix(exchange.cell.cell.array)
    if matrix is None:
        return {}, NO_ORTHOGONAL_CELL
    magnetic = np.flatnonzero(exchange.directions.any(axis=1))
    names = np.array(_numbered(exchange.cell))[magnetic].tolist()
    i, j = (np.searchsorted(magnetic, atoms) for atoms in (exchange.i, exchange.j))
    exchange = replace(exchange, cell=exchange.cell[magnetic], own=exchange.own[magnetic], i=i, j=j)
    box = make_supercell(exchange.cell, matrix, wrap=False)
    turn = unit(box.cell.array)  # rotates the box onto the axes
    comment = f"# {warning}\n" if warning else ""
    return {
        "vampire.ucf": comment + _unit_cell_file(exchange, box, turn),
        "vampire.mat": comment + _material_file(exchange.cell, names, turn),
    }, ""


def orthogonal_matrix(cell: np.ndarray) -> np.ndarray | None:
    """The matrix (3, 3) of the smallest supercell with right angles; None if there is no small one."""
    numbers = np.array(list(itertools.product(range(-MOST, MOST + 1), repeat=3)))
    numbers = numbers[np.any(numbers, axis=1)]
    lengths = np.linalg.norm(numbers @ cell, axis=1)
    primitive = np.gcd.reduce(numbers, axis=1) == 1
    numbers = numbers[primitive][np.argsort(lengths[primitive], kind="stable")]
    directions = unit(numbers @ cell)
    square = np.abs(directions @ directions.T) < 1e-3
    best, volume = None, np.inf
    for a, b in np.argwhere(np.triu(square)):
        thirds = np.flatnonzero(square[a] & square[b])
        if len(thirds):
            matrix = numbers[[a, b, thirds[0]]]
            size = np.linalg.det(matrix)
            if abs(size) < volume - 0.5:
                best, volume = matrix if size > 0 else matrix[[1, 0, 2]], abs(size)
    return best


def _unit_cell_file(exchange: Exchange, box: Atoms, turn: np.ndarray) -> str:
    n = len(exchange.cell)
    edges = " ".join(f"{edge:.8f}" for edge in box.cell.lengths())
    scaled = box.get_scaled_positions(wrap=True)
    lines = ["# Unit cell size (Angstrom)", edges, "# Unit cell vectors", "1 0 0", "0 1 0", "0 0 1"]
    lines += ["# Atoms", f"{len(box)} {n}"]
    lines += [f"{k} {x:.8f} {y:.8f} {z:.8f} {k % n}" for k, (x, y, z) in enumerate(scaled)]
    links = list(_links(exchange, box))
    lines += ["# Interactions", f"{len(links)} {'tensorial' if exchange.full else 'isotropic'}"]
    turned = (turn @ exchange.tensor @ turn.T).reshape(-1, 9)
    joules = (turned if exchange.full else exchange.isotropic[:, None]) / units.J
    for count, (source, target, moved, pair) in enumerate(links):
        text = " ".join(f"{value:.6e}" for value in joules[pair])
        lines.append(f"{count} {source} {target} {' '.join(map(str, moved))} {text}")
    return "\n".join(lines) + "\n"


def _links(exchange: Exchange, box: Atoms) -> Iterator[tuple[int, int, np.ndarray, int]]:
    """(atom, neighbour, box of the neighbour, pair of the magnetic cell of which this is an image)."""
    n = len(exchange.cell)
    inverse = np.linalg.inv(box.cell.array)
    scaled = box.positions @ inverse
    wrapped = np.floor(box.get_scaled_positions(wrap=True) - scaled + 0.5)  # boxes by which wrapping moves
    for source in range(len(box)):
        for pair in np.flatnonzero(exchange.i == source % n):
            images = np.arange(exchange.j[pair], len(box), n)
            there = scaled[source] + exchange.vector[pair] @ inverse
            apart = there - scaled[images]
            best = np.abs(apart - np.rint(apart)).max(axis=1).argmin()
            moved = np.rint(apart[best]) + wrapped[source] - wrapped[images[best]]
            yield source, int(images[best]), moved.astype(int), int(pair)


def _material_file(cell: Atoms, names: list[str], turn: np.ndarray) -> str:
    lines = ["# Complete this file: damping, and anisotropy, which the exchange constants do not contain."]
    lines.append(f"material:num-materials={len(cell)}")
    moments = cell.get_initial_magnetic_moments()
    for number, (name, element, moment) in enumerate(zip(names, cell.symbols, moments, strict=True), start=1):
        material, length = f"material[{number}]", np.linalg.norm(moment)
        direction = ",".join(f"{x:.6f}" for x in turn @ moment / length)
        lines += [
            f"{material}:material-name={name}",
            f"{material}:material-element={element}",
            f"{material}:atomic-spin-moment={length:.6f} !muB",
            f"{material}:initial-spin-direction={direction}",
            f"{material}:damping-constant=1.0",
            f"{material}:unit-cell-category={number}",
        ]
    return "\n".join(lines) + "\n"
