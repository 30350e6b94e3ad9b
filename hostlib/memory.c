// SPDX-License-Identifier: Apache-2.0
#include "hostlib/memory.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEXT_ROOM 8192
#define NONE UINT64_MAX

/// A small file of the kernel as text; "" when there is none.
static void read_text(const char *root, const char *path, const char *name, char text[TEXT_ROOM])
{
    char whole[PATH_MAX];
    const int n = snprintf(whole, sizeof whole, "%s%s%s", root, path, name);
    FILE *file = n > 0 && n < (int)sizeof whole ? fopen(whole, "re") : NULL;
    const size_t bytes = file != NULL ? fread(text, 1, TEXT_ROOM - 1, file) : 0;
    if (file != NULL)
        fclose(file);
    text[bytes] = '\0';
}

/// The whole number behind `key` at a line's start, times `unit`; NONE when there is none ("max").
static uint64_t number_in(const char *text, const char *key, uint64_t unit)
{
    const size_t length = strlen(key);
    for (const char *at = text; at != NULL && *at != '\0'; at = strchr(at, '\n')) {
        unsigned long long value;
        at += *at == '\n';
        if (strncmp(at, key, length) == 0)
            return sscanf(at + length, "%llu", &value) == 1 && value <= NONE / unit ? value * unit : NONE;
    }
    return NONE;
}

/// One level of control groups: the limit less what cannot be dropped of what is used.
static uint64_t group_left(const char *root, const char *folder, bool second)
{
    char text[TEXT_ROOM];
    read_text(root, folder, second ? "/memory.max" : "/memory.limit_in_bytes", text);
    const uint64_t limit = number_in(text, "", 1);
    if (limit == NONE)
        return NONE;
    read_text(root, folder, "/memory.stat", text);
    const uint64_t used = number_in(text, second ? "anon " : "total_rss ", 1);
    return used == NONE ? limit : used < limit ? limit - used : 0;
}

/// A limit holds for all groups below it. In a container the group's own path may not be there, but its root is.
static uint64_t groups_left(const char *root, const char *mount, const char *path, bool second)
{
    char folder[PATH_MAX];
    uint64_t least = NONE;
    if (snprintf(folder, sizeof folder, "%s%s", mount, strcmp(path, "/") == 0 ? "" : path) >= (int)sizeof folder)
        return NONE;
    for (;;) {
        const uint64_t left = group_left(root, folder, second);
        least = left < least ? left : least;
        char *slash = strrchr(folder, '/');
        if (slash == NULL || strlen(folder) <= strlen(mount))
            return least;
        *slash = '\0';
    }
}

static uint64_t container_left(const char *root)
{
    char text[TEXT_ROOM];
    uint64_t least = NONE;
    read_text(root, "/proc/self", "/cgroup", text);
    for (char *next = NULL, *line = strtok_r(text, "\n", &next); line != NULL; line = strtok_r(NULL, "\n", &next)) {
        const char *names = strchr(line, ':');
        char *path = names != NULL ? strchr(names + 1, ':') : NULL;
        if (path == NULL)
            continue;
        *path++ = '\0';
        const bool second = names[1] == '\0', first = strcmp(names + 1, "memory") == 0;
        const uint64_t left = second  ? groups_left(root, "/sys/fs/cgroup", path, true)
                              : first ? groups_left(root, "/sys/fs/cgroup/memory", path, false)
                                      : NONE;
        least = left < least ? left : least;
    }
    return least;
}

struct sy_host_memory sy_host_memory(const char *root)
{
    char text[TEXT_ROOM];
    const long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    struct sy_host_memory m = {.bytes = pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : UINT64_C(1) << 32,
                               .from = "the machine's memory"};
    read_text(root, "/proc", "/meminfo", text);
    const uint64_t available = number_in(text, "MemAvailable:", 1024), swap = number_in(text, "SwapFree:", 1024);
    if (available != NONE)
        m = (struct sy_host_memory){.bytes = available + (swap != NONE ? swap : 0),
                                    .from = "what is free now: MemAvailable and SwapFree of /proc/meminfo"};
    const uint64_t container = container_left(root);
    if (container < m.bytes)
        m = (struct sy_host_memory){.bytes = container, .from = "what the container's memory limit leaves now"};
    return m;
}
