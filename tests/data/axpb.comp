// SPDX-License-Identifier: Apache-2.0
// axpb.comp: y = y · factor + x + add, the kernel of tests/hostlib.c. Its SPIR-V is in axpb.spv.h, made by
//   glslc --target-env=vulkan1.2 -O -mfmt=num tests/data/axpb.comp -o -
#version 450
layout(local_size_x_id = 0, local_size_y = 1, local_size_z = 1) in;
layout(std430, set = 0, binding = 0) readonly restrict buffer X { float x[]; };
layout(std140, set = 0, binding = 1) uniform C { float factor; };
layout(std430, set = 0, binding = 2) restrict buffer Y { float y[]; };
layout(push_constant) uniform Args { uint n; float add; };

void main()
{
    const uint group = gl_WorkGroupID.x + gl_WorkGroupID.y * gl_NumWorkGroups.x;
    const uint i = group * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
    if (i < n)
        y[i] = y[i] * factor + x[i] + add;
}
