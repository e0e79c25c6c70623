"""Labels by GPAW; a penalty holds the directions of the moments.

The penalty is p Σ (|m|² − (u·m)²) for moments m with target directions u; it is not part of the energy. At
the minimum of energy plus penalty, −dE/dm = 2p (m − u (u·m)). Lengths are free, so there is no force along u.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from importlib.metadata import PackageNotFoundError, version
from io import StringIO
from math import ceil
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from spinpot.core.errors import InputError, require
from spinpot.labels.configuration import Array, Configuration
from spinpot.labels.label import FrameError, Label
from spinpot.labels.labellers.mesh import half_shifted, mesh_size

OWN = ("kpts", "nbands", "magmoms", "symmetry", "extensions", "txt")
"""GPAW parameters that spinpot sets for each frame."""
FUNCTIONAL = "LDA"
"""GPAW's only functionals for non-collinear moments; a +U correction is set in its setups."""
INSTALL = (
    "label=gpaw needs the package gpaw, which compiles against libxc and a BLAS library: "
    "apt install libxc-dev libopenblas-dev, then pip install -c constraints.txt -e '.[label]'. If that stops "
    "at mpi.h, install libopenmpi-dev as well, or set GPAW_CONFIG to a file with the lines mpi = False, "
    "compiler = 'g++' and libraries = ['xc', 'blas']."
)


class GpawLabeller:
    """Labels by GPAW ≥ 26.7 with non-collinear moments.

    parameters: GPAW parameters, except those that spinpot sets for each frame.
    kpoint_spacing: Å⁻¹, the largest distance between points of the half-shifted mesh. penalty: eV/μ_B².
    bands: spinor bands (one electron each) per valence electron.
    """

    def __init__(
        self,
        parameters: Mapping[str, Any],
        kpoint_spacing: float = 0.3,
        bands: float = 2.0,
        penalty: float = 5.0,
    ) -> None:
        require(kpoint_spacing > 0.0, "label.kpoint_spacing", kpoint_spacing, "a number > 0, in Å⁻¹.")
        require(bands > 1.0, "label.bands", bands, "a number > 1: spinor bands per valence electron.")
        require(penalty > 0.0, "label.penalty", penalty, "a number > 0, in eV/μ_B².")
        self.parameters = dict(parameters)
        self.kpoint_spacing = kpoint_spacing
        self.bands = bands
        self.penalty = penalty
        for name in OWN:
            require(
                name not in parameters, f"label.parameters.{name}", parameters.get(name), "to be left out."
            )
        require(
            parameters.get("xc") == FUNCTIONAL,
            "label.parameters.xc",
            parameters.get("xc"),
            f"{FUNCTIONAL}: GPAW has no gradient corrections, such as PBE, for non-collinear moments. Set a "
            "+U correction in the setups, e.g. setups: {Ni: ':d,6.0'}.",
        )

    @property
    def isotropic(self) -> bool:
        """Whether there is no spin–orbit coupling."""
        return not self.parameters.get("soc", False)

    def check(self, configurations: Sequence[Configuration]) -> None:
        """Raise InputError if GPAW or the setup of an element is missing, or lengths are to be held."""
        if importlib.util.find_spec("gpaw") is None:
            raise InputError(INSTALL)
        refuse_lengths(configurations, "label=gpaw")
        from gpaw.setup_data import search_for_file

        elements = {symbol for one in configurations for symbol in one.atoms.get_chemical_symbols()}
        for element in sorted(elements):
            try:
                search_for_file(f"{element}.{FUNCTIONAL}")
            except FileNotFoundError as error:
                raise InputError(
                    f"label=gpaw: there is no setup for {element} ({element}.{FUNCTIONAL}). Install the "
                    "package gpaw-data, or set GPAW_SETUP_PATH to a folder that has it."
                ) from error

    def provenance(self) -> dict[str, Any]:
        """The versions of GPAW and its setups, and all settings."""
        return {
            "code": "GPAW",
            "version": version("gpaw"),
            "setups": setups_version(),
            "parameters": self.parameters,
            "kpoint_spacing": self.kpoint_spacing,
            "bands": self.bands,
            "penalty": self.penalty,
            "constrained": "directions of moments in the PAW spheres, by a penalty that is not in the energy",
            "longitudinal": False,
        }

    def label(self, configuration: Configuration, folder: Path) -> Label:
        """Compute free energy, its derivatives and the moments. `gpaw.txt` is GPAW's output."""
        from gpaw import KohnShamConvergenceError

        begun = monotonic()
        atoms = configuration.atoms.copy()
        with redirect_stdout(StringIO()):
            atoms.calc = self._calculator(configuration, folder)
            try:
                energy = float(atoms.get_potential_energy(force_consistent=True))
            except KohnShamConvergenceError as error:
                limit = self.parameters.get("maxiter", "GPAW's limit of")
                raise FrameError(f"not converged after {limit} iterations") from error
            forces = np.array(atoms.get_forces())
        moments = np.array(atoms.calc.dft.magmoms()[1])
        return Label(
            energy=energy,
            forces=forces,
            moments=moments,
            magnetic_forces=magnetic_forces(configuration, moments, self.penalty),
            details={
                "iterations": int(atoms.calc.get_number_of_iterations()),
                "seconds": round(monotonic() - begun, 1),
                "kpoints": list(mesh_size(configuration.atoms.cell.array, self.kpoint_spacing)),
                "net_force": float(np.linalg.norm(forces.sum(axis=0))),
            },
        )

    def _calculator(self, configuration: Configuration, folder: Path) -> Any:
        from gpaw.new.ase_interface import GPAW
        from gpaw.new.constraints import SpinDirectionConstraint

        directions = configuration.directions()
        held = {int(k): directions[k].tolist() for k in np.flatnonzero(configuration.constrained)}
        return GPAW(
            **self.parameters,
            kpts=half_shifted(mesh_size(configuration.atoms.cell.array, self.kpoint_spacing)),
            nbands=self._orbital_bands(configuration),
            symmetry="off",
            magmoms=configuration.moments,
            extensions=[SpinDirectionConstraint(held, self.penalty)],
            txt=str(folder / "gpaw.txt"),
        )

    def _orbital_bands(self, configuration: Configuration) -> int:
        """GPAW's number of bands, each of which is two spinor bands. Its default depends on the moments."""
        from gpaw.setup_data import SetupData

        symbols = configuration.atoms.get_chemical_symbols()
        electrons = {symbol: SetupData(symbol, FUNCTIONAL).Nv for symbol in set(symbols)}
        return ceil(self.bands * sum(float(electrons[symbol]) for symbol in symbols) / 2)


def setups_version() -> str:
    """The version of gpaw-data, or the path of other setups."""
    try:
        return version("gpaw-data")
    except PackageNotFoundError:
        return os.environ.get("GPAW_SETUP_PATH", "unknown")


def refuse_lengths(configurations: Sequence[Configuration], code: str) -> None:
    """Raise InputError if a configuration holds lengths; for codes that can only hold directions."""
    if held := [one.name for one in configurations if one.hold_lengths]:
        raise InputError(
            f"{code} can only hold directions of moments, but {held[0]} asks to hold lengths. Set "
            "hold=direction in the recipe, or label with another code."
        )


def magnetic_forces(configuration: Configuration, moments: Array, penalty: float) -> Array:
    """−dE/dm (N, 3) of moments (N, 3) held by a penalty; zero for free moments."""
    directions = configuration.directions()
    across = moments - directions * (directions * moments).sum(axis=1, keepdims=True)
    return np.where(configuration.constrained[:, None], 2.0 * penalty * across, 0.0)
