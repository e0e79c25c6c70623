"""Fetches the public NiO frames (DeltaSpin) that deepmd-kit ships as its spin example.

They are deepmd-kit's (LGPL-3.0) and are not distributed with spinpot: 60 + 60 + 31 frames of 32 atoms in
`data_0`, `data_1`, `data_2`, about 0.5 MB.
"""

import logging
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pooch
from requests.exceptions import RequestException

from spinpot.core.console import counted
from spinpot.core.errors import InputError
from spinpot.core.files import one_at_a_time, reason

COMMIT = "e695a91ca6f7a1c9c830ab1c58b7b7a05db3da23"  # deepmd-kit v3.0.0

NIO_DELTASPIN_URL = (
    f"https://raw.githubusercontent.com/deepmodeling/deepmd-kit/{COMMIT}/examples/spin/data_reformat/"
)

NIO_DELTASPIN_SHA256 = dict(
    line.split() for line in Path(__file__).with_name("NiO_deltaspin.sha256").read_text().splitlines()
)
"""Every file of the folder and its checksum."""

_TIMEOUT = 30.0  # seconds without an answer


def fetch_nio_deltaspin(folder: Path, base_url: str = NIO_DELTASPIN_URL) -> None:
    """Put the frames into `folder` unless every file is there already; only missing files are fetched.

    Files that are there are never replaced nor compared. An interrupted download leaves `folder` as it
    was: files are fetched and compared with their checksums in a temporary folder beside it first.

    Raises InputError, saying how to place the files by hand, if one cannot be fetched or is not the
    expected one, or if `folder` cannot be written.
    """
    folder = Path(folder)
    if not _missing(folder):
        return
    try:
        with (
            one_at_a_time(folder),
            tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary,
        ):
            fresh = Path(temporary) / folder.name
            missing = _missing(folder)
            _download(missing, fresh, base_url)
            _move_into(fresh, folder, missing)
    except RequestException as error:
        raise InputError(_by_hand(folder, f"could not be fetched from {base_url}: {error}")) from error
    except ValueError as error:  # pooch: the checksum differs
        raise InputError(
            _by_hand(folder, f"fetched from {base_url} are not the known ones: {error}")
        ) from error
    except OSError as error:
        raise InputError(_by_hand(folder, f"cannot be written: {reason(error)}")) from error


def _missing(folder: Path) -> list[str]:
    """The files that are not there."""
    return [name for name in NIO_DELTASPIN_SHA256 if not (folder / name).is_file()]


def _download(names: Sequence[str], target: Path, base_url: str) -> None:
    """Fetch `names` into `target`, each compared with its checksum before it gets its name."""
    url = base_url.rstrip("/") + "/"
    source = pooch.create(path=target, base_url=url, registry=NIO_DELTASPIN_SHA256, retry_if_failed=1)
    downloader = pooch.HTTPDownloader(timeout=_TIMEOUT)
    pooch.get_logger().setLevel(logging.WARNING)  # a progress bar instead of a line per file
    for name in counted(names, "Fetching NiO_deltaspin"):
        source.fetch(name, downloader=downloader)


def _move_into(fresh: Path, folder: Path, names: Sequence[str]) -> None:
    """Give the complete `fresh` its place: in one step, or file by file into a folder that exists."""
    if not folder.exists():
        fresh.rename(folder)
        return
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        os.replace(fresh / name, folder / name)


def _by_hand(folder: Path, problem: str) -> str:
    return (
        f"{folder}: the NiO frames of deepmd-kit's spin example {problem}\n"
        "Expected data_0, data_1 and data_2, each with type.raw, type_map.raw and set.000. On a machine with "
        "network, `git clone --depth 1 --branch v3.0.0 https://github.com/deepmodeling/deepmd-kit` and copy "
        f"its folder examples/spin/data_reformat to {folder.absolute()}; or use data=NiO, which needs no "
        "download."
    )
