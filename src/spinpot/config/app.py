"""What every script does around its work: one clear message for a wrong input, and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, InstantiationException
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException
from rich.console import Console

from spinpot.config.memory import keep_freed_memory
from spinpot.config.suggest import explain_override
from spinpot.errors import InputError, TrainingError


def run_app(main: Callable[[], Any], config_name: str = "train") -> None:
    """Call a hydra.main function; print what the user did wrong without a traceback, and exit with code 1.

    config_name: the main config file, for suggestions. Defects of the program keep their traceback.
    """
    # Otherwise Hydra prints the errors itself, with its own advice.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    keep_freed_memory()
    try:
        main()
    except (InputError, TrainingError, HydraException, OmegaConfBaseException) as error:
        message = describe(error, config_name)
        if message is None:
            raise
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"[red]Error:[/red] {escape(message)}")
        remove_empty_output()
        sys.exit(1)


def describe(error: BaseException, config_name: str = "train") -> str | None:
    """The message for an error of the user's; None for a defect of the program."""
    if isinstance(error, (InputError, TrainingError)):
        return str(error)
    if isinstance(error, InstantiationException):
        cause = error.__cause__
        if isinstance(cause, (InputError, TrainingError, TypeError, ValueError)):
            return f"{str(cause).rstrip('.')}. (While building {_full_key(error)}.)"
        return None
    if isinstance(error, MissingMandatoryValue):
        return f"The setting {error.full_key} is needed: give it on the command line, {error.full_key}=VALUE."
    return explain_override(error, sys.argv[1:], config_name)


def escape(text: str) -> str:
    """Keep rich from reading [Ni, O] as markup."""
    return text.replace("[", r"\[")


def output_folder() -> Path:
    """The run folder that Hydra made for this job."""
    return Path(HydraConfig.get().runtime.output_dir)


def remove_empty_output() -> None:
    """Take away the folder Hydra made for a job that never began."""
    if GlobalHydra.instance().is_initialized() or HydraConfig.initialized():
        try:
            if output_folder().resolve() != Path.cwd():  # which may be empty too, but is the user's
                output_folder().rmdir()
        except (OSError, ValueError, OmegaConfBaseException):
            return  # it holds something, or there is none


def _full_key(error: InstantiationException) -> str:
    for line in str(error).splitlines():
        if line.startswith("full_key: "):
            return line.removeprefix("full_key: ")
    return "the configured object"
