"The built website in a browser: everything works, at every width, and nothing comes from another host."
import importlib.util, json, re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from conftest import wait_until

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted(ROOT.glob('nbs/[!_]*.ipynb'), key=lambda p: (p.stem != 'index', p.name))
PAGES = {re.sub(r'^\d+[a-z]*_', '', p.stem): json.loads(p.read_text(encoding='utf-8'))['cells'] for p in NOTEBOOKS}
REFERENCE = [f'reference_{p.stem}' for p in sorted(ROOT.glob('mnist_cnn/[!_]*.py'))]
PICTURES = {'image/png', 'image/jpeg', 'image/svg+xml'}


def documented():
    "The public functions and classes, with the address of each on its module's reference page."
    spec = importlib.util.spec_from_file_location('_modidx', ROOT/'mnist_cnn/_modidx.py')
    spec.loader.exec_module(mod := importlib.util.module_from_spec(spec))
    names = [k.split('.')[1:] for syms in mod.d['syms'].values() for k in syms if k.count('.') == 2]
    return {name: f'reference_{module}.html#{name.lower()}' for module, name in names if not name.startswith('_')}


@pytest.fixture
def tab(chromium, address):
    "Opens a page of the site; what goes wrong while it is open is in `tab.faults`."
    context = chromium.new_context(base_url=address, color_scheme='light')
    tab = context.new_page()
    tab.faults = []
    tab.on('console', lambda m: tab.faults.append(m.text) if m.type in ('error', 'warning') else None)
    tab.on('pageerror', lambda e: tab.faults.append(str(e)))
    tab.on('response', lambda r: tab.faults.append(f'{r.status} {r.url}') if r.status >= 400 else None)
    tab.on('request', lambda r: tab.faults.append(f'another host: {r.url}')
           if urlsplit(r.url).scheme in ('http', 'https') and not r.url.startswith(address) else None)
    yield tab
    context.close()


def texts(cells, kind): return [''.join(c['source']) for c in cells if c['cell_type'] == kind]


def colour(tab): return tab.evaluate('getComputedStyle(document.body).backgroundColor')


def load_pictures(tab):
    "Load the pictures that wait for the reader to come near."
    tab.evaluate('document.querySelectorAll("img").forEach(i => i.loading = "eager")')
    wait_until(tab, '[...document.images].every(i => i.complete)')


def tab_to(tab, selector):
    "Reach an element with the Tab key, as a person without a mouse does."
    for _ in range(200):
        tab.keyboard.press('Tab')
        if tab.evaluate('s => document.activeElement.matches(s)', selector): return
    pytest.fail(f'{selector} cannot be reached with the Tab key')


@pytest.mark.parametrize('width', [320, 1200])
@pytest.mark.parametrize('page', PAGES)
def test_page(tab, page, width):
    "A page loads whole, from this host alone, and does not scroll sideways."
    tab.set_viewport_size({'width': width, 'height': 800})
    response = tab.goto(f'/{page}.html')
    load_pictures(tab)
    assert response.status == 200
    assert tab.faults == []
    wide = tab.evaluate('document.scrollingElement.scrollWidth')
    assert wide <= width, f'{wide} px of content in {width}'
    assert tab.locator('h1').count() == 1
    said = tab.evaluate('[...document.querySelectorAll("main p, main li, main td")].map(e => e.textContent).join("\\n")')
    assert not re.findall(r'\]\([\w./#]+\)', said), 'a link has stayed Markdown'
    if width == 1200: judge_pictures(tab, page)


def judge_pictures(tab, page):
    "Every picture shows and says in words what it shows; captions stand where a cell asks for one."
    images = tab.evaluate('[...document.querySelectorAll("main img")].map(i => [i.alt.trim() !== "", i.complete && i.naturalWidth > 0, i.outerHTML.slice(0, 200)])')
    assert not [html for said, shown, html in images if not (said and shown)]
    asked = [c for c in PAGES[page] if c['cell_type'] == 'code' and re.search(r'^#\| *fig-cap', ''.join(c['source']), re.M)
             and not re.search(r'^#\| *hide\b', ''.join(c['source']), re.M)
             and any(PICTURES & o.get('data', {}).keys() for o in c['outputs'])]
    assert tab.locator('figcaption').count() >= len(asked)


