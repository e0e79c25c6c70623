"""Summary of a set of frames, for tables and pages, and a fingerprint that shows whether it changed."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from spinpot.core.conventions import LABELS
from spinpot.data.readers.deepmd.rows import chunks
from spinpot.data.systems import System


def describe(systems: Sequence[System], sampled: Sequence[System] | None = None) -> dict[str, Any]:
    """Frames, fingerprint and systems of a set, as plain data; each system as describe_system returns it.

    sampled: the systems with only the frames to read, for a set too large to read in full.
    """
    sampled = systems if sampled is None else sampled
    frames, looked_at = (sum(map(len, own)) for own in (systems, sampled))
    seen = {system.name: moments(system) for system in sampled}
    return {
        "frames": frames,
        **({"sample": looked_at} if looked_at < frames else {}),
        "fingerprint": fingerprint(systems, sampled),
        "systems": [describe_system(system, seen.get(system.name, {})) for system in systems],
    }


def describe_system(system: System, seen: dict[str, list[float]] | None = None) -> dict[str, Any]:
    """Name, formula, frames, atoms, labels and moments: {element: [least, greatest |S|]} in μ_B.

    Only elements with non-zero spins have moments. seen: moments of a sample of the frames, used instead of
    reading all. `pbc` is included only if the system is not periodic along all lattice vectors.
    """
    return {
        "name": system.name,
        "formula": formula(system),
        "frames": len(system),
        "atoms": system.n_atoms,
        "labels": list(system.labels),
        "moments": moments(system) if seen is None else seen,
        **({} if all(system.pbc) else {"pbc": list(system.pbc)}),
    }


def fingerprint(systems: Sequence[System], sampled: Sequence[System] | None = None) -> str:
    """16 hexadecimal digits: a hash of elements, structures and labels in their order.

    The place and layout of the files do not matter. sampled: as for describe; of the other frames only the
    number, the composition and the names of the labels enter.
    """
    digest = hashlib.sha256()
    if sampled is not None and sum(map(len, sampled)) < sum(map(len, systems)):
        for system in systems:
            digest.update(f"{formula(system)} {len(system)} {system.labels}".encode())
        systems = sampled
    for system in systems:
        digest.update(" ".join(system.elements).encode())
        if not all(system.pbc):
            digest.update(str(system.pbc).encode())
        arrays = {"box": system.cell} | {name: getattr(system, name) for name in ("coord", "spin", *LABELS)}
        for name, array in arrays.items():
            digest.update(name.encode())
            for (rows,) in chunks(array) if array is not None else ():
                digest.update(np.ascontiguousarray(rows).data)
    return digest.hexdigest()[:16]


def frame_digests(system: System) -> Iterator[str]:
    """16 hexadecimal digits for each frame: a hash of its elements, cell, positions and spins."""
    common = f"{' '.join(system.elements)} {tuple(system.pbc)}".encode()
    arrays = (system.cell, system.coord, system.spin)
    for frame in (frame for rows in chunks(*arrays) for frame in zip(*rows, strict=True)):
        digest = hashlib.blake2b(common, digest_size=8)
        for part in frame:
            digest.update(np.ascontiguousarray(part + 0.0).data)  # turns −0 into 0
        yield digest.hexdigest()


def formula(system: System) -> str:
    """The composition, e.g. Ni16O16."""
    counts = Counter(system.types.tolist())
    return "".join(f"{system.type_map[kind]}{count}" for kind, count in sorted(counts.items()))


def moments(system: System) -> dict[str, list[float]]:
    """The range of |S| (μ_B) of each element that has a non-zero spin somewhere."""
    return {element: ends for element, ends in lengths_of(system).items() if ends[1]}


def lengths_of(system: System) -> dict[str, list[float]]:
    """The range of |S| (μ_B) of each element."""
    kinds = np.unique(system.types)
    lengths = (np.linalg.norm(spin, axis=-1) for (spin,) in chunks(system.spin))
    own = ([norms[:, system.types == kind] for kind in kinds] for norms in lengths)
    ends = np.array([[(norms.min(), norms.max()) for norms in of_kinds] for of_kinds in own])
    least, greatest = ends[..., 0].min(axis=0).tolist(), ends[..., 1].max(axis=0).tolist()
    ranges = zip(kinds, least, greatest, strict=True)
    return {system.type_map[kind]: [low, high] for kind, low, high in ranges}
