"""Jobs in a folder: run once, failures with a reason, shared by processes."""

import json
import threading
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from spinpot.core.differences import differences
from spinpot.core.errors import InputError
from spinpot.data.systems import read_systems
from spinpot.labels.folder import FRAMES, LabelFolder, keeps_frames
from spinpot.labels.jobs import FAILED, LABEL, LOCK
from spinpot.labels.run import label_all
from support.labellers import Counting, alloy, replaced

ARRAYS = ("box", "coord", "spin", "energy", "force", "force_mag", "virial")


def labelled(folder: Path, labeller: Counting, frames=6, **options) -> LabelFolder:
    return label_all(alloy(frames), labeller, folder, {"seed": 0}, **{"report": False, **options})


def arrays(folder: Path):
    (system,) = read_systems([folder / FRAMES])
    return {name: np.asarray(getattr(system, name)) for name in ARRAYS}


def assert_same(one: Path, other: Path):
    first, second = arrays(one), arrays(other)
    for name in ARRAYS:
        np.testing.assert_array_equal(first[name], second[name])


def test_frames_are_what_was_labelled(tmp_path):
    labeller = Counting(tmp_path / "asked")
    labelled(tmp_path / "labels", labeller)
    found, wanted = arrays(tmp_path / "labels"), alloy(6)
    np.testing.assert_array_equal(found["coord"], [one.atoms.positions for one in wanted])
    np.testing.assert_array_equal(found["spin"], [one.moments for one in wanted])
    labels = [labeller.label(one, tmp_path) for one in wanted]
    np.testing.assert_array_equal(found["energy"], [one.energy for one in labels])
    np.testing.assert_array_equal(found["force_mag"], [one.magnetic_forces for one in labels])
    np.testing.assert_array_equal(found["virial"], [one.virial for one in labels])
    made = json.loads((tmp_path / "labels" / FRAMES / "alloy" / "provenance.json").read_text())
    assert made["labeller"]["code"] == "spinpot's Hamiltonian alloy"
    assert made["frames"] == [f"alloy/000{k}" for k in range(6)]
    assert made["seed"] == 0


def test_nothing_is_labelled_twice(tmp_path, capsys):
    labeller = Counting(tmp_path / "asked")
    labelled(tmp_path / "labels", labeller, 3)
    labelled(tmp_path / "labels", labeller, 6)
    assert labeller.counts() == dict.fromkeys(range(6), 1)
    assert "6 of 6 frames are labelled" in capsys.readouterr().out
    labelled(tmp_path / "at once", Counting(tmp_path / "asked too"))
    assert_same(tmp_path / "labels", tmp_path / "at once")


def test_failed_frames_are_skipped_and_tried_again_when_asked(tmp_path, capsys):
    labeller = Counting(tmp_path / "asked", fails=lambda number: number % 5 == 2)
    own = labelled(tmp_path / "labels", labeller, 10)
    why = "not converged after 200 iterations"
    assert own.failed() == {"alloy/0002": why, "alloy/0007": why}
    assert len(arrays(tmp_path / "labels")["energy"]) == 8
    said = capsys.readouterr().out
    assert f"alloy/0002 failed: {why}" in said
    assert "2 failed. Try them again with retry_failed=true" in said
    labelled(tmp_path / "labels", labeller, 10)
    assert labeller.counts()[2] == 1, "without being asked to"
    labeller.fails = lambda number: number == 7
    own = labelled(tmp_path / "labels", labeller, 10, retry_failed=True, report=True)
    assert labeller.counts() == {**dict.fromkeys(range(10), 1), 2: 2, 7: 2}
    assert list(own.failed()) == ["alloy/0007"]
    summary = json.loads((tmp_path / "labels" / "summary.json").read_text())
    assert (summary["asked"], summary["labelled"], summary["failed"]) == (10, 9, 1)
    assert summary["failed_frames"] == {"alloy/0007": why}
    assert why in (tmp_path / "labels" / "report.html").read_text()


def test_a_frame_that_fails_its_check_has_no_label(tmp_path):
    change = replaced(forces=lambda values: values + np.nan)
    own = labelled(tmp_path / "labels", Counting(tmp_path / "asked", change=change), 2, report=True)
    assert own.failed() == dict.fromkeys(["alloy/0000", "alloy/0001"], "forces: not all numbers are finite")
    assert not list((tmp_path / "labels" / FRAMES).iterdir())
    assert "No frame is labelled yet." in (tmp_path / "labels" / "report.html").read_text()


def test_whatever_a_code_stumbles_over_fails_one_frame(tmp_path):
    def stumbles(label):
        raise ZeroDivisionError("float division by zero")

    own = labelled(tmp_path / "labels", Counting(tmp_path / "asked", change=stumbles), 1)
    assert own.failed() == {"alloy/0000": "ZeroDivisionError: float division by zero"}
    files = tmp_path / "labels" / "jobs" / "alloy" / "0000" / "run"
    assert "stumbles" in (files / "traceback.txt").read_text()


def test_what_a_user_gave_wrong_stops_the_run(tmp_path):
    def refuses(label):
        raise InputError("label.command: not there any more.")

    with pytest.raises(InputError, match="not there any more"):
        labelled(tmp_path / "labels", Counting(tmp_path / "asked", change=refuses))


