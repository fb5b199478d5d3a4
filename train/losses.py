"""The path of ``TransferLoss`` that release 0.1 named; see :mod:`snntx.train.method.losses`."""

from .method.losses import TransferLoss

__all__ = ["TransferLoss"]
