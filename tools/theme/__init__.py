"""The site's own shell around what smalldocs made of a notebook: bar, chapters, the page's contents, the way on, and nothing of Bootstrap.

`dress` takes from each page its title, description, contents and text, and writes a page of ours; the style and the scripts
beside this file go into the site once.
"""
import html, json, re, shutil
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
POLICY = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; base-uri 'self'"
NUMBERED = ('Learn', 'Go faster')  # the parts whose pages are chapters
MARK = ('<svg viewBox="0 0 26 26" aria-hidden="true"><rect x="1" y="1" width="24" height="24" rx="5" fill="none" stroke="currentColor" stroke-width="2"/>'
        '<rect x="4.5" y="4.500" width="10" height="10" rx="1.5" fill="var(--accent)"/><rect x="17" y="17" width="4.5" height="4.500" rx="1" fill="var(--link)"/></svg>')
MENU = '<svg viewBox="0 0 20 20" aria-hidden="true"><path d="M3 5h14M3 10h14M3 15h9"/></svg>'
SUN = '<svg class="sun" viewBox="0 0 20 20" aria-hidden="true"><circle cx="10" cy="10" r="3.5"/><path d="M10 2v2M10 16v2M2 10h2M16 10h2M4.300 4.300l1.400 1.400M14.300 14.300l1.400 1.400M15.700 4.300l-1.400 1.400M5.700 14.300l-1.400 1.400"/></svg>'
MOON = '<svg class="moon" viewBox="0 0 20 20" aria-hidden="true"><path d="M8 3a7 7 0 1 0 9 9 6 6 0 0 1-9-9z"/></svg>'
PAGE = '''<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="description" content="{about}"><title>{title}</title>
<link rel="icon" href="favicon.svg"><link rel="preload" href="fonts/text.woff2" as="font" type="font/woff2" crossorigin><link rel="preload" href="fonts/text-bold.woff2" as="font" type="font/woff2" crossorigin>
<script src="scheme.js"></script><link rel="stylesheet" href="site.css"><script src="shell.js" defer></script><script src="site.js" defer></script></head>
<body><a class="skip" href="#quarto-document-content">Skip to the text</a>
<header id="quarto-header"><button type="button" class="quarto-btn-toggle" aria-controls="quarto-sidebar" aria-expanded="false" aria-label="Contents">{menu}</button>
<a class="brand" href="index.html" aria-label="{site}, front page">{mark}<span>{site}</span></a><span class="where">{where}</span>
<div id="quarto-search" role="search"><input type="search" placeholder="Search" aria-label="Search" autocomplete="off"><div class="search-results" hidden></div></div>
<button type="button" class="quarto-color-scheme-toggle" aria-pressed="false" aria-label="Dark theme">{sun}{moon}</button></header>
<div id="quarto-content"><nav id="quarto-sidebar" aria-label="Chapters">{chapters}</nav>
<main id="quarto-document-content" class="content">{main}{ways}</main>{contents}</div></body></html>
'''


class Place:
    "A page's place in the book: its file, title, part, number and description."
    def __init__(self, file, text, part, number):
        self.file, self.part, self.number = file, part, number
        self.head = html.unescape(re.search(r'<h1 class="title">(.*?)</h1>', text, re.S)[1]) if 'class="title"' in text else file
        self.head = re.sub('<[^>]+>', '', self.head)
        found = re.search(r'<meta name="description" content=(["\'])(.*?)\1>', text, re.S)
        self.about = html.unescape(found[2]) if found else ''

    @property
    def name(self): return 'Draw a digit' if self.file == 'index.html' else self.head


def dress(site, contents):
    "Write every page of the built site again, in the order of the sidebar's contents, and the style and scripts that it needs."
    places = list(placed(site, contents))
    for n, place in enumerate(places):
        page = site/place.file
        page.write_text(dressed(page.read_text(encoding='utf-8'), place, places, n), encoding='utf-8')
    shutil.rmtree(site/'site_libs', ignore_errors=True)
    styles = [HERE/'theme.css', site/'styles.css']
    (site/'site.css').write_text('\n'.join(small(f.read_text(encoding='utf-8')) for f in styles), encoding='utf-8')
    (site/'styles.css').unlink()
    for script in ('shell.js', 'scheme.js'): shutil.copy(HERE/script, site)
    write_404(site, places)
    with_terms(site)


def placed(site, contents):
    "The pages in their order, each with its part and, in the numbered parts, its number."
    part, number = '', 0
    for entry in contents:
        if isinstance(entry, dict) and 'href' not in entry: part = entry['text']; continue
        file = Path(entry['href'] if isinstance(entry, dict) else entry).with_suffix('.html').name
        number += part in NUMBERED
        yield Place(file, (site/file).read_text(encoding='utf-8'), part, number if part in NUMBERED else None)


