/* A small convolutional network, forward and backward, for one processor.

The network is a row of blocks (convolution with stride 1, 2×2 max pool, ReLU), then a row of linear layers with ReLU
between them, then the cross-entropy. Its sizes are known when this file is compiled, so that every loop has a fixed length:

    -DCONVS(X)=X(0, 1, 16, 3, 1, 28, 28) X(1, 16, 32, 3, 1, 14, 14)   number, channels in and out, kernel, padding, input H, W
    -DN_CONVS=2  -DSIZES=1568, 32, 10  -DN_LINEARS=2                   features from layer to layer

All weights lie in one array, in the order of the layers, weight before bias; a convolution's weights as O×K×K×I
(PyTorch's channels_last). Images inside are H×W×C, with their padding around them. The notebook 21_kernels explains and tests
each function. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#else
#define omp_get_thread_num() 0
#define omp_get_num_threads() 1
#endif

#ifndef FLOATS
#define FLOATS 8
#endif
enum { V = FLOATS, G = 4 };  // floats in a vector; samples that a thread takes through the network together
#define INLINE static inline __attribute__((always_inline))
typedef float vec __attribute__((vector_size(4 * V), aligned(4), may_alias));
typedef int32_t ints __attribute__((vector_size(4 * V), aligned(4), may_alias));
typedef uint8_t bytes __attribute__((vector_size(V), aligned(1), may_alias));
INLINE vec load(const float *p) { return *(const vec *)p; }
INLINE void save(float *p, vec v) { *(vec *)p = v; }
INLINE ints choose(ints mask, ints a, ints b) { return (mask & a) | (~mask & b); }
INLINE float total(vec v) { float s = 0; for (int i = 0; i < V; i++) s += v[i]; return s; }

// ---- Convolution, pool and ReLU as one -----------------------------------------------------------------------------

/* out = relu(maxpool(conv(a))), and in `which` the place of each maximum, 0 to 3, or 4 where ReLU gives 0.
The four outputs under a pool are summed in registers and never stored, for two vectors of channels at once or, where only
one is left, for two neighbouring windows: a processor wants eight sums to work on. `row`, `col`, `chan` are the steps of `out`. */
INLINE void conv_forward(const int CI, const int CO, const int K, const int WP, const int PH, const int PW,
        const float *a, const float *w, const float *b, float *out, int row, int col, int chan, uint8_t *which) {
    for (int o = 0; o < CO; o += 2 * V) for (int py = 0; py < PH; py++) for (int px = 0; px < PW; ) {
        const int two = o + V < CO, last = px + 1 == PW, next = two || last ? 0 : 2 * CI;
        vec s[4][2];
        for (int p = 0; p < 4; p++) s[p][0] = load(b + o), s[p][1] = load(b + o + two * V);
        for (int ky = 0; ky < K; ky++) for (int kx = 0; kx < K; kx++) {
            const float *q = a + ((2 * py + ky) * WP + 2 * px + kx) * CI, *r = q + next;
            const float *u = w + (ky * K + kx) * CI * CO + o;
            #pragma GCC unroll 4
            for (int c = 0; c < CI; c++, q++, r++, u += CO) {
                vec w0 = load(u), w1 = two ? load(u + V) : w0;
                s[0][0] += q[0] * w0;              s[0][1] += r[0] * w1;
                s[1][0] += q[CI] * w0;             s[1][1] += r[CI] * w1;
                s[2][0] += q[WP * CI] * w0;        s[2][1] += r[WP * CI] * w1;
                s[3][0] += q[(WP + 1) * CI] * w0;  s[3][1] += r[(WP + 1) * CI] * w1;
            }
        }
        for (int h = 0; h < 2; h++) {
            const int x = px + (h && !two && !last), c = o + (two ? h * V : 0);
            vec most = s[0][h];
            ints place = {};
            for (int p = 1; p < 4; p++) {
                ints more = s[p][h] > most;
                most = (vec)choose(more, (ints)s[p][h], (ints)most);
                place = choose(more, (ints){} + p, place);
            }
            ints off = most <= 0;
            most = (vec)(~off & (ints)most);
            place = choose(off, (ints){} + 4, place);
            float *y = out + py * row + x * col + c * chan;
            if (chan == 1) save(y, most);
            else for (int j = 0; j < V; j++) y[j * chan] = most[j];
            if (which) *(bytes *)(which + (py * PW + x) * CO + c) = __builtin_convertvector(place, bytes);
        }
        px += 2 - (two || last);
    }
}

