"""From notebooks to a website: what nbdev prepares in `_proc/`, rendered by Quarto or by smalldocs.

Quarto is nbdev's own renderer and needs nothing from us. smalldocs comes with pip, reads the same `_quarto.yml`, and
lacks a few of Quarto's ways; `render_smalldocs` supplies them on a copy of `_proc/`, one function for each.
"""
import base64, html, json, os, re, shutil, struct, tempfile
from pathlib import Path

import yaml

from tools.finish import light
from tools.pages import with_reference
from tools.theme import dress

ROOT = Path(__file__).resolve().parents[1]
PAGE = '.ipynb'
NOT_RESOURCES = {'.ipynb', '.qmd', '.md', '.yml', '.yaml', '.scss', '.py'}
NOT_SHOWN = {'saved_models', 'data', 'matplotlibrc'}  # what the notebooks leave beside them when they are run, and how their figures look
IMAGES = {'image/svg+xml': 'svg', 'image/png': 'png', 'image/jpeg': 'jpg'}


# ---- with Quarto

def render_quarto(out, n_workers):
    "Build the site as `nbdev-docs` does: prepare, render with Quarto, leave it in `_docs/`."
    from nbdev.quarto import nbdev_docs
    os.chdir(ROOT)
    if stale(ROOT/'_proc'): shutil.rmtree(ROOT/'_proc', ignore_errors=True)
    with with_reference(): nbdev_docs.__wrapped__(n_workers=n_workers)
    if out != ROOT/'_docs': replace(out, ROOT/'_docs')
    return []


def replace(old, new):
    "Move the folder `new` to where `old` is."
    if old.exists(): shutil.rmtree(old)
    shutil.move(new, old)


# ---- with smalldocs

def render_smalldocs(out, n_workers):
    "Build the site with smalldocs into `out`; returns its warnings."
    from smalldocs.site import build
    proc = prepare(n_workers)
    with tempfile.TemporaryDirectory() as tmp:
        src = Path(tmp)/'src'
        shutil.copytree(proc, src, ignore=shutil.ignore_patterns('_docs', '.quarto'))
        names = page_names(src)
        for old, new in names.items(): prepare_page(src, old, new, names)
        write_config(src, names)
        site = build(src, quiet=True)
        warnings = list(site.warnings)
        for page in site.out.rglob('*.html'):
            text, faults = finish_page(page.read_text(encoding='utf-8'), site.out)
            page.write_text(text, encoding='utf-8')
            warnings += [f'{page.relative_to(site.out)}: {f}' for f in faults]
        dress(site.out, site.project.website['sidebar']['contents'])
        order_llms(site.out, [n.removesuffix(PAGE) for n in site.project.website['sidebar']['contents'] if isinstance(n, str)])
        replace(out, site.out)
    return warnings


def prepare(n_workers):
    "Have nbdev prepare `_proc/`, as `nbdev-docs` does before it calls Quarto; returns the folder."
    from nbdev.quarto import refresh_quarto_yml
    from nbdev.serve import proc_nbs
    os.chdir(ROOT)
    refresh_quarto_yml()
    with with_reference(): return proc_nbs(ROOT/'nbs', n_workers=n_workers, force=stale(ROOT/'_proc'))


def stale(proc):
    "Whether `_proc/` may hold pages made by older code: nbdev itself only compares each page with its notebook."
    code = [*(ROOT/'tools').glob('*.py'), *(ROOT/'mnist_cnn').glob('*.py'), ROOT/'settings.ini']
    return not proc.exists() or any(f.stat().st_mtime > proc.stat().st_mtime for f in code)


def page_names(src):
    "Each page's file and the file that gives it the name Quarto would (`01_conv.ipynb` → `conv.ipynb`, from `output-file`)."
    def name(p):
        head = json.loads(p.read_text(encoding='utf-8'))['cells'][0]
        found = re.search(r'^output-file: (.+)\.html$', ''.join(head['source']), re.M) if head['cell_type'] == 'raw' else None
        return (found.group(1) if found else p.stem) + PAGE
    return {p.name: name(p) for p in sorted(src.glob('*' + PAGE))}


