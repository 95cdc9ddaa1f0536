"The built website in a browser: everything works, at every width, and nothing comes from another host."
import html, importlib.util, re, subprocess, sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from conftest import wait_until
from pages import PAGES, REFERENCE, watched

ROOT = Path(__file__).resolve().parents[1]
POLICY = {'default-src': "'self'", 'script-src': "'self' 'wasm-unsafe-eval'", 'style-src': "'self' 'unsafe-inline'", 'img-src': "'self' data:"}
STRICTER = {'object-src': "'none'", 'base-uri': "'self'"}  # than what the others would allow


def documented():
    "The public functions and classes, with the address of each on its module's reference page."
    spec = importlib.util.spec_from_file_location('_modidx', ROOT/'mnist_cnn/_modidx.py')
    spec.loader.exec_module(mod := importlib.util.module_from_spec(spec))
    names = [k.split('.')[1:] for syms in mod.d['syms'].values() for k in syms if k.count('.') == 2]
    return {name: f'reference_{module}.html#{name.lower()}' for module, name in names if not name.startswith('_')}


@pytest.fixture
def open_tab(browser, address):
    "Opens a tab as somebody may have set their browser; what goes wrong while it is open is in its `faults`."
    contexts = []
    def opened(**settings):
        contexts.append(browser.new_context(base_url=address, **{'color_scheme': 'light', **settings}))
        return watched(contexts[-1].new_page(), address)
    yield opened
    for c in contexts: c.close()


@pytest.fixture
def tab(open_tab): return open_tab()


# The parts of the frame, by role and name, as any renderer has them.
def chapters(tab): return tab.get_by_role('navigation', name='Chapters')
def way(tab, side): return tab.get_by_role('navigation', name='Previous and next page').get_by_role('link', name=re.compile({'next': '^Next', 'previous': '^Before'}[side]))
def theme(tab): return tab.get_by_role('button', name='Dark theme').first
def results(tab): return tab.get_by_role('search').get_by_role('link')


def colour(tab): return tab.evaluate('getComputedStyle(document.body).backgroundColor')


def tab_to(tab, element):
    "Reach an element with the Tab key, as a person without a mouse does."
    for _ in range(200):
        tab.keyboard.press('Tab')
        if element.evaluate('e => e === document.activeElement'): return
    pytest.fail(f'{element} cannot be reached with the Tab key')


@pytest.mark.own_theme
@pytest.mark.parametrize('page, note', [('learning', 'Kingma and Ba, 2015')])
def test_side_notes(tab, page, note):
    "A source stands in the margin of a wide page, with its number and within the page, and in parentheses on a phone."
    tab.goto(f'/{page}.html')
    found = tab.locator('.sidenote', has_text=note).first
    for width, aside in (1440, True), (1280, True), (390, False):
        tab.set_viewport_size({'width': width, 'height': 800})
        box, text = found.bounding_box(), found.locator('xpath=ancestor::p').bounding_box()
        assert (box['x'] >= text['x'] + text['width']) == aside and box['x'] + box['width'] <= width
        assert found.locator('.paren').first.is_visible() != aside
        assert tab.evaluate('document.scrollingElement.scrollWidth') <= width


def test_reading_order(tab):
    "The links at the foot lead through all pages, there and back."
    tab.goto('/index.html')
    seen, back = [], {}
    while (link := way(tab, 'next')).count():
        seen.append(urlsplit(tab.url).path)
        link.click()
        tab.wait_for_load_state()
        back[urlsplit(tab.url).path] = urlsplit(way(tab, 'previous').evaluate('a => a.href')).path
    there = [f'/{p}.html' for p in (*PAGES, *REFERENCE)]
    assert seen == there[:-1] and back == dict(zip(there[1:], there))
    way(tab, 'previous').click()
    tab.wait_for_url(f'**{there[-2]}')
    assert tab.faults == []


def test_sidebar(tab):
    "The sidebar names every chapter, then every module's reference, in order."
    tab.goto('/index.html')
    links = chapters(tab).get_by_role('link', include_hidden=True)  # those of the reference are closed
    assert [urlsplit(a.get_attribute('href')).path.split('/')[-1] for a in links.all()] == [f'{p}.html' for p in (*PAGES, *REFERENCE)]
    assert all(t.strip() for t in links.all_text_contents())


