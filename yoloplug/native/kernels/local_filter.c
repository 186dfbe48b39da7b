/* y_c(p) = sum over taps t of w_ct(p) x_c(p s + t d), zeros outside; w_ct = filters_gt(p), or times or plus gains_ct.

   x (N, G * C, H, W); filters (N, G, k * k, P, Q); gains (N, G * C, k * k) or none; y (N, G * C, P, Q). An item is one
   group of an image in a few rows. Its rows are copied into the cache with their zeros around them, columns sorted by
   their rest modulo s, so that every tap reads 16 neighbours at once; a filter is loaded once for 8 channels. */

#include "simd.h"

enum { PLAIN, MUL, ADD }; /* how gains go in */

typedef struct {
    int64_t N, G, C, H, W, P, Q, k, s, d, pad, mode, rows;     /* as given */
    int64_t taps, reach, wide, line, blocks;                    /* see of() */
} Shape;

INLINE Shape of(const int64_t *s) {
    Shape z = {s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], s[8], s[9], s[7] / 2 * s[9], s[10], s[11], 0, 0, 0, 0, 0};
    z.taps = z.k * z.k;
    z.reach = (z.k - 1) * z.d / z.s;                             /* columns that the last tap is to the right */
    z.wide = (z.Q + LANES - 1) / LANES * LANES;                  /* of a row of y, in whole vectors */
    z.line = z.wide + 2 * z.reach + LANES;                       /* of a row in the cache */
    return z;
}

/* Row of x (or none) as s lines of a padded map: number X of the padded row goes to line X % s, place X / s. */
INLINE void spread(REAL *lines, const REAL *row, Shape z) {
    memset(lines, 0, z.s * z.line * sizeof(REAL));
    if (!row) return;
    if (z.s == 1)
        memcpy(lines + z.pad, row, z.W * sizeof(REAL));
    else
        for (int64_t j = 0, to; j < z.W; j++)
            if ((to = (j + z.pad) / z.s) < z.line) lines[(j + z.pad) % z.s * z.line + to] = row[j];
}

/* All channels of a group as rows [first, first + count) of the padded map see them. */
INLINE void gather(REAL *cache, const REAL *x, int64_t first, int64_t count, Shape z) {
    for (int64_t c = 0; c < z.C; c++)
        for (int64_t i = 0; i < count; i++) {
            const int64_t row = first + i - z.pad;
            spread(cache + (c * count + i) * z.s * z.line, row < 0 || row >= z.H ? 0 : x + (c * z.H + row) * z.W, z);
        }
}

INLINE vec weight(vec filter, const REAL *gain, const int64_t mode) {
    return mode == MUL ? filter * *gain : mode == ADD ? filter + *gain : filter;
}

/* 16 numbers of `count` channels: what the taps in [0, taps) see, weighed. `places`: of each tap, in a channel's cache. */
INLINE void weigh(
    REAL *y, int64_t between_y, int64_t numbers, const REAL *filters, int64_t line, const REAL *seen, int64_t between,
    const int64_t *places, const int64_t *of_filter, int64_t taps, const REAL *gains, int64_t all_taps,
    const int64_t *tap, const int64_t count, const int64_t mode
) {
    vec total[count];
    for (int64_t c = 0; c < count; c++) total[c] = all(0);
    for (int64_t t = 0; t < taps; t++) {
        const vec filter = load(filters + tap[t] * line + of_filter[t]);
        for (int64_t c = 0; c < count; c++)
            total[c] += weight(filter, gains + c * all_taps + tap[t], mode) * load(seen + c * between + places[t]);
    }
    for (int64_t c = 0; c < count; c++) store_part(y + c * between_y, total[c], numbers);
}

