"""Fetches the public NiO frames (DeltaSpin) that deepmd-kit ships as its spin example.

They are deepmd-kit's (LGPL-3.0) and are not distributed with spinpot: 60 + 60 + 31 frames of 32 atoms in
`data_0`, `data_1`, `data_2`, about 0.5 MB.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pooch
from requests.exceptions import RequestException
from rich.progress import track

from spinpot.core.console import progress_console
from spinpot.core.errors import InputError
from spinpot.core.files import one_at_a_time, reason

COMMIT = "e695a91ca6f7a1c9c830ab1c58b7b7a05db3da23"
"""deepmd-kit v3.0.0."""

NIO_DELTASPIN_URL = (
    f"https://raw.githubusercontent.com/deepmodeling/deepmd-kit/{COMMIT}/examples/spin/data_reformat/"
)

NIO_DELTASPIN_SHA256 = {
    "data_0/set.000/box.npy": "b981fdaff5fa481789a0be1dbe414f8e5a3461146a2e6da7141c16a46ae9f9c7",
    "data_0/set.000/coord.npy": "8d7406ea7db9011f5ad66bad4e72c8ae70a61a01369629bc0d3fe713da8ef728",
    "data_0/set.000/energy.npy": "e95a9ab88a0831ceb6e12154410646eaa9039ac18f4407e0b3928b8d58b9a0d6",
    "data_0/set.000/force.npy": "5a80d9f9965f8324a2eb36b6d065f08d3e42b8cc440391e87e7503e6aacf128c",
    "data_0/set.000/force_mag.npy": "433a74ed45534f25fabd201e0502676b6163cdbbd4455e8f43dba93ec06980a1",
    "data_0/set.000/spin.npy": "e0733496d04c2699694739bf52c2ceb4fe592d3a66c44cfe5e6289ab27ce866f",
    "data_0/type.raw": "a9dfe99bb6435e7ad420d4bac1fa8cda8231c4f494d30e04978bd5bdf8b0522d",
    "data_0/type_map.raw": "cb7f220bb764927508259072ed0921f2810311c5a27f95d72f2e3cff0f6e0c87",
    "data_1/set.000/box.npy": "b981fdaff5fa481789a0be1dbe414f8e5a3461146a2e6da7141c16a46ae9f9c7",
    "data_1/set.000/coord.npy": "61f6957f4c9bd13eb991420a6abe49e32af78581aae6ad1b574958923b113334",
    "data_1/set.000/energy.npy": "f400f07a8ae0d1368887e665f605586321b48779e194c8fabb20a8e64a394395",
    "data_1/set.000/force.npy": "159a4fd99e589be7422e136b799e6252327b8af3ad40703afe4b4f548828acc3",
    "data_1/set.000/force_mag.npy": "eb104bad0af91830a5ac3cd11edd5c3d2df4363b7ebe0c251d99f05f40021775",
    "data_1/set.000/spin.npy": "6dc38461aaca800eaf681a259e84258b77e54a52112ec97bafb2e8b263d3c200",
    "data_1/type.raw": "a9dfe99bb6435e7ad420d4bac1fa8cda8231c4f494d30e04978bd5bdf8b0522d",
    "data_1/type_map.raw": "cb7f220bb764927508259072ed0921f2810311c5a27f95d72f2e3cff0f6e0c87",
    "data_2/set.000/box.npy": "1bf67417951392676a604e200e67c23608e2c2b610ba010aa771a6e00666d3e9",
    "data_2/set.000/coord.npy": "d45a7ee986365fbef58912d50df10b0b2dd04dd65f6e333e93b8199f8a1db8b4",
    "data_2/set.000/energy.npy": "aaaf67eb3142a4a6f0943c1a94c23d31bb9373ed75a4704f4da2f942b5be836b",
    "data_2/set.000/force.npy": "77e0504d32be0090078dd41a61940144fadd520ba69e316de687a016fc2e4762",
    "data_2/set.000/force_mag.npy": "620d19a8275f342c559949b123740a1966d6a8b67f43e3464e6a983b0fa7c57d",
    "data_2/set.000/spin.npy": "9cc951f8a06a328498856e4b9036e1f91d1883351d071a329b7386ce3a0f8105",
    "data_2/type.raw": "a9dfe99bb6435e7ad420d4bac1fa8cda8231c4f494d30e04978bd5bdf8b0522d",
    "data_2/type_map.raw": "cb7f220bb764927508259072ed0921f2810311c5a27f95d72f2e3cff0f6e0c87",
}
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
    registry = {name: f"sha256:{NIO_DELTASPIN_SHA256[name]}" for name in names}
    url = base_url.rstrip("/") + "/"
    source = pooch.create(path=target, base_url=url, registry=registry, retry_if_failed=1)
    downloader = pooch.HTTPDownloader(timeout=_TIMEOUT)
    pooch.get_logger().setLevel(logging.WARNING)  # a progress bar instead of a line per file
    for name in track(names, "Fetching NiO_deltaspin", console=progress_console):
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
