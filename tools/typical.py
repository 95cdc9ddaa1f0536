"""Make the typical digits that tell what is unlike all of them: `python tools/typical.py` writes `mnist_cnn/weights/typical.npy`.

Twenty of each class, as directions of lines (`mnist_cnn.uncertainty.directions`): the centers of twenty groups (k-means by angle) of the first 50,000 training digits,
in whole numbers from 0 to 15, two in a byte. The limit is chosen with the last 10,000, in the notebook.
"""
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if not __package__: sys.path[0] = str(ROOT)

import numpy as np
import torch
import torch.nn.functional as F

from mnist_cnn.data import load_tensors
from mnist_cnn.files import atomic_write
from mnist_cnn.uncertainty import directions

EACH, ROUNDS = 20, 10


def centers(v, k, generator):
    "`k` vectors of length 1 that stand for all of `v`."
    c = v[torch.randperm(len(v), generator=generator)[:k]]
    for _ in range(ROUNDS): c = F.normalize(torch.zeros_like(c).index_add_(0, (v @ c.T).argmax(1), v), dim=1)
    return c


def main():
    x, y = load_tensors()
    v, y, generator = directions(x[:50_000]), y[:50_000], torch.Generator().manual_seed(0)
    found = torch.cat([centers(v[y == c], EACH, generator) for c in range(10)])
    whole = (15 * found / found.amax(1, keepdim=True)).round().to(torch.uint8).numpy()
    with atomic_write(ROOT/'mnist_cnn/weights/typical.npy') as f: np.save(f, whole[:, ::2] << 4 | whole[:, 1::2])


if __name__ == '__main__': main()
