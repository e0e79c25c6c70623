"""Determines this process's rank, and who starts the other ranks: torchrun, SLURM, the user, or spinpot."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import pytorch_lightning as pl
from hydra.core.hydra_config import HydraConfig
from hydra.utils import get_original_cwd
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.plugins.environments import (
    ClusterEnvironment,
    LightningEnvironment,
    TorchElasticEnvironment,
)
from pytorch_lightning.strategies import ParallelStrategy
from pytorch_lightning.strategies.launchers import _SubprocessScriptLauncher
from torch.distributed.constants import default_pg_timeout

from spinpot.config.app import STARTED_HERE, TRAIN
from spinpot.core.console import print_line
from spinpot.core.errors import InputError, require
from spinpot.training.checks import check_devices
from spinpot.training.trainer import build, quiet_lightning

MEETING = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}
"""Default meeting point of ranks started by hand; the port is torchrun's default."""
TORCHRUN = "TORCHELASTIC_RUN_ID"  # the environment variable by which Lightning recognises torchrun
TOLD = ("RANK", "LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", *MEETING, STARTED_HERE, TORCHRUN)
"""Environment variables that define a process's rank; Lightning deletes one of them after a run."""
PLACE = ("strategy", "accelerator", "devices", "num_nodes", "plugins")
"""Trainer settings from which Lightning derives the ranks."""


@dataclass
class Place:
    """The rank of this process, the address where all ranks meet, and the waiting time in seconds.

    size: number of ranks. per_node: ranks on each node. started_here: whether the first process of each node
    starts the others, because no launcher such as torchrun does.
    """

    rank: int
    size: int
    local_rank: int
    per_node: int
    address: str
    port: int
    timeout: float
    started_here: bool

    @property
    def at(self) -> str:
        """ADDRESS:PORT where the ranks meet."""
        return f"{self.address}:{self.port}"

    @property
    def hosts_store(self) -> bool:
        """Whether this rank creates the store; torchrun has created one already."""
        return self.rank == 0 and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"

    @property
    def silent(self) -> bool:
        """Whether the parent process, in the same terminal, prints this rank's error."""
        return self.started_here and self.local_rank > 0

    def start_others(self) -> list[subprocess.Popen[bytes]]:
        """Start the other processes of this node with the command of this process."""
        if not self.started_here or self.local_rank > 0:
            return []
        first = self.rank - self.local_rank
        os.environ |= {"WORLD_SIZE": str(self.size), STARTED_HERE: "1"}
        os.environ |= {"MASTER_ADDR": self.address, "MASTER_PORT": str(self.port)}
        os.environ |= {"NODE_RANK": str(first // self.per_node), **_ranks(first, 0)}
        return [self._start(first, local) for local in range(1, self.per_node)]

    def _start(self, first: int, local_rank: int) -> subprocess.Popen[bytes]:
        # Repeat the command line with this run folder, whose default name contains the time.
        folder = f'hydra.run.dir="{HydraConfig.get().run.dir}"'
        environment = os.environ | _ranks(first, local_rank)
        return subprocess.Popen([*TRAIN, *sys.argv[1:], folder], env=environment, cwd=get_original_cwd())


def _ranks(first: int, local_rank: int) -> dict[str, str]:
    return {"LOCAL_RANK": str(local_rank), "RANK": str(first + local_rank)}


@contextmanager
def own_environment() -> Iterator[None]:
    """Restore the rank variables of the environment afterwards, for the next run of this process."""
    before = {name: os.environ.get(name) for name in TOLD}
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def place_of(trainer: DictConfig) -> Place | None:
    """The place of this process in a run with this trainer section; None in a run of one process.

    Ranks started by hand need torch's variables RANK and WORLD_SIZE; this sets the others that Lightning
    needs. Raises InputError if the environment contradicts the trainer.
    """
    strategy = _strategy(trainer) if wants_several(trainer) else None
    if strategy is not None:
        _take_rank(_per_node(strategy))
        strategy = _strategy(trainer)
    asked = _per_node(strategy) * trainer.num_nodes if strategy else 1
    if _number("WORLD_SIZE", asked) != asked:
        raise InputError(
            f"WORLD_SIZE={os.environ['WORLD_SIZE']}, but trainer.devices × trainer.num_nodes is {asked}. "
            "Give, e.g., trainer=ddp or trainer=ddp_cpu with trainer.devices (ranks on each node) and "
            "trainer.num_nodes, or unset RANK and WORLD_SIZE for a run of one process."
        )
    if strategy is None or strategy.world_size == 1:
        return None
    return _place(strategy, cast(ClusterEnvironment, strategy.cluster_environment), trainer.num_nodes)


def wants_several(trainer: DictConfig) -> bool:
    """Whether the trainer section may ask for several processes."""
    return "strategy" in trainer or trainer.devices not in (1, "1") or trainer.num_nodes != 1


def _place(strategy: ParallelStrategy, environment: ClusterEnvironment, nodes: int) -> Place:
    started_here = not environment.creates_processes_externally or STARTED_HERE in os.environ
    told = isinstance(environment, (LightningEnvironment, TorchElasticEnvironment))
    if told and not (started_here and nodes == 1):
        _choose_meeting()
    try:
        environment.validate_settings(num_devices=_per_node(strategy), num_nodes=nodes)
    except ValueError as error:
        raise InputError(str(error)) from error
    timeout = getattr(strategy, "_timeout", None) or default_pg_timeout
    return Place(
        rank=strategy.global_rank,
        size=strategy.world_size,
        local_rank=strategy.local_rank,
        per_node=_per_node(strategy),
        address=environment.main_address,
        port=environment.main_port,
        timeout=timeout.total_seconds(),
        started_here=started_here,
    )


def _per_node(strategy: ParallelStrategy) -> int:
    return len(strategy.parallel_devices or ())


def _strategy(trainer: DictConfig) -> ParallelStrategy | None:
    """Lightning's strategy, which knows the ranks; None if they are not separate commands."""
    check_devices(trainer)
    quiet_lightning()
    settings = cast(dict[str, Any], OmegaConf.to_container(trainer, resolve=True))
    asked = {name: settings[name] for name in ("_target_", *PLACE) if name in settings}
    silent = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    found: pl.Trainer = build(DictConfig(asked), **silent)
    strategy = found.strategy
    if not isinstance(strategy, ParallelStrategy) or strategy.cluster_environment is None:
        return None
    return strategy if isinstance(strategy.launcher, _SubprocessScriptLauncher) else None


def _take_rank(per_node: int) -> None:
    """Make Lightning treat a process with RANK and WORLD_SIZE as one started by torchrun."""
    if {"RANK", "WORLD_SIZE"} <= os.environ.keys() and "SLURM_NTASKS" not in os.environ:
        os.environ.setdefault("LOCAL_RANK", str(_number("RANK", 0) % per_node))
        os.environ.setdefault(TORCHRUN, "none")


def _choose_meeting() -> None:
    chosen = {name: value for name, value in MEETING.items() if name not in os.environ}
    if chosen:
        said = ", ".join(f"{name}={value}" for name, value in chosen.items())
        print_line(f"The ranks meet at the default {said}, because none is set.")
    os.environ |= chosen


def _number(name: str, otherwise: int) -> int:
    """An environment variable as a number. Raises InputError."""
    text = os.environ.get(name, str(otherwise))
    require(text.isdecimal(), name, text, f"a whole number, as torch.distributed's {name}.")
    return int(text)
