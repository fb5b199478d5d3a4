"""What the transfer did in a run: likeness of its branches, distance, and how P went."""

from __future__ import annotations

from .blocks import (
    Block,
    Cell,
    Figure,
    Figures,
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


def transfer(found: Found) -> Section:
    """Return the diagnosis of a run, or why there is none."""
    blocks: list[Block] = []
    diagnosis = found.diagnosis
    if diagnosis is None:
        blocks.append(Missing(f"No transfer diagnostics: {found.missing['transfer']}."))
        return Section("transfer", "Transfer", tuple(blocks))
    blocks.append(Words(
        f"Both branches were shown {diagnosis.alignment.pairs:,} twins of the {diagnosis.part} "
        "part. CKA says how alike they see them: 0 is no likeness, 1 the same up to rotation and "
        "scale."
    ))  # fmt: skip
    blocks += notes(diagnosis.notes)
    layers = diagnosis.alignment.layers
    steps = len(next(iter(layers.values())).debiased)
    rows = tuple(
        (Cell(name), *(shaded("–" if v is None else f"{v:.2f}", v) for v in each.debiased))
        for name, each in layers.items()
    )
    header = ("layer", *(f"step {t}" for t in range(1, steps + 1)))
    blocks.append(Table("Debiased CKA of the branches by layer and time step", header, rows,
                        sortable=False, matrix=True))  # fmt: skip
    if diagnosis.alignment.left_out:
        blocks.append(Missing(
            f"Left out, since one branch alone has them: {', '.join(diagnosis.alignment.left_out)}."
        ))  # fmt: skip
    if diagnosis.before is not None and diagnosis.after is not None:
        before, after = diagnosis.before, diagnosis.after
        terms = tuple(
            (Cell(name), number(before.get(name)), number(value))
            for name, value in after.items()
            if not name.rpartition(".")[2].isdigit()
        )
        caption = f"Terms of method {diagnosis.method} on these twins"
        blocks.append(Table(caption, ("term", "before training", "after"), terms))
    blocks += _went(found)
    return Section("transfer", "Transfer", tuple(blocks))


def _went(found: Found) -> list[Block]:
    went = found.went
    if went is None:
        return [Missing("No trajectories: the run has no log of a finished epoch.")]
    epochs = [float(each) for each in went.epochs]
    replaced = [None if each is None else float(each) for each in went.replaced]
    cka = [sum(row) / len(row) if row else None for row in went.cka]
    shares = [
        Series("P", list(went.probability)),
        Series("replaced", replaced),
        Series("CKA of the loss", cka),
    ]
    coefficients = [
        Series(f"step {t + 1}", [row[t] for row in went.coefficients])
        for t in range(min(len(went.coefficients[0]), 12))
    ]
    epoch = Axis("epoch (number)", whole=True)
    return [
        Figures((
            Figure(
                "Events in place of images",
                lines("P and CKA", epoch, Axis("share or CKA (0 to 1)", 0, 1), epochs, shares),
                "P: share of events that the static branch was to show; replaced: that it showed.",
                columns("P by epoch", ("epoch", *(s.name for s in shares)), epochs,
                        *(s.values for s in shares)),
            ),
            Figure(
                "Coefficients of the steps",
                lines("Coefficients", epoch, Axis("weight of the domain term (0 to 1)"), epochs,
                      coefficients),
                "Learnt, at the end of each epoch." if went.moved else "They are not learnt.",
                columns("Coefficients by epoch", ("epoch", *(s.name for s in coefficients)),
                        epochs, *(s.values for s in coefficients)),
            ),
        )),
    ]  # fmt: skip
