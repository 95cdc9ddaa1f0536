"""Drawings as hands make them, as lines of points in a unit square: digits in several ways of writing, and what is no digit.

None of them trains anything (those of seed 1 helped to choose how the page measures what is unlike a digit, and one setting of the network for pens, `middle`); the notebook "The playground" says how the page's network reads them.
"""
import json, math, subprocess
from importlib.resources import files

import numpy as np

SCRIPT = files('mnist_cnn')/'static'/'playground.js'


def arc(cx, cy, rx, ry, begin, end, n=20):
    "Part of an ellipse; degrees from the right, clockwise on the page."
    t = np.radians(np.linspace(begin, end, n))
    return np.stack([cx + rx*np.cos(t), cy + ry*np.sin(t)], 1)


def path(*parts):
    "Points and pieces of curves, one after another, as one line."
    return np.concatenate([np.atleast_2d(np.asarray(p, float)) for p in parts])


def zero(u):
    at = u(-130, -50)
    return [arc(.5, .5, u(.26, .45), .5, at, at - u(345, 375), 40)]

def one(u, flag=None):
    flag = u(0, .6) if flag is None else flag
    top, lean = (.6, 0), u(-.05, .1)
    line = path(*([(.6 - .75*flag, flag*u(.75, 1.1))] if flag > .08 else []), top, (.6 - lean, 1))
    return [line, *([path((.4 - lean, 1), (.82 - lean, 1))] if u(0, 1) < .25 else [])]

def two(u):
    r = u(.26, .34)
    curl = [arc(.3, .9, .1, .09, 20, -250, 12)] if u(0, 1) < .3 else [(.2, 1)]
    return [path(arc(.5, r, r, r, 200, 390), *curl, (.5, .97), (.85, u(.92, 1)))]

def three(u):
    r, s = u(.2, .28), u(.24, .3)
    if u(0, 1) < .3: return [path((.25, 0), (.75, 0), (.5, .4), arc(.48, .7, s, .3, -80, 150))]
    return [path(arc(.5, r, r, r, 205, 440, 20), arc(.5, 2*r + .5 - r, s, .5 - r, -85, 150, 22))]

def four(u):
    bar = u(.55, .72)
    if u(0, 1) < .4: return [path((.62, 1), (.62, 0), (.12, bar), (.9, bar))]
    left = path((u(.25, .4), 0), (.12, bar), (.88, bar))
    return [left, path((.65, u(.1, .4)), (.65, 1))]

def five(u):
    belly = path((.28, 0), (.24, .44), arc(.46, .69, u(.27, .34), .31, -115, 140, 22))
    if u(0, 1) < .5: return [belly, path((.28, 0), (.8, u(-.03, .04)))]
    return [path((.8, 0), belly)]

def six(u):
    r = u(.22, .32)
    return [path(arc(.75, .62, .52, .62, 262, 180, 14), arc(.23 + r, 1 - r, r, r, 180, -190, 26))]

def seven(u, bar=None):
    bar = u(0, 1) < .4 if bar is None else bar
    top = path(*([(.12, .13)] if u(0, 1) < .25 else []), (.14, 0), (.84, u(-.03, .03)), (u(.3, .5), 1))
    return [top, *([path((.32, .5), (.8, u(.44, .52)))] if bar else [])]

def eight(u, upper=None):
    r = .5*(u(.35, .52) if upper is None else upper)  # the upper loop's height, as a fraction
    s, wide = .5 - r, u(.24, .36)
    small = wide*(r/s)**.8
    if u(0, 1) < .35: return [arc(.5, r, small, r, 90, 450, 26), arc(.5, 2*r + s, wide, s, -90, 270, 30)]
    return [path(arc(.5, r, small, r, -50, -270, 18), arc(.5, 2*r + s, wide, s, -90, 270, 30), arc(.5, r, small, r, 90, -60, 14))]

def nine(u):
    r = u(.2, .3)
    if u(0, 1) < .5: return [path(arc(.48, r, r, r, -20, -385, 26), (.48 + r*.9, 1))]
    return [path(arc(.48, r, r, r, -20, -360, 26), arc(.3, .45, .2 + r, .55, -20, 75, 12))]

DIGITS = [zero, one, two, three, four, five, six, seven, eight, nine]

