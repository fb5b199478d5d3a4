"""One door for weights: what a file or run directory holds, told by content and not by name.

Five kinds are known:

- ``run``: a run directory, for which its ``best.pt`` stands;
- ``checkpoint``: a ``last.pt`` or ``best.pt`` of ``snntx train``;
- ``export``: safetensors or ONNX of ``snntx export``;
- ``published``: what the reference implementation's saver wrote, with its command line;
- ``state``: tensors by name and no more, such as ``snntx export --to torch`` writes, or a
  ``state_dict`` by the reference's names.

Nothing of a file is executed (:mod:`snntx.train.checkpoints.foreign`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torch import Tensor

from ...errors import SnntxError, UsageError, shell_word
from .export import account_of, is_export, is_onnx, read_account, read_export, read_onnx
from .foreign import load_foreign, weights_of
from .published import CLASS_NAMES, Published, read_published, reference_model
from .state import MARK, Checkpoint, checkpoint_from
from .way_on import checkpoint_path

Kind = Literal["run", "checkpoint", "export", "published", "state"]
HEADS = ("event_head", "shared_head")
LISTED = 3


@dataclass(frozen=True)
class Weights:
    """Weights, and what their file knows about them.

    Attributes:
        path: the file that was read; of a run directory its best checkpoint.
        kind: what the file is.
        content: a checkpoint, for ``run``, ``checkpoint`` and ``export`` (whose states of
            training are empty); what weights by the reference's names say of themselves, for
            ``published`` and some of ``state``; or else tensors by name.
    """

    path: Path
    kind: Kind
    content: Checkpoint | Published | dict[str, Tensor]

    def trained(self) -> Checkpoint:
        """Return the checkpoint, with the data and settings that it was trained on.

        Raises:
            UsageError: the weights do not name these.
        """
        if isinstance(self.content, Checkpoint):
            return self.content
        start = f"snntx train CARD --set {shell_word(f'initial={self.path}')}"
        if isinstance(self.content, Published):
            raise UsageError(
                f"{self.path}: {self._published_as(self.content)} does not name its data; add "
                f"--card CARD to snntx evaluate, or train from it with {start}"
            )
        own = ", as snntx export --to torch writes them" if _is_own(self.content) else ""
        more = f" (snntx export RUN --to safetensors), or train from it with {start}" if own else ""
        raise UsageError(
            f"{self.path}: weights alone ({len(self.content)} tensors{own}), which name neither "
            "their data nor their settings; give the run, its checkpoint or a safetensors export"
            f"{more}"
        )

    def published(self) -> Published:
        """Return the weights by the reference's names.

        Raises:
            UsageError: the weights name their own data.
            SnntxError: their names are others.
        """
        if isinstance(self.content, Published):
            return self.content
        if isinstance(self.content, Checkpoint):
            what = "an export" if self.kind == "export" else "a checkpoint"
            raise UsageError(
                f"{self.path}: {what} of snntx train, not a published one; leave out --card, --key "
                f"and --protocol: it knows its card {self.content.card}, cache and protocol"
            )
        first = ", ".join(sorted(self.content)[:LISTED])
        raise SnntxError(
            f"{self.path}: not the weights of {', '.join(CLASS_NAMES.values())}; its names begin "
            f"with {first}; of weights of snntx itself give the run, a checkpoint or a safetensors "
            "export, without --card"
        )

    def _published_as(self, found: Published) -> str:
        if self.kind == "published":
            return f"a published checkpoint of {CLASS_NAMES[found.model]}"
        return f"a state by the names of {CLASS_NAMES[found.model]}"


def _is_own(state: Mapping[str, Tensor]) -> bool:
    """Whether tensors have the names that every network here has."""
    return "coefficient" in state and any(
        name.startswith(f"{head}.") for head in HEADS for name in state
    )


def open_weights(path: Path) -> Weights:
    """Read weights of any kind; tensors are on the CPU.

    Args:
        path: a run directory or a file.

    Raises:
        UsageError: nothing there, or a directory without a best checkpoint.
        SnntxError: damaged, in need of code, of another release, or no weights at all; nothing
            was executed.
    """
    file = checkpoint_path(path)
    if is_export(file):
        return Weights(file, "export", read_export(file))
    if is_onnx(file):
        return Weights(file, "export", read_onnx(file))
    with file.open("rb") as opened:
        if opened.read(4) == b"\x89HDF":
            raise UsageError(
                f"{file}: an HDF5 file, as exports to NIR are, which hold no run; give the run, a "
                "checkpoint or a safetensors export"
            )
    content = load_foreign(file)
    account = account_of(content)
    if account is not None:
        return Weights(file, "export", read_account(file, account, dict(content)))
    if isinstance(content, dict) and MARK in content:
        kind: Kind = "run" if path.is_dir() else "checkpoint"
        return Weights(file, kind, checkpoint_from(file, content))
    state, around = weights_of(file, content)
    model = reference_model(state)
    if model is None:
        return Weights(file, "state", state)
    found = read_published(file, model, state, around)
    return Weights(file, "published" if around else "state", found)
