// SPDX-License-Identifier: Apache-2.0
// cache.c: the on-disk cache; one file per entry, named KIND-KEY.
#include "hostlib/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#include "hostlib/names.h"

#define CACHE_VERSION 1
#define CACHE_MAX_PAYLOAD (UINT64_C(1) << 30)

/// The head of every file, in the machine's byte order: a foreign machine's file is a miss.
struct header {
    char magic[8];
    uint32_t version, header_bytes;
    char kind[16];
    uint8_t key[SY_CACHE_KEY_BYTES];
    uint64_t payload_bytes;
    uint64_t reserved;
    uint8_t sum[16];
};

static const char magic[8] = "SYCACHE";

static void canonical(uint8_t out[16], XXH128_hash_t hash)
{
    XXH128_canonical_t text;
    XXH128_canonicalFromHash(&text, hash);
    memcpy(out, text.digest, 16);
}

void sy_cache_key(uint8_t out_key[SY_CACHE_KEY_BYTES], const struct sy_cache_part *parts, size_t count)
{
    // Chained rather than concatenated, so no state is allocated and lengths count.
    struct {
        uint8_t chain[16], part[16];
        uint64_t bytes, index;
    } link;
    memset(&link, 0, sizeof link);
    for (size_t i = 0; i < count; ++i) {
        canonical(link.part, XXH3_128bits(parts[i].data, parts[i].bytes));
        link.bytes = parts[i].bytes;
        link.index = i;
        canonical(link.chain, XXH3_128bits(&link, sizeof link));
    }
    memcpy(out_key, link.chain, SY_CACHE_KEY_BYTES);
}

void sy_cache_hex(char out_text[SY_CACHE_HEX_BYTES], const uint8_t key[SY_CACHE_KEY_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < SY_CACHE_KEY_BYTES; ++i) {
        out_text[2 * i] = digits[key[i] >> 4];
        out_text[2 * i + 1] = digits[key[i] & 15];
    }
    out_text[2 * SY_CACHE_KEY_BYTES] = '\0';
}

// ---- paths -----------------------------------------------------------------------------------------------------

