"""Writes a DeepSPIN potential as a file of deepmd-kit: `.dp`, or with an installed deepmd-kit `.pth`."""

import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spinpot.core.console import console, print_line
from spinpot.core.errors import InputError
from spinpot.models.deepspin.deepmd.dp_file import Tree, write_dp
from spinpot.models.deepspin.deepmd.potentials import tree_of
from spinpot.models.deepspin.potential import DeepSpin


def export(potential: DeepSpin, path: Path, rest: Mapping[str, Any], python: str | None) -> None:
    """Write a `.dp` or `.pth`, and print how to use it in LAMMPS.

    rest: as read_deepmd returns it. python: an interpreter with deepmd-kit 3.2, needed to write `.pth`.
    Raises InputError if the interpreter is missing or fails.
    """
    tree = tree_of(potential, dict(rest) or None)
    if path.suffix == ".dp":
        write_dp(path, tree)
    elif python is None:
        raise InputError(
            f"{path}: a .pth holds code that only deepmd-kit can write. Name a Python interpreter that has "
            f"it, --deepmd PYTHON; or write {path.with_suffix('.dp').name} and give that to `dp "
            "convert-backend`."
        )
    else:
        write_frozen(path, tree, python)
    names = " ".join(potential.spec.type_map)
    console.print(f"LAMMPS: pair_style deepspin {path.with_suffix('.pth').name}; pair_coeff * * {names}")
    if potential.descriptor.radial == "collocated":
        print_line(
            "deepmd-kit evaluates the embedding directly instead of interpolating it: results agree within "
            "about 1e-8 eV/atom and 1e-7 eV/Å."
        )


def write_frozen(target: Path, tree: Tree, python: str) -> None:
    """Write a `.pth` by deepmd-kit's convert-backend. Raises InputError if that fails."""
    with tempfile.TemporaryDirectory(dir=target.absolute().parent, prefix=".convert.") as folder:
        portable, frozen = Path(folder) / "model.dp", Path(folder) / "model.pth"
        write_dp(portable, tree)
        command = [python, "-m", "deepmd", "convert-backend", str(portable), str(frozen)]
        try:
            result = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        except OSError as error:
            raise InputError(
                f"--deepmd {python}: cannot be run ({error.strerror}). Expected a Python interpreter."
            ) from error
        if result.returncode != 0 or not frozen.is_file():
            said = (result.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise InputError(
                f"--deepmd {python}: deepmd-kit did not write {target.name}: {said}. Expected an interpreter "
                "with `deepmd-kit[torch]==3.2.0`."
            )
        frozen.replace(target)
