"""`spinpot benchmark scale`: its sets, its rows and its arithmetic. No time is asserted."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from argparse import ArgumentTypeError
from pathlib import Path

import numpy as np
import pytest

from spinpot.benchmark import scale, sets
from spinpot.benchmark.peer import peer_first_step
from spinpot.benchmark.processes import STATUS, watch
from spinpot.benchmark.scale import OURS, PEER, Plan, Row, rows, run_scale, write_scale
from spinpot.benchmark.sets import Size, make_sets
from spinpot.core.errors import InputError
from spinpot.data import nio
from spinpot.data.systems import read_systems
from support.cli import python, run_script
from support.forkserver import forking


@pytest.mark.parametrize(
    ("text", "systems", "frames", "label"),
    [("20", 1, 20, "20 frames"), ("50000x2", 50_000, 2, "50,000 systems of 2")],
)
def test_sizes(text, systems, frames, label):
    size = Size.of(text)
    assert (size.systems, size.frames, size.total) == (systems, frames, systems * frames)
    assert (str(size), size.label) == (text, label)


@pytest.mark.parametrize("text", ["", "x", "0", "3x", "2x0", "2x2x2", "1.5"])
def test_wrong_sizes(text):
    with pytest.raises(ArgumentTypeError, match="expected frames"):
        Size.of(text)


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(sets, "DRAWN", 3)
    monkeypatch.setattr(sets, "BLOCK", 4)


def test_sets_have_frames_of_their_own_with_true_labels(few, tmp_path):
    places = make_sets(tmp_path, [Size(1, 10), Size(3, 2)])
    (one,), many = (read_systems(place) for place in places.values())
    assert [len(system) for system in (one, *many)] == [10, 2, 2, 2]
    for system in (one, *many):
        for n in range(len(system)):
            frame = nio.Structure(system.types, system.box[n], system.coord[n], system.spin[n])
            for name, label in nio.labels(frame).items():
                np.testing.assert_allclose(getattr(system, name)[n], label, rtol=0, atol=1e-9)
    everything = np.concatenate([system.coord for system in (one, *many)])
    assert len(np.unique(everything, axis=0)) == 16
    for size, place in places.items():
        assert 8 * sum(len(np.load(file).ravel()) for file in place.rglob("*.npy")) < size.bytes


def test_sets_stay_and_are_made_whole_or_not_at_all(few, tmp_path, monkeypatch):
    (place,) = make_sets(tmp_path, [Size(1, 3)]).values()
    before = (place / "set.000" / "coord.npy").stat().st_mtime_ns
    make_sets(tmp_path, [Size(1, 3)])
    assert (place / "set.000" / "coord.npy").stat().st_mtime_ns == before

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sets, "turned", full)
    with pytest.raises(InputError, match="the disk is full"):
        make_sets(tmp_path, [Size(1, 5)])
    assert [path.name for path in tmp_path.iterdir()] == ["NiO_3"]


def test_the_room_is_looked_at_before_anything_is_made(tmp_path):
    with pytest.raises(InputError, match=r"The sets need 3\d+\.\d GB in .*Give another folder with --folder"):
        make_sets(tmp_path, [Size(1, 10**11)])
    assert not list(tmp_path.iterdir())


def test_a_process_is_watched_until_it_says_something(tmp_path):
    """Its memory is that of the largest of its processes, without files that are in memory."""
    hold = "import time; x = b'1' * 10**8; time.sleep(0.5)"
    code = (
        f"import subprocess, sys; subprocess.run([sys.executable, '-c', {hold!r}]); print('ready'); 1 / {{}}"
    )
    watched = watch([sys.executable, "-c", code.format(1)], tmp_path, re.compile("^ready"))
    assert watched.said == "ready\n"
    assert watched.seconds > 0.5
    assert 1e8 < watched.memory < 2e8
    with pytest.raises(InputError, match="ZeroDivisionError"):
        watch([sys.executable, "-c", code.format(0)], tmp_path, re.compile("^ready"))
    with pytest.raises(InputError, match="failed"):
        watch([sys.executable, "-c", "print('other')"], tmp_path, re.compile("^ready"))
    (tmp_path / "file").write_bytes(bytes(10**8))
    mapped = "import mmap; f = open('file', 'rb'); m = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)"
    code = (
        f"{mapped}; sum(m[::4096]); print(open({STATUS!r}).read(), flush=True); import time; time.sleep(0.3)"
    )
    watched = watch([sys.executable, "-c", code], tmp_path, re.compile("RssFile"))
    assert "RssFile" in watched.said
    assert watched.memory < 5e7


def test_deepmd_kit_is_watched(tmp_path):
    peer = tmp_path / "peer"
    said = ("Batch       1: trn: rmse = 1.0", "average training time: 0.25 s/batch")
    peer.write_text(f"#!/bin/sh\necho {said[0]} >&2\nsleep 0.3\necho {said[1]}\n")
    peer.chmod(0o755)
    step, watched = peer_first_step(peer, tmp_path / "set", tmp_path / "run", 30, batch=4)
    assert step == 0.25
    assert 0.0 < watched.seconds < 0.3
    made = json.loads((tmp_path / "run" / "input.json").read_text())["training"]
    assert made["numb_steps"] == 30
    assert made["training_data"] == {"batch_size": 4, "systems": [str(tmp_path / "set")]}
    peer.write_text(f"#!/bin/sh\necho {said[0]}\n")
    with pytest.raises(InputError, match="did not report its time per step"):
        peer_first_step(peer, tmp_path / "set", tmp_path / "run", 30, batch=4)


def test_rows():
    small, large, many = Size(1, 100), Size(1, 20_001), Size(10_000, 2)
    found = rows(Plan((small, large, many), (1, 2), 100, 3, peer=Path("python")))
    assert found == [
        *(Row(small, OURS, 1), Row(small, OURS, 2), Row(small, PEER, 1)),
        *(Row(large, OURS, 1), Row(large, OURS, 2)),
        *(Row(many, OURS, 1), Row(many, OURS, 2), Row(many, PEER, 1)),
    ]
    assert rows(Plan((small,), (2,), 100, 3)) == [Row(small, OURS, 2)]


@pytest.fixture
def results():
    def result(size, program, ranks, first_step, step, memory):
        turns = zip(first_step, step, memory, strict=True)
        names = ("first_step", "seconds_per_step", "memory")
        return scale._result(
            Row(size, program, ranks), [dict(zip(names, turn, strict=True)) for turn in turns]
        )

    return [
        result(Size(1, 100), OURS, 1, [5.0, 6.0, 7.0], [0.01, 0.02, 0.03], [3e8, 5e8, 4e8]),
        result(Size(1, 100), PEER, 1, [50.0, 30.0, 70.0], [0.3, 0.3, 0.3], [9e8, 9e8, 9e8]),
        result(Size(50, 2), OURS, 1, [7.0, 9.0, 9.5], [0.01, 0.03, 0.03], [5e8, 5e8, None]),
        result(Size(50, 2), OURS, 2, [8.0, 8.0, 8.0], [0.02, 0.02, 0.02], [5e8, 5e8, 5e8]),
    ]


def test_turns_are_compared_one_by_one(results):
    assert [*scale._cells(results)] == [
        ["100 frames", "spinpot, 1 rank", "6.0", "+0.0", "20.00", "1.000", "0.50 GB"],
        [
            *("100 frames", "deepmd-kit, PyTorch, 1 rank", "50.0", "10.0 (5.0 to 10.0)"),
            *("300.00", "15.0 (10.0 to 30.0)", "0.90 GB"),
        ],
        [
            *("50 systems of 2", "spinpot, 1 rank", "9.0", "+2.5 (+2.0 to +3.0)"),
            *("30.00", "1.000 (1.000 to 1.500)", "0.50 GB"),
        ],
        ["50 systems of 2", "spinpot, 2 ranks", "8.0", "+0.0", "20.00", "1.000", "0.50 GB"],
    ]


def test_the_picture(results, tmp_path):
    curves = [*scale._curves(results, "first_step", 1.0)]
    shown = {(curve.style.get("label"), *curve.x, *curve.y) for curve in curves if curve.x.size}
    ours, peer = "spinpot, 1 rank", "deepmd-kit, PyTorch, 1 rank"
    assert shown == {(ours, 100, 6.0), (None, 100, 9.0), (None, 100, 8.0), (peer, 100, 50.0)}
    write_scale(results, tmp_path / "scale.png")
    assert (tmp_path / "scale.png").read_bytes().startswith(b"\x89PNG")


def test_an_interrupted_benchmark_prints_what_it_has_measured(few, tmp_path, monkeypatch, capsys):
    measured, output = iter(range(1, 6)), tmp_path / "found.json"
    written = list[int]()

    def run(*_):
        if output.exists():
            written.append(sum(len(row["memory"]) for row in json.loads(output.read_text())["scale"]))
        if (number := next(measured)) == 4:
            raise KeyboardInterrupt
        return {"first_step": float(number), "seconds_per_step": 0.01, "memory": 1e8}

    monkeypatch.setattr(scale, "VALIDATED", Size(1, 4))
    monkeypatch.setattr(scale, "_measured", run)
    plan, plot = Plan((Size(1, 4), Size(1, 5)), (1,), 100, 5), tmp_path / "scale.png"
    with pytest.raises(KeyboardInterrupt):
        run_scale(plan, tmp_path / "sets", output, plot)
    assert written == [1, 2, 3]
    assert [row["first_step"] for row in json.loads(output.read_text())["scale"]] == [[1.0, 3.0], [2.0]]
    printed = capsys.readouterr().out
    assert "4 frames" in printed
    assert re.search(r"5 frames .* \+1\.0 ", printed)
    assert plot.exists()


@pytest.mark.slow
def test_a_killed_benchmark_leaves_what_it_has_measured(few, tmp_path):
    make_sets(tmp_path / "sets", [Size(1, 40), Size(1, 20)])
    options = ("--sizes", "20", "--ranks", "1", "--folder", "sets", "--output", "found.json")
    benchmark = python(
        ["-m", "spinpot", "benchmark", "scale", *options],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while benchmark.poll() is None and not (tmp_path / "found.json").exists():
        time.sleep(0.05)
    os.killpg(benchmark.pid, signal.SIGKILL)
    benchmark.communicate()
    (row,) = json.loads((tmp_path / "found.json").read_text())["scale"]
    assert len(row["first_step"]) == len(row["seconds_per_step"]) == 1


@pytest.mark.slow
def test_runs_are_measured(few, tmp_path, monkeypatch):
    """Each runs in processes of its own, on one rank and on two, from memory and from the disk."""
    monkeypatch.setattr(scale, "VALIDATED", Size(1, 4))
    monkeypatch.setattr(scale, "OPTIONS", (*scale.OPTIONS, "data.sample=40"))
    plan = Plan((Size(1, 20), Size(30, 2)), (1, 2), 4, 1, cold=True)
    with forking():
        run_scale(plan, tmp_path / "sets", tmp_path / "found.json", None)
    found = json.loads((tmp_path / "found.json").read_text())
    assert [(row["set"], row["ranks"]) for row in found["scale"]] == [
        *(("20 frames", 1), ("20 frames", 2), ("30 systems of 2", 1), ("30 systems of 2", 2)),
    ]
    for row in found["scale"]:
        assert row["first_step"][0] > row["seconds_per_step"][0] > 0.0
        assert 1e8 < row["memory"][0] < 2e9
    assert sorted(path.name for path in (tmp_path / "sets").iterdir()) == ["NiO_20", "NiO_30x2", "NiO_4"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["scale", "--profile"], "leave out --profile: it does not apply to scale"),
        (
            ["scale", "--sizes", "3y2"],
            "argument --sizes: 3y2: expected frames, e.g. 10000, or systems x frames, e.g. 50000x2",
        ),
        (["scale", "--steps", "10"], "expected at least 100"),
        (["scale", "--plot", "nowhere/scale.png"], "there is no folder nowhere"),
        (["--sizes", "100"], "leave out --sizes: it does not apply to training"),
        (["--backends", "pytorch"], "leave out --backends"),
    ],
)
def test_wrong_arguments(arguments, message, tmp_path):
    done = run_script("benchmark.py", *arguments, cwd=tmp_path, check=False)
    assert done.returncode == 2
    assert message in done.stderr