def dressed(text, place, places, n):
    "One page: what smalldocs made of the notebook, in our shell."
    main = re.search(r'<main\b[^>]*>(.*)</main>', text, re.S)[1]
    main = re.sub(r'<nav\b[^>]*class="page-navigation".*?</nav>', '', main, flags=re.S)
    if place.number: main = main.replace('<div class="quarto-title">', f'<p class="eyebrow">{place.part} · Chapter {place.number}</p><div class="quarto-title">', 1)
    toc = re.search(r'<nav id="TOC".*?</h2>(.*?)</nav>', text, re.S)
    short = toc and all(len(html.unescape(w)) < 3 for w in re.findall(r'<a\b[^>]*>(.*?)</a>', toc[1], re.S))  # the letters of the glossary
    listed = f'<nav id="TOC"{" class=letters" if short else ""} aria-label="On this page"><h2>On this page</h2>{toc[1]}</nav>' if toc else ''
    where = f'Chapter {place.number} of {max(p.number or 0 for p in places)}' if place.number else place.part if place.file != 'index.html' else ''
    title = place.head if place.file == 'index.html' else f'{place.head} – mnist_cnn'
    return filled(title, place.about, main, ways(places, n), chapters(places, place), listed, where)


def filled(title, about, main, way, listed, contents, where):
    "The frame with its parts."
    return PAGE.format(policy=html.escape(POLICY, quote=False), about=html.escape(about), title=html.escape(title, quote=False), site='mnist_cnn', menu=MENU, mark=MARK, sun=SUN,
                       moon=MOON, where=html.escape(where), chapters=listed, main=main, ways=way, contents=contents)


def chapters(places, here):
    "The chapters in their parts; the reference, long and for looking up, is closed where it is not read."
    out, part = [], None
    for p in places:
        if p.part != part:
            if part is not None: out.append('</ol>' + ('</details>' if part == 'Reference' else ''))
            name = html.escape(p.part)
            if p.part == 'Reference': out.append(f'<details{" open" if here and here.part == "Reference" else ""}><summary class="sidebar-part">{name}</summary>')
            elif p.part: out.append(f'<p class="sidebar-part">{name}</p>')
            out.append('<ol>')
            part = p.part
        active = ' active" aria-current="page' if p is here else ''
        number = f'<i>{p.number}</i>' if p.number else ''
        out.append(f'<li><a class="sidebar-link{active}" href="{p.file}">{number}<span>{html.escape(p.name)}</span></a></li>')
    return ''.join(out) + '</ol>' + ('</details>' if part == 'Reference' else '')


def ways(places, n):
    "Cards that lead to the page before and to the next, each with what it is about."
    def card(p, kind, word):
        number = f'Chapter {p.number}: ' if p.number else ''
        return f'<div class="nav-page nav-page-{kind}"><a href="{p.file}"><small>{word}</small><b>{number}{html.escape(p.name)}</b><small>{html.escape(p.about)}</small></a></div>'
    cards = (card(places[n-1], 'previous', 'Before') if n else '') + (card(places[n+1], 'next', 'Next') if n + 1 < len(places) else '')
    return f'<nav class="page-navigation" aria-label="Previous and next page">{cards}</nav>'


def small(css):
    "A style without comments and line breaks."
    return re.sub(r'\s*\n\s*', '\n', re.sub(r'/\*.*?\*/', '', css, flags=re.S)).strip()


def write_404(site, places):
    "The page that a host shows where there is none: with the chapters, so that a reader finds the way."
    main = ('<header class="quarto-title-block"><div class="quarto-title"><h1 class="title">This page is not here</h1></div>'
            '<p class="description">Perhaps it has moved, or the address has a slip. The chapters are at the side, and the search above knows every page.</p></header>'
            '<p><a class="start" href="index.html">To the front page</a></p>')
    (site/'404.html').write_text(filled('Not found – mnist_cnn', 'There is no page at this address', main, '', chapters(places, None), '', ''), encoding='utf-8')


def with_terms(site):
    "Give each entry of the search index the terms that its section defines, which stand there in bold."
    index = json.loads((site/'search.json').read_text(encoding='utf-8'))
    bold, texts = {}, {}
    for entry in index:
        file, _, anchor = entry['href'].partition('#')
        if file not in texts: texts[file] = re.search(r'<main\b.*</main>', (site/file).read_text(encoding='utf-8'), re.S)[0]
        if file not in bold: bold[file] = by_section(texts[file])
        entry['terms'] = '|'.join(bold[file].get(anchor, []))
    (site/'search.json').write_text(json.dumps(index, ensure_ascii=False, separators=(',', ':')), encoding='utf-8')


def by_section(text):
    "The terms in bold of each section, by its anchor ('' before the first)."
    found, anchor = {}, ''
    for m in re.finditer(r'<section\b[^>]*\bid="([^"]+)"|<strong>(.*?)</strong>', text, re.S):
        if m[1]: anchor = m[1]
        else: found.setdefault(anchor, []).append(html.unescape(re.sub('<[^>]+>', '', m[2])))
    return found