def prepare_page(src, old, new, names):
    "Give a page its name, lead its links to the others' names, and save its pictures as files."
    nb = json.loads((src/old).read_text(encoding='utf-8'))
    (src/old).unlink()
    head = nb['cells'][0]
    if head['cell_type'] == 'raw':  # the name is given here, and smalldocs would warn of the key
        head['source'] = re.sub(r'^output-file: .*\n', '', ''.join(head['source']), flags=re.M)
    for cell in nb['cells']:
        if cell['cell_type'] == 'markdown': cell['source'] = follow_names(''.join(cell['source']), names)
        if cell['cell_type'] != 'code': continue
        save_pictures(cell, src, Path(new).stem)
        for o in cell['outputs']:
            if 'text/markdown' in o.get('data', {}):
                o['data']['text/markdown'] = follow_names(''.join(o['data']['text/markdown']), names)
    (src/new).write_text(json.dumps(nb, ensure_ascii=False), encoding='utf-8')


def follow_names(md, names):
    "Lead links to a notebook (`](01_conv.ipynb#x)`) to the page's name, and those in raw HTML, which smalldocs leaves alone, to the page."
    md = re.sub(r'(href=")([\w.-]+\.ipynb)', lambda m: m[1] + Path(names.get(m[2], m[2])).with_suffix('.html').name, md)
    return re.sub(r'(\]\()([\w.-]+\.ipynb)', lambda m: m[1] + names.get(m[2], m[2]), md)


def save_pictures(cell, src, stem):
    "Save a cell's pictures beside the page and show them with their caption (Markdown in it works) and alternative text."
    from smalldocs.notebook import cell_options
    opts, _ = cell_options(''.join(cell['source']))
    caps, alts = (v if isinstance(v, list) else [v] if v else [] for v in (opts.get('fig-cap'), opts.get('fig-alt')))
    pictures = [o for o in cell['outputs'] if IMAGES.keys() & o.get('data', {}).keys()]
    for n, o in enumerate(pictures):
        mime = next(m for m in IMAGES if m in o['data'])
        raw = ''.join(o['data'][mime])
        file = Path(f'{stem}_files')/f'{cell["id"]}-{n}.{IMAGES[mime]}'
        (src/file).parent.mkdir(exist_ok=True)
        (src/file).write_bytes(raw.encode() if mime == 'image/svg+xml' else light(base64.b64decode(raw)))
        cap, alt = (v[min(n, len(v)-1)] if v else '' for v in (caps, alts))
        attr = str(alt or cap).replace('"', '”')  # smalldocs' attributes cannot hold a straight one
        o['data'] = {'text/markdown': f'![{cap}]({file.as_posix()}){{fig-alt="{attr}"}}' if cap
                     else f'```{{=html}}\n<p><img src="{file.as_posix()}" alt="{attr}" class="img-fluid"></p>\n```'}


def write_config(src, names):
    "Write the whole configuration for smalldocs in one file: our names for pages, and without what only Quarto reads."
    cfg = yaml.safe_load((src/'_quarto.yml').read_text(encoding='utf-8'))
    for extra in cfg.pop('metadata-files', []): merge(cfg, yaml.safe_load((src/extra).read_text(encoding='utf-8')))
    cfg.pop('format-links', None)                  # nbdev's, for the second format
    cfg['format'].pop('commonmark', None)          # the second format; smalldocs writes Markdown copies of its own, below
    cfg['format']['html'].pop('html-math-method')  # `finish_page` does the maths
    web = cfg['website']
    web['llms-txt'] = True
    web.pop('site-url', None)                      # links stay relative; `finish` gives the addresses
    cfg['project'].pop('post-render', None)
    cfg['format']['html'].pop('respect-user-color-scheme', None)  # smalldocs always does
    web['sidebar']['contents'] = [c if isinstance(c, dict) else names.get(c, c) for c in web['sidebar']['contents']]
    files = [p.relative_to(src).as_posix() for p in src.rglob('*') if p.is_file() and p.suffix not in NOT_RESOURCES
             and p.relative_to(src).parts[0] not in NOT_SHOWN]
    cfg['project']['resources'] = sorted(files)    # whatever raw HTML in a page may ask for
    (src/'_quarto.yml').write_text(yaml.safe_dump(cfg, allow_unicode=True, sort_keys=False), encoding='utf-8')


