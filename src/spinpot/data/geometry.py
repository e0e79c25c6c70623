"""Which neighbour pairs a model needs, and the pairs of structures laid one behind the other."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import torch

from spinpot import kernels
from spinpot.data.pairs import pairs_by_vesin
from spinpot.kernels.pairs import Frames, PairArrays, PairList, find_pairs


@dataclass(frozen=True)
class Structures:
    """F structures with A atoms altogether.

    n_atoms: (F,); box: (F, 3, 3), Å; pbc: (F, 3); types: (A,); coord: (A, 3), Å; spin: (A, 3), μ_B.
    """

    n_atoms: np.ndarray
    box: np.ndarray
    pbc: np.ndarray
    types: np.ndarray
    coord: np.ndarray
    spin: np.ndarray


@dataclass(frozen=True)
class Geometry:
    """The model parameters that determine the pairs: cutoff (Å), and use_spin and η (Å/μ_B) per element.

    excluded: pairs of types that do not see each other. any_direction: whether virtual atoms that would be
    within the cutoff if their spins pointed elsewhere are neighbours too. skin: Å, for structures that move:
    what is within the cutoff and the skin is kept, and searched for again only when atoms have moved far
    enough; None keeps nothing. threads: that look for them; None: as many as torch has.
    """

    cutoff: float
    use_spin: tuple[bool, ...]
    virtual_scale: tuple[float, ...]
    excluded: Sequence[Sequence[int]] = ()
    any_direction: bool = False
    skin: float | None = None
    threads: int | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "kept"}  # of this process alone

    @classmethod
    def of_real_atoms(cls, cutoff: float, n_types: int, excluded: Sequence[Sequence[int]] = ()) -> Self:
        """Pairs of real atoms alone."""
        return cls(cutoff, (False,) * n_types, (0.0,) * n_types, excluded)

    @cached_property
    def seen(self) -> np.ndarray:
        """Whether centres of each type have neighbours of each type, (T, 2T)."""
        n_types = len(self.use_spin)
        seen = np.tile([*(True for _ in range(n_types)), *self.use_spin], (n_types, 1))
        for a, b in self.excluded:
            for centre, neighbour in ((a, b), (b, a)):
                seen[centre : min(centre + 1, n_types), neighbour] = False
        return seen

    @cached_property
    def kept(self) -> PairList | None:
        """What is kept of structures that move."""
        return None if self.skin is None else PairList(self.skin)

    def pairs(self, structures: Structures) -> PairArrays:
        """The pairs; without the library none is kept."""
        frames = Frames(
            self.cutoff,
            structures.n_atoms,
            structures.types,
            structures.coord,
            structures.box,
            structures.pbc,
            np.array(self.virtual_scale)[structures.types][:, None] * structures.spin,
            self.seen,
            self.any_direction,
        )
        threads = self.threads or torch.get_num_threads()
        if not kernels.library():
            return pairs_by_vesin(frames, threads)
        return find_pairs(frames, threads, self.kept)
