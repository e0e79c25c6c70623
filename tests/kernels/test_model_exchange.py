"""Files whose exchange term does not fit the model cause an error."""

import ctypes
import json
import zlib

import pytest
import torch
from safetensors.torch import load, save

from spinpot import kernels
from spinpot.models.exchange.settings import EXCHANGE_TERMS
from spinpot.models.model_file import write_model_file
from support.frames import small_potential

pytestmark = pytest.mark.usefixtures("compiled")


@pytest.fixture
def changed(tmp_path):
    """A function that writes a model, changed by another one, and says what the library says of it."""
    path = tmp_path / "model.safetensors"

    def read(change):
        write_model_file(path, small_potential(exchange=EXCHANGE_TERMS))
        contents = path.read_bytes()
        size = int.from_bytes(contents[:8], "little")
        entry = json.loads(json.loads(contents[8 : 8 + size])["__metadata__"]["spinpot"])
        tensors = load(contents)
        change(entry["parts"], tensors)
        text = json.dumps(entry)
        plain = save(tensors, {"spinpot": text})
        behind = plain[8 + int.from_bytes(plain[:8], "little") :]
        checksum = f"{zlib.crc32(behind, zlib.crc32(text.encode())):08x}"
        path.write_bytes(save(tensors, {"spinpot": text, "checksum": checksum}))
        handle, library = ctypes.c_void_p(), kernels.library()
        try:
            kernels.checked(library.spinpot_model_read(str(path).encode(), ctypes.byref(handle)))
        finally:
            library.spinpot_model_free(handle)

    return read


def of_setting(name, value):
    return lambda parts, tensors: parts[1]["settings"].__setitem__(name, value)


def of_array(name, change):
    def apply(parts, tensors):
        place = parts[1]["arrays"][name]
        tensors[place] = change(tensors[place].clone())

    return apply


def without_bilinear(parts, tensors):
    del parts[1]["arrays"]["bilinear"]


def twice(parts, tensors):
    parts.append(parts[1])


def alone(parts, tensors):
    del parts[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(without_bilinear, "no array bilinear", id="array that is missing"),
        pytest.param(twice, "two exchange terms", id="twice"),
        pytest.param(alone, "no parts", id="alone"),
        pytest.param(of_setting("terms", ["bilinear", "other"]), "unknown term", id="unknown term"),
        pytest.param(of_setting("cutoff", 3.5), "other pairs", id="another cutoff"),
        pytest.param(of_setting("cutoff", 0), "cutoff is out of range", id="no cutoff"),
        pytest.param(of_setting("n_radial", 5), "bilinear", id="number of radial functions"),
        pytest.param(of_array("seen", lambda seen: 1 - seen), "other pairs", id="other pairs"),
        pytest.param(of_array("magnetic", lambda own: -1 - own), "not that of the model", id="magnetic"),
        pytest.param(of_array("magnetic", lambda own: 3 * own + 2), "damaged|model", id="places beyond"),
        pytest.param(of_array("elements", lambda own: own + 1), "place of each element", id="beyond"),
        pytest.param(of_array("landau", lambda own: own[:, :1].clone()), "landau", id="shape"),
        pytest.param(of_array("along", lambda own: own * torch.nan), "along|finite", id="not a number"),
    ],
)
def test_what_does_not_fit_is_refused(changed, change, message):
    with pytest.raises(RuntimeError, match=message):
        changed(change)


def test_what_is_not_changed_is_read(changed):
    changed(lambda parts, tensors: None)
