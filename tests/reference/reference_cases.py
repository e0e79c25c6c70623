"""Models, frames and sampled systems of the reference files; this module does not need deepmd-kit."""

from dataclasses import dataclass

import numpy as np

REFERENCE_ENERGY = {"Fe": -3.1, "Ni": -2.3, "Co": -2.7, "Mn": -3.7, "O": -1.9}  # eV, of the sampled frames
SHORTEST_DISTANCE = 1.35  # Å, between real atoms of the random frames


@dataclass(frozen=True)
class System:
    """Random frames of one composition: element per atom, cell (rows, Å), atoms without any spin."""

    elements: str
    cell: list
    n_frames: int = 2
    zero_spin: tuple[int, ...] = ()
    wrapped: bool = True

    def symbols(self) -> list[str]:
        return self.elements.split()


@dataclass(frozen=True)
class Case:
    """One model, the frames it is evaluated on and the systems its statistics come from."""

    name: str
    type_map: list[str]
    spin: dict
    descriptor: dict
    fitting: dict
    frames: System
    samples: tuple[System, ...]
    seed: int
    excluded: tuple = ()  # pair_exclude_types


CUBIC = [[6.0, 0, 0], [0, 6.2, 0], [0, 0, 6.4]]
TRICLINIC = [[5.9, 0.3, -0.4], [1.9, 5.6, 0.5], [-1.1, 0.8, 6.1]]
SMALL = [[3.4, 0.1, 0.0], [0.9, 3.3, -0.2], [-0.6, 0.5, 3.7]]

CASES = [
    Case(  # one element; every cell edge is shorter than rcut, so an atom neighbours its own images
        "fe_small_cell",
        ["Fe"],
        {"use_spin": [True], "virtual_scale": 0.31},
        {"sel": [36], "type_one_side": True, "resnet_dt": False},
        {"resnet_dt": True},
        System("Fe Fe Fe Fe", SMALL, 3),
        (System("Fe Fe Fe Fe", SMALL, 4), System("Fe Fe Fe", SMALL, 2)),
        seed=11,
    ),
    Case(  # a network per pair; statistics over three compositions of unequal size
        "ni_o_two_sided",
        ["Ni", "O"],
        {"use_spin": [True, False], "virtual_scale": [0.27, 0.0]},
        {"sel": [12, 9], "type_one_side": False, "resnet_dt": False},
        {"resnet_dt": False},
        System("Ni O Ni O Ni O Ni O", TRICLINIC),
        (System("Ni O Ni O", CUBIC, 3), System("Ni Ni Ni O Ni Ni", CUBIC, 2), System("O O Ni", CUBIC, 1)),
        seed=12,
    ),
    Case(  # the non-magnetic type first; use_spin by index, virtual_scale per spin type; davg stays zero
        "o_ni_davg_zero",
        ["O", "Ni"],
        {"use_spin": [1], "virtual_scale": [0.35]},
        {
            "sel": [7, 9],
            "type_one_side": True,
            "resnet_dt": True,
            "set_davg_zero": True,
            "neuron": [4, 8, 8],
        },
        {"resnet_dt": True},
        System("Ni O O Ni Ni O", CUBIC),
        (System("Ni O O Ni Ni O", CUBIC, 3),),
        seed=13,
    ),
    Case(  # two magnetic types with virtual scales of their own; use_spin by symbol
        "fe_o_co",
        ["Fe", "O", "Co"],
        {"use_spin": ["Fe", "Co"], "virtual_scale": [0.22, 0.0, 0.41]},
        {"sel": [8, 10, 7], "type_one_side": False, "resnet_dt": False, "neuron": [6], "axis_neuron": 2},
        {"resnet_dt": True},
        System("Fe O Co Fe O Co O Fe O", TRICLINIC),
        (
            System("Fe O Co Fe O Co", TRICLINIC, 2),
            System("Fe O O Co Co O O", CUBIC, 2),
            System("Fe O O", CUBIC, 1),
        ),
        seed=14,
    ),
    Case(  # gelu, and a protection of the environment matrix other than the default
        "ni_o_gelu",
        ["Ni", "O"],
        {"use_spin": [True, False], "virtual_scale": 0.3},
        {
            "sel": [8, 12],
            "type_one_side": True,
            "resnet_dt": True,
            "env_protection": 0.3,
            "activation_function": "gelu",
        },
        {"resnet_dt": False, "activation_function": "gelu"},
        System("Ni O Ni O Ni O O", TRICLINIC),
        (System("Ni O Ni O Ni O O", TRICLINIC, 2), System("Ni Ni O", CUBIC, 2)),
        seed=15,
    ),
    Case(  # a magnetic atom whose virtual atom coincides with it
        "zero_spin",
        ["Ni", "O"],
        {"use_spin": [True, False], "virtual_scale": 0.3},
        {"sel": [7, 6], "type_one_side": True, "resnet_dt": False},
        {"resnet_dt": True},
        System("Ni O Ni Ni O", CUBIC, 2, zero_spin=(0, 1)),
        (System("Ni O Ni Ni O", CUBIC, 2),),
        seed=16,
    ),
    Case(  # a type that no sampled system has, and widths where some layers have a skip and some have none
        "unseen_type",
        ["Ni", "O", "Mn"],
        {"use_spin": [True, False, True], "virtual_scale": [0.3, 0.25]},
        {"sel": [5, 7, 6], "type_one_side": True, "resnet_dt": True, "neuron": [3, 5, 10]},
        {"resnet_dt": True, "neuron": [6, 12, 7]},
        System("Ni O Mn Mn O", TRICLINIC),
        (System("Ni O Ni O", CUBIC, 2),),
        seed=17,
    ),
    Case(  # skips in the first layers too, 1 → 2 and 8 → 8; atoms outside the cell
        "first_layer_skips",
        ["Fe", "O"],
        {"use_spin": [True, False], "virtual_scale": 0.33},
        {
            "sel": [8, 7],
            "type_one_side": True,
            "resnet_dt": True,
            "neuron": [2, 4, 4],
            "axis_neuron": 2,
            "env_protection": 0.5,
        },
        {"resnet_dt": True, "neuron": [8, 8]},
        System("Fe O Fe O Fe", TRICLINIC, wrapped=False),
        (System("Fe O Fe O Fe", CUBIC, 2, wrapped=False), System("Fe Fe Fe O", CUBIC, 2)),
        seed=21,
    ),
    Case(  # pairs that do not see each other: Ni and O, O and the virtual atoms of Ni; a net per pair
        "excluded_pairs",
        ["Ni", "O"],
        {"use_spin": [True, False], "virtual_scale": [0.3]},
        {"sel": [9, 9], "type_one_side": False, "resnet_dt": True, "activation_function": "silu"},
        {"resnet_dt": True, "activation_function": "silu"},
        System("Ni O Ni O Ni O O", TRICLINIC),
        (System("Ni O Ni O Ni O O", TRICLINIC, 2), System("Ni Ni O", CUBIC, 2)),
        seed=22,
        excluded=((0, 1), (1, 2)),
    ),
    *(  # every other activation function, in the smallest of models
        Case(
            f"activation_{name.partition(':')[0]}",
            ["Fe"],
            {"use_spin": [True], "virtual_scale": 0.31},
            {
                "sel": [12],
                "type_one_side": True,
                "resnet_dt": True,
                "activation_function": name,
                "neuron": [2, 4],
                "axis_neuron": 2,
            },
            {"resnet_dt": True, "activation_function": name, "neuron": [4, 4]},
            System("Fe Fe Fe Fe", CUBIC),
            (System("Fe Fe Fe", CUBIC, 2),),
            seed=30 + k,
        )
        for k, name in enumerate(
            ("relu", "relu6", "softplus", "sigmoid", "silut:0.5", "gelu_tf", "linear", "none")
        )
    ),
]

