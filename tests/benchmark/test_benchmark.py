"""The arithmetic of the benchmark, and the real command. No time is asserted."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from spinpot.benchmark.cases import write_supercell
from spinpot.benchmark.limit import matrix_operations
from spinpot.benchmark.measure import shares
from spinpot.benchmark.peer import TRAINED, peer_course, peer_input, peer_seconds_per_step
from spinpot.benchmark.until_error import ratios
from spinpot.core.errors import InputError
from spinpot.data.systems import read_systems
from spinpot.runs.time_to_error import BOUNDS, Course
from support.cli import run_script
from support.folders import write_npy
from support.frames import batch_of, random_system, small_potential, with_random_labels


def test_shares():
    found = shares([1.0, 1.0, 9.0], logged_steps=[3.0], bare_steps=[0.8, 0.8, 0.1], log_interval=50)
    assert found["seconds_per_step"] == 1.0
    assert found["overhead"] == pytest.approx(0.2)
    assert found["logging"] == pytest.approx(2.0 / 50)


@pytest.mark.slow
def test_the_command(tmp_path):
    result = run_script(
        "benchmark.py", "NiO", "--steps", "100", "--profile", "--output", "found.json", cwd=tmp_path
    )
    assert "ms per step" in result.stdout
    found = json.loads((tmp_path / "found.json").read_text())
    case = found["cases"]["NiO"]
    assert case["steps"] == 100
    assert case["seconds_per_step"] > 0
    assert case["overhead"] < 1
    assert 0 < case["empty_loop"] < 1
    assert "empty loop" in result.stdout
    assert case["peak_memory"] > 1e8
    assert found["machine"]["cores"] >= 1
    assert 1e6 < case["operations"] < 1e10
    assert 0 < case["arithmetic_limit"] < case["seconds_per_step"]
    assert case["device_busy"] is None or 0 < case["device_busy"] <= 1
    assert len(case["dearest"]) == 10
    assert "where a step spends its time" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["Ni"], "there is no case Ni; choose from NiO"),
        (["--steps", "3"], "expected at least 100"),
        (["--until-error"], "give --peer"),
        (["NiO", "--peer", "python"], "leave out the cases"),
        (["--peer", "python", "--until-error", "--steps", "200"], "leave out --steps"),
    ],
)
def test_wrong_arguments(arguments, message, tmp_path):
    result = run_script("benchmark.py", *arguments, cwd=tmp_path, check=False)
    assert result.returncode == 2
    assert message in result.stderr
    assert not list(tmp_path.iterdir())


def test_counted_operations():
    a, b = torch.ones(3, 5), torch.ones(5, 7)
    assert matrix_operations(lambda: torch.mm(a, b)) == 2 * 3 * 5 * 7
    assert matrix_operations(lambda: torch.zeros(3, 7).addmm_(a, b)) == 2 * 3 * 5 * 7
    assert matrix_operations(lambda: torch.zeros(2, 3, 7).baddbmm_(a.expand(2, 3, 5), b.expand(2, 5, 7))) == (
        2 * 2 * 3 * 5 * 7
    )


def test_a_supercell_is_the_same_crystal(tmp_path):
    """A model's energies and forces scale as they should, so the cell is put together right."""
    made = with_random_labels(random_system(3, n_frames=2))
    folder = write_npy(tmp_path / "cell", made)
    write_supercell(folder, tmp_path / "super", 2)
    (small,), (large,) = (read_systems([tmp_path / name], ("Ni", "O")) for name in ("cell", "super"))
    potential = small_potential()
    ours, theirs = (potential(batch_of(potential, system)) for system in (small, large))
    torch.testing.assert_close(8 * ours["energy"], theirs["energy"])
    atoms = theirs["force"].reshape(2, 8, -1, 3)
    torch.testing.assert_close(atoms[:, 5], ours["force"].reshape(2, -1, 3))
    assert large.energy == pytest.approx(8 * small.energy)
    assert large.force_mag[1, 5 * small.n_atoms] == pytest.approx(small.force_mag[1, 0])


