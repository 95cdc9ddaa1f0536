"""How accurate the speed run's recipe for a GPU is: `python tools/gpu_recipe.py` trains it on a processor with twenty seeds that played no part in choosing it, and writes results/gpu_recipe.json.

First on the first 50,000 training digits, measured on the last 10,000; then on all 60,000, measured on the test set. The times are left out, since they say nothing about a GPU. It takes a few minutes of one core.

The recipe was chosen among about 35 settings on the validation set alone, with seeds 0 to 4. Two earlier choices fell short of 99% there with new seeds: a warm-up of a tenth in 1.5 epochs reached 98.93 ± 0.13% (seeds 3 to 22), one of a quarter in 1.5 epochs 98.99 ± 0.08% (seeds 23 to 42).
"""
import json, sys
from dataclasses import asdict
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if not __package__: sys.path[0] = str(ROOT)

import torch

from mnist_cnn.data import load_tensors
from mnist_cnn.files import atomic_write
from mnist_cnn.speed import GPU_RECIPE, one_run, spread
from mnist_cnn.steps import hardware

RESULTS, N, CHOSEN_WITH, SEEDS = ROOT/'results/gpu_recipe.json', 50_000, range(5), range(43, 63)
DROPPED = [0.9903, 0.9906]  # test accuracies of two settings that were tried with new seeds and dropped, for their validation accuracy


def measured(seeds=SEEDS, n=N, recipe=GPU_RECIPE):
    "The accuracies of each seed on both sets, and what they were measured with; n: training digits before the validation set"
    x, y = load_tensors()
    parts = {'validation': ((x[:n], y[:n]), (x[N:], y[N:])), 'test': ((x[:n], y[:n]) if n < N else (x, y), load_tensors(train=False))}
    found = {'recipe': asdict(recipe), 'chosen_with_seeds': list(CHOSEN_WITH), 'seeds': list(seeds), 'date': f'{date.today()}', 'made_with': hardware('cpu'), 'test_accuracy_of_dropped': DROPPED}
    for name, (train, held_out) in parts.items():
        runs = []
        for seed in seeds:
            runs.append(one_run(train, held_out, seed, recipe))
            print(f'{name}, seed {seed}: {runs[-1].accuracy:.2%}, by {runs[-1].way}', flush=True)
        found[f'{name}_accuracy'], found['way'] = [r.accuracy for r in runs], runs[0].way
    return found


def main():
    torch.set_num_threads(1)
    found = measured()
    with atomic_write(RESULTS) as f: f.write((json.dumps(found, indent=1) + '\n').encode())
    for name in 'validation', 'test': print(f"{name}: {spread([100 * a for a in found[f'{name}_accuracy']], '.2f')}%, n = {len(found['seeds'])}")


if __name__ == '__main__': main()
