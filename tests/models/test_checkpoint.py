"""Checkpoints that cannot be used cause a clear message, and none runs code."""

import pickle

import pytest
import torch

import spinpot
from spinpot.core.errors import InputError
from spinpot.evaluation.convert import convert, read_model
from spinpot.models.checkpoint import checkpoint_entry, read_checkpoint
from spinpot.training.resume import find_checkpoint
from support.checkpoints import load_potential
from support.frames import evaluate, random_system, small_potential
from support.models import NATIVE, SPIN_ORBIT, any_potential


def save(path, potential, **more):
    path.parent.mkdir(parents=True, exist_ok=True)
    contents = {
        "state_dict": {f"potential.{name}": value for name, value in potential.state_dict().items()},
        "global_step": 5,
        "optimizer_states": [],
        **checkpoint_entry(potential, {"seed": 0}, {}),
    }
    torch.save(contents | more, path)
    return path


@pytest.mark.parametrize("model", [{}, NATIVE, SPIN_ORBIT | {"time_reversal": True}], ids=str)
def test_round_trip(tmp_path, model):
    potential = any_potential(**model, seed=4)
    loaded = load_potential(save(tmp_path / "x.ckpt", potential))
    made = random_system(1)
    assert loaded.spec.as_dict() == potential.spec.as_dict()
    for name, values in evaluate(potential, made).items():
        assert (evaluate(loaded, made)[name] == values).all()


def test_a_run_folder_stands_for_its_best_checkpoint(tmp_path):
    best = save(tmp_path / "run" / "checkpoints" / "best.ckpt", small_potential(seed=4))
    save(best.with_name("last.ckpt"), small_potential(seed=5))
    made = random_system(1)
    expected = evaluate(small_potential(seed=4), made)["energy"]
    run = best.parents[1]
    convert(run, tmp_path / "model.dp")
    convert(run, tmp_path / "model.safetensors")
    same = spinpot.load(run).potential, spinpot.load(tmp_path / "model.safetensors").potential
    for potential in (load_potential(run), *same, read_model(run).potential):
        assert (evaluate(potential, made)["energy"] == expected).all()
    assert evaluate(read_model(tmp_path / "model.dp").potential, made)["energy"] == pytest.approx(expected)
    best.unlink()
    assert (
        evaluate(load_potential(run), made)["energy"] == evaluate(small_potential(seed=5), made)["energy"]
    ).all()
    for read in (load_potential, read_model, spinpot.load):
        with pytest.raises(InputError, match=r"holds no checkpoint: it has no checkpoints/best\.ckpt and no"):
            read(tmp_path)
        for absent in ("nowhere", "nowhere.dp", "nowhere.json", "nowhere.ckpt"):
            with pytest.raises(InputError, match=rf"{absent}: no such file or folder\. Correct the path"):
                read(tmp_path / absent)


class Malicious:
    def __reduce__(self):
        return (open, ("ran.txt", "w"))


def test_pickles_do_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "raw.ckpt").write_bytes(pickle.dumps(Malicious()))
    torch.save({"spinpot": Malicious()}, tmp_path / "zipped.ckpt")
    for name in ("raw.ckpt", "zipped.ckpt"):
        with pytest.raises(InputError, match=name):
            read_checkpoint(tmp_path / name)
    assert not (tmp_path / "ran.txt").exists()


def test_damaged_files(tmp_path):
    path = save(tmp_path / "x.ckpt", small_potential())
    whole = path.read_bytes()
    for length in (0, 10, len(whole) // 2, len(whole) - 200):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"x\.ckpt"):
            read_checkpoint(path)


def test_missing_foreign_and_newer_files(tmp_path):
    with pytest.raises(InputError, match="no such file or folder"):
        read_checkpoint(tmp_path / "none.ckpt")
    torch.save({"state_dict": {}}, tmp_path / "foreign.ckpt")
    with pytest.raises(InputError, match="not a spinpot checkpoint"):
        read_checkpoint(tmp_path / "foreign.ckpt")
    newer = save(tmp_path / "newer.ckpt", small_potential(), spinpot={"format": 99})
    with pytest.raises(InputError, match="format 99"):
        read_checkpoint(newer)


def test_weights_that_do_not_fit(tmp_path):
    potential = small_potential()
    path = save(tmp_path / "x.ckpt", potential, **checkpoint_entry(small_potential(neuron=(4, 6)), {}, {}))
    with pytest.raises(InputError, match="do not fit"):
        load_potential(path)


def test_what_resume_means(tmp_path):
    assert find_checkpoint(None, tmp_path) is None
    assert find_checkpoint("auto", tmp_path) is None
    save(tmp_path / "checkpoints" / "last.ckpt", small_potential())
    for resume in ("auto", str(tmp_path), str(tmp_path / "checkpoints" / "last.ckpt")):
        assert find_checkpoint(resume, tmp_path).step == 5
    with pytest.raises(InputError, match="holds a run already"):
        find_checkpoint(None, tmp_path)
    with pytest.raises(InputError, match="no such file or folder"):
        find_checkpoint(str(tmp_path / "elsewhere"), tmp_path)
