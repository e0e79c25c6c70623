"""The commit is that of spinpot's checkout, never that of another repository around the package."""

import shutil
import subprocess
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from unittest import mock

import pytest

import spinpot
from spinpot.core import provenance
from spinpot.core.provenance import git_commit, versions


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit."""
    if shutil.which("git") is None:
        pytest.skip("needs git")
    git(tmp_path, "init", "-q")
    (tmp_path / "README").write_text("a")
    git(tmp_path, "add", "README")
    git(tmp_path, "commit", "-q", "-m", "first")
    return tmp_path


def package(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    return folder


def commit_all(repository: Path) -> str:
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "second")
    return git(repository, "rev-parse", "HEAD")


def test_its_own_checkout(repository: Path) -> None:
    own = package(repository / "src/spinpot")
    commit = commit_all(repository)
    assert git_commit(own) == commit
    (repository / "README").write_text("b")
    assert git_commit(own) == f"{commit}-dirty"


def test_installed_in_an_environment_within_a_repository(repository: Path) -> None:
    assert git_commit(package(repository / ".venv/lib/python3.11/site-packages/spinpot")) is None
    # Even if its files are committed there.
    vendored = package(repository / "external/spinpot/src/spinpot")
    commit_all(repository)
    assert git_commit(vendored) is None


def test_unpacked_into_a_repository(repository: Path) -> None:
    assert git_commit(package(repository / "src/spinpot")) is None


def test_a_repository_that_the_environment_names(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = package(repository / "src/spinpot")
    commit = commit_all(repository)
    (repository / "other").mkdir()
    git(repository / "other", "init", "-q")
    monkeypatch.setenv("GIT_DIR", str(repository / "other/.git"))
    assert git_commit(own) == commit


def test_without_git(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = package(repository / "src/spinpot")
    commit_all(repository)
    monkeypatch.setenv("PATH", "")
    assert git_commit(own) is None


def test_sources_without_an_installation() -> None:
    def version(name: str) -> str:
        if name == "spinpot":
            raise PackageNotFoundError(name)
        return "1.0"

    with mock.patch.object(provenance, "version", version):
        assert versions()["spinpot"] == spinpot.__version__
