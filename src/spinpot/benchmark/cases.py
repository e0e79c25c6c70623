"""What is measured: settings of spinpot train, and the frames they need."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

EXAMPLE = "experiment=nio_deltaspin"
"""deepmd-kit's example: embedding 25-50-100, fitting 240-240-240, float64, 3 frames of 32 atoms a step."""
FRAMES = 4
"""Of a supercell; which they are makes no difference to the time."""


@dataclass(frozen=True)
class Case:
    """Settings of spinpot train; with `repeats`, those of the built-in NiO, so often in each direction."""

    about: str
    own: tuple[str, ...] = ()
    repeats: int = 0

    def settings(self, folder: Path) -> list[str]:
        """The settings. folder: for frames of the case's own."""
        return _supercell(self.repeats, folder) if self.repeats else [*self.own]


def _supercell(repeats: int, folder: Path) -> list[str]:
    """deepmd-kit's example network on supercells of the built-in NiO, one frame a step."""
    from spinpot.data.nio_frames import prepare_nio  # not above: it imports torch

    name = f"NiO_{32 * repeats**3}"
    prepare_nio(folder / "NiO")
    write_supercell(folder / "NiO" / "train" / "tetragonal_32", folder / name, repeats)
    place = f"[{folder / name}]"
    return [
        *(EXAMPLE, "data=npy", f"data.train={place}", f"data.validation={place}"),
        *("data.type_map=[Ni,O]", "data.batch_size=1"),
    ]


CASES = {
    "NiO": Case("the built-in set and the default network"),
    "NiO_deltaspin": Case("deepmd-kit's example, 3 frames a step", (EXAMPLE,)),
    "NiO_deltaspin_1": Case("the same, 1 frame", (EXAMPLE, "data.batch_size=1")),
    "NiO_deltaspin_16": Case("the same, 16 frames", (EXAMPLE, "data.batch_size=16")),
    "NiO_deltaspin_32-true": Case("the same, 3 frames, float32", (EXAMPLE, "trainer.precision=32-true")),
    "atoms_32": Case("the example's network, one frame of 32 atoms", repeats=1),
    "atoms_256": Case("one of 256 atoms", repeats=2),
    "atoms_2048": Case("one of 2048 atoms", repeats=4),
}


def write_supercell(system: Path, folder: Path, repeats: int) -> None:
    """The first frames of a deepmd npy system, repeated along each lattice vector, labels included."""
    data = {file.stem: np.load(file)[:FRAMES] for file in sorted((system / "set.000").glob("*.npy"))}
    box = data["box"].reshape(-1, 3, 3)
    cells = np.array(np.meshgrid(*[np.arange(repeats)] * 3, indexing="ij")).reshape(3, -1).T
    coord = data["coord"].reshape(len(box), 1, -1, 3) + (cells @ box)[:, :, None]
    per_atom = {
        name: np.tile(data[name].reshape(len(box), -1), (1, len(cells)))
        for name in ("spin", "force", "force_mag")
    }
    repeated = {
        "box": (repeats * box).reshape(len(box), 9),
        "coord": coord.reshape(len(box), -1),
        "energy": data["energy"] * len(cells),
        **per_atom,
    }
    (folder / "set.000").mkdir(parents=True)
    for name, values in repeated.items():
        np.save(folder / "set.000" / f"{name}.npy", values)
    types = np.loadtxt(system / "type.raw", dtype=int, ndmin=1)
    np.savetxt(folder / "type.raw", np.tile(types, len(cells)), fmt="%d")
    (folder / "type_map.raw").write_text((system / "type_map.raw").read_text())
