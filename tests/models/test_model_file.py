"""Model files, `model.safetensors`, give the potential's results; broken ones cause a clear message."""

import json
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load, save_file

import spinpot
from spinpot.ase import SpinCalculator
from spinpot.core.errors import InputError
from spinpot.evaluation.convert import convert
from spinpot.evaluation.evaluate import evaluate as evaluate_files
from spinpot.kernels.interface import structure
from spinpot.models.checkpoint import read_checkpoint, save_potential
from spinpot.models.deepspin.collocation import NUMBERS
from spinpot.models.deepspin.potential import DeepSpin
from spinpot.models.exchange.settings import EXCHANGE_TERMS
from spinpot.models.files import read_model
from spinpot.models.model_file import write_model_file
from spinpot.models.training_facts import training_facts
from spinpot.training.resume import find_checkpoint
from support.checkpoints import load_potential
from support.folders import write_npy
from support.frames import atoms_of, batch_of, evaluate, network, random_system, small_potential
from support.models import NATIVE, SPIN_ORBIT, any_potential
from support.native_spin import calibrated_native, nio_system

ALL = {"exchange": EXCHANGE_TERMS, "time_reversal": True}
MODELS = [
    {},
    {"radial": "direct", "exclude_types": ((0, 1),)},
    ALL | {"use_spin": (True, True)},
    {"type_one_side": True, "activation_function": "gelu"},
    NATIVE,
    NATIVE | {"neuron": ()},
    SPIN_ORBIT | ALL,
]


def written(path: Path, potential) -> Path:
    write_model_file(path, potential)
    return path


@pytest.fixture
def path(tmp_path):
    return written(tmp_path / "model.safetensors", small_potential())


def entry_of(path: Path) -> dict:
    """The entry of spinpot, read without what writes it."""
    contents = path.read_bytes()
    size = int.from_bytes(contents[:8], "little")
    return json.loads(json.loads(contents[8 : 8 + size])["__metadata__"]["spinpot"])


def arrays_of(path: Path, kind: str) -> dict[str, torch.Tensor]:
    """The arrays of a part."""
    tensors = load(path.read_bytes())
    (part,) = [part for part in entry_of(path)["parts"] if part["kind"] == kind]
    return {field: tensors[name] for field, name in part["arrays"].items()}


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_the_same_numbers_to_the_last_digit(tmp_path, model):
    potential, made = any_potential(**model, seed=4), random_system(1)
    potential.facts = training_facts([made], potential.spec.use_spin)
    save_potential(tmp_path / "best.ckpt", potential)
    convert(tmp_path / "best.ckpt", tmp_path / "model.safetensors")
    predictor = spinpot.load(tmp_path / "model.safetensors")
    assert predictor.spec.as_dict() == potential.spec.as_dict()
    assert asdict(predictor.potential.facts) == asdict(potential.facts)
    expected = evaluate(potential, made)
    for name, values in evaluate(predictor.potential, made).items():
        np.testing.assert_array_equal(values, expected[name], err_msg=name)


def test_expected_errors_are_in_it(tmp_path):
    potential = calibrated_native(exchange=("bilinear",))
    loaded = load_potential(written(tmp_path / "model.safetensors", potential))
    batch = batch_of(potential, random_system(1))
    expected = potential.uncertainty(batch)
    for name, values in loaded.uncertainty(batch).items():
        np.testing.assert_array_equal(values, expected[name], err_msg=name)


def test_it_evaluates_and_runs_in_ase(path, tmp_path):
    made = random_system(1)
    write_npy(tmp_path / "frames", made)
    result = evaluate_files(path, str(tmp_path / "frames"), tmp_path / "found")
    assert result["frames"] == 1
    assert result["checkpoint_step"] == 0
    expected = evaluate(small_potential(), made)
    with np.load(tmp_path / "found/frames.npz") as found:
        np.testing.assert_allclose(found["force"][0], expected["force"], rtol=0, atol=1e-13)
    atoms = atoms_of(made)
    atoms.calc = SpinCalculator(path)
    assert atoms.get_potential_energy() == pytest.approx(expected["energy"][0], rel=1e-14)


