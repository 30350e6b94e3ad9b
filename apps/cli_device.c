// SPDX-License-Identifier: Apache-2.0
// cli_device.c: opening a device the way every program does it, and what to do when a step is too large for it.
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apps/cli.h"
#include "engine/file.h"
#include "engine/tune.h"

// ---- a place for PoCL's kernels ------------------------------------------------------------------------------------

/// Whether the folder is there, or could be made, and takes files.
static bool can_write(const char *folder)
{
    struct sy_ctx *quiet = sy_ctx_create(NULL, NULL, SY_LOG_ERROR);
    char name[SY_PATH_ROOM];
    bool good = quiet != NULL && sy_dir_create(quiet, folder) == SY_OK &&
                sy_path_print(quiet, name, folder, ".XXXXXX") == SY_OK;
    const int fd = good ? mkstemp(name) : -1;
    if (fd >= 0) {
        close(fd);
        unlink(name);
    }
    sy_ctx_destroy(&quiet);
    return fd >= 0;
}

/// Nobody else may have put kernels there.
static bool is_private(const char *folder)
{
    struct stat s;
    return lstat(folder, &s) == 0 && S_ISDIR(s.st_mode) && s.st_uid == geteuid() && (s.st_mode & 077) == 0;
}

void cli_drivers_prepare(struct sy_ctx *ctx)
{
    const char *own = getenv("POCL_CACHE_DIR"), *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    const bool has_xdg = xdg != NULL && xdg[0] != '\0';
    const char *temporary = getenv("TMPDIR");
    char folder[PATH_MAX];
    if ((own != NULL && own[0] != '\0') || (!has_xdg && home == NULL))
        return; // the user's choice; without a home PoCL takes a folder of its own
    int n = snprintf(folder, sizeof folder, has_xdg ? "%s/pocl" : "%s/.cache/pocl", has_xdg ? xdg : home);
    if (n < (int)sizeof folder && can_write(folder))
        return;
    temporary = temporary != NULL && temporary[0] != '\0' ? temporary : "/tmp";
    n = snprintf(folder, sizeof folder, "%s/switchyard-pocl-%lu", temporary, (unsigned long)geteuid());
    if (n >= (int)sizeof folder || (mkdir(folder, 0700) != 0 && errno != EEXIST) || !is_private(folder))
        return; // PoCL's devices are then not there, and the list of devices says so
    if (setenv("POCL_CACHE_DIR", folder, 1) == 0)
        sy_log(ctx, SY_LOG_INFO, "%s cannot be written: PoCL keeps its kernels in %s (POCL_CACHE_DIR chooses another)",
               has_xdg ? "XDG_CACHE_HOME" : "HOME", folder);
}

// ---- opening -------------------------------------------------------------------------------------------------------

enum sy_status cli_device_open(struct sy_ctx *ctx, const char *id, bool results, struct sy_device **out)
{
    char line[1024];
    cli_drivers_prepare(ctx);
    SY_TRY(sy_device_open(ctx, id, out));
    SY_TRY(sy_tune_begin(*out));
    const struct sy_caps *caps = sy_device_caps(*out);
    snprintf(line, sizeof line, "on %s: %s, %s, %.1f GiB of memory%s", caps->id, caps->name, caps->driver,
             (double)caps->memory_bytes / 0x1p30,
             caps->backend == SY_BACKEND_REF ? "" : "; the first run on a device compiles its kernels");
    if (results)
        sy_log(ctx, SY_LOG_INFO, "%s", line);
    else
        printf("%s\n", line);
    fflush(stdout);
    return SY_OK;
}

// ---- what fits -----------------------------------------------------------------------------------------------------

static void print_bytes(uint64_t bytes, char out[32])
{
    const bool large = bytes >= (uint64_t)1 << 30;
    snprintf(out, 32, "%.1f %s", (double)bytes / (large ? 0x1p30 : 0x1p20), large ? "GiB" : "MiB");
}

/// Bytes of a session of `batch` sequences and, with `validates`, of the one that borrows from it. `why` is what is
/// wrong when they cannot be planned.
static bool plan_bytes(const struct sy_caps *caps, const struct sy_session_params *p, bool validates, uint32_t batch,
                       uint64_t *out, char why[512])
{
    struct sy_ctx *quiet = sy_ctx_create(NULL, NULL, SY_LOG_ERROR);
    struct sy_session_params one = *p;
    uint64_t lender = 0, borrower = 0;
    one.batch = batch;
    bool good = quiet != NULL && sy_session_bytes(quiet, caps, &one, &lender) == SY_OK;
    if (good && validates) {
        one.kind = SY_SESSION_EVAL;
        one.borrows = true;
        good = sy_session_bytes(quiet, caps, &one, &borrower) == SY_OK;
    }
    snprintf(why, 512, "%s", quiet != NULL && !good ? sy_error(quiet) : "");
    sy_ctx_destroy(&quiet);
    *out = lender + borrower;
    return good;
}

/// The next smaller number of sequences worth a try: a divisor of `all` whose routing groups are whole; 0 when there is
/// none. `all` 0: half.
static uint32_t next_smaller(const struct sy_session_params *p, uint32_t batch, uint32_t all)
{
    const uint64_t group = p->config->group_tokens;
    if (all == 0)
        return batch / 2;
    while (--batch > 0)
        if (all % batch == 0 &&
            (group == 0 || ((uint64_t)batch * p->src_len % group == 0 && (uint64_t)batch * p->tgt_len % group == 0)))
            return batch;
    return 0;
}

enum sy_status cli_check_fits(struct sy_ctx *ctx, const struct sy_caps *caps, const struct sy_session_params *params,
                              bool validates, uint32_t all, const char *option)
{
    struct sy_session_params p = *params;
    char problem[640], why[512], a[32], b[32];
    uint64_t need, less;
    const bool planned = plan_bytes(caps, &p, validates, p.batch, &need, why);
    if (planned && need <= caps->memory_bytes)
        return SY_OK;
    print_bytes(caps->memory_bytes, a);
    print_bytes(need, b);
    if (planned)
        snprintf(problem, sizeof problem, "%s has %s of memory (%s), and %s %u needs %s", caps->id, a,
                 caps->memory_from, option, p.batch, b);
    else
        snprintf(problem, sizeof problem, "%s", why);
    for (;;) {
        for (uint32_t n = p.batch; n != 0; n = next_smaller(&p, n, all)) {
            if (!plan_bytes(caps, &p, validates, n, &less, why) || less > caps->memory_bytes)
                continue;
            print_bytes(less, a);
            return sy_fail(ctx, SY_NOMEM, "%s; %s %u%s needs %s and fits", problem, option, n,
                           p.recompute ? " with --recompute" : "", a);
        }
        if (p.kind != SY_SESSION_TRAIN || p.recompute)
            break;
        p.recompute = true;
    }
    return planned ? sy_fail(ctx, SY_NOMEM,
                             "%s; no %s fits: take a smaller model, shorter --src-len and --tgt-len, or "
                             "another device (switchyard-plan shows the bytes)",
                             problem, option)
                   : SY_OK; // whoever builds the session says what is wrong
}
