"""One recording of a sealed cache as the picture that a user wishes: sheet, cloud or moving."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..preprocess.cache.contents import SealedCache
from ..preprocess.upkeep.inspect import sheet_rows
from .cloud import draw_cloud, points_of
from .contact_sheet import contact_sheet
from .moving import SUFFIXES, Spikes, moving_pictures, save_moving

if TYPE_CHECKING:
    from ..train.checkpoints.state import Checkpoint


@dataclass(frozen=True)
class Wish:
    """The picture of a recording that is wished for.

    Attributes:
        out: the file; a .gif or .mp4 moves, any other is a PNG.
        cloud: whether to draw events in x, y and time.
        run: whose spikes to draw beside the frames; None for none.
        layer: of that run.
        frame_ms: how long a moving picture shows each step.
    """

    out: Path
    cloud: bool = False
    run: Path | None = None
    layer: str | None = None
    frame_ms: int = 200

    @property
    def moves(self) -> bool:
        """Whether the picture moves."""
        return self.out.suffix in SUFFIXES

    def check(self) -> None:
        """Check that the wishes suit each other.

        Raises:
            UsageError: they do not; says what to give.
        """
        if self.cloud and self.moves:
            raise UsageError(f"{self.out}: a cloud does not move; give --out NAME.png")
        if (self.run is None) != (self.layer is None):
            missing = "--run RUN" if self.run is None else "--layer NAME"
            raise UsageError(f"spikes are those of one layer of one run; add {missing}")
        if self.run is not None and not self.moves:
            raise UsageError(f"{self.out}: spikes are drawn step by step; give --out NAME.gif")

    def key_of(self, card: str) -> str | None:
        """Return the key of the cache that the run was trained on; None without a run.

        Raises:
            SnntxError: the run is damaged, or its weights do not name their data.
            UsageError: the run is of another card.
        """
        if self.run is None:
            return None
        found = self._checkpoint().card
        if found != card:
            raise UsageError(f"{self.run}: is a run of card {found}, not {card}; name that card")
        return self._checkpoint().cache_key

    def _checkpoint(self) -> Checkpoint:
        from ..train.checkpoints.weights import open_weights

        assert self.run is not None
        return open_weights(self.run).trained()

    def spikes(self, cache: SealedCache, i: int) -> Spikes | None:
        """Return what the layer sends on for recording ``i`` of a cache; None without a run."""
        if self.run is None or self.layer is None:
            return None
        import torch

        from ..train.measure.spikes import layer_spikes

        model = self._checkpoint().build_model(torch.device("cpu"))
        frames = torch.from_numpy(cache.clips([i])[0, 0])
        return Spikes(self.layer, layer_spikes(model, frames, self.layer))


def draw_recording(cache: SealedCache, i: int, title: str, wish: Wish) -> None:
    """Draw recording ``i`` of a cache as wished.

    With a run, frames are those that it is shown; of windows, the first.

    Raises:
        UsageError: no such layer, frames of another size than the run's, or a library is missing.
        SnntxError: bytes do not match their checksum, or the file cannot be written.
    """
    if wish.run is not None:
        from ..train.batches.seen import seen_by

        cache = seen_by(cache, wish._checkpoint().recipe)
    [row] = sheet_rows(cache, [i])
    whole = f"{title}  {row.identity}"
    if wish.cloud:
        draw_cloud(points_of(cache, i), row.static, title=whole, path=wish.out)
    elif wish.moves:
        frames = row.frames if wish.run is None else cache.clips([i])[0, 0]
        pictures = moving_pictures(frames, row.static, wish.spikes(cache, i), whole)
        save_moving(pictures, wish.out, wish.frame_ms)
    else:
        contact_sheet([row], title=title, path=wish.out)
