"""Symmetry residuals: how much a potential violates symmetries that its data may have."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from spinpot.core.console import print_line, print_table
from spinpot.core.quantities import ENERGY, FORCE, FORCE_MAG, MAIN
from spinpot.data.batch import collate
from spinpot.data.dataset import make_frames
from spinpot.data.geometry import Geometry
from spinpot.data.systems import System, in_memory, select
from spinpot.models.potential import Potential
from spinpot.models.spec import Spec
from spinpot.report.tables import Errors

MOST_FRAMES = 8
"""Number of frames evaluated, evenly spaced over all frames."""
UNIT = np.eye(3)


@dataclass(frozen=True)
class Symmetry:
    """A transformation of a frame that may leave the energy unchanged.

    matrices: maps a rotation to two matrices, one for positions and cell (and forces), one for spins (and
    magnetic forces). meaning: how to read the residual.
    """

    label: str
    matrices: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
    meaning: str


BUILT_IN = "built into the model, so only rounding errors remain"
SYMMETRIES = {
    "joint_rotation": Symmetry("rotation of everything", lambda Q: (Q, Q), BUILT_IN),
    "time_reversal": Symmetry(
        "time reversal, S → −S",
        lambda _: (UNIT, -UNIT),
        "exact without an external magnetic field, so the residual is an error of the model; "
        "model.spin.time_reversal=augment reduces it, =exact makes it zero",
    ),
    "spin_rotation": Symmetry(
        "rotation of the spins alone",
        lambda Q: (UNIT, Q),
        "exact for data without spin–orbit coupling, where the residual is an error of the model, which "
        "model.spin.spin_rotation=augment reduces; with spin–orbit coupling it includes the anisotropy",
    ),
}
"""Symmetries by their names in evaluation.json."""


def symmetry_residuals(
    potential: Potential, geometry: Geometry, systems: Sequence[System]
) -> dict[str, dict[str, float]]:
    """The rms changes of energy (e, eV/atom), force (fr, eV/Å) and magnetic force (fm, eV/μ_B) by symmetry.

    Forces are rotated back and compared per component; magnetic forces count only magnetic elements. At most
    MOST_FRAMES frames are used, each with its own rotation, which is the same in every call.
    """
    frames = _some(systems)
    use_spin = torch.tensor(potential.spec.use_spin)
    rotations = Rotation.random(len(frames), random_state=0).as_matrix()
    before = [_predict(potential, geometry, frame) for frame in frames]
    found = {}
    for name, symmetry in SYMMETRIES.items():
        changes: dict[str, list[Tensor]] = {quantity.name: [] for quantity in MAIN}
        for frame, known, rotation in zip(frames, before, rotations, strict=True):
            lattice, spins = symmetry.matrices(rotation)
            after = _predict(potential, geometry, _changed(frame, lattice, spins))
            force = after["force"] @ torch.from_numpy(lattice) - known["force"]
            force_mag = after["force_mag"] @ torch.from_numpy(spins) - known["force_mag"]
            changes[ENERGY.name].append((after["energy"] - known["energy"]) / frame.n_atoms)
            changes[FORCE.name].append(force.flatten())
            changes[FORCE_MAG.name].append(force_mag[use_spin[torch.from_numpy(frame.types)]].flatten())
        found[name] = {
            key: float(torch.cat(values).square().mean().sqrt()) for key, values in changes.items()
        }
    return found


def _some(systems: Sequence[System]) -> list[System]:
    """At most MOST_FRAMES systems of one frame each."""
    ends = np.cumsum([len(system) for system in systems])
    chosen = np.unique(np.linspace(0, ends[-1] - 1, MOST_FRAMES).round().astype(int))
    own = np.searchsorted(ends, chosen, side="right")
    places = zip(own, chosen - ends[own], strict=True)
    return [in_memory(select(systems[k], np.array([len(systems[k]) + before]))) for k, before in places]


def _changed(frame: System, lattice: np.ndarray, spins: np.ndarray) -> System:
    box, coord = frame.box @ lattice.T, frame.coord @ lattice.T
    return replace(frame, box=box, coord=coord, spin=frame.spin @ spins.T)


def _predict(potential: Potential, geometry: Geometry, frame: System) -> dict[str, Tensor]:
    """The prediction for a frame, in float64 on the CPU."""
    batch = collate(list(make_frames([frame])), geometry)
    prediction = potential(batch.to(potential.energy_bias.device))
    return {name: values.double().cpu() for name, values in prediction.items()}


def symmetries_of(spec: Spec) -> dict[str, Symmetry]:
    """SYMMETRIES with the meaning of their residuals for a model."""
    return {
        name: replace(symmetry, meaning=BUILT_IN) if name in spec.symmetries else symmetry
        for name, symmetry in SYMMETRIES.items()
    }


def print_symmetry(residuals: Mapping[str, Errors], spec: Spec) -> None:
    """Print symmetry residuals and their meaning; a residual is None if no atom has a moment."""
    columns = ("symmetry", *(f"{quantity.words} ({quantity.meV})" for quantity in MAIN))
    rows = []
    for name, changes in residuals.items():
        values = (changes[quantity.name] for quantity in MAIN)
        rows.append((SYMMETRIES[name].label, *("–" if v is None else f"{1000 * v:.2g}" for v in values)))
    print_table("Symmetry residuals, rms change", columns, rows, ("symmetry",))
    for symmetry in symmetries_of(spec).values():
        print_line(f"{symmetry.label}: {symmetry.meaning}.")
