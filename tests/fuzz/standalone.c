// SPDX-License-Identifier: Apache-2.0
// standalone.c: drives a fuzz target without libFuzzer: seeded random mutations of the files given.
//   usage: fuzz_X ROUNDS FILE…
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/target.h"

static uint32_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

/// A few byte changes, a cut or a repetition: what damaged files look like.
static size_t mutate(uint8_t *data, size_t bytes, uint64_t *state)
{
    static const uint8_t loud[] = {0, 0xff, 0x7f, 0x80, '"', '{', '}', '[', ',', '-', '9', 'e'};
    for (uint32_t i = 1 + next_random(state) % 8; i > 0 && bytes > 0; --i) {
        uint32_t at = next_random(state) % (uint32_t)bytes, how = next_random(state) % 4;
        if (how == 0)
            data[at] ^= (uint8_t)(1u << next_random(state) % 8);
        else if (how == 1)
            data[at] = loud[next_random(state) % sizeof loud];
        else if (how == 2)
            data[at] = (uint8_t)next_random(state);
        else if (next_random(state) % 4 == 0)
            bytes = at;
    }
    return bytes;
}

static size_t read_file(const char *path, uint8_t **out)
{
    FILE *file = fopen(path, "rb");
    size_t room = 1u << 20, bytes = 0;
    *out = malloc(room);
    if (file != NULL && *out != NULL)
        bytes = fread(*out, 1, room, file);
    if (file != NULL)
        fclose(file);
    return bytes;
}

int main(int argc, char **argv)
{
    unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 0, done = 0;
    uint64_t state = 1;
    for (int i = 2; i < argc; ++i) {
        uint8_t *seed, *copy;
        size_t bytes = read_file(argv[i], &seed);
        for (unsigned long r = 0; r < rounds && bytes != 0; ++r, ++done) {
            copy = malloc(bytes);
            if (copy == NULL)
                return 2;
            memcpy(copy, seed, bytes);
            LLVMFuzzerTestOneInput(copy, r == 0 ? bytes : mutate(copy, bytes, &state));
            free(copy);
        }
        free(seed);
    }
    printf("ok 1 - %lu inputs, no crash\n%d passed, %d failed, 0 skipped\n", done, done != 0, done == 0);
    return done == 0;
}
