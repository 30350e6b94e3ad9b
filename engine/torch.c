// SPDX-License-Identifier: Apache-2.0
// torch.c: the archive: where its records lie.
#include "engine/torch.h"

#include <stdlib.h>
#include <string.h>

#define END_BYTES 22u
#define END64_BYTES 56u
#define LOCATOR_BYTES 20u
#define ENTRY_BYTES 46u
#define LOCAL_BYTES 30u
#define MAX_COMMENT 65535u
#define MAX_RECORDS (1u << 22)

static uint16_t u16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v); // little-endian, as the machines here
    return v;
}

static uint32_t u32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static uint64_t u64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static bool signature(const uint8_t *p, uint8_t a, uint8_t b)
{
    return p[0] == 'P' && p[1] == 'K' && p[2] == a && p[3] == b;
}

bool sy_torch_is(const uint8_t *data, uint64_t bytes)
{
    return bytes >= 4 &&
           (signature(data, 3, 4) || (data[0] == 0x80 && data[1] == 2 && data[2] == 0x8a && data[3] == 10));
}

struct archive {
    struct sy_ctx *ctx;
    const char *file;
    const uint8_t *data;
    uint64_t bytes;
};

static enum sy_status damaged(const struct archive *a, const char *what)
{
    return sy_fail(a->ctx, SY_FORMAT, "%s: %s: not a file of torch.save(), or cut off", a->file, what);
}

/// Where the list of records is. It ends the file.
static enum sy_status find_directory(const struct archive *a, uint64_t *out_at, uint64_t *out_count)
{
    const uint64_t least = a->bytes > END_BYTES + MAX_COMMENT ? a->bytes - END_BYTES - MAX_COMMENT : 0;
    uint64_t end = a->bytes >= END_BYTES ? a->bytes - END_BYTES + 1 : 0;
    while (end > least && !signature(a->data + end - 1, 5, 6))
        --end;
    if (end == least)
        return damaged(a, "the archive has no list of its records");
    const uint8_t *e = a->data + --end;
    *out_count = u16(e + 10);
    *out_at = u32(e + 16);
    if (end < LOCATOR_BYTES || !signature(e - LOCATOR_BYTES, 6, 7))
        return SY_OK;
    const uint64_t at = u64(e - LOCATOR_BYTES + 8);
    if (at > a->bytes - END64_BYTES || a->bytes < END64_BYTES || !signature(a->data + at, 6, 6))
        return damaged(a, "the list of its records is not where it should be");
    *out_count = u64(a->data + at + 32);
    *out_at = u64(a->data + at + 48);
    return SY_OK;
}

/// Sizes and offsets that need more than 32 bits follow in an extra field, those alone, in this order.
static bool widen(const uint8_t *extra, uint32_t extra_bytes, uint64_t *fields[3])
{
    const bool wide[3] = {*fields[0] == UINT32_MAX, *fields[1] == UINT32_MAX, *fields[2] == UINT32_MAX};
    if (!wide[0] && !wide[1] && !wide[2])
        return true;
    for (uint32_t at = 0; at + 4 <= extra_bytes;) {
        const uint32_t id = u16(extra + at), size = u16(extra + at + 2);
        if (size > extra_bytes - at - 4)
            return false;
        uint32_t used = 0;
        for (int i = 0; i < 3 && id == 1; ++i) {
            if (!wide[i])
                continue;
            if (used + 8 > size)
                return false;
            *fields[i] = u64(extra + at + 4 + used);
            used += 8;
        }
        if (id == 1)
            return true;
        at += 4 + size;
    }
    return false;
}

/// A name must stay within the archive's own folder.
static bool tame(const char *name, uint32_t bytes)
{
    if (bytes == 0 || bytes > 512 || name[0] == '/')
        return false;
    for (uint32_t i = 0; i < bytes; ++i)
        if (name[i] <= ' ' || name[i] > '~' || name[i] == '\\' ||
            (i + 1 < bytes && name[i] == '.' && name[i + 1] == '.'))
            return false;
    return true;
}

