"""Several processes, started by hand or by the run: no process waits for one that has ended."""

import json
import os
import re
import signal
import subprocess
import time

import pytest

from support.cli import TRAIN, python
from support.folders import write_small_set
from support.ranks import QUICK, free_port, outcomes, start_rank

TIMEOUT = ["+trainer.strategy.timeout._target_=datetime.timedelta", "+trainer.strategy.timeout.seconds=2"]
WAITS = r"Rank 0 waits for rank 1: \d+ s of 1800 s\.\n"


@pytest.fixture(scope="module")
def small_set(tmp_path_factory):
    return write_small_set(tmp_path_factory.mktemp("data"))


@pytest.fixture
def by_hand(small_set, tmp_path):
    """What two ranks come to; more: arguments of both, then of each."""

    def run(*more, each=((), ()), before=()):
        port, common = (
            free_port(),
            ["trainer=ddp_cpu", *small_set, f"hydra.run.dir={tmp_path / 'run'}", *more],
        )
        return outcomes(
            [
                start_rank(rank, *common, *own, cwd=tmp_path, port=port, before=before)
                for rank, own in enumerate(each)
            ]
        )

    return run


def errors(ended):
    return [[line for line in err.splitlines() if line.startswith("Error")] for _, _, err in ended]


@pytest.mark.slow
def test_a_used_folder(by_hand, tmp_path):
    """Which rank 0 alone looks at."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text("x")
    ended = by_hand()
    message = (
        f"{tmp_path / 'run'} holds a run already (config.yaml). Resume it with resume=auto (without a "
        "checkpoint this starts a new run), or choose another folder with hydra.run.dir=DIR. Nothing was "
        "changed."
    )
    assert [code for code, _, _ in ended] == [1, 1]
    assert errors(ended) == [[f"Error: {message}"], [f"Error: Rank 0: {message}"]]
    assert not any("Traceback" in err for _, _, err in ended)


@pytest.mark.slow
def test_a_damaged_checkpoint(by_hand, tmp_path):
    """Which both ranks read; each says so once."""
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "run" / "checkpoints" / "last.ckpt").write_bytes(b"cut short")
    ended = by_hand("resume=auto")
    assert [code for code, _, _ in ended] == [1, 1]
    assert [len(found) for found in errors(ended)] == [1, 1]
    assert all("last.ckpt: not a readable checkpoint" in found[0] for found in errors(ended))
    assert not any("Traceback" in err for _, _, err in ended)


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_an_unreadable_data_file_on_one_rank(by_hand, tmp_path, rank):
    """As where nodes do not see the same disk."""
    absent = [f"data.train=[{tmp_path / 'absent'}]"]
    ended = by_hand(each=(absent, ()) if rank == 0 else ((), absent))
    assert [code for code, _, _ in ended] == [1, 1]
    there, elsewhere = errors(ended)[rank], errors(ended)[1 - rank]
    assert len(there) == 1
    assert str(tmp_path / "absent") in there[0]
    assert elsewhere == [there[0].replace("Error: ", f"Error: Rank {rank}: ")]
    assert not any("Traceback" in err for _, _, err in ended)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_ranks_that_are_started_apart_train(small_set, tmp_path):
    port, command = free_port(), ["trainer=ddp_cpu", *small_set, f"hydra.run.dir={tmp_path / 'run'}"]
    first = start_rank(0, *command, cwd=tmp_path, port=port, before=["-c", QUICK])
    for _ in range(2):
        assert re.fullmatch(WAITS, first.stderr.readline())
    ended = outcomes([first, start_rank(1, *command, cwd=tmp_path, port=port)])
    assert [code for code, _, _ in ended] == [0, 0], ended
    assert ended[0][1].count("Errors on the validation set") == 1
    assert "Errors on the validation set" not in ended[1][1], "only the first process speaks"
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["steps"] == 4
    assert summary["device"] == "CPU, 1 thread, 2 processes"


@pytest.mark.slow
def test_a_rank_that_never_comes(by_hand, tmp_path):
    ended = by_hand(*TIMEOUT, each=[()], before=["-c", QUICK])
    assert ended[0][0] == 1
    assert errors(ended) == [
        [
            "Error: Rank 0 has waited 2 s for rank 1. Start all 2 ranks with the same MASTER_ADDR and "
            "MASTER_PORT; the timeout of trainer.strategy sets the waiting time."
        ]
    ]
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_signal_to_one_of_them_before_the_training(by_hand, small_set, tmp_path):
    """Here while it waits for the other."""
    port = free_port()
    command = ["trainer=ddp_cpu", *small_set, f"hydra.run.dir={tmp_path / 'run'}"]
    first = start_rank(0, *command, cwd=tmp_path, port=port, before=["-c", QUICK])
    assert re.fullmatch(WAITS, first.stderr.readline())
    first.send_signal(signal.SIGTERM)
    assert "Error: Stopped by SIGTERM.\n" in first.communicate(timeout=60)[1]
    assert first.returncode == 128 + signal.SIGTERM


def own_start(*arguments, cwd, fresh=False):
    command = [TRAIN, "trainer=ddp_cpu", *arguments]
    return python(command, fresh=fresh, cwd=cwd, stderr=subprocess.STDOUT)


@pytest.mark.slow
@pytest.mark.parametrize(
    "wrong", ["data.train=[absent]", "scheduler.start_lr=1e300"], ids=["at the start", "in mid-run"]
)
def test_ranks_that_share_a_terminal_say_it_once(small_set, tmp_path, wrong):
    run = own_start(*small_set, f"hydra.run.dir={tmp_path / 'run'}", wrong, cwd=tmp_path)
    output, _ = run.communicate(timeout=240)
    assert run.returncode == 1
    assert output.count("Error: ") == 1, output
    assert "Traceback" not in output


@pytest.mark.slow
def test_a_rank_that_is_killed(small_set, tmp_path):
    steps = ["trainer.max_steps=100000", "trainer.val_check_interval=10"]
    run = own_start(*small_set, *steps, f"hydra.run.dir={tmp_path / 'run'}", cwd=tmp_path, fresh=True)
    while not (tmp_path / "run" / "checkpoints" / "last.ckpt").exists():
        assert run.poll() is None
        time.sleep(0.1)
    children = subprocess.run(["pgrep", "-P", str(run.pid)], capture_output=True, text=True).stdout.split()
    (other,) = [int(child) for child in children]
    os.kill(other, signal.SIGKILL)
    output, _ = run.communicate(timeout=120)
    assert run.returncode == 1
    assert output.splitlines()[-1] == "Error: Rank 1: the process ended with exit code -9."


@pytest.mark.slow
@pytest.mark.parametrize("more", [[], ["trainer=ddp_cpu", "trainer.devices=3"]], ids=["one", "three"])
def test_another_number_of_ranks_than_the_trainer_has(small_set, tmp_path, more):
    folder = tmp_path / "run"
    ranks = [start_rank(0, *small_set, *more, f"hydra.run.dir={folder}", cwd=tmp_path, port=free_port())]
    ended = outcomes(ranks)
    size = 3 if more else 1
    assert errors(ended) == [
        [
            f"Error: WORLD_SIZE=2, but trainer.devices × trainer.num_nodes is {size}. Give, e.g., "
            "trainer=ddp or trainer=ddp_cpu with trainer.devices (ranks on each node) and trainer.num_nodes, "
            "or unset RANK and WORLD_SIZE for a run of one process."
        ]
    ]
    assert ended[0][0] == 1
