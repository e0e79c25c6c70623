"""Makes the reference files of this folder with deepmd-kit 3.2.0 (PyTorch backend).

deepmd-kit pins its own torch, so it gets an environment of its own:

    python -m venv peer && peer/bin/pip install "deepmd-kit[torch]==3.2.0"
    peer/bin/python tests/reference/make_reference.py OUTPUT_FOLDER [CASE …]

Written are, all in float64:

- `CASE.dp`, one per case of `reference_cases.CASES`: deepmd-kit's own portable file.
- `CASE.npz`: the model section of the input `model_json`; frames `type` (N,), `box` (F,3,3), `coord` (F,N,3),
  `spin` (F,N,3) and deepmd-kit's results for them, `energy` (F,), `atom_energy` (F,N), `force` (F,N,3),
  `force_mag` (F,N,3), `virial` (F,3,3); the systems `sampleK_{type,box,coord,spin,energy}`, K = 0, 1, …,
  from which deepmd-kit's own routine computed `davg`, `dstd` and `out_bias` of the `.dp`.
- `frozen.pth`, `training.pt`: the case `SMALL` as deepmd-kit freezes it, without the code, which nothing here
  reads, and as its training saves it;
- `loss.json`: values of deepmd-kit's `ener_spin` loss; `learning_rate.json`: of its schedules.

The stored results come from `DeepPot` on the `.pth` that deepmd-kit converts the `.dp` to. The eager model
read from the `.dp` must agree. Every run gives the same numbers; the `.dp` also holds the time of the run.
"""

import argparse
import json
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import torch
from deepmd.dpmodel.utils.serialization import load_dp_model, save_dp_model
from deepmd.entrypoints.convert_backend import convert_backend
from deepmd.infer import DeepPot
from deepmd.pt.entrypoints.main import freeze
from deepmd.pt.model.model import get_model
from deepmd.pt.model.model.spin_model import SpinEnergyModel
from deepmd.pt.train.wrapper import ModelWrapper
from reference_cases import CASES, Case, distances, model_section, random_frames
from reference_training import LOSS_CASES, LR_CASES, loss_entry, schedule_entry

SMALL = "o_ni_davg_zero"
"""The case that is also kept as a frozen model and as a checkpoint."""


def check_sel(model: SpinEnergyModel, frames: dict[str, np.ndarray]) -> None:
    """Asserts that no centre, real or virtual, has more neighbours of any type than that type's `sel`."""
    descriptor = model.backbone_model.atomic_model.descriptor
    scale = model.spin.get_virtual_scale_mask()[frames["type"]][:, None]
    types = np.concatenate([frames["type"], frames["type"] + model.ntypes_real])
    for box, coord, spin in zip(frames["box"], frames["coord"], frames["spin"], strict=True):
        r = distances(box, np.vstack([coord, coord + scale * spin]), descriptor.get_rcut())
        counts = (r < descriptor.get_rcut()).sum(-1) @ (types[:, None] == np.arange(descriptor.get_ntypes()))
        assert (counts <= descriptor.get_sel()).all(), (
            f"sel {descriptor.get_sel()} is too small: {counts.max(0)} needed"
        )


def stat_sample(frames: dict[str, np.ndarray], n_types: int) -> dict:
    """Sampled frames as deepmd-kit's statistics want them."""
    n_frames, n = frames["coord"].shape[:2]
    natoms = [n, n, *np.bincount(frames["type"], minlength=n_types)]
    arrays = {key: torch.tensor(frames[key]) for key in ("coord", "spin", "box")}
    return {
        **arrays,
        "atype": torch.tensor(frames["type"]).expand(n_frames, -1),
        "natoms": torch.tensor(natoms).expand(n_frames, -1),
        "energy": torch.tensor(frames["energy"])[:, None],
        "find_energy": np.float32(1.0),
    }


def perturb_networks(model: SpinEnergyModel, seed: int) -> None:
    """Moves all network parameters at random, so that timesteps differ and nothing cancels."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.25 * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)


def make_model(case: Case, samples: list[dict[str, np.ndarray]]) -> SpinEnergyModel:
    """The model of a case, with deepmd-kit's statistics of the samples."""
    model = get_model(model_section(case))
    model.compute_or_load_stat(lambda: [stat_sample(s, len(case.type_map)) for s in samples])
    perturb_networks(model, case.seed)
    return model.eval()


def save_portable(model: SpinEnergyModel, case: Case, path: Path) -> None:
    """Writes the `.dp` as `dp convert-backend` does."""
    data = {
        "backend": "PyTorch",
        "pt_version": str(torch.__version__),
        "model": model.serialize(),
        "model_def_script": model_section(case),
        "@variables": {},
    }
    save_dp_model(str(path), data)


