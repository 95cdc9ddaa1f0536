"""Measure the length of the lessons and the size of the code: `python tools/measure.py --site _docs` prints a table, and ends with status 1 if a limit is exceeded.

Words are those of a lesson's text cells; screens are the height of its built page, 1280 pixels wide, over 900. Without `--site` there are no screens.
"""
import argparse, ast, json, re, sys, threading
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if not __package__: sys.path[0] = str(ROOT)
BOUNDS = {'cells before a network is trained': 25, 'cells of the first chapter before its exercises': 25, 'words of a lesson': 2500,
          'screens of a lesson': 22, 'exported lines of a lesson': 200, 'lines of a function': 45, 'parameters of fit': 9, 'examples of an error in a lesson': 1,
          'open cells that draw': 0}


def lessons(parts='01'):
    "Name and cells of each chapter of Part I, or also of Part II (`'012'`), in reading order; the glossary, which is for looking things up, is none."
    return [(f.stem, json.loads(f.read_text(encoding='utf-8'))['cells']) for f in sorted((ROOT/'nbs').glob(f'[{parts}]*.ipynb')) if f.stem != '11_glossary']


def sources(cells, kind): return [''.join(c['source']) for c in cells if c['cell_type'] == kind]


def before_training(cells):
    "Cells up to and with the first that takes steps."
    return next(i for i, c in enumerate(cells, 1) if c['cell_type'] == 'code' and re.search(r'\.step\(\)|\bfit\(', ''.join(c['source'])))


def before_exercises(cells): return next(i for i, c in enumerate(cells) if ''.join(c['source']).startswith('## Exercises'))


def words(cells): return sum(len(re.sub(r'\$.*?\$|<[^>]*>', ' ', t, flags=re.S).split()) for t in sources(cells, 'markdown'))


def exported(cells): return sum(sum(not l.startswith('#|') for l in t.strip().splitlines()) for t in sources(cells, 'code') if re.search(r'^#\| *exporti?\b', t, re.M))


def errors(cells): return sum(t.count('expect_fail(') for t in sources(cells, 'code'))


def drawings(cells): return sum(bool(re.search(r'#\| *fig-cap', t) and re.search(r'\bFigure\(|\bsubplots\(', t) and not re.search(r'#\| *code-fold: *true', t)) for t in sources(cells, 'code'))


def functions():
    "Lines of each function of the package, the longest first: its code, with its signature and docstring."
    found = []
    for f in sorted((ROOT/'mnist_cnn').glob('*.py')):
        for node in ast.walk(ast.parse(f.read_text(encoding='utf-8'))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)): found.append((node.end_lineno - node.lineno + 1, f'{f.stem}.{node.name}'))
    return sorted(found, reverse=True)


def parameters(name, module):
    "How many parameters a function has."
    tree = ast.parse((ROOT/'mnist_cnn'/f'{module}.py').read_text(encoding='utf-8'))
    a = next(t for t in tree.body if isinstance(t, ast.FunctionDef) and t.name == name).args
    return len(a.posonlyargs + a.args + a.kwonlyargs)


def screens(site, names):
    "The height of each page, in screens."
    from playwright.sync_api import sync_playwright
    from tools.docs import serve
    from tools.shots import launch
    with serve(site) as server, sync_playwright() as pw:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        tab = launch(pw).new_page(viewport={'width': 1280, 'height': 900}, bypass_csp=True)
        for name in names:
            page = re.sub(r'^\d+[a-z]*_', '', name)
            tab.goto(f'http://127.0.0.1:{server.server_port}/{page}.html')
            tab.evaluate('document.querySelectorAll("img").forEach(i => i.loading = "eager")')  # the pictures that wait for the reader
            tab.wait_for_function('[...document.images].every(i => i.complete)')
            yield name, round(tab.evaluate('document.documentElement.scrollHeight') / 900, 1)
        server.shutdown()


def measured(site=None):
    "Rows of the table: what, where, how much, at most."
    books = lessons()
    rows = [('cells before a network is trained', books[0][0], before_training(books[0][1])),
            ('cells of the first chapter before its exercises', books[0][0], before_exercises(books[0][1]))]
    both = lessons('012')  # code may be longer in Part II, text may not
    for what, count, them in ('words of a lesson', words, both), ('open cells that draw', drawings, both), ('exported lines of a lesson', exported, books), ('examples of an error in a lesson', errors, books):
        rows += [(what, name, count(cells)) for name, cells in them]
    if site: rows += [('screens of a lesson', *found) for found in screens(site, [name for name, _ in both])]
    rows += [('lines of a function', name, n) for n, name in functions()[:5]]
    return [*rows, ('parameters of fit', 'training.fit', parameters('fit', 'training'))]


def main():
    p = argparse.ArgumentParser(description='Measure the lessons and the code against their limits.')
    p.add_argument('--site', type=Path, help='folder of the built site, needed to count the screens')
    rows = measured(p.parse_args().site)
    over = [(what, where, n) for what, where, n in rows if n > BOUNDS[what]]
    for what, most in BOUNDS.items():
        found = [(n, where) for w, where, n in rows if w == what]
        if found: print(f'{what:36} at most {most:5,}   largest {max(found)[0]:7,} ({max(found)[1]})')
    for what, where, n in over: print(f'over the limit: {where}: {n:,} {what}, at most {BOUNDS[what]:,}', file=sys.stderr)
    sys.exit(bool(over))


if __name__ == '__main__': main()
