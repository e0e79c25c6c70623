"""The command `spinpot lammps`."""

import pytest

from support.cli import run_python

COMMAND = "import sys; sys.argv = ['spinpot', *sys.argv[1:]]; from spinpot.cli import main; main()"


@pytest.mark.parametrize("task", ["build", "check"])
def test_a_folder_without_lammps(task, tmp_path):
    said = run_python(["-c", COMMAND, "lammps", task, "--lammps", "."], cwd=tmp_path)
    assert said.returncode == 1
    assert said.stderr.startswith("Error: --lammps .: there are no LAMMPS headers.")
    assert not list(tmp_path.iterdir())


def test_its_options(tmp_path):
    said = run_python(["-c", COMMAND, "lammps", "build", "--lmp", "lmp"], cwd=tmp_path)
    assert "--lmp applies only to check" in said.stderr
    said = run_python(["-c", COMMAND, "lammps", "--help"], cwd=tmp_path)
    assert "build|check" in said.stdout
