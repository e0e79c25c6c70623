"""Adam with a compiled step, and the matrix optimizers Muon and SOAP."""

import ctypes
import math
from array import array
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.adam import adam

from spinpot import kernels

QUINTIC = (3.4445, -4.7750, 2.0315)
"""a, b, c of x ← ax + bx³ + cx⁵. Five iterations bring singular values in 1e-3…1 to 0.7…1.2."""


class Adam(torch.optim.Adam):
    """torch's Adam with a compiled step on the CPU: one call for all parameters.

    State and settings are torch's. Settings, dtypes and devices that the compiled step does not support use
    torch's step.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step with the current gradients; returns the result of the closure."""
        loss = _called(closure)
        own = kernels.library()
        # torch's GradScaler sets these attributes to let the optimizer unscale the gradients.
        scaled = any(getattr(self, name, None) is not None for name in ("grad_scale", "found_inf"))
        if own is None or scaled or not all(map(_is_plain, self.param_groups)):
            _without_hooks(torch.optim.Adam.step)(self)
            return loss
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            if not all(self.state[p] for p in params):
                self._init_group(group, *([] for _ in range(6)))  # type: ignore[no-untyped-call]
            state = [[self.state[p][name] for p in params] for name in STATE]
            _step(own, group, [params, [p.grad.contiguous() for p in params], *state])
        return loss

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Like torch's, without its overhead."""
        if not set_to_none:
            super().zero_grad(set_to_none)
        for group in self.param_groups if set_to_none else ():
            for p in group["params"]:
                p.grad = None


STATE = ("exp_avg", "exp_avg_sq", "step")


def _step(own: ctypes.CDLL, group: dict[str, Any], of_all: list[list[Tensor]]) -> None:
    """Update parameters by Adam's formula. of_all: lists of parameters, gradients, and each entry of STATE.

    Raises RuntimeError unless the tensors of each parameter have its size and dtype and are on the CPU.
    """
    given = list(chain(*of_all))
    dense = given if all(map(Tensor.is_contiguous, given)) else [tensor.contiguous() for tensor in given]
    n, looks = len(of_all[0]), [(tensor.numel(), tensor.dtype, tensor.is_cpu) for tensor in dense]
    if looks != [*looks[:n] * 4, *[(1, torch.float32, True)] * n]:
        raise RuntimeError(
            "expected gradients and means with the size and dtype of their parameters, and steps in float32"
        )
    tables = (
        array("q", map(Tensor.data_ptr, dense)),
        array("q", [size for size, _, _ in looks[:n]]),
        array("b", [dtype == torch.float32 for _, dtype, _ in looks[:n]]),
    )
    places = [table.buffer_info()[0] for table in tables]
    settings = (group["lr"], *group["betas"], group["eps"])
    kernels.checked(own.spinpot_adam_step(*places, n, *settings, torch.get_num_threads()))
    if dense is not given:
        for tensor, changed in zip(given, dense, strict=True):
            if changed is not tensor:
                tensor.copy_(changed)
    torch.autograd.graph.increment_version(given[:n] + given[2 * n :])


def _without_hooks(step: Callable[..., Any]) -> Callable[..., Any]:
    """The undecorated `step`: the subclass's hooks have already run."""
    return step.__wrapped__ if getattr(step, "hooked", False) else step  # type: ignore[attr-defined]


def _called(closure: Callable[[], Any] | None) -> Any:
    """The result of a closure, called with gradients enabled; None without a closure."""
    if closure is None:
        return None
    with torch.enable_grad():
        return closure()


def _is_plain(group: dict[str, Any]) -> bool:
    """Whether the settings of a group are those of plain fused Adam, which the compiled step supports."""
    more = ("amsgrad", "maximize", "differentiable", "capturable", "weight_decay")
    if not group["fused"] or not isinstance(group["lr"], float) or any(group[name] for name in more):
        return False
    return all(p.is_cpu and p.dtype in (torch.float64, torch.float32) for p in group["params"])


