/* Mamba's selective scan for K sequences that share step sizes and C:
   h_t = exp(delta_t A) h_(t-1) + delta_t B_t u_t;  y_t = C_t h_t + D u_t, per feature, states of size S.

   u (N, R, E), y (N, Q, E); from, to (K, L); delta (N, L, E); a (S, E); b (N, K, L, S); c (N, L, S); d (E). Step t of
   sequence k reads row from[k][t] of u and adds to row to[k][t] of y: paths over a map need no copies of it. An item is
   an image's 16 features: their K * S vectors of states stay in the first cache, and exp(delta A) is computed once for
   all K. `starts` holds the states before every STEPS steps, (N, blocks, chunks, K, S, 16); the backward pass goes on
   from there. */

#include "simd.h"

/* One step of one block. h: K * S states, which move on; rates: S rows of A. K is known where this is compiled in. */
INLINE void advance(
    REAL *h, const REAL *rates, const REAL *u, const int64_t *from, const REAL *delta, const REAL *b, const REAL *c,
    REAL *y, const int64_t *to, vec skip, const int64_t K, const int64_t S, int64_t L, int64_t E, int64_t count
) {
    const vec step = load_part(delta, count);
    vec x[K], total[K];
    for (int64_t k = 0; k < K; k++) {
        const vec value = load_part(u + from[k * L] * E, count);
        x[k] = step * value, total[k] = skip * value;
    }
    for (int64_t i = 0; i < S; i++) {
        const vec decay = exponential(step * load(rates + i * LANES));
        for (int64_t k = 0; k < K; k++) {
            REAL *state = h + (k * S + i) * LANES;
            const vec now = load(state) * decay + x[k] * b[k * L * S + i];
            store(state, now);
            total[k] += now * c[i];
        }
    }
    for (int64_t k = 0; k < K; k++) add_part(y + to[k * L] * E, total[k], count);
}

/* Steps outside, blocks inside: rows of u and y lie one after another in memory, and are fetched a tile ahead. */
KERNEL void selective_scan_forward(ARGUMENTS) {
    const REAL *u = p[0], *delta = p[1], *a = p[2], *b = p[3], *c = p[4], *d = p[5];
    const int64_t *from = p[6], *to = p[7];
    REAL *starts = p[8], *y = p[10];
    const int64_t K = s[0], L = s[1], E = s[2], S = s[3], R = s[4], Q = s[5], STEPS = s[6], TILE = 8;
    const int64_t blocks = (E + LANES - 1) / LANES, chunks = (L + STEPS - 1) / STEPS, states = K * S * LANES;
    REAL *h = (REAL *)p[9] + worker * blocks * (states + S * LANES), *rates = h + blocks * states;
    for (int64_t block = 0; block < blocks; block++)
        for (int64_t i = 0; i < S; i++)
            store(rates + (block * S + i) * LANES, load_part(a + i * E + block * LANES, E - block * LANES));
    while (begin < end) {
        const int64_t n = begin / blocks, last = end < (n + 1) * blocks ? end : (n + 1) * blocks;
        memset(h, 0, blocks * states * sizeof(REAL));
        for (int64_t first = 0; first < L; first += TILE) {
            for (int64_t item = begin; item < last; item++) {
                const int64_t block = item % blocks, e = block * LANES, count = E - e;
                const vec skip = load_part(d + e, count);
                REAL *state = h + block * states;
                if (starts && first % STEPS == 0)
                    memcpy(starts + (item * chunks + first / STEPS) * states, state, states * sizeof(REAL));
                for (int64_t t = first; t < L && t < first + TILE; t++) {
                    const REAL *seen = u + n * R * E + e, *row = delta + (n * L + t) * E + e;
                    const REAL *into = b + (n * K * L + t) * S, *out = c + (n * L + t) * S;
                    const REAL *own = rates + block * S * LANES;
                    REAL *made = y + n * Q * E + e;
                    for (int64_t k = 0; k < K && t + TILE < L; k++) {
                        __builtin_prefetch(seen + from[k * L + t + TILE] * E);
                        __builtin_prefetch(made + to[k * L + t + TILE] * E, 1);
                    }
                    if (K == 4 && S == 16)
                        advance(state, own, seen, from + t, row, into, out, made, to + t, skip, 4, 16, L, E, count);
                    else
                        advance(state, own, seen, from + t, row, into, out, made, to + t, skip, K, S, L, E, count);
                }
            }
        }
        begin = last;
    }
}

/* Adds the sums of `rows` rows of 16 to `into`. */
INLINE void add_sums(REAL *into, const REAL *row, int64_t rows) {
    for (; rows >= LANES; rows -= LANES, into += LANES, row += LANES * LANES) store(into, load(into) + sums(row));
    for (int64_t i = 0; i < rows; i++) into[i] += sum(load(row + i * LANES));
}

/* What the backward pass holds for one block: its own sums (kept from chunk to chunk), and of one chunk all states. */
typedef struct {
    REAL *rates, *of_state, *of_a, *of_d;
    REAL *h, *decays, *of_b, *of_c;
} Room;