def test_it_becomes_a_checkpoint_and_a_file_of_deepmd_kit(path):
    made = random_system(1)
    convert(path, path.with_suffix(".ckpt"))
    convert(path, path.with_suffix(".dp"))
    convert(path.with_suffix(".dp"), path.with_name("again.safetensors"))
    expected = evaluate(small_potential(), made)["force"]
    np.testing.assert_array_equal(
        evaluate(load_potential(path.with_suffix(".ckpt")), made)["force"], expected
    )
    again = evaluate(read_model(path.with_name("again.safetensors")).potential, made)["force"]
    np.testing.assert_allclose(again, expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize("model", [{}, NATIVE], ids=str)
def test_parts_have_all_that_the_kernels_are_given(tmp_path, model):
    """Whatever else a kernel is given belongs to a batch, or is a size of the arrays."""
    path, kind = tmp_path / "model.safetensors", model.get("kind", "deepspin")
    written(path, any_potential(**model))
    of_batch = {"single", "threads", "atoms", "frames", "pairs", "atom_order", "frame", "vector", "spin"}
    of_batch |= {"pair_start", "pair_neighbour", "pair_type", "neighbour_counts", "type_sizes"}
    sizes = {"types", "invariants", "terms", "layers", "widths", "embedding_nets", "embedding_layers"}
    sizes |= {"fitting_layers", "embedding_widths", "fitting_widths", "n_sel"}
    of_nodes = {"chunks", "points", "first", "nets", "low", "step", "n_nodes", "column", "columns"}
    asked = {name for name, *_ in structure(f"spinpot_{kind}")._fields_} - of_batch - sizes - of_nodes
    (part,) = entry_of(path)["parts"]
    given = {name.partition(".")[0] for name in part["arrays"]} | part["settings"].keys()
    assert asked - given == set()


def test_arrays_of_the_wrapped_model_are_its_weights(tmp_path):
    potential = small_potential(**ALL)
    path = written(tmp_path / "model.safetensors", potential)
    entry, tensors = entry_of(path), load(path.read_bytes())
    assert [part["kind"] for part in entry["parts"]] == ["deepspin", "exchange"]
    assert entry["time_reversal"]
    assert entry["energy_bias"] == "inner.inner.energy_bias"
    assert tensors.keys() >= potential.state_dict().keys()
    assert {str(tensor.dtype) for tensor in tensors.values()} == {
        "torch.float64",
        "torch.int64",
        "torch.uint8",
    }
    own = network(potential)
    found = arrays_of(path, "deepspin")
    np.testing.assert_array_equal(found["embedding.3"], own.descriptor.embedding_nets[1].weight.detach())
    np.testing.assert_array_equal(found["fitting.5"], own.fitting_nets.hidden[1].idt.detach())
    assert "fitting.2" not in found
    assert found["numbers"].tolist() == own.descriptor.nodes.numbers
    term = arrays_of(path, "exchange")
    coefficients = potential.exchange.named(potential.exchange.coefficients.detach())
    for name, values in coefficients.items():
        np.testing.assert_array_equal(term[name], values)


def test_direct_evaluation_gets_nodes_that_are_as_exact(tmp_path, capsys):
    potential = small_potential(radial="direct")
    path = written(tmp_path / "model.safetensors", potential)
    numbers = arrays_of(path, "deepspin")["numbers"]
    said = f"radial=direct: the kernels interpolate the embedding between up to {numbers.max()} nodes"
    assert said in " ".join(capsys.readouterr().out.split())
    assert NUMBERS[2] < numbers.max() < NUMBERS[-1]
    made = nio_system(2, (0.0, 0.1), (0.0, 30.0), seed=3)
    expected = evaluate(potential, made)
    potential.descriptor.radial, potential.descriptor.nodes.numbers = "collocated", numbers.tolist()
    for name, values in evaluate(potential, made).items():
        np.testing.assert_allclose(values, expected[name], rtol=0, atol=1e-12 * abs(expected[name]).max())


def test_embeddings_with_kinks_are_refused(tmp_path):
    potential = small_potential(radial="direct", activation_function="relu")
    with pytest.raises(
        InputError, match=r"activation_function=relu is not smooth enough.*Use the checkpoint"
    ):
        written(tmp_path / "model.safetensors", potential)
    assert not list(tmp_path.iterdir())


def test_a_model_without_parts_is_refused(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "toy"))
    from toy_pairs import Toy, ToySpec

    spec = ToySpec(type_map=("Ni", "O"), use_spin=(True, False), cutoff=4.0, n_radial=4)
    save_potential(tmp_path / "toy.ckpt", Toy(spec))
    with pytest.raises(InputError, match=r"of the kind toy cannot be written .* by spinpot\.load"):
        convert(tmp_path / "toy.ckpt", tmp_path / "model.safetensors")
    assert not (tmp_path / "model.safetensors").exists()


