"""Checks systems by the headers of their files, before any array is read."""

import math
from collections.abc import Sequence

import numpy as np

from spinpot.core.conventions import LABELS
from spinpot.core.errors import InputError
from spinpot.data.readers.deepmd.contents import REAL_TYPES, StoredSet
from spinpot.data.readers.deepmd.npy_header import ArrayHeader
from spinpot.data.readers.deepmd.stored import Stored, shape_of


def check_stored(stored: Stored, type_map: Sequence[str] | None, non_magnetic: bool) -> None:
    """Check presence, frame counts and shapes of all files of a system.

    type_map: the user's, if given; used only for the hint about the old layout. non_magnetic: spins may be
    missing. Raises InputError, naming the file.
    """
    for part in stored.sets:
        if "coord" not in part.arrays:
            raise InputError(
                f"{part.where}: coord is missing ({_file(stored, 'coord')}). Expected the positions of "
                "every frame. Write it, or remove the set."
            )
    if not non_magnetic and not stored.has("spin"):
        raise InputError(_no_spin(stored, type_map))
    _check_cell_files(stored)
    _check_same_arrays(stored)
    for part in stored.sets:
        _check_frame_counts(part)
        for name, header in part.arrays.items():
            _check_numeric(header, fractions=name in ("coord", *LABELS))
            _check_shape(stored, name, header)


def _file(stored: Stored, array: str) -> str:
    return array + {"raw": ".raw", "lmdb": ""}.get(stored.layout, ".npy")


def _no_spin(stored: Stored, type_map: Sequence[str] | None) -> str:
    message = (
        f"{stored.where}: {_file(stored, 'spin')} is missing. Expected the magnetic moments, 3 numbers per "
        "atom in μ_B (zeros on atoms that carry none), beside coord. If the frames are not magnetic, convert "
        "them with spinpot prepare --non-magnetic, which writes moments of zero."
    )
    others = [line.partition(":")[0] for line in stored.notes]
    if others:
        message += f" Here are also: {', '.join(others)}."
    return f"{message} {_old_layout_hint(stored, type_map)}"


def _old_layout_hint(stored: Stored, type_map: Sequence[str] | None) -> str:
    names = stored.names or type_map
    n_types = int(stored.types.max()) + 1
    if names and n_types > len(names):
        seen = f"Its {n_types} types for {len(names)} elements ({' '.join(names)}) suggest"
    else:
        seen = f"If its {n_types} types are more than its elements, that suggests"
    return (
        f"{seen} deepmd-kit's old layout, in which the magnetic atoms are stored a second time as virtual "
        "atoms R + (virtual_len/spin_norm)·S at the end of coord: convert it to spin and force_mag first."
    )


def _check_cell_files(stored: Stored) -> None:
    missing = [s.where for s in stored.sets if "box" not in s.arrays]
    if not missing or not (any(stored.pbc) or stored.has("box")):
        return
    raise InputError(
        f"{missing[0]}: {_file(stored, 'box')} is missing. Expected the cell of every frame, 9 numbers in Å. "
        "For a molecule or cluster that is not periodic, put an empty file `nopbc` beside type.raw, as "
        "deepmd-kit wants it."
    )


def _check_same_arrays(stored: Stored) -> None:
    """Check that all sets of a system hold the same arrays; otherwise dpdata would mismatch the frames."""
    for name in ("spin", *LABELS, REAL_TYPES):
        without = [s.where for s in stored.sets if name not in s.arrays]
        if stored.has(name) and without:
            holder = next(s.where for s in stored.sets if name in s.arrays)
            raise InputError(
                f"{stored.where}: {_file(stored, name)} is in {holder} but not in {without[0]}. Expected it "
                "in every set or in none. Put the frames without it into a system folder of their own."
            )


def _check_frame_counts(part: StoredSet) -> None:
    counts = {name: (header.shape or (0,))[0] for name, header in part.arrays.items()}
    if counts["coord"] == 0:
        raise InputError(f"{part.where}: no frames: coord is empty. Write frames to the set, or remove it.")
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise InputError(
            f"{part.where}: different numbers of frames: {listed}. Expected as many as in coord "
            "everywhere. Write the files again from the same frames."
        )


def _check_numeric(header: ArrayHeader, fractions: bool) -> None:
    """Check the dtype. fractions: the array needs real numbers, so integers must be truncated values."""
    if fractions and header.dtype.kind in "iu":
        raise InputError(
            f"{header.where}: dtype {header.dtype}: whole numbers, so that all decimals are lost. Expected "
            "float64 or float32. Write the array again from the original numbers."
        )
    if header.dtype.kind not in "fiu":
        raise InputError(
            f"{header.where}: dtype {header.dtype}. Expected real numbers (float64 or float32). "
            "Save the array again as such."
        )


def _check_shape(stored: Stored, name: str, header: ArrayHeader) -> None:
    n_atoms, frames, rest = len(stored.types), header.shape[0], header.shape[1:]
    shape = shape_of(name, n_atoms)
    allowed = sorted({shape, (math.prod(shape),)}, key=len)
    if rest not in allowed:
        expected = " or ".join(str((frames, *one)) for one in allowed)
        advice = _spin_shape_guess(stored, rest) if name == "spin" else _shape_guess(stored, name, rest)
        raise InputError(
            f"{header.where}: shape {header.shape}. Expected {expected}: {frames} frames of {n_atoms} atoms "
            f"(type.raw). {advice}"
        )


def _shape_guess(stored: Stored, name: str, rest: tuple[int, ...]) -> str:
    size, matrix = int(np.prod(rest)), "write the full 3×3 matrix, row by row."
    if name in ("box", "virial") and size == 6:
        return f"Six numbers look like a symmetric tensor in Voigt form: {matrix}"
    if name == "box" and size == 3:
        return f"Three numbers look like the edges of an orthogonal cell: {matrix}"
    if name == "energy" and size == len(stored.types):
        return "One number per atom looks like atomic energies: write the total energy of each frame."
    if name == "coord" and size % 3 == 0 and size > 3 * len(stored.types):
        return (
            f"{size // 3} positions per frame: either type.raw is too short, or coord holds virtual atoms of "
            "the old layout, which must be converted first."
        )
    return "Write the file again, or correct type.raw."


def _spin_shape_guess(stored: Stored, rest: tuple[int, ...]) -> str:
    """A guess at what a spin array of a wrong shape holds."""
    n_atoms, size = len(stored.types), int(np.prod(rest))
    guesses = []
    if rest in ((n_atoms,), (n_atoms, 1)):
        guesses.append(
            "One number per atom looks like collinear moments: write vectors (0, 0, m), or along the axis "
            "of your calculation."
        )
    if size < 3 * n_atoms and size % 3 == 0:
        match = [t for t in np.unique(stored.types) if np.count_nonzero(stored.types == t) == size // 3]
        whose = f" (as many as there are atoms of type {match[0]})" if match else ""
        guesses.append(
            f"{size // 3} vectors{whose} look like the magnetic atoms only: write all atoms in the order of "
            "type.raw, with zeros on those that carry no moment."
        )
    if size in (1, 3) and n_atoms > 1:
        guesses.append("It may also be the total moment of each frame: the moment of every atom is needed.")
    return " Or: ".join(guesses) if guesses else "Write one vector per atom, in the order of type.raw."
