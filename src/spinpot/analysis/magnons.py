"""Task magnons: linear spin waves from the exchange constants of a potential, with magnopy."""

from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, ClassVar, Literal, cast

import numpy as np
from ase import Atoms
from ase.dft.kpoints import BandPath, parse_path_string

from spinpot.analysis.cells import magnetic_cell
from spinpot.analysis.exchange import PairSettings, exchange_of, left_out
from spinpot.analysis.exchange_tensors import Exchange
from spinpot.analysis.limits import limits_of
from spinpot.analysis.measured import SAID, measured_nio
from spinpot.analysis.plots import magnon_figure
from spinpot.analysis.result import Cell, Picture, Result, Table, shown
from spinpot.analysis.shells import shells_of
from spinpot.analysis.state import doubts, largest_torque
from spinpot.ase import SpinCalculator
from spinpot.core.console import counted
from spinpot.core.errors import InputError, require

SAME = 1e-2  # meV; energies that differ by less count as degenerate
NO_NORM = 1e-6  # modes with a smaller norm are no bosons: they are unstable or have zero energy


@dataclass(frozen=True)
class Settings(PairSettings):
    """Settings of configs/task/magnons.yaml. Raises InputError for invalid values."""

    task: ClassVar[str] = "magnons"
    path: str | None = None
    points: dict[str, list[float]] | None = None
    cell: Literal["chemical", "magnetic"] = "chemical"
    samples: int = 120
    spin: dict[str, float] | None = None
    g: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.samples >= 2, "task.magnons.samples", self.samples, "at least 2 wave vectors.")
        require(self.g > 0.0, "task.magnons.g", self.g, "a number > 0.")
        if self.points is not None and self.path is None:
            raise InputError(
                "task.magnons.points: there is no path through them. Give task.magnons.path, too."
            )
        for name, values in (self.spin or {}).items():
            positive = isinstance(values, int | float) and values > 0.0
            require(positive, f"task.magnons.spin.{name}", values, "a number > 0, such as 1.")
        for name, place in (self.points or {}).items():
            three = isinstance(place, list) and len(place) == 3
            require(three, f"task.magnons.points.{name}", place, "three numbers.")


def magnons(model: SpinCalculator, atoms: Atoms, settings: Settings) -> Result:
    """ħω along a path and at its special points, compared with measurements if there are any."""
    check(atoms, settings)
    path = band_path(atoms, settings)
    found, reach = exchange_of(model, atoms, settings)
    limits = limits_of(model, found, settings.tolerance)
    warning = limits.in_short()
    spins = spin_numbers(found.cell, settings)
    energies = spin_waves(found, spins, wave_vectors(path, found.cell))
    highest = float(energies.max())
    paragraphs = [
        f"The highest spin-wave energy along the path is {highest:.4g} meV.",
        *left_out(reach, settings.cutoff),
        *doubts(found, largest_torque(model, found)),
        *_unstable(energies),
        *limits.said(shells_of(found)),
    ]
    compared = None
    if measured := measured_nio(found):
        compared = spin_waves(*measured, wave_vectors(path, found.cell))
        paragraphs.append(SAID)
    alt = f"Spin-wave energies along a path through the Brillouin zone, the highest {highest:.4g} meV."
    draw = partial(magnon_figure, path, energies, compared, warning)
    return Result(
        title="Magnons",
        paragraphs=paragraphs,
        method=[_method(found, spins, settings)],
        tables=[_special_points(path, found, spins, warning)],
        pictures=[Picture("magnons", "Spin-wave dispersion", alt, draw)],
        numbers={
            "spins": {str(k): spins[k] for k in np.flatnonzero(spins).tolist()},
            "highest_meV": highest,
            "warning": warning,
            "path": path.path,
            "cell": path.cell.array.tolist(),
            "special_points": {name: place.tolist() for name, place in path.special_points.items()},
            "wave_vectors": path.kpts.tolist(),
            "energies_meV": energies.tolist(),
        },
    )


