// SPDX-License-Identifier: Apache-2.0
// amx.c: preloaded into a program on an x86 CPU without AMX, carries out the instructions of the variants `amx` that
// the CPU refuses (SIGILL), one at a time, as Intel's manual has them: ldtilecfg, tilerelease, tilezero, tileloadd,
// tilestored, tdpbf16ps. What it does not know ends the program with the bytes. With SY_EMULATE_AMX=1 hostlib believes
// it.
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#ifdef __x86_64__

enum { TILES = 8, ROWS = 16, ROW_BYTES = 64 };

static _Thread_local struct {
    uint8_t data[TILES][ROWS][ROW_BYTES];
    uint16_t bytes[TILES]; // of a row
    uint8_t rows[TILES];
    int configured;
} unit;

/// An instruction in the VEX form that these have: C4, two bytes, opcode, ModRM.
struct code {
    const uint8_t *at;
    unsigned opcode, prefix, reg, other, length; // prefix: 1 66, 2 F3, 3 F2; other: the register in VEX.vvvv
    int memory;                                  // the operand is in memory, else register `rm`
    unsigned rm;
    uint64_t base, index; // of memory: base with displacement; index · scale, which for tiles is the stride
};

static _Noreturn void refuse(const uint8_t *at)
{
    fprintf(stderr, "amx.c: %02x %02x %02x %02x %02x %02x is no AMX instruction that is known here\n", at[0], at[1],
            at[2], at[3], at[4], at[5]);
    abort();
}

static uint64_t value(const greg_t *r, unsigned number)
{
    static const int names[] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
    return (uint64_t)r[names[number]];
}

static struct code decode(const greg_t *r)
{
    const uint8_t *p = (const uint8_t *)(uintptr_t)r[REG_RIP];
    struct code c = {.at = p, .length = 5};
    if (p[0] != 0xc4 || (p[1] & 0x1f) != 2 || (p[2] & 0x84) != 0) // map 0F38, W 0, L 0
        refuse(p);
    const unsigned x = (p[1] & 0x40) == 0 ? 8 : 0, b = (p[1] & 0x20) == 0 ? 8 : 0, mode = p[4] >> 6;
    c.prefix = p[2] & 3;
    c.other = ~(unsigned)(p[2] >> 3) & 15;
    c.opcode = p[3];
    c.reg = (p[4] >> 3) & 7;
    c.rm = p[4] & 7;
    c.memory = mode != 3;
    if (!c.memory)
        return c;
    const uint8_t *next = p + 5;
    if (c.rm == 4) {
        const uint8_t sib = *next++;
        const unsigned index = ((sib >> 3) & 7) + x, base = (sib & 7) + b;
        c.index = index == 4 ? 0 : value(r, index) << (sib >> 6);
        if ((sib & 7) == 5 && mode == 0) // no base
            refuse(p);
        c.base = value(r, base);
    } else if (c.rm == 5 && mode == 0) {
        refuse(p); // relative to rip
    } else {
        c.base = value(r, c.rm + b);
    }
    if (mode == 1)
        c.base += (uint64_t)(int64_t)(int8_t)*next++;
    if (mode == 2) {
        int32_t displacement;
        memcpy(&displacement, next, 4);
        c.base += (uint64_t)(int64_t)displacement;
        next += 4;
    }
    c.length = (unsigned)(next - p);
    return c;
}

static void configure(const uint8_t *from)
{
    memset(&unit, 0, sizeof unit);
    if (from[0] != 1) // palette 1 is the only one with tiles
        abort();
    for (unsigned t = 0; t < TILES; ++t) {
        memcpy(&unit.bytes[t], from + 16 + 2 * t, 2);
        unit.rows[t] = from[48 + t];
        if (unit.bytes[t] > ROW_BYTES || unit.rows[t] > ROWS)
            abort();
    }
    unit.configured = 1;
}

static void move(const struct code *c, int store)
{
    for (unsigned i = 0; i < unit.rows[c->reg]; ++i) {
        uint8_t *memory = (uint8_t *)(uintptr_t)(c->base + i * c->index), *tile = unit.data[c->reg][i];
        memcpy(store ? memory : tile, store ? tile : memory, unit.bytes[c->reg]);
    }
}

/// Denormals count as zeros, in and out.
static float flushed(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, 4);
    bits = (bits & 0x7f800000u) == 0 ? bits & 0x80000000u : bits;
    memcpy(&x, &bits, 4);
    return x;
}

static float bf16(const uint8_t *p)
{
    uint32_t bits = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 24;
    float x;
    memcpy(&x, &bits, 4);
    return flushed(x);
}

/// tile `to` += tile `a` · tile `b`: sums of even and of odd values of k, which are added at the end.
static void multiply(unsigned to, unsigned a, unsigned b)
{
    for (unsigned m = 0; m < unit.rows[to]; ++m)
        for (unsigned n = 0; n < unit.bytes[to] / 4u; ++n) {
            float sum[2] = {0, 0}, old;
            for (unsigned k = 0; k < unit.bytes[a] / 4u; ++k)
                for (unsigned i = 0; i < 2; ++i)
                    sum[i] = flushed(__builtin_fmaf(bf16(&unit.data[a][m][4 * k + 2 * i]),
                                                    bf16(&unit.data[b][k][4 * n + 2 * i]), sum[i]));
            memcpy(&old, &unit.data[to][m][4 * n], 4);
            old = flushed(flushed(old) + flushed(sum[0] + sum[1]));
            memcpy(&unit.data[to][m][4 * n], &old, 4);
        }
}

static void carry_out(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)info;
    greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
    const struct code c = decode(r);
    const unsigned what = c.opcode << 4 | c.prefix << 1 | (unsigned)c.memory;
    if (what != (0x49 << 4 | 0 << 1 | 1) && !unit.configured)
        abort(); // the CPU would refuse it too
    switch (what) {
    case 0x49 << 4 | 0 << 1 | 1: configure((const uint8_t *)(uintptr_t)c.base); break;
    case 0x49 << 4 | 0 << 1 | 0: memset(&unit, 0, sizeof unit); break; // tilerelease
    case 0x49 << 4 | 3 << 1 | 0: memset(unit.data[c.reg], 0, sizeof unit.data[c.reg]); break;
    case 0x4b << 4 | 3 << 1 | 1: move(&c, 0); break;
    case 0x4b << 4 | 2 << 1 | 1: move(&c, 1); break;
    case 0x5c << 4 | 2 << 1 | 0: multiply(c.reg, c.rm, c.other); break;
    default: refuse(c.at);
    }
    r[REG_RIP] += c.length;
}

__attribute__((constructor)) static void take_over(void)
{
    const struct sigaction action = {.sa_sigaction = carry_out, .sa_flags = SA_SIGINFO};
    if (sigaction(SIGILL, &action, NULL) != 0)
        abort();
}
#endif
