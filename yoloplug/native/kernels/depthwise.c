/* A depthwise convolution, k of 3, 5 or 7, stride and dilation 1, pad k / 2:
   y_c(h, w) = bias_c + sum over a, b of w_c(a, b) x_c(h + a, w + b); `back`: with the window turned by 180 degrees,
   as the gradient with respect to the input has it.

   x (N, C, H, W), its images `jump` values apart; y likewise, dense; w (C, k, k); bias (C) or none. An item is an
   image's channel, copied into the cache with its zeros; a vector loaded from there serves up to k of `count` rows. */

#include "simd.h"

#define UNROLL _Pragma("GCC unroll 16")

INLINE void filter_rows(
    REAL *y, const REAL *seen, int64_t line, int64_t W, const REAL *w, REAL bias, const int k, const int count) {
    for (int64_t i = 0; i < W; i += LANES) {
        vec total[count];
        UNROLL for (int j = 0; j < count; j++) total[j] = all(bias);
        UNROLL for (int r = 0; r < count + k - 1; r++)
            UNROLL for (int b = 0; b < k; b++) {
                const vec value = load(seen + r * line + i + b);
                UNROLL for (int j = 0; j < count; j++)
                    if (r >= j && r - j < k) total[j] += value * all(w[(r - j) * k + b]);
            }
        UNROLL for (int j = 0; j < count; j++) store_part(y + j * W + i, total[j], W - i);
    }
}

INLINE void filter_plane(
    REAL *y, const REAL *seen, int64_t line, int64_t H, int64_t W, const REAL *w, REAL bias, const int k) {
    int64_t h = 0;
    for (; h + 8 <= H; h += 8) filter_rows(y + h * W, seen + h * line, line, W, w, bias, k, 8);
    for (; h + 2 <= H; h += 2) filter_rows(y + h * W, seen + h * line, line, W, w, bias, k, 2);
    for (; h < H; h++) filter_rows(y + h * W, seen + h * line, line, W, w, bias, k, 1);
}

KERNEL void depthwise_forward(ARGUMENTS) {
    const REAL *x = p[0], *w = p[1], *bias = p[2];
    REAL *y = p[3];
    const int64_t C = s[0], H = s[1], W = s[2], k = s[3], line = s[4], back = s[5], jump = s[6];
    const int64_t room = (H + k - 1) * line, pad = k / 2;
    REAL *cache = (REAL *)p[4] + worker * room, window[k * k];
    memset(cache, 0, room * sizeof(REAL));
    for (int64_t item = begin; item < end; item++) {
        const int64_t c = item % C;
        for (int64_t t = 0; t < k * k; t++) window[t] = w[c * k * k + (back ? k * k - 1 - t : t)];
        const REAL *from = x + item / C * jump + c * H * W;
        for (int64_t h = 0; h < H; h++) memcpy(cache + (h + pad) * line + pad, from + h * W, W * sizeof(REAL));
        REAL *to = y + item * H * W;
        const REAL plus = bias ? bias[c] : 0;
        if (k == 3) filter_plane(to, cache, line, H, W, window, plus, 3);
        else if (k == 5) filter_plane(to, cache, line, H, W, window, plus, 5);
        else filter_plane(to, cache, line, H, W, window, plus, 7);
    }
}

/* Gradient of a depthwise kernel: of_w_c(a, b) = sum over images, rows h and columns w of dy_c(h, w) x_c(h + a, w + b),
   x with pad zeros around it, stride and dilation 1.

   x (N, C, H, W), its images `jump` values apart; dy likewise, dense; of_w (C, k, k). An item is a channel. An image's
   map is copied into the cache with its zeros, so that a vector of dy is loaded once for all taps of a window's row. */

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
    const int64_t N = s[0], C = s[1], H = s[2], W = s[3], k = s[4], wide = s[5], line = s[6], jump = s[8], pad = k / 2;
    REAL *cache = (REAL *)p[3] + worker * s[7], *gradient = cache + (H + k - 1) * line;
    memset(cache, 0, s[7] * sizeof(REAL));
    for (int64_t c = begin; c < end; c++) {
        vec totals[k * k];
        for (int64_t t = 0; t < k * k; t++) totals[t] = all(0);
        for (int64_t n = 0; n < N; n++) {
            for (int64_t h = 0; h < H; h++) {
                memcpy(cache + (h + pad) * line + pad, x + n * jump + (c * H + h) * W, W * sizeof(REAL));
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
