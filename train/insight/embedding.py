"""Where both branches put the same things: their domain features in a plane, by t-SNE.

In: a run and the twins of a part. Out: a point for each image and each recording. A feature is the
mean over the time steps; both branches' are embedded together (van der Maaten and Hinton,
*Visualizing Data using t-SNE*, JMLR 2008), from their first two principal components on. Points
that are near are alike; distances between groups, and their sizes, say nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ..assess.elsewhere import Part
from .pairs import MOST, SEED, pair_up

PERPLEXITY = 30.0


@dataclass(frozen=True)
class Embedding:
    """Points of twins; the n-th image and the n-th recording are of the same thing.

    Attributes:
        checkpoint: the file that was read.
        part: whose twins.
        static: of the images, ``(n, 2)``.
        event: of the recordings, ``(n, 2)``.
        labels: class of each, ``(n,)``.
        classes: names of the classes.
        perplexity: of t-SNE, 30 at most, and a third of the points.
    """

    checkpoint: str
    part: str
    static: NDArray[np.float32]
    event: NDArray[np.float32]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    perplexity: float


def embed_run(
    run: Path | str,
    root: Path | str | None = None,
    device: torch.device | str = "auto",
    *,
    key: str | None = None,
    part: Part = "test",
    most: int = MOST,
) -> Embedding:
    """Embed what both branches make of the twins of a part.

    Arguments and errors are those of :func:`snntx.train.insight.diagnostics.diagnose_run`.
    """
    from sklearn.manifold import TSNE

    paired = pair_up(run, root, device, key=key, part=part, most=most)
    model = paired.checkpoint.build_model(paired.device)
    found: list[torch.Tensor] = []
    with torch.inference_mode():
        for static, event, _ in paired.pairs.batches(paired.device):
            constant = torch.full((len(event),), paired.pairs.view.still)
            output = model(static, event, constant)
            branches = output.static_features, output.event_features
            means = [each.float().mean(0).flatten(1).cpu() for each in branches]
            found.append(torch.stack(means))
    features = torch.cat(found, 1)  # (2, n, F)
    count = features.shape[1]
    perplexity = min(PERPLEXITY, 2 * count / 3)
    tsne = TSNE(2, perplexity=perplexity, init="pca", random_state=SEED)
    placed = tsne.fit_transform(features.flatten(0, 1).numpy())
    return Embedding(
        checkpoint=str(paired.path),
        part=part,
        static=placed[:count],
        event=placed[count:],
        labels=paired.pairs.labels,
        classes=tuple(paired.checkpoint.classes),
        perplexity=perplexity,
    )
