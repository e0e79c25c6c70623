"""`spinpot label` with GPAW makes a frame of the shipped set again; a minute or less, also in `.ci/run`."""

import numpy as np
import pytest

from spinpot.data.fe_gpaw import SHIPPED
from spinpot.data.systems import read_systems
from support.cli import run_script

pytestmark = pytest.mark.slow
OTHERS = ("Fe2_dense", "Fe2_wide", "Fe2_sheared", "Fe4", "Fe16")


def test_a_frame_of_iron_is_made_again(codes, tmp_path):
    settings = ["label=gpaw_coarse", "recipe=Fe_gpaw", "recipe.systems.Fe2.frames=1"]
    settings += [f"~recipe.systems.{name}" for name in OTHERS]
    run_script("label.py", f"output={tmp_path}", *settings, cwd=tmp_path)
    (made,), (shipped,) = (
        read_systems([folder / "Fe2"]) for folder in (tmp_path / "frames", SHIPPED / "pairs")
    )
    np.testing.assert_allclose(made.coord[0], shipped.coord[0], atol=1e-6)
    np.testing.assert_allclose(made.energy[0], shipped.energy[0], atol=1e-3)  # eV
    np.testing.assert_allclose(made.spin[0], shipped.spin[0], atol=2e-3)  # μ_B
    np.testing.assert_allclose(made.force[0], shipped.force[0], atol=5e-3)  # eV/Å
    np.testing.assert_allclose(made.force_mag[0], shipped.force_mag[0], atol=5e-3)  # eV/μ_B
