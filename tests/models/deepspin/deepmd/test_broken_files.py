"""Broken files cause one clear message and exit code 1; no file is written and no code is run."""

import json
import pickle
import sys
import zipfile
from pathlib import Path

import h5py
import pytest
import torch

from spinpot.models.deepspin.deepmd.dp_file import write_dp
from spinpot.models.deepspin.deepmd.potentials import tree_of
from support.deepmd_files import REFERENCE, write_yaml
from support.frames import small_potential
from support.in_process import run_here, the_message

SMALL = REFERENCE / "o_ni_davg_zero.dp"


class Malicious:
    """A pickle that leaves a file behind if it is read without care."""

    def __reduce__(self):
        return (open, ("ran.txt", "w"))


@pytest.fixture
def refused(tmp_path):
    """The message of spinpot convert for a file, after which there is nothing new."""

    def refuse(source, target="out.ckpt", *more):
        here = tmp_path / "here"
        here.mkdir(exist_ok=True)
        result = run_here("convert.py", str(source), str(here / target), *more, cwd=here)
        message = the_message(result)
        assert not list(here.iterdir())
        assert not (tmp_path / "ran.txt").exists()
        return message

    return refuse


def changed(path, change):
    """A portable file of a small model after a change of its tree."""
    tree = tree_of(small_potential())
    change(tree)
    write_dp(path, tree)
    return path


def backbone(tree):
    return tree["model"]["backbone_model"]


def truncated(source, target, share=0.6):
    data = Path(source).read_bytes()
    target.write_bytes(data[: int(share * len(data))])
    return target


def test_missing(refused, tmp_path):
    assert "no such file" in refused(tmp_path / "absent.dp")


@pytest.mark.parametrize("source", [SMALL, REFERENCE / "frozen.pth", REFERENCE / "training.pt"])
@pytest.mark.parametrize("share", [0.3, 0.95])
def test_truncated(source, share, refused, tmp_path):
    message = refused(truncated(source, tmp_path / f"cut{source.suffix}", share))
    assert "truncated" in message
    assert f"cut{source.suffix}" in message


PLACEHOLDERS = {
    "": "FILE: empty file. Copy or write the file again.",
    "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 8\n": (
        "FILE: a Git LFS pointer, not the data. Run `git lfs pull` in that repository."
    ),
}


@pytest.mark.parametrize("suffix", [".dp", ".pt", ".pth", ".yaml", ".ckpt"])
@pytest.mark.parametrize("contents", PLACEHOLDERS)
def test_files_that_stand_for_others(suffix, contents, refused, tmp_path):
    path = tmp_path / f"x{suffix}"
    path.write_text(contents)
    assert refused(path) == PLACEHOLDERS[contents].replace("FILE", str(path))


def test_truncated_yaml(refused, tmp_path):
    whole = write_yaml(tmp_path / "whole.yaml", tree_of(small_potential()))
    for share in (0.1, 0.5, 0.9):
        assert "cut.yaml" in refused(truncated(whole, tmp_path / "cut.yaml", share))


@pytest.mark.parametrize("suffix", [".dp", ".pt", ".pth", ".yaml", ".ckpt"])
def test_wrong_magic(suffix, refused, tmp_path):
    path = tmp_path / f"x{suffix}"
    path.write_bytes(b"\x00\x01\x02 nothing of the kind" * 10)
    assert f"x{suffix}" in refused(path)


def test_hdf5_of_something_else(refused, tmp_path):
    with h5py.File(tmp_path / "x.dp", "w") as file:
        file["positions"] = [1.0, 2.0]
    message = refused(tmp_path / "x.dp")
    assert message == f"{tmp_path / 'x.dp'}: an HDF5 file, but not a model of deepmd-kit (it has no `json`)."


def test_newer_class(refused, tmp_path):
    def newer(tree):
        backbone(tree)["descriptor"]["@version"] = 7

    message = refused(changed(tmp_path / "x.dp", newer))
    assert "Descriptor has version 7" in message
    assert "3.2.0" in message


def test_newer_program(refused, tmp_path):
    write_dp(tmp_path / "x.dp", tree_of(small_potential()))
    with h5py.File(tmp_path / "x.dp", "a") as file:
        head = json.loads(file.attrs["json"])
        file.attrs["json"] = json.dumps(head | {"version": "4.1.0"})
    assert "deepmd-kit 4.1.0" in refused(tmp_path / "x.dp")


