"""Labels that active choice needs, and random choice, to come to 1.5 times the error of a whole pool.

python examples/learn/pool.py FOLDER && python examples/learn/compare.py FOLDER [SEEDS]: both begin with the
same five frames and take five at a time. The model is linear, by least squares. Each state is written to
FOLDER/results.json; killed, it resumes.
"""

import json
import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from pool import fitted

from spinpot.audit.moments import tilts
from spinpot.data import alloy
from spinpot.data.batch import batches
from spinpot.data.dataset import make_frames
from spinpot.data.systems import System
from spinpot.learning.candidates import MOST
from spinpot.learning.choose import Environments, spread_out
from spinpot.models.potential import Potential

BATCH, ENOUGH, MOST_LABELS = 5, 1.5, 300
EACH = 12  # test frames of each temperature and third of the tilts


def read(folder: Path) -> list[tuple[float, System]]:
    """Temperature and frame, in order."""
    found = []
    for file in sorted(folder.glob("*.npz")):
        with np.load(file) as stored:
            arrays = dict(stored)
        temperature, types = arrays.pop("temperature"), arrays.pop("types")
        for k, own in enumerate(temperature):
            frame = {name: values[k : k + 1] for name, values in arrays.items()}
            made = System(
                f"{file.stem}_{k}", file, alloy.ELEMENTS, types, pbc=(True, True, True), virial=None, **frame
            )
            found.append((float(own), made))
    return found


def stratified(frames: list[tuple[float, System]]) -> list[System]:
    """As many frames of each temperature and each third of the tilts at it."""
    random, chosen = np.random.default_rng(0), []
    for temperature in sorted({own for own, _ in frames}):
        own = [frame for known, frame in frames if known == temperature]
        tilt = [float(tilts(np.asarray(one.spin)[:, one.types < 2]).max()) for one in own]
        for third in np.array_split(np.argsort(tilt), 3):
            chosen += [own[k] for k in random.choice(third, EACH, replace=False)]
    return chosen


def tail(potential: Potential, frames: list[System]) -> float:
    """The 95th percentile of the frames' force errors, eV/Å."""
    errors: list[float] = []
    for batch in batches(make_frames(frames), potential.spec.geometry, 32):
        square = (potential(batch)["force"] - batch.force).square().mean(-1)
        sums = square.new_zeros(batch.n_frames).index_add(0, batch.frame, square)
        errors += (sums / batch.n_atoms).sqrt().tolist()
    return float(np.percentile(errors, 95))


def scores(potential: Potential, frames: list[System]) -> np.ndarray:
    """The largest expected error of a force in each frame."""
    found: list[float] = []
    for batch in batches(make_frames(frames), potential.spec.geometry, 32):
        expected = potential.uncertainty(batch)
        assert expected is not None
        found += [float(own.max()) for own in expected["force_sigma"].split(batch.n_atoms.tolist())]
    return np.array(found)


def environments(potential: Potential, frames: list[System]) -> list[Environments]:
    """Their atoms by the model's features."""
    found: list[Environments] = []
    for batch in batches(make_frames(frames), potential.spec.geometry, 32):
        features = potential.features(batch)
        assert features is not None
        sizes = batch.n_atoms.tolist()
        pairs = zip(batch.types.split(sizes), features.flatten(1).split(sizes), strict=True)
        found += [Environments(types.numpy(), own.numpy()) for types, own in pairs]
    return found


def active(potential: Potential, pool: list[System], labelled: list[int]) -> list[int]:
    """The choice of `spinpot learn`, where every frame is above the limit."""
    left = np.setdiff1d(np.arange(len(pool)), labelled)
    known = scores(potential, [pool[k] for k in left])
    best = np.argsort(-known, kind="stable")[:MOST]
    candidates = environments(potential, [pool[left[k]] for k in best])
    there = environments(potential, [pool[k] for k in labelled])
    return [int(left[best[k]]) for k in spread_out(known[best], candidates, there, BATCH)]


class Comparison:
    """Errors by the number of labels, of each method and seed, in a file."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "results.json"
        self.results = json.loads(self.file.read_text()) if self.file.exists() else {}
        self.pool = [frame for _, frame in read(folder / "pool")]
        self.test = stratified(read(folder / "test"))
        if "whole" not in self.results:
            self.results["whole"] = tail(fitted(self.pool), self.test)
            self.keep()
        self.aim = ENOUGH * self.results["whole"]
        print(
            f"{len(self.pool)} frames, {len(self.test)} test frames, aim {1000 * self.aim:.3f} meV/Å",
            flush=True,
        )

    def keep(self) -> None:
        """Write all."""
        draft = self.file.with_suffix(".new")
        draft.write_text(json.dumps(self.results))
        draft.replace(self.file)

    def run(self, method: str, seed: int) -> None:
        """Batch after batch, to the aim."""
        own = self.results.setdefault(f"{method} {seed}", {"frames": [], "errors": {}})
        order = np.random.default_rng(seed).permutation(len(self.pool)).tolist()
        frames = own["frames"] or order[:BATCH]
        while len(frames) <= MOST_LABELS and min(own["errors"].values(), default=np.inf) > self.aim:
            potential = fitted([self.pool[k] for k in frames])
            own["errors"][str(len(frames))] = tail(potential, self.test)
            print(method, seed, len(frames), f"{1000 * own['errors'][str(len(frames))]:.3f}", flush=True)
            if method == "active":
                frames = frames + active(potential, self.pool, frames)
            else:
                frames = order[: len(frames) + BATCH]
            own["frames"] = frames
            self.keep()

    def print(self, seeds: range) -> None:
        """Labels that each needed, and the ratios."""
        ratios = []
        for seed in seeds:
            needed = [
                min(
                    (int(k) for k, e in self.results[f"{method} {seed}"]["errors"].items() if e <= self.aim),
                    default=None,
                )
                for method in ("active", "random")
            ]
            print(seed, *needed)
            if None not in needed:
                ratios.append(needed[0] / needed[1])
        print("ratios", np.round(ratios, 2), "median", np.median(ratios))

    def draw(self, seeds: range) -> None:
        """All curves, to FOLDER/learn.png."""
        figure = Figure(figsize=(5.2, 3.6), layout="constrained")
        axes = figure.add_subplot()
        for method, colour in (("random", "#8b949e"), ("active", "#1488a6")):
            for seed in seeds:
                errors = self.results[f"{method} {seed}"]["errors"]
                labels, heights = [int(k) for k in errors], [1000 * error for error in errors.values()]
                axes.plot(labels, heights, color=colour, label=method if seed == seeds[0] else None)
                axes.plot(labels[-1], heights[-1], "o", color=colour, markersize=4)
        axes.axhline(1000 * self.aim, color="black", linewidth=0.8, linestyle=":")
        axes.set(xlabel="labels", yscale="log", ylabel="95th percentile of force errors (meV/Å)")
        axes.legend(frameon=False)
        figure.savefig(self.file.with_name("learn.png"), dpi=150)


def main(folder: Path, seeds: range) -> None:
    """All seeds."""
    comparison = Comparison(folder)
    for seed in seeds:
        for method in ("random", "active"):
            comparison.run(method, seed)
    comparison.print(seeds)
    comparison.draw(seeds)


if __name__ == "__main__":
    main(Path(sys.argv[1]), range(int(sys.argv[2]) if len(sys.argv) > 2 else 5))
