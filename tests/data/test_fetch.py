"""Download of the public NiO frames, from a server on this machine."""

import functools
import hashlib
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from spinpot.core.errors import InputError
from spinpot.data import fetch
from spinpot.data.fetch import NIO_DELTASPIN_SHA256, NIO_DELTASPIN_URL, fetch_nio_deltaspin


class Server:
    """Serves `root` over HTTP and remembers what was asked for."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.asked: list[str] = []
        asked = self.asked

        class Handler(SimpleHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                asked.append(self.path.lstrip("/"))

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(root)))
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server with stand-ins for the real files, and their checksums in place of the real ones."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("time.sleep", lambda _: None)
    for name in NIO_DELTASPIN_SHA256:
        content = f"content of {name}".encode()
        file = tmp_path / "served" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        monkeypatch.setitem(NIO_DELTASPIN_SHA256, name, hashlib.sha256(content).hexdigest())
    started = Server(tmp_path / "served")
    yield started
    started.http.shutdown()
    started.http.server_close()


def contents(folder: Path) -> dict[str, str]:
    return {
        str(f.relative_to(folder)): f.read_text(encoding="utf-8") for f in folder.rglob("*") if f.is_file()
    }


def test_an_absent_folder_is_fetched_completely(
    tmp_path: Path, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "datasets" / "NiO_deltaspin"
    fetch_nio_deltaspin(folder, server.url)
    assert contents(folder) == {name: f"content of {name}" for name in NIO_DELTASPIN_SHA256}
    assert list(folder.parent.iterdir()) == [folder]
    assert f"Data set NiO_deltaspin written to {folder}." in capsys.readouterr().out


def test_a_complete_folder_is_left_alone(tmp_path: Path, server: Server) -> None:
    for name in NIO_DELTASPIN_SHA256:
        file = tmp_path / "NiO" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("the user's own")
    fetch_nio_deltaspin(tmp_path / "NiO", server.url)
    assert server.asked == []
    assert set(contents(tmp_path / "NiO").values()) == {"the user's own"}


def test_only_missing_files_are_fetched(tmp_path: Path, server: Server) -> None:
    folder = tmp_path / "NiO"
    fetch_nio_deltaspin(folder, server.url)
    server.asked.clear()
    (folder / "data_1/set.000/spin.npy").unlink()
    (folder / "data_0/type.raw").write_text("kept")
    fetch_nio_deltaspin(folder, server.url.rstrip("/"))
    assert len(server.asked) == 1
    assert "data_1/set.000/spin.npy" in server.asked[0]
    assert contents(folder)["data_0/type.raw"] == "kept"
    assert contents(folder)["data_1/set.000/spin.npy"] == "content of data_1/set.000/spin.npy"


def test_wrong_content_is_refused_and_leaves_nothing(tmp_path: Path, server: Server) -> None:
    (server.root / "data_2/set.000/force_mag.npy").write_text("something else")
    folder = tmp_path / "datasets" / "NiO_deltaspin"
    with pytest.raises(
        InputError, match=r"other checksums than expected.*force_mag\.npy(.|\n)*git clone(.|\n)*data=NiO"
    ):
        fetch_nio_deltaspin(folder, server.url)
    assert list(folder.parent.iterdir()) == []


def test_a_file_the_server_lacks(tmp_path: Path, server: Server) -> None:
    (server.root / "data_0/type.raw").unlink()
    with pytest.raises(InputError, match=r"could not be fetched from .*404(.|\n)*data_reformat to .*NiO"):
        fetch_nio_deltaspin(tmp_path / "NiO", server.url)
    assert not (tmp_path / "NiO").exists()


def test_no_network(tmp_path: Path, server: Server) -> None:
    server.http.shutdown()
    server.http.server_close()
    with pytest.raises(InputError, match=r"NiO: the NiO frames .* could not be fetched"):
        fetch_nio_deltaspin(tmp_path / "NiO", server.url)


def test_an_interrupted_download_never_looks_complete(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(fetch, "_move_into", interrupt)
    folder = tmp_path / "datasets" / "NiO"
    with pytest.raises(KeyboardInterrupt):
        fetch_nio_deltaspin(folder, server.url)
    assert list(folder.parent.iterdir()) == []


def test_a_place_that_cannot_be_written(tmp_path: Path, server: Server) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(InputError, match="cannot be written"):
        fetch_nio_deltaspin(tmp_path / "file" / "NiO", server.url)


def test_the_default_address_is_pinned() -> None:
    assert NIO_DELTASPIN_URL.startswith("https://raw.githubusercontent.com/deepmodeling/deepmd-kit/")
    assert len(fetch.COMMIT) == 40
    assert fetch.COMMIT in NIO_DELTASPIN_URL
    assert len(NIO_DELTASPIN_SHA256) == 24