def test_a_run_that_is_interrupted_keeps_what_it_has(tmp_path):
    def interrupted(number):
        if number == 3:
            raise KeyboardInterrupt
        return False

    labeller = Counting(tmp_path / "asked", fails=interrupted)
    with pytest.raises(KeyboardInterrupt):
        labelled(tmp_path / "labels", labeller)
    assert len(arrays(tmp_path / "labels")["energy"]) == 3
    labeller.fails = lambda number: False
    labelled(tmp_path / "labels", labeller)
    assert labeller.counts() == {**dict.fromkeys(range(6), 1), 3: 2}
    labelled(tmp_path / "at once", Counting(tmp_path / "asked too"))
    assert_same(tmp_path / "labels", tmp_path / "at once")


def test_frames_of_another_process_are_left_to_it(tmp_path, capsys):
    place = tmp_path / "labels" / "jobs" / "alloy" / "0001"
    labeller = Counting(tmp_path / "asked")
    labelled(tmp_path / "labels", labeller, 1)
    place.mkdir(parents=True)
    with FileLock(place / LOCK):
        labelled(tmp_path / "labels", labeller, 3)
        assert "1 are not labelled yet: other processes work on them" in capsys.readouterr().out
    assert sorted(labeller.counts()) == [0, 2]
    labelled(tmp_path / "labels", labeller, 3)
    assert labeller.counts() == dict.fromkeys(range(3), 1)


def test_several_at_once_share_the_frames(tmp_path):
    labeller = Counting(tmp_path / "asked")
    threads = [threading.Thread(target=labelled, args=(tmp_path / "labels", labeller, 20)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert labeller.counts() == dict.fromkeys(range(20), 1)
    assert len(arrays(tmp_path / "labels")["energy"]) == 20


def test_files_of_an_earlier_try_are_gone(tmp_path):
    place = tmp_path / "labels" / "jobs" / "alloy" / "0000" / "run"
    labeller = Counting(tmp_path / "asked")
    labelled(tmp_path / "labels", labeller, 0)
    place.mkdir(parents=True)
    (place / "half a density.gpw").write_text("half")
    labelled(tmp_path / "labels", labeller, 1)
    assert not list(place.iterdir())


def test_another_configuration_is_not_taken_for_this_one(tmp_path):
    labelled(tmp_path / "labels", Counting(tmp_path / "asked"), 2)
    with pytest.raises(InputError, match="is the label of another configuration"):
        label_all(alloy(3, seed=1), Counting(tmp_path / "other"), tmp_path / "labels", {"seed": 0})
    assert not list((tmp_path / "other").iterdir()), "before anything is done"
    file = tmp_path / "labels" / "jobs" / "alloy" / "0001" / LABEL
    file.write_text(file.read_text()[:40])
    with pytest.raises(InputError, match=r"0001/label\.json is damaged"):
        labelled(tmp_path / "labels", Counting(tmp_path / "asked"), 2)


def test_other_settings_are_refused(tmp_path):
    labelled(tmp_path / "labels", Counting(tmp_path / "asked"), 2)
    with pytest.raises(InputError, match="other settings \\(seed: 0 there, 1 now\\)"):
        label_all(alloy(2, seed=1), Counting(tmp_path / "asked"), tmp_path / "labels", {"seed": 1})
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").touch()
    with pytest.raises(InputError, match="holds files other than labels"):
        labelled(tmp_path / "full", Counting(tmp_path / "asked"))
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"output=.*file: cannot write there"):
        labelled(tmp_path / "file", Counting(tmp_path / "asked"))


def test_a_setting_that_was_null_is_a_setting():
    def settings(**own):
        return {"recipe": {"systems": {"one": {"strain": None, "moments": {"Fe": 2.2}, "frames": 2, **own}}}}

    def changes(**own):
        return differences(settings(), settings(**own), keeps_frames)

    assert not changes(frames=3)
    assert not differences(settings(), {"recipe": {"systems": {}}}, keeps_frames)
    key = "recipe.systems.one"
    assert changes(strain=[[1]]) == [(f"{key}.strain", None, [[1]])]
    changed = changes(moments={"Fe": 2.2, "O": 0})
    assert changed == [(f"{key}.moments.O", None, 0)]
    assert not changes(pairs=False)  # folders of versions without this setting
    assert changes(pairs=True) == [(f"{key}.pairs", None, True)]
    of_learn = {"recipe": {"one": {}}}, {"recipe": {"one": {"pairs": False}}}
    assert not differences(*of_learn, keeps_frames)


def test_frames_far_off_in_energy_are_left_out(tmp_path, capsys):
    def far(label):
        far.calls += 1
        return replaced(energy=lambda energy: energy + 100.0 * (far.calls == 4))(label)

    far.calls = 0
    own = labelled(tmp_path / "labels", Counting(tmp_path / "asked", change=far), 10)
    assert list(own.left_out()) == ["alloy/0003"]
    assert len(arrays(tmp_path / "labels")["energy"]) == 9
    assert "Left out because of their energies: alloy/0003 (+12.5 eV per atom" in capsys.readouterr().out
    assert not (tmp_path / "labels" / "jobs" / "alloy" / "0003" / FAILED).exists()


def test_moments_that_others_induce_are_no_variables(tmp_path):
    change = replaced(moments=lambda values: np.where(values == 0.0, 0.02, values))
    labelled(tmp_path / "labels", Counting(tmp_path / "asked", change=change), 1)
    oxygen = np.array(alloy(1)[0].atoms.get_chemical_symbols()) == "O"
    assert not arrays(tmp_path / "labels")["spin"][0][oxygen].any()
