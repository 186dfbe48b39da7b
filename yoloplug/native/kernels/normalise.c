/* Normalisation of a map over sets of its values, and what is applied to each value after it, in one pass each way:
   y = act(v), v = (x - mean) * root * gain + shift, root = 1 / sqrt(variance + eps), act nothing, ReLU or SiLU.

   x, y, dy, dx (N, C, H, W), `pixelwise` as (N, H, W, C). A set is a channel of all images, or an image's group of C / G
   channels where G > 0. gain, shift (C); mean, root, variance of each set: (C) or (N, G). dgain, dshift (C) or (N, C).
   Only x is kept for the backward pass, which finds v again. The mean and the squares of a tile are found while it lies
   in the first cache, and are joined to those before it (Chan et al. 1979): no cancellation, one pass over memory. */

#include "simd.h"

enum { NOTHING, RELU, SILU };
enum { TILE = 1024, ROWS = 32 };

typedef __typeof__((vec){0} < (vec){0}) flags;

INLINE vec activated(vec v, const int64_t act) {
    if (act == RELU) return (vec)((flags)v & ~(v < all(0)));
    if (act == SILU) return v / (exponential(-v) + (REAL)1);
    return v;
}

/* dy times the activation's derivative at v. */
INLINE vec before(vec dy, vec v, const int64_t act) {
    if (act == RELU) return (vec)((flags)dy & ~(v <= all(0)));
    if (act == SILU) {
        const vec share = (REAL)1 / (exponential(-v) + (REAL)1);
        return dy * share * ((REAL)1 + v * ((REAL)1 - share));
    }
    return dy;
}

/* A double among whole numbers. */
INLINE double eps_of(const int64_t *s) {
    double eps;
    memcpy(&eps, s + 8, sizeof eps);
    return eps;
}

typedef struct { double count, mean, squares; } Moments;

INLINE void join(Moments *m, double count, double mean, double squares) {
    const double total = m->count + count, apart = mean - m->mean;
    m->squares += squares + apart * apart * m->count * count / total;
    m->mean += apart * count / total;
    m->count = total;
}

/* The first `count` lanes of v, the others 0. */
INLINE vec first_of(vec v, int64_t count) {
    REAL part[LANES];
    store(part, v);
    for (int64_t i = count; i < LANES; i++) part[i] = 0;
    return load(part);
}

INLINE void add_run(Moments *m, const REAL *x, int64_t size) {
    for (int64_t start = 0; start < size; start += TILE) {
        const int64_t count = size - start < TILE ? size - start : TILE, whole = count - count % (4 * LANES);
        const REAL *at = x + start;
        vec total[4] = {all(0), all(0), all(0), all(0)}, squares[4] = {all(0), all(0), all(0), all(0)};
        for (int64_t i = 0; i < whole; i += 4 * LANES)
            for (int j = 0; j < 4; j++) total[j] += load(at + i + j * LANES);
        for (int64_t i = whole; i < count; i += LANES) total[0] += load_part(at + i, count - i);
        const double mean = (double)sum((total[0] + total[1]) + (total[2] + total[3])) / count;
        const vec middle = all((REAL)mean);
        for (int64_t i = 0; i < whole; i += 4 * LANES)
            for (int j = 0; j < 4; j++) {
                const vec apart = load(at + i + j * LANES) - middle;
                squares[j] += apart * apart;
            }
        for (int64_t i = whole; i < count; i += LANES) {
            vec apart = load_part(at + i, count - i) - middle;
            if (count - i < LANES) apart = first_of(apart, count - i);
            squares[0] += apart * apart;
        }
        join(m, count, mean, sum((squares[0] + squares[1]) + (squares[2] + squares[3])));
    }
}

/* A set of planes of x, one after another `stride` apart: of channel `channel` on, the same or the next for each. */
typedef struct { int64_t base, planes, stride, channel, next; } Set;

INLINE Set set_of(int64_t item, const int64_t *s) {
    const int64_t N = s[0], C = s[1], P = s[2], G = s[3];
    if (!G) return (Set){item * P, N, C * P, item, 0};
    const int64_t wide = C / G;
    return (Set){item * wide * P, wide, P, item % G * wide, 1};
}

