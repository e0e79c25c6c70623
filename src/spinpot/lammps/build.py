"""Builds the LAMMPS plugin: spinpotplugin.so and kernel libraries for all vector widths, in one folder."""

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
"""LAMMPS automatically loads files `*plugin.so` from the folders of LAMMPS_PLUGIN_PATH."""
FLAGS = ("-std=c++17", "-O2", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra", "-Wno-unused-parameter")
LINK = ("-shared", *(("-undefined", "dynamic_lookup") if platform.system() == "Darwin" else ("-ldl",)))


def build(lammps: Path | None, output: Path | None) -> Path:
    """Build the plugin and print how to load it; returns the file. Raises InputError if something is missing.

    lammps: as in find_installation. output: a folder; by default in the cache, separate for each LAMMPS.
    """
    installation = find_installation(lammps)
    plugin = plugin_of(installation, output)
    _say(f"Building the plugin for LAMMPS {installation.version} ({installation.headers}).")
    try:
        plugin.parent.mkdir(parents=True, exist_ok=True)
        kernels = {width: _kernels(plugin.parent, width) for width in widths()}
        compile_plugin(installation, plugin, kernels)
        _remove_others(plugin.parent, set(kernels.values()))
    except NotCompiledError as error:
        raise InputError(f"The plugin was not built. {error}") from error
    except OSError as error:
        raise InputError(f"The plugin was not built: {error.filename}: {reason(error)}.") from error
    print_line(f"Written: {plugin} and its kernels. Put this line before pair_style in the LAMMPS input:")
    print_line(f"\nplugin load {plugin}")
    return plugin


def plugin_of(installation: Installation, output: Path | None) -> Path:
    """The path of the plugin file for a LAMMPS."""
    if output:
        return output.expanduser().absolute() / PLUGIN
    own = hashlib.sha256(str(installation).encode()).hexdigest()[:8]
    return cache_folder("lammps") / f"{installation.version}-{own}" / PLUGIN


def compile_plugin(
    installation: Installation, plugin: Path, kernels: dict[str, str], more: tuple[str, ...] = ()
) -> None:
    """Compile and link the plugin. kernels: names of the kernel libraries by width. more: further flags.

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
    """Copy a kernel library to a folder, after compiling it if needed; returns its name."""
    name = file_name(width)
    if is_whole(folder / name):
        return name
    cache = cache_folder("kernels")
    found = next((place / name for place in (INSTALLED, cache) if is_whole(place / name)), None)
    if found is None:
        _say(f"Compiling the kernels for {width} processors; this takes a minute.")
        found = compile_library(cache, width)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".building-") as place:
        shutil.copyfile(found, Path(place) / name)
        os.replace(Path(place) / name, folder / name)
    return name


def _remove_others(folder: Path, used: set[str]) -> None:
    """Remove kernel libraries of earlier versions."""
    for file in _libraries(folder):
        if file.name not in used:
            with suppress(OSError):
                file.unlink()


def _libraries(folder: Path) -> Iterator[Path]:
    yield from folder.glob("spinpot-kernels-*.so")


def _say(line: str) -> None:
    progress_console.print(line, markup=False, soft_wrap=True)
