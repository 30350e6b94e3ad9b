// SPDX-License-Identifier: Apache-2.0
// names.h: lists of names ("fp16,coopmat") and switches in environment variables. Layer: hostlib; not installed.
#pragma once

#include "hostlib/status.h"

/// Takes one name, which is not terminated; false when it is unknown.
typedef bool (*sy_name_fn)(void *user, const char *name, size_t length);

/// Whether `name` of `length` bytes is `want`.
bool sy_name_is(const char *name, size_t length, const char *want);
/// Calls `take` for each name of the comma-separated environment variable. Errors: INVALID at the first unknown name;
/// the message holds `what` ("feature") and `known`, the names there are.
SY_MUST_CHECK enum sy_status sy_names_each(struct sy_ctx *ctx, const char *variable, const char *what,
                                           const char *known, sy_name_fn take, void *user);

/// A switch, 0 or 1, in an environment variable; `otherwise` where it is unset or empty. What it says is read where it
/// is needed, and checked with sy_env_check() where somebody can be told: when a device is opened.
bool sy_env_switch(const char *variable, bool otherwise);
/// Errors: INVALID the variable is neither empty nor 0 nor 1.
SY_MUST_CHECK enum sy_status sy_env_check(struct sy_ctx *ctx, const char *variable);
