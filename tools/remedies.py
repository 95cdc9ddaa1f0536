"""Measure what the chapter on generalization compares: `python tools/remedies.py` trains each remedy, and a network on each number of digits, with
three seeds, by the definitions in the notebook, and writes results/remedies.json. The test set is not used. It takes about six minutes on one core.
With names (`python tools/remedies.py schedule average`, or `sizes`), it trains only those and keeps the other stored runs.
"""
import json, sys
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if not __package__: sys.path[0] = str(ROOT)

import torch

from mnist_cnn import recipes
from mnist_cnn.files import atomic_write
from mnist_cnn.steps import hardware

CELLS, SEEDS = ('08705155', 'd5179c18', '89dca91a'), range(3)  # imports; digits; remedies
SIZES = 100, 1000, 10_000, 50_000  # of the training set


def defined():
    "What these cells of the notebook define"
    cells = {c['id']: ''.join(c['source']) for c in json.loads((ROOT/'nbs/07_generalization.ipynb').read_text(encoding='utf-8'))['cells']}
    names = dict(vars(recipes))  # what the notebook's exported cells define
    for i in CELLS: exec(cells[i], names)
    return names


def sizes(curves):
    "The end of each curve, and the lowest validation loss, for each number of digits and seed"
    found = {}
    for n in SIZES:
        runs = [curves(n, seed=seed) for seed in SEEDS]
        found[n] = [{'seed': seed, 'train_loss': r.train_loss[-1], 'loss': r.valid_loss[-1], 'lowest_loss': min(r.valid_loss),
                     'train_accuracy': r.accuracy[-1][0], 'accuracy': r.accuracy[-1][1]} for seed, r in zip(SEEDS, runs)]
        print(n, *(f"{r['accuracy']:.2%}" for r in found[n]), flush=True)
    return found


def main():
    torch.set_num_threads(1)
    names, stored, asked = defined(), ROOT/'results/remedies.json', sys.argv[1:]
    if unknown := set(asked) - {*names['ways'], 'sizes'}: raise SystemExit(f'no such remedy: {", ".join(sorted(unknown))}')
    kept = json.loads(stored.read_text(encoding='utf-8')) if asked else {'measured_on': 'validation', 'remedies': {}, 'sizes': {}}
    def keep():
        kept.update(made_with=hardware('cpu'), date=str(date.today()), remedies={w: kept['remedies'][w] for w in names['ways'] if w in kept['remedies']})
        with atomic_write(stored) as f: f.write((json.dumps(kept, indent=1) + '\n').encode())
    if not asked or 'sizes' in asked:
        kept['sizes'] = sizes(names['curves'])
        keep()
    for way, settings in names['ways'].items():
        if asked and way not in asked: continue
        runs = [names['remedied'](seed, **settings) for seed in SEEDS]
        kept['remedies'][way] = [dict(zip(('seed', 'train_accuracy', 'accuracy', 'loss'), (seed, *run))) for seed, run in zip(SEEDS, runs)]
        print(way, *(f"{r['accuracy']:.2%}" for r in kept['remedies'][way]), flush=True)
        keep()


if __name__ == '__main__': main()
