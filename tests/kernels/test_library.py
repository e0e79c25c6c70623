"""The library is compiled once, found again, and never loaded if it does not fit."""

import os
import pwd
import shutil
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from spinpot import kernels
from spinpot.kernels import compiler
from support.cli import python, run_python

loading = import_module("spinpot.kernels.library")  # `kernels.library` is its function

FEW = [compiler.HERE / "guard.cpp", compiler.HERE / "finite.cpp"]
"""Sources that compile in no time. They lack the functions whose arguments are declared."""
BUILD = f"""
import sys
from pathlib import Path
from spinpot import kernels
import spinpot.kernels.library
compiler = sys.modules["spinpot.kernels.compiler"]
compiler.SOURCES[:] = map(Path, {list(map(str, FEW))})
sys.modules["spinpot.kernels.library"]._ARGUMENTS.clear()
raise SystemExit(not kernels.build())
"""
LINE = "Compiling the kernels"

pytestmark = pytest.mark.skipif(shutil.which("c++") is None, reason="needs a C++ compiler")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache folder, for a library of few sources; returns where it will be."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(compiler, "SOURCES", FEW)
    monkeypatch.setattr(loading, "_ARGUMENTS", {})
    monkeypatch.setattr(loading, "INSTALLED", tmp_path / "nowhere")
    loading._loaded.cache_clear()
    yield loading.cache_folder() / compiler.file_name(loading._width())
    loading._loaded.cache_clear()


