"""Run by an interpreter that has deepmd-kit: its numbers for a model and frames, as JSON on stdout.

python deepmd_numbers.py MODEL FRAMES.npz [INPUT.json]

FRAMES.npz: type (N,), box, coord, spin and, with an input, the labels; the loss of all frames as one batch,
with the input's prefactors at the start's learning rate and at a hundredth of it, is under "loss".
"""

import json
import sys

import numpy as np
import torch
from deepmd.infer import DeepPot
from deepmd.pt.loss import EnergySpinLoss


def predict(model: str, frames: dict) -> dict:
    potential = DeepPot(model)
    box = frames["box"].reshape(-1, 9)
    energy, force, virial, atom_energy, _, force_mag, _ = potential.eval(
        frames["coord"], box, frames["type"], atomic=True, spin=frames["spin"]
    )
    return {
        "type_map": potential.get_type_map(),
        "energy": energy[:, 0],
        "force": force,
        "force_mag": force_mag,
        "virial": virial.reshape(-1, 3, 3),
        "atom_energy": atom_energy[..., 0],
    }


def loss_values(predicted: dict, frames: dict, settings: dict) -> list:
    n_frames, n = frames["coord"].shape[:2]
    atype = torch.tensor(frames["type"]).expand(n_frames, -1)
    output = {key: torch.tensor(predicted[key]) for key in ("force", "force_mag")}
    output |= {"energy": torch.tensor(predicted["energy"])[:, None], "mask_mag": (atype == 0)[..., None]}
    output["virial"] = torch.tensor(predicted["virial"]).reshape(n_frames, 9)
    labels = {key: torch.tensor(frames[f"label_{key}"]) for key in ("force", "force_mag")}
    labels["energy"] = torch.tensor(frames["label_energy"])[:, None]
    labels |= {"virial": torch.zeros(n_frames, 9), "find_virial": 0.0}
    labels |= {f"find_{key}": 1.0 for key in ("energy", "force", "force_mag")}
    start = settings["learning_rate"]["start_lr"]
    options = {key: value for key, value in settings["loss"].items() if key != "type"}
    loss = EnergySpinLoss(starter_learning_rate=start, **options)
    inputs = {"atype": atype}
    return [
        float(loss(inputs, lambda atype: dict(output), labels, n, learning_rate=rate)[1])
        for rate in (start, 0.01 * start)
    ]


def main() -> None:
    model, path, *settings = sys.argv[1:]
    with np.load(path) as file:
        frames = dict(file)
    result = predict(model, frames)
    if settings:
        with open(settings[0]) as file:
            result["loss"] = loss_values(result, frames, json.load(file))
    plain = {key: value.tolist() if isinstance(value, np.ndarray) else value for key, value in result.items()}
    print("RESULT" + json.dumps(plain))


if __name__ == "__main__":
    main()
