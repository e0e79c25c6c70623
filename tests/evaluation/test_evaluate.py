"""spinpot evaluate: the right numbers in the right files, or one message and no files."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spinpot.core.errors import InputError
from spinpot.data.systems import System, read_systems
from spinpot.evaluation import evaluate as module
from spinpot.evaluation.evaluate import evaluate
from spinpot.models.potential import Potential
from support.checkpoints import write_checkpoint
from support.cli import run_script
from support.folders import write_npy
from support.frames import random_system, small_potential, with_random_labels
from support.html import Page, assert_self_contained
from support.large import SAMPLE, as_large
from support.native_spin import calibrated_native

QUANTITIES = ("e", "fr", "fm", "fm_transverse", "fm_longitudinal", "v")
SHAPES = {"energy": (), "force": (5, 3), "force_mag": (5, 3), "virial": (3, 3), "atom_energy": (5,)}


def script(name: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return run_script(name, *arguments, cwd=cwd, check=False)


def labelled(seed: int, n_frames: int, **kind: Any) -> System:
    return with_random_labels(random_system(seed, n_frames, **kind), seed)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a user stands: data/, a trained run/ and its evaluation out/, all by the real scripts."""
    place = tmp_path_factory.mktemp("place")
    write_npy(place / "data/train", labelled(1, 4))
    write_npy(place / "data/b", labelled(2, 3))
    write_npy(place / "data/c", labelled(3, 2, n_ni=2, n_o=3))
    done = script(
        "train.py",
        "data=npy",
        "data.train=[data/train]",
        "data.validation=[data/b,data/c]",
        "debug=fast",
        "report=false",
        "hydra.run.dir=run",
        cwd=place,
    )
    assert done.returncode == 0, done.stderr
    where = ("checkpoint=run/checkpoints/best.ckpt", "systems=[data/b,data/c]", "output=out", "batch_size=2")
    done = script("evaluate.py", *where, cwd=place)
    assert done.returncode == 0, done.stderr
    assert "spread" in done.stdout
    return place


@pytest.fixture(scope="module")
def evaluation(place: Path) -> dict[str, Any]:
    return json.loads((place / "out/evaluation.json").read_text())


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return write_checkpoint(tmp_path / "best.ckpt", small_potential())


