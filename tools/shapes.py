"""Make `mnist_cnn/weights/shapes.safetensors`: what MNIST's training digits look like, for `mnist_cnn.uncertainty.strangeness`.

From the 55,000 training digits that chapter 06b does not keep aside to choose a threshold. Each array is whole numbers from -127 to 127
and a scale.
"""
import hashlib, sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if not __package__: sys.path[0] = str(ROOT)

import torch
from safetensors.torch import save

from mnist_cnn.data import load_tensors
from mnist_cnn.files import atomic_write
from mnist_cnn.uncertainty import Shapes, shapes_of

FOLDER = ROOT/'mnist_cnn'/'weights'


def main():
    x, y = load_tensors()
    seen = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))[5000:]
    shapes = shapes_of(x[seen], y[seen])
    scales = torch.stack([a.abs().max() / 127 for a in shapes])
    held = save({**{name: (a / s).round().to(torch.int8).contiguous() for name, a, s in zip(Shapes._fields, shapes, scales)}, 'scales': scales})
    with atomic_write(FOLDER/'shapes.safetensors') as f: f.write(held)
    sums = [line for line in (FOLDER/'SHA256SUMS').read_text().splitlines() if not line.endswith(' shapes.safetensors')]
    (FOLDER/'SHA256SUMS').write_text('\n'.join([*sums, f'{hashlib.sha256(held).hexdigest()}  shapes.safetensors', '']))
    print(f'{len(held) / 1000:.0f} kB')


if __name__ == '__main__': main()
