"""The library is compiled once, found again, and never loaded where it would harm."""

import os
import pwd
import shutil
import subprocess
import time
from importlib import import_module
from pathlib import Path

import pytest

from spinpot import kernels
from spinpot.kernels import compiler
from support.cli import python, run_python

loading = import_module("spinpot.kernels.library")  # `kernels.library` is its function

FEW = [compiler.HERE / "guard.cpp", compiler.HERE / "finite.cpp"]
"""Sources that compile in no time."""
BUILD = f"""
from pathlib import Path
from spinpot import kernels
from spinpot.kernels import compiler
compiler.SOURCES[:] = map(Path, {list(map(str, FEW))})
raise SystemExit(not kernels.build())
"""
LINE = "Compiling the kernels"

pytestmark = pytest.mark.skipif(shutil.which("c++") is None, reason="needs a C++ compiler")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache folder, for a library of few sources; returns where it will be."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(compiler, "SOURCES", FEW)
    monkeypatch.setattr(loading, "INSTALLED", tmp_path / "nowhere")
    loading._loaded.cache_clear()
    yield loading._cache_folder() / compiler.file_name(loading._width())
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
    assert capsys.readouterr().out.count(LINE) == 1
    with kernels.without():
        assert kernels.library() is None


def test_of_two_processes_one_compiles(cache, tmp_path):
    slow = program(tmp_path, 'sleep 1; exec c++ "$@"')
    both = [python(["-c", BUILD], env={**os.environ, "CXX": slow}) for _ in range(2)]
    said = [one.communicate()[0] for one in both]
    assert [one.returncode for one in both] == [0, 0]
    assert "".join(said).count(LINE) == 1
    third = run_python(["-c", BUILD], env={**os.environ, "CXX": "/nonexistent"})
    assert (third.returncode, third.stdout) == (0, "")


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
    assert LINE in capsys.readouterr().out
    assert compiler.is_whole(built)


def test_what_is_installed_comes_first(built, monkeypatch):
    monkeypatch.setattr(loading, "INSTALLED", built.parent)
    monkeypatch.setenv("XDG_CACHE_HOME", "/nonexistent")
    assert kernels.build()
    assert kernels.library()._name == str(built)


def test_a_library_that_the_system_does_not_take(cache, monkeypatch):
    """Such as one of another processor, in a home that unlike machines share."""
    contents = b"\x7fELF of another machine"
    cache.parent.mkdir(parents=True)
    cache.write_bytes(contents + compiler.DIGEST(contents).digest())
    assert kernels.library() is None
    with pytest.warns(UserWarning, match="torch's own operations take their place.*XDG_CACHE_HOME"):
        assert not kernels.build()


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
    with pytest.warns(UserWarning, match=rf"torch's own operations take their place.*{command.split()[0]}"):
        assert not kernels.build()
    assert not list(cache.parent.glob("*.so"))


def test_it_needs_the_standard_libraries_alone(built):
    said = subprocess.run(["readelf", "-d", built], capture_output=True, text=True, check=True).stdout
    needed = {line.split("[")[1].split(".so")[0] for line in said.splitlines() if "(NEEDED)" in line}
    assert needed <= {"libstdc++", "libm", "libgcc_s", "libc", "libpthread", "ld-linux-x86-64"}


NUMBERS = """
from spinpot import kernels
assert kernels.build()
print(kernels.library()._name)
"""


@pytest.mark.slow
def test_a_processor_without_wide_vectors_has_its_own_library_and_the_same_numbers():
    """Compiles the whole library for each width, unless that has been done."""
    found = {}
    for capability in ("default", "avx2"):
        said = run_python(["-c", NUMBERS], fresh=True, env={**os.environ, "ATEN_CPU_CAPABILITY": capability})
        assert said.returncode == 0, said.stderr
        found[capability] = said.stdout.splitlines()[-1]
    assert "-plain-" in found["default"]
    assert "-avx2-" in found["avx2"]
