// SPDX-License-Identifier: Apache-2.0
// route.h: how route_place splits its work, shared by C11, OpenCL C and GLSL.
#ifndef SY_ROUTE_H
#define SY_ROUTE_H

#define SY_ROUTE_CELLS 2048u                     // counters one work-group keeps in local memory (8 KiB)
#define SY_ROUTE_TILE(wg) (SY_ROUTE_CELLS / (wg)) // experts counted at once: one counter per item and expert

#endif
