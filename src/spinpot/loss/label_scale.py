"""`loss.label_scale_fm`: labels of the magnetic force that are a multiple of −∂E/∂S."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from spinpot.core.errors import require
from spinpot.models.checkpoint import ENTRY
from spinpot.models.elements import per_type

LabelScaleSetting = float | Sequence[float] | Literal["learned"] | None

KEY = "loss.label_scale_fm"
PARAMETER = "label_scale.excess"  # name of the trained parameter in a checkpoint's state_dict


class LabelScale(nn.Module):
    """One number c for each element, (T,): the loss compares c·(−∂E/∂S) with the labels.

    If learned, c = 1 + excess, with a parameter that starts at zero, so that weight decay pulls c to 1. Only
    the numbers of magnetic elements matter.
    """

    excess: Tensor

    def __init__(
        self, setting: float | Sequence[float] | Literal["learned"], use_spin: Sequence[bool]
    ) -> None:
        super().__init__()
        self.use_spin = tuple(use_spin)
        self.learned = setting == "learned"
        if isinstance(setting, str):
            check_label_scale(setting)
            self.excess = nn.Parameter(torch.zeros(len(self.use_spin), dtype=torch.float64))
        else:
            values = torch.tensor(per_type(KEY, setting, self.use_spin), dtype=torch.float64)
            self.register_buffer("excess", values - 1.0, persistent=False)

    def forward(self) -> Tensor:
        """The numbers c, (T,)."""
        return 1.0 + self.excess

    def by_element(self, type_map: Sequence[str], scale: Tensor | None = None) -> dict[str, float]:
        """{element: c} for the magnetic elements, from a given scale (T,) or the present one."""
        scale = self() if scale is None else scale
        numbers = zip(type_map, scale.tolist(), self.use_spin, strict=True)
        return {element: number for element, number, magnetic in numbers if magnetic}


def fixed_scale(setting: LabelScaleSetting, use_spin: Sequence[bool]) -> Tensor | None:
    """The numbers (T,) of a setting; None if the setting is null or `learned`."""
    return None if setting is None or setting == "learned" else LabelScale(setting, use_spin)()


def check_label_scale(setting: LabelScaleSetting) -> None:
    """Raise InputError for a setting that is wrong for any elements."""
    if setting is None or setting == "learned":
        return
    numbers = [setting] if isinstance(setting, (int, float)) else setting
    positive = not isinstance(numbers, str) and all(0.0 < number < float("inf") for number in numbers)
    require(positive, KEY, repr(setting), "null, a number > 0, one per magnetic element, or learned.")


def scaled(prediction: dict[str, Tensor], types: Tensor, scale: Tensor) -> dict[str, Tensor]:
    """A prediction whose magnetic force (A, 3) is multiplied by c. types: (A,); scale: c, (T,)."""
    return {**prediction, "force_mag": prediction["force_mag"] * scale[types].unsqueeze(-1)}


def label_scale_of(contents: dict[str, Any]) -> LabelScale | None:
    """The label scale of a checkpoint's run; None if the run had none."""
    entry, weights = contents[ENTRY], contents["state_dict"]
    if (setting := entry["config"].get("loss", {}).get("label_scale_fm")) is None:
        return None
    scale = LabelScale(setting, entry["model"]["use_spin"])
    if scale.learned:
        scale.excess.data.copy_(weights[PARAMETER])
    return scale
