"""Files of ``torch.save``, whoever wrote them, read so that nothing in them is executed.

In: a file. Out: the tensors, numbers and text that it holds, on the CPU. Such a file is a pickle,
a program whose instructions may call any function by name. Before it is loaded its instructions
are listed, not run, and every name has to be one of the few that tensors, numbers, text and
``argparse.Namespace`` need. It is then loaded by torch's reader for weights, which refuses other
names too. ``argparse.Namespace`` is harmless there: it is made empty, without its constructor,
and its attributes are put into its dictionary.

Both layouts are read: the zip of torch 1.6 and later, and the row of pickles before it.
"""

from __future__ import annotations

import argparse
import io
import pickle
import pickletools
import re
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from ...errors import SnntxError, UsageError

DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    pickle.UnpicklingError,
    RuntimeError,
    NotImplementedError,
    OSError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
)
"""As zipfile and torch report a file that is damaged or is something else."""
PARALLEL = "module."
"""Prefix of every name where the model was wrapped for several devices."""
ZIP = b"PK\x03\x04"
FOLDER = 0x10
"""Mark of a folder among the attributes of a zip's record."""
UNSAFE = "weights_only"
"""Stands in torch's messages that advise to set it to False."""
DETAIL = re.compile(r"WeightsUnpickler error: (Unsupported [a-z]+ \w+)")
LONGEST = 60
LEGACY_PICKLES = 5
"""Magic number, protocol, machine, content and keys of the storages, in this order."""

STORAGES = (
    "Float",
    "Double",
    "Half",
    "BFloat16",
    "Long",
    "Int",
    "Short",
    "Char",
    "Byte",
    "Bool",
)

ALLOWED = frozenset(
    {
        "argparse.Namespace",
        "collections.OrderedDict",
        "torch._utils._rebuild_parameter",
        "torch._utils._rebuild_tensor_v2",
        *(f"torch.{kind}Storage" for kind in STORAGES),
    }
)
"""Every name that a checkpoint of tensors, numbers and text may call."""

REFUSED = frozenset({"INST", "OBJ", "EXT1", "EXT2", "EXT4", "NEWOBJ_EX"})
"""Instructions that call something without ``GLOBAL``; ``torch.save`` writes none of them."""


def load_foreign(path: Path) -> Any:
    """Return what a file of ``torch.save`` holds; tensors are on the CPU.

    Raises:
        UsageError: no such file.
        SnntxError: damaged, something else, or in need of code; nothing was executed.
    """
    if not path.is_file():
        raise UsageError(f"{path}: no such checkpoint")
    try:
        for program in _programs(path):
            _check_names(path, program)
        # an open file, since torch reads what is called .safetensors by its name
        with (
            torch.serialization.safe_globals([argparse.Namespace]),
            path.open("rb") as file,
            warnings.catch_warnings(action="ignore"),  # of what only a damaged pickle asks for
        ):
            return torch.load(file, map_location="cpu", weights_only=True)
    except DAMAGE as error:
        raise SnntxError(f"{path}: not a readable checkpoint: {_cause(error)}") from error


def _cause(error: Exception) -> str:
    """Return why a file was not read, without torch's advice to read it unsafely."""
    text = str(error)
    if UNSAFE in text:
        said = DETAIL.search(text)
        detail = f" ({said[1].strip()[:LONGEST]})" if said and UNSAFE not in said[1] else ""
        return f"its pickle holds more than tensors, numbers and text{detail}"
    if "resize storage" in text or "out of bounds for storage" in text:
        return "a tensor claims more values than the file holds"
    return text.splitlines()[0] if text else type(error).__name__


