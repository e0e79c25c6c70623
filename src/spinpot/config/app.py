"""Runs a command: one clear message for a wrong input, and an exit code."""

import functools
import logging
import os
import shutil
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn
from hydra.errors import HydraException, InstantiationException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import InterpolationResolutionError, MissingMandatoryValue, OmegaConfBaseException
from rich.console import Console
from rich.text import Text

from spinpot.config.memory import keep_freed_memory
from spinpot.config.suggest import explain_composition
from spinpot.core.errors import InputError, TrainingError
from spinpot.core.files import cannot_write, no_room

PACKAGE = Path(__file__).parents[1]

TRAIN = (sys.executable, "-P", "-m", "spinpot", "train")
"""The command of a training. -P: Python does not import modules from the user's folder."""

STARTED_HERE = "SPINPOT_STARTED_HERE"
"""An environment variable: the run's first process started this one, and both share a terminal."""

FAILURE = "failure.json"
"""File with the error and the settings of a failed job of a sweep."""

DEFAULT_PARENT = "runs"  # where configs/train.yaml puts run folders


class JobFailedError(Exception):
    """A job of a sweep failed and has printed why. Arguments: its number and the sweep's folder."""

    def __str__(self) -> str:
        return f"job {self.args[0]}, whose message is above"


class StoppedError(SystemExit):
    """A signal ends the program, with code 128 + its number, as a shell counts it."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.number = number

    def __str__(self) -> str:
        return signal.Signals(self.number).name


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGUSR1 raise StoppedError within the block, so that locks and temporary files are
    removed. By default they end the program at once.

    Python drops an exception that a handler raises during a __del__; the signal is then sent again.
    """
    numbers = [n for n in (signal.SIGTERM, signal.SIGUSR1) if signal.getsignal(n) == signal.SIG_DFL]
    for number in numbers:
        signal.signal(number, _stop)
    report, sys.unraisablehook = sys.unraisablehook, _send_again
    try:
        yield
    finally:
        sys.unraisablehook = report
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def failed_jobs_said_once() -> Iterator[None]:
    """Keep Hydra from adding a line about a failed job that has printed its error."""
    hydras = vars(JobReturn)["return_value"]

    def returned(result: JobReturn) -> Any:
        if isinstance(result._return_value, JobFailedError):
            raise result._return_value
        return hydras.fget(result)

    JobReturn.return_value = property(returned, hydras.fset)  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        JobReturn.return_value = hydras  # type: ignore[method-assign]


def _stop(number: int, frame: FrameType | None) -> None:
    raise StoppedError(number)


def _send_again(dropped: Any) -> None:
    """Hook that Python calls with an exception it drops: send the signal again."""
    if isinstance(dropped.exc_value, StoppedError):
        threading.Timer(0.1, os.kill, (os.getpid(), dropped.exc_value.number)).start()
    else:
        sys.__unraisablehook__(dropped)


def run_app(main: Callable[[], Any], config_name: str = "train") -> None:
    """Call a hydra.main function. For an error of the user, print a message and exit with code 1.

    config_name: the main config file, for suggestions. Defects of the program keep their traceback.
    """
    # Keeps Hydra from printing the errors itself, with its own advice.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        with stopped_by_signals(), failed_jobs_said_once():
            main()
    except KeyboardInterrupt:
        say("Interrupted.")
        sys.exit(128 + signal.SIGINT)
    except StoppedError as error:
        if STARTED_HERE not in os.environ:  # else the process that started this one prints it
            say(f"Stopped by {error}.")
        sys.exit(error.code)
    except JobFailedError as error:
        remove_empty_sweep(Path(error.args[1]))
        sys.exit(1)
    except Exception as error:
        message = describe(error, config_name)
        if message is None:
            raise
        stop(message)


def job(task: Callable[[DictConfig], Any]) -> Callable[[DictConfig], Any]:
    """Decorate a hydra.main function, so that Hydra adds no line of its own to the message.

    In a sweep the message names the job, and the other jobs continue.
    """

    @functools.wraps(task)
    def reported(config: DictConfig) -> Any:
        keep_freed_memory()  # here, since a launcher may call this in another process
        # Torch does this at the end of its import; a signal before would make it log statistics at exit.
        logging.getLogger("torch").setLevel(logging.WARNING)
        try:
            return task(config)
        except (KeyboardInterrupt, SystemExit):
            remove_empty_output()
            raise
        except Exception as error:
            message = describe(error)
            if message is None:
                raise
            if not in_sweep():
                stop(message)
        # Outside the except block: Hydra keeps the exception, which would keep the job's data in memory.
        settings = " ".join(HydraConfig.get().overrides.task)
        say(f"{message} (Job {HydraConfig.get().job.num} of the sweep: {settings})")
        remove_empty_output()
        raise JobFailedError(HydraConfig.get().job.num, HydraConfig.get().sweep.dir)

    return reported


