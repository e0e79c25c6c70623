"""deepmd-kit's files: all formats give the same model, and a converted model converts back unchanged."""

import json
import zipfile

import h5py
import numpy as np
import pytest
import torch

import spinpot
from spinpot.core.errors import InputError
from spinpot.models.checkpoint import read_checkpoint, save_potential
from spinpot.models.deepspin.deepmd.dp_file import read_dp, write_dp
from spinpot.models.deepspin.deepmd.model_tree import model_section
from spinpot.models.deepspin.deepmd.potentials import read_deepmd, tree_of
from support.checkpoints import load_potential
from support.deepmd_files import REFERENCE, differences, write_yaml
from support.frames import evaluate, random_system, small_potential, system

CASES = sorted(path.stem for path in REFERENCE.glob("*.dp"))


@pytest.mark.parametrize("case", CASES)
def test_round_trip(case, tmp_path):
    """Arrays bit for bit and all metadata, through a checkpoint."""
    model = read_deepmd(REFERENCE / f"{case}.dp")
    save_potential(tmp_path / "x.ckpt", model.potential, deepmd=model.rest)
    kept = read_checkpoint(tmp_path / "x.ckpt")["spinpot"]["deepmd"]
    write_dp(tmp_path / "x.dp", tree_of(load_potential(tmp_path / "x.ckpt"), kept))
    assert differences(read_dp(REFERENCE / f"{case}.dp"), read_dp(tmp_path / "x.dp")) == ["time"]


@pytest.mark.parametrize("case", CASES)
def test_the_datasets_are_laid_out_as_deepmd_kit_does(case, tmp_path):
    model = read_deepmd(REFERENCE / f"{case}.dp")
    write_dp(tmp_path / "x.dp", tree_of(model.potential, model.rest))
    with h5py.File(REFERENCE / f"{case}.dp") as theirs, h5py.File(tmp_path / "x.dp") as ours:
        assert list(theirs) == list(ours)
        for name in theirs:
            assert theirs[name][()].tobytes() == ours[name][()].tobytes()


@pytest.mark.parametrize("case", CASES)
def test_settings_are_enough_for_the_metadata(case):
    """A model that was never in deepmd-kit is described as deepmd-kit would describe it."""
    model = read_deepmd(REFERENCE / f"{case}.dp")
    ours, theirs = tree_of(model.potential), read_dp(REFERENCE / f"{case}.dp")
    found = differences(ours["model"], theirs["model"], values=False)
    # deepmd-kit keeps a scale for elements without spin, and several names for two of the activations.
    renamed = model.potential.spec.descriptor.activation_function in ("gelu", "linear")
    assert [
        place for place in found if "virtual_scale" not in place and not (renamed and "activation" in place)
    ] == []


@pytest.mark.parametrize("file", ["frozen.pth", "training.pt"])
def test_pytorch_files_are_the_portable_one(file):
    model, portable = read_deepmd(REFERENCE / file), read_dp(REFERENCE / "o_ni_davg_zero.dp")
    tree = tree_of(model.potential, model.rest)
    assert differences(tree["model"], portable["model"]) == []
    section = tree["model_def_script"]  # the frozen model's has its types doubled
    assert section["type_map"] == portable["model_def_script"]["type_map"]
    assert section["descriptor"]["sel"] == portable["model_def_script"]["descriptor"]["sel"]
    assert not section.get("pair_exclude_types")


def test_yaml_is_the_portable_file(tmp_path):
    path = write_yaml(tmp_path / "x.yaml", read_dp(REFERENCE / "fe_o_co.dp"))
    model, portable = read_deepmd(path), read_dp(REFERENCE / "fe_o_co.dp")
    assert set(differences(tree_of(model.potential, model.rest), portable)) == {"software", "version", "time"}


def test_loaded_by_name():
    predictor = spinpot.load(REFERENCE / "frozen.pth")
    with np.load(REFERENCE / "o_ni_davg_zero.npz") as data:
        frames = system(("O", "Ni"), data["type"], data["box"], data["coord"], data["spin"])
        np.testing.assert_allclose(predictor(frames)["energy"], data["energy"], rtol=1e-12)


def test_a_potential_of_ours_survives(tmp_path):
    potential, frames = small_potential(radial="direct", exclude_types=((0, 3),)), random_system(4)
    write_dp(tmp_path / "x.dp", tree_of(potential))
    loaded = read_deepmd(tmp_path / "x.dp").potential
    assert loaded.spec.as_dict() == potential.spec.as_dict()
    for name, values in evaluate(potential, frames).items():
        np.testing.assert_array_equal(evaluate(loaded, frames)[name], values)


def test_single_precision_stays_single(tmp_path):
    tree = tree_of(small_potential())
    descriptor = tree["model"]["backbone_model"]["descriptor"]
    descriptor["precision"] = "float32"
    for net in descriptor["embeddings"]["networks"]:
        for layer in net["layers"]:
            variables = layer["@variables"]
            variables |= {
                name: value if value is None else value.astype("f4") for name, value in variables.items()
            }
    write_dp(tmp_path / "single.dp", tree)
    model = read_deepmd(tmp_path / "single.dp")
    write_dp(tmp_path / "again.dp", tree_of(model.potential, model.rest))
    assert differences(read_dp(tmp_path / "single.dp"), read_dp(tmp_path / "again.dp")) == ["time"]


def test_the_model_section_describes_the_model():
    section = model_section(small_potential(exclude_types=((0, 1),)).spec)
    assert section["descriptor"]["sel"] == [60, 60]
    assert section["pair_exclude_types"] == [[0, 1]]
    assert json.loads(json.dumps(section)) == section


def test_the_stored_archive_has_no_code():
    with zipfile.ZipFile(REFERENCE / "frozen.pth") as archive:
        assert not [name for name in archive.namelist() if "/code/" in name]
    with pytest.raises(RuntimeError):
        torch.jit.load(REFERENCE / "frozen.pth")


def test_yaml_runs_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "x.yaml"
    path.write_text("model: !!python/object/apply:os.system ['touch ran']\n")
    with pytest.raises(InputError, match="not readable as YAML and arrays"):
        read_deepmd(path)
    assert not (tmp_path / "ran").exists()
