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

/// Reads 0 or 1 from an environment variable; unset or empty leaves `*on` alone. Errors: INVALID anything else.
SY_MUST_CHECK enum sy_status sy_env_switch(struct sy_ctx *ctx, const char *variable, bool *on);
