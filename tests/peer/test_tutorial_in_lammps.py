"""The tutorial's part in LAMMPS, with short runs. tests/tutorial runs the other commands."""

import os
from pathlib import Path

import numpy as np

from support.cli import run_python
from support.tutorial import follow, steps

SECTIONS = ("Exchange constants and spin waves of NiO", "Spin dynamics in LAMMPS", "M(T)")


def test_from_a_model_to_the_order_by_temperature(deepmd, run_program, tmp_path):
    environment = {name: text for name, text in os.environ.items() if name != "SPINPOT_DATA"}
    environment["PATH"] = f"{Path(deepmd).parent}{os.pathsep}{environment['PATH']}"  # LAMMPS is found there

    def run(command):
        program, *words = command
        if program == "lmp":
            return run_program(*words, cwd=tmp_path)
        start = {"spinpot": ["-m", "spinpot"], "python": []}[program]
        done = run_python([*start, *words], cwd=tmp_path, env=environment)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    needed = [step for step in steps() if step.section in SECTIONS and "analyze" not in step.command]
    said = follow(needed, tmp_path, run)
    assert "lmp and spinpot agree" in said["spinpot lammps check --output plugin"]
    kelvin, order, spins = np.loadtxt(tmp_path / "order.txt").T
    assert kelvin.tolist() == [25.0, 300.0]
    assert 1.0 > order[0] > order[1] > 0.5
    assert spins[0] < spins[1]
    assert (tmp_path / "order.png").read_bytes().startswith(b"\x89PNG")
