"""A recipe turns one structure into configurations of several systems.

The random numbers of a frame depend on the seed, the name of its system and its number, so existing frames do
not change if a recipe gets more frames or other systems.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

import numpy as np
from ase import Atoms
from ase.build import make_supercell
from ase.data import atomic_numbers
from ase.neighborlist import neighbor_list

from spinpot.core.errors import require
from spinpot.core.vectors import unit
from spinpot.labels.configuration import Array, Configuration
from spinpot.labels.directions import draw_tilts, random_turn, relative_to, spiral
from spinpot.labels.neighbours import neighbours, shortest
from spinpot.labels.trajectory import trajectory_configurations

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
COMMENSURATE = 1e-6
STEP, TURN, STRETCH = 0.01, np.radians(2.0), 0.03
"""Å, radians and share of a length between the two frames of a pair.

A model of bcc Fe as labeller, with 1e-5 eV of noise, gave factors within 0.7 % of 1. With twice the step they
were off by up to 13 %, with half of it by up to 4 %.
"""


@dataclass(frozen=True)
class SystemRecipe:
    """How to make the configurations of one system. Ranges [low, high] are sampled uniformly."""

    frames: int
    """Number of configurations."""
    supercell: list[int] | list[list[int]] = field(default_factory=lambda: [1, 1, 1])
    """Copies along each lattice vector, or a 3×3 matrix of whole numbers."""
    volume: float = 1.0
    """Volume relative to the structure's."""
    strain: list[list[float]] | None = None
    """(3, 3), the same strain for all frames of the system."""
    random_strain: float = 0.0
    """Largest component of a random symmetric strain, different in each frame."""
    elements: dict[str, int] | None = None
    """Number of atoms of each element in the supercell, placed at random; None keeps the structure's."""
    displacement: list[float] = field(default_factory=lambda: [0.0, 0.0])
    """Range of the largest displacement in a frame, Å."""
    moments: dict[str, float | list[float]] = field(default_factory=dict)
    """Length or range of lengths by element, μ_B; 0: no moment. Others keep the structure's lengths."""
    spirals: list[list[float]] | None = None
    """Wave vectors in reciprocal lattice vectors of the structure; each frame has one of them."""
    sublattice_tilt: list[float] = field(default_factory=lambda: [0.0, 0.0])
    """Range of the largest angle between neighbouring sublattices in a frame, degrees."""
    tilt: list[float] = field(default_factory=lambda: [0.0, 0.0])
    """Range of the largest angle between neighbouring moments in a frame, degrees."""
    turn: bool = True
    """Whether to rotate all moments of a frame together by a random rotation."""
    constrained: list[str] | None = None
    """Elements whose moments are held; None: all elements with moments."""
    hold: Literal["direction", "vector"] = "direction"
    """Whether to hold the direction of the moments, or the whole vector."""
    pairs: bool = False
    """Whether every second frame is a small step from the one before it; for `spinpot audit`."""
    trajectory: str | None = None
    """A file of frames to label as they are."""


@dataclass(frozen=True)
class Recipe:
    """Systems by name, and arguments of ase.build.bulk for a structure if the user gives none."""

    systems: Mapping[str, SystemRecipe]
    structure: Mapping[str, Any] | None = None

    def needs_structure(self) -> bool:
        """Whether any system is made from a structure."""
        return any(one.trajectory is None for one in self.systems.values())


def configurations(recipe: Recipe, structure: Atoms | None, seed: int) -> list[Configuration]:
    """All configurations of a recipe. structure: with vectors as initial moments; None: all are trajectories.

    Raises InputError if the recipe contradicts itself or the structure.
    """
    require(recipe.systems, "recipe.systems", "{}", "at least one, e.g. recipe.systems.mine={frames: 20}.")
    made = []
    for name, settings in recipe.systems.items():
        require(NAME.fullmatch(name), "recipe.systems", name, "names of letters, digits and . _ + -")
        if settings.trajectory is not None:
            made += trajectory_configurations(name, settings, SystemRecipe(settings.frames, turn=False), seed)
            continue
        assert structure is not None
        system = SystemMaker(name, settings, structure, seed)
        made += [system.configuration(number) for number in range(settings.frames)]
    return made