def moves(cell):
    svgs = [''.join(o.get('data', {}).get('image/svg+xml', '')) for o in cell.get('outputs', [])]
    return any(re.search('<animate|animation:', s) for s in svgs)


@pytest.mark.parametrize('page', [p for p, cells in PAGES.items() if any(map(moves, cells))])
def test_moving_pictures(tab, page):
    "A moving picture moves on the page."
    tab.goto(f'/{page}.html')
    load_pictures(tab)
    for img in tab.locator('main img[src$=".svg"]').all():
        if not re.search('<animate|animation:', tab.request.get(img.evaluate('i => i.src')).text()): continue
        first = img.screenshot()
        for _ in range(20):  # up to 4 s for the first step
            tab.wait_for_timeout(200)
            if img.screenshot() != first: return
    pytest.fail('no moving picture moves')


@pytest.mark.parametrize('page', [p for p, cells in PAGES.items() if any('$$' in t for t in texts(cells, 'markdown'))])
def test_maths(tab, page):
    "Display maths is MathML that takes up room, and no TeX is left."
    tab.goto(f'/{page}.html')
    blocks = tab.locator('main math[display=block]')
    assert blocks.count()
    for block in blocks.all():  # one in a closed answer has no size yet
        if block.is_visible(): assert block.bounding_box()['height'] > 10
    assert 'katex' not in tab.content().lower()


@pytest.mark.parametrize('page', [p for p, cells in PAGES.items() if any('<details' in t for t in texts(cells, 'markdown'))])
def test_answers(tab, page):
    "An answer is closed until its summary is clicked."
    tab.goto(f'/{page}.html')
    answers = tab.locator('main details')
    assert answers.count()
    for answer in answers.all():
        if answer.get_attribute('open') is not None: continue  # the source of a function, open from the start
        content = answer.locator(':scope > :not(summary)').first
        assert not content.is_visible()
        answer.locator('summary').first.click()
        assert content.is_visible()
    assert tab.faults == []


def test_reading_order(tab):
    "The links at the foot lead through all pages, there and back."
    tab.goto('/index.html')
    seen = []
    for side in 'next', 'previous':
        while (link := tab.locator(f'.nav-page-{side} a')).count():
            seen.append(urlsplit(tab.url).path)
            link.click()
            tab.wait_for_load_state()
    there = [f'/{p}.html' for p in (*PAGES, *REFERENCE)]
    assert seen == there[:-1] + there[:0:-1]
    assert tab.faults == []


def test_sidebar(tab):
    "The sidebar names every chapter, then every module's reference, in order."
    tab.goto('/index.html')
    links = tab.locator('#quarto-sidebar a[href]')
    assert [urlsplit(a.get_attribute('href')).path.split('/')[-1] for a in links.all()] == [f'{p}.html' for p in (*PAGES, *REFERENCE)]
    assert all(t.strip() for t in links.all_text_contents())


@pytest.mark.skipif(not documented(), reason='no function is exported yet')
def test_search(tab):
    "A function's name, searched for, leads to where it is documented."
    name, place = next(iter(documented().items()))
    tab.goto('/index.html')
    tab.locator('#quarto-search input').fill(name)
    result = tab.locator(f'.search-result[href$="{place}"]')
    result.wait_for()
    result.click()
    tab.wait_for_url(f'**/{place}')
    assert tab.locator(f'[id="{place.split("#")[1]}"]').first.is_visible()
    assert tab.faults == []


def test_themes(tab):
    "The toggle darkens the page, the choice outlives a reload and leads to the next page."
    tab.goto('/index.html')
    light = colour(tab)
    toggle = tab.locator('.quarto-color-scheme-toggle').first
    toggle.click()
    wait_until(tab, 'c => getComputedStyle(document.body).backgroundColor != c', light)
    dark = colour(tab)
    tab.reload()
    assert colour(tab) == dark
    tab.locator('.nav-page-next a').click()
    tab.wait_for_load_state()
    assert colour(tab) == dark
    tab.locator('.quarto-color-scheme-toggle').first.click()
    wait_until(tab, 'c => getComputedStyle(document.body).backgroundColor == c', light)
    assert tab.faults == []


