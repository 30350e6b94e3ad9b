// SPDX-License-Identifier: Apache-2.0
// compile.c: switchyard-compile DEVICE, started by other programs with three open files (hostlib/ahead.h).
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hostlib/ahead.h"

static void run_nothing(void *arguments, void *context, size_t x, size_t y, size_t z)
{
    (void)arguments, (void)context, (void)x, (void)y, (void)z;
}

/// PoCL compiles what is launched, loads it and asks for its address here: what it launches then does nothing, whatever
/// its arguments are. Everything else is looked up as ever.
__attribute__((visibility("default"))) void *dlsym(void *restrict handle, const char *restrict name)
{
    static const char *const versions[] = {"GLIBC_2.34", "GLIBC_2.17", "GLIBC_2.2.5", "GLIBC_2.27", "GLIBC_2.36"};
    void *(*next)(void *, const char *) = NULL;
    void (*nothing)(void *, void *, size_t, size_t, size_t) = run_nothing;
    void *address = NULL;
    if (strstr(name, "pocl_kernel_") != NULL) {
        memcpy(&address, &nothing, sizeof address);
        return address;
    }
    for (size_t i = 0; i < SY_COUNT(versions) && address == NULL; ++i)
        address = dlvsym(RTLD_NEXT, "dlsym", versions[i]);
    memcpy(&next, &address, sizeof next);
    return next != NULL ? next(handle, name) : NULL;
}

int main(int argc, char **argv)
{
    if (argc != 2 || fcntl(3, F_GETFD) < 0 || fcntl(4, F_GETFD) < 0 || fcntl(5, F_GETFD) < 0) {
        fprintf(stderr, "switchyard-compile is started by the other programs, not by hand\n");
        return 64;
    }
    setenv("POCL_MAX_PTHREAD_COUNT", "1", 1); // there is nothing to run
    // Without what a compiler frees at its end: the system does that sooner.
    _exit(sy_ahead_serve(argv[1], 3, 4, 5));
}
