"The pages of the book: their names, their cells, and what a test does with a loaded one."
import json, os, re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from conftest import wait_until

ROOT = Path(__file__).resolve().parents[1]
NPM = ROOT/'tests/js/node_modules'
NOTEBOOKS = sorted(ROOT.glob('nbs/[!_]*.ipynb'), key=lambda p: (p.stem != 'index', p.name))
PAGES = {re.sub(r'^\d+[a-z]*_', '', p.stem): json.loads(p.read_text(encoding='utf-8'))['cells'] for p in NOTEBOOKS}  # name → cells
REFERENCE = [f'reference_{p.stem}' for p in sorted(ROOT.glob('mnist_cnn/[!_]*.py'))]


def texts(cells, kind): return [''.join(c['source']) for c in cells if c['cell_type'] == kind]


def watched(tab, address):
    "The tab, with what goes wrong in it from now on in `tab.faults`."
    tab.faults = []
    tab.on('console', lambda m: tab.faults.append(m.text) if m.type in ('error', 'warning') else None)
    tab.on('pageerror', lambda e: tab.faults.append(str(e)))
    tab.on('response', lambda r: tab.faults.append(f'{r.status} {r.url}') if r.status >= 400 else None)
    tab.on('request', lambda r: tab.faults.append(f'another host: {r.url}')
           if urlsplit(r.url).scheme in ('http', 'https') and not r.url.startswith(address) else None)
    return tab


def load_pictures(tab):
    "Load the pictures that wait for the reader to come near."
    tab.evaluate('document.querySelectorAll("img").forEach(i => i.loading = "eager")')
    wait_until(tab, '[...document.images].every(i => i.complete)')


def from_npm(path):
    "A file that npm installs. Without it the test is skipped, except where CI is set: there it must be."
    if not (NPM/path).is_file():
        why = f'{path.split("/")[0]} is not installed: npm --prefix tests/js install'
        pytest.fail(why) if os.environ.get('CI') else pytest.skip(why)
    return NPM/path


TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']

def judge_by_axe(tab, part='document'):
    "axe-core, which the page has loaded, finds nothing against WCAG 2.2 AA nor against good practice."
    passed, violations = tab.evaluate(f'async tags => {{ const r = await axe.run({part}, {{runOnly: tags, resultTypes: ["violations"]}}); return [r.passes.length, r.violations]; }}', TAGS)
    assert passed > 10
    assert not violations, '\n'.join(f'{v["id"]}: {n["html"][:200]}: {n["failureSummary"]}' for v in violations for n in v['nodes'][:3])
