"""Chooses the magnetic moments of a frame, by the same rules for files, ase.Atoms and the calculator."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from spinpot.core.errors import InputError
from spinpot.data.readers.names import FINAL_MOMENTS, INITIAL_MOMENTS, known
from spinpot.data.readers.reader import Wanted

UNIT = 1e-3  # moments may be directions if all their lengths are this close to 1
AGREE = 1e-4  # μ_B: two columns of moments disagree if they differ by more
LENGTHS = ("mag", "mom", "spin", "length")  # a column with such a part in its name may hold moments' lengths

SAID = {
    (FINAL_MOMENTS,): f"{FINAL_MOMENTS}, the final moments of the calculation",
    (INITIAL_MOMENTS,): f"{INITIAL_MOMENTS}, the initial moments",
    (): "no column: set to zero, for non-magnetic frames",
}


@dataclass(frozen=True)
class Moments:
    """A frame's moments. values: (N, 3), μ_B; names: their columns; others: unused columns of moments."""

    values: np.ndarray
    names: tuple[str, ...]
    others: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        """The columns, with their meaning, for messages."""
        return SAID.get(self.names, ", ".join(self.names))


def find_moments(columns: Mapping[str, np.ndarray], n_atoms: int, where: str, wanted: Wanted) -> Moments:
    """The moments of a frame: a column `spin`, else the final, else the initial moments of a calculation.

    Raises InputError if there are no vectors, if two columns disagree (initial and final moments may), and
    for unit vectors beside a column of lengths.
    """
    vectors = {name: values for name, values in columns.items() if np.shape(values) == (n_atoms, 3)}
    candidates = [name for name in vectors if known(name, "spin")]
    candidates += [name for name in (FINAL_MOMENTS, INITIAL_MOMENTS) if name in vectors]
    if given := wanted.columns.get("spin"):
        if given not in vectors:
            raise InputError(
                f"{wanted.option('moments', given)}: {where} has no such vectors. It has: "
                f"{', '.join(vectors) or 'none'}."
            )
        candidates = [given]
    if not candidates:
        return _without(columns, n_atoms, where, wanted)
    _check_agreement(candidates, vectors, where, wanted)
    if candidates[0] == FINAL_MOMENTS:
        candidates = [FINAL_MOMENTS]
    found = _in_bohr_magnetons(tuple(candidates), columns, where, wanted)
    others = (name for name in vectors if _are_moments(name) and name not in found.names)
    return replace(found, others=tuple(others))


def _are_moments(name: str) -> bool:
    return known(name, "spin") or name in (FINAL_MOMENTS, INITIAL_MOMENTS)


def _check_agreement(
    candidates: list[str], vectors: Mapping[str, np.ndarray], where: str, wanted: Wanted
) -> None:
    first, *others = candidates
    for other in others:
        if (first, other) == (FINAL_MOMENTS, INITIAL_MOMENTS):
            continue  # a calculation may change the moments
        apart = float(np.abs(vectors[first] - vectors[other]).max(initial=0.0))
        if not apart <= AGREE:
            raise InputError(
                f"{where}: the moments of {first} and {other} differ by up to {apart:.3g} μ_B. Name the ones "
                f"to use: {wanted.option('moments', first)} or {wanted.option('moments', other)}."
            )


def _without(columns: Mapping[str, np.ndarray], n_atoms: int, where: str, wanted: Wanted) -> Moments:
    if wanted.non_magnetic:
        return Moments(np.zeros((n_atoms, 3)), ())
    found = "no magnetic moments"
    if name := next(filter(_are_moments, columns), None):
        found = f"{name} has the shape {columns[name].shape}"
        if columns[name].shape == (n_atoms,):
            found = f"{name} has one number per atom (collinear moments)"
    vectors = ", ".join(name for name, values in columns.items() if np.shape(values) == (n_atoms, 3))
    there = f"Its vectors are {vectors}. " if vectors else ""
    remedy = (
        "Set them: atoms.set_initial_magnetic_moments(moments)"
        if wanted.keywords
        else f"Add it, or name another column: {wanted.option('moments', 'NAME')}. {wanted.hint}"
    )
    raise InputError(
        f"{where}: {found}. Expected a vector (μ_B) per atom, zero on atoms that carry none: a column "
        f"spin:R:3, or magmoms or initial_magmoms of shape (N, 3). {there}{remedy}."
    )


def _in_bohr_magnetons(
    names: tuple[str, ...], columns: Mapping[str, np.ndarray], where: str, wanted: Wanted
) -> Moments:
    """The vectors of a column; times the lengths of another if the user declares them directions."""
    name = names[0]
    values = np.asarray(columns[name], dtype=np.float64)
    lengths = [
        other
        for other, numbers in columns.items()
        if np.shape(numbers) == (len(values),) and any(part in other.lower() for part in LENGTHS)
    ]
    if wanted.moment_unit == "mu_B" or not lengths or not all_unit([values]):
        return Moments(values, names)
    if wanted.moment_unit is None or len(lengths) > 1:
        raise InputError(
            f"{where}: all moments of {name} have the length 1, beside {', '.join(lengths)}. If {name} are "
            "directions, "
            + ("keep one of these columns and " if len(lengths) > 1 else "")
            + f"give {wanted.option('moment_unit', 'direction')} (moments = {lengths[0]} · {name}); if they "
            f"are moments in μ_B, give {wanted.option('moment_unit', 'mu_B')}."
        )
    scale = np.asarray(columns[lengths[0]], dtype=np.float64)
    return Moments(scale[:, None] * values, (name, lengths[0]))


def check_lengths(frames: Iterable[np.ndarray], where: str, wanted: Wanted) -> None:
    """Raise InputError if all moments have the length 1 and the user gives no unit. frames: (…, 3) each."""
    if wanted.moment_unit is None and all_unit(frames):
        raise InputError(
            f"{where}: all moments have the length 1, and no column holds lengths. If they are moments in "
            f"μ_B, give {wanted.option('moment_unit', 'mu_B')}; if they are directions of unknown lengths, "
            f"{wanted.option('moment_unit', 'direction')}. Both keep the length 1."
        )


def all_unit(frames: Iterable[np.ndarray]) -> bool:
    """Whether all non-zero moments (…, 3) have the length 1, as directions do."""
    found = False
    for moments in frames:
        lengths = np.linalg.norm(moments, axis=-1)
        lengths = lengths[lengths > 0.0]
        if not (np.abs(lengths - 1.0) <= UNIT).all():
            return False
        found |= bool(lengths.size)
    return found
