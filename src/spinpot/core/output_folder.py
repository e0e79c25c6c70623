"""A folder for results: nothing is overwritten, and all files appear together or not at all."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from spinpot.core.errors import InputError
from spinpot.core.files import reason, remove_leftovers


def refuse_existing(folder: Path, names: Sequence[str]) -> None:
    """Raise InputError if the path is not a folder, or the folder has a file with one of the names."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"output={folder}: this is a file. Expected a folder, new or old. Give another.")
    for name in names:
        if (folder / name).exists():
            raise InputError(
                f"output={folder}: {name} is there already, and nothing is overwritten. Give another folder, "
                "or remove the old results."
            )


@contextmanager
def all_or_nothing(folder: Path, last: str) -> Iterator[Path]:
    """A hidden folder to write to. At the end all its files are moved to `folder`, the file `last` last.

    After an error, a newly made folder is removed again. Raises InputError if `folder` cannot be written to.
    """
    name, is_new = Path(last).stem, not folder.exists()
    place = folder / f".{name}.{os.getpid()}"
    try:
        remove_leftovers(folder, name)  # killed processes may have left some
        place.mkdir(parents=True)
        yield place
        for file in sorted(place.iterdir(), key=lambda file: file.name == last):
            file.rename(folder / file.name)
    except OSError as error:
        raise InputError(
            f"output={folder}: cannot write there: {reason(error)}. Make room there, or give another folder."
        ) from error
    finally:
        shutil.rmtree(place, ignore_errors=True)
        if is_new:
            with suppress(OSError):  # it is not empty: it holds the results
                folder.rmdir()
