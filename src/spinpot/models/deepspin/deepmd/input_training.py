"""The sections of an input.json beside the model: data, loss, learning rate, optimizer and training."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spinpot.core.errors import InputError, require
from spinpot.models.deepspin.deepmd.keys import InputKeys

STEPS = ("numb_steps", "stop_batch", "num_steps", "num_step", "numb_step")
SAMPLES = 32  # atoms per batch that deepmd-kit's `auto` aims at
PREFACTORS = {"e": (0.02, 1.0), "fr": (1000.0, 1.0), "fm": (10000.0, 10.0), "v": (0.0, 0.0)}
"""deepmd-kit's default prefactors: at the start, and at the limit."""
STOP_LR = 5e-8  # deepmd-kit's default


def data_section(keys: InputKeys, source: Path) -> dict[str, Any]:
    """Folders, relative to the input's folder and made absolute, and batch sizes."""
    train = _folders(keys, "training_data", source)
    validation = _folders(keys, "validation_data", source)
    if not train:
        raise InputError(f"{source}: training.training_data.systems names no folder. Add one.")
    if not validation:
        keys.leave("training.validation_data", "missing, but a run needs it: the training frames are used")
    type_map = keys.get("model.type_map")
    validation_size = _batch_size(keys, "validation_data", validation or train)
    return {
        "train": train,
        "validation": validation or train,
        "type_map": list(type_map),
        "batch_size": _batch_size(keys, "training_data", train),
        "validation_batch_size": validation_size,
    }


def loss_section(keys: InputKeys, source: Path) -> dict[str, Any]:
    """The prefactors and the kind of loss."""
    kind = keys.get("loss.type", "ener_spin")
    require(kind == "ener_spin", f"{source}: loss.type", kind, "ener_spin, a spin model's loss.")
    section: dict[str, Any] = {}
    for name, defaults in PREFACTORS.items():
        ends = [f"start_pref_{name}", f"limit_pref_{name}"]
        start, limit = (
            float(keys.get(f"loss.{end}", default)) for end, default in zip(ends, defaults, strict=True)
        )
        if (start == 0.0) != (limit == 0.0):
            key = ends[0] if start else ends[1]
            keys.leave(
                f"loss.{key}", "deepmd-kit drops a term if one of its prefactors is 0: both are set to 0"
            )
            start = limit = 0.0
        section |= {ends[0]: start, ends[1]: limit}
    section["loss_func"] = keys.get("loss.loss_func", "mse")
    function = section["loss_func"]
    require(function in ("mse", "mae"), f"{source}: loss.loss_func", function, "mse or mae.")
    section["intensive_ener_virial"] = keys.get("loss.intensive_ener_virial", False)
    return section


def learning_rate(keys: InputKeys, steps: int) -> tuple[str, dict[str, Any]]:
    """The config of the group scheduler to use, and its settings."""
    kind = keys.get("learning_rate.type", "exp")
    require(kind in ("exp", "cosine", "wsd"), "learning_rate.type", kind, "exp, cosine or wsd.")
    start = float(keys.get("learning_rate.start_lr", 1e-3))
    ratio = keys.get("learning_rate.stop_lr_ratio")
    stop = float(keys.get("learning_rate.stop_lr", STOP_LR if ratio is None else start * float(ratio)))
    warmup = keys.get("learning_rate.warmup_steps", int(keys.get("learning_rate.warmup_ratio", 0.0) * steps))
    section = {
        "start_lr": start,
        "stop_lr": stop,
        "warmup_steps": warmup,
        "warmup_start_factor": float(keys.get("learning_rate.warmup_start_factor", 0.0)),
    }
    if kind == "exp":
        section |= {
            "decay_steps": int(keys.get("learning_rate.decay_steps", 5000)),
            "smooth": keys.get("learning_rate.smooth", False),
        }
        _decay_rate(keys, section, steps - warmup)
    if kind == "wsd":
        section |= {
            "decay_phase_ratio": keys.get("learning_rate.decay_phase_ratio", 0.1),
            "decay_type": keys.get("learning_rate.decay_type", "inverse_linear"),
        }
    return kind, section


def optimizer(keys: InputKeys) -> tuple[str, dict[str, Any]]:
    """The config of the group optimizer to use, and its settings."""
    kind = str(keys.get("optimizer.type", keys.get("training.opt_type", "Adam")))
    name = kind.lower()
    if name == "hybridmuon":
        return "muon", _muon(keys)
    if name not in ("adam", "adamw"):
        keys.leave("optimizer.type", f"{kind}: spinpot has Adam, AdamW, Muon and SOAP; Adam is used instead")
        return "adam", {}
    default = {"adam": 0.0, "adamw": 1e-3}[name]
    betas = [keys.get("optimizer.adam_beta1", 0.9), keys.get("optimizer.adam_beta2", 0.999)]
    return name, {"betas": betas, "weight_decay": keys.get("optimizer.weight_decay", default)}


