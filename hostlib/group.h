// SPDX-License-Identifier: Apache-2.0
// group.h: the processes ("ranks") of one run, as mpirun started them.
//
// A program that was not started by mpirun is rank 0 of 1, and MPI is not touched. mpi/group.c asks MPI; mpi/stub.c
// takes its place in a build without it (-Dmpi=disabled).
// Layer: hostlib.   Threads: the thread that opened it.
#pragma once

#include "hostlib/status.h"

struct sy_group {
    uint32_t rank; ///< 0 … size − 1
    uint32_t size; ///< At least 1.
    bool started;  ///< MPI was initialised here, and sy_group_close() ends it.
};

/// Joins the run. Blocks until every rank has started. Errors: UNSUPPORTED started as one of several by a build without
/// MPI (configure with -Dmpi=enabled) · COMM MPI could not start.
SY_MUST_CHECK enum sy_status sy_group_open(struct sy_ctx *ctx, struct sy_group *out);
/// Leaves it; nothing happens for a zeroed group or one that is closed. Blocks until every rank does the same.
void sy_group_close(struct sy_group *group);

/// How many processes mpirun says that it started: 1 when there was no mpirun.
uint32_t sy_group_launched(void);