static const char *env_path(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

static bool cache_dir(char out[PATH_MAX])
{
    if (sy_env_switch("SY_NO_CACHE", false))
        return false;
    int n = -1;
    if (env_path("SY_CACHE_DIR") != NULL)
        n = snprintf(out, PATH_MAX, "%s", env_path("SY_CACHE_DIR"));
    else if (env_path("XDG_CACHE_HOME") != NULL)
        n = snprintf(out, PATH_MAX, "%s/switchyard", env_path("XDG_CACHE_HOME"));
    else if (env_path("HOME") != NULL)
        n = snprintf(out, PATH_MAX, "%s/.cache/switchyard", env_path("HOME"));
    return n > 0 && n < PATH_MAX;
}

static bool entry_path(char out[PATH_MAX], const char *kind, const uint8_t key[SY_CACHE_KEY_BYTES])
{
    char dir[PATH_MAX], hex[SY_CACHE_HEX_BYTES];
    if (!cache_dir(dir))
        return false;
    sy_cache_hex(hex, key);
    int n = snprintf(out, PATH_MAX, "%s/%s-%s", dir, kind, hex);
    return n > 0 && n < PATH_MAX;
}

bool sy_cache_text_path(char out[SY_CACHE_PATH_ROOM], const char *kind, const uint8_t key[SY_CACHE_KEY_BYTES])
{
    char path[PATH_MAX];
    if (!entry_path(path, kind, key))
        return false;
    const int n = snprintf(out, SY_CACHE_PATH_ROOM, "%s.txt", path);
    return n > 0 && n < SY_CACHE_PATH_ROOM;
}

// Makes every missing folder above the file `path`.
static bool make_parents(const char *path)
{
    char part[PATH_MAX];
    snprintf(part, sizeof part, "%s", path);
    for (char *slash = strchr(part + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(part, 0700) != 0 && errno != EEXIST)
            return false;
        *slash = '/';
    }
    return true;
}

// ---- reading ---------------------------------------------------------------------------------------------------

static bool read_all(int fd, void *data, size_t bytes)
{
    for (size_t done = 0; done < bytes;) {
        ssize_t n = read(fd, (char *)data + done, bytes - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

static void fill_header(struct header *h, const char *kind, const uint8_t key[SY_CACHE_KEY_BYTES], const void *data,
                        size_t bytes)
{
    memset(h, 0, sizeof *h);
    memcpy(h->magic, magic, sizeof magic);
    h->version = CACHE_VERSION;
    h->header_bytes = sizeof *h;
    snprintf(h->kind, sizeof h->kind, "%s", kind);
    memcpy(h->key, key, SY_CACHE_KEY_BYTES);
    h->payload_bytes = bytes;
    canonical(h->sum, XXH3_128bits(data, bytes));
}

// The payload of an open entry, or NULL when anything about it is not as it was written.
static void *read_entry(int fd, const char *kind, const uint8_t key[SY_CACHE_KEY_BYTES], size_t *out_bytes)
{
    struct header found, expected;
    struct stat info;
    if (fstat(fd, &info) != 0 || !read_all(fd, &found, sizeof found) || found.payload_bytes == 0 ||
        found.payload_bytes > CACHE_MAX_PAYLOAD || (uint64_t)info.st_size != sizeof found + found.payload_bytes)
        return NULL;
    const size_t bytes = (size_t)found.payload_bytes;
    void *data = malloc(bytes);
    if (data == NULL)
        return NULL;
    if (read_all(fd, data, bytes)) {
        fill_header(&expected, kind, key, data, bytes);
        if (memcmp(&expected, &found, sizeof found) == 0) {
            *out_bytes = bytes;
            return data;
        }
    }
    free(data);
    return NULL;
}

bool sy_cache_load(struct sy_ctx *ctx, const char *kind, const uint8_t key[SY_CACHE_KEY_BYTES], void **out_data,
                   size_t *out_bytes)
{
    char path[PATH_MAX];
    if (!entry_path(path, kind, key))
        return false;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    void *data = read_entry(fd, kind, key, out_bytes);
    close(fd);
    if (data == NULL) {
        sy_log(ctx, SY_LOG_DEBUG, "cache: %s is damaged; deleting it", path);
        unlink(path);
        return false;
    }
    *out_data = data;
    return true;
}

// ---- writing ---------------------------------------------------------------------------------------------------

static bool write_all(int fd, const void *data, size_t bytes)
{
    for (size_t done = 0; done < bytes;) {
        ssize_t n = write(fd, (const char *)data + done, bytes - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

// Writes a whole file under a temporary name and moves it into place.
static bool replace_file(const char *path, const struct header *header, const void *data, size_t bytes)
{
    char temporary[PATH_MAX];
    int n = snprintf(temporary, sizeof temporary, "%s.XXXXXX", path);
    if (n < 0 || n >= (int)sizeof temporary || !make_parents(path))
        return false;
    int fd = mkstemp(temporary);
    if (fd < 0)
        return false;
    bool good = write_all(fd, header, sizeof *header) && write_all(fd, data, bytes) && fsync(fd) == 0;
    good = close(fd) == 0 && good && rename(temporary, path) == 0;
    if (!good) {
        int saved = errno;
        unlink(temporary);
        errno = saved;
    }
    return good;
}

void sy_cache_store(struct sy_ctx *ctx, const char *kind, const uint8_t key[SY_CACHE_KEY_BYTES], const void *data,
                    size_t bytes)
{
    char path[PATH_MAX];
    struct header header;
    if (bytes == 0 || bytes > CACHE_MAX_PAYLOAD || !entry_path(path, kind, key))
        return;
    fill_header(&header, kind, key, data, bytes);
    if (!replace_file(path, &header, data, bytes))
        sy_log(ctx, SY_LOG_DEBUG, "cache: cannot write %s: %s; continuing without", path, strerror(errno));
}