/* The same for all channels of a group. */
INLINE void weigh_all(
    REAL *y, int64_t between_y, int64_t numbers, const REAL *filters, int64_t line, const REAL *seen, int64_t between,
    const int64_t *places, const int64_t *of_filter, int64_t taps, const REAL *gains, int64_t all_taps,
    const int64_t *tap, int64_t channels, const int64_t mode
) {
    int64_t c = 0;
    for (; c + 8 <= channels; c += 8)
        weigh(y + c * between_y, between_y, numbers, filters, line, seen + c * between, between, places, of_filter,
              taps, gains + (mode ? c * all_taps : 0), all_taps, tap, 8, mode);
    for (; c < channels; c++)
        weigh(y + c * between_y, between_y, numbers, filters, line, seen + c * between, between, places, of_filter,
              taps, gains + (mode ? c * all_taps : 0), all_taps, tap, 1, mode);
}

#define BY_MODE(mode, call) \
    if (mode == PLAIN) call(PLAIN); else if (mode == MUL) call(MUL); else call(ADD)

KERNEL void local_filter_forward(ARGUMENTS) {
    const REAL *x = p[0], *filters = p[1], *gains = p[2];
    REAL *y = p[3];
    const Shape z = of(s);
    const int64_t blocks = (z.P + z.rows - 1) / z.rows, high = (z.rows - 1) * z.s + (z.k - 1) * z.d + 1;
    const int64_t between = high * z.s * z.line;
    REAL *cache = (REAL *)p[4] + worker * s[12], *lines = cache + z.C * between;
    int64_t tap[z.taps], places[z.taps], none[z.taps];
    for (int64_t t = 0; t < z.taps; t++) {
        const int64_t across = t % z.k * z.d;
        tap[t] = t, none[t] = 0, places[t] = (t / z.k * z.d * z.s + across % z.s) * z.line + across / z.s;
    }
    for (int64_t item = begin; item < end; item++) {
        const int64_t block = item % blocks, ng = item / blocks, first = block * z.rows;
        const int64_t last = first + z.rows < z.P ? first + z.rows : z.P;
        gather(cache, x + ng * z.C * z.H * z.W, first * z.s, high, z);
        for (int64_t h = first; h < last; h++) {
            for (int64_t t = 0; t < z.taps; t++) {
                memcpy(lines + t * z.wide, filters + ((ng * z.taps + t) * z.P + h) * z.Q, z.Q * sizeof(REAL));
                memset(lines + t * z.wide + z.Q, 0, (z.wide - z.Q) * sizeof(REAL));
            }
            for (int64_t w = 0; w < z.Q; w += LANES) {
                const REAL *seen = cache + (h - first) * z.s * z.s * z.line + w;
                REAL *out = y + (ng * z.C * z.P + h) * z.Q + w;
#define FORWARD(mode) \
    weigh_all(out, z.P * z.Q, z.Q - w, lines + w, z.wide, seen, between, places, none, z.taps, \
              gains + (mode ? ng * z.C * z.taps : 0), z.taps, tap, z.C, mode)
                BY_MODE(z.mode, FORWARD);
            }
        }
    }
}

