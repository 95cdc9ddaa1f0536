/* The kernels in a web page: `kernels.c` as WebAssembly for one network, with what a page lacks of C's library and with
gradient descent beside Adam. `tools/wasm.py` builds it; the notebook 35_trainer explains and tests it. */
#include "kernels.c"

#define EXPORT(name) __attribute__((export_name(#name)))
extern char __heap_base;
static char *end_of_heap;

/* `size` bytes of zeros, kept as long as the page: new memory is zero, and none is ever given back */
void *calloc(size_t n, size_t size) {
    if (!end_of_heap) end_of_heap = &__heap_base;
    char *p = end_of_heap + (-(uintptr_t)end_of_heap & 15);
    end_of_heap = p + n * size;
    size_t have = __builtin_wasm_memory_size(0) << 16, want = (size_t)end_of_heap;
    if (want > have && __builtin_wasm_memory_grow(0, (want - have + 65535) >> 16) == (size_t)-1) return 0;
    return p;
}

EXPORT(room) void *page_room(int bytes) { return calloc(bytes, 1); }
EXPORT(count) int page_count(void) {
    int n = 0;
    for (int l = 0; l < N_CONVS; l++) n += n_weights(l) + convs[l].co;
    for (int l = 0; l < N_LINEARS; l++) n += (sizes[l] + 1) * sizes[l + 1];
    return n;
}
EXPORT(network) net *page_network(int most) { return net_new(1, most); }
EXPORT(logits) void page_logits(net *t, const float *w, const float *x, int n, float *out) { net_logits(t, w, x, n, out); }
EXPORT(gradient) double page_gradient(net *t, const float *w, const float *x, const int64_t *y, int n, float *grad) {
    return net_gradient(t, w, x, y, n, 0, grad);
}
/* What the last linear layer was given for the images that went through last, and what it made of them: the logits */
EXPORT(hidden) const float *page_hidden(net *t) { return t->y[N_LINEARS - 1]; }
EXPORT(last) const float *page_last(net *t) { return t->y[N_LINEARS]; }

/* As `torch.optim.AdamW`: each step first shrinks the weights by lr × decay */
EXPORT(adam) void page_adam(net *t, float *w, const float *g, float *mean, float *square, int n, double lr, double decay, double step) {
    const float keep = 1 - lr * decay;
    if (decay) for (int i = 0; i < n; i++) w[i] *= keep;
    net_adam(t, w, g, mean, square, n, lr, 0.9, 0.999, 1e-8, step);
}

/* As `torch.optim.SGD`: speed = momentum × speed + gradient + decay × weight, where `first` says that there is no speed yet */
EXPORT(sgd) void page_sgd(float *w, const float *g, float *speed, int n, float lr, float momentum, float decay, int first) {
    for (int i = 0; i < n; i++) {
        float d = g[i] + decay * w[i];
        speed[i] = first ? d : momentum * speed[i] + d;
        w[i] -= lr * speed[i];
    }
}