DESCRIPTOR = {
    "type": "se_e2_a",
    "rcut": 4.0,
    "rcut_smth": 1.2,
    "neuron": [4, 8],
    "axis_neuron": 3,
    "set_davg_zero": False,
    "activation_function": "tanh",
    "precision": "float64",
    "seed": 1,
}
FITTING = {"type": "ener", "neuron": [8, 8], "activation_function": "tanh", "precision": "float64", "seed": 1}


def image_shifts(box: np.ndarray, reach: float) -> np.ndarray:
    """Lattice translations (n, 3) whose cells can hold a point within `reach` of the home cell."""
    heights = 1 / np.linalg.norm(np.linalg.inv(box), axis=0)
    axes = [np.arange(-n, n + 1) for n in np.ceil(reach / heights).astype(int) + 1]
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3) @ box


def distances(box: np.ndarray, points: np.ndarray, reach: float) -> np.ndarray:
    """Distances (n, n, images) from point i to the images of point j; a point to itself is infinite."""
    points = points - np.floor(points @ np.linalg.inv(box)) @ box
    shifts = image_shifts(box, reach)
    r = np.linalg.norm(points[None, :, None] + shifts - points[:, None, None], axis=-1)
    home = int(np.flatnonzero((shifts == 0).all(1))[0])
    r[np.arange(len(points)), np.arange(len(points)), home] = np.inf
    return r


def random_coordinates(box: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Random positions (n, 3) in the cell, none closer than SHORTEST_DISTANCE to any other or any image."""
    coord = np.zeros((0, 3))
    while len(coord) < n:
        trial = np.vstack([coord, rng.random(3) @ box])
        if distances(box, trial, SHORTEST_DISTANCE).min() > SHORTEST_DISTANCE:
            coord = trial
    return coord


def random_frames(system: System, type_map: list[str], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Arrays type, box, coord, spin, energy of a system; non-magnetic atoms get spins too, to be ignored."""
    symbols, n = system.symbols(), len(system.symbols())
    box = np.array(system.cell) @ (np.eye(3) + 0.02 * rng.standard_normal((system.n_frames, 3, 3)))
    coord = np.stack([random_coordinates(cell, n, rng) for cell in box])
    if not system.wrapped:
        coord += rng.integers(-2, 3, coord.shape) @ box
    spin = rng.standard_normal(coord.shape)
    spin *= rng.uniform(0.4, 2.4, (*spin.shape[:2], 1)) / np.linalg.norm(spin, axis=-1, keepdims=True)
    spin[:, list(system.zero_spin)] = 0.0
    energy = sum(REFERENCE_ENERGY[s] for s in symbols) + 0.3 * rng.standard_normal(system.n_frames)
    types = np.array([type_map.index(s) for s in symbols])
    return {"type": types, "box": box, "coord": coord, "spin": spin, "energy": energy}


def model_section(case: Case) -> dict:
    """The model section of the input of a case."""
    return {
        "type_map": case.type_map,
        "spin": case.spin,
        "descriptor": {**DESCRIPTOR, **case.descriptor},
        "fitting_net": {**FITTING, **case.fitting},
        **({"pair_exclude_types": [list(pair) for pair in case.excluded]} if case.excluded else {}),
    }
