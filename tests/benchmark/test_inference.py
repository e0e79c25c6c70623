"""`spinpot benchmark inference`: its rows and its arithmetic. No time is asserted."""

import json
import sys

import numpy as np
import pytest

from spinpot.ase import SpinCalculator
from spinpot.benchmark import evaluations, inference
from spinpot.benchmark.inference import PEER, Row, result, rows, supercell
from spinpot.benchmark.processes import STATUS, peak_memory, run
from spinpot.core.errors import InputError
from spinpot.evaluation.predictor import Predictor
from support.cli import run_script
from support.folders import write_npy
from support.forkserver import forking
from support.frames import batch_of, random_system, small_potential


def test_rows():
    in_python = rows(lammps=False, peer=False)
    assert len(in_python) == 2 * 4 * 2 * 2
    assert {row.program for row in in_python} == {"potential", "SpinCalculator"}
    everything = rows(lammps=True, peer=True)
    assert len(everything) == 2 * 4 * 3 * 2 + 2
    theirs = [n for n, row in enumerate(everything) if row.program == PEER]
    assert [everything[n - 1] for n in theirs] == [Row("DeepSPIN", n, "LAMMPS", 2) for n in (32, 256)]
    assert everything[theirs[0]].on == "1 rank"
    assert in_python[1].on == "2 threads"


def test_the_share_of_the_peak():
    found = result(Row("DeepSPIN", 100, "LAMMPS", 2), [(1.0, 5), (0.25, 7), (0.5, 6)], 1e6, 1e9)
    assert found["seconds"] == [1.0, 0.25, 0.5]
    assert found["memory"] == 7
    assert found["share_of_peak"] == pytest.approx(100 * 1e6 / (2 * 1e9 * 0.5))
    assert (found["model"], found["atoms"], found["program"], found["workers"]) == (
        "DeepSPIN",
        100,
        "LAMMPS",
        2,
    )


def test_the_ratio_is_of_one_rank_each():
    seconds = {("LAMMPS", 1): 0.5, ("LAMMPS", 2): 0.25, (PEER, 1): 60.0}
    own = [result(Row("DeepSPIN", 32, *key), [(value, 1)], 1e6, 1e9) for key, value in seconds.items()]
    cells = [*inference._cells(own)]
    assert [line[-1] for line in cells] == ["", "", "120"]
    assert cells[0][3:6] == ["1 rank", "500.00", "15625.0"]
    assert cells[2][3:6] == ["1 rank", "60000", "1875000"]


def test_memory_is_of_the_process_itself(tmp_path):
    """Not of the one that started it."""
    needed = b"1" * 300_000_000
    say = f"print(open({STATUS!r}).read())"
    small, large = (
        peak_memory(run([sys.executable, "-c", own + say], tmp_path, {})) for own in ("", "x = b'1' * 10**8;")
    )
    assert small < 5e7 < 1e8 < large < 2e8 < len(needed)
    assert peak_memory("VmPeak:   12 kB") is None
    with pytest.raises(InputError, match="ZeroDivisionError"):
        run([sys.executable, "-c", "1 / 0"], tmp_path, {})


def test_evaluations_are_of_atoms_that_move_about_their_places(tmp_path, monkeypatch):
    monkeypatch.setattr(evaluations, "SECONDS", 0.0)
    atoms = supercell(write_npy(tmp_path / "cell", random_system(3)), 1)
    before, seen = atoms.positions.copy(), []
    taken = evaluations.seconds(lambda: seen.append(atoms.positions.copy()), atoms)
    assert taken >= 0.0
    assert len(seen) == 1 + evaluations.LEAST
    away = np.array(seen[1:]) - before
    assert (np.abs(away).max(axis=(1, 2)) > 0.0).all()
    assert np.abs(away).max() < 6 * evaluations.MOVE
    assert len(np.unique(away)) == away.size


def test_a_supercell_is_the_same_crystal(tmp_path):
    made = random_system(3)
    atoms = supercell(write_npy(tmp_path / "cell", made), 2)
    potential = small_potential()
    ours = potential(batch_of(potential, made))["energy"][0]
    atoms.calc = SpinCalculator(Predictor(potential))
    assert atoms.get_potential_energy() == pytest.approx(8 * float(ours), rel=1e-12)


@pytest.mark.slow
def test_python_is_measured(tmp_path, monkeypatch, capsys):
    """A model is trained, and each program runs in a process of its own."""
    monkeypatch.setattr(inference, "MODELS", {"native spins": "experiment=native_spin"})
    monkeypatch.setattr(inference, "REPEATS", {32: 1})
    monkeypatch.setattr(inference, "TURNS", 1)
    monkeypatch.setattr(inference, "WORKERS", (1,))
    with forking():
        inference.run_inference(None, None, tmp_path / "found.json")
    found = json.loads((tmp_path / "found.json").read_text())
    assert [row["program"] for row in found["inference"]] == ["potential", "SpinCalculator"]
    for row in found["inference"]:
        assert row["seconds"][0] > 0.0
        assert 1e8 < row["memory"] < 4e9
        assert 0.0 < row["share_of_peak"] < 1.0
    assert "median of 1 turns" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["inference", "--steps", "100"], "leave out --steps"),
        (["inference", "--peer", "python", "--lammps", "dir"], "leave out --lammps"),
        (["inference", "NiO"], "there is no case inference"),
        (["NiO", "--lammps", "dir"], "leave out --lammps: it does not apply to training"),
    ],
)
def test_wrong_arguments(arguments, message, tmp_path):
    done = run_script("benchmark.py", *arguments, cwd=tmp_path, check=False)
    assert done.returncode == 2
    assert message in done.stderr
