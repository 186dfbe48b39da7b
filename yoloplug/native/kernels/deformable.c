/* Bilinear sampling of a map at predicted places, weighed, for the deformable convolutions v1 to v4.

   Tap t of group g at place (h, w) of the result looks at row h * sh + ty[t] + scale * down, column w * sw + tx[t] +
   scale * across; what lies outside x is 0. x (N, H, W, G * C), channels last. down, across and modulation (or none):
   (N, G, T, P, Q) of any strides. The result is summed over taps, (N, P, Q, G * C), or keeps them, (N, P, Q, T, G * C).
   An item is a row of an image's result (forward), or C channels of a group of an image (backward), so that no two
   write to one place. Up to 16 places of a row are located at once, then each of their samples reads 4 runs of C. */

#include "simd.h"

typedef struct {
    const REAL *x, *down, *across, *modulation, *table;
    int64_t N, G, C, H, W, P, Q, T, sh, sw, summed, image, first, last, parts;
    const int64_t *of_down, *of_across, *of_modulation; /* strides over n, g, t, h, w */
} Map;

/* Samples of up to 16 neighbours for one tap: the corner above and to the left, -2 where that is outside by more than
   one; whether all four corners lie inside; the corners' shares times modulation m. */
typedef struct {
    REAL share[4][LANES], fx[LANES], fy[LANES], m[LANES];
    int32_t row[LANES], column[LANES], inside[LANES];
} Sample;

typedef int32_t ints __attribute__((vector_size(LANES * 4)));
typedef int32_t ints_in_memory __attribute__((vector_size(LANES * 4), aligned(4), may_alias));

INLINE Map map_of(void *const *p, const int64_t *s) {
    return (Map){p[0], p[1], p[2], p[3], p[4], s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], s[8], s[9], s[10],
                 s[11], s[12], s[13], s[14], s + 15, s + 20, s + 25};
}

INLINE int64_t begins(const int64_t *strides, int64_t n, int64_t g, int64_t t, int64_t h, int64_t w) {
    return n * strides[0] + g * strides[1] + t * strides[2] + h * strides[3] + w * strides[4];
}

/* Of positions: the whole number below, and the part above it; -2 and 0 (or what is no number) outside -1 .. size. */
INLINE ints split(vec position, int64_t size, vec *part) {
    const __typeof__(position == position) kept = (position >= all(-1)) & (position < all(size));
    const vec safe = (vec)((__typeof__(kept))position & kept) + (vec)((__typeof__(kept))all(-2) & ~kept);
    vec whole = __builtin_convertvector(__builtin_convertvector(safe, ints), vec);
    whole += __builtin_convertvector(whole > safe, vec); /* true is -1: truncation went up */
    *part = (vec)((__typeof__(kept))(position - whole) & kept) + (vec)((__typeof__(kept))(position - position) & ~kept);
    return __builtin_convertvector(whole, ints);
}

INLINE vec strided(const REAL *from, int64_t stride, int64_t count) {
    if (stride == 1) return load_part(from, count);
    REAL values[LANES] = {0};
    for (int64_t i = 0; i < count; i++) values[i] = from[i * stride];
    return load(values);
}

INLINE void locate(Sample *sample, Map z, int64_t n, int64_t g, int64_t t, int64_t h, int64_t w, int64_t count) {
    static const REAL steps[LANES] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    const REAL scale = z.table[2 * z.T];
    const vec down = strided(z.down + begins(z.of_down, n, g, t, h, w), z.of_down[4], count);
    const vec across = strided(z.across + begins(z.of_across, n, g, t, h, w), z.of_across[4], count);
    const vec m = z.modulation ? strided(z.modulation + begins(z.of_modulation, n, g, t, h, w), z.of_modulation[4], count)
                               : all(1);
    vec fy, fx;
    const ints y = split(scale * down + ((REAL)(h * z.sh) + z.table[t]), z.H, &fy);
    const ints x = split(scale * across + ((load(steps) + (REAL)w) * (REAL)z.sw + z.table[z.T + t]), z.W, &fx);
    store(sample->fx, fx), store(sample->fy, fy), store(sample->m, m);
    store(sample->share[0], m * (1 - fy) * (1 - fx)), store(sample->share[1], m * (1 - fy) * fx);
    store(sample->share[2], m * fy * (1 - fx)), store(sample->share[3], m * fy * fx);
    *(ints_in_memory *)sample->row = y, *(ints_in_memory *)sample->column = x;
    *(ints_in_memory *)sample->inside =
        (y >= 0) & (y < (int32_t)z.H - 1) & (x >= 0) & (x < (int32_t)z.W - 1);
}

