"""A trained potential that is called with frames of any kind and returns numpy arrays."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from torch import Tensor

from spinpot import kernels
from spinpot.core.console import counted
from spinpot.core.conventions import EXPECTED_PER_ATOM, EXPECTED_PER_FRAME, PER_ATOM, PER_FRAME
from spinpot.core.errors import InputError
from spinpot.core.files import roomy
from spinpot.data.batch import Batch, Frame, batches, collate
from spinpot.data.dataset import Neighbours, make_frames
from spinpot.data.from_ase import moments_of, system_from_atoms
from spinpot.data.pairs import OVERLAP, overlapping
from spinpot.data.systems import System, parts, read_systems
from spinpot.evaluation.prediction import Prediction, Predictions
from spinpot.looks.model import Watch
from spinpot.models.files import read_model
from spinpot.models.potential import Potential

Source = System | str | Path | Atoms
"""Types that frames can be given as."""

Arrays = dict[str, np.ndarray]
Predicted = tuple[Batch, dict[str, Tensor]]


def load(path: str | Path, device: str | torch.device = "cpu", dtype: torch.dtype | None = None) -> Predictor:
    """Load a checkpoint, a model file or a model of deepmd-kit; see `spinpot.load`."""
    dtype = dtype or torch.float64
    if dtype not in (torch.float32, torch.float64):
        raise InputError(f"dtype={dtype}: expected torch.float64 or torch.float32.")
    path = Path(path).expanduser()
    potential = read_model(path).potential
    return Predictor(potential.set_precision(dtype).to(device))


class Predictor:
    """A potential that is called with frames: `spinpot.load("best.ckpt")("data/validation")`.

    Elements are matched by name, whatever their order in the type map of the frames. A call warns once of
    moments that the model ignores or has not seen in training.
    """

    def __init__(self, potential: Potential) -> None:
        kernels.build()
        self.potential = potential.eval()
        self.spec = potential.spec
        self.watch = Watch(self.spec, potential.facts)
        self.geometry = self.spec.geometry

    def __repr__(self) -> str:
        spec = self.spec
        weights = min(self.potential.parameters(), key=lambda weight: weight.dtype.itemsize)
        return (
            f"Predictor({spec.kind} of {' '.join(spec.type_map)}, "
            f"magnetic: {' '.join(spec.magnetic_elements)}; {self.potential.n_parameters()} parameters, "
            f"{weights.dtype} on {weights.device})"
        )

    def __call__(
        self,
        frames: Source | Sequence[Source],
        batch_size: int = 8,
        progress: bool = False,
        moments: str | None = None,
        moment_unit: str | None = None,
        uncertainty: bool = False,
    ) -> Prediction | Predictions:
        """Predict energies and their derivatives (float64), named as in spinpot.core.conventions.

        frames: a System, a folder of frames in any layout that training reads, or an ase.Atoms with vector
            moments (array `spin`, a calculator's magmoms, or initial ones); or a list of these.
        batch_size: frames per batch; it affects speed and memory, not the results.
        progress: show a progress bar.
        moments: the array of ase.Atoms that holds the moments, if several disagree. moment_unit: the unit of
            this array if all its lengths are 1: `mu_B`, or `direction`, multiplied by an array of lengths if
            there is one.
        uncertainty: also return the errors that the model expects: energy_sigma, force_sigma, force_mag_sigma
            and leverage. Only some models know them (model=native_spin).

        Returns a mapping for one system: energy (F,) eV, atom_energy (F, N) eV, force (F, N, 3) eV/Å,
        force_mag (F, N, 3) eV/μ_B and virial (F, 3, 3) eV; the names are attributes, too. Returns a list of
        mappings for a list of frames, or for a folder with several systems. Raises InputError for frames on
        which the model cannot be used.
        """
        single = isinstance(frames, Source)
        systems = self.systems([frames] if isinstance(frames, Source) else frames, moments, moment_unit)
        for line in self.watch.new(systems):
            warnings.warn(f"spinpot.load: {line}", stacklevel=2)
        results = self.predict(systems, batch_size, progress, uncertainty)
        return results[0] if single and len(results) == 1 else results

    def systems(
        self, sources: Iterable[Source], moments: str | None = None, moment_unit: str | None = None
    ) -> list[System]:
        """Read the systems of the sources, in the model's type map. Raises InputError like read_systems.

        moments, moment_unit: as in a call.
        """
        systems = []
        for index, source in enumerate(sources):
            systems += self._open(source, f"atoms {index}", moments, moment_unit)
        return systems

    def predict(
        self,
        systems: Sequence[System],
        batch_size: int = 8,
        progress: bool = False,
        uncertainty: bool = False,
    ) -> Predictions:
        """Predict systems that have the model's type map; otherwise like a call."""
        stream: Iterable[Predicted] = self.batches(systems, batch_size, uncertainty)
        if progress:
            frames = sum(len(system) for system in systems)
            stream = counted(stream, "Predicting", -(-frames // max(batch_size, 1)))
        return assemble(systems, (prediction for _, prediction in stream), uncertainty)

    def batches(
        self, systems: Iterable[System], batch_size: int = 8, uncertainty: bool = False
    ) -> Iterator[Predicted]:
        """Batches of frames with their predictions; only one batch is in memory at a time.

        Raises InputError if atoms overlap or an energy is not finite. Warns once of frames that differ from
        the training frames.
        """
        if batch_size < 1:
            raise InputError(f"batch_size={batch_size}: expected at least 1 frame.")
        for batch in batches(self._frames(systems), self.geometry, batch_size):
            yield batch, self.evaluate(batch, uncertainty)

    def evaluate(
        self, batch: Batch, uncertainty: bool = False, energy_alone: bool = False
    ) -> dict[str, Tensor]:
        """The prediction for a batch; raises and warns like `batches`."""
        self._check(batch)
        there = batch.to(self.potential.energy_bias.device)
        result = self.potential.energy(there) if energy_alone else self.potential(there)
        if uncertainty:
            result |= self.expected(there)
        prediction = {name: values.detach().double().cpu() for name, values in result.items()}
        _check_finite(prediction["energy"], batch)
        return prediction

    def knows_errors(self, systems: Iterable[System]) -> bool:
        """Whether the model predicts its own errors; tested with the first frame."""
        batch = collate([next(self._frames(systems))], self.geometry)
        return self.potential.uncertainty(batch.to(self.potential.energy_bias.device)) is not None

    def expected(self, batch: Batch) -> dict[str, Tensor]:
        """The errors that the model expects. Raises InputError if it cannot predict them."""
        if (found := self.potential.uncertainty(batch)) is None:
            raise InputError(
                f"uncertainty: this {self.spec.kind} model does not know its errors. Use a native_spin model "
                "that was fitted by least squares; or train several models of this kind and give all their "
                "checkpoints to spinpot evaluate or SpinCalculator, which report their deviation."
            )
        return found

    def _open(self, source: Source, name: str, moments: str | None, moment_unit: str | None) -> list[System]:
        if isinstance(source, str | Path):
            return read_systems([source], self.spec.type_map)
        if isinstance(source, Atoms):
            found = moments_of(source, name, moments, moment_unit)
            if found.others and self.watch.first("moments", found.source):
                others = " ".join(found.others)
                warnings.warn(
                    f"spinpot.load: {name}: moments from {found.source}, not from {others}.", stacklevel=4
                )
            return [self._renumbered(system_from_atoms(source, name, found.values))]
        if isinstance(source, System):
            return [self._renumbered(source)]
        raise TypeError(f"frames: expected System, path or ase.Atoms, not {type(source).__name__}")

    def _renumbered(self, system: System) -> System:
        """The system with its types renumbered to the model's type map."""
        known = self.spec.type_map
        present = [system.type_map[kind] for kind in np.unique(system.types)]
        if unknown := [name for name in present if name not in known]:
            raise InputError(
                f"{system.name}: holds {' '.join(unknown)} (its elements: {' '.join(present)}), which the "
                f"model does not know; it was trained for {' '.join(known)}. Leave out the system, or train "
                "a model with these elements."
            )
        table = np.array([known.index(name) if name in known else -1 for name in system.type_map])
        return replace(system, type_map=known, types=table[system.types])

    def _frames(self, systems: Iterable[System]) -> Iterator[Frame]:
        """The frames, made one by one when needed."""
        for part in (part for system in systems for part in parts(system)):
            self.spec.check(part)
            yield from make_frames([part])

    def _check(self, batch: Batch) -> None:
        _check_overlaps(batch, self.spec.type_map)
        found = Neighbours.of([batch], self.geometry)
        for most, origin in zip(found.most, found.origin, strict=True):
            alone = replace(found, most=most[None], origin=[origin])
            if (unlike := self.spec.unlike_training(alone)) and self.watch.first("unlike training"):
                warnings.warn(unlike, stacklevel=2)


def _check_overlaps(batch: Batch, type_map: Sequence[str]) -> None:
    """Raise InputError for overlapping atoms, like training; uses the neighbour list of the batch."""
    if min(batch.closest, default=OVERLAP) >= OVERLAP:
        return
    distance = batch.pair_vector.norm(dim=1).where(batch.pair_type < len(type_map), torch.inf)
    pair = int(distance.argmin())
    if float(distance[pair]) >= OVERLAP:
        return
    i, j = int(batch.pair_centre[pair]), int(batch.pair_neighbour[pair])
    frame = int(batch.frame[i])
    first = int(batch.n_atoms[:frame].sum())
    name, index = batch.origin[frame]
    elements = [type_map[kind] for kind in batch.types[first:]]
    place = f"{name}, frame {index}"
    raise overlapping(place, i - first, j - first, elements, float(distance[pair]))


def _check_finite(energy: Tensor, batch: Batch) -> None:
    wrong = (~energy.isfinite()).nonzero()
    if len(wrong):
        name, index = batch.origin[int(wrong[0])]
        raise InputError(
            f"{name}, frame {index}: the predicted energy is not finite. Either the frame is too far from "
            "the training frames (overlapping atoms?), or the training diverged: use another checkpoint."
        )


def assemble(
    systems: Sequence[System],
    predictions: Iterable[dict[str, Tensor]],
    uncertainty: bool = False,
    folder: Path | None = None,
) -> Predictions:
    """Collect the predictions for all frames, in their order, into arrays (F, …) and (F, N, …) per system.

    uncertainty: whether they include the expected errors. folder: for arrays that are too large for memory.
    """
    per_frame = PER_FRAME | (EXPECTED_PER_FRAME if uncertainty else {})
    per_atom = PER_ATOM | (EXPECTED_PER_ATOM if uncertainty else {})
    n_frames = sum(len(system) for system in systems)
    n_atoms = sum(len(system) * system.n_atoms for system in systems)
    flat = {name: roomy((n_frames, *shape), folder) for name, shape in per_frame.items()}
    flat |= {name: roomy((n_atoms, *shape), folder) for name, shape in per_atom.items()}
    filled = dict.fromkeys(flat, 0)
    for prediction in predictions:
        for name, values in flat.items():
            stop = filled[name] + len(prediction[name])
            values[filled[name] : stop] = prediction[name].numpy()
            filled[name] = stop

    results = Predictions()
    frame, atom = 0, 0
    for system in systems:
        f, n = len(system), system.n_atoms
        own = {name: flat[name][frame : frame + f] for name in per_frame}
        own |= {name: flat[name][atom : atom + f * n].reshape(f, n, *per_atom[name]) for name in per_atom}
        results.append(Prediction(own))
        frame, atom = frame + f, atom + f * n
    return results
