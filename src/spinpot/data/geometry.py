"""The model parameters that determine the neighbour pairs, and the search for pairs."""

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
class Geometry:
    """The model parameters that determine the pairs: cutoff (Å), and use_spin and η (Å/μ_B) per element.

    excluded: pairs of types that do not interact. any_direction: include every virtual atom that comes within
    the cutoff for some direction of its spin. skin: Å, for moving structures: pairs within cutoff + skin are
    stored and searched again only after atoms have moved far enough; None: nothing is stored. threads: of the
    search; None: torch's number.
    """

    cutoff: float
    use_spin: tuple[bool, ...]
    virtual_scale: tuple[float, ...]
    excluded: Sequence[Sequence[int]] = ()
    any_direction: bool = False
    skin: float | None = None
    threads: int | None = None

    def __getstate__(self) -> dict[str, Any]:
        # The stored pair list belongs to this process.
        return {name: value for name, value in vars(self).items() if name != "kept"}

    @classmethod
    def of_real_atoms(cls, cutoff: float, n_types: int, excluded: Sequence[Sequence[int]] = ()) -> Self:
        """The geometry of pairs of real atoms only."""
        return cls(cutoff, (False,) * n_types, (0.0,) * n_types, excluded)

    @cached_property
    def seen(self) -> np.ndarray:
        """(T, 2T) bool: whether atoms of each neighbour type count as neighbours of each centre type."""
        n_types = len(self.use_spin)
        seen = np.tile([*(True for _ in range(n_types)), *self.use_spin], (n_types, 1))
        for a, b in self.excluded:
            for centre, neighbour in ((a, b), (b, a)):
                seen[centre : min(centre + 1, n_types), neighbour] = False
        return seen

    @cached_property
    def kept(self) -> PairList | None:
        """The stored pair list of moving structures; None without a skin."""
        return None if self.skin is None else PairList(self.skin)

    def pairs(
        self,
        n_atoms: np.ndarray,
        types: np.ndarray,
        coord: np.ndarray,
        spin: np.ndarray,
        box: np.ndarray,
        pbc: np.ndarray,
    ) -> PairArrays:
        """The neighbour pairs of F structures with A atoms in total; arrays as in kernels.pairs.Frames.

        spin: (A, 3), μ_B. Without the compiled kernels the pair list is never reused.
        """
        shift = np.array(self.virtual_scale)[types][:, None] * spin
        place = (n_atoms, types, coord, box, pbc, shift)
        frames = Frames(self.cutoff, *place, self.seen, self.any_direction)
        threads = self.threads or torch.get_num_threads()
        if not kernels.library():
            return pairs_by_vesin(frames, threads)
        return find_pairs(frames, threads, self.kept)
