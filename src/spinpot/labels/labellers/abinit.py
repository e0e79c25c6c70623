"""Labels by ABINIT with norm-conserving pseudopotentials and LDA, for which all its derivatives agree.

ABINIT finds a field that holds the moments in spheres around the atoms, and prints dE/dS as `grspin`, in
Ha/μ_B.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
from ase.units import Bohr, Hartree

from spinpot.core.errors import InputError, require
from spinpot.labels.configuration import Array, Configuration
from spinpot.labels.label import FrameError, Label
from spinpot.labels.labellers.mesh import half_shifted, mesh_size
from spinpot.labels.labellers.pseudopotentials import Pseudopotential, find_pseudopotential
from spinpot.labels.neighbours import shortest

SETTLED = dict.fromkeys(("prtwf", "prtden", "prteig", "optstress", "kptopt"), 0)
SETTLED |= {"optforces": 1, "nspinor": 2, "nspden": 4, "nsppol": 1, "nsym": 1}
"""ABINIT variables that are the same in all frames."""
OWN = (
    *("acell", "rprim", "natom", "ntypat", "typat", "znucl", "xcart", "xred", "pp_dirpath", "pseudos"),
    *("nband", "nkpt", "ngkpt", "kpt", "shiftk", "so_psp", "spinat", "constraint_kind", "ratsph", *SETTLED),
)
"""ABINIT variables that spinpot sets for each frame."""
DIRECTION, VECTOR = 2, 1  # constraint_kind: hold the direction, or the whole vector
INPUT, OUTPUT, LOG = "run.abi", "run.abo", "log"
NUMBER = r"[-+]?\d+\.\d+(?:[ED][-+]\d+)?"
INSTALL = (
    "label=abinit: the command {command} was not found. Install ABINIT: apt install abinit abinit-data, or "
    "conda install -c conda-forge abinit; or give its path with label.command=PATH."
)


class AbinitLabeller:
    """Labels by ABINIT ≥ 9.6, without spin–orbit coupling.

    parameters: ABINIT variables, except those that spinpot sets for each frame.
    sphere: Bohr, the radius of the spheres in which moments are held. Spheres must not overlap.
    pseudopotentials: psp8 files by element, or a folder of ELEMENT.psp8; None uses Debian's abinit-data.
    """

    isotropic = True

    def __init__(
        self,
        parameters: Mapping[str, Any],
        kpoint_spacing: float = 0.3,
        bands: float = 1.25,
        sphere: float = 2.0,
        pseudopotentials: str | Mapping[str, str] | None = None,
        command: str = "abinit",
    ) -> None:
        require(kpoint_spacing > 0.0, "label.kpoint_spacing", kpoint_spacing, "a number > 0, in Å⁻¹.")
        require(bands > 1.0, "label.bands", bands, "a number > 1: spinor bands per valence electron.")
        require(sphere > 0.0, "label.sphere", sphere, "a radius > 0, in Bohr.")
        for name in OWN:
            value = parameters.get(name)
            require(name not in parameters, f"label.parameters.{name}", value, "to be left out.")
        self.parameters = dict(parameters)
        self.kpoint_spacing, self.bands, self.sphere = kpoint_spacing, bands, sphere
        self.pseudopotentials, self.command = pseudopotentials, shlex.split(command)

    def pseudopotential(self, element: str) -> Pseudopotential:
        """The pseudopotential of an element. Raises InputError if there is none, or none for LDA."""
        return find_pseudopotential(element, self.pseudopotentials)

    def check(self, configurations: Sequence[Configuration]) -> None:
        """Raise InputError if ABINIT or a pseudopotential is missing, or spheres overlap."""
        if shutil.which(self.command[0]) is None:
            raise InputError(INSTALL.format(command=self.command[0]))
        for element in sorted({one for c in configurations for one in c.atoms.get_chemical_symbols()}):
            self.pseudopotential(element)
        for one in configurations:
            self._check_spheres(one)

    def _check_spheres(self, one: Configuration) -> None:
        """Raise InputError for overlapping spheres, with which ABINIT stops."""
        nearest = shortest(one.atoms)
        if nearest < 2.0 * self.sphere * Bohr:
            raise InputError(
                f"label.sphere={self.sphere:g} Bohr: the spheres overlap in {one.name}, where two atoms are "
                f"{nearest:.3f} Å apart. Expected a radius up to {nearest / Bohr / 2:.2f}."
            )

    def provenance(self) -> dict[str, Any]:
        """The version of ABINIT and all settings."""
        asked = subprocess.run([self.command[0], "--version"], capture_output=True, text=True, check=False)
        return {
            "code": "ABINIT",
            "version": asked.stdout.strip() or "unknown",
            "parameters": self.parameters,
            "kpoint_spacing": self.kpoint_spacing,
            "bands": self.bands,
            "sphere": self.sphere,
            "pseudopotentials": self.pseudopotentials,
            "constrained": "directions of moments in spheres, or vectors where the recipe holds them",
            "longitudinal": "where vectors are held",
        }

    def label(self, configuration: Configuration, folder: Path) -> Label:
        """Compute free energy, its derivatives and moments. The folder keeps ABINIT's input and output."""
        begun = monotonic()
        (folder / INPUT).write_text(self.input_text(configuration), encoding="utf-8")
        with (folder / LOG).open("w") as log:
            run = subprocess.run(
                [*self.command, INPUT], cwd=folder, stdout=log, stderr=subprocess.STDOUT, check=False
            )
        output = folder / OUTPUT
        written = output.read_text(encoding="utf-8", errors="replace") if output.exists() else ""
        if run.returncode or "values of variables after computation" not in written:
            raise FrameError(said(folder / LOG) or f"ABINIT stopped with exit code {run.returncode}")
        return read_output(written, round(monotonic() - begun, 1))

    def input_text(self, configuration: Configuration) -> str:
        """The input of a frame. Constraints are per type, so held and free atoms get different types."""
        atoms, kind = configuration.atoms, VECTOR if configuration.hold_lengths else DIRECTION
        of_atoms = list(zip(atoms.get_chemical_symbols(), configuration.constrained.tolist(), strict=True))
        types = sorted(set(of_atoms))
        found = [self.pseudopotential(symbol) for symbol, _ in types]
        electrons = sum(found[types.index(one)].valence for one in of_atoms)
        points = half_shifted(mesh_size(atoms.cell.array, self.kpoint_spacing))
        variables = {
            "pp_dirpath": '""',
            "pseudos": '"' + ", ".join(str(one.file) for one in found) + '"',
            "natom": len(atoms),
            "ntypat": len(types),
            "typat": [types.index(one) + 1 for one in of_atoms],
            "znucl": [one.number for one in found],
            "rprim": atoms.cell.array / Bohr,
            "xcart": atoms.positions / Bohr,
            "nkpt": len(points),
            "kpt": points,
            "nband": int(np.ceil(self.bands * electrons)),
            "so_psp": [0] * len(types),  # nspinor 2 would turn on spin-orbit coupling
            "spinat": configuration.moments,
            "constraint_kind": [kind if held else 0 for _, held in types],
            "ratsph": [self.sphere] * len(types),
            **SETTLED,
            **self.parameters,
        }
        return "".join(f"{name} {as_text(value)}\n" for name, value in variables.items())


