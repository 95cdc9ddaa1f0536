"What is asked of every page of the book. A page is loaded once, and the checks look at it one after another."
import re, time
from pathlib import Path

import pytest
from conftest import LONG
from pages import NOTEBOOKS, PAGES, from_npm, judge_by_axe, load_pictures, texts, watched

ROOT = Path(__file__).resolve().parents[1]
LESSONS = [re.sub(r'^\d+[a-z]*_', '', p.stem) for p in NOTEBOOKS if p.stem[:2] < '25' and p.stem not in ('index', '11_glossary')]
MOVING = '<animate|animation:'
PICTURES = {'image/png', 'image/jpeg', 'image/svg+xml'}
WIDE, NARROW = ('light', 1200), ('dark', 320)
BOTH = PAGES if LONG else ('index', 'conv', 'training', 'playground')  # looked at in both ways; the others, made of the same parts, in turn


def drawn(kind, what=''): return [p for p, cells in PAGES.items() if any(re.search(what, ''.join(o.get('data', {}).get(kind, ''))) for c in cells for o in c.get('outputs', []) if kind in o.get('data', {}))]
def written(what): return {p for p, cells in PAGES.items() if any(what in t for t in texts(cells, 'markdown'))}


@pytest.fixture(scope='module', params=PAGES)
def page(request):
    "The name of a page."
    return request.param


@pytest.fixture(scope='module')
def loaded(browser, address, page):
    "The page, loaded to its end: all its pictures; `lazy` tells whether they waited for a reader."
    context = browser.new_context(base_url=address, color_scheme='light', viewport={'width': 1200, 'height': 900})
    tab = watched(context.new_page(), address)
    tab.response = tab.goto(f'/{page}.html')
    tab.lazy = tab.evaluate('[...document.querySelectorAll("main img")].every(i => i.loading === "lazy")')
    load_pictures(tab)
    tab.folds = tab.evaluate_handle('[...document.querySelectorAll("main details")].map(d => [d, d.open])')
    yield tab
    context.close()


@pytest.fixture
def tab(loaded):
    "The page as a reader meets it, whatever the test before did."
    loaded.set_viewport_size({'width': 1200, 'height': 900})
    loaded.emulate_media(media='screen', color_scheme='light')
    loaded.evaluate('folds => folds.forEach(([d, open]) => { d.open = open; })', loaded.folds)
    yield loaded
    assert loaded.faults == []


def fold(tab, opened): tab.evaluate('open => document.querySelectorAll("main details").forEach(d => d.open = open)', opened)


def test_page(tab, page):
    "It is there, from this host alone, and does not scroll sideways."
    assert tab.response.status == 200
    for width in 320, 1200:
        tab.set_viewport_size({'width': width, 'height': 800})
        tab.wait_for_timeout(100)  # for what fits itself to the width
        wide = tab.evaluate('document.scrollingElement.scrollWidth')
        assert wide <= width, f'{wide} px of content in {width}'
    assert tab.locator('h1').count() == 1
    said = tab.evaluate('[...document.querySelectorAll("main p, main li, main td")].map(e => e.textContent).join("\\n")')
    assert not re.findall(r'\]\([\w./#]+\)', said), 'a link has stayed Markdown'


def test_pictures(tab, page):
    "Every picture shows and says in words what it shows; captions stand where a cell asks for one."
    images = tab.evaluate('[...document.querySelectorAll("main img")].map(i => [i.alt.trim() !== "", i.complete && i.naturalWidth > 0, i.outerHTML.slice(0, 200)])')
    assert not [html for said, shown, html in images if not (said and shown)]
    asked = [c for c in PAGES[page] if c['cell_type'] == 'code' and re.search(r'^#\| *fig-cap', ''.join(c['source']), re.M)
             and not re.search(r'^#\| *hide\b', ''.join(c['source']), re.M)
             and any(PICTURES & o.get('data', {}).keys() for o in c['outputs'])]
    assert tab.locator('figcaption').count() >= len(asked)


