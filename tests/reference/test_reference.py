"""Agreement with numbers of deepmd-kit 3.2.0; make_reference.py made its files."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from spinpot.loss.ener_spin import EnerSpinLoss
from spinpot.loss.metrics import ErrorMetric
from spinpot.models.deepspin.collocation_check import settle_nodes
from spinpot.models.deepspin.deepmd.potentials import read_deepmd
from spinpot.models.deepspin.settings import VirtualAtomSettings, is_smooth
from spinpot.models.deepspin.virtual_atoms import virtual_scales
from spinpot.models.elements import magnetic_types
from spinpot.models.energy_bias import energy_bias
from spinpot.training.schedulers import Cosine, Exponential, WarmupStableDecay
from support.frames import batch_of, evaluate, small_potential, system
from support.losses import loss_and_terms

FOLDER = Path(__file__).parent
CASES = sorted(path.stem for path in FOLDER.glob("*.dp"))
LOSSES = json.loads((FOLDER / "loss.json").read_text())
# spinpot takes stop_lr, never deepmd-kit's decay_rate.
RATES = [
    case
    for case in json.loads((FOLDER / "learning_rate.json").read_text())
    if "decay_rate" not in case["parameters"]
]


@pytest.fixture(params=CASES)
def case(request):
    """The potential and the arrays of one case."""
    with np.load(FOLDER / f"{request.param}.npz") as file:
        return read_deepmd(FOLDER / f"{request.param}.dp").potential, dict(file)


def test_there_are_cases():
    assert len(CASES) >= 16


def test_outputs(case):
    potential, data = case
    frames = system(potential.spec.type_map, *(data[key] for key in ("type", "box", "coord", "spin")))
    ours = evaluate(potential, frames)
    for name in ("energy", "atom_energy", "force", "force_mag", "virial"):
        reference = data[name]
        scale = np.abs(reference).max()
        np.testing.assert_allclose(
            ours[name].reshape(reference.shape), reference, rtol=1e-9, atol=1e-10 * scale
        )


def test_outputs_of_the_interpolated_embedding(case):
    potential, data = case
    frames = system(potential.spec.type_map, *(data[key] for key in ("type", "box", "coord", "spin")))
    if not is_smooth(potential.spec.descriptor.activation_function):
        pytest.skip("it has kinks and is never interpolated")
    potential.descriptor.radial = "collocated"
    assert settle_nodes(potential, batch_of(potential, frames)).within()
    ours = evaluate(potential, frames)
    atoms = frames.n_atoms
    for name, tolerance in (("energy", 1e-8 * atoms), ("atom_energy", 1e-8), ("force", 1e-7)):
        np.testing.assert_allclose(ours[name].flatten(), data[name].flatten(), rtol=1e-9, atol=tolerance)
    np.testing.assert_allclose(ours["force_mag"].flatten(), data["force_mag"].flatten(), atol=1e-7)


def test_statistics(case):
    potential, data = case
    spec = potential.spec
    keys = ("type", "box", "coord", "spin", "energy")
    count = sum(key.startswith("sample") and key.endswith("_type") for key in data)
    samples = []
    for k in range(count):
        types, box, coord, spin, energy = (data[f"sample{k}_{key}"] for key in keys)
        samples.append(system(spec.type_map, types, box, coord, spin, energy=energy.reshape(-1)))
    davg, dstd = potential.descriptor.statistics([batch_of(potential, *samples)])
    if not spec.descriptor.set_davg_zero:
        np.testing.assert_allclose(davg, potential.descriptor.davg, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(dstd, potential.descriptor.dstd, rtol=1e-12)
    np.testing.assert_allclose(energy_bias(samples), potential.energy_bias, rtol=1e-10, atol=1e-10)


def test_spin_settings(case):
    potential, data = case
    spin = json.loads(str(data["model_json"]))["spin"]
    spec = potential.spec
    settings = VirtualAtomSettings(spin["use_spin"], None, None, spin["virtual_scale"])
    use_spin = magnetic_types(settings.use_spin, spec.type_map, [])
    assert use_spin == spec.use_spin
    np.testing.assert_allclose(virtual_scales(settings, use_spin, rcut=6.0), spec.virtual_scale)


@pytest.mark.parametrize("case", LOSSES, ids=lambda case: case["name"])
def test_loss_and_its_parts(case):
    options = _terms_of_reference(case["options"])
    lr_ratio = case["learning_rate"] / options.pop("starter_learning_rate")
    magnetic = torch.tensor([t in case["magnetic_types"] for t in range(2)])
    prediction, batch = _flat(case["prediction"], case), _labelled_batch(case)
    loss, _ = loss_and_terms(EnerSpinLoss(**options), prediction, batch, magnetic, lr_ratio)
    assert float(loss) == pytest.approx(case["loss"], rel=1e-12)

    metric = ErrorMetric(("A", "B"), magnetic.tolist())
    metric.update(prediction, batch)
    errors = metric.compute()
    parts = {key: value for key, value in case["parts"].items() if key in errors and value}
    assert parts
    for name, value in parts.items():
        assert errors[name] == pytest.approx(value, rel=1e-12), name


@pytest.mark.parametrize("case", RATES, ids=lambda case: "-".join(map(str, case["parameters"].values())))
def test_learning_rate(case):
    parameters = dict(case["parameters"])
    total = case["num_steps"]
    kind = {"exp": Exponential, "cosine": Cosine, "wsd": WarmupStableDecay}[parameters.pop("type")]
    if "stop_lr_ratio" in parameters:
        parameters["stop_lr"] = parameters.pop("stop_lr_ratio") * parameters["start_lr"]
    if "warmup_ratio" in parameters:
        parameters["warmup_steps"] = int(parameters.pop("warmup_ratio") * total)
    factor = kind(**parameters).factor(total)
    ours = [parameters["start_lr"] * factor(step) for step in case["steps"]]
    np.testing.assert_allclose(ours, case["learning_rates"], rtol=1e-12)


def _terms_of_reference(options):
    """The reference leaves out a term with one prefactor zero, where spinpot has it on."""
    options = dict(options)
    for name in ("e", "fr", "fm", "v"):
        ends = [f"start_pref_{name}", f"limit_pref_{name}"]
        if any(options.get(end) == 0.0 for end in ends):
            options |= dict.fromkeys(ends, 0.0)
    return options


def _flat(arrays, case):
    """Frames laid one behind the other, without the padding atoms (type −1) of the reference."""
    real = torch.tensor(case["type"]).flatten() >= 0
    tensors = {name: torch.tensor(value, dtype=torch.float64) for name, value in arrays.items()}
    return {
        "energy": tensors["energy"].reshape(-1),
        "force": tensors["force"].reshape(-1, 3)[real],
        "force_mag": tensors["force_mag"].reshape(-1, 3)[real],
        "virial": tensors["virial"].reshape(-1, 3, 3),
    }


def _labelled_batch(case):
    """A batch of atoms far from each other with the case's types and labels; a loss looks at nothing else."""
    frames = []
    for types in case["type"]:
        real = [t for t in types if t >= 0]
        coord = 9.0 * np.arange(len(real))[:, None] * np.ones(3)
        frames.append(system("AB", real, 99.0 * np.eye(3), coord, np.ones_like(coord)))
    labels = _flat(case["label"], case)
    missing = {n: torch.full_like(v, torch.nan) for n, v in labels.items() if n not in case["labels_found"]}
    return replace(batch_of(small_potential(), *frames), **(labels | missing))
