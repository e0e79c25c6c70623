"""The names that programs give to labels and moments, and the options that name others."""

import re

import numpy as np

OPTIONS = {
    "energy": "energy",
    "force": "forces",
    "force_mag": "magnetic_forces",
    "virial": "virial",
    "spin": "moments",
}
"""For each array: the option that names its column or key."""

ALIASES = {
    "coord": ("coord", "coords"),
    "box": ("box", "cells"),
    "spin": ("spin", "spins"),
    "energy": ("energy", "energies"),
    "force": ("force", "forces"),
    "force_mag": (
        *("force_mag", "force_mags", "mforce", "mforces"),
        *("magnetic_force", "magnetic_forces", "magforce", "magforces"),
    ),
    "virial": ("virial", "virials"),
}
"""For each array: deepmd-kit's name (`coord.npy`, `coord.raw`, …), dpdata's, then those of other programs."""
OF_DPDATA = {aliases[1]: name for name, aliases in ALIASES.items()}

NAMES = {
    **{name: ALIASES[name] for name in ("force", "force_mag", "virial")},
    "energy": (*ALIASES["energy"], "free_energy", "total_energy"),
    "stress": ("stress",),
    "spin": (
        *(*ALIASES["spin"], "magmom", "magnetic_moment", "magnetic_moments"),
        *("constrained_moments", "onsite_moments", "mulliken_moments"),
    ),
}
"""Known names of each column and key, in lower case and without a prefix `REF_` or `DFT_`."""

FINAL_MOMENTS = "magmoms"  # ase's name of the moments at the end of a calculation
INITIAL_MOMENTS = "initial_magmoms"  # ase's name of the moments at its start
NO_LABELS = ("momenta", "velocities", "vx vy vz", "dipole")  # vectors that are never labels

_PREFIX = re.compile(r"^(ref|dft)[_-]", re.IGNORECASE)


def known(name: str, array: str) -> bool:
    """Whether a column or key of this name holds the array."""
    return _PREFIX.sub("", name).lower() in NAMES[array]


def rank(name: str, array: str) -> tuple[bool, int]:
    """Sort key of the known names of an array: names without a prefix come first."""
    bare = _PREFIX.sub("", name)
    return bare != name, NAMES[array].index(bare.lower())


def arrays_like(name: str, values: np.ndarray, per_atom: bool) -> tuple[str, ...]:
    """The arrays that values of this name and shape could be."""
    if name in (FINAL_MOMENTS, INITIAL_MOMENTS):
        return ("spin",) if values.ndim == 2 else ()
    if name in NO_LABELS:
        return ()
    size = values[0].size if per_atom and len(values) else values.size
    return {
        (True, 3): ("force", "force_mag", "spin"),
        (False, 1): ("energy",),
        (False, 9): ("virial",),
    }.get((per_atom, size), ())
