"""A trained potential to be called with frames of any kind: numpy arrays out, nothing to set up."""

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
"""What frames can come from."""

Arrays = dict[str, np.ndarray]
Predicted = tuple[Batch, dict[str, Tensor]]


def load(path: str | Path, device: str | torch.device = "cpu", dtype: torch.dtype | None = None) -> Predictor:
    """The potential of a checkpoint, a model file or a model of deepmd-kit; see `spinpot.load`."""
    dtype = dtype or torch.float64
    if dtype not in (torch.float32, torch.float64):
        raise InputError(f"dtype={dtype}: expected torch.float64 or torch.float32.")
    path = Path(path).expanduser()
    potential = read_model(path).potential
    return Predictor(potential.set_precision(dtype).to(device))


class Predictor:
    """A potential that takes frames as they come: `spinpot.load("best.ckpt")("data/validation")`.

    Elements are known by their names, whatever the order in the frames' own type map. A call warns once of
    moments that the model ignores or has not seen in its training.
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
        """Energies and their derivatives, float64, under the names of spinpot.core.conventions.

        frames: a System, a folder of frames in any layout that training reads, or an ase.Atoms with vectors
            as moments (`spin`, a calculator's magmoms, or initial ones); or a list of these.
        batch_size: frames at once; it changes speed and memory, not the results.
        progress: show a progress bar.
        moments: the array of ase.Atoms that holds the moments, where several disagree. moment_unit: `mu_B` or
            `direction`, of unit vectors beside an array of lengths.
        uncertainty: also the errors that the model expects, energy_sigma, force_sigma, force_mag_sigma, and
            leverage; for models that know them (model=native_spin).

        For one system a mapping with energy (F,) eV, atom_energy (F, N) eV, force (F, N, 3) eV/Å, force_mag
        (F, N, 3) eV/μ_B and virial (F, 3, 3) eV, which are attributes too; a list of them for a list, and
        for a folder that holds several systems, of which a name gives the list of each system's.
        Raises InputError for frames the model cannot be used on.
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
        """The sources' systems under the model's type map. Raises InputError, as read_systems does.

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
        """As a call, for systems under the model's type map."""
        stream: Iterable[Predicted] = self.batches(systems, batch_size, uncertainty)
        if progress:
            frames = sum(len(system) for system in systems)
            stream = counted(stream, "Predicting", -(-frames // max(batch_size, 1)))
        return assemble(systems, (prediction for _, prediction in stream), uncertainty)

    def batches(
        self, systems: Iterable[System], batch_size: int = 8, uncertainty: bool = False
    ) -> Iterator[Predicted]:
        """Each batch of frames and what the potential gives for it, one batch in memory at a time.

        Raises InputError where atoms lie on top of each other and where the energy is not finite. Warns
        once of frames that differ from those of training.
        """
        if batch_size < 1:
            raise InputError(f"batch_size={batch_size}: expected at least 1 frame.")
        for batch in batches(self._frames(systems), self.geometry, batch_size):
            yield batch, self.evaluate(batch, uncertainty)

    def evaluate(
        self, batch: Batch, uncertainty: bool = False, energy_alone: bool = False
    ) -> dict[str, Tensor]:
        """What the potential gives for a batch; raises and warns as `batches`."""
        self._check(batch)
        there = batch.to(self.potential.energy_bias.device)
        result = self.potential.energy(there) if energy_alone else self.potential(there)
        if uncertainty:
            result |= self.expected(there)
        prediction = {name: values.detach().double().cpu() for name, values in result.items()}
        _check_finite(prediction["energy"], batch)
        return prediction

    def knows_errors(self, systems: Iterable[System]) -> bool:
        """Whether the model says what errors it expects, by the first frame."""
        batch = collate([next(self._frames(systems))], self.geometry)
        return self.potential.uncertainty(batch.to(self.potential.energy_bias.device)) is not None

    def expected(self, batch: Batch) -> dict[str, Tensor]:
        """The errors that the model expects. Raises InputError if it does not know them."""
        found = self.potential.uncertainty(batch)
        if found is None:
            raise InputError(
                f"uncertainty: this {self.spec.kind} model does not know its errors. A native_spin model "
                "does, after its least squares. Of other kinds train several: spinpot evaluate with a list "
                "as checkpoint, and SpinCalculator with one, give their deviations."
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
        """The system under the model's type map."""
        known = self.spec.type_map
        present = [system.type_map[kind] for kind in np.unique(system.types)]
        unknown = [name for name in present if name not in known]
        if unknown:
            raise InputError(
                f"{system.name}: holds {' '.join(unknown)} (its elements: {' '.join(present)}), which the "
                f"model does not know; it was trained for {' '.join(known)}. Leave the system out, or train "
                "a model with it."
            )
        table = np.array([known.index(name) if name in known else -1 for name in system.type_map])
        return replace(system, type_map=known, types=table[system.types])

    def _frames(self, systems: Iterable[System]) -> Iterator[Frame]:
        """The frames, each made when it is needed."""
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
    """Refuse atoms on top of each other, as training does, by the pairs that are known already."""
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
            f"{name}, frame {index}: the model gives no finite energy. Either the frame is far from any it "
            "can stand for (atoms on top of each other?), or its training diverged: use another checkpoint."
        )


def assemble(
    systems: Sequence[System],
    predictions: Iterable[dict[str, Tensor]],
    uncertainty: bool = False,
    folder: Path | None = None,
) -> Predictions:
    """Predictions for all frames of the systems, in their order, as arrays (F, …) and (F, N, …) of each.

    uncertainty: whether they have the errors that the model expects. folder: for those that are many.
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
