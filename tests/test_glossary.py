"Every term of the field is explained before it is used, and the glossary knows where."
import json, re
from functools import cache
from pathlib import Path

import pytest

NBS = Path(__file__).resolve().parents[1]/'nbs'
BOOK = ['index', *(p.stem for p in sorted(NBS.glob('*.ipynb')) if re.match(r'0|10_|2', p.stem))]
FORMS = {  # what else counts as a use of a term, besides its plural; everyday words that mean other things as well are left out
    'neural network': 'network|networks', 'training': 'train|trains|trained', 'training set': 'training digits',
    'test set': 'test digits', 'pretrained': 'pretrained network|pretrained weights',
    'linear classifier': 'softmax regression', 'linear layer': 'fully connected|fully connected layer', 'equivariance': 'equivariant', 'convolution': 'convolutional',
    'kernel': 'filter|filters', 'groups': 'grouped convolution', 'depthwise convolution': 'depthwise', 'padding': 'padded',
    'dilation': 'dilated', 'pooling': 'pool|pools|pooled', 'max pooling': 'max pool|max pools',
    'average pooling': 'average pool|average pools', 'invariance': 'invariant', 'ReLU': 'rectified linear unit',
    'multiply-accumulate': 'MAC|MACs', 'flatten': 'flattened|flattening', 'confidence': 'confident',
    'batch normalization': 'batch norm', 'state_dict': 'state dict', 'target': 'label|labels',
    'validation set': 'validation digits', 'normalization': 'normalize|normalizes|normalized',
    'shuffling': 'shuffle|shuffles|shuffled', 'augmentation': 'augment|augments|augmented', 'elastic distortion': 'elastic',
    'learning rate': 'lr', 'stochastic gradient descent': 'SGD', 'one-hot vector': 'one-hot',
    'saturation': 'saturated|saturate|saturates', 'vanishing gradients': 'vanishing gradient', 'unit': 'neuron|neurons',
    "He initialization": "He's rule", 'evaluation mode': 'eval mode', 'learning rate range test': 'range test|range tests',
    'F1': 'F1 score', 'robustness': 'robust', 'calibration': 'calibrated|calibrate',
    'expected calibration error': 'calibration error|calibration errors|ECE', 'temperature scaling': 'temperature',
    'generalization': 'generalizes|generalize', 'overfitting': 'overfit|overfits',
    'memorization': 'memorize|memorized|memorizes|memorizing', 'learning rate schedule': 'schedule|schedules',
    'exponential moving average': 'EMA', 'dead unit': 'dead', 'data leak': 'leak|leaks',
    "Spearman's rank correlation": "rank correlation", 'principal component': 'PCA', 'transfer learning': 'transfer',
    'frozen layer': 'frozen', 'fine-tuning': 'fine-tuned'}


@cache
def words(stem):
    "The Markdown cells of a notebook."
    cells = json.loads((NBS/f'{stem}.ipynb').read_text(encoding='utf-8'))['cells']
    return [''.join(c['source']) for c in cells if c['cell_type'] == 'markdown']


@cache
def glossary():
    "Of each term, where the glossary says it is explained: a page and the heading above."
    return {t: (page, anchor or None) for text in words('11_glossary')
            for t, page, anchor in re.findall(r'^- \*\*(.+?)\.\*\* .+ \(\[.+?\]\(([\w-]+)\.ipynb#?([\w-]*)\)\)$', text, re.M)}


def forms(term):
    "All forms of a term."
    more = {term + 's', term + 'es', re.sub('y$', 'ies', term), re.sub('ix$', 'ices', term)}
    return {term.lower(), *map(str.lower, more), *filter(None, FORMS.get(term, '').lower().split('|'))}


def anchor(heading):
    "What leads to a heading: like Pandoc's, it begins with its first letter."
    return re.sub(r'\s+', '-', re.sub(r'^[^a-z]+|[^\w\s-]', '', heading.lower()).strip())


@cache
def found():
    """What the book says, in order: (page, heading above, form of a term, bold).

    Left out: code, formulas, headings, the words of links (which say where to read on), the line below a page's title and its opening,
    which announce what the page explains, and the front page, but for the terms that it explains itself."""
    by_form = {f: t for t in glossary() for f in forms(t)}
    pattern = re.compile(r'(?<![\w-])(\**)(' + '|'.join(map(re.escape, sorted(by_form, key=len, reverse=True))) + r')(\**)(?![\w-])', re.I)
    out = []
    for stem in BOOK:
        head = None
        for i, text in enumerate(words(stem)):
            for line in re.sub(r'```.*?```|\$\$.*?\$\$|<[^>]+>', ' ', text, flags=re.S).split('\n'):
                if m := re.match(r'#+ (.*)', line): head = None if line.startswith('# ') else anchor(m[1])
                elif not line.startswith('>'):
                    line = re.sub(r'\*\*`([^`]+)`\*\*', r'**\1**', line)  # code that is a term
                    line = re.sub(r'\$[^$]+\$|`[^`]*`|\[[^\]]*\]\([^)]*\)', ' ', line)
                    for m in pattern.finditer(line):
                        bold = m[1] == m[3] == '**'
                        if bold or stem != 'index' and i > 1: out.append((stem, head, by_form[m[2].lower()], bold, line[max(0, m.start() - 50):m.end() + 30]))
    return out


def test_glossary():
    "The glossary is in order, names each term once, and leads to where it stands in bold."
    listed = re.findall(r'^- \*\*(.+?)\.\*\*', '\n'.join(words('11_glossary')), re.M)
    assert listed == sorted(listed, key=str.lower) and len(listed) == len(set(listed)) == len(glossary()) > 100
    first = {}
    for page, head, term, bold, _ in found():
        if bold: first.setdefault(term, (page, head))
    assert {t: first.get(t) for t in glossary()} == glossary()


@pytest.mark.parametrize('term', glossary())
def test_explained_first(term):
    "No use of the term comes before it is explained."
    early = []
    for page, _, t, bold, said in found():
        if t != term: continue
        if bold: return assert_none(early)
        early.append(f'{page}: …{said}…')
    pytest.fail('it is explained nowhere')


def assert_none(early): assert not early, '\n'.join(early)


def test_all_bold_terms():
    "What a chapter explains in bold is in the glossary."
    bold = {b.strip('`').lower() for stem in BOOK[1:] for text in words(stem) for b in re.findall(r'(?<!\*)\*\*([^*\n]+)\*\*(?!\*)', re.sub(r'```.*?```', '', text, flags=re.S))}
    known = {f for t in glossary() for f in forms(t)}
    others = {b for b in bold - known if not re.match(r'\d', b) and not b.endswith('.')}  # not the numbers of exercises and the first words of paragraphs
    assert not others, sorted(others)