def _muon(keys: InputKeys) -> dict[str, Any]:
    """The settings of HybridMuon that spinpot's Muon has."""
    keys.leave(
        "optimizer.type",
        "HybridMuon: muon is used instead, without weight decay (deepmd-kit's default is 0.001) and damping",
    )
    momentum = keys.get("optimizer.momentum", keys.get("optimizer.muon_momentum", 0.95))
    betas = [keys.get("optimizer.adam_beta1", 0.9), keys.get("optimizer.adam_beta2", 0.95)]
    return {"momentum": momentum, "betas": betas}


def training(keys: InputKeys) -> dict[str, Any]:
    """Seed and trainer, and under `defaults` the other config groups that the input needs."""
    steps = int(next((value for name in STEPS if (value := keys.get(f"training.{name}"))), 0))
    expected = "a number of steps >= 1; numb_epoch alone is not enough."
    require(steps >= 1, "training.numb_steps", steps, expected)
    save = min(int(keys.get("training.save_freq", 1000)), steps)
    trainer = {
        "max_steps": steps,
        "val_check_interval": save,
        "log_every_n_steps": int(keys.get("training.disp_freq", 1000)),
        "gradient_clip_val": float(keys.get("training.gradient_max_norm", 0.0)) or None,
        "accumulate_grad_batches": int(keys.get("training.acc_freq", 1)),
        "precision": _precision(keys),
    }
    run: dict[str, Any] = {"defaults": [], "seed": int(keys.get("training.seed", 0)), "trainer": trainer}
    decay = keys.get("training.ema_decay", 0.999)
    if keys.get("training.enable_ema", False):
        run["defaults"].append({"override /callbacks": "ema"})
        run["callbacks"] = {"ema": {"decay": decay}}
    if keys.get("training.tensorboard", False):
        run["defaults"].append({"override /logger": "tensorboard"})
    return run


def _decay_rate(keys: InputKeys, section: dict[str, Any], span: int) -> None:
    """Convert deepmd-kit's decay_rate to the equivalent stop_lr."""
    if (rate := keys.get("learning_rate.decay_rate")) is None:
        return
    stop = section["start_lr"] * float(rate) ** (span / section["decay_steps"])
    if section["decay_steps"] >= span or stop < section["stop_lr"]:
        keys.leave("learning_rate.decay_rate", "the rate falls from start_lr to stop_lr over the run instead")
        return
    section["stop_lr"] = stop


def _precision(keys: InputKeys) -> str:
    """The trainer's precision: float32 if both nets have it, else float64."""
    names = ("model.descriptor.precision", "model.fitting_net.precision")
    found = [keys.get(name, "default") for name in names]
    if all(precision == "float32" for precision in found):
        return "32-true"
    for name, precision in zip(names, found, strict=True):
        if precision not in ("default", "float64"):
            keys.leave(name, f"{precision}: spinpot has one precision for both nets; float64 is used")
    return "64-true"


def _folders(keys: InputKeys, part: str, source: Path) -> list[str]:
    systems = keys.get(f"training.{part}.systems", [])
    listed = [systems] if isinstance(systems, str) else list(systems)
    folders = [(source.absolute().parent / folder).resolve() for folder in listed]
    if (patterns := keys.get(f"training.{part}.rglob_patterns")) is not None:
        folders = [match for folder in folders for match in _matches(folder, patterns, keys.last, source)]
    return [str(folder) for folder in folders]


def _matches(folder: Path, patterns: Any, key: str, source: Path) -> list[Path]:
    """The systems below a folder that match a pattern. Raises InputError if there are none."""
    listed = isinstance(patterns, list) and all(isinstance(pattern, str) for pattern in patterns)
    require(listed, f"{source}: {key}", patterns, "a list of patterns, e.g. ['data_*'].")
    found = {
        match for pattern in patterns for match in folder.rglob(pattern) if (match / "type.raw").is_file()
    }
    if not found:
        raise InputError(
            f"{source}: {key}: no system below {folder} matches {patterns}. Expected folders with type.raw; "
            "correct the patterns, or convert the input where its data are."
        )
    return sorted(found)


def _batch_size(keys: InputKeys, part: str, folders: Sequence[str]) -> int:
    key = f"training.{part}.batch_size"
    size = keys.get(key, "auto")
    if isinstance(size, list):
        if len(set(size)) > 1:
            keys.leave(key, f"{size}: batches mix frames of all systems; the largest number is used")
        return int(max(size))
    if isinstance(size, int):
        return size
    kind, _, number = str(size).partition(":")
    wanted, atoms = int(number or SAMPLES), _atoms(folders)
    if kind != "auto" or atoms is None:
        reason = "spinpot needs a number of frames; 1 is used" if atoms else "the data are missing; 1 is used"
        keys.leave(key, f"{size}: {reason}")
        return 1
    frames = math.ceil(wanted / atoms)
    keys.leave(key, f"{size}: spinpot needs a number; {frames} for the {atoms} atoms of the first system")
    return frames


def _atoms(folders: Sequence[str]) -> int | None:
    """Number of atoms of the first system; None if the system cannot be read."""
    for folder in folders:
        for file in sorted(Path(folder).rglob("type.raw")):
            return int(np.loadtxt(file, ndmin=1).size)
    return None
