"""Fold in JupyterLab what the site folds: `python tools/fold.py` hides the code of every cell with `#| code-fold: true`."""
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDED = re.compile(r'^#\| *code-fold: *true', re.M)


def folds(cell):
    "What JupyterLab is to hide of a cell, as its metadata say it."
    source = ''.join(cell['source'])
    if cell['cell_type'] != 'code' or not FOLDED.search(source): return {}
    return {'source_hidden': True}

def half_folded(cell):
    "Whether a cell is folded on the site but open in JupyterLab."
    return not folds(cell).items() <= cell['metadata'].get('jupyter', {}).items()


def main():
    from fastcore.nbio import read_nb, write_nb
    for path in sorted((ROOT/'nbs').glob('*.ipynb')):
        nb = read_nb(path)
        cells = [c for c in nb.cells if half_folded(c)]
        for c in cells: c.metadata['jupyter'] = {**c.metadata.get('jupyter', {}), **folds(c)}
        if cells: write_nb(nb, path)


if __name__ == '__main__': main()
