"""Converts files by their suffixes: models of other programs, spinpot's checkpoints, input.json."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from spinpot.core.console import print_line
from spinpot.core.errors import InputError
from spinpot.core.files import cannot_write
from spinpot.models.checkpoint import existing_file, save_potential
from spinpot.models.exchange.wrapper import WithExchange
from spinpot.models.files import CHECKPOINT, experiment_writer, read_model
from spinpot.models.model_file import MODEL_FILE, write_model_file


def convert(source: Path, target: Path, deepmd: str | None = None, network_only: bool = False) -> None:
    """Convert `source` to the format that the suffix of `target` names.

    deepmd: a Python interpreter with deepmd-kit 3.2, required to write `.pth`. network_only: leave out the
    exchange term, which deepmd-kit's files cannot hold.

    Raises InputError, before it writes anything, if the source is missing or cannot be read, or if the target
    exists or has an unsupported suffix; and if the target cannot be written.
    """
    source = existing_file(source)
    if write := experiment_writer(source):
        _check_target(target, (".yaml",))
        with _named_errors():
            write(source, target)
        return
    model = read_model(source)
    potential = model.potential
    if network_only and isinstance(potential, WithExchange):
        potential = potential.without_exchange()
    exporters = potential.exporters()
    _check_target(target, (CHECKPOINT, MODEL_FILE, *exporters))
    with _named_errors():
        if target.suffix == CHECKPOINT:
            save_potential(target, potential, deepmd=model.rest)
        elif target.suffix == MODEL_FILE:
            write_model_file(target, potential)
        else:
            exporters[target.suffix](target, model.rest, deepmd)
    spec = potential.spec
    print_line(
        f"Written: {target}: {' '.join(spec.type_map)} (with spin: {' '.join(spec.magnetic_elements)}), "
        f"cutoff {spec.geometry.cutoff} Å, {potential.n_parameters()} parameters."
    )


@contextmanager
def _named_errors() -> Iterator[None]:
    """Raise InputError if the target cannot be written."""
    try:
        yield
    except OSError as error:
        raise InputError(cannot_write(error)) from error


def _check_target(target: Path, suffixes: Iterable[str]) -> None:
    if target.suffix not in suffixes:
        raise InputError(
            f"{target}: this input can be written as {' or '.join(suffixes)}, not as "
            f"{target.suffix or 'no suffix'!r}. Give an output with one of these suffixes."
        )
    if target.exists():
        raise InputError(
            f"{target} is there already, and nothing is overwritten. Give another name, or remove it."
        )
    if not target.absolute().parent.is_dir():
        raise InputError(f"{target}: there is no folder {target.parent}. Create it first.")
