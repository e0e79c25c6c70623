"""The installed package, in an empty folder and without the checkout.

`make test-wheel` installs the wheel and what it declares to need from nothing, and names that Python in
WHEEL_PYTHON; otherwise the wheel is built here and put beside the packages that are installed.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from spinpot.kernels.compiler import widths
from support.cli import PROJECT
from support.folders import write_small_set

pytestmark = pytest.mark.slow

SOURCES = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "configs", "src")
EXPERIMENT = "# @package _global_\nloss:\n  start_pref_fm: 123.0\n"


@pytest.fixture(scope="module")
def small_set(tmp_path_factory):
    return write_small_set(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def spinpot(tmp_path_factory):
    """The command, and the environment it needs: no compiler, and nothing that was compiled before."""
    outside = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "SPINPOT_DATA")
    }
    outside["OMP_NUM_THREADS"] = "1"
    outside |= {"CXX": "/nonexistent", "PATH": "/nonexistent"}
    outside["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))
    if python := os.environ.get("WHEEL_PYTHON"):
        return [python, "-P", "-m", "spinpot"], outside
    place = tmp_path_factory.mktemp("wheel")
    build_from_an_sdist(place)
    (wheel,) = (place / "dist").glob("*.whl")
    assert re.fullmatch(r"spinpot-[\d.]+-py3-none-(linux|macosx)_\w+\.whl", wheel.name)
    run([sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", place / "installed", wheel])
    return [place / "installed" / "bin" / "spinpot"], {**outside, "PYTHONPATH": str(place / "installed")}


def copy_sources(place):
    for name in SOURCES:
        source = PROJECT / name
        if source.is_dir():
            shutil.copytree(source, place / "sources" / name, symlinks=True)
        else:
            (place / "sources").mkdir(exist_ok=True)
            shutil.copy(source, place / "sources" / name)


def quick_compiler(place):
    """The settings for one that does not optimise: other tests use the library with its own flags."""
    file = place / "quick-c++"
    file.write_text(f'#!/bin/sh\nexec {os.environ.get("CXX") or "c++"} "$@" -O0\n')
    file.chmod(0o755)
    return {**os.environ, "CXX": str(file)}


def build_from_an_sdist(place):
    """sources → sdist → wheel, in place/dist, by what is installed."""
    copy_sources(place)
    make = "from setuptools.build_meta import build_sdist; build_sdist('../dist')"
    run([sys.executable, "-c", make], cwd=place / "sources")
    (sdist,) = (place / "dist").glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        assert not any(member.issym() for member in archive)
    pip = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-build-isolation",
        "--no-deps",
        "-w",
        place / "dist",
    ]
    run([*pip, sdist], env=quick_compiler(place))


def run(command, cwd=None, env=None, code=0):
    streams = {"capture_output": True, "text": True, "stdin": subprocess.DEVNULL}
    result = subprocess.run(command, cwd=cwd, env=env, **streams)
    assert result.returncode == code, result.stdout + result.stderr
    return result


@pytest.fixture
def here(spinpot, tmp_path):
    """`spinpot ARGUMENTS` in an empty folder."""
    command, environment = spinpot

    def run_here(*arguments, **options):
        return run([*command, *arguments], cwd=tmp_path, env=environment, **options)

    return run_here


def test_the_kernels_are_in_it(spinpot, tmp_path):
    """A wheel that was built where there is a compiler has them."""
    ask = "from spinpot import kernels as k; print(k.library()._name)"
    command = [os.environ.get("WHEEL_PYTHON", sys.executable), "-P", "-c", ask]
    library = Path(run(command, cwd=tmp_path, env=spinpot[1]).stdout.strip())
    assert library.parent.parts[-3:] == ("spinpot", "kernels", "built")
    assert len(list(library.parent.iterdir())) == len(widths())


def test_the_sources_of_the_plugin_for_lammps_are_in_it(spinpot, tmp_path):
    own = PROJECT / "src" / "spinpot" / "lammps" / "plugin"
    ask = "from spinpot.lammps.build import SOURCES as s; print(*(f.relative_to(s) for f in s.rglob('*.*')))"
    command = [os.environ.get("WHEEL_PYTHON", sys.executable), "-P", "-c", ask]
    found = run(command, cwd=tmp_path, env=spinpot[1]).stdout.split()
    assert sorted(found) == sorted(str(file.relative_to(own)) for file in own.rglob("*.*"))


def test_a_wheel_that_is_built_without_a_compiler_says_so_and_has_none(tmp_path):
    copy_sources(tmp_path)
    make = "from setuptools.build_meta import build_wheel; build_wheel('../dist')"
    done = run([sys.executable, "-c", make], tmp_path / "sources", {**os.environ, "CXX": "/nonexistent"})
    assert "kernels will be compiled on their first use" in done.stdout
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    assert not [name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".so")]


def test_train_and_evaluate(here, small_set, tmp_path):
    (tmp_path / "mine" / "experiment").mkdir(parents=True)
    (tmp_path / "mine" / "experiment" / "own.yaml").write_text(EXPERIMENT)
    said = here("train", "--config-dir", "mine", "experiment=own", *small_set, "hydra.run.dir=run")
    assert "Evaluation: compiled." in said.stdout
    assert "Compiling" not in said.stderr
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["git_commit"] is None, "this is the checkout"
    assert "start_pref_fm: 123.0" in (tmp_path / "run" / "config.yaml").read_text()
    (validation,) = (one.partition("=")[2] for one in small_set if one.startswith("data.validation="))
    here("evaluate", "checkpoint=run", f"systems={validation}", "output=out")
    found = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert found["rmse_e"] == pytest.approx(summary["val"]["rmse_e"])
    assert {file.name for file in tmp_path.iterdir()} == {"mine", "run", "out"}


def test_a_sweep_of_a_job_of_two_processes(here, small_set, tmp_path):
    """The sweep starts a process for the job, which starts one for the second rank."""
    said = here("train", "-m", "seed=1", "trainer=ddp_cpu", *small_set, "hydra.sweep.dir=sweep").stdout
    assert said.count("Errors on the validation set") == 1
    summary = json.loads((tmp_path / "sweep" / "0" / "summary.json").read_text())
    assert summary["device"].endswith("2 processes")
    assert (tmp_path / "sweep" / "report.html").exists()


def test_completion_and_unknown_names(here, spinpot):
    command, environment = spinpot
    for line, choices in (
        ("spinpot sw", "sweep-table\n"),
        ("spinpot train model/exchange=h", "model/exchange=heisenberg\n"),
        ("spinpot convert ", ""),
    ):
        assert run([*command, "-sc", "query=bash"], env={**environment, "COMP_LINE": line}).stdout == choices
    assert "There is no command trian" in here("trian", code=1).stderr
    message = here("train", "experiment=nio_deltasipn", code=1).stderr
    assert message.endswith("Did you mean nio_deltaspin?\n")
