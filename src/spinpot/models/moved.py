"""Classes that have moved since earlier versions; old configs name them by their old paths."""

from typing import Any

MOVED = {
    "spinpot.model.settings.ModelSettings": "spinpot.models.deepspin.spec.DeepSpinSettings",
    "spinpot.model.settings.DescriptorSettings": "spinpot.models.deepspin.settings.DescriptorSettings",
    "spinpot.model.settings.FittingSettings": "spinpot.models.deepspin.settings.FittingSettings",
    "spinpot.model.settings.SpinSettings": "spinpot.models.deepspin.settings.VirtualAtomSettings",
    "spinpot.model.settings.ExchangeSettings": "spinpot.models.exchange.settings.ExchangeSettings",
}
"""{old path: present path}."""


def renamed_targets(config: Any) -> Any:
    """A config as plain data, with the present paths in its `_target_`s."""
    if isinstance(config, dict):
        return {
            key: MOVED.get(value, value) if key == "_target_" else renamed_targets(value)
            for key, value in config.items()
        }
    return [renamed_targets(value) for value in config] if isinstance(config, list) else config
