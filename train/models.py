"""The path of ``create_model`` that release 0.1 named; see :mod:`snntx.train.network.create`."""

from .network.create import create_model

__all__ = ["create_model"]
