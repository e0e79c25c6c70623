"""Commands that take KEY=VALUE: each composes the config of its name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hydra
from omegaconf import DictConfig

from spinpot.config.app import in_sweep, job, output_folder
from spinpot.config.suggest import CONFIGS

# The work is imported in the functions, so that --help and --cfg answer at once.


def configured(task: Callable[[DictConfig], Any]) -> Callable[[], None]:
    """The command of a task, with the config of its name."""
    main = hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name=task.__name__)
    command: Callable[[], None] = main(job(task))
    return command


@configured
def train(config: DictConfig) -> float | None:
    """Returns what a sweep minimises."""
    from spinpot.config.validate import validate
    from spinpot.training.finish import optimized_metric
    from spinpot.training.ranks import all_ranks
    from spinpot.training.run import train
    from spinpot.training.sweep import train_job

    if in_sweep():
        return train_job(config, output_folder())
    validate(config)
    with all_ranks(config.trainer):
        return optimized_metric(config.optimized_metric, train(config, output_folder()))


@configured
def evaluate(config: DictConfig) -> None:
    """Several checkpoints are compared with each other."""
    from spinpot.config.validate import evaluation_arguments

    arguments = evaluation_arguments(config)
    if isinstance(arguments["checkpoint"], list):
        from spinpot.evaluation.deviation import model_deviation

        model_deviation(arguments.pop("checkpoint"), **arguments)
    else:
        from spinpot.evaluation.evaluate import evaluate

        evaluate(**arguments)


@configured
def audit(config: DictConfig) -> None:
    """Print findings; with an output folder a page as well."""
    from spinpot.audit.run import audit
    from spinpot.config.validate import audit_arguments

    audit(**audit_arguments(config))


@configured
def analyze(config: DictConfig) -> None:
    """One task, or several in one page."""
    from spinpot.analysis.run import analyze
    from spinpot.analysis.tasks import TASKS
    from spinpot.config.validate import analysis_arguments

    analyze(**analysis_arguments(config, {name: task.settings for name, task in TASKS.items()}))
