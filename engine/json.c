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

static void put_line(FILE *to, int depth) { fprintf(to, "\n%*s", 2 * depth, ""); }

// The shortest decimal that reads back as the same double: 1e-06 stays 1e-06, not 9.9999999999999995e-07.
static void put_real(FILE *to, double value)
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
    fprintf(to, "%s%s", number, strpbrk(number, ".e") == NULL ? ".0" : ""); // a real for the next reader, too
}

// Strings and integers as jansson writes them. False when out of memory.
static bool put_scalar(FILE *to, const json_t *value)
{
    return json_dumpf(value, to, JSON_ENCODE_ANY | JSON_COMPACT) == 0;
}

static bool put_value(FILE *to, const json_t *value, int depth);

static bool put_object(FILE *to, const json_t *object, int depth)
{
    const char *separator = "", *key;
    json_t *value;
    bool good = true;
    fputc('{', to);
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        json_t *name = json_string(key);
        fputs(separator, to);
        put_line(to, depth + 1);
        good = put_scalar(to, name) && good;
        json_decref(name);
        fputs(": ", to);
        good = put_value(to, value, depth + 1) && good;
        separator = ",";
    }
    if (*separator != '\0')
        put_line(to, depth);
    fputc('}', to);
    return good;
}

static bool put_array(FILE *to, const json_t *array, int depth)
{
    bool good = true;
    fputc('[', to);
    for (size_t i = 0; i < json_array_size(array); ++i) {
        fputs(i > 0 ? "," : "", to);
        put_line(to, depth + 1);
        good = put_value(to, json_array_get(array, i), depth + 1) && good;
    }
    if (json_array_size(array) > 0)
        put_line(to, depth);
    fputc(']', to);
    return good;
}

static bool put_value(FILE *to, const json_t *value, int depth)
{
    if (json_is_object(value))
        return put_object(to, value, depth);
    if (json_is_array(value))
        return put_array(to, value, depth);
    if (!json_is_real(value))
        return put_scalar(to, value);
    put_real(to, json_real_value(value));
    return true;
}

char *sy_json_format(const json_t *root)
{
    char *text = NULL;
    size_t bytes;
    FILE *to = open_memstream(&text, &bytes);
    if (to == NULL)
        return NULL;
    bool good = put_value(to, root, 0);
    fputc('\n', to);
    good = ferror(to) == 0 && good;
    good = fclose(to) == 0 && good; // when memory runs out, one of these says so
    if (good)
        return text;
    free(text);
    return NULL;
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