def test_another_descriptor(refused, tmp_path):
    def other(tree):
        backbone(tree)["descriptor"]["type"] = "dpa1"

    assert "se_e2_a only" in refused(changed(tmp_path / "x.dp", other))


def test_without_spin(refused, tmp_path):
    def spinless(tree):
        tree["model"] = {**backbone(tree)}

    assert "without spin" in refused(changed(tmp_path / "x.dp", spinless))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("fitting", "numb_fparam"), 1),
        (("descriptor", "env_mat", "use_exp_switch"), True),
        (("atom_exclude_types",), [0]),
        (("descriptor", "precision"), "bfloat16"),
        (("fitting", "precision"), "float16"),
    ],
)
def test_what_spinpot_does_not_have(place, value, refused, tmp_path):
    def change(tree):
        node = backbone(tree)
        for key in place[:-1]:
            node = node[key]
        node[place[-1]] = value

    assert place[-1] in refused(changed(tmp_path / "x.dp", change))


def test_shapes_that_do_not_fit(refused, tmp_path):
    def change(tree):
        layer = backbone(tree)["fitting"]["nets"]["networks"][0]["layers"][0]
        layer["@variables"]["w"] = layer["@variables"]["w"][:, :-1]

    assert "has shape (24, 7)" in refused(changed(tmp_path / "x.dp", change))


def test_a_lost_array(refused, tmp_path):
    with h5py.File(write(tmp_path / "x.dp"), "a") as file:
        del file["variable_0005"]
    assert "damaged" in refused(tmp_path / "x.dp")


def write(path):
    write_dp(path, tree_of(small_potential()))
    return path


@pytest.mark.parametrize("suffix", [".pt", ".ckpt"])
def test_checkpoints_that_would_run_code(suffix, refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"model": {"_extra_state": Malicious()}}, tmp_path / f"x{suffix}")
    assert "could run code" in refused(tmp_path / f"x{suffix}")
    assert not Path("ran.txt").exists()


@pytest.mark.parametrize(
    "pickled",
    [
        pickle.dumps(Malicious(), protocol=2),
        b"cos\nsystem\n(S'touch ran.txt'\ntR.",
        b"ctorch\nload\n(S'x'\ntR.",
        b"c__torch__.deepmd\nThing\n(S'touch ran.txt'\ntR.",
    ],
    ids=["open", "os.system", "torch.load", "a class of the archive called with arguments"],
)
def test_frozen_models_that_would_run_code(pickled, refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile(tmp_path / "x.pth", "w") as archive:
        archive.writestr("x/data.pkl", pickled)
        archive.writestr("x/byteorder", "little")
    message = refused(tmp_path / "x.pth")
    assert "could run code" in message or "not a readable TorchScript file" in message
    assert not Path("ran.txt").exists()


def test_a_frozen_model_of_something_else(refused, tmp_path):
    class Identity(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    torch.jit.script(Identity()).save(str(tmp_path / "x.pth"))
    assert "not a frozen model of deepmd-kit" in refused(tmp_path / "x.pth")


def test_the_target(refused, tmp_path):
    assert "written as .ckpt or .safetensors or .dp or .pth" in refused(SMALL, "out.pb")
    assert "unknown suffix" in refused(write_text(tmp_path / "x.txt"))
    assert "--deepmd PYTHON" in refused(SMALL, "out.pth")
    assert "cannot be run" in refused(SMALL, "out.pth", "--deepmd", "/no/such/python")
    assert "there is no folder" in refused(SMALL, "absent/out.dp")


def test_an_interpreter_without_deepmd_kit(refused):
    assert "deepmd-kit[torch]==3.2.0" in refused(SMALL, "out.pth", "--deepmd", sys.executable)


def test_nothing_is_overwritten(tmp_path):
    kept = tmp_path / "out.dp"
    kept.write_text("mine")
    assert "nothing is overwritten" in the_message(
        run_here("convert.py", str(SMALL), str(kept), cwd=tmp_path)
    )
    assert kept.read_text() == "mine"


def write_text(path):
    path.write_text("x")
    return path