/* Gradients of one chunk of one block, `steps` steps from `first` on, last one first. */
INLINE void chunk_backward(
    void *const *p, const int64_t *s, Room room, int64_t first, int64_t steps, int64_t n, int64_t e, const int64_t K,
    const int64_t S, REAL *db, REAL *dc
) {
    const int64_t L = s[1], E = s[2], R = s[4], Q = s[5], states = K * S * LANES, count = E - e;
    const REAL *u = (const REAL *)p[0] + n * R * E + e, *delta = p[1], *b = p[3], *c = p[4], *d = p[5];
    const int64_t *from = p[6], *to = p[7];
    const REAL *dy = (const REAL *)p[10] + n * Q * E + e;
    REAL *du = (REAL *)p[11] + n * R * E + e, *ddelta = p[12];
    for (int64_t j = 0; j < steps; j++) {
        const int64_t t = first + j;
        const vec step = load_part(delta + (n * L + t) * E + e, count);
        const REAL *into = b + (n * K * L + t) * S;
        vec x[K];
        for (int64_t k = 0; k < K; k++) x[k] = step * load_part(u + from[k * L + t] * E, count);
        for (int64_t i = 0; i < S; i++) {
            const vec decay = exponential(step * load(room.rates + i * LANES));
            store(room.decays + (j * S + i) * LANES, decay);
            for (int64_t k = 0; k < K; k++) {
                REAL *state = room.h + j * states + (k * S + i) * LANES;
                store(state + states, load(state) * decay + x[k] * into[k * L * S + i]);
            }
        }
    }
    const vec skip = load_part(d + e, count);
    vec of_d = load(room.of_d);
    for (int64_t j = steps - 1; j >= 0; j--) {
        const int64_t t = first + j;
        const vec step = load_part(delta + (n * L + t) * E + e, count);
        const REAL *into = b + (n * K * L + t) * S, *out = c + (n * L + t) * S;
        vec of_step = all(0), value[K], of_y[K], of_x[K];
        for (int64_t k = 0; k < K; k++) {
            value[k] = load_part(u + from[k * L + t] * E, count);
            of_y[k] = load_part(dy + to[k * L + t] * E, count);
            of_x[k] = all(0);
        }
        for (int64_t i = 0; i < S; i++) {
            const vec decay = load(room.decays + (j * S + i) * LANES);
            vec of_decay = all(0), of_out = all(0);
            for (int64_t k = 0; k < K; k++) {
                const REAL *before = room.h + j * states + (k * S + i) * LANES;
                REAL *of_state = room.of_state + (k * S + i) * LANES;
                const vec gradient = load(of_state) + of_y[k] * out[i];
                of_out += of_y[k] * load(before + states);
                of_decay += gradient * load(before);
                store(room.of_b + (k * S + i) * LANES, gradient * (step * value[k]));
                of_x[k] += gradient * into[k * L * S + i];
                store(of_state, gradient * decay);
            }
            of_decay *= decay;
            of_step += of_decay * load(room.rates + i * LANES);
            store(room.of_a + i * LANES, load(room.of_a + i * LANES) + of_decay * step);
            store(room.of_c + i * LANES, of_out);
        }
        for (int64_t k = 0; k < K; k++) {
            add_sums(db + ((n * K + k) * L + t) * S, room.of_b + k * S * LANES, S);
            of_step += of_x[k] * value[k];
            of_d += of_y[k] * value[k];
            add_part(du + from[k * L + t] * E, of_x[k] * step + of_y[k] * skip, count);
        }
        add_sums(dc + (n * L + t) * S, room.of_c, S);
        store_part(ddelta + (n * L + t) * E + e, of_step, count);
    }
    store(room.of_d, of_d);
}

/* Gradients of all inputs; those of b and c per worker (its own sums over features), of a and d per image. */
KERNEL void selective_scan_backward(ARGUMENTS) {
    const REAL *a = p[2], *starts = p[8];
    REAL *da = p[13], *dd = p[16];
    const int64_t K = s[0], L = s[1], E = s[2], S = s[3], STEPS = s[6], N = s[7];
    const int64_t blocks = (E + LANES - 1) / LANES, chunks = (L + STEPS - 1) / STEPS, states = K * S * LANES;
    const int64_t kept = states + (2 * S + 1) * LANES, once = (STEPS + 2) * states + (STEPS + 1) * S * LANES;
    REAL *scratch = (REAL *)p[9] + worker * (blocks * kept + once);
    REAL *db = (REAL *)p[14] + worker * N * K * L * S, *dc = (REAL *)p[15] + worker * N * L * S;
    Room room = {.h = scratch + blocks * kept};
    room.decays = room.h + (STEPS + 1) * states;
    room.of_b = room.decays + STEPS * S * LANES;
    room.of_c = room.of_b + states;
    while (begin < end) {
        const int64_t n = begin / blocks, last = end < (n + 1) * blocks ? end : (n + 1) * blocks;
        memset(scratch, 0, blocks * kept * sizeof(REAL));
        for (int64_t chunk = chunks - 1; chunk >= 0; chunk--) {
            const int64_t first = chunk * STEPS, steps = L - first < STEPS ? L - first : STEPS;
            for (int64_t item = begin; item < last; item++) {
                const int64_t block = item % blocks, e = block * LANES;
                room.of_state = scratch + block * kept;
                room.rates = room.of_state + states;
                room.of_a = room.rates + S * LANES;
                room.of_d = room.of_a + S * LANES;
                for (int64_t i = 0; i < S; i++) store(room.rates + i * LANES, load_part(a + i * E + e, E - e));
                memcpy(room.h, starts + (item * chunks + chunk) * states, states * sizeof(REAL));
                if (K == 4 && S == 16)
                    chunk_backward(p, s, room, first, steps, n, e, 4, 16, db, dc);
                else
                    chunk_backward(p, s, room, first, steps, n, e, K, S, db, dc);
                if (chunk) continue;
                for (int64_t i = 0; i < S; i++)
                    store_part(da + (n * S + i) * E + e, load(room.of_a + i * LANES), E - e);
                store_part(dd + n * E + e, load(room.of_d), E - e);
            }
        }
        begin = last;
    }
}
