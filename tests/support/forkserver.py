"""A process that has imported everything once; commands of the tests are forks of it.

Starting Python and importing torch, Lightning and spinpot takes longer than most commands of the tests work.
A fork begins where a real start is before its first line: nothing has been computed and no thread runs.
`python -m support.forkserver N` serves the socket of that number; support.cli asks it.
"""

import atexit
import gc
import importlib
import json
import os
import pkgutil
import runpy
import socket
import sys
import threading
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

LATE = ("matplotlib.pyplot", "matplotlib.backends.backend_agg", "torch.utils.cpp_extension", "torch._dynamo")
"""What a run imports in the middle of its work, besides spinpot's own modules."""


def import_everything() -> None:
    """Every module of spinpot, what it imports late, and Hydra's plugins."""
    import spinpot

    for module in pkgutil.walk_packages(spinpot.__path__, "spinpot."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in LATE:
        importlib.import_module(name)
    from hydra.core.plugins import Plugins

    Plugins.instance()


def serve(control: socket.socket) -> dict[str, Any]:
    """Fork for each request; return, in the fork, the request, whose files are stdin, stdout and stderr."""
    while True:
        message, files, _, _ = socket.recv_fds(control, 1 << 20, 3)
        if not message:
            sys.exit()
        # The middle one ends at once, so that the fork becomes a child of the process that asked.
        middle = os.fork()
        if middle == 0:
            child = os.fork()
            if child == 0:
                control.close()
                for number, file in enumerate(files):
                    os.dup2(file, number)
                    os.close(file)
                return json.loads(message)
            control.send(str(child).encode())
            os._exit(0)
        os.waitpid(middle, 0)
        control.send(b"it is yours")
        for file in files:
            os.close(file)


def become(request: dict[str, Any]) -> None:
    """What `python ARGUMENTS` does after its start: a file, or `-c CODE`, is run as __main__."""
    if request["own_group"]:
        os.setsid()
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    _read_the_environment_again()
    arguments = request["arguments"]
    sys.modules["__main__"] = main = ModuleType("__main__")
    if arguments[0] == "-c":
        sys.argv, sys.path[0] = ["-c", *arguments[2:]], ""
        exec(compile(arguments[1], "<string>", "exec"), vars(main))
    else:
        sys.argv, sys.path[0] = arguments, str(Path(arguments[0]).parent)
        runpy.run_path(arguments[0], run_name="__main__")


def _read_the_environment_again() -> None:
    """What modules that are imported already have taken from it."""
    from lightning_utilities.core.rank_zero import rank_zero_only

    from spinpot.core import console

    rank_zero_only.rank = int(os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0")))
    searched = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[1:1] = [place for place in searched if place and place not in sys.path]
    for one in (console.console, console.progress_console):
        one.quiet = rank_zero_only.rank != 0
    if os.environ.get("PYTHONUNBUFFERED"):
        sys.stdout.reconfigure(line_buffering=True)


def end(code: str | int | None) -> NoReturn:
    """End as Python does, but leave the memory to the system: to free all that is imported takes a second."""
    if isinstance(code, str):
        print(code, file=sys.stderr)
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(1 if isinstance(code, str) else code or 0)


if __name__ == "__main__":
    import_everything()
    gc.collect()
    gc.freeze()  # what is never looked at again is never copied
    request = serve(socket.socket(fileno=int(sys.argv[1])))
    try:
        become(request)
    except SystemExit as stop:
        end(stop.code)
    except Exception:
        traceback.print_exc()
        end(1)
    end(0)
