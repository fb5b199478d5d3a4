"""The path of ``load_reference_state`` of release 0.1; see :mod:`snntx.train.checkpoints`."""

from .checkpoints.reference import load_reference_state

__all__ = ["load_reference_state"]
