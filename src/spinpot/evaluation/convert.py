"""One file to another, by their suffixes: deepmd-kit's models, checkpoints of spinpot, input.json."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from spinpot.core.console import console
from spinpot.core.errors import InputError
from spinpot.models.checkpoint import ENTRY, checkpoint_file, potential_from, read_checkpoint, save_potential
from spinpot.models.deepspin.deepmd.input import is_input, write_experiment
from spinpot.models.deepspin.deepmd.potentials import DeepmdModel, is_deepmd, read_deepmd, write_deepmd
from spinpot.models.deepspin.potential import SpinPotential

CHECKPOINT = ".ckpt"
OUTPUTS = (CHECKPOINT, ".dp", ".pth")


def convert(source: Path, target: Path, deepmd: str | None = None, network_only: bool = False) -> None:
    """Write what `source` holds as the kind of file that the suffix of `target` says.

    deepmd: a Python interpreter that has deepmd-kit 3.2, which writes `.pth`. network_only: leave out an
    exchange term, which only checkpoints can hold.

    Raises InputError before anything is written for a file that cannot be read or is not there, and for a
    target that is there already or has another suffix.
    """
    source = checkpoint_file(source)
    if not source.is_file():
        raise InputError(f"{source}: no such file. Correct the path.")
    if is_input(source):
        _check_target(target, (".yaml",))
        write_experiment(source, target)
        return
    _check_target(target, OUTPUTS)
    if target.suffix == ".pth" and deepmd is None:
        raise InputError(
            f"{target}: a .pth holds code that only deepmd-kit can write. Name a Python interpreter that has "
            f"it, --deepmd PYTHON; or write {target.with_suffix('.dp').name} and give that to `dp "
            "convert-backend`."
        )
    model = read_model(source)
    if network_only:
        model.potential.drop_exchange()
    if target.suffix == CHECKPOINT:
        save_potential(target, model.potential, deepmd=model.rest)
    elif target.suffix == ".dp":
        write_deepmd(target, model.potential, model.rest or None)
    else:
        assert deepmd is not None
        write_frozen(target, model, deepmd)
    _tell(model.potential, target)


def read_model(path: Path) -> DeepmdModel:
    """The model of a checkpoint, a run folder or a file of deepmd-kit, with the rest of the latter."""
    path = checkpoint_file(path)
    if is_deepmd(path):
        return read_deepmd(path)
    if path.suffix != CHECKPOINT:
        raise InputError(
            f"{path}: unknown suffix {path.suffix!r}. Expected a checkpoint of spinpot (.ckpt), a model of "
            "deepmd-kit (.dp, .yaml, .pt, .pth), or its input (.json, .yaml)."
        )
    contents = read_checkpoint(path)
    return DeepmdModel(potential_from(contents, path), contents[ENTRY].get("deepmd") or {})


def write_frozen(target: Path, model: DeepmdModel, deepmd: str) -> None:
    """Write a `.pth` by deepmd-kit's own convert-backend. Raises InputError where that fails."""
    with tempfile.TemporaryDirectory(dir=target.absolute().parent, prefix=".convert.") as folder:
        portable, frozen = Path(folder) / "model.dp", Path(folder) / "model.pth"
        write_deepmd(portable, model.potential, model.rest or None)
        command = [deepmd, "-m", "deepmd", "convert-backend", str(portable), str(frozen)]
        try:
            result = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        except OSError as error:
            raise InputError(
                f"--deepmd {deepmd}: cannot be run ({error.strerror}). Expected a Python interpreter."
            ) from error
        if result.returncode != 0 or not frozen.is_file():
            said = (result.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise InputError(
                f"--deepmd {deepmd}: deepmd-kit did not write {target.name}: {said}. Expected an interpreter "
                "with `deepmd-kit[torch]==3.2.0`."
            )
        frozen.replace(target)


def _check_target(target: Path, suffixes: tuple[str, ...]) -> None:
    if target.suffix not in suffixes:
        raise InputError(
            f"{target}: this input is written as {' or '.join(suffixes)}, not as "
            f"{target.suffix or 'no suffix'!r}. Give an output with that suffix."
        )
    if target.exists():
        raise InputError(
            f"{target} is there already, and nothing is overwritten. Give another name, or remove it."
        )
    if not target.absolute().parent.is_dir():
        raise InputError(f"{target}: there is no folder {target.parent}. Make it first.")


def _tell(potential: SpinPotential, target: Path) -> None:
    spec = potential.spec
    magnetic = [name for name, uses in zip(spec.type_map, spec.use_spin, strict=True) if uses]
    parameters = sum(weight.numel() for weight in potential.parameters())
    console.print(
        f"Written: {target}: {' '.join(spec.type_map)} (with spin: {' '.join(magnetic)}), rcut "
        f"{spec.descriptor.rcut} Å, {parameters} parameters.",
        markup=False,
        soft_wrap=True,
    )
    if target.suffix != CHECKPOINT:
        names = " ".join(spec.type_map)
        console.print(
            f"LAMMPS: pair_style deepspin {target.with_suffix('.pth').name}; pair_coeff * * {names}"
        )
    if target.suffix != CHECKPOINT and potential.descriptor.radial == "collocated":
        console.print(
            "deepmd-kit evaluates the embedding for each pair, not between nodes: the same to about 1e-8 "
            "eV/atom and 1e-7 eV/Å.",
            soft_wrap=True,
        )
