"""Check a built website, whichever renderer made it, for broken links and anchors, files from other hosts, and math left as TeX."""
import re
from html.parser import HTMLParser
from urllib.parse import unquote, urljoin, urlsplit

VOID = {'area', 'base', 'br', 'col', 'embed', 'hr', 'img', 'input', 'link', 'meta', 'source', 'track', 'wbr'}
NO_PROSE = {'script', 'style', 'code', 'pre', 'math', 'textarea', 'annotation'}
LOADING_RELS = {'stylesheet', 'preload', 'modulepreload', 'prefetch', 'preconnect', 'dns-prefetch', 'icon', 'manifest'}
CSS_REF = re.compile(r'''url\(\s*["']?([^"')]+)|@import\s+["']([^"']+)''')
TEX = re.compile(r'\\\(|\\\[|\$\$|\$[^$\n]*[\\^_][^$\n]*\$')


class Page(HTMLParser):
    "What one page holds: its anchors, the links a reader may follow, what it loads, and its running text."
    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.loads, self.prose, self.open = set(), [], [], [], []
        self.maths_left = 0
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        a = {k: v or '' for k, v in attrs}
        self.ids |= {a[k] for k in ('id', 'name') if k in a}
        if tag not in VOID: self.open.append(tag)
        if tag in ('a', 'area') and 'href' in a: self.links.append(a['href'])
        if tag == 'link' and LOADING_RELS & set(a.get('rel', '').split()): self.loads.append(a.get('href', ''))
        if tag in ('image', 'use'): self.loads += [a[k] for k in ('href', 'xlink:href') if k in a]
        self.loads += [a[k] for k in ('src', 'poster', 'data') if k in a and (k != 'data' or tag == 'object')]
        self.loads += [s.split()[0] for s in a.get('srcset', '').split(',') if s.strip()]
        self.loads += css_refs(a.get('style', ''))

    def handle_endtag(self, tag):
        if tag in self.open:
            while self.open.pop() != tag: pass

    def handle_data(self, data):
        if self.open[-1:] == ['style']: self.loads += css_refs(data)
        elif not NO_PROSE & set(self.open): self.prose.append(data)


def css_refs(css):
    "What a piece of CSS loads."
    return [(a or b).strip() for a, b in CSS_REF.findall(css)]


def foreign(ref):
    "Whether a reference leads to another host."
    return bool(urlsplit(ref).netloc) or urlsplit(ref).scheme in ('http', 'https')


def site_faults(site):
    "A line for each fault of the site in the folder `site`."
    pages = {p.relative_to(site).as_posix(): Page(p.read_text(encoding='utf-8')) for p in sorted(site.rglob('*.html'))}
    if not pages: return [f'{site} contains no page']
    faults = []
    for name, page in pages.items():
        faults += [f'{name}: loads {ref} from another host' for ref in page.loads if foreign(ref)]
        faults += [f'{name}: {why}' for ref in dict.fromkeys(page.links + page.loads) if (why := broken(ref, name, site, pages))]
        faults += [f'{name}: math left as TeX: {" ".join(t.split())[:80]}' for t in page.prose if TEX.search(t)]
    for css in sorted(site.rglob('*.css')):
        name = css.relative_to(site).as_posix()
        for ref in css_refs(css.read_text(encoding='utf-8')):
            if foreign(ref): faults.append(f'{name}: loads {ref} from another host')
            elif why := broken(ref, name, site, pages): faults.append(f'{name}: {why}')
    return faults


def broken(ref, name, site, pages):
    "Why a reference on the page or stylesheet `name` leads nowhere, or None."
    to = urlsplit(ref)
    if to.scheme or to.netloc or not (to.path or to.fragment): return None
    if to.path.startswith('/'): return f'link to {ref} starts at the root of the host, make it relative'
    path = unquote(urljoin(name, to.path)) if to.path else name
    if path.startswith('..') or '/../' in path: return f'link to {ref} leaves the site'
    target = site/path
    if target.is_dir(): path, target = f'{path.rstrip("/")}/index.html'.lstrip('/'), target/'index.html'
    if not target.is_file(): return f'broken link to {ref}'
    if to.fragment and path in pages and unquote(to.fragment) not in pages[path].ids | {'top'}:
        return f'link to {ref}: the page has no such anchor'
    return None
