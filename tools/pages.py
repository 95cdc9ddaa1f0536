"""What every page goes through before it is rendered, with Quarto as with smalldocs.

`doc_procs` in pyproject.toml names the two: nbdev makes a `ShowSource` for each notebook before it
processes anything, and calls `for_site` on each cell after all else.
"""
import ast, re
from functools import cache
from pathlib import Path

from nbdev.config import get_config
from nbdev.process import Processor
from fastcore.nbio import mk_cell

from tools.torch_names import link_torch

# what `show_doc` writes above a signature, and what nbdev makes of a name in backticks
SOURCE_LINK = re.compile(r'\[source\]\([^)]*\)\{[^}]*\}\n*')
NAME_LINK = re.compile(r'\[(`[^`]+`)\]\(/([\w.-]+\.html)#([\w.-]+)\)')
SHOWN = '#| code-fold: show'  # what nbdev writes above exported code
OPEN = ('<p class="open-notebook"><a href="notebooks/{0}" download>Open this notebook</a> '
        '<span>{0}, to run in JupyterLab</span></p>')  # `copy_notebooks` puts them there
LINKED_HEADING = re.compile(r'^(#+ .*?)\[(`[^`]+`)\]\([^)]*\)', re.M)


class ShowSource(Processor):
    "Show the code of exported cells below their documentation, where nbdev would only link to a repository; offer the notebook."
    def __init__(self, nb):
        super().__init__(nb)
        for cell in nb.cells:
            if 'export' in cell.directives_: cell.directives_['exports'] = cell.directives_.pop('export')

    def begin(self):
        # in place of nbdev's `mv_exports` (see `skip_procs`), which puts documentation above the wrong one of two neighbours
        cells = self.nb.cells
        for cell in [c for c in cells if 'exports' in getattr(c, 'directives_', {})]:
            i = next(i for i, c in enumerate(cells) if c is cell)
            docs = next((n for n, c in enumerate(cells[i+1:]) if not getattr(c, 'has_sd', False)), len(cells)-i-1)
            cells.insert(i+docs, cells.pop(i))
        title = next((n for n, c in enumerate(cells) if c.cell_type == 'markdown'), None)
        if title is not None: cells.insert(title+1, mk_cell(OPEN.format(Path(self.nb.path_).name), 'markdown'))


def for_site(cell):
    "Make a processed cell fit for both renderers: raw HTML as Markdown, links that lead somewhere, exported imports folded."
    if cell.source.startswith(SHOWN) and only_imports(cell.source):
        cell.source = cell.source.replace(SHOWN, '#| code-fold: true', 1)
    for out in cell.get('outputs', []): html_as_markdown(out.get('data', {}))
    if cell.cell_type == 'markdown': cell.source = link_torch(mend_links(cell.source))
    for out in cell.get('outputs', []):
        data = out.get('data', {})
        if 'text/markdown' in data: data['text/markdown'] = mend_links(''.join(data['text/markdown']))


def only_imports(code):
    "Whether the code does nothing but import."
    return all(isinstance(t, (ast.Import, ast.ImportFrom)) for t in ast.parse(code).body)


def html_as_markdown(data):
    "Turn a `text/html` output into Markdown that holds it: for plain HTML, Quarto would load scripts from elsewhere."
    html = ''.join(data.pop('text/html', ''))
    if not html or 'text/markdown' in data: return
    ticks = max([2, *map(len, re.findall('`+', html))]) + 1
    data['text/markdown'] = f'{"`"*ticks}{{=html}}\n{html}\n{"`"*ticks}\n'


def mend_links(md):
    "Make nbdev's links to names relative; drop its links to a source repository as long as there is none."
    cfg = get_config()
    if not cfg.git_url: md = SOURCE_LINK.sub('', md)
    md = md.replace('__main__.', '')  # where `show_doc` finds a class that the notebook itself defines
    md = LINKED_HEADING.sub(r'\1\2', md)  # a heading is where links lead to
    return md if cfg.doc_host else NAME_LINK.sub(_relative, md)


def _relative(link):
    "The relative form of a link to a name, and to a heading that the page has."
    name, page, anchor = link.groups()
    if anchor.split('.')[-1].startswith('_'): return name  # private or special: documented nowhere
    if anchor in methods(): anchor = anchor.split('.')[0]  # documented with its class
    return f'[{name}]({page}#{anchor})'


@cache
def methods():
    "The methods written inside a class, as nbdev names their headings: `class.method`, lowercase."
    trees = (ast.parse(f.read_text(encoding='utf-8')) for f in get_config().lib_path.glob('*.py'))
    classes = [c for t in trees for c in t.body if isinstance(c, ast.ClassDef)]
    return {f'{c.name}.{f.name}'.lower() for c in classes for f in c.body if isinstance(f, ast.FunctionDef)}
