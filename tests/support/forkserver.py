"""A process that has imported everything once; commands of the tests are forks of it.

Starting Python and importing torch, Lightning and spinpot takes longer than most commands of the tests work.
A fork begins where a real start is before its first line: nothing has been computed and no thread runs.
`python -m support.forkserver N` serves the socket of that number (serve); Forked starts processes by it, and
forking() lets the code under test do so.
"""

import atexit
import ctypes
import gc
import importlib
import inspect
import json
import os
import pkgutil
import runpy
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn
from unittest import mock

LATE = ("matplotlib.pyplot", "matplotlib.backends.backend_agg", "torch.utils.cpp_extension", "torch._dynamo")
"""What a run imports in the middle of its work, besides spinpot's own modules."""
PR_SET_CHILD_SUBREAPER = 36
"""Of Linux' prctl: descendants whose parent has ended become children of this process."""
CONTROL: list[socket.socket] = []
"""The socket to this process' forkserver, once there is one."""

# ---- in the process that starts others ----


class Forked(subprocess.Popen):
    """Popen whose Python commands are forks, and children of this process as usual."""

    def _execute_child(self, *given: Any) -> None:
        asked = inspect.signature(super()._execute_child).bind(*given).arguments
        arguments = after_python(asked["args"])
        if not arguments:
            super()._execute_child(*given)
            return
        request = {
            "arguments": arguments,
            "cwd": str(asked["cwd"] or Path.cwd()),
            "environment": dict(os.environ if asked["env"] is None else asked["env"]),
            "own_group": asked["start_new_session"],
        }
        files = [asked[name] for name in ("p2cread", "c2pwrite", "errwrite")]
        self.pid = fork(request, [standard if file == -1 else file for standard, file in enumerate(files)])
        self._child_created = True
        ends = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
        self._close_pipe_fds(*(asked[end] for end in ends))


def after_python(command: Any) -> list[str]:
    """What follows Python and -P: a file, `-c CODE`, or `-m` and a module of spinpot or torch; else []."""
    words = [] if isinstance(command, str | bytes | Path) else list(map(str, command))
    if words[:1] != [sys.executable]:
        return []
    arguments = words[2:] if words[1] == "-P" else words[1:]
    module = arguments[1].partition(".")[0] if arguments[0] == "-m" else ""
    ours = arguments[0].endswith(".py") or arguments[0] == "-c" or module in ("spinpot", "torch")
    return arguments if ours else []


@contextmanager
def forking() -> Iterator[None]:
    """Every Python command that is started here is a fork, not only those of support.cli."""
    if sys.platform == "linux":
        with mock.patch.object(subprocess, "Popen", Forked):
            yield
    else:
        yield


def fork(request: dict[str, Any], files: Sequence[int]) -> int:
    """The process number of a new child of this process."""
    if not CONTROL:
        start()
    prctl = ctypes.CDLL(None).prctl
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    try:
        socket.send_fds(CONTROL[0], [json.dumps(request).encode()], files)
        pid = int(CONTROL[0].recv(100))
        CONTROL[0].recv(100)  # by now it is ours
    finally:
        prctl(PR_SET_CHILD_SUBREAPER, 0)
    return pid


def start() -> None:
    """Start the forkserver, which ends with this process."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, "-m", "support.forkserver", str(theirs.fileno())]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.Popen(command, cwd=Path(__file__).parents[1], env=environment, pass_fds=[theirs.fileno()])
    theirs.close()
    CONTROL.append(ours)


# ---- in the forkserver ----


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
            os._exit(0)
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


# ---- in a fork ----


def become(request: dict[str, Any]) -> None:
    """What `python ARGUMENTS` does after its start."""
    if request["own_group"]:
        os.setsid()
    serve_own_children()
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    read_the_environment_again()
    arguments = request["arguments"]
    sys.modules["__main__"] = main = ModuleType("__main__")
    if arguments[0] == "-c":
        sys.argv, sys.path[0] = ["-c", *arguments[2:]], ""
        exec(compile(arguments[1], "<string>", "exec"), vars(main))
    elif arguments[0] == "-m":
        sys.argv = arguments[1:]
        del sys.path[0]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv, sys.path[0] = arguments, str(Path(arguments[0]).parent)
        runpy.run_path(arguments[0], run_name="__main__")


def serve_own_children() -> None:
    """Leave a fork as it is now to serve the processes that this one will start: ranks, jobs of a sweep."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork() == 0:
        ours.close()
        with open(os.devnull, "r+b") as nothing:
            for standard in range(3):
                os.dup2(nothing.fileno(), standard)
        run(serve(theirs))
    theirs.close()
    CONTROL[:] = [ours]
    subprocess.Popen = Forked


def read_the_environment_again() -> None:
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


def run(request: dict[str, Any]) -> NoReturn:
    """Do what is asked, and end as Python does."""
    code: Any = 0
    try:
        become(request)
    except SystemExit as stop:
        code = stop.code
    except Exception:
        traceback.print_exc()
        code = 1
    if isinstance(code, str):
        print(code, file=sys.stderr)
        code = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code or 0)  # to free all that is imported would take a second


if __name__ == "__main__":
    import_everything()
    gc.collect()
    gc.freeze()  # what is never looked at again is never copied
    # As the module of this name: what a fork starts is found there too.
    importlib.import_module("support.forkserver").run(serve(socket.socket(fileno=int(sys.argv[1]))))
