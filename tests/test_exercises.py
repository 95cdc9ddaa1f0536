"The fields under the exercises: their script judges as Python does, and each page has its own."
import random, re

import pytest

from mnist_cnn.exercises import Choice, Numbers, _look, _page, check, exercises

ALL = [(chapter, n, e) for chapter, them in exercises.items() for n, e in enumerate(them, 1)]
NUMBERS, CHOICES = [[t for t in ALL if isinstance(t[2], kind)] for kind in (Numbers, Choice)]


@pytest.fixture(scope='module')
def sheet(chromium):
    "A page with the fields of all exercises, and nothing else."
    page = chromium.new_page()
    faults = []
    page.on('pageerror', lambda e: faults.append(str(e)))
    page.set_content('<main>' + ''.join(f'<section id="{c}-{n}">{_page(e)}</section>' for c, n, e in ALL) + _look() + '</main>')
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
        ways = [repr(n), f'{n:,}'] if isinstance(n, int) else [f'{n!r}', f'{100*n!r}%', f'{100*n!r} %']
        return rng.choice(ways).replace('-', rng.choice('-−'))
    return rng.choice(['{}', '({})', '[{}]', ' {} ']).format(rng.choice(['; ', ', ', ' ']).join(map(one, numbers)))


def test_the_field_judges_as_python_does(sheet):
    rng = random.Random(1)
    tried, right = 0, 0
    for chapter, n, e in NUMBERS:
        wrong = [h for h, _ in e.hints]
        answers = [written(rng, e.right), *(written(rng, [w]*len(e.right)) for w in wrong), '', 'eleven', '1/0', '1e400', 'NaN', '½', '1 2 3 4 5 6 7']
        for i, r in enumerate(e.right):
            answers += [written(rng, [*e.right[:i], other, *e.right[i + 1:]]) for other in (r + 1, r + e.within/2, r + 2*e.within, *wrong)]
        for text in answers:
            there, here = judged(sheet, chapter, n, text), repr(check(chapter, n, text))
            assert there == here, (chapter, n, text)
            tried, right = tried + 1, right + here.startswith('Right')
        assert judged(sheet, chapter, n, written(rng, e.right)).startswith('Right')
    assert tried > 400 and 50 < right < tried/2, (tried, right)


def test_each_option_says_what_python_says(sheet):
    for chapter, n, e in CHOICES:
        for option in e.options:
            box = sheet.locator(f'#{chapter}-{n}')
            box.get_by_role('button', name=option, exact=True).click()
            assert box.locator('output').inner_text() == repr(check(chapter, n, option))
            assert box.locator('.mcx').get_attribute('data-right') == ('no' if e.options[option] else 'yes')


@pytest.mark.parametrize('chapter', exercises)
def test_each_page_has_a_field_for_each_exercise(site, chapter):
    "In the order of the book, each with its own; the one script that serves them all loads late."
    html = (site/f'{chapter}.html').read_text(encoding='utf-8')
    at = [html.find(_page(e)) for e in exercises[chapter]]
    assert min(at) > 0 and at == sorted(at), at
    scripts = [(site/name).read_text(encoding='utf-8') for name in re.findall(r'<script src="(widgets/[0-9a-f]+.js)" defer>', html)]
    assert sum('.mcx[data-exercise]' in script for script in scripts) == 1 and '.mcx[data-exercise]' not in html


def test_a_person_answers_on_the_page(address, chromium):
    with chromium.new_page() as page:
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


def test_an_answer_shows_what_it_prints_only_when_it_is_opened(address, chromium):
    with chromium.new_page() as page:
        page.goto(f'{address}/evaluation.html')
        cell = page.locator('.cell', has_text='They overlap: by these two numbers').last
        said = cell.get_by_text('They overlap: by these two numbers').last
        assert not said.is_visible()
        cell.locator('summary').click()
        said.wait_for(state='visible')