def contents(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# ---- what is written ----


def test_the_files(place: Path) -> None:
    assert contents(place) == ["data", "out", "run"]
    assert contents(place / "out") == ["b.npz", "c.npz", "evaluation.json", "parity.png", "report.html"]
    for name, n_frames in (("b", 3), ("c", 2)):
        with np.load(place / f"out/{name}.npz") as arrays:
            assert set(arrays) == SHAPES.keys()
            for key, shape in SHAPES.items():
                assert arrays[key].shape == (n_frames, *shape)
                assert arrays[key].dtype == np.float64


def test_the_errors_are_those_of_the_training_run(place: Path, evaluation: dict[str, Any]) -> None:
    val = json.loads((place / "run/summary.json").read_text())["val"]
    assert val.pop("score") > 0  # of training alone
    for key, value in val.items():
        name, _, element = key.partition("/")
        found = evaluation["elements"][element][name] if element else evaluation[name]
        assert found == pytest.approx(value, rel=1e-10), key


def test_the_errors_are_those_of_the_written_predictions(place: Path, evaluation: dict[str, Any]) -> None:
    systems = read_systems([place / "data/b", place / "data/c"])
    parts = [differences(system, place / f"out/{system.name}.npz") for system in systems]
    assert evaluation["frames"] == 5
    for quantity in QUANTITIES:
        assert_errors(evaluation, quantity, np.concatenate([part[quantity] for part in parts]))
        for system, part in zip(systems, parts, strict=True):
            assert_errors(evaluation["systems"][system.name], quantity, part[quantity])
    for element in ("Ni", "O"):
        delta = np.concatenate([part[f"fr/{element}"] for part in parts])
        assert_errors(evaluation["elements"][element], "fr", delta)
    assert "rmse_fm" in evaluation["elements"]["Ni"]
    assert "rmse_fm" not in evaluation["elements"]["O"]


def test_the_page(place: Path, evaluation: dict[str, Any]) -> None:
    page = Page.of(place / "out/report.html")
    assert_self_contained(page)
    step = evaluation["checkpoint_step"]
    assert f"The checkpoint run/checkpoints/best.ckpt , of step {step}, evaluated on" in page.text
    spread = evaluation["labels_spread"]
    rows = {
        (row[0].replace("not in the loss", "").strip(), row[1]): row[2:]
        for row in page.tables["All systems, 5 frames"]
    }
    for place_, name in ((("energy", ""), "e"), (("force", "all"), "fr"), (("virial", ""), "v")):
        best, _, mae, own_spread, heisenberg, _ = rows[place_]
        assert float(best) == pytest.approx(1000 * evaluation[f"rmse_{name}"], rel=6e-3)
        assert float(mae) == pytest.approx(1000 * evaluation[f"mae_{name}"], rel=6e-3)
        assert float(own_spread) == pytest.approx(1000 * spread[f"rmse_{name}"], rel=6e-3)
        assert float(heisenberg) == pytest.approx(1000 * evaluation["heisenberg"][f"rmse_{name}"], rel=6e-3)
    for element in ("Ni", "O"):
        expected = evaluation["elements"][element]["rmse_fr"]
        assert float(rows["force", element][0]) == pytest.approx(1000 * expected, rel=6e-3)
    _, *systems = page.tables["rmse per system"]
    assert [row[:2] for row in systems] == [["b", "3"], ["c", "2"]]
    for row in systems:
        expected = [1000 * evaluation["systems"][row[0]][f"rmse_{name}"] for name in QUANTITIES]
        assert [float(cell) for cell in row[2:]] == pytest.approx(expected, rel=6e-3)
    virial = page.tables["All systems, 5 frames"][-1]
    assert virial[0] == "virial not in the loss", "as the checkpoint's config says"
    assert f"Parameters {evaluation['model']['parameters']:,}" in page.text
    _, *symmetries = page.tables["Symmetry residuals"]
    for row, changes in zip(symmetries, evaluation["symmetry"].values(), strict=True):
        assert [float(cell) for cell in row[1:]] == pytest.approx(
            [1000 * changes[name] for name in ("e", "fr", "fm")], rel=6e-2
        )
    assert "Time reversal" in page.text


def test_the_heisenberg_fit_is_that_of_the_training_frames(place: Path, evaluation: dict[str, Any]) -> None:
    summary = json.loads((place / "run/summary.json").read_text())
    assert evaluation["heisenberg"] == pytest.approx(summary["baselines"]["val"]["heisenberg"], rel=1e-10)
    assert evaluation["heisenberg_fit"] == summary["heisenberg_fit"]
    page = Page.of(place / "out/report.html")
    assert "fitted by least squares to the labels of 4 training frames." in page.text


def test_frames_that_the_heisenberg_fit_has_seen(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    folders = [str(place / "data" / name) for name in ("train", "b")]
    result = evaluate(place / "run/checkpoints/best.ckpt", folders, tmp_path / "out")
    assert "heisenberg" not in result
    said = "Heisenberg fit: left out, since it was fitted to 4 of these frames."
    assert result["heisenberg_fit"] == said
    assert said in capsys.readouterr().out
    heads = Page.of(tmp_path / "out/report.html").tables["All systems, 7 frames"][0]
    assert "labels' own spread" in heads
    assert "Heisenberg fit" not in heads


def differences(system: System, npz: Path) -> dict[str, np.ndarray]:
    """Prediction minus label, flat, of every quantity; written out for Ni magnetic and O not."""
    with np.load(npz) as found:
        delta = {name: found[name] - getattr(system, name) for name in system.labels}
    ni = np.array(system.type_map)[system.types] == "Ni"
    spin, delta_fm = system.spin[:, ni], delta["force_mag"][:, ni]
    direction = spin / np.linalg.norm(spin, axis=-1, keepdims=True)
    along = np.einsum("fnc,fnc->fn", delta_fm, direction)
    return {
        "e": delta["energy"] / system.n_atoms,
        "fr": delta["force"].ravel(),
        "fr/Ni": delta["force"][:, ni].ravel(),
        "fr/O": delta["force"][:, ~ni].ravel(),
        "fm": delta_fm.ravel(),
        "fm_transverse": (delta_fm - along[..., None] * direction).ravel(),
        "fm_longitudinal": along.ravel(),
        "v": delta["virial"].ravel() / system.n_atoms,
    }


def assert_errors(found: dict[str, Any], quantity: str, delta: np.ndarray) -> None:
    assert found[f"rmse_{quantity}"] == pytest.approx(np.sqrt(np.mean(delta**2)), rel=1e-12)
    assert found[f"mae_{quantity}"] == pytest.approx(np.mean(np.abs(delta)), rel=1e-12)


def test_missing_labels_are_null(tmp_path: Path, checkpoint: Path, capsys: pytest.CaptureFixture) -> None:
    data = with_random_labels(random_system(1, 2), only=("energy", "force_mag"))
    result = evaluate(checkpoint, str(write_npy(tmp_path / "some", data)), tmp_path / "out")
    assert result == json.loads((tmp_path / "out/evaluation.json").read_text())
    for quantity in QUANTITIES:
        for kind in ("rmse", "mae"):
            assert (result[f"{kind}_{quantity}"] is None) == (quantity in ("fr", "v"))
    with np.load(tmp_path / "out/some.npz") as arrays:
        assert arrays["virial"].shape == (2, 3, 3)
    said = capsys.readouterr().out
    assert "No force in some" in said
    assert "Heisenberg fit: left out, since the checkpoint does not contain one." in said


def test_no_labels_at_all(tmp_path: Path, checkpoint: Path) -> None:
    result = evaluate(checkpoint, str(write_npy(tmp_path / "none", random_system(1))), tmp_path / "out")
    assert result["rmse_e"] is None
    assert contents(tmp_path / "out") == ["evaluation.json", "none.npz", "report.html"]
    page = Page.of(tmp_path / "out/report.html")
    assert_self_contained(page)
    assert "Nothing in these frames is labelled" in page.text
    assert not page.all("img")


def test_the_folders_own_type_map_plays_no_part(tmp_path: Path, checkpoint: Path) -> None:
    data = labelled(1, 2)
    permuted = replace(data, type_map=("O", "Ni"), types=1 - data.types)
    results = []
    for name, system in (("plain", data), ("permuted", permuted)):
        folder = write_npy(tmp_path / name / "data", system)
        results.append(evaluate(checkpoint, str(folder), tmp_path / f"out_{name}"))
    assert results[0] == results[1]


def test_batching_changes_nothing(tmp_path: Path, checkpoint: Path) -> None:
    folders = [str(write_npy(tmp_path / f"data_{n}", labelled(n, 3, n_o=n))) for n in (1, 2)]
    one, many = (evaluate(checkpoint, folders, tmp_path / f"out{size}", size) for size in (1, 8))
    for key in (f"{kind}_{quantity}" for kind in ("rmse", "mae") for quantity in QUANTITIES):
        assert one[key] == pytest.approx(many[key], rel=1e-12)


def test_an_existing_folder_without_results_is_used(tmp_path: Path, checkpoint: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/config.yaml").write_text("mine")
    folder = write_npy(tmp_path / "data", labelled(1, 1))
    evaluate(checkpoint, str(folder), tmp_path / "run")
    made = ["data.npz", "evaluation.json", "parity.png", "report.html"]
    assert contents(tmp_path / "run") == ["config.yaml", *made]


# ---- what cannot be used: one message, and nothing written ----


@pytest.mark.parametrize("there", ["evaluation.json", "parity.png", "report.html", "data.npz"])
def test_nothing_is_overwritten(tmp_path: Path, checkpoint: Path, there: str) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / there).write_text("mine")
    folder = write_npy(tmp_path / "data", labelled(1, 1))
    with pytest.raises(InputError, match=rf"out: {there} is there already"):
        evaluate(checkpoint, str(folder), tmp_path / "out")
    assert contents(tmp_path / "out") == [there]
    assert (tmp_path / "out" / there).read_text() == "mine"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"checkpoint": "absent.ckpt"}, "absent.ckpt: no such file or folder"),
        ({"checkpoint": "cut.ckpt"}, "cut.ckpt: not a readable checkpoint"),
        ({"systems": ["absent"]}, "absent: no such folder or file"),
        ({"systems": ["iron"]}, "iron: holds Fe .*lacks: Ni O"),
        ({"systems": ["spinless"]}, "spinless: spin.npy is missing"),
        ({"systems": []}, "No systems given"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"output": "cut.ckpt"}, "cut.ckpt: this is a file"),
    ],
)
def test_what_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkpoint: Path, change: dict[str, Any], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("cut.ckpt").write_bytes(checkpoint.read_bytes()[:-500])
    write_npy(Path("data"), labelled(1, 1))
    write_npy(Path("iron"), replace(labelled(1, 1), type_map=("Fe", "O")))
    write_npy(Path("spinless"), labelled(1, 1))
    Path("spinless/set.000/spin.npy").unlink()
    before = contents(tmp_path)
    good: dict[str, Any] = {"checkpoint": checkpoint, "systems": ["data"], "output": "out"}
    with pytest.raises(InputError, match=message):
        evaluate(**good | change)
    assert contents(tmp_path) == before


