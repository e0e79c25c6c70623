"""The benchmark cases: settings of `spinpot train`, and their frames."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

EXAMPLE = "experiment=nio_deltaspin"
"""deepmd-kit's example: embedding 25-50-100, fitting 240-240-240, float64, 3 frames of 32 atoms per step."""
FRAMES = 4  # number of supercell frames; the choice does not affect the time


@dataclass(frozen=True)
class Case:
    """Settings of `spinpot train`; with `repeats`, for supercells of the built-in NiO."""

    about: str
    own: tuple[str, ...] = ()
    repeats: int = 0

    def settings(self, folder: Path) -> list[str]:
        """The settings. folder: where the frames of supercells are written."""
        if not self.repeats:
            return [*self.own]
        from spinpot.data.nio_frames import prepare_nio  # not above: it imports torch

        prepare_nio(folder / "NiO")
        made = folder / f"NiO_{32 * self.repeats**3}"
        write_supercell(folder / "NiO" / "train" / "tetragonal_32", made, self.repeats)
        return [*example_on(made, made), "data.batch_size=1"]


def example_on(train: Path, validation: Path) -> list[str]:
    """deepmd-kit's example network, 4 frames per step, on folders of NiO."""
    sets = (f"data.train=[{train}]", f"data.validation=[{validation}]")
    return [EXAMPLE, "data=npy", *sets, "data.type_map=[Ni,O]"]


CASES = {
    "NiO": Case("the built-in set and the default network"),
    "NiO_deltaspin": Case("deepmd-kit's example, 3 frames per step", (EXAMPLE,)),
    "NiO_deltaspin_1": Case("deepmd-kit's example, 1 frame per step", (EXAMPLE, "data.batch_size=1")),
    "NiO_deltaspin_16": Case("deepmd-kit's example, 16 frames per step", (EXAMPLE, "data.batch_size=16")),
    "NiO_deltaspin_32-true": Case("deepmd-kit's example, float32", (EXAMPLE, "trainer.precision=32-true")),
    "native_spin": Case("native spins on the same frames, 3 per step", ("experiment=native_spin",)),
    "atoms_32": Case("deepmd-kit's example network, one frame of 32 atoms per step", repeats=1),
    "atoms_256": Case("deepmd-kit's example network, one frame of 256 atoms per step", repeats=2),
    "atoms_2048": Case("deepmd-kit's example network, one frame of 2048 atoms per step", repeats=4),
}


def write_supercell(system: Path, folder: Path, repeats: int) -> None:
    """Write the first frames of a system, repeated along each lattice vector, without the virial."""
    from spinpot.data.npy_folder import write_npy  # not above, as prepare_nio
    from spinpot.data.systems import in_memory, read_systems, select

    (found,) = read_systems([system])
    small = in_memory(select(found, np.arange(FRAMES)[: len(found)]))
    cells = np.array(np.meshgrid(*[np.arange(repeats)] * 3, indexing="ij")).reshape(3, -1).T
    coord = np.asarray(small.coord)[:, None] + (cells @ small.box)[:, :, None]
    changed: dict[str, Any] = {
        name: np.tile(getattr(small, name), (1, len(cells), 1)) for name in ("spin", "force", "force_mag")
    }
    changed |= {"energy": cast(np.ndarray, small.energy) * len(cells), "virial": None}
    changed |= {"box": repeats * np.asarray(small.box), "coord": coord.reshape(len(small), -1, 3)}
    write_npy(replace(small, types=np.tile(small.types, len(cells)), **changed), folder)
