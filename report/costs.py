"""What a run's network costs: spikes, operations and their energy."""

from __future__ import annotations

from .blocks import Block, Cell, Facts, Figure, Figures, Missing, Section, Table, columns, number
from .charts import MOST, Axis, Series, lines
from .gather import Found


def costs(found: Found) -> Section:
    """Return spikes by layer and step, operations and energy of a sample."""
    blocks: list[Block] = []
    cost, firing = found.result.cost, found.result.firing
    if cost is None:
        blocks.append(Missing("Operations were not counted."))
    else:
        done, spent = cost.operations, cost.energy
        share = spent.total_pj / spent.dense_pj if spent.dense_pj else 0.0
        of = f"{share:.1%} of {spent.dense_pj / 1e6:,.4f} µJ without sparsity"
        each = f"{spent.mac_pj:g} pJ a MAC, {spent.ac_pj:g} pJ an AC (45 nm, Horowitz 2014)"
        facts = [
            ("energy", f"{spent.total_pj / 1e6:,.4f} µJ a sample, {of}"),
            ("constants", each),
            ("Effective_MACs", f"{done.macs:,.0f}"),
            ("Effective_ACs", f"{done.acs:,.0f}"),
            ("Dense", f"{done.dense:,.0f}"),
            ("MembraneUpdates", f"{done.membrane_updates:,.0f}"),
            ("ActivationSparsity", f"{done.activation_sparsity:.4f}"),
            ("ConnectionSparsity", f"{done.connection_sparsity:.4f}"),
            ("Footprint", f"{done.footprint / 2**20:,.2f} MiB"),
        ]
        if firing is not None:
            facts.append(("NASFR", f"{firing.nasfr:.4f} spikes per neuron and step"))
        blocks.append(Facts(tuple(facts)))
        if done.uncounted:
            blocks.append(Missing(f"Not counted: {', '.join(done.uncounted)}."))
        steps = [
            float(t) for t in range(1, 1 + max(len(s.by_step) for s in done.synapses.values()))
        ]
        by_layer = [Series(n, [v / 1e3 for v in s.by_step]) for n, s in done.synapses.items()]
        figures = [
            _figure("Operations by step", Axis("operations of a sample (thousands)", 0), steps,
                    by_layer, "Effective operations of each layer of synapses.")
        ]  # fmt: skip
        if firing is not None:
            rates = [Series(n, list(each.by_step)) for n, each in firing.layers.items()]
            figures.append(_figure("Spikes by step", Axis("spikes per neuron", 0), steps, rates,
                                   "Of each layer, a mean over the samples."))  # fmt: skip
        blocks.append(Figures(tuple(figures)))
        rows = tuple(
            (Cell(name), number(n.neurons, ",d"), number(n.sparsity, ".4f"),
             number(n.updates, ",.0f"), number(n.dead, ".4f"), number(n.saturated, ".4f"))
            for name, n in done.layers.items()
        )  # fmt: skip
        header = ("layer", "neurons", "ActivationSparsity", "MembraneUpdates a sample",
                  "dead (share)", "saturated (share)")  # fmt: skip
        blocks.append(Table("Neurons by layer", header, rows))
        synapses = tuple(
            (Cell(name), Cell("ACs" if s.binary else "MACs"), number(s.effective, ",.0f"),
             number(s.dense, ",.0f"))
            for name, s in done.synapses.items()
        )  # fmt: skip
        head = ("layer", "kind", "effective operations a sample", "dense")
        blocks.append(Table("Synapses by layer", head, synapses))
    if firing is None:
        blocks.append(Missing("No firing rates: the neurons send graded values, not spikes."))
    return Section("costs", "Spikes and energy", tuple(blocks))


def _figure(
    title: str, axis: Axis, steps: list[float], series: list[Series], caption: str
) -> Figure:
    left = len(series) - MOST
    told = f"{caption} {left} further layers are in the table." if left > 0 else caption
    header = ["step", *(each.name for each in series)]
    numbers = columns(title, header, steps, *(each.values for each in series))
    drawn = lines(title, Axis("time step (number)", whole=True), axis, steps, series[:MOST])
    return Figure(title, drawn, told, numbers)