class MatrixOptimizer(Optimizer):
    """Base class: a subclass steps the matrices, Adam steps all other parameters.

    A tensor (K, n, m) holds K matrices. Adam steps vectors, and matrices with one row or column. settings: of
    the matrices' parameter group. capturable: whether a CUDA graph can record the steps, with tensors as
    learning rates.
    """

    capturable = False

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        lr: float,
        betas: tuple[float, float],
        eps: float,
        **settings: Any,
    ) -> None:
        _check(lr, betas)
        params = list(params)
        matrices, others = ([p for p in params if _is_matrix(p) == wanted] for wanted in (True, False))
        both = {"betas": tuple(betas), "eps": eps}
        groups: list[dict[str, Any]] = [
            {"params": matrices, "matrices": True, **both, **settings},
            {"params": others, "matrices": False, **both, "fused": True},
        ]
        super().__init__([group for group in groups if group["params"]], {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step with the current gradients; returns the result of the closure."""
        loss = _called(closure)
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            if group["matrices"]:
                for p in params:
                    assert p.grad is not None
                    self.step_matrix(p, p.grad, self.state[p], group)
            else:
                self._step_others(params, group)
        return loss

    def step_matrix(self, p: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        """Update p (…, n, m) in place. The state is empty at first and may hold tensors only."""
        raise NotImplementedError

    def _step_others(self, params: list[nn.Parameter], group: dict[str, Any]) -> None:
        for p in params:
            if not self.state[p]:
                self.state[p]["step"] = torch.zeros((), dtype=torch.float32, device=p.device)
                self.state[p].update({name: torch.zeros_like(p) for name in ("exp_avg", "exp_avg_sq")})
        states = [self.state[p] for p in params]
        adam(
            cast(list[Tensor], params),
            [p.grad for p in params if p.grad is not None],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            fused=True,
            amsgrad=False,
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=group["lr"],
            weight_decay=0.0,
            eps=group["eps"],
            maximize=False,
        )


class Muon(MatrixOptimizer):
    """W (n, m) changes by −lr·0.2·√max(n, m)·UVᵀ, where UΣVᵀ is the momentum of its gradient.

    With this factor a step has the same mean square as a step of Adam, so both can use the same lr
    (K. Jordan et al., Muon, 2024; J. Liu et al., arXiv:2502.16982).
    """

    capturable = True

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        lr: float = 1e-3,
        momentum: float = 0.95,
        iterations: int = 5,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        if not 0.0 <= momentum < 1.0:
            raise ValueError(f"momentum={momentum} must lie in [0, 1)")
        if iterations < 1:
            raise ValueError(f"iterations={iterations} must be at least 1")
        super().__init__(params, lr, betas, eps, momentum=momentum, iterations=iterations)

    def step_matrix(self, p: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        """Step along the orthogonal factor of the Nesterov momentum."""
        if not state:
            state["momentum"] = torch.zeros_like(p)
        mean = state["momentum"].lerp_(gradient, 1.0 - group["momentum"])
        ahead = torch.lerp(gradient, mean, group["momentum"])
        size = 0.2 * math.sqrt(max(p.shape[-2:]))
        p.sub_(orthogonal(ahead, group["iterations"]).mul_(group["lr"] * size))


class Soap(MatrixOptimizer):
    """Adam in the eigenbases of the mean GGᵀ and GᵀG of the gradients G (N. Vyas et al., arXiv:2409.11321).

    Sides longer than `longest` are not rotated. The means decay with betas[1], like the mean square. One
    orthogonal iteration updates the bases every `every` steps.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.95, 0.95),
        eps: float = 1e-8,
        every: int = 10,
        longest: int = 300,
    ) -> None:
        if every < 1:
            raise ValueError(f"every={every} must be at least 1")
        super().__init__(params, lr, betas, eps, every=every, longest=longest)

    def step_matrix(self, p: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        """Make Adam's step in the eigenbases and rotate it back; the momentum is kept unrotated."""
        beta1, beta2 = group["betas"]
        if not state:
            state.update({name: torch.zeros_like(p) for name in ("exp_avg", "exp_avg_sq")})
            state["step"] = torch.zeros(())  # on the host, where it is read
        _follow(state, gradient, group)
        state["step"] += 1
        steps = int(state["step"])
        rotated = _rotated(gradient, state)
        state["exp_avg"].lerp_(gradient, 1.0 - beta1)
        state["exp_avg_sq"].lerp_(rotated.square(), 1.0 - beta2)
        root = (state["exp_avg_sq"] / (1.0 - beta2**steps)).sqrt_().add_(group["eps"])
        step = _rotated(state["exp_avg"], state) / root.mul_(1.0 - beta1**steps)
        p.add_(_rotated(step, state, back=True), alpha=-group["lr"])


def _follow(state: dict[str, Any], gradient: Tensor, group: dict[str, Any]) -> None:
    """Add a gradient to the mean Gram matrices; update the bases every `every` steps."""
    for side, x in (("left", gradient), ("right", gradient.mT)):
        if x.shape[-2] > group["longest"]:
            continue
        gram = x @ x.mT
        if f"{side}_mean" not in state:
            state[f"{side}_mean"] = gram
            state[f"{side}_basis"] = torch.linalg.eigh(gram).eigenvectors
            continue
        mean = state[f"{side}_mean"].lerp_(gram, 1.0 - group["betas"][1])
        if int(state["step"]) % group["every"] == 0:
            state[f"{side}_basis"] = torch.linalg.qr(mean @ state[f"{side}_basis"]).Q


def _rotated(x: Tensor, state: dict[str, Any], back: bool = False) -> Tensor:
    """QₗᵀXQᵣ, or with `back` QₗXQᵣᵀ; a side without a basis is not rotated."""
    left, right = state.get("left_basis"), state.get("right_basis")
    if left is not None:
        x = (left if back else left.mT) @ x
    if right is not None:
        x = x @ (right.mT if back else right)
    return x


def orthogonal(matrices: Tensor, iterations: int) -> Tensor:
    """Approximately UVᵀ of each matrix UΣVᵀ, (…, n, m) → (…, n, m): iterates QUINTIC on the singular values.

    The iterations X ← P(XXᵀ)X use the smaller Gram matrix and accumulate the polynomials P, so that the long
    side enters only two products. They run in float32, which is enough for a direction.
    """
    # Scale the elements to about one: the norm of the Gram matrix contains their fourth powers.
    largest = matrices.abs().amax(dim=(-2, -1), keepdim=True).clamp_min(torch.finfo(matrices.dtype).tiny)
    x = (matrices / largest).to(torch.float32)
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    gram = x @ x.mT
    # ‖XXᵀ‖ bounds the square of the largest singular value more closely than ‖X‖² does.
    norm = torch.linalg.matrix_norm(gram, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)
    gram = gram / norm
    product: Tensor | None = None
    for last in [False] * (iterations - 1) + [True]:
        a, b, c = QUINTIC
        polynomial = b * gram + c * (gram @ gram)
        polynomial.diagonal(dim1=-2, dim2=-1).add_(a)
        product = polynomial if product is None else polynomial @ product
        if not last:
            gram = polynomial @ gram @ polynomial
    assert product is not None
    result = product / norm.sqrt() @ x
    return cast(Tensor, result.mT if tall else result).to(matrices.dtype)


def _is_matrix(p: nn.Parameter) -> bool:
    return p.ndim >= 2 and min(p.shape[-2:]) > 1


def _check(lr: float, betas: tuple[float, float]) -> None:
    if lr < 0.0:
        raise ValueError(f"Invalid learning rate: {lr}")
    if len(betas) != 2 or not all(0.0 <= beta < 1.0 for beta in betas):
        raise ValueError(f"betas={list(betas)} must be two numbers in [0, 1)")
