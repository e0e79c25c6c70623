"""Evaluates a model by two calls of the compiled kernels (spinpot.kernels): the forward and backward pass."""

import ctypes
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from ctypes import byref, c_int64, c_void_p
from typing import Any, ClassVar, cast

import torch
from torch import Tensor

from spinpot import kernels
from spinpot.core.differentiable_once import differentiable_once
from spinpot.data.batch import Batch
from spinpot.kernels.interface import structure
from spinpot.models.derivatives import Derivatives

DERIVATIVES = structure("spinpot_derivatives")
OF_BATCH = (
    *("atom_order", "frame", "type_sizes"),
    *("pair_start", "pair_neighbour", "pair_type", "neighbour_counts"),
)
"""Attributes of a batch that every model's struct has under the same name."""


class Call(ABC):
    """A batch and the weights in the form of the kernels.

    name: as in the functions' names, spinpot_NAME_forward and so on. given: their struct. like: a tensor with
    dtype and device of the outputs. weights: in the order of the gradients.
    """

    name: ClassVar[str]

    def __init__(self, given: Any, like: Tensor, weights: Sequence[Tensor]) -> None:
        self.library: Any = kernels.library()
        self.kept = c_void_p()
        self.given, self.like, self.weights = given, like, weights

    @abstractmethod
    def into(self, gradients: Sequence[Tensor]) -> Sequence[Any]:
        """The last arguments of the backward pass: pointers to the gradients of the weights."""

    def forward(self, keep: bool) -> tuple[Tensor, ...]:
        """Energies of atoms (A,), force, magnetic force (A, 3) and virial (F, 3, 3).

        keep: whether `backward` will be called.
        """
        found = room_for_derivatives(self.given, self.like)
        self._run("forward", byref(self.given), outputs(found), byref(self.kept) if keep else None)
        return found

    def energies(self) -> Tensor:
        """Energies of atoms (A,), float64, without the cost of derivatives."""
        found = self.like.new_empty(self.given.atoms)
        self._run("forward", byref(self.given), outputs((found,)), None)
        return found.double()

    def backward(self, by_outputs: Sequence[Tensor]) -> list[Tensor]:
        """Gradients of the weights, in the order of the weights."""
        by = [gradient.contiguous() for gradient in by_outputs]
        found = [torch.empty_like(weight, memory_format=torch.contiguous_format) for weight in self.weights]
        self._run("backward", self.kept, outputs(by), *self.into(found))
        return found

    def derivatives(self, differentiable: bool) -> Derivatives:
        """Energies and their derivatives; differentiable: once more, with respect to the weights."""
        if not differentiable:
            energy, *derivatives = self.forward(keep=False)
        else:
            energy, *derivatives = cast(tuple[Tensor, ...], _Compiled.apply(self, *self.weights))  # type: ignore[no-untyped-call]
        return Derivatives(energy.double(), *derivatives)

    def _run(self, function: str, *arguments: Any) -> None:
        kernels.checked(getattr(self.library, f"spinpot_{self.name}_{function}")(*arguments))

    def __del__(self) -> None:
        if getattr(self, "kept", None):
            getattr(self.library, f"spinpot_{self.name}_free")(self.kept)


class _Compiled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, call: Call, *weights: Tensor) -> tuple[Tensor, ...]:
        ctx.call = call
        ctx.save_for_backward(*weights)  # torch checks that they do not change
        return call.forward(keep=True)

    @staticmethod
    @differentiable_once
    def backward(ctx: Any, *by_outputs: Tensor) -> tuple[Any, ...]:
        assert ctx.saved_tensors
        return None, *ctx.call.backward(by_outputs)


def of_batch(batch: Batch, dtype: torch.dtype) -> dict[str, Any]:
    """Sizes and arrays of a batch by their names in every model's struct; dtype: of vectors and moments."""
    return {
        **{name: getattr(batch, name) for name in OF_BATCH},
        "vector": batch.pair_vector.to(dtype),
        "spin": batch.spin.to(dtype),
        "atoms": len(batch.types),
        "frames": batch.n_frames,
        "pairs": len(batch.pair_type),
        "threads": torch.get_num_threads(),
    }


def filled(struct: Any, values: Mapping[str, Any]) -> Any:
    """The struct with fields set to numbers, texts, tensors, and lists of whole numbers or of tensors.

    It keeps the arrays alive that it points to.
    """
    struct.kept = kept = list[Any]()
    for name, value in values.items():
        place = value
        if isinstance(value, Tensor):
            kept.append(value.contiguous())
            place = kept[-1].data_ptr()
        elif isinstance(value, list):
            dense: list[Any] = [own.contiguous() if isinstance(own, Tensor) else own for own in value]
            array = (
                pointers(dense) if dense and isinstance(dense[0], Tensor) else (c_int64 * len(dense))(*dense)
            )
            kept += (dense, array)
            place = ctypes.addressof(array)
        elif isinstance(value, str):
            place = value.encode()
        setattr(struct, name, place)
    return struct


def room_for_derivatives(given: Any, like: Tensor) -> tuple[Tensor, ...]:
    """Empty arrays for the energies of a struct's atoms and their derivatives."""
    new, atoms = like.new_empty, given.atoms
    return new(atoms), new(atoms, 3), new(atoms, 3), new(given.frames, 3, 3)


def outputs(tensors: Sequence[Tensor]) -> Any:
    """Pointers to the outputs; null for outputs beyond the given tensors."""
    return byref(DERIVATIVES(*map(Tensor.data_ptr, tensors)))


def pointers(tensors: Sequence[Tensor]) -> Any:
    """Pointers to the tensors; null for empty ones."""
    return (c_void_p * len(tensors))(*(tensor.data_ptr() or None for tensor in tensors))


def widths(weights: Sequence[Tensor]) -> list[int]:
    """Widths of the input and of each layer of nets; weights: three per layer."""
    own = weights[::3]
    return [own[0].shape[-2], *(weight.shape[-1] for weight in own)]
