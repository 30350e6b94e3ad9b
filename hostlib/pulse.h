// SPDX-License-Identifier: Apache-2.0
// pulse.h: whether the other ranks of a run are alive, however busy: asked and answered in datagrams (UDP), beside MPI.
//
// Each rank has a thread that answers; who waits for a rank asks it. A rank that compiles kernels or writes files
// answers; one that is stopped, or behind a cut network, does not; one that has ended has its host answer that nobody
// listens there. Nothing is sent while nobody waits.
// Layer: hostlib, private to it.   Threads: the group's, and one of its own that does not touch MPI.
#pragma once

#include "hostlib/group.h"

struct sy_pulse;

/// Tells the other ranks where this one listens, and tries which of them it reaches; all ranks do so at once. Where
/// datagrams do not get through, rank 0 says so. Errors: NOMEM · COMM.
SY_MUST_CHECK enum sy_status sy_pulse_open(struct sy_ctx *ctx, struct sy_group *group, struct sy_pulse **out);
void sy_pulse_close(struct sy_pulse **pulse);

/// Whether `rank` ever answered. Of one that did not, silence says nothing.
bool sy_pulse_reaches(const struct sy_pulse *pulse, uint32_t rank);
/// Asks `rank` for a sign of life; does not block.
void sy_pulse_ask(struct sy_pulse *pulse, uint32_t rank);
/// Seconds of sy_pulse_now() when `rank` was last heard of.
double sy_pulse_heard(const struct sy_pulse *pulse, uint32_t rank);
/// Whether its host says that nobody listens there any more.
bool sy_pulse_gone(const struct sy_pulse *pulse, uint32_t rank);
double sy_pulse_now(void);

/// `rank` is missing, and will not be asked any more.
void sy_pulse_give_up(struct sy_pulse *pulse, uint32_t rank);

/// Whether this rank is the one that says why the run ends; the same however often it is asked. The lowest rank that is
/// there decides: for the first that asks it. Takes a moment, or 2 s and more where lower ranks do not answer.
bool sy_pulse_speak(struct sy_pulse *pulse);
