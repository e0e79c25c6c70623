"""spinpot report, and resume=auto of a finished run, rebuild page and pictures."""

import json
import shutil

import pytest

from support.folders import labelled_by_a_potential, write_npy, write_small_set
from support.in_process import run_here, the_message

MADE = ("report.html", "parity.png", "learning_curve.png")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Frames and a finished run with its page."""
    place = tmp_path_factory.mktemp("place")
    arguments = [*write_small_set(place / "data"), "report=true", f"hydra.run.dir={place / 'run'}"]
    assert run_here("train.py", *arguments, cwd=place).returncode == 0
    (place / "arguments").write_text("\n".join(arguments))
    return place


@pytest.fixture
def run(place):
    """The run folder, which is as it was after the test, as are its frames."""
    kept = {file: file.read_bytes() for file in place.rglob("*") if file.is_file()}
    yield place / "run"
    for file, contents in kept.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(contents)


def report(folder):
    return run_here("report.py", str(folder), cwd=folder.parent)


def resume(folder):
    arguments = (folder.parent / "arguments").read_text().split("\n")
    return run_here("train.py", *arguments, "resume=auto", cwd=folder.parent)


def taken(folder, *names):
    """The contents of some files, which are removed."""
    contents = {name: (folder / name).read_bytes() for name in names}
    for name in names:
        (folder / name).unlink()
    return contents


def test_the_same_page_and_pictures(run):
    before = taken(run, *MADE)
    result = report(run)
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"Written: {run / 'report.html'} and its pictures\n"
    assert {name: (run / name).read_bytes() for name in MADE} == before
    assert not list(run.glob(".*"))


def test_a_run_without_a_page_until_one_is_asked_for(run):
    alone = run.parent / "alone"
    arguments = [*(run.parent / "arguments").read_text().split("\n")[:-1], f"hydra.run.dir={alone}"]
    for settings in ([], ["resume=auto"]):
        result = run_here("train.py", *arguments, *settings, "report=false", cwd=run.parent)
        assert result.returncode == 0, result.stderr
        assert not {file.name for file in alone.iterdir()} & {*MADE}
    assert report(alone).returncode == 0
    assert {file.name for file in alone.iterdir()} >= {*MADE}
    shutil.rmtree(alone)


def test_resuming_a_finished_run_makes_what_is_missing(run):
    before = taken(run, "report.html", "parity.png")
    (run / "checkpoints" / ".last.ckpt.999999999").write_bytes(b"cut")
    result = resume(run)
    assert result.returncode == 0, result.stderr
    assert "Missing and rebuilt: report.html, parity.png.\n" in result.stdout
    assert f"Removed .last.ckpt.999999999 from {run}, left by an interrupted write.\n" in result.stdout
    assert {name: (run / name).read_bytes() for name in before} == before
    again = resume(run)
    assert "Missing" not in again.stdout
    assert "Removed" not in again.stdout


def test_resuming_a_finished_run_whose_data_are_gone(run):
    taken(run, "report.html")
    shutil.rmtree(run.parent / "data" / "validation")
    result = resume(run)
    assert result.returncode == 0, result.stderr
    gone = run.parent / "data" / "validation"
    assert (
        f"Missing: report.html. {run}: the page cannot be rebuilt: the validation data cannot be read: "
        f"{gone}: no such folder or file (looked for {gone})."
    ) in result.stdout
    assert not (run / "report.html").exists()


def test_changed_data(run):
    folder = run.parent / "data" / "validation"
    then = json.loads((run / "summary.json").read_text())["data"]["validation"]["fingerprint"]
    shutil.rmtree(folder)
    write_npy(folder, labelled_by_a_potential(4, 5))
    message = the_message(report(run))
    now = message.split(" then, ")[1].split()[0]
    assert message == (
        f"{run}: the page cannot be rebuilt: the validation data ({folder}) have changed since the run: "
        f"fingerprint {then} then, {now} now. Restore the old data, or evaluate the checkpoint on the new "
        "data with spinpot evaluate."
    )


def test_no_finished_run(run, tmp_path):
    taken(run, "summary.json")
    assert the_message(report(run)) == (
        f"{run} holds no finished run: it has no summary.json. Expected a run folder; resume=auto finishes "
        "an interrupted run."
    )
    nothing = tmp_path / "nothing"
    assert the_message(report(nothing)) == (
        f"{nothing}: no such folder. Expected the folder of a finished run."
    )
    assert not nothing.exists()
    nothing.mkdir()
    assert the_message(report(nothing)).startswith(f"{nothing} holds no finished run: it has no config.yaml.")


def test_a_sweep(run):
    sweep = run.parent
    assert the_message(report(sweep)) == (
        f"{sweep} is the folder of a sweep, not of one run. Rebuild the sweep's page with spinpot "
        f"sweep-table {sweep}, or give the folder of one of its runs."
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda s: s.pop("loss_terms"),
            "summary.json is damaged or from another version: it lacks loss_terms.",
        ),
        (
            lambda s: s["checkpoint"].update(step=1),
            "best.ckpt is from step STEP, but summary.json names step 1.",
        ),
    ],
)
def test_a_summary_of_something_else(run, change, message):
    summary = json.loads((run / "summary.json").read_text())
    step = str(summary["checkpoint"]["step"])
    change(summary)
    (run / "summary.json").write_text(json.dumps(summary))
    message = message.replace("STEP", step)
    assert f"{run}: the page cannot be rebuilt: {message}" in the_message(report(run))


def test_damaged_files(run):
    (run / "summary.json").write_text("{")
    assert f"{run}: the page cannot be rebuilt: summary.json is damaged" in the_message(report(run))


def test_a_run_without_a_page(small_set, tmp_path):
    """Nor does resuming it make one."""
    command = ["train.py", *small_set, "report=false", "resume=auto", f"hydra.run.dir={tmp_path / 'run'}"]
    for said in (f"Written: {tmp_path / 'run' / 'summary.json'}\n", "Nothing to do"):
        result = run_here(*command, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        assert said in result.stdout
        assert not {path.name for path in (tmp_path / "run").iterdir()} & set(MADE)
