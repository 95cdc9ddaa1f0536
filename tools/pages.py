"""What every page goes through before it is rendered, with Quarto as with smalldocs.

`doc_procs` in pyproject.toml names the two: nbdev makes a `ShowSource` for each notebook before it
processes anything, and calls `for_site` on each cell after all else.
"""
import ast, json, re
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from nbdev.config import get_config
from nbdev.process import Processor
from fastcore.nbio import mk_cell

from tools import sidebar
from tools.home import BRANCH, home, source_links
from tools.torch_names import link_torch
from tools.wrap import wrapped, wrapped_c

# what `show_doc` writes above a signature, and what nbdev makes of a name in backticks
SOURCE_LINK = re.compile(r'\[source\]\(\S*?/blob/[^/]+/([^)#]*)[^)]*\)(\{[^}]*\}\n*)(?=#+ (\S+))')
NAME_LINK = re.compile(r'\[(`[^`]+`)\]\(/([\w.-]+\.html)#([\w.-]+)\)')
LONG = 15  # lines of a cell that are still shown open
OPEN = ('<p class="open-notebook"><a href="notebooks/{0}" download>Open this notebook</a> '
        '<span>{0}, to run in JupyterLab</span>{1}</p>')  # `copy_notebooks` puts them there
LINKED_HEADING = re.compile(r'^(#+ .*?)\[(`[^`]+`)\]\([^)]*\)', re.M)


class ShowSource(Processor):
    "Show an exported cell once, as the cell it is, folded where it is long, as a block of imports is; offer the notebook. Signatures stand on pages of their own."
    def __init__(self, nb):
        super().__init__(nb)
        if Path(nb.path_).stem.startswith('reference_'): return
        for cell in nb.cells:
            if 'export' not in cell.directives_:
                if cell.cell_type == 'code' and not cell.directives_ and cell.source.count('\n') > 2 and only_imports(cell.source):
                    cell.source = '#| code-fold: true\n#| code-summary: "Imports"\n' + cell.source
                continue
            del cell.directives_['export']  # or nbdev would hide the cell, document its names here and run it for that
            if only_imports(cell.source):
                cell.directives_['hide'] = []
                continue
            if len(cell.source.splitlines()) > LONG and 'code-fold' not in cell.source: cell.source = '#| code-fold: true\n' + cell.source
            if 'code-summary' not in cell.source and 'code-fold' in cell.source: cell.source = f'#| code-summary: "{title_of(cell.source)}"\n' + cell.source

    def begin(self):
        name = Path(self.nb.path_).name
        if not name.startswith('reference_'): self.nb.cells.append(mk_cell(OPEN.format(name, source_links(name)), 'markdown'))


def title_of(code):
    "What a folded cell holds: its public names, as a reader would look for them."
    names = [t.name for t in ast.parse(code).body if isinstance(t, (ast.FunctionDef, ast.ClassDef))]
    return 'Code of ' + ', '.join([n for n in names if not n.startswith('_')] or names or ['constants'])


@cache
def modules():
    "Of each page, the module that its notebook makes: `{'conv': 'conv', 'generalization': 'recipes', …}`."
    found = {}
    for f in sorted(get_config().nbs_path.glob('[0-9]*.ipynb')):
        if m := re.search(r'#\| *default_exp (\w+)', f.read_text(encoding='utf-8')): found[re.sub(r'^\d+[a-z]*_', '', f.stem)] = m[1]
    return found


def reference(module):
    "A notebook that documents every public name of a module, with nbdev's own `show_doc`."
    tree = ast.parse((get_config().lib_path/f'{module}.py').read_text(encoding='utf-8'))
    names = next((ast.literal_eval(t.value) for t in tree.body if isinstance(t, ast.Assign) and getattr(t.targets[0], 'id', '') == '__all__'), [])
    documented = {t.name for t in tree.body if isinstance(t, (ast.FunctionDef, ast.ClassDef))}
    cells = [mk_cell(f'# mnist_cnn.{module}\n\n> {ast.get_docstring(tree) or module}', 'markdown'),
             mk_cell('#| hide\nfrom nbdev.showdoc import *'), mk_cell(f'#| hide\nfrom mnist_cnn.{module} import *')]
    cells += [mk_cell(f'#| echo: false\nshow_doc({n})') for n in names if n in documented]
    return {'cells': [{'cell_type': c.cell_type, 'id': f'{i:08x}', 'metadata': {}, 'source': c.source,
                       **({'outputs': [], 'execution_count': None} if c.cell_type == 'code' else {})} for i, c in enumerate(cells)],
            'metadata': {'kernelspec': {'display_name': 'python3', 'language': 'python', 'name': 'python3'}}, 'nbformat': 4, 'nbformat_minor': 5}


@contextmanager
def with_reference():
    "In this block, the reference pages stand among the notebooks, and in the sidebar."
    files = {get_config().nbs_path/f'reference_{m}.ipynb': m for m in modules().values()}
    try:
        for f, m in files.items(): f.write_text(json.dumps(reference(m)), encoding='utf-8')
        sidebar.main()
        yield
    finally:
        for f in files: f.unlink(missing_ok=True)
        sidebar.main()


