"""Task rotation: energy and torque against the rotation angle of some moments, with all else fixed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from ase import Atoms

from spinpot.analysis.angle_reference import Reference, read_reference
from spinpot.analysis.moments import axis_of_turn, in_numbers, sublattices, turned
from spinpot.analysis.result import Picture, Result, Table
from spinpot.ase import SpinCalculator
from spinpot.ase.calculator import evaluated
from spinpot.core.console import counted
from spinpot.core.errors import require
from spinpot.report.plots import rounded
from spinpot.report.style import Figure, ink, new_figure

STEP = 1e-3  # rad, step of the central differences that check the torque
HARMONICS = 4
ALT = "Above the energy, below the torque, against the angle of turn."


@dataclass(frozen=True)
class Settings:
    """Settings of configs/task/rotation.yaml. Raises InputError for invalid values."""

    atoms: int | list[int] | None = None
    axis: list[float] | None = None
    points: int = 24
    reference: str | None = None

    def __post_init__(self) -> None:
        require(self.points >= 4, "task.rotation.points", self.points, "at least 4 angles in a turn.")


@dataclass(frozen=True)
class Curve:
    """E (eV) and −dE/dθ (eV/rad) at angles in degrees; each (M,)."""

    angle: np.ndarray
    energy: np.ndarray
    torque: np.ndarray


class Turn:
    """Some moments of a structure that rotate together about an axis."""

    def __init__(self, model: SpinCalculator, atoms: Atoms, group: np.ndarray, axis: np.ndarray) -> None:
        self.atoms = atoms.copy()
        self.atoms.calc = model
        self.group, self.axis = group, axis
        self.start = np.array(atoms.get_initial_magnetic_moments(), dtype=np.float64)

    def at(self, angle: float) -> tuple[float, float]:
        """E (eV) and −dE/dθ = n·Σ S × B (eV/rad) at an angle in rad; B is −∂E/∂S, n the axis."""
        spin = self.turn(angle)
        energy, field = evaluated(self.atoms, "energy", "magnetic_forces")
        return float(energy), float(self.axis @ np.cross(spin, field)[self.group].sum(axis=0))

    def turn(self, angle: float) -> np.ndarray:
        """Rotate the moments to an angle in rad; returns all moments (N, 3)."""
        spin = self.start.copy()
        spin[self.group] = turned(self.start[self.group], self.axis, angle)
        self.atoms.set_initial_magnetic_moments(spin)
        return spin

    def energy(self, angle: float) -> float:
        """E (eV) at an angle in rad."""
        self.turn(angle)
        return float(self.atoms.get_potential_energy())

    def curve(self, angles: np.ndarray) -> Curve:
        """Energies and torques at angles in degrees."""
        shown = counted(np.radians(angles), "Turning")
        energy, torque = np.array([self.at(angle) for angle in shown]).T
        return Curve(angles, energy, torque)

    def differences(self, angles: np.ndarray) -> np.ndarray:
        """−dE/dθ (eV/rad) by central differences of E."""
        beside = angles[:, None] + np.degrees([-STEP, STEP])
        shown = counted(np.radians(beside.ravel()), "Checking the torque")
        energy = np.array([self.energy(angle) for angle in shown]).reshape(-1, 2)
        return np.asarray((energy[:, 0] - energy[:, 1]) / (2.0 * STEP))


def rotation(model: SpinCalculator, atoms: Atoms, settings: Settings) -> Result:
    """Rotate some moments by 360° and compute the energy; compare it with reference points if given.

    Raises InputError for atoms that do not exist or have no moment, an invalid axis, and a reference that
    cannot be used.
    """
    group, axis, reference = check(atoms, settings)
    turn = Turn(model, atoms, group, axis)
    curve = turn.curve(360.0 * np.arange(settings.points + 1) / settings.points)
    error = float(np.abs(turn.differences(curve.angle[:-1]) - curve.torque[:-1]).max())
    beside = turn.curve(reference.angle) if reference else None
    numbers = _numbers(curve, group, axis, error)
    paragraphs = _paragraphs(atoms, group, axis, curve, error)
    if reference and beside:
        numbers["reference"], said = compared(reference, beside)
        paragraphs.append(said)
        reference = replace(reference, energy=reference.energy + numbers["reference"]["offset"])
    draw = partial(figure, curve, reference)
    return Result(
        "Rotation of moments",
        paragraphs=paragraphs,
        tables=[_harmonics(curve), _energies(curve)],
        pictures=[Picture("rotation", "Energy and torque against the angle", ALT, draw)],
        numbers=numbers,
    )


def check(atoms: Atoms, settings: Settings) -> tuple[np.ndarray, np.ndarray, Reference | None]:
    """The atoms whose moments rotate, the axis and the reference. Raises InputError like `rotation`."""
    group = chosen(atoms, settings)
    axis = axis_of_turn("task.rotation.axis", settings.axis, atoms.get_initial_magnetic_moments()[group])
    reference = read_reference(settings.reference, atoms, group, axis) if settings.reference else None
    return group, axis, reference


def chosen(atoms: Atoms, settings: Settings) -> np.ndarray:
    """Indices of the atoms whose moments rotate; by default the sublattice of the first magnetic atom."""
    if settings.atoms is None:
        return sublattices(atoms)[0]
    indices = [settings.atoms] if isinstance(settings.atoms, int) else settings.atoms
    magnetic = np.flatnonzero(atoms.get_initial_magnetic_moments().any(axis=1))
    right = indices and len(set(indices)) == len(indices) and set(indices) <= set(magnetic)
    expected = f"one or several different indices of atoms with moments: {_few(magnetic)}."
    require(right, "task.rotation.atoms", settings.atoms, expected)
    return np.array(indices)


def harmonics(energy: np.ndarray) -> np.ndarray:
    """c_k of E(θ) = Re Σ c_k e^(−ikθ), k = 0, 1, …, from energies at equal steps in 0 ≤ θ < 360°."""
    count = min(HARMONICS, (len(energy) - 1) // 2) + 1
    found = np.conj(np.fft.rfft(energy)[:count]) / len(energy)
    found[1:] *= 2.0
    return np.asarray(found)


def compared(reference: Reference, model: Curve) -> tuple[dict[str, Any], str]:
    """Compare the reference with the model at the same angles, up to a constant energy: numbers and text."""
    difference = model.energy - reference.energy
    offset = float(difference.mean())
    rmse = float(np.sqrt(np.square(difference - offset).mean()))
    numbers: dict[str, Any] = {
        "points": len(reference.angle),
        "offset": offset,
        "rmse_energy": rmse,
        "angle": reference.angle.tolist(),
        "energy": reference.energy.tolist(),
    }
    said = f"Reference: {len(reference.angle)} points of {reference.name}, shifted by a constant; the "
    said += f"energies differ by {rounded(1000 * rmse)} meV (rmse)"
    if reference.torque is not None:
        rmse = float(np.sqrt(np.square(model.torque - reference.torque).mean()))
        numbers |= {"rmse_torque": rmse, "torque": reference.torque.tolist()}
        said += f", the torques by {rounded(1000 * rmse)} meV/rad"
    return numbers, said + "." + (f" {reference.remark}" if reference.remark else "")


def figure(curve: Curve, reference: Reference | None) -> Figure:
    """Energy (top) and torque (bottom) against the angle."""
    picture = new_figure(6.8, 4.6, layout="constrained")
    above, below = picture.subplots(2, 1, sharex=True)
    start = curve.energy[0]
    above.plot(curve.angle, 1000 * (curve.energy - start), marker="o", markersize=3, label="model")
    below.plot(curve.angle, 1000 * curve.torque, marker="o", markersize=3, label="model, S × (−∂E/∂S)")
    style: dict[str, Any] = {"marker": "s", "markersize": 5, "linestyle": "", "markerfacecolor": "none"}
    if reference:
        style["color"] = ink()
        above.plot(reference.angle, 1000 * (reference.energy - start), label="reference", **style)
        if reference.torque is not None:
            below.plot(reference.angle, 1000 * reference.torque, label="reference", **style)
        above.legend(frameon=False)
    below.axhline(0.0, color=ink(), linewidth=0.5)
    above.set(ylabel="E(θ) − E(0) (meV)", xlim=(0, 360), xticks=range(0, 361, 45))
    below.set(xlabel="θ (degrees)", ylabel="−dE/dθ (meV/rad)")
    return picture


def _paragraphs(atoms: Atoms, group: np.ndarray, axis: np.ndarray, curve: Curve, error: float) -> list[str]:
    elements = " and ".join(sorted({atoms.symbols[i] for i in group}))
    what = "the moment of" if len(group) == 1 else f"{len(group)} moments, of"
    lowest, highest = np.argmin(curve.energy), np.argmax(curve.energy)
    return [
        f"The energy is lowest at {curve.angle[lowest]:g}° and "
        f"{rounded(1000 * float(np.ptp(curve.energy)))} meV higher at {curve.angle[highest]:g}°.",
        f"Rotated: {what} {_few(group)} ({elements}), about {in_numbers(axis)}. The other moments, all "
        "positions and the lengths of the moments are fixed.",
        "The torque −dE/dθ is n·Σ S × (−∂E/∂S) with the axis n. It differs from central differences of the "
        f"energy by at most {rounded(1000 * error)} meV/rad; its largest value is "
        f"{rounded(1000 * float(np.abs(curve.torque).max()))} meV/rad.",
    ]


def _numbers(curve: Curve, group: np.ndarray, axis: np.ndarray, error: float) -> dict[str, Any]:
    found = harmonics(curve.energy[:-1])
    return {
        "atoms": group.tolist(),
        "axis": axis.tolist(),
        **{name: values.tolist() for name, values in vars(curve).items()},
        "torque_error": error,
        "cosines": found.real.tolist(),
        "sines": found.imag.tolist(),
    }


def _energies(curve: Curve) -> Table:
    rows = [
        (f"{angle:g}", _in_meV(energy - curve.energy[0]), _in_meV(torque))
        for angle, energy, torque in zip(curve.angle, curve.energy, curve.torque, strict=True)
    ]
    return Table("Energy and torque", ("θ (degrees)", "E(θ) − E(0) (meV)", "−dE/dθ (meV/rad)"), rows)


def _harmonics(curve: Curve) -> Table:
    found = harmonics(curve.energy[:-1])
    rows = [(str(k), _in_meV(found[k].real), _in_meV(found[k].imag)) for k in range(1, len(found))]
    note = (
        "Bilinear exchange with fixed moments gives only k = 1; anisotropy and biquadratic exchange give "
        "k = 2."
    )
    return Table("Harmonics of the energy", ("k", "cos kθ (meV)", "sin kθ (meV)"), rows, note)


def _in_meV(value: float) -> float:  # noqa: N802
    """The value in meV, without digits that are rounding errors."""
    return round(1000 * float(value), 6)


def _few(indices: Sequence[int] | np.ndarray, most: int = 8) -> str:
    """`atom 3`, `atoms 0, 1, 2 … 15`."""
    names = [str(index) for index in indices]
    shown = ", ".join(names) if len(names) <= most else f"{', '.join(names[:3])} … {names[-1]}"
    return ("atoms " if len(names) > 1 else "atom ") + shown