def stop(message: str) -> NoReturn:
    """End the program with a message."""
    say(message)
    remove_empty_output()
    sys.exit(1)


def say(message: str) -> None:
    """Print an error."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(Text.assemble(("Error:", "red"), f" {message}"))


def describe(error: BaseException, config_name: str = "train") -> str | None:
    """The message for an error of the user; None for a defect of the program."""
    if isinstance(error, (InputError, TrainingError)):
        return str(error)
    if isinstance(error, InstantiationException):
        return _describe_building(error)
    if isinstance(error, MissingMandatoryValue):
        return f"{error.full_key} has no value, but is needed. Give {error.full_key}=VALUE."
    if isinstance(error, InterpolationResolutionError):
        return f"{error.full_key}: {str(error).splitlines()[0]}. Correct the ${{…}}."
    if _is_misconfiguration(error):
        return str(error)
    if isinstance(error, ValueError) and str(error) == "No trials are completed yet.":  # Optuna's, at its end
        return "Every trial has failed, so that Optuna has no best trial. The messages are above."
    if isinstance(error, HydraException):
        return explain_composition(error, sys.argv[1:], config_name)
    if isinstance(error, OSError) and no_room(error):
        return cannot_write(error)
    if _is_ours(error):
        return None
    if isinstance(error, OSError) and error.filename:
        return (
            f"Cannot use {error.filename}: {error.strerror}. hydra.run.dir=DIR sets the run folder, "
            "hydra.sweep.dir=DIR that of a sweep."
        )
    if isinstance(error, (OmegaConfBaseException, yaml.YAMLError, ValueError)):
        return explain_composition(error, sys.argv[1:], config_name)
    return None


def in_sweep() -> bool:
    """Whether this is one of the jobs of a multirun."""
    return bool(HydraConfig.get().mode == RunMode.MULTIRUN)


def output_folder() -> Path:
    """The run folder that Hydra made for this job."""
    return Path(HydraConfig.get().runtime.output_dir)


def remove_empty_output() -> None:
    """Remove the folder that Hydra made for a job that never began."""
    if not HydraConfig.initialized():
        return
    with suppress(OSError, OmegaConfBaseException):  # it is not empty, or does not exist
        folder = output_folder().resolve()
        if folder != Path.cwd():  # it may be empty, but belongs to the user
            folder.rmdir()
        if folder.parent == Path.cwd() / DEFAULT_PARENT:
            folder.parent.rmdir()


def remove_empty_sweep(folder: Path) -> None:
    """Remove the folder of a sweep if its jobs have left nothing in it, not even an error."""
    if folder.is_dir() and all(path.name == "multirun.yaml" for path in folder.iterdir()):
        shutil.rmtree(folder)


def _describe_building(error: InstantiationException) -> str | None:
    """The message of a class that rejected its arguments; a TypeError in spinpot's code is a defect."""
    cause = error.__cause__
    if cause is None:
        return str(error)
    users = isinstance(cause, (InputError, TrainingError)) or _is_misconfiguration(cause)
    if users or (isinstance(cause, (TypeError, ValueError, RuntimeError)) and not _is_ours(cause)):
        return f"{str(cause).rstrip('.')}. (While building {_full_key(error)}.)"
    return None


def _is_misconfiguration(error: BaseException) -> bool:
    """Whether it is Lightning's MisconfigurationException; by name, since importing it imports torch."""
    return type(error).__name__ == "MisconfigurationException"


def _is_ours(error: BaseException) -> bool:
    """Whether the traceback passes through spinpot's code, other than the command line's."""
    files = [Path(frame.filename) for frame in traceback.extract_tb(error.__traceback__)]
    outside = {Path(__file__), PACKAGE / "cli", PACKAGE}
    return any(PACKAGE in file.parents and outside.isdisjoint((file, file.parent)) for file in files)


def _full_key(error: InstantiationException) -> str:
    for line in str(error).splitlines():
        if line.startswith("full_key: "):
            return line.removeprefix("full_key: ")
    return "the configured object"