/* Floats in a row of a kernel, K×I, in whole vectors; K ≤ 5 and I ≤ 512, which `plan` sees to */
#define ROW(K, CI) (((K) * (CI) + V - 1) / V * V)
enum { MOST_VECTORS = ROW(5, 512) / V };

/* Adds to the gradients dw (O×K rows), db and, but for the first layer, dx. Behind a pool and a ReLU at most one in four
outputs of the convolution has a gradient, so for each channel we list those and skip the others. */
INLINE void conv_backward(const int CI, const int CO, const int K, const int WP, const int PH, const int PW,
        const float *a, const float *w, const float *g, int row, int col, int chan, const uint8_t *which,
        float *dw, float *db, float *dx, int *place, float *value) {
    const int corner[5] = {0, CI, WP * CI, (WP + 1) * CI, 0}, N = ROW(K, CI) / V;
    for (int o = 0; o < CO; o++) {
        int n = 0;
        for (int py = 0; py < PH; py++) for (int px = 0; px < PW; px++) {
            int p = which[(py * PW + px) * CO + o];
            place[n] = (2 * py * WP + 2 * px) * CI + corner[p];
            value[n] = g[py * row + px * col + o * chan];
            n += p < 4;
        }
        for (int i = 0; i < n; i++) db[o] += value[i];
        for (int ky = 0; ky < K; ky++) {
            float *d = dw + (o * K + ky) * N * V;
            vec s[MOST_VECTORS];
            for (int j = 0; j < N; j++) s[j] = load(d + j * V);
            for (int i = 0; i < n; i++) {
                const float *q = a + place[i] + ky * WP * CI, v = value[i];
                #pragma GCC unroll 16
                for (int j = 0; j < N; j++) s[j] += v * load(q + j * V);
            }
            for (int j = 0; j < N; j++) save(d + j * V, s[j]);
            if (CI % V) continue;  // the first layer
            const float *u = w + (o * K + ky) * K * CI;
            for (int j = 0; j < N; j++) s[j] = load(u + j * V);
            for (int i = 0; i < n; i++) {
                float *q = dx + place[i] + ky * WP * CI, v = value[i];
                #pragma GCC unroll 16
                for (int j = 0; j < N; j++) save(q + j * V, load(q + j * V) + v * s[j]);
            }
        }
    }
}

// ---- Linear layers, for N (or G) samples at once --------------------------------------------------------------------

/* y = x wᵀ + b for G samples; w is O×I */
INLINE void linear_forward(int I, int O, const float *x, const float *w, const float *b, float *y, int relu) {
    for (int o = 0; o < O; o += 2) {
        const int second = o + 1 < O;
        vec s[G][2] = {};
        for (int j = 0; j < I; j += V) {
            vec w0 = load(w + o * I + j), w1 = load(w + (o + second) * I + j);
            for (int g = 0; g < G; g++) { vec q = load(x + g * I + j); s[g][0] += q * w0; s[g][1] += q * w1; }
        }
        for (int g = 0; g < G; g++) for (int h = 0; h < 1 + second; h++) {
            float v = total(s[g][h]) + b[o + h];
            y[g * O + o + h] = relu && v < 0 ? 0 : v;
        }
    }
}

/* dx = dy w for one sample; most of dy is zero behind a ReLU */
INLINE void linear_dx(int I, int O, const float *dy, const float *w, float *dx) {
    int list[O], n = 0;
    for (int o = 0; o < O; o++) { list[n] = o; n += dy[o] != 0; }
    for (int j = 0; j < I; j += 4 * V) {
        vec s[4] = {};
        for (int k = 0; k < n; k++) for (int h = 0; h < 4; h++)
            if (j + h * V < I) s[h] += dy[list[k]] * load(w + list[k] * I + j + h * V);
        for (int h = 0; h < 4; h++) if (j + h * V < I) save(dx + j + h * V, s[h]);
    }
}

/* rows `from` to `to` of dw = dyᵀ x and of db, over N samples */
INLINE void linear_dw(int I, int O, int from, int to, int N, const float *dy, const float *x, float *dw, float *db) {
    for (int o = from; o < to; o++) {
        float s = 0;
        for (int n = 0; n < N; n++) s += dy[n * O + o];
        db[o] = s;
    }
    for (int j = 0; j < I; j += 2 * V) for (int o = from; o < to; o += 4) {
        const int second = j + V < I ? V : 0, rows = to - o < 4 ? to - o : 4;
        vec s[4][2] = {};
        for (int n = 0; n < N; n++) {
            vec x0 = load(x + n * I + j), x1 = load(x + n * I + j + second);
            for (int h = 0; h < 4; h++) { float v = dy[n * O + o + (h < rows ? h : 0)]; s[h][0] += v * x0; s[h][1] += v * x1; }
        }
        for (int h = 0; h < rows; h++) {
            save(dw + (o + h) * I + j, s[h][0]);
            if (second) save(dw + (o + h) * I + j + V, s[h][1]);
        }
    }
}

