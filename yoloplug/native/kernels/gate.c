/* Gated features: y = act(f) / (1 + e^-g), act nothing or ELU, f the first and g the second half of z's channels.

   z, dz (N, 2C, H, W); y, dy (N, C, H, W), or both pixelwise. `run` numbers of f are followed by as many of g: C H W, or C
   pixelwise. An item is a run. Only z is kept for the backward pass. */

#include "simd.h"

typedef __typeof__((vec){0} < (vec){0}) flags;

/* e^x - 1 for x < 0, to 3 units of the last place: by its series near 0, where 1 cancels. */
INLINE vec exponential_less_1(vec x) {
    vec near = all((REAL)(1.0 / 40320));
    const double inverse[] = {1.0 / 5040, 1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5, 1.0};
    for (int i = 0; i < 7; i++) near = near * x + (REAL)inverse[i];
    near *= x;
    const flags small = x > all((REAL)-0.3);
    const vec far = exponential(x) - (REAL)1;
    const vec made = (vec)(((flags)near & small) | ((flags)far & ~small));
    return sizeof(REAL) == 8 ? far : made;
}

/* Lanes of `a` where x is above 0 or NaN, else of `b`. */
INLINE vec where_above(vec x, vec a, vec b) {
    const flags below = x <= all(0);
    return (vec)(((flags)a & ~below) | ((flags)b & below));
}

INLINE void gate_item(void *const *p, const int64_t *s, int64_t item, int backward, const int64_t elu) {
    const int64_t run = s[0];
    const REAL *f = (const REAL *)p[0] + 2 * run * item, *g = f + run;
    REAL *y = (REAL *)p[1] + run * item, *df = (REAL *)p[2] + 2 * run * item, *dg = df + run;
    for (int64_t i = 0; i < run; i += LANES) {
        const int64_t count = run - i;
        const vec x = load_part(f + i, count), open = (REAL)1 / (exponential(-load_part(g + i, count)) + (REAL)1);
        const vec low = elu ? exponential_less_1(x) : x, value = elu ? where_above(x, x, low) : x;
        if (!backward) {
            store_part(y + i, value * open, count);
            continue;
        }
        const vec dy = load_part(y + i, count), passed = dy * open;
        store_part(df + i, elu ? where_above(x, passed, passed * (low + (REAL)1)) : passed, count);
        store_part(dg + i, passed * value * ((REAL)1 - open), count);
    }
}

KERNEL void gate_forward(ARGUMENTS) {
    (void)worker;
    for (int64_t item = begin; item < end; item++)
        if (s[1]) gate_item(p, s, item, 0, 1);
        else gate_item(p, s, item, 0, 0);
}

/* p[1] is dy. */
KERNEL void gate_backward(ARGUMENTS) {
    (void)worker;
    for (int64_t item = begin; item < end; item++)
        if (s[1]) gate_item(p, s, item, 1, 1);
        else gate_item(p, s, item, 1, 0);
}
