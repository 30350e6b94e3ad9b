// SPDX-License-Identifier: Apache-2.0
// memory.c: what a machine of files says about its memory: free memory, swap, limits of both kinds of control groups.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/file.h"
#include "hostlib/memory.h"

#define MIB (UINT64_C(1) << 20)

struct machine {
    const char *what;
    const char *files[8][2]; ///< Path below the root, text.
    uint64_t mib;            ///< 0: this machine's own total.
    const char *from;
};

static const struct machine machines[] = {
    {"no files at all", {{NULL, NULL}}, 0, "the machine's memory"},
    {"free memory and swap",
     {{"proc/meminfo", "MemTotal: 8192 kB\nMemAvailable:    4096 kB\nSwapTotal: 9999 kB\nSwapFree:   1024 kB\n"}},
     5,
     "MemAvailable"},
    {"a limit of version 2 on a group above, what it uses counted",
     {{"proc/meminfo", "MemAvailable: 4194304 kB\nSwapFree: 0 kB\n"},
      {"proc/self/cgroup", "0::/a/b\n"},
      {"sys/fs/cgroup/a/b/memory.max", "max\n"},
      {"sys/fs/cgroup/a/memory.max", "104857600\n"},
      {"sys/fs/cgroup/a/memory.stat", "file 9\nanon 10485760\n"}},
     90,
     "container"},
    {"version 2 in a container, whose path is not there",
     {{"proc/meminfo", "MemAvailable: 4194304 kB\n"},
      {"proc/self/cgroup", "0::/docker/1234\n"},
      {"sys/fs/cgroup/memory.max", "52428800\n"}},
     50,
     "container"},
    {"a limit of version 1",
     {{"proc/meminfo", "MemAvailable: 4194304 kB\n"},
      {"proc/self/cgroup", "5:cpu:/\n4:memory:/x\n0::/\n"},
      {"sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"},
      {"sys/fs/cgroup/memory/x/memory.limit_in_bytes", "209715200\n"},
      {"sys/fs/cgroup/memory/x/memory.stat", "rss 1\ntotal_rss 104857600\n"}},
     100,
     "container"},
    {"a limit that is larger than what is free",
     {{"proc/meminfo", "MemAvailable: 4096 kB\n"},
      {"proc/self/cgroup", "0::/\n"},
      {"sys/fs/cgroup/memory.max", "52428800\n"}},
     4,
     "MemAvailable"},
};

static bool build(struct sy_ctx *ctx, const char *root, const struct machine *m)
{
    bool good = sy_dir_create(ctx, root) == SY_OK;
    for (size_t i = 0; good && i < SY_COUNT(m->files) && m->files[i][0] != NULL; ++i) {
        char *path = sy_path_join(root, m->files[i][0]);
        char *slash = strrchr(path, '/');
        *slash = '\0';
        good = sy_dir_create(ctx, path) == SY_OK;
        *slash = '/';
        good = good && sy_file_write(ctx, path, m->files[i][1], strlen(m->files[i][1])) == SY_OK;
        free(path);
    }
    return good;
}

int main(void)
{
    struct sy_ctx *ctx = sy_ctx_create(sy_log_stderr, (void *)"memory", SY_LOG_WARN);
    char root[] = P_tmpdir "/switchyard-memory.XXXXXX";
    unsigned failed = 0;
    if (ctx == NULL || mkdtemp(root) == NULL)
        return 2;
    for (size_t i = 0; i < SY_COUNT(machines); ++i) {
        const struct machine *m = &machines[i];
        struct sy_host_memory found = {0};
        if (build(ctx, root, m))
            found = sy_host_memory(root);
        const bool good = found.from != NULL && strstr(found.from, m->from) != NULL &&
                          (m->mib == 0 ? found.bytes > MIB : found.bytes == m->mib * MIB);
        failed += !good;
        printf("%s %zu - %s: %llu bytes, %s\n", good ? "ok" : "not ok", i + 1, m->what, (unsigned long long)found.bytes,
               found.from != NULL ? found.from : "");
        if (sy_dir_remove(ctx, root) != SY_OK)
            return 2;
    }
    sy_ctx_destroy(&ctx);
    printf("%zu passed, %u failed, 0 skipped\n", SY_COUNT(machines) - failed, failed);
    return failed != 0;
}