// ---- The network ----------------------------------------------------------------------------------------------------

typedef struct {
    int ci, co, k, pad, h, w;
    void (*forward)(const float *, const float *, const float *, float *, int, int, int, uint8_t *);
    void (*backward)(const float *, const float *, const float *, int, int, int, const uint8_t *, float *, float *, float *, int *, float *);
} conv;

#define POOLED(S, K, P) (((S) + 2 * (P) - (K) + 1) / 2)
#define DEFINE(l, CI, CO, K, P, H, W) \
    static void forward##l(const float *a, const float *w, const float *b, float *out, int row, int col, int chan, uint8_t *which) { \
        conv_forward(CI, CO, K, W + 2 * P, POOLED(H, K, P), POOLED(W, K, P), a, w, b, out, row, col, chan, which); } \
    static void backward##l(const float *a, const float *w, const float *g, int row, int col, int chan, const uint8_t *which, \
                            float *dw, float *db, float *dx, int *place, float *value) { \
        conv_backward(CI, CO, K, W + 2 * P, POOLED(H, K, P), POOLED(W, K, P), a, w, g, row, col, chan, which, dw, db, dx, place, value); }
#define ENTRY(l, CI, CO, K, P, H, W) {CI, CO, K, P, H, W, forward##l, backward##l},
CONVS(DEFINE)
static const conv convs[N_CONVS] = {CONVS(ENTRY)};
static const int sizes[N_LINEARS + 1] = {SIZES};

typedef struct {  // what a thread needs for itself
    float *a[G][N_CONVS], *dx[N_CONVS], *dflat, *dw[N_CONVS], *db[N_CONVS];
    uint8_t *which[G][N_CONVS];
    int *place;                         // of the maxima of one channel that have a gradient …
    float *value;                       // … and their gradients
    double loss;
} worker;

typedef struct {
    int n_threads, n_max;               // n_max: the largest batch
    int weight[N_CONVS + N_LINEARS];    // where each layer's weights begin
    float *turned[N_CONVS];             // the convolutions' weights as K×K×I×O
    float *y[N_LINEARS + 1], *dy[N_LINEARS + 1];  // inputs of the linear layers, logits; and their gradients
    worker *workers;
} net;

static int short_of_memory;  // since `net_new` began
static void *zeros(size_t n, size_t size) {  // n of this size, and a vector more; begins at a cache line; kept until the process ends
    char *p = n < SIZE_MAX / 2 / size ? calloc(n * size + 192, 1) : 0;
    if (!p) short_of_memory = 1;
    return p ? p + (64 - (uintptr_t)p % 64) : 0;
}
static size_t padded(int l) { return (size_t)(convs[l].h + 2 * convs[l].pad) * (convs[l].w + 2 * convs[l].pad) * convs[l].ci; }
static int ph(int l) { return POOLED(convs[l].h, convs[l].k, convs[l].pad); }
static int pw(int l) { return POOLED(convs[l].w, convs[l].k, convs[l].pad); }
static int n_weights(int l) { return convs[l].co * convs[l].k * convs[l].k * convs[l].ci; }
static int n_rows(int l) { return convs[l].co * convs[l].k; }
static int row(int l) { return ROW(convs[l].k, convs[l].ci); }