@pytest.mark.parametrize("suffix", [".safetensors", ".ckpt", ".dp"])
def test_a_name_that_the_disk_refuses_is_named(path, suffix):
    """The temporary file's name is longer than the disk allows."""
    target = path.with_name("m" * (254 - len(suffix)) + suffix)
    with pytest.raises(InputError, match=r"Cannot write .*mmm.*: .* write to another place"):
        convert(path, target)
    assert sorted(path.parent.iterdir()) == [path]


def test_nothing_is_overwritten(path):
    before = path.read_bytes()
    save_potential(path.with_suffix(".ckpt"), small_potential(seed=5))
    with pytest.raises(InputError, match="is there already"):
        convert(path.with_suffix(".ckpt"), path)
    assert path.read_bytes() == before


def refused(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        load_potential(path)
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value)


def test_truncated_files(path):
    whole = path.read_bytes()
    for length in (1, 8, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        said = refused(path)
        assert "damaged, maybe truncated: it is not a complete safetensors file. Copy it again" in said
        assert f"remove it and convert the checkpoint again: `spinpot convert CHECKPOINT {path.name}`" in said
    path.write_bytes(b"")
    assert "empty file" in refused(path)


def test_no_bit_that_is_flipped_gives_other_numbers(path):
    whole, made = path.read_bytes(), random_system(1)
    expected = evaluate(small_potential(), made)["force_mag"]
    rng = np.random.default_rng(0)
    for place in range(0, len(whole), 61):
        changed = bytearray(whole)
        changed[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(changed)
        with suppress(InputError):  # else it is in the name of a tensor that only the kernels read
            np.testing.assert_array_equal(evaluate(load_potential(path), made)["force_mag"], expected)
    changed[-1] = whole[-1] ^ 1
    path.write_bytes(changed)
    assert "damaged, maybe truncated: its checksum is wrong." in refused(path)


def test_foreign_and_newer_files(path, monkeypatch):
    save_file({"weight": torch.zeros(3)}, path)
    assert "a safetensors file, but not of spinpot (its metadata have no 'spinpot')" in refused(path)
    save_file({}, path, {"spinpot": '{"format": 2, "written_by": "spinpot 9.0", "model": {}, "version": 1}'})
    assert "damaged" in refused(path)
    monkeypatch.setattr("spinpot.models.model_file.FORMAT", 2)
    written(path, small_potential())
    monkeypatch.undo()
    said = refused(path)
    assert f"model file of format 2, written by spinpot {spinpot.__version__};" in said
    assert "this version of spinpot reads up to format 1. Use the version that wrote it, or a newer" in said
    monkeypatch.setattr(DeepSpin, "version", 2)
    written(path, small_potential())
    monkeypatch.undo()
    assert "version 2 of the model deepspin" in refused(path)


def test_a_run_is_not_resumed_from_it(path, tmp_path):
    with pytest.raises(InputError, match=r"holds no optimizer state.* with init_from="):
        find_checkpoint(str(path), tmp_path / "run")
    assert read_checkpoint(path)["global_step"] == 0