def weights_of(path: Path, content: Any) -> tuple[dict[str, Tensor], Mapping[str, Any]]:
    """Return the weights in what a file holds, and what stands beside them.

    Args:
        path: the file, for errors.
        content: tensors by name, or a dictionary that has them as ``state_dict``.

    Returns:
        The weights, without the prefix of parallel models; and the whole dictionary around
        them, empty where they stand alone.

    Raises:
        SnntxError: holds something else, or a value that is not finite.
    """
    if not isinstance(content, dict):
        raise SnntxError(f"{path}: holds a {type(content).__name__}, expected a checkpoint")
    around: Mapping[str, Any] = content if "state_dict" in content else {}
    state = around.get("state_dict", content)
    if not isinstance(state, dict) or not state:
        raise SnntxError(f"{path}: holds no weights: expected tensors by name, or a state_dict")
    for name, tensor in state.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise SnntxError(
                f"{path}: holds no weights: {name!r} is a {type(tensor).__name__}, expected "
                "tensors by name"
            )
        check_size(path, name, tensor)
        if not bool(torch.isfinite(tensor).all()):
            raise SnntxError(f"{path}: {name} holds a value that is not finite")
    if all(name.startswith(PARALLEL) for name in state):
        state = {name.removeprefix(PARALLEL): tensor for name, tensor in state.items()}
    return dict(state), around


def check_size(path: Path, name: str, tensor: Tensor) -> None:
    """Refuse a tensor that a few bytes of a file stretch to more.

    Raises:
        SnntxError: it has more values than are stored.
    """
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise SnntxError(f"{path}: {name} claims more values than the file holds")


def _programs(path: Path) -> Iterator[IO[bytes]]:
    """Yield each pickle of a file, at its start."""
    if not path.stat().st_size:
        raise ValueError("the file is empty")
    with path.open("rb") as file:
        zipped = file.read(len(ZIP)) == ZIP  # as torch decides
    if zipped:
        with zipfile.ZipFile(path) as archive:
            claimed = sum(record.file_size for record in archive.infolist())
            if claimed > path.stat().st_size:  # torch.save does not compress
                raise zipfile.BadZipFile(
                    f"its records claim {claimed:,} bytes, the file has {path.stat().st_size:,}; "
                    "no torch.save wrote it"
                )
            for record in archive.infolist():  # torch would leave its memory as it happens to be
                if record.external_attr & FOLDER:
                    raise zipfile.BadZipFile(f"{record.filename} is marked as a folder")
            if (damaged := archive.testzip()) is not None:
                raise zipfile.BadZipFile(f"{damaged} does not match its checksum")
            names = [name for name in archive.namelist() if name.endswith(".pkl")]
            if [name.rpartition("/")[2] for name in names] != ["data.pkl"]:
                raise zipfile.BadZipFile("a zip, but not one of torch.save")
            yield io.BytesIO(archive.read(names[0]))
    elif tarfile.is_tarfile(path):
        raise ValueError("a tar archive; unpack it, and give the file inside")
    else:
        with path.open("rb") as file:
            for _ in range(LEGACY_PICKLES):
                yield file


def _check_names(path: Path, program: IO[bytes]) -> None:
    """List one pickle's instructions and refuse names that are not allowed."""
    texts = ["", ""]
    for operation, argument in _instructions(program):
        if operation.name in REFUSED:
            _refuse(path, f"the pickle instruction {operation.name}")
        if operation.name == "GLOBAL":
            _check_name(path, str(argument).replace(" ", "."))
        elif operation.name == "STACK_GLOBAL":  # later protocols put both parts on the stack
            _check_name(path, ".".join(texts))
        elif isinstance(argument, str):
            texts = [texts[1], argument]


def _instructions(program: IO[bytes]) -> Iterator[tuple[pickletools.OpcodeInfo, Any]]:
    try:
        for operation, argument, _ in pickletools.genops(program):
            yield operation, argument
    except (MemoryError, OverflowError) as error:
        raise ValueError("an instruction claims more bytes than the file holds") from error


def _check_name(path: Path, name: str) -> None:
    if name not in ALLOWED:
        _refuse(path, f"the global {name}")


def _refuse(path: Path, what: str) -> None:
    raise SnntxError(
        f"{path}: refused: it asks for {what}, which a checkpoint of tensors, numbers and text "
        "does not need; nothing of it was executed"
    )
