// SPDX-License-Identifier: Apache-2.0
// routing.c: what others get wrong about routing and we must not (spec §4), on the reference ops with numbers worked
// out by hand; and the router's gradient against central differences in double.
#include <math.h>
#include <string.h>

#include "engine/op.h"
#include "tests/tap.h"

#define ROWS 6
#define EXPERTS 4

static struct sy_ref_tensor f64(double *data, uint64_t count) { return (struct sy_ref_tensor){data, SY_F64, count}; }
static struct sy_ref_tensor i32(int32_t *data, uint64_t count) { return (struct sy_ref_tensor){data, SY_I32, count}; }
static struct sy_ref_tensor constants(struct sy_step *c) { return (struct sy_ref_tensor){c, SY_U32, sizeof *c / 4}; }

static int same(const int32_t *got, const int32_t *want, size_t count)
{
    return memcmp(got, want, count * sizeof *got) == 0;
}

struct places {
    int32_t expert[ROWS * 2], pos[ROWS * 2], load[EXPERTS], kept[EXPERTS];
};

static struct places place(int32_t *cand, struct sy_route_place_args args)
{
    struct places r;
    const uint64_t cells = (uint64_t)args.rows * args.k;
    const struct sy_ref_tensor b[] = {i32(cand, (uint64_t)args.rows * args.rounds), i32(r.expert, cells),
                                      i32(r.pos, cells), i32(r.load, EXPERTS), i32(r.kept, EXPERTS)};
    sy_op_impl_route_place.ref(&args, b);
    return r;
}

// Appendix F's inclusive sum loses one slot of every expert; Hugging Face ≥ 5.0 never enforces capacity.
static void capacity_is_enforced_and_positions_are_exclusive(struct tap *t)
{
    int32_t cand[ROWS] = {2, 2, -1, 2, 1, 2};
    const struct places r = place(
        cand, (struct sy_route_place_args){
                  .rows = ROWS, .group = ROWS, .groups = 1, .experts = EXPERTS, .rounds = 1, .k = 1, .capacity = 2});
    tap_ok(t, same(r.pos, (int32_t[]){0, 1, -1, 2, 0, 3}, ROWS), "positions count from 0, padding takes none");
    tap_ok(t, same(r.kept, (int32_t[]){0, 1, 2, 0}, EXPERTS), "capacity 2 keeps 2 of 4 tokens, not 1 and not 4");
}

// Hugging Face counts a dropped token as one of expert 0; here f counts choices, before drops.
static void dropped_tokens_are_not_counted_as_expert_0(struct tap *t)
{
    int32_t cand[ROWS] = {2, 2, -1, 2, 1, 2}, mask[ROWS] = {1, 1, 0, 1, 1, 1};
    struct places r = place(
        cand, (struct sy_route_place_args){
                  .rows = ROWS, .group = ROWS, .groups = 1, .experts = EXPERTS, .rounds = 1, .k = 1, .capacity = 2});
    tap_ok(t, same(r.load, (int32_t[]){0, 1, 4, 0}, EXPERTS), "load counts the dropped tokens' own choice");
    double p[ROWS * EXPERTS], lse[ROWS] = {0}, loss[2];
    for (int i = 0; i < ROWS * EXPERTS; ++i)
        p[i] = (const double[]){0.1, 0.2, 0.6, 0.1}[i % EXPERTS];
    struct sy_step c = {.inv_tokens_enc = 0.2f};
    const struct sy_router_loss_args args = {
        .rows = ROWS, .group = ROWS, .groups = 1, .experts = EXPERTS, .k = 1, .aux_coef = 1.0f};
    const struct sy_ref_tensor b[] = {f64(p, ROWS * EXPERTS), f64(lse, ROWS), i32(r.load, EXPERTS),
                                      i32(mask, ROWS),        constants(&c),  f64(loss, 2)};
    sy_op_impl_router_loss.ref(&args, b);
    const double want = 4 * (0.2 * 0.2 + 0.8 * 0.6); // f = (0, 1/5, 4/5, 0), P = p
    tap_ok(t, fabs(loss[0] - want) < 1e-12, "auxiliary loss %.6f, expected %.6f", loss[0], want);
}

static void top2_second_choices_follow_the_kept_first_ones(struct tap *t)
{
    int32_t cand[ROWS * 2] = {2, 1, 2, 0, -1, -1, 2, 3, 1, 2, 0, 2}; // three first choices of expert 2, room for two
    const struct places r = place(
        cand, (struct sy_route_place_args){
                  .rows = ROWS, .group = ROWS, .groups = 1, .experts = EXPERTS, .rounds = 2, .k = 2, .capacity = 2});
    tap_ok(t, same(r.pos, (int32_t[]){0, 1, 1, 1, -1, -1, 2, 0, 0, 2, 0, 3}, (size_t)ROWS * 2),
           "places of both rounds");
    tap_ok(t, same(r.load, (int32_t[]){1, 1, 3, 0}, EXPERTS), "load counts first choices only");
    tap_ok(t, same(r.kept, (int32_t[]){2, 2, 2, 1}, EXPERTS), "kept counts both rounds");
}

