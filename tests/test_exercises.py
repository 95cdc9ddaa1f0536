"The fields under the exercises: their script judges as Python does, every wrong answer is rejected, and each page has its own."
import html, json, random, re

import pytest

from mnist_cnn.exercises import Choice, Numbers, Verdict, _look, _page
from pages import PAGES


def asked(cells):
    "The exercises in a notebook's saved outputs: number or choice of each field, None for a trial"
    found = []
    for c in cells:
        for o in c.get('outputs', []):
            text = ''.join(o.get('data', {}).get('text/html', ''))
            for m in re.finditer(r'<div class="mcx"(?: data-exercise="(.*?)")?><p>(.*?)</p>', text):
                if m[1] is None: found.append(None); continue
                held = json.loads(html.unescape(m[1]))
                if 'options' in held: found.append(Choice(html.unescape(m[2]), dict(held['options'])))
                else: found.append(Numbers(held['asks'], tuple(held['right']), held['within'], held['any_order'], tuple(map(tuple, held['hints']))))
    return found


BY_PAGE = {page: asked(cells) for page, cells in PAGES.items() if any('## Exercises' in ''.join(c['source']) for c in cells)}
ALL = [(page, n, e) for page, them in BY_PAGE.items() for n, e in enumerate(them, 1) if e]
NUMBERS, CHOICES = [[t for t in ALL if isinstance(t[2], kind)] for kind in (Numbers, Choice)]
LESSONS = [page for page in BY_PAGE if page not in ('first', 'exercises')]


def test_there_are_enough():
    assert len(ALL) > 60 and all(len(BY_PAGE[page]) >= 5 for page in LESSONS), {page: len(them) for page, them in BY_PAGE.items()}


@pytest.mark.parametrize('page, n, e', ALL, ids=[f'{p}-{n}' for p, n, _ in ALL])
def test_wrong_answers_are_rejected(page, n, e):
    "Numbers that are off by one, each hint, each wrong option: a checker that says yes to everything fails here"
    if isinstance(e, Choice):
        assert sum(not why for why in e.options.values()) == 1
        assert all(e.fault(option) == why for option, why in e.options.items())
        return
    assert not e.fault(e.right)
    for i, right in enumerate(e.right):
        off = [*e.right[:i], right + max(1, 3 * e.within), *e.right[i + 1:]]
        assert e.fault(off), off
    for wrong, hint in e.hints: assert e.fault([wrong] * len(e.right)) == hint


@pytest.fixture(scope='module')
def sheet(browser):
    "A page with the fields of all exercises, and nothing else."
    page = browser.new_page()
    faults = []
    page.on('pageerror', lambda e: faults.append(str(e)))
    page.set_content('<main>' + ''.join(f'<section id="{c}-{n}">{_page(e, n, "")}</section>' for c, n, e in ALL) + _look() + '</main>')
    yield page
    page.close()
    assert not faults, faults


def judged(page, chapter, number, text):
    "What the field says of a text that is typed into it."
    box = page.locator(f'#{chapter}-{number}')
    box.locator('input').fill(text)
    box.locator('input').press('Enter')
    return box.locator('output').inner_text()


def written(rng, numbers):
    "The numbers as one of the ways a person writes them."
    def one(n):
        ways = [repr(n), f'{n:,}', f'{n:,}'.replace(',', rng.choice(" '’\u00a0"))] if isinstance(n, int) else [f'{n!r}', f'{100*n!r}%', f'{100*n!r} %']
        return rng.choice(ways).replace('-', rng.choice('-−'))
    return rng.choice(['{}', '({})', '[{}]', ' {} ']).format(rng.choice(['; ', ', ', ' ']).join(map(one, numbers)))


def test_the_field_judges_as_python_does(sheet):
    rng = random.Random(1)
    asked, right = [], 0
    for chapter, n, e in NUMBERS:
        wrong = [h for h, _ in e.hints]
        answers = [written(rng, e.right), *(written(rng, [w]*len(e.right)) for w in wrong), '', 'eleven', '1/0', '1e400', 'NaN', '½', '1 2 3 4 5 6 7']
        for i, r in enumerate(e.right):
            answers += [written(rng, [*e.right[:i], other, *e.right[i + 1:]]) for other in (r + 1, r + e.within/2, r + 2*e.within, *wrong)]
        asked += [(f'{chapter}-{n}', text, repr(Verdict(e.fault(text)))) for text in answers]
        assert judged(sheet, chapter, n, written(rng, e.right)).startswith('Right')
    found = sheet.evaluate('''all => all.map(([id, text]) => {
        const box = document.getElementById(id), field = box.querySelector('input');
        field.value = text;
        field.form.requestSubmit();
        return box.querySelector('output').innerText;
    })''', asked)
    for there, (where, text, here) in zip(found, asked, strict=True):
        assert there == here, (where, text)
        right += here.startswith('Right')
    assert len(asked) > 400 and 50 < right < len(asked)/2, (len(asked), right)


