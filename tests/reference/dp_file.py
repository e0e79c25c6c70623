"""deepmd-kit's portable model file (.dp) → a SpinPotential, as far as the reference cases need it."""

import json

import h5py
import numpy as np
import torch

from spinpot.model.networks import ResidualLayer
from spinpot.model.potential import SpinPotential
from spinpot.model.settings import DescriptorSettings, FittingSettings, ModelSpec


def load(path) -> SpinPotential:
    """The model of a .dp file with its weights and statistics."""
    with h5py.File(path) as file:
        tree = _with_arrays(json.loads(file.attrs["json"]), file)
    model = tree["model"]
    backbone = model["backbone_model"]
    descriptor, fitting = backbone["descriptor"], backbone["fitting"]
    n_types = len(backbone["type_map"]) // 2
    use_spin = model["spin"]["use_spin"]
    scale = np.broadcast_to(model["spin"]["virtual_scale"], n_types) * use_spin
    spec = ModelSpec(
        type_map=tuple(backbone["type_map"][:n_types]),
        descriptor=_descriptor_settings(descriptor, n_types),
        fitting_net=FittingSettings(fitting["neuron"], fitting["activation_function"], fitting["resnet_dt"]),
        use_spin=tuple(use_spin),
        virtual_scale=tuple(scale.tolist()),
    )
    potential = SpinPotential(spec)
    with torch.no_grad():
        _fill_embedding(potential, descriptor, n_types)
        for t in range(n_types):
            layers = fitting["nets"]["networks"][t]["layers"]
            net = potential.fitting_nets[t]
            _fill_layers(net.hidden, layers[:-1])
            net.weight.copy_(torch.tensor(layers[-1]["@variables"]["w"]))
            net.bias.copy_(torch.tensor(layers[-1]["@variables"]["b"]))
        for name in ("davg", "dstd"):
            rows = descriptor["@variables"][name].reshape(2 * n_types, -1, 4)[:n_types]
            assert np.all(rows == rows[:, :1]), "statistics differ between slots"
            getattr(potential.descriptor, name).copy_(torch.tensor(rows[:, 0]))
        bias = backbone["@variables"]["out_bias"].reshape(-1)[:n_types]
        potential.energy_bias.copy_(torch.tensor(bias))
    return potential


def _descriptor_settings(data, n_types) -> DescriptorSettings:
    assert data["sel"][:n_types] == data["sel"][n_types:]
    names = (
        "rcut rcut_smth neuron axis_neuron activation_function resnet_dt type_one_side "
        "set_davg_zero env_protection"
    )
    return DescriptorSettings(
        sel=tuple(data["sel"][:n_types]), radial="direct", **{name: data[name] for name in names.split()}
    )


def _fill_embedding(potential, data, n_types) -> None:
    networks = data["embeddings"]["networks"]
    for centre in range(n_types):
        for neighbour in range(2 * n_types):
            index = neighbour if data["type_one_side"] else centre + neighbour * 2 * n_types
            _fill_layers(potential.descriptor.embedding_net(centre, neighbour), networks[index]["layers"])


def _fill_layers(net: torch.nn.Sequential, layers) -> None:
    assert len(net) == len(layers)
    for layer, data in zip(net, layers, strict=True):
        assert isinstance(layer, ResidualLayer)
        layer.weight.copy_(torch.tensor(data["@variables"]["w"]))
        layer.bias.copy_(torch.tensor(data["@variables"]["b"]))
        idt = data["@variables"]["idt"]
        assert (idt is None) == (layer.idt is None)
        if layer.idt is not None:
            layer.idt.copy_(torch.tensor(idt))


def _with_arrays(node, file):
    """The JSON tree with every path under an "@variables" key replaced by the array it names."""
    if isinstance(node, list):
        return [_with_arrays(item, file) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: {name: path if path is None else file[path][()] for name, path in value.items()}
        if key == "@variables"
        else _with_arrays(value, file)
        for key, value in node.items()
    }