@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_theme_of_the_reader(tab, scheme):
    "Without a choice the page takes the reader's own theme, and its text stands out from its ground."
    tab.emulate_media(color_scheme=scheme)
    tab.goto('/index.html')
    tab.wait_for_timeout(200)
    ground, ink = (sum(map(float, re.findall(r'[\d.]+', tab.evaluate(f'getComputedStyle(document.body).{p}'))[:3]))
                   for p in ('backgroundColor', 'color'))
    assert (ground < 200 < 500 < ink) if scheme == 'dark' else (ink < 200 < 500 < ground)


@pytest.mark.parametrize('width', [320, 1200])
def test_keyboard(tab, width):
    "The toggle is reached and used with the keyboard, and the focus shows."
    tab.set_viewport_size({'width': width, 'height': 800})
    tab.goto('/index.html')
    light = colour(tab)
    tab_to(tab, '.quarto-color-scheme-toggle')
    style = [tab.evaluate(f'getComputedStyle(document.activeElement).{p}') for p in ('outlineStyle', 'outlineWidth')]
    assert style[0] != 'none' and float(style[1].removesuffix('px')) >= 2
    tab.keyboard.press('Enter')
    wait_until(tab, 'c => getComputedStyle(document.body).backgroundColor != c', light)


def test_narrow_menu(tab):
    "On a telephone the chapters open from the bar and close with Escape; the search stands in it."
    tab.set_viewport_size({'width': 360, 'height': 800})
    tab.goto('/conv.html')
    chapters, button = tab.locator('#quarto-sidebar'), tab.locator('.quarto-btn-toggle')
    assert not chapters.is_visible()
    button.click()
    chapters.locator('a[href="training.html"]').wait_for()
    assert button.get_attribute('aria-expanded') == 'true'
    tab.keyboard.press('Escape')
    assert not chapters.is_visible()
    button.click()
    chapters.locator('a[href="training.html"]').click()
    tab.wait_for_url('**/training.html')
    assert tab.get_by_role('searchbox').bounding_box()['x'] >= 0
    assert tab.faults == []


@pytest.mark.parametrize('size', [(1280, 800), (390, 844)])
def test_first_screen(tab, size):
    "The first screen of the site is the toy: title, field, an answer that agrees with what is drawn, and one way on."
    tab.emulate_media(reduced_motion='reduce')
    tab.set_viewport_size({'width': size[0], 'height': size[1]})
    tab.goto('/index.html', wait_until='networkidle')
    root = tab.locator('.mnist-cnn-playground').first
    for what in tab.locator('h1'), root.locator('.mcp-field'), root.locator('.mcp-verdict'), root.locator('.mcp-bar').last, tab.get_by_role('link', name='Begin'):
        box = what.bounding_box()
        assert box['y'] >= 0 and box['y'] + box['height'] <= size[1], (what, box)
    assert root.locator('.mcp-ink').count() and root.locator('.mcp-verdict strong').inner_text() == '3'
    tab.get_by_role('link', name='Begin').click()
    tab.wait_for_url('**/first.html')


def test_bar(tab):
    "One bar of 56 pixels, which leaves on the way down and comes back on the way up; on a low screen it does not stay."
    tab.set_viewport_size({'width': 844, 'height': 700})
    tab.goto('/conv.html')
    bar = tab.locator('#quarto-header')
    assert bar.bounding_box()['height'] == 56 and tab.evaluate('document.querySelectorAll("header nav").length') <= 1
    tab.mouse.wheel(0, 1500)
    wait_until(tab, 'document.querySelector("#quarto-header").getBoundingClientRect().bottom <= 0')
    tab.mouse.wheel(0, -300)
    wait_until(tab, 'document.querySelector("#quarto-header").getBoundingClientRect().top === 0')
    tab.set_viewport_size({'width': 844, 'height': 390})
    tab.evaluate('scrollTo(0, 600)')
    assert bar.bounding_box()['y'] + bar.bounding_box()['height'] <= 0