@pytest.mark.own_theme
@pytest.mark.both
@pytest.mark.skipif(not documented(), reason='no function is exported yet')
def test_search(tab):
    "A function's name, searched for, leads to where it is documented."
    name, place = next(iter(documented().items()))
    tab.goto('/index.html')
    tab.get_by_role('searchbox').fill(name)
    result = results(tab).and_(tab.locator(f'[href$="{place}"]'))
    result.wait_for()
    result.click()
    tab.wait_for_url(f'**/{place}')
    assert tab.locator(f'[id="{place.split("#")[1]}"]').first.is_visible()
    assert tab.faults == []


@pytest.mark.both
def test_themes(tab):
    "The toggle darkens the page, the choice outlives a reload and leads to the next page."
    tab.goto('/index.html')
    light = colour(tab)
    theme(tab).click()
    wait_until(tab, 'c => getComputedStyle(document.body).backgroundColor != c', light)
    dark = colour(tab)
    tab.reload()
    assert colour(tab) == dark
    way(tab, 'next').click()
    tab.wait_for_load_state()
    assert colour(tab) == dark
    theme(tab).click()
    wait_until(tab, 'c => getComputedStyle(document.body).backgroundColor == c', light)
    assert tab.faults == []


@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_theme_of_the_reader(open_tab, scheme):
    "Without a choice the page takes the reader's own theme, and its text stands out from its ground."
    tab = open_tab(color_scheme=scheme)
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
    tab_to(tab, theme(tab))
    style = [tab.evaluate(f'getComputedStyle(document.activeElement).{p}') for p in ('outlineStyle', 'outlineWidth')]
    assert style[0] != 'none' and float(style[1].removesuffix('px')) >= 2
    tab.keyboard.press('Enter')
    wait_until(tab, 'c => getComputedStyle(document.body).backgroundColor != c', light)


@pytest.mark.own_theme
def test_narrow_menu(tab):
    "On a telephone the chapters open from the bar and close with Escape; the search stands in it."
    tab.set_viewport_size({'width': 360, 'height': 800})
    tab.goto('/conv.html')
    button, training = tab.get_by_role('button', name='Contents'), chapters(tab).get_by_role('link').and_(tab.locator('[href$="training.html"]'))
    assert not chapters(tab).is_visible()
    button.click()
    training.wait_for()
    assert button.get_attribute('aria-expanded') == 'true'
    tab.keyboard.press('Escape')
    assert not chapters(tab).is_visible()
    button.click()
    training.click()
    tab.wait_for_url('**/training.html')
    assert tab.get_by_role('searchbox').bounding_box()['x'] >= 0
    assert tab.faults == []


@pytest.mark.parametrize('size', [(1280, 800), (390, 844)])
def test_first_screen(open_tab, size):
    "The first screen of the site is the toy: title, field, an answer that agrees with what is drawn, and one way on."
    tab = open_tab(reduced_motion='reduce', viewport={'width': size[0], 'height': size[1]})
    tab.goto('/index.html', wait_until='networkidle')
    root = tab.get_by_role('group', name='Playground').first
    answer, bars = root.get_by_role('group', name='Answer'), root.get_by_role('group', name='The probability of each class').get_by_role('button')
    for what in tab.get_by_role('heading', level=1), root.get_by_role('img', name='Field to draw'), answer, bars.last, tab.get_by_role('link', name='Begin'):
        box = what.bounding_box()
        assert box['y'] >= 0 and box['y'] + box['height'] <= size[1], (what, box)
    assert root.get_by_role('img', name='Field to draw').locator('path').count() and answer.locator('strong').inner_text() == '3'
    tab.get_by_role('link', name='Begin').click()
    tab.wait_for_url('**/first.html')


@pytest.mark.parametrize('link', ['conv.html#try-it', 'conv.html#what-it-costs', 'learning.html#initial-weights'])
@pytest.mark.parametrize('size', [(1280, 800), (390, 844)])
def test_a_link_lands_at_once(tab, link, size):
    "On a first visit too, while pictures and widgets above are still growing, a link into a page ends where it points."
    tab.set_viewport_size({'width': size[0], 'height': size[1]})
    tab.goto(f'/{link}', wait_until='networkidle')
    y = tab.evaluate('document.querySelector(location.hash).getBoundingClientRect().top')
    assert 0 <= y <= 100, y


