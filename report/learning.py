"""How a run learnt: loss, accuracy, learning rate and firing over the epochs."""

from __future__ import annotations

from typing import Any

from .blocks import Block, Cell, Figure, Figures, Missing, Section, Table, columns, number
from .charts import MOST, Axis, Series, lines
from .gather import Found

EPOCH = Axis("epoch (number)", whole=True)
NOT_TERMS = ("accuracy", "replaced", "cka")


def learning(found: Found) -> Section:
    """Return the curves of a run's log."""
    records = found.records
    if not records:
        text = "No learning curves: the run has no log.jsonl with a finished epoch."
        return Section("learning", "Learning curves", (Missing(text),))
    epochs = [float(each["epoch"]) for each in records]
    chosen = str(records[-1]["selection"]["part"])
    terms = [
        Series(name, [_value(each["train"], name) for each in records])
        for name in records[-1]["train"]
        if name not in NOT_TERMS and "." not in name
    ]
    terms.append(Series(f"{chosen} loss", [each["selection"]["loss"] for each in records]))
    accuracy = [
        Series("train top-1", [_value(each["train"], "accuracy") for each in records]),
        Series(f"{chosen} top-1", [each["selection"]["top1"] for each in records]),
        Series(f"{chosen} top-5", [each["selection"]["top5"] for each in records]),
    ]
    figures = [
        _figure("Loss", Axis("loss (nats)"), epochs, terms[:MOST],
                f"Terms of the training loss, means over an epoch, and the {chosen} part's."),
        _figure("Accuracy", Axis("share right (0 to 1)", 0, 1), epochs, accuracy,
                f"The epoch was chosen on the {chosen} part: {records[-1]['best_epoch']}."),
    ]  # fmt: skip
    names = list(records[-1].get("rates") or {})
    if names:
        rates = [Series(n, [_value(each.get("rates") or {}, n) for each in records]) for n in names]
        figures.append(
            _figure("Firing", Axis("spikes per neuron and step", 0), epochs, rates[:MOST],
                    f"Rates of each layer in training{_left(len(rates))}.")
        )  # fmt: skip
    figures.append(
        _figure("Learning rate", Axis("learning rate (no unit)", 0), epochs,
                [Series("learning rate", [_value(each, "lr") for each in records])],
                "At the end of each epoch.")
    )  # fmt: skip
    blocks: list[Block] = [Figures(tuple(figures)), _speed(records)]
    return Section("learning", "Learning curves", tuple(blocks))


def _left(count: int) -> str:
    return f"; {count - MOST} further layers are left out" if count > MOST else ""


def _value(values: dict[str, Any], name: str) -> float | None:
    found = values.get(name)
    return None if found is None else float(found)


def _figure(
    title: str, axis: Axis, epochs: list[float], series: list[Series], caption: str
) -> Figure:
    header = ["epoch", *(each.name for each in series)]
    table = columns(f"{title} by epoch", header, epochs, *(each.values for each in series))
    return Figure(title, lines(title, EPOCH, axis, epochs, series), caption, table)


def _speed(records: list[dict[str, Any]]) -> Table:
    seconds = sum(float(each.get("seconds") or 0) for each in records)
    rate = [float(each.get("recordings_per_second") or 0) for each in records]
    memory = max(float(each.get("peak_memory_mib") or 0) for each in records)
    rows = (
        (Cell("time of all epochs"), number(seconds, ",.1f", " s")),
        (Cell("recordings a second, mean"), number(sum(rate) / len(rate), ",.1f")),
        (Cell("most memory"), number(memory, ",.0f", " MiB")),
    )
    return Table("What training took", ("what", "value"), rows, sortable=False)