def evaluate_deep_pot(path: Path, frames: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Results of `DeepPot` on the `.pth` converted from the `.dp`."""
    with tempfile.TemporaryDirectory() as folder:
        converted = str(Path(folder) / "model.pth")
        convert_backend(INPUT=str(path), OUTPUT=converted)
        potential = DeepPot(converted)
        energy, force, virial, atom_energy, _, force_mag, _ = potential.eval(
            frames["coord"], frames["box"].reshape(-1, 9), frames["type"], atomic=True, spin=frames["spin"]
        )
    return {
        "energy": energy[:, 0],
        "atom_energy": atom_energy[..., 0],
        "force": force,
        "force_mag": force_mag,
        "virial": virial.reshape(-1, 3, 3),
    }


def check_eager(path: Path, frames: dict[str, np.ndarray], results: dict[str, np.ndarray]) -> None:
    """Asserts that the eager model read from the `.dp` gives the results, all of them finite."""
    model = SpinEnergyModel.deserialize(load_dp_model(str(path))["model"])
    atype = torch.tensor(frames["type"]).expand(len(frames["coord"]), -1)
    coord, spin, box = (torch.tensor(frames[key]) for key in ("coord", "spin", "box"))
    eager = model(coord, atype, spin, box=box)
    for key, value in results.items():
        other = eager[key].detach().numpy().reshape(value.shape)
        np.testing.assert_allclose(value, other, rtol=1e-10, atol=1e-11, err_msg=key)
        assert np.isfinite(value).all(), key


def write_case(case: Case, folder: Path) -> None:
    """Writes CASE.dp and CASE.npz."""
    rng = np.random.default_rng(case.seed)
    samples = [random_frames(system, case.type_map, rng) for system in case.samples]
    frames = random_frames(case.frames, case.type_map, rng)
    del frames["energy"]
    model = make_model(case, samples)
    for system in [frames, *samples]:
        check_sel(model, system)
    path = folder / f"{case.name}.dp"
    save_portable(model, case, path)
    results = evaluate_deep_pot(path, frames)
    check_eager(path, frames, results)
    sampled = {f"sample{k}_{key}": value for k, s in enumerate(samples) for key, value in s.items()}
    np.savez_compressed(
        path.with_suffix(".npz"), model_json=json.dumps(model_section(case)), **frames, **results, **sampled
    )


def write_frozen(portable: Path, target: Path) -> None:
    """What `dp freeze` makes of a `.dp`, its data only: the archive without the entries under `code/`."""
    with tempfile.TemporaryDirectory() as folder:
        training, whole = Path(folder) / "model.pt", Path(folder) / "model.pth"
        write_training(portable, training)
        freeze(model=str(training), output=str(whole))
        with zipfile.ZipFile(whole) as archive, zipfile.ZipFile(target, "w") as stripped:
            for name in archive.namelist():
                if "/code/" not in name:
                    stripped.writestr(zipfile.ZipInfo(name), archive.read(name))


def write_training(portable: Path, target: Path) -> None:
    """The model of a `.dp` as `dp train` saves it."""
    data = load_dp_model(str(portable))
    model = SpinEnergyModel.deserialize(data["model"])
    wrapper = ModelWrapper(model, model_params=data["model_def_script"])
    torch.save({"model": wrapper.state_dict()}, target)


def write_json(path: Path, entries: list[dict]) -> None:
    """Writes a list with one entry per line."""
    path.write_text("[\n" + ",\n".join(json.dumps(entry) for entry in entries) + "\n]\n")


def main() -> None:
    """Writes all files to the folder given on the command line."""
    parser = argparse.ArgumentParser(description="Make the reference files with deepmd-kit 3.2.0.")
    parser.add_argument("folder", type=Path, help="folder to write to")
    parser.add_argument("cases", nargs="*", help="only these cases, and nothing else")
    arguments = parser.parse_args()
    folder = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    for case in CASES:
        if case.name in (arguments.cases or [case.name]):
            write_case(case, folder)
    if not arguments.cases:
        write_json(folder / "loss.json", [loss_entry(i, *case) for i, case in enumerate(LOSS_CASES)])
        write_json(folder / "learning_rate.json", [schedule_entry(*case) for case in LR_CASES])
        write_frozen(folder / f"{SMALL}.dp", folder / "frozen.pth")
        write_training(folder / f"{SMALL}.dp", folder / "training.pt")


if __name__ == "__main__":
    main()