/* Where sample i of group g of image n finds its corners; what lies outside finds zeros. */
INLINE void corners_of(const Sample *sample, int64_t i, Map z, const REAL *image, int64_t run, const REAL *zeros,
                       const REAL *corners[4]) {
    const int64_t row = sample->row[i], column = sample->column[i], at = (row * z.W + column) * run;
    if (sample->inside[i]) {
        corners[0] = image + at, corners[1] = corners[0] + run;
        corners[2] = corners[0] + z.W * run, corners[3] = corners[2] + run;
        return;
    }
    for (int64_t j = 0; j < 4; j++) {
        const int64_t y = row + j / 2, x = column + j % 2;
        corners[j] = y < 0 || x < 0 || y >= z.H || x >= z.W ? zeros : image + (y * z.W + x) * run;
    }
}

/* What one place of one group sees: summed over taps, or tap by tap. C is known where this is compiled in. */
INLINE void see(REAL *y, Map z, const Sample *samples, int64_t i, const REAL *image, const REAL *zeros, const int64_t C,
                const int64_t summed) {
    const int64_t run = z.G * z.C;
    const REAL *corners[4];
    for (int64_t begin = 0; begin < (summed ? C : 1); begin += LANES) {
        vec total = all(0);
        for (int64_t t = 0; t < z.T; t++) {
            corners_of(samples + t, i, z, image, run, zeros, corners);
            const int64_t end = summed ? begin + 1 : C;
            for (int64_t c = begin; c < end; c += LANES) {
                vec value = load_part(corners[0] + c, C - c) * samples[t].share[0][i];
                for (int j = 1; j < 4; j++) value += load_part(corners[j] + c, C - c) * samples[t].share[j][i];
                total += value;
                if (!summed) store_part(y + t * run + c, value, C - c);
            }
        }
        if (summed) store_part(y + begin, total, C - begin);
    }
}

/* Rows [z.first, z.last) of z.images images from z.image on, y holds just these. */
KERNEL void deformable_forward(ARGUMENTS) {
    const Map z = map_of(p, s);
    REAL *y = p[6], *zeros = (REAL *)p[5] + worker * z.C;
    const int64_t rows = z.last - z.first, run = z.G * z.C;
    Sample samples[z.T];
    memset(zeros, 0, z.C * sizeof(REAL));
    for (int64_t item = begin; item < end; item++) {
        const int64_t n = z.image + item / rows, h = z.first + item % rows;
        for (int64_t g = 0; g < z.G; g++)
            for (int64_t w = 0; w < z.Q; w += LANES) {
                const int64_t count = z.Q - w < LANES ? z.Q - w : LANES;
                const REAL *image = z.x + n * z.H * z.W * run + g * z.C;
                for (int64_t t = 0; t < z.T; t++) locate(samples + t, z, n, g, t, h, w, count);
                for (int64_t i = 0; i < count; i++) {
                    REAL *to = y + (item * z.Q + w + i) * (z.summed ? 1 : z.T) * run + g * z.C;
                    if (z.summed && z.C == LANES)
                        see(to, z, samples, i, image, zeros, LANES, 1);
                    else if (z.summed)
                        see(to, z, samples, i, image, zeros, z.C, 1);
                    else if (z.C % (4 * LANES) == 0)
                        for (int64_t c = 0; c < z.C; c += 4 * LANES)
                            see(to + c, z, samples, i, image + c, zeros, 4 * LANES, 0);
                    else
                        see(to, z, samples, i, image, zeros, z.C, 0);
                }
            }
    }
}