@pytest.fixture(scope="module")
def contents(tmp_path_factory):
    """Of the library of few sources."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiler, "SOURCES", FEW)
        return compiler.compile_library(tmp_path_factory.mktemp("library"), loading._width()).read_bytes()


@pytest.fixture
def built(cache, contents):
    """The same, compiled."""
    cache.parent.mkdir(parents=True)
    cache.write_bytes(contents)
    return cache


def program(folder: Path, lines: str) -> str:
    """A compiler of our own."""
    file = folder / "own-c++"
    file.write_text(f"#!/bin/sh\n{lines}\n")
    file.chmod(0o755)
    return str(file)


def test_it_is_compiled_once_and_found_again(cache, capsys):
    assert kernels.library() is None
    assert kernels.build()
    assert kernels.library()._name == str(cache)
    assert kernels.build()
    assert capsys.readouterr().err.count(LINE) == 1
    with kernels.without():
        assert kernels.library() is None


def test_of_two_processes_one_compiles(cache, tmp_path):
    slow = program(tmp_path, 'sleep 1; exec c++ "$@"')
    options = {"env": {**os.environ, "CXX": slow}, "stderr": subprocess.PIPE}
    both = [python(["-c", BUILD], **options) for _ in range(2)]
    said = [one.communicate()[1] for one in both]
    assert [one.returncode for one in both] == [0, 0]
    assert "".join(said).count(LINE) == 1
    third = run_python(["-c", BUILD], env={**os.environ, "CXX": "/nonexistent"})
    assert (third.returncode, third.stderr) == (0, "")


def test_a_killed_compilation_harms_nobody(cache, tmp_path):
    begun = tmp_path / "begun"
    slow = program(tmp_path, f"touch {begun}; exec sleep 3")
    killed = python(["-c", BUILD], env={**os.environ, "CXX": slow})
    while not begun.exists():
        assert killed.poll() is None
        time.sleep(0.01)
    killed.kill()
    killed.wait()
    assert kernels.library() is None
    assert kernels.build()
    (left,) = (path for path in cache.parent.iterdir() if path.is_dir())
    long_ago = time.time() - 100 * 24 * 3600
    for path in (left, cache):
        os.utime(path, (long_ago, long_ago))
    loading._loaded.cache_clear()
    assert kernels.library() is not None  # it is used: kept
    loading._remove_unused(cache.parent)
    assert cache.exists()
    assert not left.exists()


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda whole: whole[:5000], id="truncated"),
        pytest.param(lambda whole: bytes(len(whole)), id="zeros"),
        pytest.param(lambda whole: b"", id="empty"),
        pytest.param(lambda whole: whole[:5000] + b"?" + whole[5001:], id="changed"),
    ],
)
def test_a_damaged_library_is_compiled_anew(built, damage, capsys):
    built.write_bytes(damage(built.read_bytes()))
    assert kernels.build()
    assert LINE in capsys.readouterr().err
    assert compiler.is_whole(built)


def test_what_is_installed_comes_first(built, monkeypatch):
    monkeypatch.setattr(loading, "INSTALLED", built.parent)
    monkeypatch.setenv("XDG_CACHE_HOME", "/nonexistent")
    assert kernels.build()
    assert kernels.library()._name == str(built)


def test_a_library_that_the_system_does_not_take_is_compiled_anew(cache, capsys):
    """Such as one that was linked with C++ libraries that are gone."""
    contents = b"\x7fELF of another machine"
    cache.parent.mkdir(parents=True)
    cache.write_bytes(contents + compiler.DIGEST(contents).digest())
    assert kernels.library() is None
    assert kernels.build()
    assert LINE in capsys.readouterr().err
    assert kernels.library() is not None


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("'", "No closing quotation"),
        ("true", "true succeeded but wrote no library"),
        ("gcc", "undefined"),  # it knows C++, but does not link with its library
    ],
)
def test_a_compiler_that_is_none(cache, named, said, monkeypatch):
    if shutil.which(named) is None and named != "'":
        pytest.skip(f"needs {named}")
    monkeypatch.setenv("CXX", named)
    monkeypatch.setattr(compiler, "SOURCES", [*FEW, compiler.HERE / "memory.cpp"])
    with pytest.warns(UserWarning, match=f"torch's operations are used instead.*{said}"):
        assert not kernels.build()
    assert not cache.exists()


@pytest.mark.parametrize("kind", ["a file", "no home"])
def test_a_folder_that_cannot_be_written_is_told(cache, kind, tmp_path, monkeypatch):
    if kind == "a file":
        (tmp_path / "cache").write_text("")
    else:
        for name in ("XDG_CACHE_HOME", "HOME"):
            monkeypatch.delenv(name)
        monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)
    assert kernels.library() is None
    with pytest.warns(UserWarning, match="XDG_CACHE_HOME names another folder"):
        assert not kernels.build()
    assert kernels.library() is None


@pytest.mark.parametrize("command", ["c++", "c++ --no-such-option", "false", "/no/compiler"])
def test_a_compiler_that_fails_is_told(cache, command, monkeypatch, tmp_path):
    (tmp_path / "wrong.cpp").write_text("int main( {\n")
    monkeypatch.setattr(compiler, "SOURCES", [tmp_path / "wrong.cpp"])
    monkeypatch.setenv("CXX", command)
    with pytest.warns(UserWarning, match=rf"torch's operations are used instead.*{command.split()[0]}"):
        assert not kernels.build()
    assert not list(cache.parent.glob("*.so"))


def test_each_source_is_compiled_once():
    """Names of files that are compiled as one are those of files."""
    compiled = [Path(word).stem for unit in compiler.units() for word in unit if word.endswith(".cpp")]
    assert sorted(compiled) == [file.stem for file in compiler.SOURCES]
    assert set(" ".join(compiler.TOGETHER).split()) <= set(compiled)
    assert len(compiler.units()) == len(compiled) - sum(len(names.split()) - 1 for names in compiler.TOGETHER)


def test_it_needs_the_standard_libraries_alone(built):
    said = subprocess.run(["readelf", "-d", built], capture_output=True, text=True, check=True).stdout
    needed = {line.split("[")[1].split(".so")[0] for line in said.splitlines() if "(NEEDED)" in line}
    assert needed <= {"libstdc++", "libm", "libgcc_s", "libc", "libpthread", "ld-linux-x86-64"}


NUMBERS = """
import torch
from spinpot import kernels
from support.frames import batch_of, random_system, small_potential

assert kernels.build()
print(kernels.library()._name)
potential = small_potential()
assert potential.evaluation() == "compiled"
found = potential(batch_of(potential, random_system(1, n_frames=3)), differentiable=True)
sum(found[name].square().sum() for name in ("energy", "force", "force_mag", "virial")).backward()
numbers = [found["force"], found["force_mag"], *(weights.grad for weights in potential.parameters())]
print(*torch.cat([values.detach().flatten() for values in numbers]).tolist())
"""


@pytest.mark.slow
def test_processors_without_wide_vectors_have_libraries_of_their_own_that_give_the_same_numbers():
    """Compiles the whole library for each width, unless that has been done."""
    found = {}
    paths = {"PYTHONPATH": os.pathsep.join(sys.path)}
    for capability, width in (("default", "plain"), ("avx2", "avx2"), ("", "")):
        environment = {**os.environ, **paths, "ATEN_CPU_CAPABILITY": capability}
        said = run_python(["-c", NUMBERS], fresh=True, env=environment)
        assert said.returncode == 0, said.stderr
        name, numbers = said.stdout.splitlines()[-2:]
        assert f"spinpot-kernels-{width}" in name
        found[capability] = np.array(numbers.split(), dtype=float)
    widest = found.pop("")
    assert len(widest) > 100
    for others in found.values():
        np.testing.assert_allclose(others, widest, rtol=1e-11, atol=1e-12 * abs(widest).max())
