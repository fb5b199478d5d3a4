"""A user's own small card, as the tests of readers write it."""

from __future__ import annotations


def own_card(format: str, *events: str) -> str:
    """Return a card of one class, two frames of 12 x 12 and files ``a/STEM.FORMAT``.

    Args:
        format: of the recordings; also their suffix, which is ``bin`` for ATIS.
        events: further lines of ``[events]``.
    """
    suffix = "bin" if format == "atis" else format
    return "\n".join(
        [
            'name = "mine"',
            'classes = ["a"]',
            "[about]",
            'title = "t"',
            'summary = "s"',
            'homepage = "h"',
            'licence = "l"',
            'citation = "c"',
            'obtain = "o"',
            "[events]",
            f'format = "{format}"',
            f'pattern = "{{class}}/{{stem}}.{suffix}"',
            *events,
            "[framing]",
            "steps = 2",
            "size = 12",
            "[splits.holdout]",
            'rule = "hash"',
            "[recipes.default]",
            "",
        ]
    )
