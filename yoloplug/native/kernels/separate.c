/* SCConv's spatial unit behind its norm: what is informative stays, the rest of each half also goes to the other half.
   w = 1 / (1 + e^-l); rich(a) = a where l > t, else a w; poor(a) = 0 where l > t, else a w; for the halves a, b of x's
   channels y = [rich(a) + poor(b), rich(b) + poor(a)].

   x, l, y, dy, dx, dl (N, 2C, H, W), or all pixelwise. `run` numbers of a are followed by as many of b: C H W, or C
   pixelwise. An item is such a pair of runs. Only x and l are kept for the backward pass. */

#include "simd.h"

typedef __typeof__((vec){0} < (vec){0}) flags;

INLINE vec choose(flags from_a, vec a, vec b) { return (vec)(((flags)a & from_a) | ((flags)b & ~from_a)); }

INLINE REAL threshold_of(const int64_t *s) {
    double t;
    memcpy(&t, s + 1, sizeof t);
    return (REAL)t;
}

KERNEL void separate_forward(ARGUMENTS) {
    (void)worker;
    const int64_t run = s[0];
    const vec t = all(threshold_of(s));
    for (int64_t item = begin; item < end; item++) {
        const int64_t at = 2 * run * item;
        const REAL *x = (const REAL *)p[0] + at, *l = (const REAL *)p[1] + at;
        REAL *y = (REAL *)p[2] + at;
        for (int64_t i = 0; i < run; i += LANES) {
            const int64_t count = run - i;
            vec rich[2], poor[2];
            for (int half = 0; half < 2; half++) {
                const vec v = load_part(x + half * run + i, count), logit = load_part(l + half * run + i, count);
                const vec damped = v / (exponential(-logit) + (REAL)1);
                rich[half] = choose(logit > t, v, damped);
                poor[half] = choose(logit > t, all(0), damped);
            }
            store_part(y + i, rich[0] + poor[1], count);
            store_part(y + run + i, rich[1] + poor[0], count);
        }
    }
}

KERNEL void separate_backward(ARGUMENTS) {
    (void)worker;
    const int64_t run = s[0];
    const vec t = all(threshold_of(s));
    for (int64_t item = begin; item < end; item++) {
        const int64_t at = 2 * run * item;
        const REAL *x = (const REAL *)p[0] + at, *l = (const REAL *)p[1] + at, *dy = (const REAL *)p[2] + at;
        REAL *dx = (REAL *)p[3] + at, *dl = (REAL *)p[4] + at;
        for (int64_t i = 0; i < run; i += LANES) {
            const int64_t count = run - i;
            const vec d[2] = {load_part(dy + i, count), load_part(dy + run + i, count)}, both = d[0] + d[1];
            for (int half = 0; half < 2; half++) {
                const int64_t place = half * run + i;
                const vec v = load_part(x + place, count), logit = load_part(l + place, count);
                const vec w = (REAL)1 / (exponential(-logit) + (REAL)1), passed = both * w;
                store_part(dx + place, choose(logit > t, d[half], passed), count);
                store_part(dl + place, choose(logit > t, all(0), passed * v * ((REAL)1 - w)), count);
            }
        }
    }
}