INLINE void planes_forward(void *const *p, const int64_t *s, int64_t item, const int64_t act) {
    const REAL *x = p[0], *gain = p[1], *shift = p[2];
    REAL *means = p[3], *roots = p[4], *variances = p[5], *y = p[6];
    const Set set = set_of(item, s);
    const int64_t P = s[2];
    Moments m = {0, 0, 0};
    for (int64_t r = 0; r < set.planes; r++) add_run(&m, x + set.base + r * set.stride, P);
    const REAL mean = means[item] = (REAL)m.mean;
    const REAL root = roots[item] = (REAL)(1 / sqrt(m.squares / m.count + eps_of(s)));
    variances[item] = (REAL)(m.squares / m.count);
    for (int64_t r = 0; r < set.planes; r++) {
        const int64_t c = set.channel + r * set.next, from = set.base + r * set.stride;
        const vec middle = all(mean), scale = all(root * gain[c]), plus = all(shift[c]);
        for (int64_t i = 0; i < P; i += LANES)
            store_part(y + from + i, activated((load_part(x + from + i, P - i) - middle) * scale + plus, act), P - i);
    }
}

INLINE void planes_backward(void *const *p, const int64_t *s, int64_t item, const int64_t act) {
    const REAL *x = p[0], *gain = p[1], *shift = p[2], *dy = p[3];
    const REAL mean = ((const REAL *)p[4])[item], root = ((const REAL *)p[5])[item];
    REAL *dx = p[6], *dgain = p[7], *dshift = p[8];
    const Set set = set_of(item, s);
    const int64_t P = s[2];
    const vec middle = all(mean);
    double of_gain = 0, of_shift = 0, along = 0, level = 0;
    for (int64_t r = 0; r < set.planes; r++) {
        const int64_t c = set.channel + r * set.next, from = set.base + r * set.stride;
        const vec scale = all(root * gain[c]), plus = all(shift[c]);
        vec total[2] = {all(0), all(0)}, weighed[2] = {all(0), all(0)};
        for (int64_t i = 0; i < P; i += 2 * LANES)
            for (int64_t j = 0; j < 2 && i + j * LANES < P; j++) {
                const int64_t k = i + j * LANES;
                const vec apart = load_part(x + from + k, P - k) - middle;
                const vec g = before(load_part(dy + from + k, P - k), apart * scale + plus, act);
                total[j] += g;
                weighed[j] += g * apart;
            }
        const double level_here = sum(total[0] + total[1]), along_here = (double)root * sum(weighed[0] + weighed[1]);
        level += gain[c] * level_here;
        along += gain[c] * along_here;
        if (set.next) {
            const int64_t place = set.base / P + r;
            dgain[place] = (REAL)along_here;
            dshift[place] = (REAL)level_here;
        }
        of_gain += along_here;
        of_shift += level_here;
    }
    if (!set.next) {
        dgain[item] = (REAL)of_gain;
        dshift[item] = (REAL)of_shift;
    }
    const double count = (double)set.planes * P;
    const vec minus = all((REAL)(root * level / count)), tilt = all((REAL)(root * root * along / count));
    for (int64_t r = 0; r < set.planes; r++) {
        const int64_t c = set.channel + r * set.next, from = set.base + r * set.stride;
        const vec scale = all(root * gain[c]), plus = all(shift[c]);
        for (int64_t i = 0; i < P; i += LANES) {
            const vec apart = load_part(x + from + i, P - i) - middle;
            const vec g = before(load_part(dy + from + i, P - i), apart * scale + plus, act);
            store_part(dx + from + i, g * scale - apart * tilt - minus, P - i);
        }
    }
}

/* A pixelwise map, or an image's, lies as rows of V numbers: V is a whole number of vectors and of pixels (the least
   common multiple of 16 and C), so that place v of a row is channel v % C and no vector has a rest but in the last row.
   An item is the places [first, last) of all images, or an image where there are groups. */
typedef struct { int64_t from, rows, rest, first, last, V, C; } Part;

INLINE Part part_of(int64_t item, const int64_t *s) {
    const int64_t N = s[0], C = s[1], P = s[2], G = s[3], places = s[6], V = s[7], all_of = (G ? 1 : N) * P * C;
    const int64_t first = G ? 0 : item * places, last = G || first + places > V ? V : first + places;
    return (Part){G ? item * P * C : 0, all_of / V, all_of % V, first, last, V, C};
}

