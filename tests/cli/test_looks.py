"""Messages about suspicious frames in training, evaluation, model deviation and analysis."""

from dataclasses import replace

import numpy as np
import pytest

from support.folders import labelled_by_a_potential, write_npy
from support.in_process import run_here, the_message


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A training set with moments on O, and a validation set with a frame of it and longer moments."""
    place = tmp_path_factory.mktemp("data")
    train, validation = labelled_by_a_potential(1, 8), labelled_by_a_potential(3, 4)
    unit = train.spin / np.maximum(np.linalg.norm(train.spin, axis=-1, keepdims=True), 1e-9)
    spin = np.where(train.types[:, None] == 0, 1.2 * unit, [0.0, 0.0, 0.05])
    write_npy(place / "train", replace(train, spin=spin))
    frames = {name: getattr(validation, name).copy() for name in ("box", "coord", "spin")}
    for name, values in (("box", train.box), ("coord", train.coord), ("spin", spin)):
        frames[name][0] = values[2]
    write_npy(place / "validation", replace(validation, **frames))
    np.save(place / "train" / "set.000" / "energy.npy", (train.energy - 1e4).astype(np.float32))
    return place


@pytest.fixture(scope="module")
def said(folders):
    """Of a run of four steps."""
    arguments = [
        "data=npy",
        "debug=fast",
        "report=false",
        "model.descriptor.rcut=4.0",
        "model.spin.use_spin=[Ni]",
    ]
    sets = [f"data.{name}=[{folders / name}]" for name in ("train", "validation")]
    result = run_here("train.py", *arguments, *sets, f"hydra.run.dir={folders}/run", cwd=folders)
    assert result.returncode == 0, result.stderr
    return result.stdout


def looks(text):
    return [line for line in text.splitlines() if line.startswith("look: ")]


def test_training(said, folders):
    file = folders / "train" / "set.000" / "energy.npy"
    found = looks(said)
    (coarse,) = [line for line in found if "too coarsely" in line]
    assert f"({file} is float32: at −10,015 eV its numbers lie 0.00098 eV apart, 0.2 meV/atom, " in coarse
    assert (
        "look: the moments of O are ignored: the model treats only Ni as magnetic (O up to 0.05 μ_B). "
        "Set them to zero, or train with them in use_spin."
    ) in found
    assert (
        "look: 1 of 4 frames of the validation set are also in the train set (equal within 0.0001 Å and "
        "μ_B), so that its errors are too small; spinpot prepare splits without duplicates "
        "(validation: 1 of 4)"
    ) in found
    (beyond,) = [line for line in found if "leaves the training range" in line]
    assert beyond.startswith("look: validation: |S| of Ni leaves the training range, 1.200 to 1.200 μ_B: ")
    assert said.index("look: ") < said.index("step      2")


def test_evaluation_and_deviation(said, folders):
    checkpoint = f"{folders}/run"
    arguments = [f"systems=[{folders / 'validation'}]", f"output={folders}/out"]
    result = run_here("evaluate.py", f"checkpoint={checkpoint}", *arguments, cwd=folders)
    (line,) = [line for line in looks(result.stdout) if "leaves" in line]
    assert line.startswith("look: |S| of Ni leaves the training range, 1.200 to 1.200 μ_B: ")
    both = f"checkpoint=[{checkpoint},{checkpoint}]"
    result = run_here("evaluate.py", both, f"output={folders}/devi", arguments[0], cwd=folders)
    (line,) = [line for line in looks(result.stdout) if "leaves" in line]
    assert line.endswith(f"The model extrapolates there. ({checkpoint})")


def test_an_analysis(said, folders):
    arguments = [f"checkpoint={folders}/run", f"structure={folders / 'validation'}@1", f"output={folders}/an"]
    result = run_here("analyze.py", *arguments, "task=relax", "task.relax.steps=1", cwd=folders)
    assert len([line for line in looks(result.stdout) if "leaves" in line]) == 1, (
        result.stdout + result.stderr
    )
    assert "SpinCalculator" not in result.stderr


def test_use_spin_that_contradicts_the_moments(folders, tmp_path):
    arguments = [
        "data=npy",
        "debug=fast",
        "report=false",
        "model.descriptor.rcut=4.0",
        "model.spin.use_spin=[false,true]",
    ]
    sets = [f"data.{name}=[{folders / 'validation'}]" for name in ("train", "validation")]
    spin = folders / "validation" / "set.000" / "spin.npy"
    moments = np.load(spin)
    moments[:, 9:] = 0.0
    np.save(spin, moments)
    result = run_here("train.py", *arguments, *sets, f"hydra.run.dir={tmp_path}/run", cwd=tmp_path)
    assert the_message(result) == (
        "model.spin.use_spin=[False, True] gives spins to O, whose moments are all zero in the training "
        "data, and none to Ni, which have moments. Correct it (the elements are Ni O, in this order), e.g. "
        "model.spin.use_spin='[Ni]'."
    )
    assert not (tmp_path / "run").exists()
