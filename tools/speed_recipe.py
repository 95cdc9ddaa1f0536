"""What each choice in the speed run's recipe is worth: `python tools/speed_recipe.py` trains it, and variants that differ in one thing, and writes results/speed_recipe.json.

On 50,000 of the training digits, drawn at random, measured on the other 10,000; the test set plays no part. The variants take turns. It takes some three minutes of one core.
"""
import json, sys
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if not __package__: sys.path[0] = str(ROOT)

import torch
from tqdm import tqdm

from mnist_cnn.data import load_tensors
from mnist_cnn.files import atomic_write
from mnist_cnn.speed import SpeedRecipe, one_run, spread
from mnist_cnn.steps import hardware

RESULTS, SEEDS = ROOT/'results/speed_recipe.json', range(10)
VARIANTS = {'the recipe': SpeedRecipe(), '0.7 of an epoch': SpeedRecipe(epochs=0.7), 'no label smoothing': SpeedRecipe(label_smoothing=0.),
            'batches of 256': SpeedRecipe(bs=256), 'whole images': SpeedRecipe(crop=0), 'first layer of 16': SpeedRecipe(channels=(16, 32))}


def parts(n=50_000):
    "Training and validation digits, each images and targets"
    x, y = load_tensors()
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    return [(x[part], y[part]) for part in (order[len(x) - n:], order[:len(x) - n])]


def measured(seeds=SEEDS, variants=VARIANTS):
    "Accuracies on the validation digits, and seconds, of each variant for each seed, and what they were measured with"
    train, held_out = parts()
    runs = {name: [] for name in variants}
    for seed in tqdm(seeds):
        for name, recipe in variants.items(): runs[name].append(one_run(train, held_out, seed, recipe))
    return {'measured_on': 'validation', 'seeds': list(seeds), 'date': f'{date.today()}', 'made_with': hardware('cpu'),
            'recipes': {name: {'accuracy': [r.accuracy for r in found], 'seconds': [r.seconds for r in found]} for name, found in runs.items()}}


def main():
    torch.set_num_threads(1)
    found = measured()
    with atomic_write(RESULTS) as f: f.write((json.dumps(found, indent=1) + '\n').encode())
    for name, run in found['recipes'].items(): print(f"{name}: {spread([100 * a for a in run['accuracy']], '.2f')}%, n = {len(found['seeds'])}")


if __name__ == '__main__': main()
