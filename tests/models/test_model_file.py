"""Model files, `model.safetensors`: what the kernels read is what the potential is made of."""

import json

from safetensors.torch import load

from spinpot.models.model_file import write_model_file
from support.frames import small_potential


def entry_of(path):
    """The entry of spinpot, read without what writes it."""
    contents = path.read_bytes()
    size = int.from_bytes(contents[:8], "little")
    return json.loads(json.loads(contents[8 : 8 + size])["__metadata__"]["spinpot"])


def test_arrays_are_the_weights(tmp_path):
    path = tmp_path / "model.safetensors"
    potential = small_potential()
    write_model_file(path, potential)
    entry, tensors = entry_of(path), load(path.read_bytes())
    (part,) = entry["parts"]
    assert entry["elements"] == ["Ni", "O"]
    assert (tensors[part["arrays"]["davg"]] == potential.descriptor.davg).all()
    assert tensors.keys() >= potential.state_dict().keys()