class SystemMaker:
    """Makes the configurations of one system; checks its settings first."""

    def __init__(self, name: str, settings: SystemRecipe, structure: Atoms, seed: int) -> None:
        self.name, self.settings = name, settings
        self.seed = [seed, zlib.crc32(name.encode())]
        self.check_ranges()
        self.copies = self.supercell_matrix()
        self.structure = structure
        self.atoms = self.supercell()
        self.lengths = self.ranges_of_lengths()
        self.magnetic = self.lengths.max(axis=1) > 0.0
        self.held = self.held_atoms()
        self.pairs = neighbours(self.atoms, self.magnetic)
        self.check_tilts()
        self.check_spirals()
        self.check_distances()

    def key(self, name: str) -> str:
        """The full name of a setting, for messages."""
        return f"recipe.systems.{self.name}.{name}"

    def need(self, holds: object, name: str, expected: str) -> None:
        """Raise InputError about a setting if `holds` is false."""
        require(holds, self.key(name), getattr(self.settings, name), expected)

    def check_ranges(self) -> None:
        """Raise InputError if a single number or range makes no sense."""
        own = self.settings
        self.need(own.frames >= 0, "frames", "a whole number >= 0.")
        self.need(own.volume > 0.0, "volume", "a number > 0; 1 is the structure's.")
        self.need(0.0 <= own.random_strain < 0.5, "random_strain", "a number from 0 to 0.5.")
        if own.strain is not None:
            shape = np.shape(own.strain) == (3, 3)
            self.need(
                shape and np.linalg.det(np.eye(3) + own.strain) > 0.0, "strain", "(3, 3), e.g. a shear."
            )
        for name, most in (("displacement", 10.0), ("tilt", 180.0), ("sublattice_tilt", 180.0)):
            limits = getattr(own, name)
            fine = len(limits) == 2 and 0.0 <= limits[0] <= limits[1] <= most
            self.need(fine, name, f"[low, high], two numbers from 0 to {most:g}.")

    def supercell_matrix(self) -> Array:
        """(3, 3), whose rows are the supercell vectors in lattice vectors of the structure."""
        given = np.array(self.settings.supercell)
        matrix = np.diag(given) if given.shape == (3,) else given
        fine = matrix.shape == (3, 3) and np.linalg.det(matrix) > 0.5
        self.need(fine, "supercell", "three whole numbers > 0, or a (3, 3) matrix of them.")
        return matrix

    def supercell(self) -> Atoms:
        """The strained supercell; its arrays `sublattice` and `sites` give the position in the structure."""
        atoms: Atoms = self.structure.copy()
        atoms.arrays["sublattice"] = np.arange(len(atoms))
        atoms = make_supercell(atoms, self.copies)
        atoms.arrays["sites"] = atoms.positions @ np.linalg.inv(self.structure.cell.array)
        strain = np.zeros((3, 3)) if self.settings.strain is None else np.array(self.settings.strain)
        deformation = self.settings.volume ** (1 / 3) * (np.eye(3) + strain)
        atoms.set_cell(atoms.cell.array @ deformation.T, scale_atoms=True)
        if self.settings.elements is not None:
            atoms.symbols = self.occupation(len(atoms))
        return atoms

    def occupation(self, sites: int) -> list[str]:
        """The elements of the sites in random order, the same for all frames of the system."""
        counts = self.settings.elements or {}
        unknown = [one for one in counts if one not in atomic_numbers]
        self.need(not unknown, "elements", f"symbols of elements, without {' '.join(unknown)}.")
        fine = all(type(n) is int and n >= 0 for n in counts.values()) and sum(counts.values()) == sites
        self.need(
            fine, "elements", f"whole numbers of atoms that add up to the {sites} sites of the supercell."
        )
        symbols = [element for element, count in counts.items() for _ in range(count)]
        return [symbols[k] for k in np.random.default_rng(self.seed).permutation(sites)]

    def ranges_of_lengths(self) -> Array:
        """The range of |S| of each atom, (N, 2), μ_B."""
        given, own = self.settings.moments, np.linalg.norm(self.atoms.get_initial_magnetic_moments(), axis=1)
        symbols = self.atoms.get_chemical_symbols()
        unknown = sorted(set(given) - set(symbols))
        self.need(not unknown, "moments", f"elements of the structure, without {' '.join(unknown)}.")
        without = sorted(
            {symbol for symbol, length in zip(symbols, own, strict=True) if not length} - set(given)
        )
        self.need(
            not without,
            "moments",
            f"a length (μ_B) for {' '.join(without)}, because the structure has no moments for it; 0: no "
            "moment.",
        )
        ranges = np.array(
            [given.get(s, length) for s, length in zip(symbols, own, strict=True)], dtype=object
        )
        found = np.array([np.broadcast_to(np.asarray(one, dtype=np.float64), 2) for one in ranges])
        fine = (found >= 0.0).all() and (found[:, 0] <= found[:, 1]).all()
        self.need(fine, "moments", "lengths >= 0, or ranges [low, high] of them.")
        return found

    def held_atoms(self) -> np.ndarray:
        """(N,) bools: atoms whose moments are held."""
        wanted = self.settings.constrained
        if wanted is None:
            return np.asarray(self.magnetic)
        symbols = np.array(self.atoms.get_chemical_symbols())
        bare = [one for one in wanted if not self.magnetic[symbols == one].any()]
        self.need(not bare, "constrained", f"elements with moments, without {' '.join(bare)}.")
        return np.asarray(np.isin(symbols, wanted) & self.magnetic)

    def check_tilts(self) -> None:
        """Raise InputError for tilts in a system without neighbouring moments or sublattices."""
        sublattice = self.atoms.arrays["sublattice"][self.pairs]
        fine = not self.settings.tilt[1] or len(self.pairs)
        self.need(fine, "tilt", "[0, 0], as no two atoms with moments are neighbours; or a larger supercell.")
        fine = not self.settings.sublattice_tilt[1] or (sublattice[:, 0] != sublattice[:, 1]).any()
        self.need(fine, "sublattice_tilt", "[0, 0], as all neighbouring moments are of one sublattice.")

    def check_spirals(self) -> None:
        """Raise InputError for spirals that do not fit the supercell."""
        for q in self.settings.spirals or ():
            turns = self.copies @ np.asarray(q, dtype=np.float64) if len(q) == 3 else np.full(3, 0.5)
            fine = np.abs(turns - np.rint(turns)).max() < COMMENSURATE
            self.need(
                fine,
                "spirals",
                f"wave vectors with whole numbers of turns in the supercell {self.copies.tolist()}.",
            )

    def check_distances(self) -> None:
        """Raise InputError if displaced atoms could overlap."""
        nearest = shortest(self.atoms)
        distances = neighbor_list("d", self.atoms, nearest + 1e-3)
        most = float(distances.min()) / 2 if len(distances) else np.inf
        self.need(
            self.settings.displacement[1] < most,
            "displacement",
            f"less than {most:.2f} Å, half of the shortest distance.",
        )

    def configuration(self, number: int) -> Configuration:
        """The configuration of frame `number`."""
        random = np.random.default_rng([*self.seed, number])
        if self.settings.pairs and number % 2:
            return small_step(random, f"{self.name}/{number:04d}", self.configuration(number - 1))
        return Configuration(
            name=f"{self.name}/{number:04d}",
            atoms=self.displaced(random),
            moments=self.drawn_moments(random),
            constrained=self.held,
            hold_lengths=self.settings.hold == "vector",
        )

    def displaced(self, random: np.random.Generator) -> Atoms:
        """The supercell with random strain and displacements."""
        made = Atoms(
            self.atoms.symbols, positions=self.atoms.positions, cell=self.atoms.cell, pbc=self.atoms.pbc
        )
        upper = np.triu(random.uniform(-1.0, 1.0, (3, 3))) * self.settings.random_strain
        deformation = np.eye(3) + upper + np.triu(upper, 1).T
        made.set_cell(made.cell.array @ deformation.T, scale_atoms=True)
        largest = random.uniform(*_pair(self.settings.displacement))
        direction = random.normal(size=made.positions.shape)
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        size = np.cbrt(random.uniform(size=(len(made), 1)))
        made.positions += largest * size / size.max() * direction
        return made

    def drawn_moments(self, random: np.random.Generator) -> Array:
        """Random moments (N, 3), μ_B."""
        own = self.settings
        base = self.order(random)
        sublattices = self.atoms.arrays["sublattice"]
        apart = sublattices[self.pairs]
        apart = apart[apart[:, 0] != apart[:, 1]]
        common = draw_tilts(random, int(sublattices.max()) + 1, apart, *_pair(own.sublattice_tilt))[
            sublattices
        ]
        alone = draw_tilts(random, len(base), self.pairs, *_pair(own.tilt))
        directions = relative_to(base, relative_to(common, alone))
        if own.turn:
            directions = random_turn(random, directions)
        lengths = random.uniform(self.lengths[:, 0], self.lengths[:, 1])
        return np.asarray(lengths[:, None] * directions)

    def order(self, random: np.random.Generator) -> Array:
        """Unit vectors (N, 3) before tilting: the structure's directions (else z), with a spiral."""
        given = self.atoms.get_initial_magnetic_moments()
        length = np.linalg.norm(given, axis=1, keepdims=True)
        base = np.where(length > 0.0, given / np.where(length > 0.0, length, 1.0), [0.0, 0.0, 1.0])
        if not self.settings.spirals:
            return np.asarray(base)
        q = self.settings.spirals[random.integers(len(self.settings.spirals))]
        first = base[np.argmax(self.magnetic)]
        return spiral(base, 2 * np.pi * self.atoms.arrays["sites"] @ np.asarray(q, dtype=np.float64), first)