/* One sample: adds its part of dx, writes the products of gradient and corners, channels [c0, c1). */
INLINE void give_back(REAL *products, REAL *dx, const REAL *dy, Map z, const Sample *sample, int64_t i,
                      const REAL *image, const REAL *zeros, int64_t c0, int64_t c1) {
    const REAL *corners[4];
    vec product[4] = {all(0), all(0), all(0), all(0)};
    corners_of(sample, i, z, image, z.G * z.C, zeros, corners);
    for (int64_t c = c0; c < c1; c += LANES) {
        const vec gradient = load_part(dy + c, c1 - c);
        for (int j = 0; j < 4; j++) {
            product[j] += gradient * load_part(corners[j] + c, c1 - c);
            if (dx && corners[j] != zeros)
                add_part(dx + (corners[j] - image) + c, gradient * sample->share[j][i], c1 - c);
        }
    }
    for (int j = 0; j < 4; j++) store(products + (j * LANES + i) * LANES, product[j]);
}

/* Adds to dx (channels last); writes gradients of down, across, modulation, (parts, N, G, T, P, Q) each: a group's
   channels may be shared among `parts` items. Rows and images as forward. */
KERNEL void deformable_backward(ARGUMENTS) {
    const Map z = map_of(p, s);
    const int64_t run = z.G * z.C, rows = z.last - z.first, plane = z.P * z.Q;
    const int64_t width = ((z.C + z.parts - 1) / z.parts + LANES - 1) / LANES * LANES;
    REAL *zeros = (REAL *)p[5] + worker * (z.C + 4 * LANES * LANES), *products = zeros + z.C;
    memset(zeros, 0, (z.C + 4 * LANES * LANES) * sizeof(REAL));
    for (int64_t item = begin; item < end; item++) {
        const int64_t part = item % z.parts, g = item / z.parts % z.G, n = z.image + item / z.parts / z.G;
        const int64_t c0 = part * width, c1 = c0 + width < z.C ? c0 + width : z.C, before = n * z.H * z.W * run + g * z.C;
        const REAL *image = z.x + before;
        REAL *dx = p[7] ? (REAL *)p[7] + before : 0;
        for (int64_t h = z.first; h < z.last; h++)
            for (int64_t w = 0; w < z.Q; w += LANES)
                for (int64_t t = 0; t < z.T; t++) {
                    const int64_t count = z.Q - w < LANES ? z.Q - w : LANES;
                    Sample sample;
                    locate(&sample, z, n, g, t, h, w, count);
                    for (int64_t i = 0; i < count; i++) {
                        const int64_t place = ((n - z.image) * rows + h - z.first) * z.Q + w + i;
                        const REAL *dy = (const REAL *)p[6] + (z.summed ? place : place * z.T + t) * run + g * z.C;
                        if (c1 - c0 == LANES)
                            give_back(products, dx, dy, z, &sample, i, image, zeros, c0, c0 + LANES);
                        else
                            give_back(products, dx, dy, z, &sample, i, image, zeros, c0, c1);
                    }
                    vec dot[4];
                    for (int j = 0; j < 4; j++) dot[j] = sums(products + j * LANES * LANES);
                    const vec fx = load(sample.fx), fy = load(sample.fy), scale = load(sample.m) * z.table[2 * z.T];
                    const int64_t at = (((part * z.N + n) * z.G + g) * z.T + t) * plane + h * z.Q + w;
                    if (p[8])
                        store_part((REAL *)p[8] + at, scale * ((dot[2] - dot[0]) * (1 - fx) + (dot[3] - dot[1]) * fx),
                                   count);
                    if (p[9])
                        store_part((REAL *)p[9] + at, scale * ((dot[1] - dot[0]) * (1 - fy) + (dot[3] - dot[2]) * fy),
                                   count);
                    if (p[10])
                        store_part((REAL *)p[10] + at,
                                   (dot[0] * (1 - fx) + dot[1] * fx) * (1 - fy) + (dot[2] * (1 - fx) + dot[3] * fx) * fy,
                                   count);
                }
    }
}
