"""Train and test on real N-MNIST recordings, with and without transfer, over some seeds.

    python benchmarks/real_n_mnist.py --real DIR --out DIR [--seeds 42 1024 90210]

``--real`` holds ``n_mnist`` and ``mnist`` as the data card describes them. Every step is a
public command, run in a process of its own; runs already there are gone on with. Prints a
Markdown table of test accuracy and training time by run, for docs/results.md.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path


def snntx(*arguments: object) -> str:
    command = [sys.executable, "-m", "snntx", *map(str, arguments)]
    print("$ snntx", *arguments, file=sys.stderr)
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--real", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[42])
    parser.add_argument("--set", action="append", default=[], dest="settings")
    options = parser.parse_args()

    cache = options.out / "cache"
    statics = options.real / "mnist"
    snntx("preprocess", "n-mnist", "--raw", options.real / "n_mnist", "--static", statics,
          "--cache", cache)  # fmt: skip
    print("| run | seed | test top-1 | validation top-1 | best epoch | minutes |")
    print("|---|---|---|---|---|---|")
    for recipe in ("default", "baseline"):
        scores = []
        for seed in options.seeds:
            run = options.out / f"{recipe}-seed{seed}"
            settings = [part for s in [f"seed={seed}", *options.settings] for part in ("--set", s)]
            resume = ["--resume"] if (run / "last.pt").is_file() else []
            snntx("train", "n-mnist", "--recipe", recipe, *settings, "--cache", cache,
                  "--out", run, *resume)  # fmt: skip
            result = json.loads(snntx("evaluate", run, "--cache", cache, "--json"))
            log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
            minutes = sum(record["seconds"] for record in log) / 60
            chosen = log[result["epoch"] - 1]["selection"]["top1"]
            scores.append(result["top1"])
            print(
                f"| {recipe} | {seed} | {result['top1']:.4f} | {chosen:.4f} | "
                f"{result['epoch']} | {minutes:.1f} |",
                flush=True,
            )
        if len(scores) > 1:
            mean, spread = statistics.mean(scores), statistics.stdev(scores)
            print(f"| {recipe} | all | {mean:.4f} ± {spread:.4f} | | | |", flush=True)


if __name__ == "__main__":
    main()
