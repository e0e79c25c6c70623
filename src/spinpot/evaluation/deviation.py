"""Deviation between several models on the same frames: model_devi.out, for active learning."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from spinpot.core.console import print_line, print_table
from spinpot.core.errors import InputError
from spinpot.core.notes import Notes
from spinpot.core.output_folder import all_or_nothing, refuse_existing
from spinpot.core.quantities import FORCE, FORCE_MAG, VIRIAL
from spinpot.data.systems import System, read_systems
from spinpot.evaluation.predictor import Arrays, Predictor, load

MODEL_DEVI = "model_devi.out"
DEVIATES = {"v": VIRIAL, "f": FORCE, "fm": FORCE_MAG}
COLUMNS = tuple(f"{kind}_devi_{name}" for name in DEVIATES for kind in ("max", "min", "avg"))
"""deepmd-kit's columns, which DP-GEN reads by position, followed by those of the magnetic forces."""


def model_deviation(
    checkpoints: Sequence[str | Path], systems: Sequence[str], output: str | Path, batch_size: int = 8
) -> np.ndarray:
    """Predict all frames with every model and write model_devi.out: (frames, 9) under the names of COLUMNS.

    As in deepmd-kit, the deviation of an atom's force is √⟨|F − ⟨F⟩|²⟩ over the models. The deviation of the
    virial is the standard deviation of each of its nine components, divided by the number of atoms; its
    average is a root mean square. Magnetic forces count only atoms of magnetic elements.

    Raises InputError, before it writes anything, like evaluation.evaluate, and if the models have different
    magnetic elements.
    """
    folder = Path(output).expanduser()
    refuse_existing(folder, [MODEL_DEVI])
    predictors = [load(path) for path in checkpoints]
    found = read_systems(list(systems), predictors[0].spec.type_map)
    known = [predictor.systems(found) for predictor in predictors]
    _check_same_spins(checkpoints, predictors)
    notes = Notes()
    for path, predictor, own in zip(checkpoints, predictors, known, strict=True):
        for line in predictor.watch.new(own):
            notes.add(f"look: {line}", str(path))
    notes.print()
    predictions = [
        predictor.predict(own, batch_size, progress=True)
        for predictor, own in zip(predictors, known, strict=True)
    ]
    magnetic = np.array(predictors[0].spec.use_spin)
    rows = [
        deviations(single, magnetic[system.types])
        for system, *single in zip(found, *predictions, strict=True)
    ]
    with all_or_nothing(folder, last=MODEL_DEVI) as place:
        (place / MODEL_DEVI).write_text(written(found, rows), encoding="utf-8")
    table = np.concatenate(rows)
    _print(table, len(checkpoints))
    print_line(f"Written: {folder / MODEL_DEVI}")
    return table


def deviations(predictions: Sequence[Arrays], magnetic: np.ndarray) -> np.ndarray:
    """The deviations of several models' predictions for one system, (F, 9). magnetic: (N,) bools."""
    n_atoms = len(magnetic)
    virials = np.array([single["virial"].reshape(-1, 9) for single in predictions]) / n_atoms
    v = virials.std(axis=0)
    f = deviation(np.array([single["force"] for single in predictions]))
    fm = deviation(np.array([single["force_mag"] for single in predictions]))[:, magnetic]
    if not magnetic.any():
        fm = np.zeros((len(f), 1))
    columns = [v.max(1), v.min(1), np.sqrt(np.square(v).mean(1))]
    for values in (f, fm):
        columns += [values.max(1), values.min(1), values.mean(1)]
    return np.stack(columns, axis=1)


def deviation(vectors: np.ndarray) -> np.ndarray:
    """√⟨|F − ⟨F⟩|²⟩ over the vectors of K models, (K, …, 3) → (…)."""
    return np.asarray(np.sqrt(np.square(vectors - vectors.mean(axis=0)).sum(axis=-1).mean(axis=0)))


def written(systems: Sequence[System], rows: Sequence[np.ndarray]) -> str:
    """The text of model_devi.out. Frames are numbered over all systems; system names are comments."""
    lines = ["#" + "step".rjust(11) + "".join(name.rjust(19) for name in COLUMNS)]
    first = 0
    for system, values in zip(systems, rows, strict=True):
        lines.append(f"# {system.name}")
        for step, row in enumerate(values, start=first):
            lines.append(f"{step:12d}" + "".join(f"{value:19.6e}" for value in row))
        first += len(values)
    return "\n".join(lines) + "\n"


def _check_same_spins(checkpoints: Sequence[str | Path], predictors: Sequence[Predictor]) -> None:
    """Raise InputError if the models do not have the same magnetic elements."""
    magnetic = [sorted(one.spec.magnetic_elements) for one in predictors]
    for path, names in zip(checkpoints, magnetic, strict=True):
        if names != magnetic[0]:
            raise InputError(
                f"checkpoint: {path} has spins of {' '.join(names)}, but {checkpoints[0]} has spins of "
                f"{' '.join(magnetic[0])}. The deviation of magnetic forces needs models with the same "
                "magnetic elements. Leave out one of them."
            )


def _print(table: np.ndarray, models: int) -> None:
    columns, rows = ("quantity", "largest", "median of the frames' largest", "mean", "unit"), []
    for k, quantity in enumerate(DEVIATES.values()):
        most, average = 1000.0 * table[:, 3 * k], 1000.0 * table[:, 3 * k + 2]
        values = (f"{value:.3f}" for value in (most.max(), np.median(most), average.mean()))
        rows.append((quantity.title, *values, quantity.meV))
    title = f"Deviation of {models} models on {len(table)} frames"
    print_table(title, columns, rows, ("quantity", "unit"))
