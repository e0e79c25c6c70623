"""The input.json of deepmd-kit's spin example with small nets and few steps."""

import json
from typing import Any

from spinpot.benchmark.peer import EXAMPLE


def small_input(steps: int = 4) -> dict[str, Any]:
    """For frames in the folders train and validation beside it, with keys of deepmd-kit's own."""
    made = json.loads(EXAMPLE.read_text())["input"]
    small = {"rcut": 4.0, "rcut_smth": 3.4, "neuron": [4, 8], "axis_neuron": 4, "_comment": "x"}
    made["model"]["descriptor"] |= small
    made["model"]["fitting_net"] |= {"neuron": [8, 8]}
    made["model"]["data_stat_nbatch"] = 10
    made["training"]["training_data"]["systems"] = ["train"]
    made["training"] |= {
        "numb_steps": steps,
        "validation_data": {"systems": ["validation"], "batch_size": 1, "numb_btch": 3},
        "disp_file": "lcurve.out",
        "disp_freq": steps // 2,
        "save_freq": steps // 2,
    }
    return {"_comment": "small", **made}
