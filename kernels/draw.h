// SPDX-License-Identifier: Apache-2.0
// draw.h: the body of draw, in OpenCL C and GLSL alike. Sums of weights have 64 bits, in two words.
#define AT(i) x[base + (i)]
#define KEY(i) sy_key(FLOAT_BITS(AT(i)))
#define WEIGHT(i) sy_weigh(top - AT(i), scale)
// Adds a weight to an item's sum.
#define GATHER(w)                           \
    {                                       \
        const uint w_ = (w);                \
        sum_lo += w_;                       \
        sum_hi += sum_lo < w_ ? 1u : 0u;    \
    }
// Adds a · b to the sum lo, hi.
#define ADD_PRODUCT(lo, hi, a, b)               \
    {                                           \
        const uint more_ = (a) * (b);           \
        hi += sy_mulhi(a, b);                   \
        lo += more_;                            \
        hi += lo < more_ ? 1u : 0u;             \
    }
#define MORE(a_lo, a_hi, b_lo, b_hi) (a_hi > b_hi || (a_hi == b_hi && a_lo > b_lo))
#define CHUNK 512u

const uint lid = LOCAL_ID, row = GROUP_ID, base = row * p.cols, at = p.first + row;
const uint k = UINT(how[SY_DRAW_K]), share = UINT(how[SY_DRAW_OUT]);
// The token is read and written by one item: barriers order what is local.
uint best = lid == 0u ? UINT(token[at]) : 0u;
{
    GROUP_COUNT(best, given);
    best = given;
}
const float scale = BITS_FLOAT(how[SY_DRAW_SCALE]), top = AT(min(best, p.cols - 1u));
const uint cols = scale > 0.0f ? p.cols : 0u; // the same in all items
const bool few = k != 0u && k < cols, part = share != 0u && cols != 0u;

// Candidates: what has a key above `least`, and the first `spare` of those that have it.
uint least = 0u, spare = cols;
for (uint bit = few ? 32u : 0u; bit > 0u; --bit) {
    const uint trial = least | 1u << (bit - 1u);
    uint own = 0u;
    for (uint i = lid; i < cols; i += 2u * WG) { // two a trip: docs/drivers.md, lavapipe
        own += KEY(i) >= trial ? 1u : 0u;
        own += i + WG < cols && KEY(min(i + WG, cols - 1u)) >= trial ? 1u : 0u;
    }
    GROUP_COUNT(own, all);
    least = all >= k ? trial : least;
}
{
    uint own = 0u;
    for (uint i = few ? lid : cols; i < cols; i += WG)
        own += KEY(i) > least ? 1u : 0u;
    GROUP_COUNT(own, above);
    spare = few ? k - above : cols;
}

// How much may be left out of them.
uint each = sy_weigh(top - BITS_FLOAT(sy_unkey(least)), scale), out_lo = 0u, out_hi = 0u;
{
    uint sum_lo = 0u, sum_hi = 0u;
    for (uint i = part ? lid : cols; i < cols; i += WG)
        GATHER(KEY(i) > least ? WEIGHT(i) : 0u);
    uint lo = sum_lo, hi = sum_hi;
    GROUP_MASS(lo, hi);
    ADD_PRODUCT(lo, hi, spare, each);
    out_lo = sy_mulhi(lo, share);
    ADD_PRODUCT(out_lo, out_hi, hi, share);
}
// The least key of which some are kept: all that have less may be left out.
uint edge = 0u, under_lo = 0u, under_hi = 0u;
for (uint bit = part ? 32u : 0u; bit > 0u; --bit) {
    const uint trial = edge | 1u << (bit - 1u);
    uint sum_lo = 0u, sum_hi = 0u;
    for (uint i = lid; i < cols; i += 2u * WG) {
        const uint next = min(i + WG, cols - 1u), key = KEY(i), other = KEY(next);
        GATHER(key > least && key < trial ? WEIGHT(i) : 0u);
        GATHER(i + WG < cols && other > least && other < trial ? WEIGHT(next) : 0u);
    }
    uint lo = sum_lo, hi = sum_hi;
    GROUP_MASS(lo, hi);
    if (least < trial)
        ADD_PRODUCT(lo, hi, spare, each);
    if (!MORE(lo, hi, out_lo, out_hi)) {
        edge = trial;
        under_lo = lo;
        under_hi = hi;
    }
}
{
    uint own = 0u;
    for (uint i = part && edge != least ? lid : cols; i < cols; i += WG)
        own += KEY(i) == edge ? 1u : 0u;
    GROUP_COUNT(own, equal);
    if (part) {
        spare = edge == least ? spare : equal;
        least = edge;
        each = sy_weigh(top - BITS_FLOAT(sy_unkey(least)), scale);
        uint left = 0u; // so many of them
        for (uint bit = 32u; bit > 0u; --bit) {
            const uint trial = left | 1u << (bit - 1u);
            uint lo = under_lo, hi = under_hi;
            ADD_PRODUCT(lo, hi, trial, each);
            left = trial < spare && !MORE(lo, hi, out_lo, out_hi) ? trial : left;
        }
        spare -= left;
    }
}

