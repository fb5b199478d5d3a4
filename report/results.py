"""How good a run is: figures, accuracy by step, calibration, confusions, classes and mistakes."""

from __future__ import annotations

from ..train.assess.evaluation import Evaluation
from ..train.measure.metrics import mistakes
from .blocks import (
    Block,
    Cell,
    Facts,
    Figure,
    Figures,
    Gallery,
    Missing,
    Section,
    Table,
    Words,
    columns,
    notes,
    number,
    shaded,
)
from .charts import Axis, Series, lines
from .gather import Found
from .pictures import shown

WHOLE = 24
"""Classes up to which the whole confusion matrix is a table that can be read."""
PAIRS = 20
"""Most frequent mistakes that are listed."""


def results(found: Found) -> Section:
    """Return what was measured."""
    result, metrics = found.result, found.result.metrics
    low, high = result.interval
    facts = [
        ("measured", f"{result.part} part, {metrics.recordings:,} recordings"),
        ("top-1", f"{metrics.top1:.4f} (95 % interval {low:.4f} to {high:.4f})"),
        ("top-5", f"{metrics.top5:.4f}"),
        ("balanced accuracy", f"{result.balanced:.4f}"),
        ("loss", f"{metrics.loss:.4f} nats"),
        ("calibration error", f"{result.calibration.ece:.4f} (ECE)"),
        ("epoch", f"{result.epoch}, chosen on {result.selected_on}"),
    ]
    if result.static is not None:
        of = f"{result.static.images:,} twins of {result.static.recordings:,} recordings"
        facts.append(("static branch", f"top-1 {result.static.metrics.top1:.4f} on {of}"))
    if result.votes is not None:
        facts.append(("clips", "recordings are judged by several clips; top-1 is of their mean"))
    blocks: list[Block] = [Facts(tuple(facts))]
    if "static branch" in found.missing:
        blocks.append(Missing(f"Static branch not measured: {found.missing['static branch']}."))
    blocks += notes(result.notes)
    blocks.append(Figures((_by_step(result), _reliability(result))))
    return Section("results", "Result", tuple(blocks))


def _by_step(result: Evaluation) -> Figure:
    steps = [float(t) for t in range(1, len(result.by_step) + 1)]
    series = [Series("top-1", list(result.by_step))]
    x, y = Axis("time steps seen (count)", whole=True), Axis("share right (0 to 1)", 0, 1)
    return Figure(
        "How early the answer is there",
        lines("Accuracy by time step", x, y, steps, series),
        "Accuracy of the mean of the first steps' logits.",
        columns("Accuracy by time step", ("step", "top-1"), steps, list(result.by_step)),
    )


def _reliability(result: Evaluation) -> Figure:
    found = result.calibration
    kept = [i for i, count in enumerate(found.answers) if count]
    confidence = [found.confidence[i] for i in kept]
    right = [found.right[i] for i in kept]
    series = [Series("answers", right), Series("as sure as right", confidence)]
    x, y = Axis("confidence (probability)", 0, 1), Axis("share right (0 to 1)", 0, 1)
    return Figure(
        "Calibration",
        lines("Reliability", x, y, confidence, series),
        f"Answers in bins of like confidence; below the even line they are too sure. "
        f"ECE {found.ece:.4f}.",
        columns(
            "Reliability by bin",
            ("confidence", "share right", "answers"),
            confidence,
            right,
            [float(found.answers[i]) for i in kept],
        ),
    )


def confusion(found: Found) -> Section:
    """Return the confusion matrix, or of many classes its most frequent mistakes."""
    classes, counts = found.result.evidence.classes, found.result.metrics.confusion
    blocks: list[Block] = []
    if len(classes) <= WHOLE:
        rows = tuple(
            (Cell(classes[i]), *(_count(row, i, j) for j in range(len(classes))))
            for i, row in enumerate(counts)
        )
        caption = "Recordings by true class (row) and answer (column); darker is a larger share"
        header = ("true class", *classes)
        blocks.append(Table(caption, header, rows, sortable=False, matrix=True))
    else:
        blocks.append(Words(
            f"Of {len(classes)} classes the whole matrix would be too large to read; snntx "
            "evaluate --json prints it. These are its most frequent mistakes."
        ))  # fmt: skip
    pairs = mistakes(found.result.metrics, classes, PAIRS)
    if pairs:
        listed = tuple(
            (
                Cell(each.true),
                Cell(each.taken),
                number(each.count, "d"),
                number(each.share, ".3f"),
            )
            for each in pairs
        )
        head = ("true class", "taken for", "recordings", "share of the class")
        blocks.append(Table("Most frequent mistakes", head, listed))
    else:
        blocks.append(Words("No recording was taken for another class."))
    return Section("confusion", "Confusion matrix", tuple(blocks))


def _count(row: list[int], i: int, j: int) -> Cell:
    whole = sum(row)
    text = str(row[j]) if row[j] or i == j else "·"
    return shaded(text, row[j] / whole if whole else 0.0, framed=i == j)


def classes(found: Found) -> Section:
    """Return every class, and pictures of the worst ones' mistakes."""
    metrics, names = found.result.metrics, found.result.evidence.classes
    predicted = [sum(column) for column in zip(*metrics.confusion, strict=True)]
    rows = []
    for i, name in enumerate(names):
        count, share = metrics.per_class.get(name, (0, 0.0))
        right = metrics.confusion[i][i]
        precision = right / predicted[i] if predicted[i] else None
        rows.append((
            Cell(name),
            number(count, "d"),
            number(share if count else None, ".3f"),
            number(precision, ".3f"),
        ))  # fmt: skip
    rows.sort(key=lambda row: (row[2].value is None, row[2].value or 0.0, row[0].text))
    header = ("class", "recordings", "share right (recall)", "precision")
    blocks: list[Block] = [Table("Every class, worst first", header, tuple(rows))]
    for name, wrong in found.mistakes.items():
        count, share = metrics.per_class[name]
        blocks.append(
            Gallery(
                f"Mistakes in class {name}",
                f"{round(count * (1 - share))} of {count} recordings are wrong; here are the "
                f"{len(wrong)} that the network was surest of. ON is blue, OFF orange, both "
                "in one step white; the twin comes first where there is one.",
                tuple(shown(each) for each in wrong),
            )
        )
    if not found.mistakes:
        blocks.append(Words("No recording of this part was classified wrongly."))
    return Section("classes", "Classes", tuple(blocks))
