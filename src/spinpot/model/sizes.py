"""The number of neighbours the descriptor makes room for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from spinpot.data.batch import Frame
from spinpot.data.dataset import FrameDataset
from spinpot.data.systems import System
from spinpot.errors import InputError
from spinpot.model.settings import ModelSpec

MOST_NEIGHBOURS = 10_000
"""Around an atom: a hundred times the usual number."""


def settle_sel(spec: ModelSpec, datasets: Iterable[FrameDataset]) -> ModelSpec:
    """The spec with one number of neighbours per element, enough for every frame of the data sets.

    `auto` gives 10 % more than the most neighbours found, rounded up to a multiple of 4, which is
    deepmd-kit's rule. Raises InputError for a sel of the wrong length or too small.
    """
    datasets = list(datasets)
    n_types = len(spec.type_map)
    if not any(dataset.most[:, :n_types].any() for dataset in datasets):
        raise InputError(
            f"model.descriptor.rcut={spec.descriptor.rcut} Å: no atom of the data has a neighbour within it. "
            "Usual are 5 to 6 Å; check that coordinates and cells are in Å."
        )
    sel = spec.descriptor.sel
    if isinstance(sel, str):
        found = np.max([most_neighbours(dataset) for dataset in datasets], axis=0)
        settled = spec.with_sel([max(4, int(np.ceil(1.1 * n / 4)) * 4) for n in found])
    else:
        settled = spec.with_sel(one_per_type(sel, len(spec.type_map)))
    for dataset in datasets:
        for most, (system, index) in zip(dataset.most, dataset.places, strict=True):
            _refuse_too_many(settled, most, system.name, index)
    return settled


def check_rcut(rcut: float, systems: Iterable[System]) -> None:
    """Raise InputError if a sphere of rcut (Å) holds absurdly many atoms, by the density of first frames."""
    for system in systems:
        density = system.n_atoms / abs(np.linalg.det(system.box[0]))
        # Not rcut**3, with which Python raises an error of its own if it is too large.
        expected = 4 / 3 * np.pi * rcut * rcut * rcut * density
        if expected > MOST_NEIGHBOURS:
            raise InputError(
                f"model.descriptor.rcut={rcut} Å: an atom of {system.name} would have about {expected:.2g} "
                f"neighbours within it, and more than {MOST_NEIGHBOURS} are refused. Usual are 4 to 10 Å; "
                "check that coordinates and cells are in Å."
            )


def most_neighbours(dataset: FrameDataset) -> np.ndarray:
    """The most neighbours of each element, real or virtual, around any atom, (T,)."""
    return dataset.most.max(axis=0).reshape(2, -1).max(axis=0)


def check_sel(spec: ModelSpec, frame: Frame) -> None:
    """Raise InputError if an atom has more neighbours of an element than the model has room for."""
    counts = frame.neighbour_counts
    if spec.time_reversal:  # it also has pairs beyond rcut
        within = np.square(frame.pair_vector).sum(axis=-1) < spec.descriptor.rcut**2
        places = (frame.pair_centre * counts.shape[1] + frame.pair_type)[within]
        counts = np.bincount(places, minlength=counts.size).reshape(counts.shape)
    _refuse_too_many(spec, counts.max(axis=0), *frame.origin)


def _refuse_too_many(spec: ModelSpec, most: np.ndarray, name: str, index: int) -> None:
    sel, needed = np.array(spec.descriptor.sel), most.reshape(2, -1).max(axis=0)
    if np.any(needed > sel):
        short = int(np.argmax(needed > sel))
        raise InputError(
            f"model.descriptor.sel={sel.tolist()} is too small: in {name}, frame {index}, an atom has "
            f"{needed[short]} neighbours {spec.type_map[short]} within {spec.descriptor.rcut} Å (rcut), "
            f"and sel allows {sel[short]}. Train with model.descriptor.sel=auto, or at least "
            f"{needed.tolist()}."
        )


def one_per_type(sel: int | Sequence[int], n_types: int) -> list[int]:
    """The numbers of neighbours of every element. Raises InputError for a wrong length or wrong numbers."""
    numbers = [sel] * n_types if isinstance(sel, int) else list(sel)
    if len(numbers) != n_types:
        raise InputError(
            f"model.descriptor.sel={numbers} has {len(numbers)} numbers; expected one per element, {n_types} "
            "(the virtual atoms' are added inside), or `auto`."
        )
    if any(not isinstance(number, int) or number < 1 for number in numbers):
        raise InputError(f"model.descriptor.sel={numbers}: expected numbers of neighbours >= 1.")
    return numbers
