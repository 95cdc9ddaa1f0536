"""Measure the remedies of the chapter on generalization: `python tools/remedies.py` trains each of them with three seeds, by the definitions that
stand in the notebook, and writes results/remedies.json. The test set is not used. It takes about five minutes on one core.
With names (`python tools/remedies.py schedule average`), it trains only those and keeps the stored runs of the others.
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


def defined():
    "What these cells of the notebook define"
    cells = {c['id']: ''.join(c['source']) for c in json.loads((ROOT/'nbs/07_generalization.ipynb').read_text(encoding='utf-8'))['cells']}
    names = dict(vars(recipes))  # what the notebook's exported cells define
    for i in CELLS: exec(cells[i], names)
    return names


def main():
    torch.set_num_threads(1)
    names, stored, asked = defined(), ROOT/'results/remedies.json', sys.argv[1:]
    if unknown := set(asked) - set(names['ways']): raise SystemExit(f'no such remedy: {", ".join(sorted(unknown))}')
    found = json.loads(stored.read_text(encoding='utf-8'))['remedies'] if asked else {}
    for way, settings in names['ways'].items():
        if asked and way not in asked: continue
        runs = [names['remedied'](seed, **settings) for seed in SEEDS]
        found[way] = [dict(zip(('seed', 'train_accuracy', 'accuracy', 'loss'), (seed, *run))) for seed, run in zip(SEEDS, runs)]
        print(way, *(f"{r['accuracy']:.2%}" for r in found[way]), flush=True)
        kept = {'measured_on': 'validation', 'made_with': hardware('cpu'), 'date': str(date.today()), 'remedies': {w: found[w] for w in names['ways'] if w in found}}
        with atomic_write(stored) as f: f.write((json.dumps(kept, indent=1) + '\n').encode())


if __name__ == '__main__': main()
