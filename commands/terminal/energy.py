"""The panel of ``snntx evaluate --energy``: at most 20 lines of 80 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .text import bytes_text, print_table, wrapped

if TYPE_CHECKING:
    from ...train.measure.energy import Cost
    from ...train.measure.operations import Operations

MOST_ROWS = 9
"""Layers that are printed."""


def print_cost(cost: Cost) -> None:
    """Print operations under NeuroBench's names, their energy, and layers in a table."""
    found, energy = cost.operations, cost.energy
    steps = len(next(iter(found.synapses.values())).by_step)
    click.echo(f"\noperations of a sample over {steps} steps, mean of {found.samples:,} samples")
    for pair in (
        [
            ("Effective_MACs", f"{found.macs:,.0f}"),
            ("Effective_ACs", f"{found.acs:,.0f}"),
        ],
        [
            ("Dense", f"{found.dense:,.0f}"),
            ("MembraneUpdates", f"{found.membrane_updates:,.0f}"),
        ],
        [
            ("ActivationSparsity", f"{found.activation_sparsity:.4f}"),
            ("ConnectionSparsity", f"{found.connection_sparsity:.4f}"),
        ],
        [("Footprint", bytes_text(found.footprint))],
    ):
        line = "  ".join(f"{name:<18} {value:>16}" for name, value in pair)
        click.echo(f"  {line}".rstrip())
    share = f", {energy.total_pj / energy.dense_pj:.1%} of dense MACs" if energy.dense_pj else ""
    each = f"{energy.mac_pj:g} pJ a MAC, {energy.ac_pj:g} pJ an AC"
    click.echo(f"  energy  {_joules(energy.total_pj)} ({each}){share}")
    if found.attention:
        spent = sum(found.attention.values())
        click.echo(f"  attention's own maps took {spent:,.0f} of the MACs")
    if found.uncounted:
        names = ", ".join(found.uncounted)
        click.echo(wrapped(f"weights that are not counted: {names}", "  ", "  ", 80))
    rows = _rows(found)
    header = ["layer", "operations", "of", "sparsity", "dead", "saturated"]
    print_table(header, rows[:MOST_ROWS], right=1)
    if len(rows) > MOST_ROWS:
        click.echo(f"  and {len(rows) - MOST_ROWS} layers more; --json has them all")


def _rows(found: Operations) -> list[list[str]]:
    """Return a row for each layer: what its synapses did, and its neurons."""
    told: dict[str, list[str]] = {}
    for name, synapses in found.synapses.items():
        layer = name.rpartition(".")[0]
        kind = "ACs" if synapses.binary else "MACs"
        told[layer if layer in found.layers else name] = [f"{synapses.effective:,.0f}", kind]
    rows = []
    for name in dict.fromkeys([*told, *found.layers]):
        neurons = found.layers.get(name)
        rest = ["-", "-", "-"]
        if neurons is not None:
            rest = [f"{neurons.sparsity:.4f}", f"{neurons.dead:.1%}", f"{neurons.saturated:.1%}"]
        rows.append([name, *told.get(name, ["-", "-"]), *rest])
    return rows


def _joules(picojoules: float) -> str:
    """Return an energy such as ``1.71 µJ``."""
    value, unit = picojoules, "pJ"
    for larger in ("nJ", "µJ", "mJ", "J"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.3g} {unit}"
