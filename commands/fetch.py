"""``snntx fetch``: the only command that uses the network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from ..errors import SnntxError, plain
from .options import FOLDER, cache_root, json_option, print_json, say
from .words.completion import cards
from .words.misplaced import Worded


@click.command(cls=Worded)
@click.argument("card", shell_complete=cards)
@click.option("--to", type=FOLDER, required=True, help="Folder to download to.")
@json_option
def fetch(card: str, to: Path, as_json: bool) -> None:
    """Download a card's files, verify their checksums and unpack them.

    The only command that uses the network. Run it again to go on with an interrupted
    download. With tonic:NAME, what tonic would download goes to the folder NAME below --to.
    """
    from ..data_cards import TONIC, load_card
    from ..preprocess.download.fetch import fetch as download
    from .terminal.text import bytes_text

    if card.startswith(TONIC):
        from ..preprocess.raw.tonic_cards import tonic_downloads

        name = card.removeprefix(TONIC)
        downloads, to = tonic_downloads(name), to / name
    else:
        loaded = load_card(card, cache_root(None))
        downloads = loaded.downloads
        if not downloads:
            raise SnntxError(
                f"card {loaded.name} names no direct download; by hand, from "
                f"{loaded.about.homepage}: {loaded.about.obtain}"
            )
    with _bar() as progress:
        fetched = download(downloads, to, say=say, progress=progress)
    if as_json:
        print_json([{**vars(result), "file": str(result.file)} for result in fetched])
        return
    for result in fetched:
        size = f", {bytes_text(result.bytes)}" if result.bytes else ""
        note = f" ({result.note})" if result.note else ""
        names = ", ".join(plain(name) for name in result.unpacked)
        unpacked = f"; unpacked: {names}" if names else ""
        click.echo(f"{result.state}: {result.file}{note}{size}{unpacked}")


@contextmanager
def _bar() -> Iterator[Callable[[str, int, int | None], None]]:
    """Yield a ``progress(name, done, total)`` in bytes that draws a bar after two seconds."""
    from tqdm import tqdm

    bar = tqdm(unit="B", unit_scale=True, delay=2, leave=False, disable=None)
    current = ""

    def progress(name: str, done: int, total: int | None) -> None:
        nonlocal current
        if name != current or done < bar.n:  # another file, or a server that cannot resume
            bar.reset(total)
            bar.set_description(name, refresh=False)
            current = name
        bar.total = total
        bar.update(done - bar.n)

    try:
        yield progress
    finally:
        bar.close()