/* Means and sums of squares of each place over the whole rows, tile by tile. */
INLINE void moments_of_places(const REAL *x, Part part, REAL *means, REAL *squares) {
    for (int64_t e = part.first; e < part.last; e += LANES)
        store(means + e - part.first, all(0)), store(squares + e - part.first, all(0));
    for (int64_t start = 0; start < part.rows; start += ROWS) {
        const int64_t number = part.rows - start < ROWS ? part.rows - start : ROWS;
        const REAL *at = x + start * part.V, both = (REAL)(start + number);
        for (int64_t e = part.first; e < part.last; e += LANES) {
            vec total[2] = {all(0), all(0)}, apart_here[2] = {all(0), all(0)};
            for (int64_t i = 0; i < number; i++) total[i & 1] += load(at + i * part.V + e);
            const vec here = (total[0] + total[1]) / (REAL)number;
            for (int64_t i = 0; i < number; i++) {
                const vec apart = load(at + i * part.V + e) - here;
                apart_here[i & 1] += apart * apart;
            }
            REAL *mean = means + e - part.first, *square = squares + e - part.first;
            const vec apart = here - load(mean), weight = all((REAL)start * (REAL)number / both);
            store(square, load(square) + apart_here[0] + apart_here[1] + apart * apart * weight);
            store(mean, load(mean) + apart * ((REAL)number / both));
        }
    }
}

INLINE void pixels_forward(void *const *p, const int64_t *s, int64_t item, REAL *room, const int64_t act) {
    const REAL *gain = p[1], *shift = p[2];
    const Part part = part_of(item, s);
    const int64_t C = part.C, V = part.V, G = s[3], wide = G ? C / G : 1, first = part.first;
    const REAL *x = (const REAL *)p[0] + part.from, *rest = x + part.rows * V;
    REAL *means = p[3], *roots = p[4], *variances = p[5], *y = (REAL *)p[6] + part.from;
    REAL *middle = room, *scale = room + V, *plus = room + 2 * V;
    moments_of_places(x, part, middle, scale);
    for (int64_t c = first; c < C && c < part.last; c += wide) {
        Moments m = {0, 0, 0};
        for (int64_t i = c; i < c + wide; i++) {
            for (int64_t v = i; v < part.last && part.rows; v += C) join(&m, part.rows, middle[v - first], scale[v - first]);
            for (int64_t v = i; v < part.rest; v += C) join(&m, 1, rest[v], 0);
        }
        const int64_t set = G ? item * G + c / wide : c;
        means[set] = (REAL)m.mean;
        roots[set] = (REAL)(1 / sqrt(m.squares / m.count + eps_of(s)));
        variances[set] = (REAL)(m.squares / m.count);
    }
    for (int64_t v = first; v < part.last; v++) {
        const int64_t c = v % C, set = G ? item * G + c / wide : c;
        middle[v - first] = means[set];
        scale[v - first] = roots[set] * gain[c];
        plus[v - first] = shift[c];
    }
#define VALUE(e) (load(scale + e - first) * (seen - load(middle + e - first)) + load(plus + e - first))
    for (int64_t row = 0; row < part.rows; row++)
        for (int64_t e = first; e < part.last; e += LANES) {
            const vec seen = load(x + row * V + e);
            store(y + row * V + e, activated(VALUE(e), act));
        }
    for (int64_t e = first; e < part.last && e < part.rest; e += LANES) {
        const vec seen = load_part(rest + e, part.rest - e);
        store_part(y + part.rows * V + e, activated(VALUE(e), act), part.rest - e);
    }
}