def test_a_failure_while_writing_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkpoint: Path
) -> None:
    def full(*_: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(module, "save_figure", full)
    folder = write_npy(tmp_path / "data", labelled(1, 1))
    with pytest.raises(InputError, match=r"out: cannot write there: No space left"):
        evaluate(checkpoint, str(folder), tmp_path / "out")
    assert contents(tmp_path) == ["best.ckpt", "data"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "checkpoint, systems, output have no value, but are needed. Give checkpoint=VALUE"),
        (["checkpoint=a", "output=b"], "systems has no value"),
        (["chekpoint=a"], "Unknown setting chekpoint. Did you mean checkpoint?"),
        (["checkpoint=a", "systems=[b]", "output=c", "+batch_sise=2"], "Did you mean batch_size?"),
        (["checkpoint=null", "systems=[b]", "output=c"], "checkpoint=null: expected a list of paths"),
        (["checkpoint=a", "systems=[[b]]", "output=c"], "systems=[['b']]: expected a list of paths"),
        (["checkpoint=a", "systems=[b]", "output=c", "batch_size=1.5"], "batch_size=1.5"),
    ],
)
def test_a_wrong_command_line(tmp_path: Path, arguments: list[str], message: str) -> None:
    done = script("evaluate.py", *arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert contents(tmp_path) == []  # and the folder the user stands in is still there


def test_the_config_is_shown_without_anything_given(tmp_path: Path) -> None:
    done = script("evaluate.py", "--cfg", "job", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "batch_size: 8" in done.stdout
    assert contents(tmp_path) == []


# ---- a model that expects errors ----


def test_expected_errors_are_beside_those_that_are_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_npy(tmp_path / "frames", labelled(2, 6))
    path = write_checkpoint(tmp_path / "best.ckpt", calibrated_native())
    result = evaluate(path, str(tmp_path / "frames"), tmp_path / "out", batch_size=4)
    assert "Errors that the model expects" in capsys.readouterr().out
    with np.load(tmp_path / "out/frames.npz") as arrays:
        found = dict(arrays)
    shapes = {"energy_sigma": (6,), "force_sigma": (6, 5), "force_mag_sigma": (6, 5), "leverage": (6, 5)}
    assert {name: found[name].shape for name in shapes} == shapes
    system = read_systems([tmp_path / "frames"])[0]
    error, sigma = np.abs(found["force"] - system.force), found["force_sigma"]
    assert result["uncertainty"].keys() == {"e", "fr", "fm"}
    of_force = result["uncertainty"]["fr"]
    assert of_force["within_sigma"] == (error <= sigma[..., None]).mean()
    assert of_force["sigma"] == pytest.approx(np.sqrt(np.square(sigma).mean()))
    ranks = [np.square(of).reshape(6, -1).mean(1).argsort().argsort() for of in (error, sigma)]
    assert of_force["rank_correlation"] == pytest.approx(np.corrcoef(*ranks)[0, 1])
    assert json.loads((tmp_path / "out/evaluation.json").read_text())["uncertainty"] == result["uncertainty"]
    page = (tmp_path / "out/report.html").read_text()
    assert 'id="uncertainty"' in page
    assert "against the expected one" in page
    assert "in up to 30 frames of the run’s validation set" in page  # as fit.calibrate has it
    assert "<dt>Time reversal, S → −S</dt>" in page


def test_a_model_without_expected_errors_has_no_word_of_them(checkpoint: Path, tmp_path: Path) -> None:
    write_npy(tmp_path / "frames", labelled(2, 2))
    assert "uncertainty" not in evaluate(checkpoint, str(tmp_path / "frames"), tmp_path / "out")
    assert "Uncertainty" not in (tmp_path / "out/report.html").read_text()


# ---- large sets ----


@pytest.mark.parametrize("potential", [small_potential, calibrated_native])
def test_of_large_sets_few_frames_are_in_memory_at_once(
    potential: Callable[[], Potential], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seed, frames in (("one", 2, 12), ("two", 3, 5)):
        write_npy(tmp_path / "data" / name, labelled(seed, frames))
    path = write_checkpoint(tmp_path / "best.ckpt", potential())
    small = evaluate(path, str(tmp_path / "data"), tmp_path / "small")
    sizes = as_large(monkeypatch)
    large = evaluate(path, str(tmp_path / "data"), tmp_path / "large")
    assert max(sizes) <= SAMPLE
    assert small == large
    for name in ("one", "two"):
        with (
            np.load(tmp_path / f"small/{name}.npz") as these,
            np.load(tmp_path / f"large/{name}.npz") as those,
        ):
            for array in these:
                np.testing.assert_array_equal(these[array], those[array])