/* All that batches of up to n_max images need; 0 if there is not enough memory */
net *net_new(int n_threads, int n_max) {
    short_of_memory = 0;
    if (n_threads < 1 || n_max < 1 || n_max > INT32_MAX - G) return 0;
    n_max = (n_max + G - 1) / G * G;
    net *t = zeros(1, sizeof(net));
    if (!t) return 0;
    t->n_threads = n_threads, t->n_max = n_max;
    int at = 0, most = 0;
    for (int l = 0; l < N_CONVS; l++) {
        t->weight[l] = at, at += n_weights(l) + convs[l].co;
        t->turned[l] = zeros(n_weights(l), 4);
        most = ph(l) * pw(l) > most ? ph(l) * pw(l) : most;
    }
    for (int l = 0; l < N_LINEARS; l++) t->weight[N_CONVS + l] = at, at += sizes[l] * sizes[l + 1] + sizes[l + 1];
    for (int l = 0; l <= N_LINEARS; l++) {
        t->y[l] = zeros((size_t)n_max * sizes[l], 4);
        if (l) t->dy[l] = zeros((size_t)n_max * sizes[l], 4);
    }
    t->workers = zeros(n_threads, sizeof(worker));
    if (short_of_memory) return 0;
    for (worker *k = t->workers; k < t->workers + n_threads; k++) {
        k->dflat = zeros(sizes[0], 4);
        k->place = zeros(most + 1, sizeof(int)), k->value = zeros(most + 1, 4);
        for (int l = 0; l < N_CONVS; l++) {
            for (int g = 0; g < G; g++) {
                k->a[g][l] = zeros(padded(l), 4);  // a row in whole vectors may reach beyond the last pixel
                k->which[g][l] = zeros((size_t)ph(l) * pw(l) * convs[l].co, 1);
            }
            k->dx[l] = zeros(padded(l), 4);
            k->dw[l] = zeros((size_t)n_rows(l) * row(l) + convs[l].co, 4);
            if (k->dw[l]) k->db[l] = k->dw[l] + n_rows(l) * row(l);
        }
    }
    return short_of_memory ? 0 : t;
}

/* What lies behind convolution l: the inside of the next one's padded input, or the first linear layer's, as C×H×W */
typedef struct { float *p; int row, col, chan; } target;
static target behind(int l, float *next, float *flat) {
    if (l == N_CONVS - 1) return (target){flat, pw(l), 1, ph(l) * pw(l)};
    const conv *c = convs + l + 1;
    int wp = c->w + 2 * c->pad;
    return (target){next + c->pad * (wp + 1) * c->ci, wp * c->ci, c->ci, 1};
}

static void turn(net *t, const float *w) {
    for (int l = 0; l < N_CONVS; l++) {
        const int n = n_weights(l) / convs[l].co, co = convs[l].co;
        for (int i = 0; i < n; i++) for (int o = 0; o < co; o++) t->turned[l][i * co + o] = w[t->weight[l] + o * n + i];
    }
}

/* Logits of the samples n0 … n0 + m - 1, m at most G, into y[N_LINEARS] */
static void forward(net *t, worker *k, const float *w, const float *x, int n0, int m, int learning) {
    const int h = convs[0].h, wd = convs[0].w, pad = convs[0].pad;
    for (int g = 0; g < m; g++) {
        for (int y = 0; y < h; y++)
            memcpy(k->a[g][0] + (y + pad) * (wd + 2 * pad) + pad, x + ((size_t)(n0 + g) * h + y) * wd, 4 * wd);
        for (int l = 0; l < N_CONVS; l++) {
            target to = behind(l, l + 1 < N_CONVS ? k->a[g][l + 1] : 0, t->y[0] + (size_t)(n0 + g) * sizes[0]);
            convs[l].forward(k->a[g][l], t->turned[l], w + t->weight[l] + n_weights(l), to.p, to.row, to.col, to.chan,
                             learning ? k->which[g][l] : 0);
        }
    }
    for (int l = 0; l < N_LINEARS; l++) {
        const float *u = w + t->weight[N_CONVS + l];
        linear_forward(sizes[l], sizes[l + 1], t->y[l] + (size_t)n0 * sizes[l], u, u + sizes[l] * sizes[l + 1],
                       t->y[l + 1] + (size_t)n0 * sizes[l + 1], l < N_LINEARS - 1);
    }
}

/* Logits of n ≤ n_max images */
void net_logits(net *t, const float *w, const float *x, int n, float *out) {
    if (n < 0 || n > t->n_max) return;
    turn(t, w);
    #pragma omp parallel for schedule(static) num_threads(t->n_threads)
    for (int n0 = 0; n0 < n; n0 += G)
        forward(t, t->workers + omp_get_thread_num(), w, x, n0, n - n0 < G ? n - n0 : G, 0);
    memcpy(out, t->y[N_LINEARS], 4 * (size_t)n * sizes[N_LINEARS]);
}

/* From logits to the gradient of the mean cross-entropy over n samples (with label smoothing); adds to the loss */
static void cross_entropy(worker *k, const float *logits, float *d, int64_t target, float smoothing, int n) {
    const int C = sizes[N_LINEARS];
    float top = logits[0], sum = 0, mean = 0;
    for (int c = 1; c < C; c++) if (logits[c] > top) top = logits[c];
    for (int c = 0; c < C; c++) sum += d[c] = expf(logits[c] - top), mean += logits[c] / C;
    k->loss += logf(sum) + top - (1 - smoothing) * logits[target] - smoothing * mean;
    for (int c = 0; c < C; c++) d[c] = (d[c] / sum - (1 - smoothing) * (c == target) - smoothing / C) / n;
}