static void ntlb_asks_again_and_a_placed_token_does_not(struct tap *t)
{
    int32_t cand[ROWS * 2] = {2, 1, 2, 0, -1, -1, 2, 0, 0, 2, 2, 3};
    const struct places r = place(cand, (struct sy_route_place_args){.rows = ROWS,
                                                                     .group = ROWS,
                                                                     .groups = 1,
                                                                     .experts = EXPERTS,
                                                                     .rounds = 2,
                                                                     .k = 1,
                                                                     .kind = 1,
                                                                     .capacity = 1});
    tap_ok(t, same(r.expert, (int32_t[]){2, -1, -1, -1, 0, 3}, ROWS), "who takes each token");
    tap_ok(t, same(r.pos, (int32_t[]){0, -1, -1, -1, 0, 0}, ROWS), "places");
    tap_ok(t, same(r.load, (int32_t[]){1, 0, 4, 0}, EXPERTS), "load counts the most probable expert");
}

// ---- gradient ------------------------------------------------------------------------------------------------------

/// One group's routing, fixed while the logits move: Σ dgate·gate + aux + z is a smooth function of them.
struct problem {
    struct sy_router_loss_args args;
    struct sy_step step;
    double z[ROWS * EXPERTS], p[ROWS * EXPERTS], lse[ROWS], dgate[ROWS * EXPERTS];
    int32_t expert[ROWS * EXPERTS], load[2 * EXPERTS], mask[ROWS];
};

static double objective(struct problem *q)
{
    double gate[ROWS * EXPERTS], loss[4], sum = 0;
    const uint64_t all = ROWS * EXPERTS, places = (uint64_t)ROWS * q->args.k;
    const struct sy_router_softmax_args softmax = {.rows = ROWS, .experts = EXPERTS};
    const struct sy_route_gate_args gates = {.rows = ROWS, .experts = EXPERTS, .k = q->args.k, .kind = q->args.kind};
    const struct sy_ref_tensor p = f64(q->p, all), lse = f64(q->lse, ROWS);
    const struct sy_ref_tensor b0[] = {f64(q->z, all), p, lse}, b1[] = {p, i32(q->expert, places), f64(gate, places)};
    const struct sy_ref_tensor b2[] = {
        p, lse, i32(q->load, 2 * EXPERTS), i32(q->mask, ROWS), constants(&q->step), f64(loss, 4)};
    sy_op_impl_router_softmax.ref(&softmax, b0);
    sy_op_impl_route_gate.ref(&gates, b1);
    sy_op_impl_router_loss.ref(&q->args, b2);
    for (uint64_t i = 0; i < places; ++i)
        sum += q->dgate[i] * gate[i];
    return sum + (loss[0] + loss[2]) * (double)q->step.inv_groups_enc + loss[1] + loss[3];
}

/// The last row is padding; groups of 4 rows, so the second is short. `k` 4 is expert choice (no auxiliary loss).
static void make_problem(struct problem *q, uint32_t k, uint32_t kind)
{
    *q = (struct problem){.args = {.rows = ROWS,
                                   .group = 4,
                                   .groups = 2,
                                   .experts = EXPERTS,
                                   .k = k,
                                   .kind = kind,
                                   .aux_coef = k > 2 ? 0.0f : 0.5f,
                                   .z_coef = 0.25f},
                          .step = {.inv_tokens_enc = 0.2f, .inv_groups_enc = 0.5f}};
    for (uint32_t row = 0; row < ROWS; ++row) {
        q->mask[row] = row != ROWS - 1;
        for (uint32_t e = 0; e < EXPERTS; ++e)
            q->z[row * EXPERTS + e] = sin(1.0 + 3.7 * row + 1.3 * e);
        for (uint32_t r = 0; r < k; ++r) {
            const int32_t e = k > 2 ? (int32_t)r : (int32_t)((row * row + 2 * r + 1) % EXPERTS);
            const int chosen = q->mask[row] != 0 && (k <= 2 || (row + r) % 3 != 0);
            q->expert[row * k + r] = chosen ? e : -1;
            q->dgate[row * k + r] = chosen && (row + r) % 4 != 3 ? cos(row + 2.0 * r) : 0.0; // some are dropped
            q->load[row / 4 * EXPERTS + (uint32_t)e] += chosen && r == 0;
        }
    }
}

static void gradient_matches_central_differences(struct tap *t, const char *name, uint32_t k, uint32_t kind)
{
    struct problem q;
    double dz[ROWS * EXPERTS], worst = 0;
    make_problem(&q, k, kind);
    objective(&q); // p and lse of the unmoved logits
    const uint64_t all = ROWS * EXPERTS, places = (uint64_t)ROWS * k;
    const struct sy_ref_tensor b[] = {
        f64(q.p, all),     f64(q.lse, ROWS),   i32(q.expert, places), f64(q.dgate, places), i32(q.load, 2 * EXPERTS),
        i32(q.mask, ROWS), constants(&q.step), f64(dz, all)};
    sy_op_impl_router_dz.ref(&q.args, b);
    for (uint64_t i = 0; i < all; ++i) {
        const double at = q.z[i], h = 1e-5;
        q.z[i] = at + h;
        const double above = objective(&q);
        q.z[i] = at - h;
        const double below = objective(&q);
        q.z[i] = at;
        worst = fmax(worst, fabs((above - below) / (2 * h) - dz[i]));
    }
    tap_ok(t, worst < 1e-8, "router_dz of %s: worst error %.2g", name, worst);
}

int main(void)
{
    struct tap t = {0};
    capacity_is_enforced_and_positions_are_exclusive(&t);
    dropped_tokens_are_not_counted_as_expert_0(&t);
    top2_second_choices_follow_the_kept_first_ones(&t);
    ntlb_asks_again_and_a_placed_token_does_not(&t);
    gradient_matches_central_differences(&t, "switch", 1, 0);
    gradient_matches_central_differences(&t, "top2", 2, 1);
    gradient_matches_central_differences(&t, "expert choice", EXPERTS, 0);
    return tap_done(&t);
}