def test_the_idea_comes_first(tab, page):
    "The first screen of a chapter has its question and a figure or widget, of which enough is seen."
    if page not in LESSONS: return
    tab.set_viewport_size({'width': 1280, 'height': 900})
    assert '?' in tab.evaluate('[...document.querySelectorAll("main p")].filter(e => e.getBoundingClientRect().bottom < 600).map(e => e.textContent).join(" ")')
    shown = tab.evaluate('''() => [...document.querySelectorAll('main figure, main .mnist-cnn-playground, main .mnist-cnn-trainer, main .explore-conv')]
        .filter(e => e.checkVisibility()).map(e => e.getBoundingClientRect()).filter(r => r.top <= 700).map(r => Math.min(r.bottom, 900) - Math.max(r.top, 0))''')
    assert max(shown, default=0) >= 120


@pytest.mark.own_theme
def test_weight(tab):
    "All that it loads, to its end, is at most 600 kB on its way (the networks of the playgrounds left out), and its pictures are lazy."
    assert tab.lazy
    assert {e.get_attribute('src') for e in tab.locator('head script[src]:not([defer])').all()} <= {'scheme.js'}  # the theme, before anything is drawn
    sizes = dict(tab.evaluate('''() => [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
        .map(e => [e.name, e.encodedBodySize])'''))
    networks = {u for u in sizes if re.search(r'_files/\w+\.js$', u)}
    assert sum(n for u, n in sizes.items() if u not in networks) < 600_000, sizes
    assert all(n for n in sizes.values()), sizes


def test_answers(tab, page):
    "An answer is closed until its summary is clicked."
    closed = tab.locator('main details:not([open])')
    if page in written('<details'): assert closed.count()
    if closed.count():  # one by the mouse …
        answer = closed.first.element_handle()
        closed.first.locator('summary').first.click()
        assert answer.evaluate('d => d.open')
        answer.evaluate('d => { d.open = false; }')
    found = tab.evaluate('''() => [...document.querySelectorAll('main details:not([open])')].map(d => {
        const summary = d.querySelector(':scope > summary'), seen = () => d.querySelector(':scope > :not(summary)').checkVisibility();
        const before = seen();
        summary.click();
        return [before, seen(), d.outerHTML.slice(0, 200)];
    })''')  # … and all of them
    assert not [html for before, after, html in found if before or not after]


def test_double_size(tab):
    "In a window of half the width, and there with letters twice as large, nothing is cut off sideways."
    tab.set_viewport_size({'width': 640, 'height': 450})
    for letters in '100%', '200%':
        tab.evaluate('s => { document.documentElement.style.fontSize = s; }', letters)
        tab.wait_for_timeout(200)
        wide = tab.evaluate('document.scrollingElement.scrollWidth')
        tab.evaluate('document.documentElement.style.fontSize = ""')
        assert wide <= 640, letters


def test_code_does_not_scroll(tab):
    "Code is seen whole, on a phone and on a wide page, also what stands in folded cells."
    fold(tab, True)
    for width in 390, 1280:
        tab.set_viewport_size({'width': width, 'height': 800})
        wide = tab.evaluate('[...document.querySelectorAll("main pre.sourceCode")].filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.textContent.slice(0, 80))')
        assert not wide, (width, wide)


def test_maths(tab, page):
    "Display maths is MathML that takes up room, and no TeX is left."
    fold(tab, True)
    heights = tab.evaluate('[...document.querySelectorAll("main math[display=block]")].map(m => m.getBoundingClientRect().height)')
    assert bool(heights) == (page in written('$$')) and all(h > 10 for h in heights)
    assert 'katex' not in tab.content().lower()


def test_open_this_notebook(tab, page):
    "It gives the notebook that it was made of, to the byte."
    link = tab.get_by_role('link', name='Open this notebook')
    if page in BOTH:
        with tab.expect_download() as download: link.click()
        name, content = download.value.suggested_filename, Path(download.value.path()).read_bytes()
    else: name, content = Path(link.get_attribute('href')).name, tab.request.get(link.evaluate('a => a.href')).body()
    same = content == (ROOT/'nbs'/name).read_bytes()
    assert same, f'{name} is another: build the site anew'  # not the two contents, whose differences would be looked for
    assert re.sub(r'^\d+[a-z]*_', '', name) == f'{page}.ipynb'


