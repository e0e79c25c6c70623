"""Compiles the kernels, one library for each vector width.

setup.py runs this file, so it imports only the standard library.
"""

import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
SOURCES = sorted(HERE.glob("*.cpp"))
HEADERS = sorted(HERE.glob("*.h"))
FLAGS = (
    *("-std=c++17", "-O3", "-fPIC", "-pthread", "-fvisibility=hidden"),
    *("-fno-math-errno", "-fno-trapping-math", "-fopenmp-simd"),
    # The pass takes a twelfth of the compilation time, and processors reorder instructions themselves.
    "-fno-schedule-insns2",
)
WIDTHS = {
    "avx512": ("-mavx512f", "-mavx512dq", "-mavx512vl", "-mfma"),
    "avx2": ("-mavx2", "-mfma"),
    "plain": (),
}
"""{vector width: compiler flags}."""
TOGETHER = {
    "activations deepspin exchange fitting guard memory products": (),
    "adam finite native_spin pairs parallel penalties": (),
    "expected_errors model model_deepspin model_exchange model_native_spin model_part safetensors": ("-O1",),
}
"""{files compiled together: additional flags}. These files share headers that take long to parse.

Every other file is compiled alone. The files that read models use -O1, since more optimisation does not make
them faster.
"""
LINK = ("-shared", "-pthread", *(("-Wl,-z,defs",) if platform.system() == "Linux" else ()))
"""With -z defs, missing symbols, such as those of C++'s library, are an error at linking, not at loading."""
DIGEST = hashlib.sha256


class NotCompiledError(Exception):
    """There is no compiler, or it failed; the message says why."""


def widths() -> tuple[str, ...]:
    """The vector widths that processors of this architecture may have."""
    return tuple(WIDTHS) if platform.machine() in ("x86_64", "AMD64") else ("plain",)


def file_name(width: str) -> str:
    """The file name of a library; it contains a digest of the sources."""
    contents = DIGEST(repr((FLAGS, LINK, WIDTHS[width], TOGETHER)).encode())
    for file in (*SOURCES, *HEADERS):
        contents.update(file.read_bytes())
    return f"spinpot-kernels-{width}-{contents.hexdigest()[:16]}.so"


def is_whole(file: Path) -> bool:
    """Whether a library is complete. Loading a truncated one would crash the process."""
    contents = file.read_bytes() if file.is_file() else b""
    size = DIGEST().digest_size
    return len(contents) > size and DIGEST(contents[:-size]).digest() == contents[-size:]


def compile_library(folder: Path, width: str) -> Path:
    """Compile the library of one width into a folder. Raises NotCompiledError, OSError."""
    compiler = compiler_command()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".compiling-") as name:
        place = Path(name)
        command = [*compiler, *FLAGS, *WIDTHS[width], "-x", "c++", "-c", os.devnull]
        commands = [[*command, *unit, "-o", str(place / f"{n}.o")] for n, unit in enumerate(units())]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(run_compiler, commands))
        made = place / "library.so"
        run_compiler([*compiler, *LINK, *map(str, sorted(place.glob("*.o"))), "-o", str(made)])
        if not made.is_file():
            raise NotCompiledError(f"{shlex.join(compiler)} succeeded but wrote no library.")
        # is_whole checks this digest. Loaders ignore bytes after a library's end.
        made.write_bytes((contents := made.read_bytes()) + DIGEST(contents).digest())
        # A rename is atomic, so no process ever reads an incomplete library.
        os.replace(made, folder / file_name(width))
    return folder / file_name(width)


def units() -> list[list[str]]:
    """The compiler's arguments for each object file, which contains one or several of SOURCES."""
    files: dict[str, list[str]] = {}
    for file in SOURCES:
        names = next((names for names in TOGETHER if file.stem in names.split()), file.stem)
        files.setdefault(names, []).extend(("-include", str(file)))
    return [[*TOGETHER.get(names, ()), *included] for names, included in files.items()]


def compiler_command() -> list[str]:
    """The C++ compiler: the variable CXX, or c++. Raises NotCompiledError if it is missing."""
    named = os.environ.get("CXX") or "c++"
    try:
        command = shlex.split(named) or ["c++"]
    except ValueError as error:
        raise NotCompiledError(f"CXX={named}: {error}.") from error
    if shutil.which(command[0]) is None:
        raise NotCompiledError(f"A C++ compiler is needed, such as g++; {command[0]} was not found.")
    return command


def run_compiler(command: list[str]) -> None:
    """Run the compiler. Raises NotCompiledError with its first error if it fails."""
    environment = {**os.environ, "LC_ALL": "C"}
    done = subprocess.run(
        command, capture_output=True, text=True, errors="replace", check=False, env=environment
    )
    if done.returncode:
        lines = done.stderr.splitlines()
        telling = (line for line in lines if "error:" in line or "undefined" in line)
        reason = next(telling, (*lines, f"code {done.returncode}")[0])
        raise NotCompiledError(f"{command[0]} failed: {reason.strip()[:200]}")
