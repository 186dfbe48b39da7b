/* Vectors of 16 numbers, by the compilers' own vector types: one source for every processor, and for float and double
   (-DREAL=double, for gradient checks). No -ffast-math: NaN and infinity pass through. */

#ifndef SIMD_H
#define SIMD_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#ifndef REAL
#define REAL float
#endif

#define LANES 16
#define INLINE static inline __attribute__((always_inline))

#if defined(PORTABLE) && defined(__x86_64__)
#define KERNEL __attribute__((visibility("default"), target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define KERNEL __attribute__((visibility("default")))
#endif

/* A kernel does the items [begin, end) as worker number `worker`: pointers p, whole numbers s. */
#define ARGUMENTS int64_t begin, int64_t end, int64_t worker, void *const *p, const int64_t *s

typedef REAL vec __attribute__((vector_size(LANES * sizeof(REAL))));
typedef REAL vec_in_memory __attribute__((vector_size(LANES * sizeof(REAL)), aligned(sizeof(REAL)), may_alias));

INLINE vec load(const REAL *p) { return *(const vec_in_memory *)p; }
INLINE void store(REAL *p, vec v) { *(vec_in_memory *)p = v; }
INLINE vec all(REAL x) { return (vec){0} + x; }

/* The first `count` numbers; the others are 0, and are not touched in memory. */
INLINE vec load_part(const REAL *p, int64_t count) {
    if (count >= LANES) return load(p);
    REAL part[LANES] = {0};
    memcpy(part, p, count * sizeof(REAL));
    return load(part);
}
INLINE void store_part(REAL *p, vec v, int64_t count) {
    if (count >= LANES) {
        store(p, v);
    } else {
        REAL part[LANES];
        store(part, v);
        memcpy(p, part, count * sizeof(REAL));
    }
}

INLINE void add_part(REAL *p, vec v, int64_t count) { store_part(p, load_part(p, count) + v, count); }

INLINE REAL sum(vec v) {
    REAL part[LANES], total[4];
    store(part, v);
    for (int i = 0; i < 4; i++) total[i] = (part[i] + part[i + 4]) + (part[i + 8] + part[i + 12]);
    return (total[0] + total[1]) + (total[2] + total[3]);
}

#ifdef __has_builtin
#if __has_builtin(__builtin_shufflevector)
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#endif
#endif
#ifndef SHUFFLE /* gcc before 12 */
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (__typeof__(a == b)){__VA_ARGS__})
#endif

/* Lane i is the sum of row i's 16 numbers. */
INLINE vec sums(const REAL *rows) {
    vec v[16];
    for (int i = 0; i < 8; i++) {
        vec a = load(rows + i * LANES), b = load(rows + (i + 8) * LANES);
        v[i] = SHUFFLE(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23) +
               SHUFFLE(a, b, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
    }
    for (int i = 0; i < 4; i++)
        v[i] = SHUFFLE(v[i], v[i + 4], 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27) +
               SHUFFLE(v[i], v[i + 4], 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31);
    for (int i = 0; i < 2; i++)
        v[i] = SHUFFLE(v[i], v[i + 2], 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29) +
               SHUFFLE(v[i], v[i + 2], 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
    return SHUFFLE(v[0], v[1], 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30) +
           SHUFFLE(v[0], v[1], 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31);
}

/* e^x, to 2 units of the last place; below the smallest normal number 0, above 2.4e38 infinity. */
INLINE vec exponential(vec x) {
#define AS_DOUBLE (sizeof(REAL) == 8)
    if (AS_DOUBLE) {
        REAL part[LANES];
        store(part, x);
        for (int i = 0; i < LANES; i++) part[i] = (REAL)exp((double)part[i]);
        return load(part);
    }
    typedef int32_t bits __attribute__((vector_size(LANES * 4)));
    typedef float vec32 __attribute__((vector_size(LANES * 4)));
    union {
        vec real;
        vec32 v;
        bits b;
    } in = {.real = x}, rounded, power, result;
    const vec32 magic = (vec32){0} + 12582912.0f; /* 1.5 * 2^23: adding it rounds to a whole number in the low bits */
    rounded.v = in.v * 1.44269504088896341f + magic;
    vec32 whole = rounded.v - magic;
    vec32 rest = in.v - whole * 0.693359375f + whole * 2.12194440e-4f;
    vec32 y = (vec32){0} + 1.9875691500e-4f;
    y = y * rest + 1.3981999507e-3f;
    y = y * rest + 8.3334519073e-3f;
    y = y * rest + 4.1665795894e-2f;
    y = y * rest + 1.6666665459e-1f;
    y = y * rest + 5.0000001201e-1f;
    y = y * rest * rest + rest + 1.0f;
    result.v = y;
    power.b = rounded.b << 23;
    result.b += power.b;
    bits low = in.v < -87.3f, high = in.v > 88.37f, none = in.v != in.v;
    union {
        vec32 v;
        bits b;
    } infinite = {.v = (vec32){0} + INFINITY};
    result.b = (result.b & ~(low | high | none)) | (infinite.b & high) | (in.b & none);
    return result.real;
}

#endif
