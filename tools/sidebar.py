"""Write nbs/sidebar.yml, in which the chapters stand in their parts: `python tools/sidebar.py`.

The file is kept with the project, so that `nbdev-docs` alone finds it; nbdev, which would only list the pages, is told to leave it alone.
"""
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT/'nbs/sidebar.yml'
PARTS = {0: 'Learn', 20: 'Go faster', 30: 'The workshop'}  # by the number of their first notebook


def contents():
    "The sidebar's entries: the front page, then each part with its chapters, then the reference pages as far as they are there."
    nbs = ROOT/'nbs'
    found, part = ['index.ipynb'] if (nbs/'index.ipynb').exists() else [], None
    for f in sorted(nbs.glob('[0-9]*.ipynb')):
        now = max(n for n in PARTS if n <= int(f.name[:2]))
        if now != part: found.append({'text': PARTS[part := now]})
        found.append(f.name)
    reference = sorted(f.name for f in nbs.glob('reference_*.ipynb'))
    return found + ([{'text': 'Reference'}, *reference] if reference else [])


def main():
    text = yaml.safe_dump({'website': {'sidebar': {'contents': contents()}}}, sort_keys=False)
    if not FILE.exists() or FILE.read_text(encoding='utf-8') != text: FILE.write_text(text, encoding='utf-8')


if __name__ == '__main__': main()
