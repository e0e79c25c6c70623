"""What a model is: all that training, evaluation, ASE and the tasks of `analyze` may ask of one."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import EllipsisType
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn

from spinpot.core.errors import InputError
from spinpot.data.batch import Batch
from spinpot.data.systems import System
from spinpot.models.derivatives import Derivatives
from spinpot.models.energy_bias import energy_bias
from spinpot.models.spec import Spec
from spinpot.models.start import TrainingLabels
from spinpot.models.training_facts import TrainingFacts

Upgrade = Callable[[dict[str, Any]], None]
"""Changes the contents of a checkpoint into those of the next version."""
Part = tuple[Sequence[nn.Parameter], int | EllipsisType]
"""Of each of some parameters one row, or all."""
Exporter = Callable[[Path, Mapping[str, Any], str | None], None]
"""Writes a model to a path; with what a foreign file held besides, and the Python of that program."""


@dataclass(frozen=True)
class InferencePart:
    """A part of the energy as the kernels evaluate it without Python (spinpot.models.model_file).

    kind: its name there. settings: plain data. arrays: float64, int64 or uint8.
    """

    kind: str
    settings: dict[str, Any]
    arrays: dict[str, Tensor] = field(default_factory=dict)


def refusal(reason: str | None) -> Exporter:
    """An exporter that says why it writes nothing."""

    def refuse(path: Path, *_: Any) -> None:
        raise InputError(f"{path}: {reason}")

    return refuse


class Prediction(dict[str, Tensor]):
    """Energy and derivatives under the names of core.conventions, frames laid one behind the other.

    energy (F,), atom_energy (A,), force (A, 3), force_mag (A, 3), virial (F, 3, 3).
    """


class Potential(nn.Module, ABC):
    """E(R, S) = Σ_i [E_i + bias_{t_i}] over the real atoms, and all first derivatives.

    A model of its own implements `derivatives`, and of the rest what differs from the defaults here;
    spinpot.models.registry says how it gets known. Wrappers (spinpot.models.wrapper) add to any model.

    seed: of the initial weights.
    spec_type: the class of its spec. version: of the stored form; upgrades: from each earlier one.
    facts: what its training frames covered; None where that is not known.
    not_exported: why other programs' files cannot hold any such model; None where some can.
    """

    spec_type: ClassVar[type[Spec]]
    version: ClassVar[int] = 1
    upgrades: ClassVar[Mapping[int, Upgrade]] = {}
    not_exported: ClassVar[str | None] = None
    energy_bias: Tensor
    facts: TrainingFacts | None = None

    def __init__(self, spec: Spec, seed: int = 0) -> None:
        super().__init__()
        self.spec = spec
        self.register_buffer("energy_bias", torch.zeros(len(spec.type_map), dtype=torch.float64))

    @abstractmethod
    def derivatives(self, batch: Batch, differentiable: bool) -> Derivatives:
        """Energies of atoms, without the bias, and their derivatives; as in `forward`."""

    def energies(self, batch: Batch) -> Tensor:
        """Those of `derivatives` alone (A,), not to be differentiated; for less, where a model can."""
        return self.derivatives(batch, differentiable=False).atom_energy

    @torch.no_grad()
    def energy(self, batch: Batch) -> Prediction:
        """Only energy and atom_energy of the prediction for a batch."""
        return Prediction(self._with_bias(batch, self.energies(batch)))

    def _with_bias(self, batch: Batch, atom_energy: Tensor) -> dict[str, Tensor]:
        atom_energy = atom_energy + self.energy_bias[batch.types]
        energy = atom_energy.new_zeros(batch.n_frames).index_add(0, batch.frame, atom_energy)
        return {"energy": energy, "atom_energy": atom_energy}

    def forward(self, batch: Batch, differentiable: bool = False) -> Prediction:
        """The prediction for a batch.

        With `differentiable` it can be differentiated with respect to the weights, as training needs.
        """
        with torch.set_grad_enabled(differentiable):
            found = self.derivatives(batch, differentiable)
            energies = self._with_bias(batch, found.atom_energy)
        return Prediction({**vars(found), **energies})

    def set_precision(self, dtype: torch.dtype) -> Self:
        """Cast the networks; the energy bias and all sums over atoms stay in float64."""
        for part in self.children():
            part.to(dtype)
        return self

    def set_statistics(self, batches: Iterable[Batch], systems: Sequence[System]) -> None:
        """Take from the training frames what is not trained, first of all the energy bias.

        batches: of all of them, made as they are asked for.
        """
        self.energy_bias.copy_(torch.from_numpy(energy_bias(systems)))

    def uncertainty(self, batch: Batch) -> dict[str, Tensor] | None:
        """What errors are to be expected, under the names of core.conventions; None where it is not known.

        energy_sigma (F,), eV/atom; force_sigma (A,), eV/Å, and force_mag_sigma (A,), eV/μ_B, per component;
        leverage (A,), without unit: how far an atom's forces are from those of training, about 1 there.
        """
        return None

    def features(self, batch: Batch) -> Tensor | None:
        """What the model knows of each atom, (A, …): to compare atoms by. None if it has no such thing."""
        return None

    def cover(self, closest: np.ndarray) -> None:
        """Prepare for frames whose closest neighbours of the centres of each element (T,) are so near, Å."""

    def start(self, labels: TrainingLabels) -> list[str] | None:
        """Begin as what can be fitted to the labels at once, if there is such a thing (Spec.has_start).

        Lines on what is odd about it; None where nothing was done.
        """
        return None

    def end(self, labels: TrainingLabels) -> None:
        """Fit again what is not trained to the last weights of a run, before they are validated."""

    def begin_at_zero(self) -> None:
        """Let the energies of `derivatives` be zero, so that training starts as a wrapper alone."""
        raise InputError(
            f"model.exchange begins with a model that gives zero, and {self.spec.kind} cannot. Use "
            "model/exchange=none."
        )

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps of it beside spec and weights, plain data."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state`."""

    def reordered(self, type_map: Sequence[str]) -> "Potential":
        """The same potential for a type map that lists the same elements in another order, in float64."""
        if tuple(type_map) == self.spec.type_map:
            return self
        raise InputError(
            f"A {self.spec.kind} model keeps the order of its elements. Give "
            f"data.type_map=[{','.join(self.spec.type_map)}]."
        )

    def watched_parameters(self) -> list[nn.Parameter]:
        """Parameters whose gradients are finite only if all are."""
        return list(self.parameters())

    def parts(self) -> dict[str, Part]:
        """The parts whose gradients have a norm of their own, by name."""
        return {}

    def evaluation(self) -> str:
        """How it is evaluated here, in a word."""
        return "torch"

    def settle(self, batch: Batch, averaged: bool = False) -> str | None:
        """Fit approximations to the weights as they are, by some training frames; what is wrong even so.

        averaged: whether validations see an average of the weights so far.
        """
        return None

    def settled_in(self, model: Mapping[str, Any]) -> bool:
        """Whether the run of a checkpoint, whose spec is given as as_dict, has settled it."""
        return True

    def not_recorded(self) -> str | None:
        """Why a step cannot be recorded as a CUDA graph, in words; None if it can."""
        return None

    def record_key(self) -> str:
        """What a recorded step holds for: another one, and it is stale."""
        return ""

    def record_reads(self, elements: Sequence[int], closest: list[float]) -> object:
        """What a step recorded for structures of some elements reads, and must keep alive."""
        return None

    def approximation(self, batch: Batch) -> dict[str, Any]:
        """Entries for summary.json about approximations, by a validation batch; printed as well."""
        return {}

    def exporters(self) -> dict[str, Exporter]:
        """Other programs' files it can be written as, by their suffixes."""
        return {}

    def inference(self) -> list[InferencePart]:
        """The parts that add up to it, without time reversal and the energy bias, for a model file.

        Raises InputError where the kernels cannot evaluate it.
        """
        raise InputError(
            f"A model of the kind {self.spec.kind} cannot be written as a model file: it does not say what "
            "the kernels are to evaluate (Potential.inference). Use its checkpoint, by spinpot.load or "
            "spinpot.ase."
        )

    def n_parameters(self) -> int:
        """How many numbers are trained."""
        return sum(weight.numel() for weight in self.parameters() if weight.requires_grad)

    def describe(self) -> dict[str, Any]:
        """What shapes it and how many parameters it has, as plain data."""
        return {**self.spec.as_dict(), "parameters": self.n_parameters()}


@dataclass(frozen=True)
class ModelFile:
    """A potential, and what the file of another program held beside it: plain data and tensors."""

    potential: Potential
    rest: dict[str, Any]
