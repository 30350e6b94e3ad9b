// SPDX-License-Identifier: Apache-2.0
// latest.h: OUT/latest, the name of the newest checkpoint.
//
// It is a symbolic link to step-N, or a file of the line "step-N" where a file system has no links. Copying a run can
// leave a real directory in its place, or nothing: then the newest whole checkpoint counts, and sy_latest_settle()
// brings OUT into order again without removing any checkpoint that is not whole elsewhere. Layer: engine.
#pragma once

#include "engine/file.h"

/// In OUT: a directory `latest` whose contents are also a whole step-N, on its way out. sy_checkpoint_clean() removes
/// whatever begins with ".latest.".
#define SY_LATEST_COPY ".latest.old"

/// `path`, or the step-N beside it when it is a file that names one. A directory without config.json but with `latest`
/// in it (a run) stands for that. Errors: INVALID too long.
SY_MUST_CHECK enum sy_status sy_latest_resolve(struct sy_ctx *ctx, const char *path, char out[SY_PATH_ROOM]);
/// What a run that goes on would load; nothing is changed. Errors: INVALID there is nothing whole, or something else
/// has the name.
SY_MUST_CHECK enum sy_status sy_latest_find(struct sy_ctx *ctx, const char *out_dir, char out[SY_PATH_ROOM]);
/// The same for the owner of OUT, after which OUT/latest names it. Errors: also IO.
SY_MUST_CHECK enum sy_status sy_latest_settle(struct sy_ctx *ctx, const char *out_dir, char out[SY_PATH_ROOM]);
/// Points OUT/latest at `name`, which is in OUT: the new one takes the old one's place in one rename. Errors: IO.
SY_MUST_CHECK enum sy_status sy_latest_point(struct sy_ctx *ctx, const char *out_dir, const char *name);
/// Whether something other than a link, a file naming a step or a directory has the name.
bool sy_latest_foreign(const char *out_dir);
