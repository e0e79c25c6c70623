"""Commands that take KEY=VALUE: each composes the config of its name."""

import gc
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import hydra
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from spinpot.config.app import in_sweep, job, output_folder
from spinpot.config.quoting import listed
from spinpot.config.rerun import without_old
from spinpot.config.suggest import CONFIGS
from spinpot.models.moved import renamed_targets

# The work is imported in the functions, so that --help and --cfg answer at once.

USERS_KEYS = (
    "data.exclude",
    *(f"recipe.{name}" for name in ("structure", "moments", "elements", "systems")),
    *("label.columns", "label.parameters"),
)
"""Sections whose keys the user chooses."""
TRAINING = "train."
"""Before an argument of `spinpot train` that is given to `spinpot learn`."""


@contextmanager
def no_garbage() -> Iterator[None]:
    """Import without looking for garbage, which takes a fifth of the time; what is imported stays anyway."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
    gc.freeze()


class SweepPage(Callback):
    """A callback of Hydra's, in the process that starts a sweep: its page is drawn when all is over."""

    begun: ClassVar[list[Path]] = []

    def on_multirun_start(self, config: DictConfig, **others: Any) -> None:
        """Keep the folder in mind."""
        self.begun.append(Path(config.hydra.sweep.dir))

    @classmethod
    def draw(cls) -> None:
        """Print and draw what the sweep's jobs have left, in the first process only."""
        while cls.begun:
            from spinpot.core.console import console
            from spinpot.runs.sweep import write_sweep_table

            folder = cls.begun.pop()
            if not console.quiet and (folder / "sweep.csv").exists():
                write_sweep_table(folder)


def configured(task: Callable[[DictConfig], Any]) -> Callable[[], None]:
    """The command of a task, with the config of its name."""
    main = hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name=task.__name__)
    composed = main(job(task))

    def command() -> None:
        sys.argv[1:] = replacing(sys.argv[1:])
        try:
            composed()
        finally:
            SweepPage.draw()

    return command


def replacing(arguments: Iterable[str]) -> Iterator[str]:
    """Arguments by which a value of USERS_KEYS replaces the one before, and a key in one may be a new one.

    Hydra would merge sections, and refuse keys that an experiment does not have. With ++, for sweeps keep one
    argument of each name. What is of TRAINING becomes a list of its arguments.
    """
    arguments = [*arguments]
    of_training = [one.removeprefix(TRAINING) for one in arguments if one.startswith(TRAINING)]
    if of_training:
        yield f"train={listed(of_training)}"
    for argument in (one for one in arguments if not one.startswith(TRAINING)):
        key = argument.split("=")[0]
        if key in USERS_KEYS:
            yield f"++{key}=null"
        users = any(key.startswith(f"{section}.") for section in USERS_KEYS)
        yield f"++{argument}" if users else argument


@configured
def train(config: DictConfig) -> float | None:
    """Returns what a sweep minimises."""
    with no_garbage():
        from spinpot.config.validate import validate
        from spinpot.training.finish import optimized_metric
        from spinpot.training.ranks import all_ranks
        from spinpot.training.run import train
        from spinpot.training.sweep import train_job

    config = without_old(config)
    config.model = renamed_targets(OmegaConf.to_container(config.model))
    if in_sweep():
        return train_job(config, output_folder())
    validate(config)
    with all_ranks(config.trainer):
        return optimized_metric(config.optimized_metric, train(config, output_folder()))


@configured
def evaluate(config: DictConfig) -> None:
    """Several checkpoints are compared with each other."""
    with no_garbage():
        from spinpot.config.validate import EVALUATION, arguments
        from spinpot.evaluation.deviation import model_deviation
        from spinpot.evaluation.evaluate import evaluate

    given = arguments(EVALUATION, config)
    first, *others = given.pop("checkpoint")
    if others:
        model_deviation([first, *others], **given)
    else:
        evaluate(first, **given)


@configured
def audit(config: DictConfig) -> None:
    """Print findings; with an output folder a page as well."""
    with no_garbage():
        from spinpot.audit.run import audit
        from spinpot.config.validate import AUDIT, arguments

    audit(**arguments(AUDIT, config))


@configured
def label(config: DictConfig) -> None:
    """Frames that are labelled already are not labelled again."""
    with no_garbage():
        from spinpot.config.validate import label_arguments
        from spinpot.labels.recipe import SystemRecipe, recipe_of
        from spinpot.labels.run import label

    given = label_arguments(config, SystemRecipe)
    labeller = hydra.utils.instantiate(config.label, _convert_="all")
    label(labeller, recipe_of(given.pop("recipe")), **given)


@configured
def learn(config: DictConfig) -> None:
    """Rounds that are done already are not done again."""
    with no_garbage():
        from spinpot.config.validate import learn_arguments
        from spinpot.labels.recipe import SystemRecipe, recipe_of
        from spinpot.learning.loop import Settings, learn
        from spinpot.learning.settings import Exploration, HeldOut, Learning

    sections = {"exploration": Exploration, "learn": Learning, "validation": HeldOut, "test": HeldOut}
    given = learn_arguments(config, SystemRecipe, sections)
    labeller = hydra.utils.instantiate(config.label, _convert_="all")
    own = Settings(**{name: given.pop(name) for name in (*sections, "seed", "report")})
    learn(labeller, recipe_of(given.pop("recipe")), settings=own, **given)


@configured
def analyze(config: DictConfig) -> None:
    """One task, or several in one page."""
    with no_garbage():
        from spinpot.analysis.run import analyze
        from spinpot.analysis.tasks import TASKS
        from spinpot.config.validate import analysis_arguments

    analyze(**analysis_arguments(config, {name: task.settings for name, task in TASKS.items()}))
