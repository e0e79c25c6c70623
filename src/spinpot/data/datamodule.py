"""The LightningDataModule: from folders to batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Any, Literal

import pytorch_lightning as pl
from torch.utils.data import DataLoader, Dataset, Sampler

from spinpot.core.console import print_line
from spinpot.core.errors import InputError, require
from spinpot.core.notes import Notes
from spinpot.core.shares import ALONE, Processes, never_garbage, shared
from spinpot.data.ahead import BatchesAhead
from spinpot.data.batch import Batch, Frame
from spinpot.data.broken import Broken
from spinpot.data.dataset import FrameDataset
from spinpot.data.description import describe, fingerprint, moments
from spinpot.data.exclude import Exclude
from spinpot.data.geometry import Geometry
from spinpot.data.resident import PaddedBatch
from spinpot.data.sample import drawn, sample_of, with_energies
from spinpot.data.sampling import EveryFrameOnce, ShuffledBatches
from spinpot.data.spin_turns import SpinTurns, TurnedFrames
from spinpot.data.systems import SAMPLE, System, read_systems


class SpinDataModule(pl.LightningDataModule):
    """Training, validation and test systems, and their batches with the pairs that a model needs.

    train, validation, test: folders of systems, in any layout that `read_systems` reads.
    type_map: the elements in the model's order; None takes them from the data.
    batch_size: frames per step and process, from any systems.
    validation_batch_size: frames per validation step; None: batch_size.
    validation_frames: size of the fixed sample that validations during training use; None: the sample of size
    `sample`.
    num_workers: threads that make the next batches while a step runs; 0: none.
    seed: determines the order of the frames and the samples.
    prepare: called once before anything is read; makes or fetches missing data.
    exclude: frames to leave out, as in `Exclude`.
    skip_broken: leave out and count frames that cannot be used; otherwise they are an error.
    sample: for larger sets, number of frames from which statistics and descriptions are computed.

    systems: those of each set. sampled: the same, or a sample of their frames. datasets, samples: the data
    sets of these. validated: the data set for validations during training. gives: what the training loader
    gives: batches; numbers of frames, which are on the device already; or padded batches (PaddedBatch).
    """

    def __init__(
        self,
        train: str | Sequence[str],
        validation: str | Sequence[str],
        test: str | Sequence[str] | None = None,
        type_map: Sequence[str] | None = None,
        batch_size: int = 4,
        validation_batch_size: int | None = None,
        num_workers: int = 0,
        seed: int = 0,
        prepare: Callable[[], None] | None = None,
        exclude: Mapping[str, Any] | None = None,
        sample: int = SAMPLE,
        skip_broken: bool = False,
        validation_frames: int | None = None,
    ) -> None:
        super().__init__()
        folders = {"train": train, "validation": validation, "test": test or []}
        self.folders = {
            name: [own] if isinstance(own, str) else list(map(str, own)) for name, own in folders.items()
        }
        self.wanted_type_map = type_map
        self.batch_size = batch_size
        self.validation_batch_size = validation_batch_size or batch_size
        self.validation_frames = sample if validation_frames is None else validation_frames
        self.num_workers = num_workers
        self.seed = seed
        self.prepare = prepare
        self.exclude = Exclude(exclude)
        self.sample = sample
        self.broken = {name: Broken(skip_broken) for name in folders}
        self.systems: dict[str, list[System]] = {}
        self.sampled: dict[str, list[System]] = {}
        self.geometry: Geometry
        self.datasets: dict[str, FrameDataset] = {}
        self.samples: dict[str, FrameDataset] = {}
        self.validated: FrameDataset
        self._check()
        self.turned: TurnedFrames | None = None
        self.gives: Literal["batches", "numbers", "padded"] = "batches"

    def _check(self) -> None:
        for name in ("batch_size", "validation_batch_size", "sample", "validation_frames"):
            require(getattr(self, name) >= 1, f"data.{name}", getattr(self, name), "at least 1 frame.")
        if not self.num_workers >= 0:
            raise InputError(f"data.num_workers={self.num_workers} must not be negative.")
        for name in ("train", "validation"):
            if not self.folders[name]:
                raise InputError(
                    f"data.{name} names no folder; give at least one, e.g. data.{name}='[my_data/{name}]'."
                )

    def prepare_data(self) -> None:
        """Make or fetch missing data."""
        if self.prepare is not None:
            self.prepare()

    @property
    def type_map(self) -> tuple[str, ...]:
        """The elements; known after read()."""
        return self.systems["train"][0].type_map

    @never_garbage()
    def read(self, processes: Processes = ALONE) -> None:
        """Read every system; of a large set, read a sample. Raises InputError for data that cannot be used.

        processes: those of the run; each reads a share.
        """
        notes = Notes()
        self.systems = {"train": self._read("train", self.wanted_type_map, notes, processes)}
        for name in ("validation", "test"):
            if self.folders[name]:
                self.systems[name] = self._read(name, self.type_map, notes, processes)
        for line in self.exclude.lines():
            notes.add(line)
        if (every := sum(map(len, self.systems["validation"]))) > self.validation_frames:
            notes.add(
                f"Validations look at a fixed sample of {self.validation_frames:,} of {every:,} frames "
                "(data.validation_frames). The errors at the end are those of all frames."
            )
        notes.print()

    def _read(
        self, name: str, type_map: Sequence[str] | None, notes: Notes, processes: Processes
    ) -> list[System]:
        systems = read_systems(
            self.folders[name],
            type_map,
            notes=notes,
            leave_out=partial(self.exclude.of, set_name=name),
            at_once=self.sample,
            check=self.broken[name].without,
            processes=processes,
        )
        if not systems:
            either = " or data.skip_broken" * self.broken[name].skip
            raise InputError(
                f"data.exclude{either} leaves out every frame of data.{name}. Expected at least one that "
                "stays. Exclude fewer, or give more folders."
            )
        self.sampled[name] = sample_of(systems, self.sample, self.seed, self.broken[name], processes)
        every, some = (sum(map(len, own)) for own in (systems, self.sampled[name]))
        if every <= self.sample:
            return self.sampled[name]
        notes.add(
            f"data.{name} has {every:,} frames, which are read and checked when they are used. Statistics, "
            f"label spreads and look: lines come from a sample of {some:,} frames (data.sample)."
        )
        return with_energies(systems, processes) if name == "train" else systems

    def count_broken(self, processes: Processes) -> None:
        """Add the frames that the other processes have left out to those of this process."""
        for broken in self.broken.values():
            if broken.skip:
                for own in shared(lambda _: broken.frames, range(processes.size), "Left out", processes):  # noqa: B023
                    broken.frames |= own

    @cached_property
    def described(self) -> dict[str, dict[str, Any]]:
        """The description of each set, as plain data."""
        excluded = {name: {"excluded": frames} for name, frames in self.exclude.left_out.items()}
        return {
            name: describe(systems, self.sampled[name]) | excluded.get(name, {})
            for name, systems in self.systems.items()
        }

    def fingerprints(self, of_all: bool = False) -> dict[str, str]:
        """The fingerprints of the training and the validation data, on which a run depends.

        of_all: compute them from all frames, as older versions without data.sample did.
        """
        if of_all:
            return {name: fingerprint(self.systems[name]) for name in ("train", "validation")}
        return {name: self.described[name]["fingerprint"] for name in ("train", "validation")}

    def make_datasets(self, geometry: Geometry, reversal: bool = False, rotation: bool = False) -> None:
        """Make the data sets for a model with this geometry.

        reversal, rotation: whether the spins of training frames are reversed or rotated at random. Then the
        neighbours of training frames are counted for spins of any direction.
        """
        self.geometry = geometry
        turned = reversal or rotation
        for name, systems in self.systems.items():
            of_set = replace(geometry, any_direction=True) if turned and name == "train" else geometry
            # Validation errors are those of all its frames, so no broken frame is left out there.
            broken = self.broken[name] if name == "train" else None
            self.datasets[name] = FrameDataset(systems, of_set, broken)
            whole = self.sampled[name] is systems
            self.samples[name] = self.datasets[name] if whole else FrameDataset(self.sampled[name], of_set)
        self.validated = self._validated()
        if turned:
            self.turned = TurnedFrames(self.datasets["train"], SpinTurns(reversal, rotation, self.seed))

    def _validated(self) -> FrameDataset:
        if self.validation_frames == self.sample:
            return self.samples["validation"]
        every = self.systems["validation"]
        some = drawn(every, self.validation_frames, self.seed)
        return self.datasets["validation"] if some is every else FrameDataset(some, self.geometry)

    def elements_with_moments(self) -> list[str]:
        """The elements that have a non-zero spin somewhere in the training data."""
        found = {name for system in self.sampled["train"] for name in moments(system)}
        return [name for name in self.type_map if name in found]

    def train_dataloader(self) -> DataLoader[Any]:
        """What `gives` says, from the trainer's present step to its last."""
        assert self.trainer is not None
        accumulated = self.trainer.accumulate_grad_batches
        batches = ShuffledBatches(
            len(self.datasets["train"]),
            self.batch_size,
            self.seed,
            first=self.trainer.global_step * accumulated,
            total=self.trainer.max_steps * accumulated,
            rank=self.trainer.global_rank,
            world_size=self.trainer.world_size,
            numbered=self.turned is not None,
        )
        if self.gives == "numbers":
            return DataLoader(range(batches.n_frames), batch_sampler=batches, collate_fn=list)  # type: ignore[arg-type]
        on_host = self.trainer.strategy.root_device.type == "cpu"
        if self.num_workers and self.datasets["train"].in_memory and on_host:
            print_line(
                f"data.num_workers={self.num_workers}: these frames are in memory, so threads gain nothing "
                "and slow the steps down. Use 0."
            )
        return self._loader(self.datasets["train"], self.turned or self.datasets["train"], batches)

    def val_dataloader(self) -> DataLoader[Batch]:
        """All validated frames, each once."""
        assert self.trainer is not None
        rank, world_size = self.trainer.global_rank, self.trainer.world_size
        batches = EveryFrameOnce(len(self.validated), self.validation_batch_size, rank, world_size)
        return self._loader(self.validated, self.validated, batches)

    def _loader(
        self, own: FrameDataset, frames: Dataset[Frame | None], batch_sampler: Sampler[list[Any]]
    ) -> DataLoader[Any]:
        assert self.trainer is not None
        # The step uses all threads of torch, so each batch that is made meanwhile gets one thread.
        geometry = replace(self.geometry, threads=1) if self.num_workers else self.geometry
        training, collate = own is not self.validated, partial(own.collate, geometry=geometry)
        pads = training and self.gives == "padded"
        return BatchesAhead(
            frames,
            batch_sampler=batch_sampler,
            collate_fn=(lambda given: PaddedBatch.of(collate(given))) if pads else collate,
            threads=self.num_workers,
            device=self.trainer.strategy.root_device,
            watched=training and not own.in_memory,
        )
