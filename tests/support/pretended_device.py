"""Whole training steps on a device that only pretends: does a step ask the host for anything?

try_all prints each of CASES with `ok` or what went wrong. Tensors of the pretended device have shapes but no
numbers, so whoever wants a number fails; and so does what mixes it with the CPU or copies from there. A step
that passes can be recorded as a CUDA graph, as far as that can be said without a GPU.
"""

import dataclasses
import traceback
from dataclasses import replace

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

from spinpot import kernels
from spinpot.data.dataset import FrameDataset
from spinpot.data.resident import ResidentFrames, StreamedFrames
from spinpot.loss.ener_spin import EnerSpinLoss
from spinpot.loss.label_scale import LabelScale
from spinpot.models.exchange.settings import EXCHANGE_TERMS
from spinpot.training.cuda_graph import LoadedStep
from spinpot.training.optimizers import Muon
from spinpot.training.step import Objective, WholeStep
from support.frames import geometry, network, random_system, with_random_labels
from support.models import any_potential

NAME = "pretended"
PARTS = {
    "start_pref_fm": 0.0,
    "limit_pref_fm": 0.0,
    "start_pref_fm_transverse": 1.0,
    "limit_pref_fm_longitudinal": 1.0,
}
CASES = {
    "default": ({}, {}),
    "exchange": ({"exchange": EXCHANGE_TERMS}, {}),
    "two magnetic elements": ({"exchange": EXCHANGE_TERMS, "use_spin": (True, True)}, {}),
    "time reversal": ({"time_reversal": True}, {}),
    "one side": ({"type_one_side": True}, {}),
    "idt": ({"resnet_dt": True, "fitting_net": {"resnet_dt": True}}, {}),
    "silut": ({"activation_function": "gelu", "fitting_net": {"activation_function": "silut:3"}}, {}),
    "huber, parts": ({}, {"loss_func": "huber", **PARTS}),
    "label scale": ({}, {"label_scale_fm": "learned"}),
    "native spins": ({"kind": "native_spin", "groups": "all"}, {}),
    "native spins, exchange": ({"kind": "native_spin", "exchange": EXCHANGE_TERMS}, PARTS),
}


class SameDevice(TorchDispatchMode):
    """Refuses what touches tensors of another device."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        tensors = [leaf for leaf in tree_leaves((args, kwargs, result)) if isinstance(leaf, torch.Tensor)]
        assert {tensor.device.type for tensor in tensors} <= {NAME}, f"{func} on {tensors}"
        return result


def moved(value):
    """The same on the pretended device."""
    if isinstance(value, torch.Tensor):
        return torch.empty(value.shape, dtype=value.dtype, device=f"{NAME}:0")
    if dataclasses.is_dataclass(value):
        names = [item.name for item in dataclasses.fields(value)]
        return dataclasses.replace(value, **{name: moved(getattr(value, name)) for name in names})
    return {key: moved(item) for key, item in value.items()} if isinstance(value, dict) else value


def step_on_the_pretended_device(model, of_loss, numbers=(0, 3)):
    """Raise for a step that wants anything from the host."""
    potential, loss = any_potential(**model), EnerSpinLoss(start_pref_v=1.0, **of_loss)
    systems = [with_random_labels(random_system(seed, n_frames=2), seed) for seed in (1, 2)]
    dataset = FrameDataset(systems, geometry(potential.spec))
    frames = ResidentFrames.of(dataset, "cpu")
    scale = LabelScale("learned", potential.spec.use_spin) if loss.label_scale_fm else None
    shape = frames.shape(numbers)
    # What is made once, with the first step of a shape.
    with kernels.without():
        batch = frames.batch(torch.tensor(numbers), shape)
        potential(batch, differentiable=True)
    grid = GridOnce(network(potential).descriptor, batch) if potential.spec.kind == "deepspin" else None
    with FakeTensorMode():
        parts = [part for part in (potential, scale) if part is not None]
        for part in parts:
            part._apply(moved)
        for name, value in vars(frames).items():
            if isinstance(value, torch.Tensor | dict) or dataclasses.is_dataclass(value):
                setattr(frames, name, moved(value))
        if grid is not None:
            grid.move()
        optimizer = torch.optim.SGD([p for part in parts for p in part.parameters()], lr=1.0, foreach=False)
        weights = list(potential.parameters())
        step = LoadedStep(
            frames,
            WholeStep(
                Objective(potential, loss, moved(torch.tensor(potential.spec.use_spin)), scale),
                # SGD's rate cannot be a tensor here; that Adam's can is torch's own promise.
                Still(optimizer),
                weights,
                lambda: torch.nn.utils.clip_grad_norm_(weights, 1.0, foreach=False),
            ),
        )
        places = moved(torch.tensor(numbers))
        settings = moved(torch.tensor(step.settings(1.0), dtype=torch.float64))
        streamed = StreamedFrames(frames.closest, "cpu"), moved(batch)
        with SameDevice():
            done = step(places, shape, settings)
            replace(step, frames=streamed[0])(streamed[1], shape, settings)
            for p in potential.parameters():
                if p.ndim > 2 and p.grad is not None:
                    rates = {"lr": settings[0], "momentum": 0.9, "iterations": 2}
                    Muon.step_matrix(None, p.data, p.grad, {}, rates)
        assert done.loss.device.type == NAME


class GridOnce:
    """DeepSPIN's grid of nodes for a batch, which steps find made."""

    def __init__(self, descriptor, batch):
        self.descriptor, self.grid = descriptor, descriptor.grid(batch)
        known = self.grid.__dataclass_fields__
        self.made = {name: value for name, value in vars(self.grid).items() if name not in known}

    def move(self):
        """To the pretended device."""
        on_device = moved(self.grid)
        vars(on_device).update({name: moved(value) for name, value in self.made.items()})
        self.descriptor.grid = lambda batch: on_device


class Still:
    """An optimizer that only forgets gradients."""

    def __init__(self, optimizer):
        self.zero_grad, self.param_groups = optimizer.zero_grad, optimizer.param_groups

    def step(self):
        """Nothing."""


def pretend():
    """Make the device known, for the whole process."""
    _setup_privateuseone_for_python_backend(NAME)
    torch.__future__.set_overwrite_module_params_on_conversion(True)


def try_all():
    """Print each of CASES with `ok` or what went wrong; for a process of its own."""
    pretend()
    for name, case in CASES.items():
        try:
            step_on_the_pretended_device(*case)
            print(f"{name}: ok")
        except Exception:
            print(f"{name}: {traceback.format_exc()}")