def for_site(cell):
    "Make a processed cell fit for both renderers: raw HTML as Markdown, links that lead somewhere, code of at most 80 columns."
    cell.get('metadata', {}).pop('execution', None)  # for it Quarto would wrap the cell, and headings in it would not be listed
    if cell.cell_type == 'code': cell.source = wrapped(options_once(caption_each(cell)))
    for out in cell.get('outputs', []): html_as_markdown(out.get('data', {}))
    if cell.cell_type == 'markdown': cell.source = wrap_code(link_torch(mend_links(cell.source)))
    for out in cell.get('outputs', []):
        data = out.get('data', {})
        if 'text/markdown' in data: data['text/markdown'] = wrap_code(mend_links(''.join(data['text/markdown'])))


C = re.compile(r'(?<=^```c\n)(.*?)(?=\n```$)', re.M | re.S)
PYTHON = re.compile(r'(?<=^```python\n)(.*?)(?=\n```$)', re.M | re.S)


def wrap_code(md):
    "Markdown with its blocks of Python and C in lines that fit, signatures without a body among them."
    def fit(m):
        if not (signature := re.fullmatch(r'\s*def .*\n\)[^\n]*:[^\n]*\s*', m[0], re.S)): return wrapped(m[0])
        whole = signature[0].rstrip().replace('=<factory>', '=FACTORY__') + '\n    pass'
        return wrapped(whole).removesuffix('\n    pass').replace('=FACTORY__', '=<factory>')
    return C.sub(lambda m: wrapped_c(m[0]), PYTHON.sub(fit, md))


OPTION = re.compile(r'^#\| *([\w-]+) *:.*\n?', re.M)
PICTURES = {'image/png', 'image/jpeg', 'image/svg+xml'}


def options_once(code):
    "The code with each of its options once, the cell's own rather than the one that nbdev put before it: Quarto stops at a second."
    last = {m[1]: m.start() for m in OPTION.finditer(code)}
    return OPTION.sub(lambda m: m[0] if m.start() == last[m[1]] else '', code)


def caption_each(cell):
    "The code, with a caption and an alternative text for each of the cell's pictures: Quarto would give a single one to the first only."
    n = sum(bool(PICTURES & o.get('data', {}).keys()) for o in cell.get('outputs', []))
    if n < 2: return cell.source
    return re.sub(r'^(#\| *fig-(?:cap|alt): *)([^\[\n ].*)$', lambda m: m[1] + '[' + ', '.join([m[2].strip()] * n) + ']', cell.source, flags=re.M)


def only_imports(code):
    "Whether the code does nothing but import."
    try: body = ast.parse(code).body
    except SyntaxError: return False
    return all(isinstance(t, (ast.Import, ast.ImportFrom)) for t in body)


def html_as_markdown(data):
    "Turn a `text/html` output into Markdown that holds it: for plain HTML, Quarto would load scripts from elsewhere."
    html = ''.join(data.pop('text/html', ''))
    if not html or 'text/markdown' in data: return
    ticks = max([2, *map(len, re.findall('`+', html))]) + 1
    data['text/markdown'] = f'{"`"*ticks}{{=html}}\n{html}\n{"`"*ticks}\n'


def mend_links(md):
    "Make nbdev's links to names relative; drop its links to a source repository as long as there is none."
    cfg = get_config()
    md = SOURCE_LINK.sub(lambda m: f'[source]({home()[0]}/blob/{BRANCH}/{m[1]}#L{line_of(m[3], m[1])}){m[2]}' if home()[0] else '', md)
    md = md.replace('__main__.', '')  # where `show_doc` finds a class that the notebook itself defines
    md = LINKED_HEADING.sub(r'\1\2', md)  # a heading is where links lead to
    return md if cfg.doc_host else NAME_LINK.sub(_relative, md)


def line_of(name, file):
    "The line of a module at which a function, class or method is defined."
    body, line = ast.parse((get_config().config_path/file).read_text(encoding='utf-8')).body, 1
    for part in name.split('.'):
        found = next((t for t in body if getattr(t, 'name', None) == part), None)
        if found is None: break
        body, line = found.body, found.lineno
    return line


def _relative(link):
    "The relative form of a link to a name, and to a heading that the page has."
    name, page, anchor = link.groups()
    if anchor.split('.')[-1].startswith('_'): return name  # private or special: documented nowhere
    if anchor in methods(): anchor = anchor.split('.')[0]  # documented with its class
    module = modules().get(page.removesuffix('.html'))
    there = module and (get_config().nbs_path/f'reference_{module}.ipynb').exists()  # plain `nbdev-docs` makes none
    return f'[{name}](reference_{module}.html#{anchor})' if there else name


@cache
def methods():
    "The methods written inside a class, as nbdev names their headings: `class.method`, lowercase."
    trees = (ast.parse(f.read_text(encoding='utf-8')) for f in get_config().lib_path.glob('*.py'))
    classes = [c for t in trees for c in t.body if isinstance(c, ast.ClassDef)]
    return {f'{c.name}.{f.name}'.lower() for c in classes for f in c.body if isinstance(f, ast.FunctionDef)}
