"""Values of deepmd-kit's `ener_spin` loss and of its learning-rate schedules."""

import numpy as np
import torch
from deepmd.pt.loss import EnergySpinLoss
from deepmd.pt.utils.learning_rate import BaseLR

PREFACTORS = {
    "start_pref_e": 0.02,
    "limit_pref_e": 1.0,
    "start_pref_fr": 1000.0,
    "limit_pref_fr": 1.5,
    "start_pref_fm": 10000.0,
    "limit_pref_fm": 10.0,
    "start_pref_v": 0.05,
    "limit_pref_v": 2.0,
}
MIXED = [0, 1, 0, 1]  # types of a frame; -1 is an empty place in a frame with fewer atoms than the longest
ALL = ("energy", "force", "force_mag", "virial")
MAE = {"loss_func": "mae"}
INTENSIVE = {"intensive_ener_virial": True}
LOSS_CASES = [  # name, options, learning rate, atom types of each frame, labels that are found
    ("mse", {}, 1e-3, [MIXED, MIXED], ALL),
    ("mse_one_frame", {}, 4e-4, [MIXED], ALL),
    ("mse_end", {}, 1e-6, [MIXED, MIXED], ALL),
    ("mse_warmup_start", {}, 0.0, [MIXED, MIXED], ALL),
    ("mse_intensive", INTENSIVE, 4e-4, [MIXED, MIXED], ALL),
    ("mse_unequal_sizes", {}, 4e-4, [MIXED, [0, 0, -1, -1]], ALL),
    ("mse_intensive_unequal_sizes", INTENSIVE, 4e-4, [MIXED, [0, 1, 1, -1]], ALL),
    ("mse_no_virial_label", {}, 4e-4, [MIXED, MIXED], ALL[:3]),
    ("mse_energy_label_only", {}, 4e-4, [MIXED, MIXED], ALL[:1]),
    ("mse_no_magnetic_atoms", {}, 4e-4, [[1, 1, 1, 1], [1, 1, 1, 1]], ALL),
    ("mse_one_sided_prefactor", {"start_pref_v": 0.0}, 4e-4, [MIXED, MIXED], ALL),
    ("mae", MAE, 4e-4, [MIXED, MIXED], ALL),
    ("mae_unequal_sizes", MAE, 4e-4, [MIXED, [0, 0, -1, -1]], ALL),
    ("mae_intensive", {**MAE, **INTENSIVE}, 4e-4, [MIXED, MIXED], ALL),
]


def random_outputs(types: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Random energy (F,1), force, force_mag (F,N,3) and virial (F,9); nothing where there is no atom."""
    n_frames, n = types.shape
    present = (types >= 0)[..., None]
    return {
        "energy": rng.normal(-3.0 * n, 0.5, (n_frames, 1)).round(6),
        "force": (rng.normal(0, 0.4, (n_frames, n, 3)) * present).round(6),
        "force_mag": (rng.normal(0, 0.1, (n_frames, n, 3)) * (types == 0)[..., None]).round(6),
        "virial": rng.normal(0, 2.0, (n_frames, 9)).round(6),
    }


def loss_entry(index: int, name: str, options: dict, lr: float, types: list, labels: tuple[str, ...]) -> dict:
    """Inputs and outputs of one case of the loss; type 0 is magnetic, type 1 is not."""
    rng = np.random.default_rng(100 + index)
    options = {"starter_learning_rate": 1e-3, "loss_func": "mse", **PREFACTORS, **options}
    atype = np.array(types)
    prediction, label = random_outputs(atype, rng), random_outputs(atype, rng)
    output = {key: torch.tensor(value) for key, value in prediction.items()}
    output["mask_mag"] = torch.tensor(atype == 0)[..., None]
    found = {f"find_{key}": float(key in labels) for key in label}
    targets = {key: torch.tensor(value) for key, value in label.items()} | found
    inputs = {"atype": torch.tensor(atype)}
    _, loss, parts = EnergySpinLoss(**options)(
        inputs, lambda atype: dict(output), targets, atype.shape[1], learning_rate=lr
    )
    numbers = {key: float(value) for key, value in parts.items()}
    return {
        "name": name,
        "options": options,
        "learning_rate": lr,
        "type": types,
        "magnetic_types": [0],
        "labels_found": list(labels),
        "prediction": {key: value.tolist() for key, value in prediction.items()},
        "label": {key: value.tolist() for key, value in label.items()},
        "loss": float(loss),
        "parts": {key: value if np.isfinite(value) else None for key, value in numbers.items()},
    }


DECAY = {"start_lr": 1e-3, "stop_lr": 1e-6}
EXP = {"type": "exp", **DECAY, "decay_steps": 50}
COSINE = {"type": "cosine", **DECAY}
WSD = {"type": "wsd", **DECAY}
LR_CASES = [  # parameters of the schedule, number of steps
    (EXP, 1000),
    ({**EXP, "smooth": True}, 1000),
    ({**EXP, "decay_steps": 5000, "stop_lr": 3.51e-8}, 1000000),
    ({**EXP, "decay_steps": 5000}, 1000),  # decay_steps beyond the end: deepmd-kit takes another value
    ({**EXP, "decay_steps": 5000}, 4000),
    ({**EXP, "decay_rate": 0.5, "stop_lr": 1e-5}, 1000),
    ({"type": "exp", "start_lr": 1e-3, "stop_lr_ratio": 1e-3, "decay_steps": 70}, 1000),
    ({**EXP, "warmup_steps": 120}, 1000),
    ({**EXP, "smooth": True, "warmup_ratio": 0.0157, "warmup_start_factor": 0.2}, 1000),
    (COSINE, 1000),
    ({**COSINE, "warmup_steps": 100, "warmup_start_factor": 0.1}, 1000),
    (WSD, 1000),
    ({**WSD, "decay_type": "cosine", "decay_phase_ratio": 0.3}, 1000),
    ({**WSD, "decay_type": "linear", "warmup_steps": 100}, 1000),
    ({**WSD, "decay_phase_ratio": 1.0, "warmup_steps": 100}, 1000),
]
PERMILLE = (0, 1, 10, 49, 50, 51, 100, 119, 120, 170, 300, 500, 700, 750, 900, 950, 999, 1000, 1100)


def schedule_entry(parameters: dict, num_steps: int) -> dict:
    """Learning rates of one schedule at some steps, a few of them past the end."""
    schedule = BaseLR(**parameters, num_steps=num_steps)
    steps = sorted({share * num_steps // 1000 for share in PERMILLE} | {1, 2, num_steps - 1})
    values = [schedule.value(step) for step in steps]
    return {"parameters": parameters, "num_steps": num_steps, "steps": steps, "learning_rates": values}
