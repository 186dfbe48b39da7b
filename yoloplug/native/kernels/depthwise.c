/* Gradient of a depthwise kernel: of_w_c(a, b) = sum over images, rows h and columns w of dy_c(h, w) x_c(h + a, w + b),
   x with pad zeros around it, stride and dilation 1.

   x, dy (N, C, H, W); of_w (C, k, k). An item is a channel. An image's map is copied into the cache with its zeros, so
   that a vector of dy is loaded once for all taps of a row of the window. */

#include "simd.h"

/* Adds to `count` taps side by side what they saw in one map. */
INLINE void add_taps(vec *totals, const REAL *dy, int64_t wide, const REAL *seen, int64_t line, int64_t H, const int count) {
    vec total[count];
    for (int b = 0; b < count; b++) total[b] = all(0);
    for (int64_t h = 0; h < H; h++)
        for (int64_t w = 0; w < wide; w += LANES) {
            const vec gradient = load(dy + h * wide + w);
            const REAL *from = seen + h * line + w;
            for (int b = 0; b < count; b++) total[b] += gradient * load(from + b);
        }
    for (int b = 0; b < count; b++) totals[b] += total[b];
}

KERNEL void depthwise_gradient(ARGUMENTS) {
    const REAL *x = p[0], *dy = p[1];
    REAL *of_w = p[2];
    const int64_t N = s[0], C = s[1], H = s[2], W = s[3], k = s[4], wide = s[5], line = s[6], pad = k / 2;
    REAL *cache = (REAL *)p[3] + worker * s[7], *gradient = cache + (H + k - 1) * line;
    memset(cache, 0, s[7] * sizeof(REAL));
    for (int64_t c = begin; c < end; c++) {
        vec totals[k * k];
        for (int64_t t = 0; t < k * k; t++) totals[t] = all(0);
        for (int64_t n = 0; n < N; n++) {
            for (int64_t h = 0; h < H; h++) {
                memcpy(cache + (h + pad) * line + pad, x + ((n * C + c) * H + h) * W, W * sizeof(REAL));
                memcpy(gradient + h * wide, dy + ((n * C + c) * H + h) * W, W * sizeof(REAL));
            }
            for (int64_t a = 0; a < k; a++)
                for (int64_t b = 0; b < k;) {
                    vec *to = totals + a * k + b;
                    const REAL *seen = cache + a * line + b;
#define TAPS(number) if (k - b >= number) { add_taps(to, gradient, wide, seen, line, H, number); b += number; }
                    TAPS(7) else TAPS(5) else TAPS(3) else TAPS(1)
                }
        }
        for (int64_t t = 0; t < k * k; t++) of_w[c * k * k + t] = sum(totals[t]);
    }
}