@pytest.mark.only_chromium('a page as it is on paper')
def test_paper(tab, page):
    "On paper: no navigation, answers open, code wrapped, no picture wider than the sheet, dark ink on white though the screen is dark."
    tab.set_viewport_size({'width': 700, 'height': 1000})
    tab.emulate_media(color_scheme='dark')
    fold(tab, False)
    gone = [tab.get_by_role('banner'), tab.get_by_role('navigation'), tab.get_by_role('link', name='Open this notebook'), tab.get_by_role('button', name='Copy')]
    assert all(g.count() for g in gone[:3])  # there on the screen; not every page has code to copy
    tab.emulate_media(media='print', color_scheme='dark')
    for g in gone: assert not g.count(), g  # a role is had by what is shown
    assert tab.evaluate('''() => [...document.querySelectorAll('main details:not(.code-fold, .ec-find, .mcp-fold) > :not(summary)')]
        .every(e => e.checkVisibility({contentVisibilityAuto: true}))''')
    wide = tab.evaluate('''() => [...document.querySelectorAll('main :is(img, pre, table, canvas, svg)')]
        .filter(e => e.checkVisibility() && e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 200))''')
    assert not wide, wide
    ground, ink = (sum(map(float, re.findall(r'[\d.]+', tab.evaluate(f'getComputedStyle(document.body).{p}'))[:3])) for p in ('backgroundColor', 'color'))
    assert ink < 200 and ground > 700
    if page in BOTH: assert len(tab.pdf()) > 10_000


def test_moving_pictures(tab, page):
    "A moving picture moves on the page."
    moving = [img for img in tab.locator('main img[src$=".svg"]').all() if re.search(MOVING, tab.request.get(img.evaluate('i => i.src')).text())]
    assert bool(moving) == (page in drawn('image/svg+xml', MOVING))
    for img in moving[:1]:
        first, end = img.screenshot(), time.monotonic() + 6
        while img.screenshot() == first: assert time.monotonic() < end, 'it stands still'


def test_axe(tab, page):
    "axe-core finds nothing; answers, code and layers are open. (It comes last: it changes the page.)"
    tab.evaluate(from_npm('axe-core/axe.min.js').read_text(encoding='utf-8'))
    fold(tab, True)
    # code whose kinds of words have all been looked at need not be looked at again: it is most of a page
    tab.evaluate('''() => { const known = new Set();
        for (const pre of document.querySelectorAll('main pre')) {
          const kinds = [pre, ...pre.querySelectorAll('[class]')].map(e => e.className + ' in ' + pre.parentElement.className);
          if (kinds.every(k => known.has(k))) pre.textContent = 'known'; else kinds.forEach(k => known.add(k));
        } }''')
    for scheme, width in (WIDE, NARROW) if page in BOTH else ((WIDE, NARROW)[list(PAGES).index(page) % 2],):
        if scheme == 'dark': tab.get_by_role('button', name='Dark theme').first.click()
        tab.set_viewport_size({'width': width, 'height': 900})
        tab.wait_for_timeout(200)
        judge_by_axe(tab)


@pytest.mark.parametrize('page', drawn('image/png'))
def test_figures_have_no_ground(site, page):
    "Figures stand on the page's own ground, so that they follow light and dark: their corners are transparent, and no white square fills one."
    import numpy as np
    from PIL import Image
    files = list((site/f'{page}_files').rglob('*.png'))
    assert files
    for file in files:
        image = Image.open(file).convert('RGBA')
        w, h = image.size
        corners = {image.getpixel(at) for at in ((0, 0), (w - 1, 0), (0, h - 1), (w - 1, h - 1))}
        assert all(c[3] == 0 for c in corners), f'{file.name}: {corners}'
        white = (np.asarray(image) > 240).all(-1).mean()
        assert white < 0.4, f'{file.name}: {white:.0%} white'



@pytest.mark.parametrize('page', LESSONS)
def test_headings_are_words(page):
    "`On this page` lists ideas, not the names of functions."
    assert not [line for t in texts(PAGES[page], 'markdown') for line in t.splitlines() if re.match('##+ .*`', line)]


@pytest.mark.parametrize('page', [p for p in LESSONS if p != 'first'])
def test_objectives_and_exercises(page):
    "A chapter begins with what its reader will be able to do, and ends with exercises."
    said = texts(PAGES[page], 'markdown')
    first = next(p for t in said for p in t.split('\n\n') if not p.startswith(('#', '>')))
    assert re.search(r'[Yy]ou (can|will be able)', re.sub(r'\s+', ' ', first)), first
    assert [t for t in said if re.match('## ', t)][-1].strip() == '## Exercises'
