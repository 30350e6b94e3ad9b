// SPDX-License-Identifier: Apache-2.0
#include "hostlib/names.h"

#include <stdlib.h>
#include <string.h>

bool sy_name_is(const char *name, size_t length, const char *want)
{
    return strlen(want) == length && memcmp(want, name, length) == 0;
}

enum sy_status sy_names_each(struct sy_ctx *ctx, const char *variable, const char *what, const char *known,
                             sy_name_fn take, void *user)
{
    const char *text = getenv(variable);
    while (text != NULL && *text != '\0') {
        const size_t length = strcspn(text, ",");
        if (length != 0 && !take(user, text, length))
            return sy_fail(ctx, SY_INVALID, "%s: unknown %s \"%.*s\"; known: %s", variable, what, (int)length, text,
                           known);
        text += length + (text[length] == ',');
    }
    return SY_OK;
}

bool sy_env_switch(const char *variable, bool otherwise)
{
    const char *text = getenv(variable);
    return text == NULL || *text == '\0' ? otherwise : strcmp(text, "1") == 0;
}

enum sy_status sy_env_check(struct sy_ctx *ctx, const char *variable)
{
    const char *text = getenv(variable);
    if (text == NULL || *text == '\0' || strcmp(text, "0") == 0 || strcmp(text, "1") == 0)
        return SY_OK;
    return sy_fail(ctx, SY_INVALID, "%s=\"%s\": expected 0 or 1", variable, text);
}
