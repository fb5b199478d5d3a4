"""Where a run's branches look: Grad-CAM over the frames and the twins of some recordings."""

from __future__ import annotations

from .blocks import Block, Gallery, Missing, Section, notes
from .gather import Found
from .pictures import looked


def saliency(found: Found) -> Section:
    """Return maps of the recordings answered worst and best, or why there are none."""
    maps = found.saliency
    if maps is None:
        reason = found.missing.get("saliency", "nobody asked for it")
        return Section("saliency", "Saliency", (Missing(f"No saliency: {reason}."),))
    half = (len(maps.recordings) + 1) // 2
    caption = (
        f"Grad-CAM of layer {maps.layer}, the last one with pixels, at each time step. First come "
        f"{half} recordings whose own class is least likely, then {len(maps.recordings) - half} "
        "whose class is most likely, each of another class; those with a twin are preferred. The "
        "first picture is of the event branch, the second of the static branch on the twin. What "
        "was shown is grey; over it the map goes from nothing over purple and orange to pale "
        "yellow, for each branch from 0 to its largest value over all steps. The probability is "
        "that of the class that the maps explain."
    )
    shown = tuple(looked(each) for each in maps.recordings)
    blocks: list[Block] = [Gallery("Where the branches look", caption, shown)]
    blocks += notes(f"{each}." for each in maps.notes)
    return Section("saliency", "Saliency", tuple(blocks))
