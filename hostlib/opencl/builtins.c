// SPDX-License-Identifier: Apache-2.0
// opencl/builtins.c: the built-in functions that our kernels call, declared in OpenCL C, for drivers that would
// otherwise read all of Clang's declarations for every program (quirk `declare`). A kernel that calls another one is
// compiled with the driver's own declarations after all, only slower: kernel.c.
#include "hostlib/opencl/opencl.h"

// Attributes as in Clang's header: the optimiser must see the same functions. `#line` keeps the numbers of messages.
const char sy_cl_builtins[] =
    "#define SY_PURE __attribute__((overloadable, const))\n"
    "#define SY_EACH_WIDTH(M, ...) M(, __VA_ARGS__) M(2, __VA_ARGS__) M(4, __VA_ARGS__) M(8, __VA_ARGS__) \\\n"
    "    M(16, __VA_ARGS__)\n"
    "size_t SY_PURE get_group_id(uint);\n"
    "size_t SY_PURE get_global_offset(uint);\n"
    "size_t SY_PURE get_local_id(uint);\n"
    "void __attribute__((overloadable, convergent)) barrier(cl_mem_fence_flags);\n"
    // arithmetic
    "#define SY_MATH(n, ...) float##n SY_PURE exp(float##n); float##n SY_PURE log(float##n); \\\n"
    "    float##n SY_PURE sqrt(float##n); float##n SY_PURE fmax(float##n, float##n); \\\n"
    "    float##n SY_PURE fma(float##n, float##n, float##n); float##n SY_PURE mad(float##n, float##n, float##n);\n"
    "SY_EACH_WIDTH(SY_MATH)\n"
    "#define SY_ORDER(n, T) T##n SY_PURE min(T##n, T##n); T##n SY_PURE max(T##n, T##n); \\\n"
    "    T##n SY_PURE clamp(T##n, T##n, T##n);\n"
    "SY_EACH_WIDTH(SY_ORDER, float) SY_EACH_WIDTH(SY_ORDER, int) SY_EACH_WIDTH(SY_ORDER, uint)\n"
    "#define SY_MUL_HI(n, T) T##n SY_PURE mul_hi(T##n, T##n);\n"
    "SY_EACH_WIDTH(SY_MUL_HI, int) SY_EACH_WIDTH(SY_MUL_HI, uint)\n"
    "#define SY_SELECT(n, T) T##n SY_PURE select(T##n, T##n, int##n); T##n SY_PURE select(T##n, T##n, uint##n);\n"
    "SY_EACH_WIDTH(SY_SELECT, float) SY_EACH_WIDTH(SY_SELECT, int) SY_EACH_WIDTH(SY_SELECT, uint)\n"
    "#define SY_ANY(n, ...) int SY_PURE any(int##n);\n"
    "SY_EACH_WIDTH(SY_ANY)\n"
    // conversions
    "#define SY_CONVERT(n, T) T##n SY_PURE convert_##T##n(float##n); T##n SY_PURE convert_##T##n(int##n); \\\n"
    "    T##n SY_PURE convert_##T##n(uint##n); T##n SY_PURE convert_##T##n(ushort##n);\n"
    "SY_EACH_WIDTH(SY_CONVERT, float) SY_EACH_WIDTH(SY_CONVERT, int) SY_EACH_WIDTH(SY_CONVERT, uint) \\\n"
    "SY_EACH_WIDTH(SY_CONVERT, ushort)\n"
    // memory
    "#define SY_LOAD(n, T, space) \\\n"
    "    static T##n __attribute__((overloadable, always_inline)) vload##n(size_t i, const space T *p) \\\n"
    "    { \\\n"
    "        typedef T##n sy_vector __attribute__((aligned(sizeof(T)))); \\\n"
    "        return *(const space sy_vector *)(p + i * n); \\\n"
    "    }\n"
    "#define SY_STORE(n, T, space) void __attribute__((overloadable)) vstore##n(T##n, size_t, space T *);\n"
    "#define SY_EACH_VECTOR(M, ...) M(2, __VA_ARGS__) M(4, __VA_ARGS__) M(8, __VA_ARGS__) M(16, __VA_ARGS__)\n"
    "#define SY_MEMORY(T) SY_EACH_VECTOR(SY_LOAD, T, __global) SY_EACH_VECTOR(SY_LOAD, T, __local) \\\n"
    "    SY_EACH_VECTOR(SY_LOAD, T, __private) SY_EACH_VECTOR(SY_LOAD, T, __constant) \\\n"
    "    SY_EACH_VECTOR(SY_STORE, T, __global) SY_EACH_VECTOR(SY_STORE, T, __local) \\\n"
    "    SY_EACH_VECTOR(SY_STORE, T, __private)\n"
    "SY_MEMORY(float) SY_MEMORY(int) SY_MEMORY(uint) SY_MEMORY(ushort)\n"
    "#line 1\n";