/* Gradient of x: rows [first, last) of it, from the rows of y's gradient that saw them. */
KERNEL void local_filter_backward_map(ARGUMENTS) {
    const REAL *dy = p[0], *filters = p[1], *gains = p[2];
    REAL *dx = p[3];
    const Shape z = of(s);
    const int64_t blocks = (z.H + z.rows - 1) / z.rows, high = (z.rows + (z.k - 1) * z.d) / z.s + 1;
    const int64_t between = high * z.line, columns = (z.W + z.pad + z.s - 1) / z.s;
    REAL *cache = (REAL *)p[4] + worker * s[12], *lines = cache + z.C * between, *made = lines + z.taps * z.line;
    int64_t tap[z.taps], places[z.taps], of_filter[z.taps];
    for (int64_t item = begin; item < end; item++) {
        const int64_t block = item % blocks, ng = item / blocks, first = block * z.rows;
        const int64_t last = first + z.rows < z.H ? first + z.rows : z.H;
        /* the first row of y that may have seen row `first` */
        const int64_t reach = first + z.pad - (z.k - 1) * z.d, top = reach <= 0 ? 0 : (reach + z.s - 1) / z.s;
        for (int64_t c = 0; c < z.C; c++)
            for (int64_t i = 0; i < high; i++) {
                REAL *to = cache + c * between + i * z.line;
                memset(to, 0, z.line * sizeof(REAL));
                if (top + i < z.P)
                    memcpy(to + z.reach, dy + ((ng * z.C + c) * z.P + top + i) * z.Q, z.Q * sizeof(REAL));
            }
        for (int64_t row = first; row < last; row++) {
            for (int64_t t = 0; t < z.taps; t++) {
                const int64_t down = row + z.pad - t / z.k * z.d, h = down / z.s;
                if (down < 0 || down % z.s || h >= z.P) continue;
                memset(lines + t * z.line, 0, z.line * sizeof(REAL));
                memcpy(lines + t * z.line + z.reach, filters + ((ng * z.taps + t) * z.P + h) * z.Q, z.Q * sizeof(REAL));
            }
            for (int64_t rest = 0; rest < z.s; rest++) {
                int64_t taps = 0;
                for (int64_t t = 0; t < z.taps; t++) {
                    const int64_t down = row + z.pad - t / z.k * z.d, h = down / z.s, across = t % z.k * z.d;
                    if (down < 0 || down % z.s || h >= z.P || across % z.s != rest) continue;
                    tap[taps] = t, of_filter[taps] = z.reach - across / z.s;
                    places[taps++] = (h - top) * z.line + z.reach - across / z.s;
                }
                for (int64_t w = z.pad / z.s; w < columns; w += LANES) {
                    const int64_t j = w * z.s + rest - z.pad; /* column of dx of the first number, `s` between them */
                    const int64_t direct = z.s == 1, numbers = direct ? z.W - j : LANES;
                    REAL *out = direct ? dx + (ng * z.C * z.H + row) * z.W + j : made;
                    const int64_t between_out = direct ? z.H * z.W : LANES;
#define OF_MAP(mode) \
    weigh_all(out, between_out, numbers, lines + w, z.line, cache + w, between, places, of_filter, taps, \
              gains + (mode ? ng * z.C * z.taps : 0), z.taps, tap, z.C, mode)
                    BY_MODE(z.mode, OF_MAP);
                    for (int64_t c = 0; !direct && c < z.C; c++)
                        for (int64_t i = 0; i < LANES; i++) {
                            const int64_t column = j + i * z.s;
                            if (column >= 0 && column < z.W)
                                dx[((ng * z.C + c) * z.H + row) * z.W + column] = made[c * LANES + i];
                        }
                }
            }
        }
    }
}

/* Gradients of up to 8 taps of one row of the window in 16 places, and what they add to their gains' gradients. */
INLINE void of_taps(
    REAL *df, int64_t between_f, int64_t numbers, const REAL *filters, int64_t between_lines, const REAL *dy,
    int64_t wide, const REAL *seen, int64_t between, const int64_t *places, const REAL *gains, REAL *dg,
    int64_t all_taps, int64_t channels, const int64_t count, const int64_t mode
) {
    vec total[count], filter[count];
    REAL inside[LANES];
    for (int64_t i = 0; i < LANES; i++) inside[i] = i < numbers;
    const __typeof__((vec){0} == (vec){0}) kept = load(inside) != all(0);
    for (int64_t t = 0; t < count; t++) total[t] = all(0), filter[t] = load(filters + t * between_lines);
    for (int64_t c = 0; c < channels; c++) {
        const vec gradient = load(dy + c * wide);
        for (int64_t t = 0; t < count; t++) {
            vec product = gradient * load(seen + c * between + places[t]);
            if (mode != PLAIN) { /* beyond the row: infinity times zero must not count */
                product = (vec)((__typeof__(kept))product & kept);
                REAL *of_gain = dg + (c * all_taps + t) * LANES;
                store(of_gain, load(of_gain) + (mode == MUL ? product * filter[t] : product));
                if (mode == MUL) product *= gains[c * all_taps + t];
            }
            total[t] += product;
        }
    }
    for (int64_t t = 0; t < count; t++) store_part(df + t * between_f, total[t], numbers);
}

