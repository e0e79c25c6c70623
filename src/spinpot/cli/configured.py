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

# The functions import their work, so that --help and --cfg answer at once.

USERS_KEYS = (
    "data.exclude",
    *(f"recipe.{name}" for name in ("structure", "moments", "elements", "systems")),
    *("label.columns", "label.parameters"),
)
"""Sections with keys of the user's choice."""
WRONG = 2
"""The exit code of an audit with a finding `wrong`. Input that cannot be used gives 1."""
TRAINING = "train."
"""Prefix of arguments that `spinpot learn` passes on to `spinpot train`."""


@contextmanager
def no_garbage() -> Iterator[None]:
    """Disable garbage collection during imports: it takes a fifth of the time, and modules stay anyway."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
    gc.freeze()


class SweepPage(Callback):
    """A Hydra callback that builds the page of a sweep after its last job, in the process that started it."""

    begun: ClassVar[list[Path]] = []

    def on_multirun_start(self, config: DictConfig, **others: Any) -> None:
        """Remember the folder of the sweep."""
        if any(one.startswith("hydra.run.dir=") for one in config.hydra.overrides.hydra):
            from spinpot.core.console import print_line

            print_line(
                "hydra.run.dir has no effect in a sweep; hydra.sweep.dir=DIR sets the folder of a sweep."
            )
        self.begun.append(Path(config.hydra.sweep.dir))

    @classmethod
    def draw(cls) -> None:
        """Print the table and write the page of the sweep, in the first process only."""
        while cls.begun:
            from spinpot.core.console import console
            from spinpot.runs.sweep import write_sweep_table

            folder = cls.begun.pop()
            if not console.quiet and (folder / "sweep.csv").exists():
                write_sweep_table(folder)


def configured(task: Callable[[DictConfig], Any]) -> Callable[[], None]:
    """The command that composes the config of a task's name and runs the task."""
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
    """Rewrite arguments for Hydra so that a value in USERS_KEYS replaces the old value, and may add keys.

    Hydra would merge the sections and refuse new keys. The arguments get ++, because sweeps keep one argument
    per name. Arguments with the prefix TRAINING become one list `train`.
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
    """Train; returns the metric that a sweep minimises."""
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
    """Evaluate a checkpoint, or the deviation between several."""
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
    """Print the findings; with an output folder also write a page. Exits with WRONG if one is wrong."""
    with no_garbage():
        from spinpot.audit.run import audit, wrong
        from spinpot.config.validate import AUDIT, arguments
        from spinpot.core.console import print_line

    if count := wrong(audit(**arguments(AUDIT, config))):
        print_line(f"Wrong: {count} (exit code {WRONG}).")
        sys.exit(WRONG)


@configured
def label(config: DictConfig) -> None:
    """Label the frames of a recipe that have no label yet."""
    with no_garbage():
        from spinpot.config.validate import label_arguments
        from spinpot.labels.recipe import SystemRecipe, recipe_of
        from spinpot.labels.run import label

    given = label_arguments(config, SystemRecipe)
    labeller = hydra.utils.instantiate(config.label, _convert_="all")
    label(labeller, recipe_of(given.pop("recipe")), **given)


@configured
def learn(config: DictConfig) -> None:
    """Run the rounds of active learning that are not finished yet."""
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
    """Run one or several tasks and write one page."""
    with no_garbage():
        from spinpot.analysis.run import analyze
        from spinpot.analysis.tasks import TASKS
        from spinpot.config.validate import analysis_arguments

    analyze(**analysis_arguments(config, {name: task.settings for name, task in TASKS.items()}))
