"""`spinpot learn`: rounds of train → explore → choose → label, until few frames are uncertain.

Each finished step of a round writes a record, so that the same command resumes an interrupted loop. All
random numbers depend only on the seed, the round and the item that they are for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from spinpot.core.console import print_line
from spinpot.core.errors import InputError
from spinpot.core.notes import shortened
from spinpot.core.quantities import FORCE
from spinpot.data.systems import read_systems
from spinpot.labels.configuration import Configuration
from spinpot.labels.folder import FRAMES, SETTINGS, LabelFolder, Labelled
from spinpot.labels.label import Labeller
from spinpot.labels.recipe import Recipe, by_system, configurations
from spinpot.labels.run import label_all
from spinpot.labels.structure import structure_of
from spinpot.labels.trajectory import TRAJECTORIES, frames_in_files
from spinpot.learning.candidates import as_record, candidates, chosen
from spinpot.learning.engines import Engine, engine_of
from spinpot.learning.errors import errors_on
from spinpot.learning.explore import Trajectory, explore
from spinpot.learning.page import write_page
from spinpot.learning.rounds import ROUND, Round
from spinpot.learning.score import Judge, check_knows
from spinpot.learning.settings import Exploration, HeldOut, Learning
from spinpot.learning.stored import keep_settings
from spinpot.learning.trainings import Trainings

HELD_OUT = ("validation", "test")
EXPLORED = ("explored", "uncertain", "share", "stopped", "scores")


@dataclass(frozen=True)
class Settings:
    """Settings of a loop, except the labeller, the recipe and the settings of the training."""

    exploration: Exploration
    learn: Learning
    validation: HeldOut
    test: HeldOut
    seed: int = 0
    report: bool = True

    def check(self) -> None:
        """Raise InputError for settings that make no sense."""
        self.exploration.check()
        self.learn.check()
        for name in HELD_OUT:
            getattr(self, name).check(name)


def learn(
    labeller: Labeller,
    recipe: Recipe,
    output: str | Path,
    train: Sequence[str],
    settings: Settings,
    structure: str | None = None,
) -> list[dict[str, Any]]:
    """Start or resume active learning in a folder; returns the records of all rounds.

    train: settings for `spinpot train`. Raises InputError before the first calculation if an input cannot be
    used, and TrainingError if a training fails.
    """
    settings.check()
    atoms = structure_of(recipe, structure)
    made = configurations(recipe, atoms, settings.seed)
    if not made:
        raise InputError("recipe.systems: all systems have 0 frames. Give some frames for the first round.")
    held_out = {
        name: _held_out(name, recipe, getattr(settings, name), atoms, settings.seed, number)
        for number, name in enumerate(HELD_OUT, start=1)
    }
    elements = sorted({symbol for one in made for symbol in one.atoms.get_chemical_symbols()})
    trainings = Trainings(train, elements)
    kind = trainings.check()
    check_knows(kind, settings.learn)
    engine = engine_of(settings.exploration, kind)
    labeller.check([*made, *(one for own in held_out.values() for one in own)])
    for name in HELD_OUT:
        if systems := getattr(settings, name).systems:
            read_systems(list(systems), elements)
    _check_budget(settings.learn, len(made) + sum(map(len, held_out.values())))
    folder = Path(output).expanduser().absolute()
    loop = Loop(labeller, trainings, engine, folder, settings, made, held_out)
    with loop.alone():
        keep_settings(loop.folder, loop.plain(structure, recipe))
        return loop.run()


class Loop:
    """The rounds of active learning in a folder."""

    def __init__(
        self,
        labeller: Labeller,
        trainings: Trainings,
        engine: Engine,
        folder: Path,
        settings: Settings,
        first: Sequence[Configuration],
        held_out: Mapping[str, Sequence[Configuration]],
    ) -> None:
        self.labeller, self.trainings, self.engine, self.folder = labeller, trainings, engine, folder
        self.settings, self.first, self.held_out = settings, list(first), held_out
        self.records: list[dict[str, Any]] = []

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Lock the folder. Raises InputError if another process uses it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.folder / ".lock", blocking=False):
                yield
        except Timeout:
            raise InputError(
                f"output={self.folder} is in use by another process. Wait for it, or give another folder."
            ) from None

    def plain(self, structure: str | None, recipe: Recipe) -> dict[str, Any]:
        """All inputs that determine the rounds, as plain data."""
        own = self.settings
        return {
            "seed": own.seed,
            "structure": structure or dict(recipe.structure or {}),
            "recipe": {name: asdict(one) for name, one in recipe.systems.items()},
            TRAJECTORIES: frames_in_files(self.first, self.folder / SETTINGS),
            "labeller": self.labeller.provenance(),
            "train": self.trainings.overrides,
            **{name: asdict(getattr(own, name)) for name in ("exploration", "learn", *HELD_OUT)},
        }

    def run(self) -> list[dict[str, Any]]:
        """Run rounds until there is a reason to end."""
        why = ""
        while not why:
            current = Round(self.folder, len(self.records))
            record = current.record(ROUND) or self.round(current)
            self.records.append(record)
            why = self.ended()
            print_line(said(record))
            if self.settings.report:
                write_page(self.folder, self.records, why, self.trainings.overrides)
        print_line(f"{why} The last run: {Round(self.folder, len(self.records) - 1).run(0)}")
        return self.records

    def ended(self) -> str:
        """Why no further round follows; "" if one does."""
        last, own = self.records[-1], self.settings.learn
        if last["share"] <= own.uncertain_share:
            return (
                f"Only {100 * last['share']:.1f} % of the explored frames are uncertain; "
                f"learn.uncertain_share={own.uncertain_share:g} is reached."
            )
        if own.labels is not None and last["asked"] >= own.labels:
            return f"learn.labels={own.labels}: the budget of labels is spent."
        if own.hours is not None and sum(one["seconds"] for one in self.records) >= 3600 * own.hours:
            return f"learn.hours={own.hours:g}: the time is up."
        if len(self.records) >= own.rounds:
            return f"learn.rounds={own.rounds}: all rounds are done."
        if not last["chosen"]:
            reasons = [*last["stopped"], "no uncertain frame differs from the labelled ones"]
            return f"No frame can be chosen: {reasons[0]}."
        return ""

    def round(self, current: Round) -> dict[str, Any]:
        """Run all steps of a round; returns its record."""
        if current.number == 0:
            for name in HELD_OUT:
                self.label_held_out(name)
        steps = {
            "labels": current.step("labels", lambda: self.label(current)),
            "training": current.step("training", lambda: self.train(current)),
            "errors": current.step("errors", lambda: errors_on(current.run(0), self.systems("test"))),
            "exploration": current.step("exploration", lambda: self.explore(current)),
        }
        steps["chosen"] = current.step("chosen", lambda: self.choose(current, steps["labels"]["asked"]))
        record = {
            "round": current.number,
            **{name: steps["labels"][name] for name in ("labels", "failed", "asked", "failures")},
            "errors": {name: value for name, value in steps["errors"].items() if name != "seconds"},
            **{name: steps["exploration"][name] for name in EXPLORED},
            "chosen": len(steps["chosen"]["configurations"]),
            "seconds": round(sum(one["seconds"] for one in steps.values()), 3),
            "seconds_of": {name: one["seconds"] for name, one in steps.items()},
        }
        current.keep(ROUND, record)
        return record

    # ---- labels ----

    def asked(self, number: int) -> list[Configuration]:
        """The configurations to be labelled in a round."""
        if number == 0:
            return self.first
        plain = Round(self.folder, number - 1).record("chosen")["configurations"]
        return [Configuration.of_plain(one) for one in plain]

    def label_held_out(self, name: str) -> None:
        """Label the validation or test frames, unless they are given as folders."""
        if made := self.held_out[name]:
            settings = {"seed": self.settings.seed, "held_out": name}
            own = label_all(made, self.labeller, self.folder / name, settings, report=False)
            if not any(own.kept(system) for system in own.systems):
                raise InputError(
                    f"{name}: no frame could be labelled; the first failed because of: "
                    f"{next(iter(own.failed().values()))}."
                )

    def label(self, current: Round) -> dict[str, Any]:
        """Label the configurations of a round; returns the numbers of labels and failures."""
        settings = {"seed": self.settings.seed, "round": current.number}
        label_all(self.asked(current.number), self.labeller, current.labels, settings, report=False)
        folders = [self.labelled(number) for number in range(current.number + 1)]
        counts = [sum(len(own.kept(system)) for system in own.systems) for own in folders]
        if not sum(counts):
            raise InputError(
                f"{current.labels}: no frame could be labelled, so there is nothing to train on."
            )
        failures = folders[-1].failed()
        held_out = sum(map(len, self.held_out.values()))
        return {
            "labels": sum(counts),
            "failed": len(failures),
            "failures": failures,
            "asked": held_out + sum(len(own.jobs) for own in folders),
        }

    def labelled(self, number: int) -> LabelFolder:
        """The existing labels of a round."""
        return LabelFolder(Round(self.folder, number).labels, self.asked(number), {})

    def starts(self, last: int) -> dict[str, list[Labelled]]:
        """Labelled frames of all rounds so far, by system."""
        found: dict[str, list[Labelled]] = {}
        for number in range(last + 1):
            own = self.labelled(number)
            for system in own.systems:
                if kept := own.kept(system):
                    found.setdefault(system, []).extend(kept)
        return found

    def systems(self, name: str) -> list[str]:
        """The folders of the validation or test frames."""
        given = getattr(self.settings, name).systems
        return [str(Path(one).absolute()) for one in given] if given else [str(self.folder / name / FRAMES)]

    # ---- the other steps ----

    def train(self, current: Round) -> dict[str, Any]:
        """Train the run of a round, or all runs of its ensemble."""
        folders = [Round(self.folder, number).labels / FRAMES for number in range(current.number + 1)]
        train = [str(folder) for folder in folders if folder.is_dir() and any(folder.iterdir())]
        runs = [current.run(member) for member in range(self.settings.learn.ensemble)]
        for member, run in enumerate(runs):
            print_line(f"Round {current.number}: training in {run}")
            seed = _seed(self.settings.seed, current.number, member)
            self.trainings.train(train, self.systems("validation"), self.systems("test"), run, seed)
        return {"runs": [run.name for run in runs]}

    def judge(self, current: Round) -> Judge:
        """The trained potentials of a round."""
        runs = [current.run(member) for member in range(self.settings.learn.ensemble)]
        return Judge(runs, self.settings.learn)

    def explore(self, current: Round) -> dict[str, Any]:
        """Run the trajectories; returns how many of their frames are uncertain."""
        own, number = self.settings, current.number
        judge, starts, folder = self.judge(current), self.starts(number), current.explored
        found = explore(judge, self.engine, starts, own.exploration, folder, own.seed, number)
        scores = np.concatenate([one.scores for one in found])
        # Frames that a trajectory did not reach because it ended early count as uncertain.
        missing = sum(max(own.exploration.frames - len(one.scores), 0) for one in found if one.ended)
        explored, uncertain = len(scores) + missing, int((scores > 1.0).sum()) + missing
        return {
            "explored": explored,
            "uncertain": uncertain,
            "share": uncertain / explored,
            "stopped": [one.ended for one in found if one.ended],
            "scores": [float(f"{score:.4g}") for score in scores],
        }

    def choose(self, current: Round, asked: int) -> dict[str, Any]:
        """Choose the frames of the next round. asked: number of frames given to the labeller so far."""
        budget = self.settings.learn.labels
        number = self.settings.learn.batch
        number = number if budget is None else max(0, min(number, budget - asked))
        known = [one for k in range(current.number + 1) for one in self.asked(k)]
        systems = {name: own[0] for name, own in by_system(known).items()}
        explored = [
            Trajectory.read(current.explored / f"{place:04d}.npz")
            for place in range(self.settings.exploration.trajectories)
        ]
        found = candidates(explored, systems)
        return as_record(chosen(self.judge(current), found, known, number))


def said(record: Mapping[str, Any]) -> str:
    """A summary of a round in one line."""
    error = record["errors"].get(FORCE.rmse)
    force = "" if error is None else f", force error {1000 * error:.1f} meV/Å on the test set"
    failed = f", {record['failed']} failed" if record["failed"] else ""
    return (
        f"Round {record['round']}: {record['labels']} labels{failed}{force}, {100 * record['share']:.1f} % "
        f"of {record['explored']} explored frames uncertain, {record['chosen']} chosen"
    )


def _held_out(
    key: str, recipe: Recipe, own: HeldOut, atoms: Any, seed: int, number: int
) -> list[Configuration]:
    """Validation or test configurations, with other random numbers; none if folders are given."""
    if own.systems:
        return []
    if names := [name for name, one in recipe.systems.items() if one.trajectory is not None]:
        raise InputError(
            f"{key}.systems is missing: frames of a trajectory ({shortened(names)}) could be those of the "
            f"training. Give labelled frames: {key}.systems=[DIR]."
        )
    systems = {name: replace(one, frames=own.frames) for name, one in recipe.systems.items() if one.frames}
    return configurations(replace(recipe, systems=systems), atoms, _seed(seed, number))


def _seed(*key: int) -> int:
    return int(np.random.SeedSequence(key).generate_state(1)[0] % 2**31)


def _check_budget(own: Learning, first: int) -> None:
    if own.labels is not None and own.labels < first:
        raise InputError(
            f"learn.labels={own.labels}: the first round, validation and test already need {first} frames. "
            "Give a larger budget, or fewer frames in recipe, test.frames and validation.frames."
        )
