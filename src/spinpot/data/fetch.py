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

from spinpot.core.console import counted, print_line
from spinpot.core.errors import InputError
from spinpot.core.files import data_set_written, one_at_a_time, reason

COMMIT = "e695a91ca6f7a1c9c830ab1c58b7b7a05db3da23"  # deepmd-kit v3.0.0

NIO_DELTASPIN_URL = (
    f"https://raw.githubusercontent.com/deepmodeling/deepmd-kit/{COMMIT}/examples/spin/data_reformat/"
)

NIO_DELTASPIN_SHA256 = dict(
    line.split() for line in Path(__file__).with_name("NiO_deltaspin.sha256").read_text().splitlines()
)
"""{file: SHA-256} for every file of the folder."""

_TIMEOUT = 30.0  # seconds without an answer


def fetch_nio_deltaspin(folder: Path, base_url: str = NIO_DELTASPIN_URL) -> None:
    """Download the frames into `folder`. Only missing files are fetched.

    Existing files are neither replaced nor checked. Files are first fetched into a temporary folder beside
    `folder` and checked against their checksums, so that an interrupted download leaves `folder` unchanged.

    Raises InputError, which says how to place the files by hand, if a file cannot be fetched or has another
    checksum, or if `folder` cannot be written.
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
        print_line(data_set_written("NiO_deltaspin", folder.absolute()))
    except RequestException as error:
        raise InputError(_by_hand(folder, f"could not be fetched from {base_url}: {error}")) from error
    except ValueError as error:  # pooch: the checksum differs
        raise InputError(
            _by_hand(folder, f"fetched from {base_url} have other checksums than expected: {error}")
        ) from error
    except OSError as error:
        raise InputError(_by_hand(folder, f"cannot be written: {reason(error)}")) from error


def _missing(folder: Path) -> list[str]:
    """The files that `folder` lacks."""
    return [name for name in NIO_DELTASPIN_SHA256 if not (folder / name).is_file()]


def _download(names: Sequence[str], target: Path, base_url: str) -> None:
    """Fetch `names` into `target`. pooch checks each file's checksum before it gives the file its name."""
    url = base_url.rstrip("/") + "/"
    source = pooch.create(path=target, base_url=url, registry=NIO_DELTASPIN_SHA256, retry_if_failed=1)
    downloader = pooch.HTTPDownloader(timeout=_TIMEOUT)
    pooch.get_logger().setLevel(logging.WARNING)  # a progress bar instead of a line per file
    for name in counted(names, "Fetching NiO_deltaspin"):
        source.fetch(name, downloader=downloader)


def _move_into(fresh: Path, folder: Path, names: Sequence[str]) -> None:
    """Move the complete `fresh` to `folder`: in one step, or file by file if `folder` exists."""
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
