"""What a set of frames is, in a few numbers: for tables and pages, and to tell whether it changed."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from spinpot.core.conventions import LABELS
from spinpot.data.systems import System


def describe(systems: Sequence[System]) -> dict[str, Any]:
    """Frames, fingerprint and systems of a set, as plain data; the systems as describe_system has them."""
    return {
        "frames": sum(len(system) for system in systems),
        "fingerprint": fingerprint(systems),
        "systems": [describe_system(system) for system in systems],
    }


def describe_system(system: System) -> dict[str, Any]:
    """Name, formula, frames, atoms, labels and moments: {element: [least, greatest |S|]} in μ_B.

    Moments are of elements with non-zero spins. pbc is there if it is not periodic along all lattice vectors.
    """
    return {
        "name": system.name,
        "formula": formula(system),
        "frames": len(system),
        "atoms": system.n_atoms,
        "labels": list(system.labels),
        "moments": moments(system),
        **({} if all(system.pbc) else {"pbc": list(system.pbc)}),
    }


def fingerprint(systems: Sequence[System]) -> str:
    """The same 16 hexadecimal digits for the same elements, structures and labels in the same order.

    Where the files are, and in which layout, makes no difference.
    """
    digest = hashlib.sha256()
    for system in systems:
        digest.update(" ".join(system.elements).encode())
        if not all(system.pbc):
            digest.update(str(system.pbc).encode())
        arrays = {"box": system.cell} | {name: getattr(system, name) for name in ("coord", "spin", *LABELS)}
        for name, array in arrays.items():
            digest.update(name.encode())
            if array is not None:
                digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:16]


def frame_digests(system: System) -> list[str]:
    """16 hexadecimal digits for each frame, the same for the same elements, cell, positions and spins."""
    common = f"{' '.join(system.elements)} {tuple(system.pbc)}".encode()
    digests = []
    for parts in zip(system.cell, system.coord, system.spin, strict=True):
        digest = hashlib.blake2b(common, digest_size=8)
        for part in parts:
            digest.update(np.ascontiguousarray(part + 0.0).data)  # −0 is 0
        digests.append(digest.hexdigest())
    return digests


def formula(system: System) -> str:
    """The composition, e.g. Ni16O16."""
    counts = Counter(system.types.tolist())
    return "".join(f"{system.type_map[kind]}{count}" for kind, count in sorted(counts.items()))


def moments(system: System) -> dict[str, list[float]]:
    """The range of |S| (μ_B) of each element that has a non-zero spin somewhere."""
    ranges = {}
    for kind, element in enumerate(system.type_map):
        norms = np.linalg.norm(system.spin[:, system.types == kind], axis=-1)
        if norms.any():
            ranges[element] = [float(norms.min()), float(norms.max())]
    return ranges