def check(atoms: Atoms, settings: Settings) -> None:
    """Raise InputError for invalid inputs, before the first calculation."""
    _magnopy()
    band_path(atoms, settings)
    spin_numbers(atoms, settings)


def band_path(atoms: Atoms, settings: Settings) -> BandPath:
    """The path in reciprocal lattice vectors of the chosen cell. Raises InputError for unknown points."""
    bare = atoms.copy()
    if settings.cell == "chemical":
        bare.set_initial_magnetic_moments(np.zeros((len(bare), 3)))
    cell = magnetic_cell(bare, settings.tolerance).cell
    points = {name: np.array(place, dtype=float) for name, place in (settings.points or {}).items()}
    try:
        return cast(
            BandPath, cell.bandpath(settings.path, npoints=settings.samples, special_points=points or None)
        )
    except (KeyError, ValueError) as error:
        known = " ".join(settings.points or cell.get_bravais_lattice().get_special_points())
        raise InputError(
            f"task.magnons.path={settings.path}: {error}. Expected a sequence of the names {known} without "
            "blanks, with a comma where the path jumps."
        ) from error


def wave_vectors(path: BandPath, cell: Atoms, places: np.ndarray | None = None) -> np.ndarray:
    """The wave vectors of the path, or `places` (K, 3), converted to reciprocal vectors of `cell`."""
    k = path.kpts if places is None else places
    return np.asarray(k @ path.cell.reciprocal().array @ cell.cell.array.T)


def spin_numbers(cell: Atoms, settings: Settings) -> np.ndarray:
    """S of each atom (n,), zero without a moment. Raises InputError for S of a non-magnetic element."""
    lengths = np.linalg.norm(cell.get_initial_magnetic_moments(), axis=1)
    spins: np.ndarray = lengths / settings.g
    symbols = np.array(cell.get_chemical_symbols())
    for name, value in (settings.spin or {}).items():
        own = (symbols == name) & (lengths > 0.0)
        if not own.any():
            raise InputError(
                f"task.magnons.spin.{name}: the structure has no {name} atom with a moment. Leave it out."
            )
        spins[own] = value
    return spins


def spin_waves(exchange: Exchange, spins: np.ndarray, k: np.ndarray) -> np.ndarray:
    """ħω (K, M) in meV, ascending, of the M magnetic atoms, at k (K, 3) in the cell's reciprocal vectors.

    Only the isotropic part of the exchange is used. If the state is no energy minimum, some energies are
    negative. Imaginary energies are given as negative numbers, as usual for phonons.
    """
    magnopy = _magnopy()
    convention = magnopy.Convention(multiple_counting=True, spin_normalized=True, c22=-0.5)
    cell = exchange.cell
    places = {
        "names": [f"{symbol}{k}" for k, symbol in enumerate(cell.get_chemical_symbols())],
        "positions": cell.get_scaled_positions().tolist(),
        "spins": spins.tolist(),
        "g_factors": [2.0] * len(cell),
    }
    hamiltonian = magnopy.SpinHamiltonian(cell.cell.array, places, convention, units="meV")
    for i, j, shift, J in zip(
        exchange.i.tolist(), exchange.j.tolist(), exchange.shift.tolist(), exchange.isotropic, strict=True
    ):
        hamiltonian.add(nus=[tuple(shift)], alphas=[i, j], parameter=1000.0 * J * np.eye(3))
    waves = magnopy.LSWT(hamiltonian, exchange.directions[np.array(hamiltonian.map_to_all)])
    points = counted(k, "Magnons")
    return np.sort([_energies(waves, one) for one in points], axis=-1)


