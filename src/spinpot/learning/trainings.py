"""Runs the training of a round: `spinpot train` in its own process, with any of its settings."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.utils import instantiate
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from spinpot.config.app import TRAIN
from spinpot.config.quoting import listed, quoted
from spinpot.config.suggest import CONFIGS, explain_composition
from spinpot.config.validate import validate
from spinpot.core.console import print_line
from spinpot.core.errors import InputError, TrainingError
from spinpot.core.files import read_object

OURS = (
    "data",
    "data.train",
    "data.validation",
    "data.test",
    "data.type_map",
    "hydra.run.dir",
    "resume",
    "seed",
)
"""Settings of `spinpot train` that the loop sets itself."""
TRIES = 2
"""Number of attempts at a training that a signal ends; the second one resumes the first."""


class Trainings:
    """Runs `spinpot train` with the user's settings and the loop's frames, folder and seed."""

    def __init__(self, overrides: Sequence[str], elements: Sequence[str]) -> None:
        self.overrides = list(overrides)
        self.elements = list(elements)
        self.places = config_folders()

    def check(self) -> str:
        """Check the settings; returns the kind of the model. Raises InputError if they are invalid."""
        for one in self.overrides:
            if (key := one.split("=")[0].lstrip("+~")) in OURS:
                raise InputError(f"train: {one}: learn sets {key} itself. Leave it out.")
        try:
            config = self.composed()
            validate(config)
            settings = instantiate(config.model, _convert_="all")
            settings.check()
        except InputError as error:
            raise InputError(f"train: {error}") from error
        return str(settings.spec_type.kind)

    def composed(self) -> DictConfig:
        """The composed config of a run."""
        given = [*self.arguments(["t"], ["v"], ["x"], Path("run"), 0), *self.search()]
        known = GlobalHydra.instance()
        before, known.hydra = known.hydra, None  # set aside Hydra's state of `spinpot learn`
        try:
            with initialize_config_dir(str(CONFIGS), version_base="1.3"):
                return compose("train", overrides=given)
        except (HydraException, OmegaConfBaseException) as error:
            raise InputError(explain_composition(error, given, "train")) from error
        finally:
            known.hydra = before

    def search(self) -> list[str]:
        """The argument that adds the user's config folders."""
        return [f"hydra.searchpath={listed(self.places)}"] if self.places else []

    def arguments(
        self, train: Sequence[str], validation: Sequence[str], test: Sequence[str], folder: Path, seed: int
    ) -> list[str]:
        """The arguments of `spinpot train`."""
        return [
            "data=npy",
            "data.exclude=null",  # an experiment may set it for its own data
            f"data.train={listed(train)}",
            f"data.validation={listed(validation)}",
            f"data.test={listed(test)}",
            f"data.type_map={listed(self.elements)}",
            "report=false",
            *self.overrides,
            f"seed={seed}",
            "resume=auto",
            f"hydra.run.dir={quoted(str(folder))}",
        ]

    def train(
        self, train: Sequence[str], validation: Sequence[str], test: Sequence[str], folder: Path, seed: int
    ) -> None:
        """Train or resume a run. Raises TrainingError with the last line of its output if it fails."""
        folder.mkdir(parents=True, exist_ok=True)
        command = [*TRAIN, *self.arguments(train, validation, test, folder, seed), *self.search()]
        log = folder.with_name(f"{folder.name}.log")
        for number in range(1, TRIES + 1):
            with FileLock(folder / ".lock"):
                pass  # wait for a training that a killed loop has left running
            with log.open("ab") as output:
                ended = subprocess.run(
                    command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False
                )
            if ended.returncode == 0 and read_object(folder / "summary.json"):
                return
            if ended.returncode > 0 or number == TRIES:
                break
            print_line(f"Signal {-ended.returncode} ended the training in {folder}; resuming it.")
        raise TrainingError(
            f"The training in {folder} ended with exit code {ended.returncode}: {last_words(log)} "
            f"Its output is in {log}. Repeat the command to try again."
        )


def config_folders() -> list[str]:
    """The user's config folders, given with --config-dir."""
    if not HydraConfig.initialized():
        return []
    sources = HydraConfig.get().runtime.config_sources
    return [one.path for one in sources if one.provider == "command-line"]


def last_words(log: Path) -> str:
    """The last non-empty line of a log."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
    return next((line for line in reversed(lines) if line), "it printed nothing.")
