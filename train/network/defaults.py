"""What networks have unless a setting says otherwise. Imports no torch.

In: a network's name. Out: the neurons and the norm that its layers have, by the names of
:func:`snntx.train.network.create.create_model`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

NEURON_OPTIONS: Mapping[str, Any] = MappingProxyType(
    {
        "kind": "lif",
        "tau": 2.0,
        "threshold": 0.5,
        "reset": "hard",
        "detach_reset": True,
        "learn_threshold": False,
        "surrogate": "qgate",
        "alpha": 2.0,
        "fires": "above",
        "sends": "spikes",
        "rest": 0.0,
        "offset": 0.0,
    }
)
"""Settings of the neurons and their defaults; a model may have defaults of its own."""
NORM = "per-step"
"""Over what normalisations take their statistics; likewise."""
OWN: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "asa3": {
            "norm": "merged",
            "kind": "lif-undecayed",
            "tau": 1 / 0.7,
            "threshold": 0.3,
            "detach_reset": False,
            "surrogate": "rectangular",
            "alpha": 0.5,
            "fires": "at",
        },
        "asa5": {
            "norm": "merged",
            "kind": "plif",
            "threshold": 1.0,
            "detach_reset": False,
            "surrogate": "atan",
            "fires": "at",
        },
        "sew-resnet18": {
            "norm": "merged",
            "kind": "if",
            "threshold": 1.0,
            "surrogate": "atan",
            "fires": "at",
        },
        "scnn": {"surrogate": "backeigate"},
    }
)
"""Where a shipped network's own defaults differ."""


def own_defaults(model: str) -> dict[str, Any]:
    """Return a network's norm and neurons; of one that is not shipped, those of most."""
    return {"norm": NORM, **NEURON_OPTIONS, **OWN.get(model, {})}
