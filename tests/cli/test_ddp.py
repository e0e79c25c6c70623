"""Several processes give the result of one: same global batch, same weights, same validation errors."""

import socket
import subprocess
from functools import cache

import pytest

from support.cli import PROJECT, python, run_script
from support.folders import write_small_set
from support.ranks import assert_same_result

STEPS = 50
LONG = [f"trainer.max_steps={STEPS}", "trainer.val_check_interval=10", "loss.start_pref_v=1"]


@pytest.fixture(scope="module")
def small_sets(tmp_path_factory):
    """Systems of two sizes, one without magnetic forces, the other without energies; of each model."""

    def made(model):
        folder = tmp_path_factory.mktemp("data")
        arguments = write_small_set(folder, model)
        (folder / "small" / "set.000" / "force_mag.npy").unlink()
        (folder / "other" / "set.000" / "energy.npy").unlink()
        return [*arguments, *LONG]

    return cache(made)


@pytest.fixture(scope="module")
def small_set(small_sets):
    return small_sets("spin")


@pytest.fixture(scope="module")
def alone(small_set, tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone") / "run"
    run_script("train.py", *small_set, "data.batch_size=4", f"hydra.run.dir={folder}")
    return folder


@pytest.mark.slow
def test_two_processes(small_set, alone, tmp_path):
    folder = tmp_path / "run"
    result = run_script(
        "train.py",
        "trainer=ddp_cpu",
        "trainer.devices=2",
        *small_set,
        "data.batch_size=2",
        f"hydra.run.dir={folder}",
    )
    assert_same_result(alone, folder)
    assert result.stdout.count("Errors on the validation set") == 1, "only the first process speaks"


PARTS = [
    "loss.label_scale_fm=0.8",
    "loss.start_pref_fm=0",
    "loss.limit_pref_fm=0",
    "loss.start_pref_fm_transverse=3000",
    "loss.limit_pref_fm_longitudinal=3",
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "settings"),
    [
        (
            "spin",
            [
                "model.spin.time_reversal=augment",
                "model.spin.spin_rotation=augment",
                "loss.label_scale_fm=learned",
            ],
        ),
        ("spin", ["model.spin.time_reversal=exact", *PARTS]),
        ("spin", ["model/exchange=full"]),
        ("native_spin", []),
        ("native_spin", ["model.linear=free", *PARTS]),
    ],
    ids=["turned-learned", "exact-parts", "exchange", "native", "native-free-parts"],
)
def test_models_and_losses(small_sets, tmp_path, model, settings):
    arguments = [*small_sets(model), "trainer=ddp_cpu", "trainer.max_steps=10", *settings]
    for devices, batch in ((1, 4), (2, 2)):
        count = [f"trainer.devices={devices}", f"data.batch_size={batch}"]
        run_script("train.py", *arguments, *count, f"hydra.run.dir={tmp_path / str(devices)}")
    assert_same_result(tmp_path / "1", tmp_path / "2")


@pytest.mark.slow
@pytest.mark.parametrize("exchange", ["none", "full"])
def test_a_process_without_a_frame(small_set, tmp_path, exchange):
    """Three processes, two validation batches' worth of five frames, and batches of eleven frames at most."""
    for name, devices, batch in (("many", 3, 8), ("one", 1, 11)):
        run_script(
            "train.py",
            "trainer=ddp_cpu",
            *small_set,
            "trainer.max_steps=4",
            "trainer.val_check_interval=2",
            f"trainer.devices={devices}",
            f"data.batch_size={batch}",
            "data.validation_batch_size=1",
            f"model/exchange={exchange}",
            f"hydra.run.dir={tmp_path / name}",
        )
    assert_same_result(tmp_path / "one", tmp_path / "many")


@pytest.mark.slow
def test_two_nodes_by_torchrun(small_set, alone, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path / "run"
    nodes = [
        # The launchers are forks; the scripts they start with -u begin as a user's.
        python(
            [
                "-m",
                "torch.distributed.run",
                "--nnodes=2",
                "--nproc-per-node=1",
                f"--node-rank={rank}",
                "--master-addr=127.0.0.1",
                f"--master-port={port}",
                str(PROJECT / "scripts" / "train.py"),
                "trainer=ddp_cpu",
                "trainer.devices=1",
                "trainer.num_nodes=2",
                *small_set,
                "data.batch_size=2",
                f"hydra.run.dir={folder}",
            ],
            cwd=tmp_path,
            stderr=subprocess.STDOUT,
        )
        for rank in (0, 1)
    ]
    outputs = [node.communicate(timeout=300)[0] for node in nodes]
    assert [node.returncode for node in nodes] == [0, 0], outputs
    assert_same_result(alone, folder)