def as_text(value: Any) -> str:
    """A number, text, list or array as text, without loss of precision."""
    if isinstance(value, np.ndarray):
        return "".join("\n  " + " ".join(repr(float(x)) for x in row) for row in value)
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def read_output(text: str, seconds: float) -> Label:
    """Read the label from ABINIT's output. Raises FrameError if it is not converged or lacks `grspin`."""
    done = re.search(r"At SCF step\s+(\d+).*=>\s*converged", text)
    if not done:
        steps = re.findall(rf"^ ETOT\s+(\d+).*?({NUMBER})\s+{NUMBER}\s+{NUMBER}\s*$", text, re.MULTILINE)
        number, residual = steps[-1] if steps else (0, "unknown")
        raise FrameError(f"not converged after {number} iterations (residual of the potential {residual})")
    energies = re.findall(rf"^ ETOT\s+\d+\s+({NUMBER})", text, re.MULTILINE)
    results = text[text.rindex("values of variables after computation") :]
    return Label(
        energy=float(energies[-1]) * Hartree,
        forces=rows_of(results, "fcart") * Hartree / Bohr,
        moments=read_moments(text),
        magnetic_forces=-rows_of(results, "grspin") * Hartree,
        details={"iterations": int(done[1]), "seconds": seconds},
    )


def rows_of(text: str, name: str) -> Array:
    """A variable (N, 3) from ABINIT's list of variables."""
    found = re.search(rf"^\s*{name}\s+((?:{NUMBER}\s+)+)", text, re.MULTILINE)
    if not found:
        raise FrameError(f"ABINIT's output has no {name}: expected ABINIT 9.6 or newer")
    return np.array(found[1].split(), dtype=np.float64).reshape(-1, 3)


def read_moments(text: str) -> Array:
    """Moments (N, 3) from the last table of spheres (atom, radius, density, x, y, z, charge)."""
    table = text[text.rindex("Integrated electronic and magnetization densities") :]
    table = table.partition("Total magnetization")[0]
    rows = re.findall(
        rf"^\s+\d+\s+{NUMBER}\s+{NUMBER}\s+({NUMBER})\s+({NUMBER})\s+({NUMBER})\s+{NUMBER}\s*$",
        table,
        re.MULTILINE,
    )
    return np.array(rows, dtype=np.float64)


def said(log: Path) -> str | None:
    """The message of the last error in ABINIT's log, on one line."""
    parts = log.read_text(encoding="utf-8", errors="replace").rpartition("--- !ERROR")
    found = re.search(r"message: \|\n(.*?)(?:\n\.\.\.|\Z)", parts[2], re.DOTALL) if parts[1] else None
    return f"ABINIT: {' '.join(found[1].split())}" if found else None
