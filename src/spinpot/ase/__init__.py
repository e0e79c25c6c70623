"""Potentials in ASE: a calculator, relaxation of atoms and spins, and spin-lattice dynamics."""

from spinpot.ase.calculator import SpinCalculator
from spinpot.ase.dynamics import SpinLatticeDynamics
from spinpot.ase.relaxation import SpinFilter

__all__ = ["SpinCalculator", "SpinFilter", "SpinLatticeDynamics"]