def test_skip_link(tab):
    "The first thing that Tab reaches leads to the text."
    tab.goto('/conv.html')
    tab.keyboard.press('Tab')
    assert tab.evaluate('document.activeElement.textContent') == 'Skip to the text'
    tab.keyboard.press('Enter')
    assert tab.evaluate('location.hash') == '#quarto-document-content'


def test_progress(tab):
    "A chapter that was read to its end is ticked, and an exercise that was solved says so, after a reload too."
    tab.set_viewport_size({'width': 1200, 'height': 800})
    tab.goto('/conv.html', wait_until='networkidle')
    entry = tab.locator('#quarto-sidebar').get_by_role('link', name='Convolution', exact=False).first
    assert 'read' not in entry.get_attribute('class').split()
    box = tab.locator('.mcx', has_text='The rows of the output').first
    box.get_by_role('textbox').fill('112, 3, 4')
    box.get_by_role('button', name='Check').click()
    assert box.locator('output').inner_text() == 'Right.'
    tab.locator('.nav-page-next').scroll_into_view_if_needed()
    wait_until(tab, 'document.querySelector("#quarto-sidebar a.read")')
    tab.reload()
    assert 'read' in entry.get_attribute('class').split() and tab.locator('.mcx[data-right=yes]').count() == 1
    assert 'solved' in box.locator('output').inner_text()


def test_ways_on(tab):
    "The cards at the foot say what the neighbours are about."
    tab.goto('/conv.html')
    for side in 'previous', 'next':
        title, about = tab.locator(f'.nav-page-{side} b').inner_text(), tab.locator(f'.nav-page-{side} small').last.inner_text()
        assert title and len(about) > 20


@pytest.mark.parametrize('words, page', [('receptive', 'conv.html'), ('dropout', 'generalization.html'), ('overfitting', 'generalization.html'), ('how to train', 'training.html'),
                                         ('learning rate', 'learning.html'), ('stride', 'conv.html'), ('calibration', 'uncertainty.html')])
def test_search_for_a_concept(tab, words, page):
    "A concept leads first to where it is explained, not to a function that has the word in its name."
    tab.goto('/index.html')
    tab.get_by_role('searchbox').fill(words)
    tab.locator('.search-result').first.wait_for()
    assert urlsplit(tab.locator('.search-result').first.get_attribute('href')).path == page


def test_policy_and_404(tab, site):
    "Pages may load from their own host alone, and run no script that stands in them; an address without a page has one that helps."
    for page in site.glob('*.html'):
        text = page.read_text(encoding='utf-8')
        assert "default-src 'self'" in text.partition('</head>')[0], page.name
        assert not re.findall(r'<script(?![^>]*(?:src=|application/json))[^>]*>', text) and not re.search(r'<[^>]+ on\w+="', text), page.name
    tab.goto('/404.html')
    assert tab.locator('#quarto-sidebar a[href]').count() > 20 and tab.faults == []


def test_fonts(site):
    "Type of our own, with its licence, light enough."
    files = list((site/'fonts').glob('*.woff2'))
    assert files and sum(f.stat().st_size for f in files) <= 120_000 and 'SIL Open Font License' in (site/'fonts/OFL.txt').read_text(encoding='utf-8')


def test_style_is_small(site):
    "The shell's style and scripts, as they travel, are a fraction of Bootstrap's."
    import gzip
    assert not (site/'site_libs').exists()
    assert sum(len(gzip.compress((site/f).read_bytes())) for f in ('site.css', 'site.js', 'shell.js', 'scheme.js')) < 15_000


def test_llms(site):
    "`llms.txt` lists every page in order, each with what it is about, and every copy it names is there."
    lines = (site/'llms.txt').read_text(encoding='utf-8').partition('\n- ')[2].splitlines()
    names = [re.search(r'\]\((.+?)\.llms\.md\): \S', l)[1] for l in lines]
    assert names == [*PAGES, *REFERENCE]
    assert all((site/f'{n}.llms.md').is_file() for n in names)