/* Gradients of filters and, per item, of gains: (items, C, k * k). */
KERNEL void local_filter_backward_filters(ARGUMENTS) {
    const REAL *x = p[0], *filters = p[1], *gains = p[2], *dy = p[3];
    REAL *df = p[5], *dg = p[6];
    const Shape z = of(s);
    const int64_t blocks = (z.P + z.rows - 1) / z.rows, high = (z.rows - 1) * z.s + (z.k - 1) * z.d + 1;
    const int64_t between = high * z.s * z.line, plane = z.P * z.Q;
    REAL *cache = (REAL *)p[4] + worker * s[12], *lines = cache + z.C * between, *of_y = lines + z.taps * z.wide;
    REAL *of_gains = of_y + z.C * z.wide;
    int64_t places[z.taps];
    for (int64_t t = 0; t < z.taps; t++) {
        const int64_t across = t % z.k * z.d;
        places[t] = (t / z.k * z.d * z.s + across % z.s) * z.line + across / z.s;
    }
    for (int64_t item = begin; item < end; item++) {
        const int64_t block = item % blocks, ng = item / blocks, first = block * z.rows;
        const int64_t last = first + z.rows < z.P ? first + z.rows : z.P;
        gather(cache, x + ng * z.C * z.H * z.W, first * z.s, high, z);
        if (z.mode) memset(of_gains, 0, z.C * z.taps * LANES * sizeof(REAL));
        for (int64_t h = first; h < last; h++) {
            for (int64_t t = 0; t < z.taps && z.mode; t++) {
                memcpy(lines + t * z.wide, filters + ((ng * z.taps + t) * z.P + h) * z.Q, z.Q * sizeof(REAL));
                memset(lines + t * z.wide + z.Q, 0, (z.wide - z.Q) * sizeof(REAL));
            }
            for (int64_t c = 0; c < z.C; c++) {
                memcpy(of_y + c * z.wide, dy + ((ng * z.C + c) * z.P + h) * z.Q, z.Q * sizeof(REAL));
                memset(of_y + c * z.wide + z.Q, 0, (z.wide - z.Q) * sizeof(REAL));
            }
            for (int64_t w = 0; w < z.Q; w += LANES)
                for (int64_t t = 0; t < z.taps;) {
                    const REAL *seen = cache + (h - first) * z.s * z.s * z.line + w;
                    REAL *out = df + ((ng * z.taps + t) * z.P + h) * z.Q + w;
                    const int64_t most = z.taps % 9 == 0 ? 9 : z.taps % 5 == 0 ? 5 : 7;
                    const int64_t count = z.taps - t >= most ? most : 1;
#define OF_COUNT(number, mode) \
    of_taps(out, plane, z.Q - w, lines + t * z.wide + w, z.wide, of_y + w, z.wide, seen, between, places + t, \
            gains + (mode ? ng * z.C * z.taps + t : 0), of_gains + t * LANES, z.taps, z.C, number, mode)
#define OF_FILTERS(mode) \
    if (count == 9) OF_COUNT(9, mode); else if (count == 7) OF_COUNT(7, mode); \
    else if (count == 5) OF_COUNT(5, mode); else OF_COUNT(1, mode)
                    BY_MODE(z.mode, OF_FILTERS);
                    t += count;
                }
        }
        for (int64_t i = 0; i < z.C * z.taps && z.mode; i++)
            dg[item * z.C * z.taps + i] = sum(load(of_gains + i * LANES));
    }
}