@pytest.mark.parametrize("backend", ["pytorch", "tensorflow"])
def test_the_peers_input(backend, shared_data, tmp_path):
    made = peer_input(backend, shared_data / "NiO_deltaspin", tmp_path, 30)
    system = Path(made["training"]["training_data"]["systems"][0])
    types = np.loadtxt(system / "type.raw", dtype=int)
    coord = np.load(system / "set.000" / "coord.npy")
    assert coord.shape == (60, 3 * len(types))
    assert len(types) == (48 if backend == "tensorflow" else 32)


LCURVE = """# step rmse_val rmse_trn rmse_e_val rmse_e_trn rmse_fr_val rmse_fr_trn rmse_fm_val rmse_fm_trn lr
# If there is no available reference data, rmse_*_{val,trn} will print nan
   0   1.13e+00  1.16e+00  3.18e-01  3.18e-01  1.20e-02  1.63e-03  1.01e-02  1.12e-02  1.0e-03
  50   1.01e+00  1.20e+00  3.44e-03  3.32e-03  6.10e-03  2.09e-02  8.20e-03  1.00e-02  1.0e-03
"""


def test_the_peers_course(shared_data, tmp_path):
    peer = tmp_path / "peer"
    peer.write_text(
        f"#!/bin/sh\ncat > lcurve.out <<END\n{LCURVE}END\necho average training time: 0.25 s/batch\n"
    )
    peer.chmod(0o755)
    course = peer_course(peer, shared_data / "NiO_deltaspin", tmp_path / "run", 100, 1e-3, 50)
    assert course.first_step(BOUNDS) == 50
    assert course.seconds_per_step == 0.25
    assert course.errors["fm"].tolist() == [1.01e-2, 8.2e-3]
    made = json.loads((tmp_path / "run" / "input.json").read_text())
    (validation,) = made["training"]["validation_data"]["systems"]
    assert made["training"]["validation_data"]["batch_size"] == len(
        np.load(Path(validation) / "set.000" / "coord.npy")
    )
    assert made["learning_rate"]["stop_lr"] == made["learning_rate"]["start_lr"] == 1e-3


@pytest.mark.parametrize(
    ("lcurve", "message"),
    [
        ("# step rmse_trn lr\n0 1.0 1e-3\n", "no validation errors"),
        (LCURVE.replace("6.10e-03", "nan"), "not finite"),
    ],
)
def test_a_peers_course_that_says_nothing(lcurve, message, shared_data, tmp_path):
    peer = tmp_path / "peer"
    peer.write_text(
        f"#!/bin/sh\ncat > lcurve.out <<END\n{lcurve}END\necho average training time: 0.25 s/batch\n"
    )
    peer.chmod(0o755)
    with pytest.raises(InputError, match=message):
        peer_course(peer, shared_data / "NiO_deltaspin", tmp_path / "run", 100, 1e-3, 50)
    with pytest.raises(InputError, match="Download it with"):
        peer_course(peer, tmp_path / "nowhere", tmp_path / "run", 100, 1e-3, 50)


def test_ratios_of_times():
    def course(name, errors, seconds):
        values = np.array(errors)
        return Course(name, np.array([50, 100, 150]), {"fr": values, "fm": values}, seconds)

    ours, theirs = course("a", [9e-3, 6e-3, 5e-3], 0.1), course("b", [9e-3, 9e-3, 6e-3], 0.4)
    assert ratios([ours, theirs]) == ["b takes 6.0 times as long as a."]
    assert ratios([theirs, course("c", [1.0, 1.0, 1.0], 1.0)]) == [
        "c does not reach the bounds in 150 steps."
    ]


def test_a_peer_that_is_not_there(tmp_path):
    for name in TRAINED:
        (tmp_path / name).mkdir()
    with pytest.raises(InputError, match="Give a Python with deepmd-kit"):
        peer_seconds_per_step(tmp_path / "python", "pytorch", tmp_path, tmp_path / "run", 30)
    failing = tmp_path / "fails"
    failing.write_text("#!/bin/sh\necho no module named deepmd >&2\nexit 1\n")
    failing.chmod(0o755)
    with pytest.raises(InputError, match="no module named deepmd"):
        peer_seconds_per_step(failing, "pytorch", tmp_path, tmp_path / "run", 30)