/* Mean cross-entropy of n ≤ n_max images, and its gradient into `grad`; -1 if a target is no class */
double net_gradient(net *t, const float *w, const float *x, const int64_t *y, int n, float smoothing, float *grad) {
    if (n < 0 || n > t->n_max) return -1;
    for (int i = 0; i < n; i++) if (y[i] < 0 || y[i] >= sizes[N_LINEARS]) return -1;
    turn(t, w);
    for (int q = 0; q < t->n_threads; q++) t->workers[q].loss = 0;
    #pragma omp parallel num_threads(t->n_threads)
    {
        const int me = omp_get_thread_num(), T = omp_get_num_threads();
        worker *k = t->workers + me;
        for (int l = 0; l < N_CONVS; l++) memset(k->dw[l], 0, 4 * (n_rows(l) * row(l) + convs[l].co));
        #pragma omp for schedule(static)
        for (int n0 = 0; n0 < n; n0 += G) {
            const int m = n - n0 < G ? n - n0 : G;
            forward(t, k, w, x, n0, m, 1);
            for (int g = 0; g < m; g++) {
                const size_t i = n0 + g;
                cross_entropy(k, t->y[N_LINEARS] + i * sizes[N_LINEARS], t->dy[N_LINEARS] + i * sizes[N_LINEARS], y[i], smoothing, n);
                for (int l = N_LINEARS - 1; l >= 0; l--) {
                    float *d = l ? t->dy[l] + i * sizes[l] : k->dflat, *in = t->y[l] + i * sizes[l];
                    linear_dx(sizes[l], sizes[l + 1], t->dy[l + 1] + i * sizes[l + 1], w + t->weight[N_CONVS + l], d);
                    if (l) for (int j = 0; j < sizes[l]; j++) d[j] = in[j] > 0 ? d[j] : 0;
                }
                for (int l = N_CONVS - 1; l >= 0; l--) {
                    target from = behind(l, l + 1 < N_CONVS ? k->dx[l + 1] : 0, k->dflat);
                    if (l) memset(k->dx[l], 0, 4 * padded(l));
                    convs[l].backward(k->a[g][l], w + t->weight[l], from.p, from.row, from.col, from.chan, k->which[g][l],
                                      k->dw[l], k->db[l], k->dx[l], k->place, k->value);
                }
            }
        }
        // every thread is here: each does a part of the weights, over all samples
        for (int l = 0; l < N_LINEARS; l++) {
            float *d = grad + t->weight[N_CONVS + l];
            const int O = sizes[l + 1];
            linear_dw(sizes[l], O, O * me / T, O * (me + 1) / T, n, t->dy[l + 1], t->y[l], d, d + sizes[l] * O);
        }
        for (int l = 0; l < N_CONVS; l++) {
            const int rows = n_rows(l), n = convs[l].k * convs[l].ci, co = convs[l].co;
            for (int r = rows * me / T; r < rows * (me + 1) / T; r++) for (int j = 0; j < n; j++) {
                float s = 0;
                for (int q = 0; q < T; q++) s += t->workers[q].dw[l][r * row(l) + j];
                grad[t->weight[l] + r * n + j] = s;
            }
            for (int o = co * me / T; o < co * (me + 1) / T; o++) {
                float s = 0;
                for (int q = 0; q < T; q++) s += t->workers[q].db[l][o];
                grad[t->weight[l] + n_weights(l) + o] = s;
            }
        }
    }
    double loss = 0;
    for (int q = 0; q < t->n_threads; q++) loss += t->workers[q].loss;
    return loss / n;
}

/* One step of Adam on n weights */
void net_adam(net *t, float *w, const float *g, float *mean, float *square, int n,
              double lr, double beta1, double beta2, double eps, double step) {
    const float b1 = 1 - beta1, b2 = beta2, c2 = 1 - beta2, move = lr / (1 - pow(beta1, step)),
                root = 1 / sqrt(1 - pow(beta2, step)), e = eps;
    #pragma omp parallel for simd schedule(static) num_threads(t->n_threads)
    for (int i = 0; i < n; i++) {
        mean[i] += b1 * (g[i] - mean[i]);
        square[i] = b2 * square[i] + c2 * g[i] * g[i];
        w[i] -= move * mean[i] / (sqrtf(square[i]) * root + e);
    }
}