def _energies(waves: Any, k: np.ndarray) -> np.ndarray:
    """ħω (M,) in meV at one wave vector; computed here if an energy is imaginary, which magnopy rejects."""
    found = np.real(np.array(waves.omega(k, relative=True), dtype=complex))
    if np.isfinite(found).all() and (found >= 0.0).all():
        return found
    matrix = waves.GDM(k, relative=True)
    number = len(matrix) // 2
    signs = np.repeat((1.0, -1.0), number)  # bosons: ħω/2 are the eigenvalues of diag(1, −1) times the matrix
    values, vectors = np.linalg.eig(signs[:, None] * matrix)
    norms = (signs[:, None] * np.abs(vectors) ** 2).sum(axis=0)
    is_real = (np.abs(values.real) > np.abs(values.imag)) & (np.abs(norms) > NO_NORM)
    real = 2.0 * values.real[is_real & (norms > 0.0)]
    imaginary = 2.0 * np.sort(np.abs(values.imag[~is_real]))[::2]  # imaginary values come in pairs, ±
    return np.concatenate((real, -imaginary))[:number]


def modes(energies: np.ndarray) -> list[tuple[float, int]]:
    """The distinct energies of one wave vector (M,) and their degeneracies."""
    groups = np.split(energies, np.flatnonzero(np.diff(energies) > SAME) + 1)
    return [(float(group.mean()), len(group)) for group in groups]


def _special_points(path: BandPath, found: Exchange, spins: np.ndarray, warning: str) -> Table:
    on_it = set(chain(*parse_path_string(path.path)))
    names = [name for name in path.special_points if name in on_it]
    places = np.array([path.special_points[name] for name in names]).reshape(-1, 3)
    waves = spin_waves(found, spins, wave_vectors(path, found.cell, places))
    rows: list[list[Cell]] = []
    for name, place, energies in zip(names, places, waves, strict=True):
        several = [f"{shown(e)}{f' ×{n}' if n > 1 else ''}" for e, n in modes(energies)]
        k = "  ".join(f"{x + 0.0:.3g}".replace("-", "−") for x in place)
        rows.append(["Γ" if name == "G" else name, k, ", ".join(several)])
    note = f"k: in reciprocal vectors of the path's cell. ×2: two modes of the same energy. {warning}"
    return Table(
        "Energies at the special points", ["point", "k (fractional)", "ħω (meV)"], rows, note.rstrip()
    )


def _method(found: Exchange, spins: np.ndarray, settings: Settings) -> str:
    magnetic = np.flatnonzero(spins)
    cell = found.cell
    numbers = ", ".join(dict.fromkeys(f"{cell.symbols[k]} {spins[k]:.3g}" for k in magnetic))
    number = f"{len(magnetic)} mode{'s' * (len(magnetic) > 1)}"
    return (
        f"Linear spin waves from the isotropic constants J_ij of pairs up to {found.distance.max():.2f} Å, "
        f"with S: {numbers}. Magnetic cell {cell.get_chemical_formula()}, {number}; the path is "
        f"in the Brillouin zone of the {settings.cell} cell. Anisotropy is left out, so a common rotation of "
        "all moments costs no energy, and the energy at Γ is zero."
    )


def _unstable(energies: np.ndarray) -> list[str]:
    """A remark on wave vectors at which the state is no energy minimum, if there are any."""
    lost = int((energies < -SAME).any(axis=1).sum())
    if not lost:
        return []
    return [
        f"At {lost} of the {len(energies)} wave vectors an energy is negative, or imaginary and shown as "
        f"a negative number; the lowest is {energies.min():.3g} meV. Rotating the moments with such a wave "
        "lowers the energy. Small negative energies of modes with zero energy are within the errors of the "
        "constants. Large ones mean that the given state is not the ground state of these constants."
    ]


def _magnopy() -> Any:
    """Import magnopy. Raises InputError if it is not installed."""
    try:
        import magnopy
    except ImportError as error:
        raise InputError(
            "task=magnons needs magnopy. Install it: pip install -c constraints.txt -e '.[analysis]'."
        ) from error
    return magnopy