INLINE void pixels_backward(void *const *p, const int64_t *s, int64_t item, REAL *room, const int64_t act) {
    const REAL *gain = p[1], *shift = p[2], *means = p[4], *roots = p[5];
    const Part part = part_of(item, s);
    const int64_t C = part.C, V = part.V, G = s[3], wide = G ? C / G : 1, first = part.first, whole = part.rows * V;
    const REAL *x = (const REAL *)p[0] + part.from, *dy = (const REAL *)p[3] + part.from;
    REAL *dx = (REAL *)p[6] + part.from;
    REAL *dgain = (REAL *)p[7] + (G ? item * C : 0), *dshift = (REAL *)p[8] + (G ? item * C : 0);
    REAL *middle = room, *scale = room + V, *plus = room + 2 * V, *tilt = room + 3 * V, *minus = room + 4 * V;
    memset(tilt, 0, 2 * V * sizeof(REAL));
    for (int64_t v = first; v < part.last; v++) {
        const int64_t c = v % C, set = G ? item * G + c / wide : c;
        middle[v - first] = means[set];
        scale[v - first] = roots[set] * gain[c];
        plus[v - first] = shift[c];
    }
    for (int64_t start = 0; start < part.rows; start += ROWS)
        for (int64_t e = first; e < part.last; e += LANES) {
            vec total = load(minus + e - first), weighed = load(tilt + e - first);
            for (int64_t row = start; row < start + ROWS && row < part.rows; row++) {
                const vec seen = load(x + row * V + e), g = before(load(dy + row * V + e), VALUE(e), act);
                total += g;
                weighed += g * (seen - load(middle + e - first));
            }
            store(minus + e - first, total);
            store(tilt + e - first, weighed);
        }
    for (int64_t e = first; e < part.last && e < part.rest; e += LANES) {
        const vec seen = load_part(x + whole + e, part.rest - e);
        const vec g = before(load_part(dy + whole + e, part.rest - e), VALUE(e), act);
        store(minus + e - first, load(minus + e - first) + g);
        store(tilt + e - first, load(tilt + e - first) + g * (seen - load(middle + e - first)));
    }
    const double count = (double)(whole + part.rest) / C * wide;
    for (int64_t c = first; c < C && c < part.last; c += wide) {
        const REAL root = roots[G ? item * G + c / wide : c];
        double level = 0, along = 0;
        for (int64_t i = c; i < c + wide; i++) {
            double of_shift = 0, of_gain = 0;
            for (int64_t v = i; v < part.last; v += C) of_shift += minus[v - first], of_gain += tilt[v - first];
            dshift[i] = (REAL)of_shift;
            dgain[i] = (REAL)(of_gain *= root);
            level += gain[i] * of_shift;
            along += gain[i] * of_gain;
        }
        for (int64_t i = c; i < c + wide; i++)
            for (int64_t v = i; v < part.last; v += C) {
                minus[v - first] = (REAL)(root * level / count);
                tilt[v - first] = (REAL)(root * root * along / count);
            }
    }
#define MADE(e) (g * load(scale + e - first) - (seen - load(middle + e - first)) * load(tilt + e - first) - load(minus + e - first))
    for (int64_t row = 0; row < part.rows; row++)
        for (int64_t e = first; e < part.last; e += LANES) {
            const vec seen = load(x + row * V + e), g = before(load(dy + row * V + e), VALUE(e), act);
            store(dx + row * V + e, MADE(e));
        }
    for (int64_t e = first; e < part.last && e < part.rest; e += LANES) {
        const vec seen = load_part(x + whole + e, part.rest - e);
        const vec g = before(load_part(dy + whole + e, part.rest - e), VALUE(e), act);
        store_part(dx + whole + e, MADE(e), part.rest - e);
    }
}

#define BY_ACT(call) \
    switch (s[5]) { \
    case RELU: call(RELU); break; \
    case SILU: call(SILU); break; \
    default: call(NOTHING); \
    }

KERNEL void normalise_forward(ARGUMENTS) {
    REAL *room = (REAL *)p[7] + worker * 5 * s[7];
    for (int64_t item = begin; item < end; item++) {
#define FORWARD(act) (s[4] ? pixels_forward(p, s, item, room, act) : planes_forward(p, s, item, act))
        BY_ACT(FORWARD)
    }
}

KERNEL void normalise_backward(ARGUMENTS) {
    REAL *room = (REAL *)p[9] + worker * 5 * s[7];
    for (int64_t item = begin; item < end; item++) {
#define BACKWARD(act) (s[4] ? pixels_backward(p, s, item, room, act) : planes_backward(p, s, item, act))
        BY_ACT(BACKWARD)
    }
}