@pytest.mark.own_theme
def test_bar(tab):
    "One bar of 56 pixels, which leaves on the way down and comes back on the way up; on a low screen it does not stay."
    tab.set_viewport_size({'width': 844, 'height': 700})
    tab.goto('/conv.html')
    bar = tab.get_by_role('banner')
    def until(condition): wait_until(tab, f'e => {{ const {{top, bottom}} = e.getBoundingClientRect(); return {condition}; }}', bar.element_handle())
    assert bar.bounding_box()['height'] == 56 and tab.evaluate('document.querySelectorAll("header nav").length') <= 1
    tab.mouse.wheel(0, 1500)
    until('bottom <= 0')
    tab.mouse.wheel(0, -300)
    until('top === 0')
    tab.set_viewport_size({'width': 844, 'height': 390})
    tab.evaluate('scrollTo(0, 600)')
    assert bar.bounding_box()['y'] + bar.bounding_box()['height'] <= 0


@pytest.mark.own_theme
def test_skip_link(tab):
    "The first thing that Tab reaches leads to the text."
    tab.goto('/conv.html')
    tab.keyboard.press('Tab')
    assert tab.evaluate('document.activeElement.textContent') == 'Skip to the text'
    tab.keyboard.press('Enter')
    assert tab.get_by_role('main').evaluate('e => location.hash === "#" + e.id')


def test_progress(tab):
    "A chapter that was read to its end is ticked, and an exercise that was solved says so, after a reload too."
    tab.set_viewport_size({'width': 1200, 'height': 800})
    tab.goto('/conv.html', wait_until='networkidle')
    entry = chapters(tab).get_by_role('link', name='Convolution', exact=False).first
    assert 'read' not in entry.get_attribute('class').split()
    box = tab.locator('.mcx', has_text='The rows of the output').first
    box.get_by_role('textbox').fill('112, 3, 4')
    box.get_by_role('button', name='Check').click()
    assert box.locator('output').inner_text() == 'Right.'
    way(tab, 'next').scroll_into_view_if_needed()
    wait_until(tab, 'a => a.classList.contains("read")', entry.element_handle())
    tab.reload()
    assert 'read' in entry.get_attribute('class').split() and tab.locator('.mcx[data-right=yes]').count() == 1
    assert 'solved' in box.locator('output').inner_text()


@pytest.mark.own_theme
def test_ways_on(tab):
    "The cards at the foot say what the neighbours are about."
    tab.goto('/conv.html')
    for side in 'previous', 'next':
        title, about = way(tab, side).locator('b').inner_text(), way(tab, side).locator('small').last.inner_text()
        assert title and len(about) > 20


@pytest.mark.own_theme
@pytest.mark.parametrize('words, page', [('receptive', 'conv.html'), ('dropout', 'generalization.html'), ('overfitting', 'generalization.html'), ('how to train', 'training.html'),
                                         ('learning rate', 'learning.html'), ('stride', 'conv.html'), ('calibration', 'uncertainty.html')])
def test_search_for_a_concept(tab, words, page):
    "A concept leads first to where it is explained, not to a function that has the word in its name."
    tab.goto('/index.html')
    tab.get_by_role('searchbox').fill(words)
    results(tab).first.wait_for()
    assert urlsplit(results(tab).first.get_attribute('href')).path == page


@pytest.mark.own_theme
def test_search_on_a_slow_line(tab):
    "What is typed while the index is still on its way asks for it once, and the results are those of what stands there in the end."
    asked = []
    def late(route):
        asked.append(route)
        tab.wait_for_timeout(60 if len(asked) > 1 else 600)  # a second request would be answered first
        route.continue_()
    tab.route('**/search.json', late)
    tab.goto('/index.html')
    tab.get_by_role('searchbox').press_sequentially('adam')
    wait_until(tab, '() => document.querySelector("[role=search] a")')
    tab.wait_for_timeout(300)
    assert len(asked) == 1
    assert urlsplit(results(tab).first.get_attribute('href')).path == 'learning.html'


