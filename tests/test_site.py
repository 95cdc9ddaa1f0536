"The built website in a browser: everything works, at every width, and nothing comes from another host."
import importlib.util, json, re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

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
    tab.wait_for_function('[...document.images].every(i => i.complete)')


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


@pytest.mark.parametrize('page', PAGES)
def test_pictures(tab, page):
    "Every picture shows and says in words what it shows; captions stand where a cell asks for one."
    tab.goto(f'/{page}.html')
    load_pictures(tab)
    for img in tab.locator('main img').all():
        assert (img.get_attribute('alt') or '').strip(), img.evaluate('i => i.outerHTML.slice(0, 200)')
        assert img.evaluate('i => i.complete && i.naturalWidth > 0'), img.get_attribute('src')
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
    links = tab.locator('#quarto-sidebar a.sidebar-link')
    assert [urlsplit(a.get_attribute('href')).path.split('/')[-1] for a in links.all()] == [f'{p}.html' for p in (*PAGES, *REFERENCE)]
    assert all(t.strip() for t in links.all_inner_texts())


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
    tab.wait_for_function('c => getComputedStyle(document.body).backgroundColor != c', arg=light)
    dark = colour(tab)
    tab.reload()
    assert colour(tab) == dark
    tab.locator('.nav-page-next a').click()
    tab.wait_for_load_state()
    assert colour(tab) == dark
    tab.locator('.quarto-color-scheme-toggle').first.click()
    tab.wait_for_function('c => getComputedStyle(document.body).backgroundColor == c', arg=light)
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
    tab.wait_for_function('c => getComputedStyle(document.body).backgroundColor != c', arg=light)


def test_narrow_menu(tab):
    "On a telephone the chapters open from the bar, and search from the menu."
    tab.set_viewport_size({'width': 360, 'height': 800})
    tab.goto('/index.html')
    chapters = tab.locator('#quarto-sidebar')
    tab.locator('.quarto-btn-toggle').click()
    tab.wait_for_timeout(400)
    assert chapters.bounding_box()['x'] >= 0
    tab.locator('#quarto-sidebar-glass').click(position={'x': 340, 'y': 400})
    tab.locator('.navbar-toggler').click()
    tab.locator('#quarto-search input').wait_for()
    assert tab.faults == []


def test_llms(site):
    "`llms.txt` lists every page in order, each with what it is about, and every copy it names is there."
    lines = (site/'llms.txt').read_text(encoding='utf-8').partition('\n- ')[2].splitlines()
    names = [re.search(r'\]\((.+?)\.llms\.md\): \S', l)[1] for l in lines]
    assert names == [*PAGES, *REFERENCE]
    assert all((site/f'{n}.llms.md').is_file() for n in names)
