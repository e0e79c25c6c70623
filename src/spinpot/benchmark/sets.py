"""Makes training sets of any size: frames of the built-in NiO, rotated and translated, with exact labels."""

import re
import shutil
import tempfile
from argparse import ArgumentTypeError
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from spinpot.core.console import counted
from spinpot.core.errors import InputError
from spinpot.core.files import cannot_write

SHAPE, DRAWN = "rhombohedral_32", 200
"""A structure of the built-in set, and the number of different labelled frames."""
BLOCK = 10_000  # frames in memory at once, and per set.* folder
VECTORS = ("box", "coord", "spin", "force", "force_mag")
ROWS = dict.fromkeys(VECTORS, 96) | {"box": 9, "energy": 1, "virial": 9}
PAGE = 4096  # smallest size of a file or folder on disk, bytes
BESIDE = 4  # further files and folders per system: type.raw, type_map.raw and two folders


@dataclass(frozen=True)
class Size:
    """The size of a set: the number of systems, and of frames in each."""

    systems: int
    frames: int

    @classmethod
    def of(cls, text: str) -> "Size":
        """Parse `10000`, frames of one system, or `50000x2`, systems x frames per system."""
        if not (found := re.fullmatch(r"(?:([1-9]\d*)x)?([1-9]\d*)", text)):
            raise ArgumentTypeError(f"{text}: expected frames, e.g. 10000, or systems x frames, e.g. 50000x2")
        return cls(int(found[1] or 1), int(found[2]))

    def __str__(self) -> str:
        return f"{self.systems}x{self.frames}" if self.systems > 1 else str(self.frames)

    @property
    def label(self) -> str:
        """The size in words."""
        return f"{self.systems:,} systems of {self.frames}" if self.systems > 1 else f"{self.frames:,} frames"

    @property
    def total(self) -> int:
        """The number of all frames."""
        return self.systems * self.frames

    @property
    def bytes(self) -> int:
        """The size on disk in bytes."""
        pages = sum(8 * self.frames * row // PAGE + 1 for row in ROWS.values())
        return self.systems * PAGE * (pages + BESIDE)


def make_sets(folder: Path, sizes: Sequence[Size]) -> dict[Size, Path]:
    """The sets in a folder, in deepmd npy layout and float64; missing ones are made.

    Raises InputError if there is not enough disk space.
    """
    folder.mkdir(exist_ok=True)
    places = {size: folder / f"NiO_{size}" for size in sizes}
    missing = [size for size in places if not places[size].exists()]
    needed, free = sum(size.bytes for size in missing), shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(
            f"The sets need {needed / 1e9:.1f} GB in {folder}, where {free / 1e9:.1f} GB are free. Give "
            "another folder with --folder, or smaller sets with --sizes."
        )
    few = _labelled() if missing else {}
    for size in missing:
        try:
            with tempfile.TemporaryDirectory(dir=folder, prefix=f".{places[size].name}-") as draft:
                made = Path(draft) / "set"
                blocks = size.systems * -(-size.frames // BLOCK)
                for _ in counted(_write(made, size, few), f"Making {size.label}", blocks):
                    pass
                made.replace(places[size])
        except OSError as error:
            raise InputError(cannot_write(error)) from error
    return places


def _labelled() -> dict[str, np.ndarray]:
    """Frames of the built-in set with their labels, and the types of the atoms."""
    from spinpot.data import nio  # here, because it imports torch
    from spinpot.data.nio_frames import sample

    rng = np.random.default_rng(0)
    frames = [sample(SHAPE, rng) for _ in range(DRAWN)]
    whole = [vars(frame) | nio.labels(frame) for frame in counted(frames, "Labelling", DRAWN)]
    return {name: np.stack([frame[name] for frame in whole]) for name in ("types", *ROWS)}


def turned(few: Mapping[str, np.ndarray], count: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """`count` frames drawn from a few; each is rotated with moments and labels, and translated, at random."""
    from scipy.spatial.transform import Rotation

    chosen = rng.integers(len(few["energy"]), size=count)
    turns = Rotation.random(count, random_state=rng).as_matrix()
    back = turns.swapaxes(1, 2)
    made = {name: few[name][chosen] @ back for name in VECTORS}
    made["coord"] += rng.uniform(0.0, 10.0, (count, 1, 3))
    made["virial"] = turns @ few["virial"][chosen] @ back
    return {name: rows.reshape(count, -1) for name, rows in made.items()} | {"energy": few["energy"][chosen]}


def _write(folder: Path, size: Size, few: Mapping[str, np.ndarray]) -> Iterator[None]:
    """Write the systems; yield after each block of frames (a set.* folder)."""
    rng = np.random.default_rng([1, size.total])
    for number, start in product(range(size.systems), range(0, size.frames, BLOCK)):
        system = folder / f"{number // 1000:03d}" / f"{number:06d}" if size.systems > 1 else folder
        block = system / f"set.{start // BLOCK:03d}"
        block.mkdir(parents=True)
        (system / "type.raw").write_text("".join(f"{kind}\n" for kind in few["types"][0]))
        (system / "type_map.raw").write_text("Ni\nO\n")
        for name, rows in turned(few, min(BLOCK, size.frames - start), rng).items():
            np.save(block / f"{name}.npy", rows)
        yield