@pytest.mark.parametrize('text, right', [
    ('160,544,28224,100352', (160, 544, 28_224, 100_352)), ('160, 544, 28,224, 100,352', (160, 544, 28_224, 100_352)), ('0,1', (0, 1)),
    ('0,1', (.1,)), ('0,001', (.001,)), ("18'432", (18_432,)), ('18 432', (18_432,)), ('18.432.000', (18_432_000,)), ('1.234,5', (1234.5,)),
    ('12,5 %', (.125,)), ('112; 3; 4', (112, 3, 4)), ('-1,5', (-1.5,)), ('28 784 10', (28, 784, 10))])
def test_commas_as_people_write_them(sheet, text, right):
    "Commas and spaces that group digits, separate numbers or stand before decimals: read alike here and there, and never so that all is right."
    def said(e):
        sheet.evaluate('html => { document.querySelector("main").insertAdjacentHTML("beforeend", html); }', f'<section id="own-1">{_page(e, 1, "")}</section>')
        sheet.evaluate('code => { const s = document.createElement("script"); s.textContent = code; document.body.append(s); }', re.search('<script>(.*)</script>', _look(), re.S)[1])
        found = judged(sheet, 'own', 1, text)
        sheet.evaluate('document.querySelector("#own-1").remove()')
        return found
    e, other = Numbers('it', right), Numbers('it', tuple(n + 1 for n in right))
    assert said(e) == repr(Verdict(e.fault(text))) == 'Right.'
    assert said(other) == repr(Verdict(other.fault(text))) != 'Right.'


def test_each_option_says_what_python_says(sheet):
    for chapter, n, e in CHOICES:
        for option in e.options:
            box = sheet.locator(f'#{chapter}-{n}')
            box.get_by_role('button', name=option, exact=True).click()
            assert box.locator('output').inner_text() == repr(Verdict(e.fault(option)))
            assert box.locator('.mcx').get_attribute('data-right') == ('no' if e.options[option] else 'yes')


@pytest.mark.parametrize('page', BY_PAGE)
def test_each_page_has_a_field_for_each_exercise(site, page):
    "Each with its own; the one script that serves them all loads late."
    text = (site/f'{page}.html').read_text(encoding='utf-8')
    assert text.count('class="mcx"') == len(BY_PAGE[page])
    scripts = [(site/name).read_text(encoding='utf-8') for name in re.findall(r'<script src="(widgets/[0-9a-f]+.js)" defer>', text)]
    assert sum('.mcx[data-exercise]' in script for script in scripts) == 1 and '.mcx[data-exercise]' not in text


def test_a_person_answers_on_the_page(address, browser):
    with browser.new_page() as page:
        page.goto(f'{address}/conv.html')
        box = page.locator('.mcx', has_text='The rows of the output').first
        field = box.get_by_label('The rows of the output, then every such kernel size, the smallest first.')
        field.fill('111 3 4')
        box.get_by_role('button', name='Check').click()
        assert box.locator('output').inner_text().startswith('Not yet. 111.5 is rounded down')
        field.fill('112, 3, 4')
        field.press('Enter')
        assert box.locator('output').inner_text() == 'Right.'
        assert page.url == f'{address}/conv.html'


def test_a_field_stays_in_sight_and_an_answer_is_closed(address, browser):
    with browser.new_page() as page:
        page.goto(f'{address}/conv.html')
        cell = page.locator('.cell', has=page.locator('.mcx')).first
        assert cell.locator('.mcx').is_visible() and not cell.locator('pre').first.is_visible()
        cell.locator('summary').first.click()
        cell.locator('pre').first.wait_for(state='visible')


def test_quotes_stay_quotes():
    "A page shows an apostrophe as one, and what it holds for the script is what it was."
    options = {"the image's class": "", 'a "score"': "It's one of ten."}
    page = _page(Choice("what the network's answer is", options), 1, None)
    assert "network's" in page and "x27" not in page and "#39" not in page
    assert json.loads(html.unescape(re.search(r'data-exercise="([^"]*)"', page)[1])) == {"options": [list(pair) for pair in options.items()]}
