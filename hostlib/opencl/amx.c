// SPDX-License-Identifier: Apache-2.0
// amx.c: whether kernels on this CPU may use its matrix unit (AMX). Linux gives a process the 8 KiB of tile state that
// each of its threads then has only when it asks.
#include "hostlib/names.h"
#include "hostlib/opencl/survey.h"

#if defined __x86_64__ && defined __linux__
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ARCH_REQ_XCOMP_PERM 0x1023
#define XFEATURE_XTILEDATA 18
#define AMX_BF16_TILE (1u << 22 | 1u << 24) // of CPUID leaf 7, edx

bool sy_cl_amx(void)
{
    unsigned a, b, c, d;
    if (sy_env_switch("SY_EMULATE_AMX", false)) // tests/amx.c carries the instructions out
        return true;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0 || (d & AMX_BF16_TILE) != AMX_BF16_TILE)
        return false;
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

bool sy_cl_avx512_bf16(void)
{
    unsigned a, b, c, d;
    return __builtin_cpu_supports("avx512f") != 0 && __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a & 1u << 5) != 0;
}
#else
bool sy_cl_amx(void) { return false; }
bool sy_cl_avx512_bf16(void) { return false; }
#endif