// Items take neighbours now. Each knows what those before it weigh, and who has the random number looks for it.
const uint size = (cols + WG - 1u) / WG, first = min(cols, lid * size), end = min(cols, first + size);
uint own_equal = 0u, sum_lo = 0u, sum_hi = 0u;
for (uint i = first; i < end; ++i) {
    const uint key = KEY(i);
    own_equal += key == least ? 1u : 0u;
    GATHER(key > least ? WEIGHT(i) : 0u);
}
uint before = own_equal, own_lo = sum_lo, own_hi = sum_hi;
COUNT_BEFORE(before);
uint room = min(own_equal, spare - min(before, spare));
ADD_PRODUCT(own_lo, own_hi, room, each);
uint all_lo = own_lo, all_hi = own_hi, from_lo = own_lo, from_hi = own_hi;
GROUP_MASS(all_lo, all_hi);
MASS_BEFORE(from_lo, from_hi);
const uint bits = sy_random_bits(UINT(how[SY_DRAW_SEED_LO]), UINT(how[SY_DRAW_SEED_HI]), 0u, SY_DRAW_STREAM,
                                 UINT(how[SY_DRAW_INDEX]) + at, STEP_OF(position), 0u);
uint want_lo = sy_mulhi(all_lo, bits), want_hi = 0u;
ADD_PRODUCT(want_lo, want_hi, all_hi, bits);
uint to_lo = from_lo + own_lo, to_hi = from_hi + own_hi;
to_hi += to_lo < own_lo ? 1u : 0u;
uint drawn = 0u; // by the one item that finds it: the token, and 1
if (!MORE(from_lo, from_hi, want_lo, want_hi) && MORE(to_lo, to_hi, want_lo, want_hi)) {
    uint found = p.cols;
    for (uint chunk = first; chunk < end && found == p.cols; chunk += CHUNK) {
        // What a chunk weighs is soon known; only that of the token is walked through.
        const uint stop = min(end, chunk + CHUNK);
        uint alike = 0u;
        sum_lo = 0u;
        sum_hi = 0u;
        for (uint i = chunk; i < stop; ++i) {
            const uint key = KEY(i);
            alike += key == least ? 1u : 0u;
            GATHER(key > least ? WEIGHT(i) : 0u);
        }
        uint lo = sum_lo, hi = sum_hi;
        ADD_PRODUCT(lo, hi, min(alike, room), each);
        lo += from_lo;
        hi += from_hi + (lo < from_lo ? 1u : 0u);
        if (MORE(lo, hi, want_lo, want_hi)) {
            for (uint i = chunk; i < stop && found == p.cols; ++i) {
                const uint key = KEY(i);
                const bool counts = key > least || (key == least && room != 0u);
                const uint w = counts ? WEIGHT(i) : 0u;
                room -= key == least && room != 0u ? 1u : 0u;
                from_lo += w;
                from_hi += from_lo < w ? 1u : 0u;
                found = MORE(from_lo, from_hi, want_lo, want_hi) ? i : p.cols;
            }
        } else {
            from_lo = lo;
            from_hi = hi;
            room -= min(alike, room);
        }
    }
    drawn = found + 1u;
}
{
    GROUP_COUNT(drawn, chosen);
    if (lid == 0u && chosen != 0u)
        token[at] = INT(chosen - 1u);
}
