"""D = T Tᵀ[:, :axis] of every atom, and ∂E/∂T from ∂E/∂D, both differentiable once."""

from typing import Any, cast

import torch
from torch import Tensor


def contract(T: Tensor, axis: int) -> Tensor:
    """T (A, 4, M) → D (A, M·axis), D_mk = Σ_c T_cm T_ck, k < axis."""
    return cast(Tensor, _Contract.apply(T, axis))  # type: ignore[no-untyped-call]


def pull_back(T: Tensor, by_D: Tensor, axis: int) -> Tensor:
    """∂E/∂T (A, 4, M) from ∂E/∂D (A, M·axis)."""
    return cast(Tensor, _PullBack.apply(T, by_D, axis))  # type: ignore[no-untyped-call]


def _product(T: Tensor, u: Tensor | None, axis: int) -> Tensor:
    """Σ_c T_cm T_ck; with u, its change along u: Σ_c (u_cm T_ck + T_cm u_ck)."""
    if u is None:
        return torch.bmm(T.transpose(1, 2), T[:, :, :axis]).flatten(1)
    half = torch.bmm(u.transpose(1, 2), T[:, :, :axis])
    return half.baddbmm_(T.transpose(1, 2), u[:, :, :axis]).flatten(1)


def _pull_back(T: Tensor, by_D: Tensor, axis: int) -> Tensor:
    by_D = by_D.view(len(T), T.shape[2], axis)
    by_T = torch.bmm(T[:, :, :axis], by_D.transpose(1, 2))
    by_T[:, :, :axis] += torch.bmm(T, by_D)
    return by_T


class _Contract(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, T: Tensor, axis: int) -> Tensor:
        T = T.contiguous()
        ctx.save_for_backward(T)
        ctx.axis = axis
        return _product(T, None, axis)

    @staticmethod
    def backward(ctx: Any, *by_D: Tensor) -> tuple[Tensor, None]:
        (T,) = ctx.saved_tensors
        return _pull_back(T, by_D[0].contiguous(), ctx.axis), None


class _PullBack(torch.autograd.Function):
    """Bilinear in T and ∂E/∂D."""

    @staticmethod
    def forward(ctx: Any, T: Tensor, by_D: Tensor, axis: int) -> Tensor:
        T, by_D = T.contiguous(), by_D.contiguous()
        ctx.save_for_backward(T, by_D)
        ctx.axis = axis
        return _pull_back(T, by_D, axis)

    @staticmethod
    def backward(ctx: Any, *by_result: Tensor) -> tuple[Tensor, Tensor, None]:
        T, by_D = ctx.saved_tensors
        u = by_result[0].contiguous()
        return _pull_back(u, by_D, ctx.axis), _product(T, u, ctx.axis), None