def small_step(random: np.random.Generator, name: str, given: Configuration) -> Configuration:
    """The configuration with each atom moved by STEP and each moment rotated by TURN, at random.

    Lengths change by up to STRETCH if they are held.
    """
    atoms = given.atoms.copy()
    atoms.positions += STEP * unit(random.normal(size=atoms.positions.shape))
    aside = unit(np.cross(given.moments, random.normal(size=given.moments.shape)))
    lengths = np.linalg.norm(given.moments, axis=1, keepdims=True)
    moments = np.cos(TURN) * given.moments + np.sin(TURN) * lengths * aside
    if given.hold_lengths:
        moments *= 1.0 + random.uniform(-STRETCH, STRETCH, size=lengths.shape)
    return replace(given, name=name, atoms=atoms, moments=moments)


def _pair(limits: Sequence[float]) -> tuple[float, float]:
    low, high = limits
    return low, high


def recipe_of(plain: Mapping[str, Any]) -> Recipe:
    """The recipe from its config section: settings for all systems, and `systems` with their own settings."""
    names = [one.name for one in fields(SystemRecipe)]
    common = {name: plain[name] for name in names if plain.get(name) is not None}
    systems = {name: SystemRecipe(**{**common, **(own or {})}) for name, own in plain["systems"].items()}
    return Recipe(systems, plain.get("structure"))


def by_system(made: Sequence[Configuration]) -> dict[str, list[Configuration]]:
    """Configurations grouped by the name of their system, in order."""
    found: dict[str, list[Configuration]] = {}
    for one in made:
        found.setdefault(one.system, []).append(one)
    return found