# what is no digit; letters that may be read as one (O, S, I, Z, B, G, q, J, L, U, V) are not among them
OTHERS = {
    'A': lambda u: [path((0, 1), (.5, 0), (1, 1)), path((.2, .6), (.8, .6))],
    'E': lambda u: [path((.85, 0), (.1, 0), (.1, 1), (.85, 1)), path((.1, .5), (.7, .5))],
    'F': lambda u: [path((.85, 0), (.1, 0), (.1, 1)), path((.1, .48), (.7, .48))],
    'H': lambda u: [path((.1, 0), (.1, 1)), path((.9, 0), (.9, 1)), path((.1, .5), (.9, .5))],
    'K': lambda u: [path((.1, 0), (.1, 1)), path((.85, 0), (.12, .55), (.9, 1))],
    'M': lambda u: [path((0, 1), (.1, 0), (.5, .7), (.9, 0), (1, 1))],
    'N': lambda u: [path((.1, 1), (.1, 0), (.9, 1), (.9, 0))],
    'R': lambda u: [path((.1, 1), (.1, 0), arc(.45, .25, .4, .25, -90, 90, 12), (.1, .5)), path((.4, .5), (.9, 1))],
    'T': lambda u: [path((0, 0), (1, 0)), path((.5, 0), (.5, 1))],
    'W': lambda u: [path((0, 0), (.25, 1), (.5, .3), (.75, 1), (1, 0))],
    'cross': lambda u: [path((0, 0), (1, 1)), path((1, 0), (0, 1))],
    'plus': lambda u: [path((.5, 0), (.5, 1)), path((0, .5), (1, .5))],
    'star': lambda u: [path(*[(.5 + .5*math.sin(4*math.pi*k/5), .5 - .5*math.cos(4*math.pi*k/5)) for k in range(6)])],
    'heart': lambda u: [path((.5, .3), arc(.27, .28, .24, .25, -20, -200, 12), (.5, 1)), path((.5, .3), arc(.73, .28, .24, .25, 200, 380, 12), (.5, 1))],
    'house': lambda u: [path((.1, 1), (.1, .4), (.5, 0), (.9, .4), (.9, 1), (.1, 1))],
    'arrow': lambda u: [path((0, .5), (1, .5)), path((.7, .2), (1, .5), (.7, .8))],
    'spiral': lambda u: [np.concatenate([arc(.5, .5, r, r, 90*k, 90*k + 90, 8) for k, r in enumerate(np.linspace(.05, .5, 11))])],
    'wave': lambda u: [np.stack([np.linspace(0, 1, 40), .5 + .22*np.sin(np.linspace(0, 6*math.pi, 40))], 1)],
    'scribble': lambda u: [path(*[(u(0, 1), u(0, 1)) for _ in range(9)])],
    '10': lambda u: [path((0, .1), (.12, 0), (.12, 1)), arc(.75, .5, .3, .5, -90, 270, 30)],
    'two digits': lambda u: [*[.6*a*[.8, 1.4] for a in DIGITS[int(u(2, 10))](u)], *[.6*a*[.8, 1.4] + [.62, 0] for a in DIGITS[int(u(2, 10))](u)]],
}


def dense(line, step=.04):
    "The same line with points as close as a pointer gives them."
    parts = [np.linspace(a, b, max(2, int(np.hypot(*(b - a))/step) + 1))[:-1] for a, b in zip(line, line[1:])]
    return np.concatenate([*parts, line[-1:]])


def by_hand(lines, u, speck=False):
    "Lines as a hand makes them: narrower or wider, slanted, turned, bent a little, not quite steady; `speck`: with a dot in a far corner."
    lines = [dense(np.asarray(a, float)) for a in lines]
    turn, slant, wide = math.radians(u(-9, 9)), u(-.22, .22), u(.8, 1.15)
    m = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]]) @ np.array([[wide, -slant], [0, 1]])
    waves = [(u(.008, .02), u(2, 5), u(0, 6), u(2, 5), u(0, 6)) for _ in range(2)]
    made = []
    for a in lines:
        x, y = a.T
        bent = a + np.stack([s*np.sin(p*y*math.pi/2 + q)*np.cos(v*x + w) for s, p, q, v, w in waves], 1)
        made.append((bent - .5) @ m.T + .5 + [[u(-.004, .004), u(-.004, .004)] for _ in a])
    if speck:
        points, corner = np.concatenate(made), [(-.2, 1.2)[int(u(0, 2))] for _ in range(2)]
        low, high = points.min(0), points.max(0)
        made.append(path(low + (high - low)*corner))
    return [a.round(4).tolist() for a in made]


def drawings(n, seed, digits=True):
    "`n` of each kind: a list of (what it is, its lines); every fifth digit has a speck in a far corner."
    u, kinds = np.random.default_rng(seed).uniform, list(enumerate(DIGITS)) if digits else list(OTHERS.items())
    return [(name, by_hand(make(u), u, digits and k % 5 == 4)) for name, make in kinds for k in range(n)]


def hard(n, seed):
    "Those that were misread: an 8 with a small upper loop, a 1 with a long flag, a 7 with a bar."
    u = np.random.default_rng(seed).uniform
    return {'8 with a small upper loop': [(8, by_hand(eight(u, u(.28, .38)), u)) for _ in range(n)],
            '1 with a long flag': [(1, by_hand(one(u, u(.35, .6)), u)) for _ in range(n)],
            '7 with a bar': [(7, by_hand(seven(u, True), u)) for _ in range(n)]}


def from_page(drawn):
    "What the page gives its network for these drawings: pixels N×784."
    program = f"const p = require({json.dumps(str(SCRIPT))}), d = JSON.parse(require('fs').readFileSync(0)); console.log(JSON.stringify(d.map(s => [...p.prepare(p.rasterise(s))])))"
    done = subprocess.run(['node', '-e', program], input=json.dumps([[[[280*x, 280*y] for x, y in a] for a in lines] for _, lines in drawn]), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return np.array(json.loads(done.stdout), np.uint8)