/// Reads entry `e` of the list and the record's own header, which must agree.
static enum sy_status read_entry(const struct archive *a, const uint8_t *e, struct sy_torch_record *out)
{
    const uint32_t name_bytes = u16(e + 28), extra_bytes = u16(e + 30), method = u16(e + 10), flags = u16(e + 8);
    const char *name = (const char *)e + ENTRY_BYTES;
    uint64_t packed = u32(e + 20), size = u32(e + 24), at = u32(e + 42);
    uint64_t *fields[3] = {&size, &packed, &at};
    if (!tame(name, name_bytes))
        return damaged(a, "the archive has a record with a name that is not plain");
    if (!widen(e + ENTRY_BYTES + name_bytes, extra_bytes, fields))
        return damaged(a, "the archive has a record without a size");
    if (method != 0 || size != packed || (flags & 1) != 0)
        return sy_fail(a->ctx, SY_UNSUPPORTED, "%s: its record %.*s is compressed or encrypted, expected stored",
                       a->file, (int)name_bytes, name);
    if (at > a->bytes || a->bytes - at < LOCAL_BYTES || !signature(a->data + at, 3, 4))
        return damaged(a, "a record of the archive is not where it should be");
    const uint8_t *local = a->data + at;
    const uint64_t head = LOCAL_BYTES + (uint64_t)u16(local + 26) + u16(local + 28);
    if (u16(local + 26) != name_bytes || head > a->bytes - at || memcmp(local + LOCAL_BYTES, name, name_bytes) != 0)
        return damaged(a, "a record of the archive has another name than the list says");
    if (size > a->bytes - at - head)
        return damaged(a, "a record of the archive ends behind the file");
    const char *slash = memchr(name, '/', name_bytes);
    const uint32_t folder = slash != NULL ? (uint32_t)(slash - name) + 1 : 0;
    *out = (struct sy_torch_record){name + folder, name_bytes - folder, local + head, size};
    return SY_OK;
}

static int by_place(const void *a, const void *b)
{
    const struct sy_torch_record *x = a, *y = b;
    return x->data != y->data ? (x->data < y->data ? -1 : 1) : (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

static int compare_names(const struct sy_torch_record *x, const char *name, size_t bytes)
{
    const size_t common = x->name_bytes < bytes ? x->name_bytes : bytes;
    const int order = memcmp(x->name, name, common);
    return order != 0 ? order : (x->name_bytes > bytes) - (x->name_bytes < bytes);
}

static int by_name(const void *a, const void *b)
{
    const struct sy_torch_record *y = b;
    return compare_names(a, y->name, y->name_bytes);
}

static enum sy_status read_records(const struct archive *a, struct sy_torch *t)
{
    uint64_t at = 0, count = 0;
    SY_TRY(find_directory(a, &at, &count));
    if (count > MAX_RECORDS || count * ENTRY_BYTES > a->bytes)
        return damaged(a, "the archive should have more records than it has room for");
    t->records = calloc(count + 1, sizeof *t->records);
    if (t->records == NULL)
        return sy_fail(a->ctx, SY_NOMEM, "%s: out of memory for a list of its records", a->file);
    for (; t->record_count < count; ++t->record_count) {
        if (at > a->bytes || a->bytes - at < ENTRY_BYTES || !signature(a->data + at, 1, 2))
            return damaged(a, "the list of its records breaks off");
        const uint8_t *e = a->data + at;
        const uint64_t size = ENTRY_BYTES + (uint64_t)u16(e + 28) + u16(e + 30) + u16(e + 32);
        if (size > a->bytes - at)
            return damaged(a, "the list of its records breaks off");
        SY_TRY(read_entry(a, e, &t->records[t->record_count]));
        at += size;
    }
    qsort(t->records, t->record_count, sizeof *t->records, by_place);
    for (size_t i = 1; i < t->record_count; ++i)
        if (t->records[i].data < t->records[i - 1].data + t->records[i - 1].bytes)
            return damaged(a, "records of the archive overlap");
    qsort(t->records, t->record_count, sizeof *t->records, by_name);
    for (size_t i = 1; i < t->record_count; ++i)
        if (by_name(&t->records[i - 1], &t->records[i]) == 0)
            return damaged(a, "the archive has two records of one name");
    return SY_OK;
}

const struct sy_torch_record *sy_torch_record(const struct sy_torch *t, const char *name, size_t name_bytes)
{
    size_t low = 0, high = t->record_count;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        const int order = compare_names(&t->records[middle], name, name_bytes);
        if (order == 0)
            return &t->records[middle];
        low = order < 0 ? middle + 1 : low;
        high = order < 0 ? high : middle;
    }
    return NULL;
}

enum sy_status sy_torch_read(struct sy_ctx *ctx, const uint8_t *data, uint64_t bytes, const char *file,
                             struct sy_torch *out)
{
    const struct archive a = {ctx, file, data, bytes};
    *out = (struct sy_torch){0};
    if (!signature(data, 3, 4))
        return sy_fail(ctx, SY_UNSUPPORTED,
                       "%s was written by PyTorch before 1.6: load it there and save it once more (torch.save, or "
                       "save_pretrained with safe_serialization=True)",
                       file);
    SY_TRY(read_records(&a, out));
    const struct sy_torch_record *order = sy_torch_record(out, "byteorder", 9);
    if (order != NULL && (order->bytes != 6 || memcmp(order->data, "little", 6) != 0))
        return sy_fail(ctx, SY_UNSUPPORTED, "%s was written on a big-endian machine", file);
    const struct sy_torch_record *pickle = sy_torch_record(out, "data.pkl", 8);
    if (pickle == NULL)
        return damaged(&a, "the archive has no record data.pkl");
    return sy_torch_unpickle(ctx, pickle, file, out);
}

void sy_torch_finish(struct sy_torch *t)
{
    free(t->records);
    free(t->views);
    free(t->names);
    *t = (struct sy_torch){0};
}