@pytest.mark.own_theme
def test_policy_and_404(tab, site):
    "Pages may load from their own host alone, and run no script that stands in them; an address without a page has one that helps."
    for page in site.glob('*.html'):
        text = page.read_text(encoding='utf-8')
        policy = html.unescape(re.search(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)"', text.partition('</head>')[0])[1])
        allowed = dict(part.strip().split(' ', 1) for part in policy.split(';'))
        assert POLICY.items() <= allowed.items() and {k: allowed[k] for k in allowed.keys() - POLICY.keys()} == STRICTER, page.name
        assert not re.findall(r'<script(?![^>]*(?:src=|application/json))[^>]*>', text) and not re.search(r'<[^>]+ on\w+="', text), page.name
    tab.goto('/404.html')
    assert chapters(tab).get_by_role('link').count() > 20 and tab.faults == []
    assert tab.goto('/no-such-page.html').status == 404 and chapters(tab).get_by_role('link').count() > 20


def test_code_is_narrow(site):
    "No line of Python is longer than 80 characters."
    lines = [l for page in site.glob('*.html') for block in re.findall(r'<pre class="sourceCode python.*?</pre>', page.read_text(encoding='utf-8'), re.S)
             for l in html.unescape(re.sub('<[^>]+>', '', block)).splitlines()]
    over = [l for l in lines if len(l) > 80]
    assert len(lines) > 10_000 and not over, over


def test_fonts(site):
    "Type of our own, with its licence, light enough."
    files = list((site/'fonts').glob('*.woff2'))
    assert files and sum(f.stat().st_size for f in files) <= 120_000 and 'SIL Open Font License' in (site/'fonts/OFL.txt').read_text(encoding='utf-8')


@pytest.mark.own_theme
def test_style_is_small(site):
    "The shell's style and scripts, as they travel, are a fraction of Bootstrap's."
    import gzip
    assert not (site/'site_libs').exists() and not (site/'matplotlibrc').exists()
    assert sum(len(gzip.compress((site/f).read_bytes())) for f in ('site.css', 'site.js', 'shell.js', 'scheme.js')) < 15_000


@pytest.mark.own_theme
def test_llms(site):
    "`llms.txt` lists every page in order, each with what it is about, and every copy it names is there."
    lines = (site/'llms.txt').read_text(encoding='utf-8').partition('\n- ')[2].splitlines()
    names = [re.search(r'\]\((.+?)\.llms\.md\): \S', l)[1] for l in lines]
    assert names == [*PAGES, *REFERENCE]
    assert all((site/f'{n}.llms.md').is_file() for n in names)


QUARTO = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><link rel="stylesheet" href="styles.css">
<style>body { margin: 0; } .table-striped > tbody > tr:nth-of-type(odd) > * { --bs-table-bg-type: #f00; background: var(--bs-table-bg-type, none); }</style>
<nav id="quarto-sidebar"><span class="sidebar-item-text">Learn</span><a class="sidebar-item-text" href="#">Chapter</a></nav>
<main class="content" id="quarto-document-content">
<p><math display="block"><mrow>""" + '<mi>x</mi><mo>+</mo>'*60 + """<mi>y</mi></mrow></math></p>
<table class="table-striped"><tbody><tr>""" + '<td>a_long_column</td>'*9 + """</tr></tbody></table>
<p>Then <code>mnist-cnn_""" + 'long'*30 + """</code>.</p></main></html>"""

def test_as_quarto_writes_it(browser, tmp_path):
    "Display maths in a paragraph, a table outside a cell and long code within a line do not widen a narrow page; no row is striped; parts of the contents differ from chapters."
    (tmp_path/'page.html').write_text(QUARTO, encoding='utf-8')
    (tmp_path/'styles.css').write_text((ROOT/'nbs/styles.css').read_text(encoding='utf-8'), encoding='utf-8')
    tab = browser.new_page(viewport={'width': 320, 'height': 600})
    tab.goto((tmp_path/'page.html').as_uri())
    assert tab.evaluate('document.scrollingElement.scrollWidth') <= 320
    assert tab.locator('math').evaluate('m => [m, m.parentElement].some(e => e.scrollWidth > e.clientWidth)') and tab.locator('table').evaluate('t => t.scrollWidth > t.clientWidth')  # they scroll by themselves
    assert tab.locator('td').first.evaluate('e => getComputedStyle(e).backgroundColor') == 'rgba(0, 0, 0, 0)'
    part, chapter = (tab.locator(f'#quarto-sidebar {kind}').evaluate('e => getComputedStyle(e).textTransform') for kind in ('span', 'a'))
    assert (part, chapter) == ('uppercase', 'none')
    tab.close()


def test_own_theme(tmp_path):
    "What asks for our own theme is skipped, with the reason, where Quarto built the site, and only there."
    from conftest import by_quarto
    (tmp_path/'quarto/site_libs').mkdir(parents=True)
    assert by_quarto(tmp_path/'quarto') and not by_quarto(tmp_path) and not by_quarto(None)
    def asked(site):
        command = [sys.executable, '-m', 'pytest', '-n0', '-q', '-rfs', '-p', 'no:cacheprovider', '--site', site, '-m', 'own_theme', 'tests/test_site.py', '-k', 'fonts or llms or style']
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout
    assert (said := asked(tmp_path/'quarto')).count('SKIPPED') == 2 and 'Quarto built this site' in said and 'FAILED' not in said, said
    assert (said := asked(tmp_path)).count('FAILED') == 2 and 'SKIPPED' not in said, said  # it is empty
