// SPDX-License-Identifier: Apache-2.0
// json.c: jansson with our messages and our number format.
#include "engine/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/file.h"

#define MAX_JSON_BYTES (64u << 20)

enum sy_status sy_json_parse(struct sy_ctx *ctx, const char *text, size_t bytes, const char *name, json_t **out_root)
{
    json_error_t error;
    if (bytes >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) { // a byte-order mark, as Windows editors write
        text += 3;
        bytes -= 3;
    }
    json_t *root = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL)
        return sy_fail(ctx, SY_FORMAT, "%s: not valid JSON: %s (line %d, column %d)", name, error.text, error.line,
                       error.column);
    if (!json_is_object(root)) {
        json_decref(root);
        return sy_fail(ctx, SY_FORMAT, "%s: found a JSON array, expected an object {…}", name);
    }
    *out_root = root;
    return SY_OK;
}

enum sy_status sy_json_load(struct sy_ctx *ctx, const char *path, json_t **out_root)
{
    char *text;
    size_t bytes;
    SY_TRY(sy_file_read(ctx, path, MAX_JSON_BYTES, &text, &bytes));
    enum sy_status status = sy_json_parse(ctx, text, bytes, path, out_root);
    free(text);
    return status;
}

// ---- formatting -----------------------------------------------------------------------------------------------------

struct text {
    char *data;
    size_t bytes, room;
    bool failed;
};

static void put(struct text *t, const char *data, size_t bytes)
{
    if (t->failed)
        return;
    if (t->bytes + bytes + 1 > t->room) {
        size_t room = 2 * (t->bytes + bytes + 256);
        char *bigger = realloc(t->data, room);
        if (bigger == NULL) {
            t->failed = true;
            return;
        }
        t->data = bigger;
        t->room = room;
    }
    memcpy(t->data + t->bytes, data, bytes);
    t->bytes += bytes;
    t->data[t->bytes] = '\0';
}

static void put_line(struct text *t, int depth)
{
    put(t, "\n", 1);
    for (int i = 0; i < depth; ++i)
        put(t, "  ", 2);
}

// The shortest decimal that reads back as the same double: 1e-06 stays 1e-06, not 9.9999999999999995e-07.
static void put_real(struct text *t, double value)
{
    char number[40];
    for (int digits = 1; digits <= 17; ++digits) {
        snprintf(number, sizeof number, "%.*g", digits, value);
        if (strtod(number, NULL) == value)
            break;
    }
    for (char *p = number; *p != '\0'; ++p) // a program with a locale set may print a decimal comma
        if (*p == ',')
            *p = '.';
    put(t, number, strlen(number));
    if (strpbrk(number, ".e") == NULL) // keep it a real for the next reader
        put(t, ".0", 2);
}

// Strings and integers as jansson writes them.
static void put_scalar(struct text *t, const json_t *value)
{
    char *plain = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    if (plain == NULL)
        t->failed = true;
    else
        put(t, plain, strlen(plain));
    free(plain);
}

static void put_value(struct text *t, const json_t *value, int depth);

static void put_object(struct text *t, const json_t *object, int depth)
{
    const char *separator = "";
    const char *key;
    json_t *value;
    put(t, "{", 1);
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        put(t, separator, strlen(separator));
        put_line(t, depth + 1);
        json_t *name = json_string(key);
        put_scalar(t, name);
        json_decref(name);
        put(t, ": ", 2);
        put_value(t, value, depth + 1);
        separator = ",";
    }
    if (*separator != '\0')
        put_line(t, depth);
    put(t, "}", 1);
}

static void put_array(struct text *t, const json_t *array, int depth)
{
    put(t, "[", 1);
    for (size_t i = 0; i < json_array_size(array); ++i) {
        put(t, ",", i > 0);
        put_line(t, depth + 1);
        put_value(t, json_array_get(array, i), depth + 1);
    }
    if (json_array_size(array) > 0)
        put_line(t, depth);
    put(t, "]", 1);
}

static void put_value(struct text *t, const json_t *value, int depth)
{
    if (json_is_object(value))
        put_object(t, value, depth);
    else if (json_is_array(value))
        put_array(t, value, depth);
    else if (json_is_real(value))
        put_real(t, json_real_value(value));
    else
        put_scalar(t, value);
}

char *sy_json_format(const json_t *root)
{
    struct text t = {0};
    put_value(&t, root, 0);
    put(&t, "\n", 1);
    if (t.failed) {
        free(t.data);
        return NULL;
    }
    return t.data;
}

enum sy_status sy_json_save(struct sy_ctx *ctx, const json_t *root, const char *path)
{
    char *text = sy_json_format(root);
    if (text == NULL)
        return sy_fail(ctx, SY_NOMEM, "%s: out of memory for its JSON text", path);
    enum sy_status status = sy_file_write(ctx, path, text, strlen(text));
    free(text);
    return status;
}
