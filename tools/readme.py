"""Write README.md from nbs/index.ipynb, as `nbdev-readme` would, without Quarto: `python tools/readme.py`."""
import base64, os, posixpath, re, shutil, tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

FILES = 'index_files'  # where `nbdev-readme` puts the pictures that cells draw
IMAGES = {'image/svg+xml': 'svg', 'image/png': 'png', 'image/jpeg': 'jpg'}
SITE_ALONE = '<!-- on the site alone -->'
LINK = re.compile(r'(\]\(|(?:src|href)=")(?!\w+:|#|/)([^)"\s]+)')


def processed(notebook):
    "The notebook as nbdev prepares it for a page, without documentation of names and links to them."
    from fastcore.nbio import read_nb
    from nbdev.processors import FilterDefaults

    class ForReadme(FilterDefaults):
        def procs(self):
            return [p for p in self.base_procs() if p.__name__ not in ('add_show_docs', 'exec_show_docs', 'add_links')]

    nb = read_nb(notebook)
    ForReadme()(nb)
    return nb


def markdown(nb, root):
    "The processed notebook as Markdown; its pictures are written below `root`."
    import nbformat
    from nbconvert import MarkdownExporter
    from smalldocs.notebook import cell_options
    for cell in nb.cells:
        if cell.cell_type == 'markdown': cell.source = from_root(cell.source)
        if cell.cell_type != 'code': continue
        opts, code = cell_options(cell.source)
        cell.source = '' if opts.get('echo') is False else code
        cell.outputs = [o for o in cell.outputs if '<script' not in ''.join(o.get('data', {}).get('text/html', ''))]  # a widget: nothing runs there
        for n, out in enumerate(cell.outputs): show_picture(out, opts, root, f'{FILES}/{cell.id}-{n}')
    clean = {'nbformat': 4, 'nbformat_minor': 5, 'metadata': {'language_info': {'name': 'python'}}, 'cells': [
        {k: c[k] for k in ('id', 'cell_type', 'metadata', 'source', 'outputs', 'execution_count') if k in c} for c in for_readme(nb.cells[1:])]}  # the first is the title
    body, _ = MarkdownExporter().from_notebook_node(nbformat.from_dict(clean))
    body = re.sub(r'^```.*\n\s*```\n', '', body, flags=re.M)  # code that is not shown
    return re.sub(r'\n{3,}', '\n\n', f'{title(ROOT)}\n\n{body}').strip() + '\n'


def title(root):
    "The project's name and what it is; the front page's own title invites to draw, which a README cannot hold."
    about = tomllib.loads((root/'pyproject.toml').read_text(encoding='utf-8'))['project']
    return f'# {about["name"]}\n\n> {about["description"]}'


def for_readme(cells):
    "The cells without what is for the site alone, what shows nothing, and a heading that nothing is left under."
    kept = [c for c in cells if (not c.source.startswith(SITE_ALONE) if c.cell_type == 'markdown' else c.source or c.outputs)]
    def heading(c): return c is None or c.cell_type == 'markdown' and c.source.startswith('#')
    return [c for c, after in zip(kept, [*kept[1:], None]) if not (heading(c) and heading(after) and len(c.source.splitlines()) == 1)]


def from_root(md):
    "Make relative links and pictures lead from the project's root rather than from nbs/."
    return LINK.sub(lambda m: m[1] + posixpath.normpath(posixpath.join('nbs', m[2])), md)


def show_picture(out, opts, root, name):
    "Turn an output that holds a picture into Markdown that shows its file."
    data = out.get('data', {})
    mime = next((m for m in IMAGES if m in data), None)
    if not mime: return
    raw, file = ''.join(data[mime]), f'{name}.{IMAGES[mime]}'
    (root/file).parent.mkdir(exist_ok=True)
    (root/file).write_bytes(raw.encode() if mime.startswith('image/svg') else base64.b64decode(raw))
    cap, alt = opts.get('fig-cap', ''), opts.get('fig-alt', '')
    out['data'] = {'text/markdown': f'![{alt or cap}]({file})' + (f'\n\n*{cap}*' if cap else '')}


def main():
    os.chdir(ROOT)
    shutil.rmtree(ROOT/FILES, ignore_errors=True)
    (ROOT/'README.md').write_text(markdown(processed(ROOT/'nbs/index.ipynb'), ROOT), encoding='utf-8')


if __name__ == '__main__': main()
