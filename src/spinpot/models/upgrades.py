"""Upgrades checkpoints of earlier formats: each function converts the contents to the next format."""

from collections.abc import Callable
from typing import Any

from spinpot.core.errors import InputError
from spinpot.models.moved import renamed_targets
from spinpot.models.registry import model_class

ENTRY = "spinpot"
FORMAT = 6
"""Raise it whenever checkpoints change in a way that needs a function here."""


def upgrade(contents: dict[str, Any], where: object) -> None:
    """Upgrade a checkpoint's contents, of format 5 or later, to the present format and model version.

    where: the file, for messages. Raises InputError for an unknown model, or a newer version of one.
    """
    entry = contents[ENTRY]
    while entry["format"] in UPGRADES:
        UPGRADES[entry["format"]](contents)
        entry["format"] += 1
    kind = entry["model"].get("kind")
    found = model_class(kind, where)
    if entry["version"] > found.version:
        raise InputError(
            f"{where}: version {entry['version']} of the model {kind}; this version of spinpot reads up to "
            f"{found.version}. Use a newer one."
        )
    while entry["version"] < found.version:
        found.upgrades[entry["version"]](contents)
        entry["version"] += 1


def _from_5(contents: dict[str, Any]) -> None:
    """Since format 6, models have kind, version and state; exchange and time reversal are wrappers."""
    entry = contents[ENTRY]
    model = {"exchange": {}, "time_reversal": False, **entry["model"], "kind": "deepspin"}
    wrappers = bool(model["exchange"].get("terms")) + model["time_reversal"]
    inner = "potential." + "inner." * wrappers

    def place(name: str) -> str:
        own = name.removeprefix("potential.")
        return name if own == name or own.startswith("exchange.") else inner + own

    for weights in {"state_dict", "current_model_state"} & contents.keys():  # the latter: weight averaging
        contents[weights] = {place(name): value for name, value in contents[weights].items()}
    entry |= {"model": model, "version": 1, "state": {"nodes": entry.pop("nodes")}}
    entry["config"] = renamed_targets(entry["config"])


UPGRADES: dict[int, Callable[[dict[str, Any]], None]] = {5: _from_5}
