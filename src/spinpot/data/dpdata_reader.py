"""What dpdata has to know of spins and labels before it reads them."""

from __future__ import annotations

import dpdata
import numpy as np
from dpdata.data_type import Axis, DataType
from dpdata.plugins.deepmd import register_spin


def register() -> None:
    """Make labels optional data of dpdata's System, whose LabeledSystem insists on energies.

    Registering the same type again is without effect.
    """
    register_spin()
    per_atom = (Axis.NFRAMES, Axis.NATOMS, 3)
    dpdata.System.register_data_type(
        DataType("energies", np.ndarray, (Axis.NFRAMES,), required=False, deepmd_name="energy"),
        DataType("forces", np.ndarray, per_atom, required=False, deepmd_name="force"),
        DataType("virials", np.ndarray, (Axis.NFRAMES, 3, 3), required=False, deepmd_name="virial"),
    )