def merge(a, b):
    "Add to `a` what only `b` has, through nested mappings."
    for k, v in b.items():
        if isinstance(v, dict) and isinstance(a.get(k), dict): merge(a[k], v)
        else: a.setdefault(k, v)


# ---- what smalldocs wrote, made complete

MATHS = re.compile(r'<span class="math (inline|display)">\\[(\[](.*?)\\[)\]]</span>', re.S)
KATEX = re.compile(r'<(link|script)\b[^>]*katex[^>]*>(</script>)?')
IMG = re.compile(r'<img (?=[^>]*src="([^":]+)")')
NO_HEADER = re.compile(r'<th( [^>]*)?></th>')
TEXT = re.compile(r'\\text\w*\{[^{}]*\}')


def finish_page(text, site):
    "A page with its maths as MathML, named landmarks and the sizes of its pictures; returns it and what could not be converted."
    faults = []
    text = MATHS.sub(lambda m: mathml(html.unescape(m[2]), m[1], faults), text)
    text = KATEX.sub('', text)
    text = NO_HEADER.sub(r'<td\1></td>', text)
    return IMG.sub(lambda m: f'<img loading="lazy"{size(site/m[1])} ', text), faults


def mathml(tex, kind, faults):
    "One formula as MathML, with its TeX kept for whoever copies it; a formula that cannot be converted is a fault."
    from latex2mathml.converter import convert
    plain = TEXT.sub(lambda m: m[0].replace(r'\_', '_'), tex)  # as TeX wants it, and latex2mathml would print it
    try: math = convert(plain, display='block' if kind == 'display' else 'inline')
    except Exception as e:
        faults.append(f'maths cannot be converted ({type(e).__name__}: {e}): {tex}')
        return html.escape(tex)
    if unknown := re.findall(r'>(\\[A-Za-z]+)<', math): faults.append(f'maths has unknown commands {" ".join(unknown)}: {tex}')
    return f'<span class="math {kind}">{math}</span>'


def size(file):
    "The width and height at which a PNG shows in its drawn size (its dots per inch against CSS's 96), as attributes."
    if file.suffix != '.png' or not file.is_file(): return ''
    data = file.read_bytes()
    w, h = struct.unpack('>II', data[16:24])
    at = data.find(b'pHYs')
    dots = struct.unpack('>I', data[at+4:at+8])[0] if at > 0 else 0  # per metre, horizontally
    scale = 96 / (dots*.0254) if dots else 1
    return f' width="{w*scale:.0f}" height="{h*scale:.0f}"'


def order_llms(site, order):
    "List the pages in `llms.txt` in the order of the sidebar, where smalldocs takes that of the alphabet, each with what it is about."
    head, _, pages = (site/'llms.txt').read_text(encoding='utf-8').partition('\n- ')
    place = {f'{n}.llms.md': i for i, n in enumerate(order)}
    def name(line): return line[line.rfind('(') + 1:-1]
    def about(line):
        page = (site/name(line)).with_suffix('').with_suffix('.html').read_text(encoding='utf-8')
        found = re.search(r'''<meta name="description" content=(["'])(.*?)\1>''', page)
        return f'{line}: {html.unescape(found[2])}' if found else line
    lines = map(about, sorted(('- ' + pages).splitlines(), key=lambda l: place.get(name(l), len(order))))
    (site/'llms.txt').write_text('\n'.join([head, *lines, '']), encoding='utf-8')
