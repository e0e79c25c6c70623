"""The command line `spinpot COMMAND …`; scripts/*.py call the same commands."""

import atexit
import gc
import os
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from importlib import import_module

from spinpot import __version__
from spinpot.config.app import run_app, stop
from spinpot.core.closed_output import output_may_close
from spinpot.core.spelling import nearest

CONFIGURED = {
    "train": "train a potential",
    "evaluate": "compute the errors and predictions of a checkpoint",
    "label": "make and label frames of a structure with a constrained-DFT code",
    "learn": "active learning: train, explore, label uncertain frames, repeat",
    "audit": "check labelled frames",
    "analyze": "compute physics from a checkpoint: exchange, magnons, dynamics, …",
}
"""Commands with a config of their name, and what each does. They take KEY=VALUE."""
PARSED = {
    "convert": "convert checkpoints to model files, and models and inputs from and to deepmd-kit",
    "prepare": "convert frames of other programs to training folders, and split them",
    "report": "rebuild the page of a finished run",
    "sweep-table": "compare the runs of a sweep",
    "time-to-error": "find when runs first reach given errors",
    "wandb-dashboard": "save a workspace to a wandb project",
    "benchmark": "measure the speed of training and evaluation",
    "lammps": "build and check the LAMMPS plugin",
}
"""Commands with options, and what each does."""
COMMANDS = CONFIGURED | PARSED


def main(name: str | None = None) -> None:
    """Run a command with the arguments of the command line; without `name` the first argument is the name."""
    atexit.register(gc.freeze)  # otherwise Python collects garbage at exit, for half a second and more
    with output_may_close():
        _run(name or _taken())


def _run(name: str) -> None:
    function = name.replace("-", "_")
    if name in CONFIGURED and not {"-h", "--help"}.isdisjoint(sys.argv):
        describe = import_module("spinpot.cli.describe").describe
        run_app(lambda: describe(name), config_name=name)
        return
    if name in CONFIGURED:
        run_app(getattr(import_module("spinpot.cli.configured"), function), config_name=name)
        return
    module = import_module(
        f"spinpot.cli.{function if name in ('prepare', 'benchmark', 'lammps') else 'tools'}"
    )
    command = getattr(module, function)
    parser = ArgumentParser(
        f"spinpot {name}", description=command.__doc__, formatter_class=RawDescriptionHelpFormatter
    )
    run_app(lambda: command(parser))


def _taken() -> str:
    """Remove the command's name from the command line and return it; exit if there is none."""
    first = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if first in ("-sc", "--shell-completion"):
        return _completed()
    if first in ("-h", "--help", "--version"):
        print(f"spinpot {__version__}" if first == "--version" else _usage())
        sys.exit()
    if first not in COMMANDS:
        stop(f"There is no command {first}; choose from {', '.join(COMMANDS)}.{nearest(first, COMMANDS)}")
    return sys.argv.pop(1)


def _usage() -> str:
    listed = "\n".join(f"  {name:17}{about}" for name, about in COMMANDS.items())
    return (
        "Usage: spinpot COMMAND …\n\n"
        f"{listed}\n\n"
        "`spinpot COMMAND --help` shows the settings or options of a command.\n"
        'Completion in bash and zsh: eval "$(spinpot -sc install=bash)"; in fish: '
        "spinpot -sc install=fish | source"
    )


def _completed() -> str:
    """The command whose settings Hydra shall complete; completes command names itself and exits."""
    line = os.environ.get("COMP_LINE", "")
    program, _, rest = line.lstrip().partition(" ")
    name, blank, rest = rest.lstrip().partition(" ")
    if not line or (blank and name in CONFIGURED):
        os.environ["COMP_LINE"] = f"{program} {rest}"
        return name or "train"
    if not blank:
        print("\n".join(other for other in COMMANDS if other.startswith(name)))
    sys.exit()
