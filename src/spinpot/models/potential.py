"""The interface of a model: everything that training, evaluation, ASE and `analyze` use."""

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
"""Converts the contents of a checkpoint to the next version of the model."""
Part = tuple[Sequence[nn.Parameter], int | EllipsisType]
"""Parameters of a part, and which row of each belongs to it (...: all rows)."""
Prediction = dict[str, Tensor]
"""By the names in core.conventions, with frames concatenated.

energy (F,), atom_energy (A,), force (A, 3), force_mag (A, 3), virial (F, 3, 3).
"""
Exporter = Callable[[Path, Mapping[str, Any], str | None], None]
"""Writes a model: takes the path, the rest of the original foreign file, and that program's Python."""


@dataclass(frozen=True)
class InferencePart:
    """A part of the energy that the kernels evaluate without Python (spinpot.models.model_file).

    kind: the kernels' name of it. settings: plain data. arrays: float64, int64 or uint8.
    """

    kind: str
    settings: dict[str, Any]
    arrays: dict[str, Tensor] = field(default_factory=dict)


def refusal(reason: str | None) -> Exporter:
    """An exporter that raises InputError with the reason."""

    def refuse(path: Path, *_: Any) -> None:
        raise InputError(f"{path}: {reason}")

    return refuse


class Potential(nn.Module, ABC):
    """E(R, S) = Σ_i [E_i + bias_{t_i}] over the real atoms, and all first derivatives.

    A new model implements `derivatives` and overrides the defaults that do not fit; spinpot.models.registry
    explains how to register it. Wrappers (spinpot.models.wrapper) extend any model.

    seed: of the initial weights.
    spec_type: the class of its spec. version: of the stored form. upgrades: {earlier version: upgrade}.
    facts: the range of its training frames; None if unknown.
    not_exported: why no other program's file can hold this kind of model; None if one can.
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
        """Energies of atoms without the bias, and their derivatives; differentiable: as in `forward`."""

    def energies(self, batch: Batch) -> Tensor:
        """Energies of atoms (A,) without the bias, not differentiable; override it if this can be cheaper."""
        return self.derivatives(batch, differentiable=False).atom_energy

    @torch.no_grad()
    def energy(self, batch: Batch) -> Prediction:
        """The prediction for a batch, with energy and atom_energy only."""
        return self._with_bias(batch, self.energies(batch))

    def _with_bias(self, batch: Batch, atom_energy: Tensor) -> Prediction:
        atom_energy = atom_energy + self.energy_bias[batch.types]
        energy = atom_energy.new_zeros(batch.n_frames).index_add(0, batch.frame, atom_energy)
        return {"energy": energy, "atom_energy": atom_energy}

    def forward(self, batch: Batch, differentiable: bool = False) -> Prediction:
        """The prediction for a batch.

        differentiable: it can be differentiated with respect to the weights, as training needs.
        """
        with torch.set_grad_enabled(differentiable):
            found = self.derivatives(batch, differentiable)
            energies = self._with_bias(batch, found.atom_energy)
        return {**vars(found), **energies}

    def set_precision(self, dtype: torch.dtype) -> Self:
        """Cast the networks; the energy bias and all sums over atoms stay in float64."""
        for part in self.children():
            part.to(dtype)
        return self

    def set_statistics(self, batches: Iterable[Batch], systems: Sequence[System]) -> None:
        """Set everything that is not trained, such as the energy bias, from the training frames.

        batches: of all training frames, made on demand.
        """
        self.energy_bias.copy_(torch.from_numpy(energy_bias(systems)))

    def uncertainty(self, batch: Batch) -> dict[str, Tensor] | None:
        """Expected errors, by the names in core.conventions; None if unknown.

        energy_sigma (F,), eV/atom; force_sigma (A,), eV/Å, and force_mag_sigma (A,), eV/μ_B, per component;
        leverage (A,), dimensionless: the distance of an atom from the training data, about 1 within them.
        """
        return None

    def drawn(self, generator: torch.Generator) -> "Potential | None":
        """A copy with weights drawn from their posterior; None if it is unknown."""
        return None

    def features(self, batch: Batch) -> Tensor | None:
        """A feature vector of each atom, (A, …), to compare atoms by; None if the model has none."""
        return None

    def cover(self, closest: np.ndarray) -> None:
        """Prepare for frames whose closest neighbours, for each centre element (T,), are this close, Å."""

    def start(self, labels: TrainingLabels) -> list[str] | None:
        """Initialise the model by a direct fit to the labels, if it has one (Spec.has_start).

        Returns warnings about the fit; None if nothing was fitted.
        """
        return None

    def end(self, labels: TrainingLabels) -> None:
        """Refit everything that is not trained to the final weights of a run, before their validation."""

    def begin_at_zero(self) -> None:
        """Make the energies of `derivatives` zero, so that training starts from a wrapper's term alone."""
        raise InputError(
            f"model.exchange needs a model that can start at zero energy, but {self.spec.kind} cannot. Use "
            "model/exchange=none."
        )

    def state(self) -> dict[str, Any]:
        """The data that a checkpoint stores beside spec and weights, plain data."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state`."""

    def reordered(self, type_map: Sequence[str]) -> "Potential":
        """The same potential for a type map that lists the same elements in another order, in float64."""
        if tuple(type_map) == self.spec.type_map:
            return self
        raise InputError(
            f"A {self.spec.kind} model cannot reorder its elements. Give "
            f"data.type_map=[{','.join(self.spec.type_map)}]."
        )

    def watched_parameters(self) -> list[nn.Parameter]:
        """Parameters whose gradients are finite only if all gradients are."""
        return list(self.parameters())

    def parts(self) -> dict[str, Part]:
        """{name: parameters} of the parts whose gradient norms are logged separately."""
        return {}

    def evaluation(self) -> str:
        """The name of the implementation that evaluates it, e.g. `compiled` or `torch`."""
        return "torch"

    def settle(self, batch: Batch, averaged: bool = False) -> str | None:
        """Adapt approximations to the present weights, by some training frames; returns a warning or None.

        averaged: whether validation uses an average of the weights.
        """
        return None

    def settled_in(self, model: Mapping[str, Any]) -> bool:
        """Whether the run of a checkpoint has called `settle`; model: the spec's as_dict."""
        return True

    def not_recorded(self) -> str | None:
        """Why a training step cannot be recorded as a CUDA graph; None if it can."""
        return None

    def record_key(self) -> str:
        """A key of the recorded step: when the key changes, the recording is stale."""
        return ""

    def record_reads(self, elements: Sequence[int], closest: list[float]) -> object:
        """Objects that a recorded step reads for structures of some elements; the step keeps them alive."""
        return None

    def approximation(self, batch: Batch) -> dict[str, Any]:
        """Entries of summary.json on approximations, measured on a validation batch; also printed."""
        return {}

    def exporters(self) -> dict[str, Exporter]:
        """{suffix: exporter} of the other programs' formats."""
        return {}

    def inference(self) -> list[InferencePart]:
        """The parts whose sum is the model without time reversal and energy bias, for a model file.

        Raises InputError if the kernels cannot evaluate the model.
        """
        raise InputError(
            f"A model of the kind {self.spec.kind} cannot be written as a model file: the kernels cannot "
            "evaluate it (it lacks Potential.inference). Use its checkpoint, by spinpot.load or "
            "spinpot.ase."
        )

    def n_parameters(self) -> int:
        """Number of trained parameters."""
        return sum(weight.numel() for weight in self.parameters() if weight.requires_grad)

    def describe(self) -> dict[str, Any]:
        """Its spec and number of parameters, as plain data."""
        return {**self.spec.as_dict(), "parameters": self.n_parameters()}


@dataclass(frozen=True)
class ModelFile:
    """A potential, and the rest of another program's file: plain data and tensors."""

    potential: Potential
    rest: dict[str, Any]
