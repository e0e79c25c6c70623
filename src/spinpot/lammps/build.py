"""Build the plugin for a LAMMPS: spinpotplugin.so and the kernel libraries of all widths, in one folder."""

import hashlib
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from spinpot.core.console import print_line, progress_console
from spinpot.core.errors import InputError
from spinpot.core.files import reason
from spinpot.kernels.compiler import (
    NotCompiledError,
    compile_library,
    compiler_command,
    file_name,
    is_whole,
    run_compiler,
    widths,
)
from spinpot.kernels.library import INSTALLED, cache_folder
from spinpot.lammps.installation import Installation, find_installation

SOURCES = Path(__file__).parent / "plugin"
PLUGIN = "spinpotplugin.so"
"""LAMMPS loads files whose names end so from the folders of LAMMPS_PLUGIN_PATH by itself."""
FLAGS = ("-std=c++17", "-O2", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra", "-Wno-unused-parameter")
LINK = ("-shared", *(("-undefined", "dynamic_lookup") if platform.system() == "Darwin" else ("-ldl",)))


def build(lammps: Path | None, output: Path | None) -> Path:
    """Build the plugin and print how it is loaded; the file. Raises InputError that says what is missing.

    lammps: as find_installation takes it. output: a folder, by default one of the cache for each LAMMPS.
    """
    installation = find_installation(lammps)
    plugin = plugin_of(installation, output)
    _say(f"Building the plugin for LAMMPS of {installation.version}, {installation.headers}.")
    try:
        plugin.parent.mkdir(parents=True, exist_ok=True)
        kernels = {width: _kernels(plugin.parent, width) for width in widths()}
        compile_plugin(installation, plugin, kernels)
        _remove_others(plugin.parent, set(kernels.values()))
    except NotCompiledError as error:
        raise InputError(f"The plugin was not built. {error}") from error
    except OSError as error:
        raise InputError(f"The plugin was not built: {error.filename}: {reason(error)}.") from error
    print_line(f"Written: {plugin}, and the kernels beside it. In LAMMPS' input, before pair_style:")
    print_line(f"\nplugin load {plugin}")
    return plugin


def plugin_of(installation: Installation, output: Path | None) -> Path:
    """The file of the plugin for a LAMMPS."""
    if output:
        return output.expanduser().absolute() / PLUGIN
    own = hashlib.sha256(str(installation).encode()).hexdigest()[:8]
    return cache_folder("lammps") / f"{installation.version}-{own}" / PLUGIN


def compile_plugin(
    installation: Installation, plugin: Path, kernels: dict[str, str], more: tuple[str, ...] = ()
) -> None:
    """Compile and link the plugin. kernels: the files beside it, by their widths; more: flags.

    Raises NotCompiledError.
    """
    command = [*compiler_command(), *FLAGS, *more, "-isystem", str(installation.headers)]
    command += ["-idirafter", str(SOURCES / "without_json"), *installation.flags]
    command += [f"-DSPINPOT_LAMMPS_VERSION={installation.version}"]
    command += [f'-DSPINPOT_KERNELS_{width.upper()}="{file}"' for width, file in kernels.items()]
    with tempfile.TemporaryDirectory(dir=plugin.parent, prefix=".building-") as place:
        objects = []
        for source in sorted(SOURCES.glob("*.cpp")):
            objects.append(str(Path(place) / f"{source.stem}.o"))
            run_compiler([*command, "-c", str(source), "-o", objects[-1]])
        made = Path(place) / PLUGIN
        run_compiler([*compiler_command(), *more, *objects, *LINK, "-o", str(made)])
        os.replace(made, plugin)


def _kernels(folder: Path, width: str) -> str:
    """Put a kernel library into a folder, compiled unless it is somewhere already; its name."""
    name = file_name(width)
    if is_whole(folder / name):
        return name
    cache = cache_folder("kernels")
    found = next((place / name for place in (INSTALLED, cache) if is_whole(place / name)), None)
    if found is None:
        _say(f"Compiling the kernels for {width} processors; that takes a minute.")
        found = compile_library(cache, width)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".building-") as place:
        shutil.copyfile(found, Path(place) / name)
        os.replace(Path(place) / name, folder / name)
    return name


def _remove_others(folder: Path, used: set[str]) -> None:
    """Kernel libraries of earlier versions."""
    for file in _libraries(folder):
        if file.name not in used:
            with suppress(OSError):
                file.unlink()


def _libraries(folder: Path) -> Iterator[Path]:
    yield from folder.glob("spinpot-kernels-*.so")


def _say(line: str) -> None:
    progress_console.print(line, markup=False, soft_wrap=True)
