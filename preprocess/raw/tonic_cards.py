"""A data card for a data set that tonic reads, written from what tonic says of it.

The card is kept beside its caches, so that ``snntx train tonic:NAME`` finds it and never
needs tonic. It is a card like any other: copied under another name, it can be changed.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from ...data_cards import parse_card, tonic_card_path
from ...data_cards.schema import Card, Download
from ...errors import SnntxError
from ..disk.atomic import write_atomic
from ..readers.tonic_sets import class_names, dataset_class, quiet_and_in_order, subsets

SIZE = 48
"""Side of the frames, in pixels, of all sensors but one."""
OWN_SIZE = (34, 34)
"""A sensor of this (width, height) keeps its own size: the model nmnist is made for it."""


def write_card(name: str, cache: Path) -> Card:
    """Write the card of tonic's data set ``name`` into its folder of caches and return it.

    Raises:
        UsageError: tonic is missing, or has no such data set of an event camera.
    """
    text = card_text(name)
    path = tonic_card_path(name, cache)
    card = parse_card(text.encode(), f"tonic:{name}")
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_atomic(path, text)
    return card


def card_text(name: str) -> str:
    """Return the TOML of a card for tonic's data set ``name``."""
    dataset = dataset_class(name)
    sensor = getattr(dataset, "sensor_size", None)
    own = sensor is not None and tuple(sensor[:2]) == OWN_SIZE
    model = "nmnist" if own else "vgg"
    title = (dataset.__doc__ or name).strip().splitlines()[0].strip("`_ ").partition(" <")[0]
    lines = [
        f"name = {_text('tonic-' + name.lower())}",
        f"classes = {_text(list(class_names(dataset).values()))}",
        "",
        "[about]",
        f"title = {_text(title)}",
        f"summary = {_text(f'The data set {name} as tonic reads it.')}",
        'homepage = "https://tonic.readthedocs.io"',
        'licence = "see the data set\'s homepage"',
        f"citation = {_text(f'See the documentation of tonic.datasets.{name}.')}",
        f"obtain = {_text(f'snntx fetch tonic:{name} --to DIR, or by tonic; DIR is --raw.')}",
        "",
        "[events]",
        'format = "tonic"',
        'pattern = "{subset}/{class}/{stem}"',
        f"roots = [{_text(name)}]",
        *([f"sensor = [{sensor[1]}, {sensor[0]}]"] if sensor else []),
        "",
        "[framing]",
        "steps = 10",
        *([] if own else [f"size = {SIZE}"]),
        "",
        "[splits.holdout]",
        'rule = "hash"',
        "validation = 0.15",
        "test = 0.15",
    ]
    if subsets(dataset) == ("train", "test"):
        lines += ["", "[splits.paper]", 'rule = "field"', 'field = "subset"']
        lines += ['train_value = "train"', 'test_value = "test"']
    lines += [
        "",
        "[recipes.default]",
        f"network.model = {_text(model)}",
        "optim.epochs = 100",
        'optim.lr_scaling = "linear"',
        'method.name = "event-only"',
    ]
    if "[splits.paper]" in lines:
        lines += ["", "[recipes.paper]", 'data.protocol = "paper"']
    return "\n".join(lines) + "\n"


def _text(value: Any) -> str:
    """Return a string or list as TOML, which for these is JSON."""
    return json.dumps(value, ensure_ascii=False)


class _WouldDownloadError(Exception):
    """Stops a tonic class where it would start to download."""


def tonic_downloads(name: str) -> tuple[Download, ...]:
    """Return the files that tonic's data set ``name`` would download, with their MD5.

    Raises:
        UsageError: tonic is missing, or has no such data set of an event camera.
        SnntxError: tonic names no file of it with an address and a checksum.
    """
    dataset = dataset_class(name)
    found: dict[str, Download] = {}

    def note(self: Any) -> None:
        url, file = getattr(self, "url", ""), getattr(self, "filename", "")
        md5 = getattr(self, "file_md5", "")
        if str(url).startswith("http") and file and md5 and "drive.google" not in url:
            found[file] = Download(url, file, md5=md5, unpack=True)
        raise _WouldDownloadError

    spied = type(name, (dataset,), {"_check_exists": lambda self: False, "download": note})
    for subset in subsets(dataset):
        arguments = {"train": subset == "train"} if subset in ("train", "test") else {}
        with quiet_and_in_order(), tempfile.TemporaryDirectory() as nowhere:
            try:
                spied(save_to=nowhere, **arguments)
            except (Exception, SystemExit) as error:
                if not isinstance(error, _WouldDownloadError):
                    break
    if not found:
        raise SnntxError(
            f"tonic:{name}: tonic names no file with an address and a checksum; download it by "
            f"hand, as the documentation of tonic.datasets.{name} says"
        )
    return tuple(found.values())
