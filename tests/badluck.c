// SPDX-License-Identifier: Apache-2.0
// badluck.c: preloaded into one rank of a run. BADLUCK_DEVICE=N: its OpenCL device is lost at the Nth kernel from the
// start. BADLUCK_DATAGRAMS: it may not send any (no UDP
// socket). BADLUCK_SLEEP=S: it is busy for so long when it opens its model.
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define NEXT(args, name) int(*next) args = (int(*) args)(size_t)dlsym(RTLD_NEXT, name)

// As <CL/cl.h> declares it, which need not be here.
int clEnqueueNDRangeKernel(void *queue, void *kernel, uint32_t dims, const size_t *offset, const size_t *global,
                           const size_t *local, uint32_t count, const void *events, void *out);
int clEnqueueNDRangeKernel(void *queue, void *kernel, uint32_t dims, const size_t *offset, const size_t *global,
                           const size_t *local, uint32_t count, const void *events, void *out)
{
    static atomic_long calls;
    const char *lost = getenv("BADLUCK_DEVICE");
    NEXT((void *, void *, uint32_t, const size_t *, const size_t *, const size_t *, uint32_t, const void *, void *),
         "clEnqueueNDRangeKernel");
    if (lost != NULL && ++calls >= atol(lost))
        return -2; // CL_DEVICE_NOT_AVAILABLE
    return next(queue, kernel, dims, offset, global, local, count, events, out);
}

int socket(int domain, int type, int protocol)
{
    NEXT((int, int, int), "socket");
    if (getenv("BADLUCK_DATAGRAMS") != NULL && domain == AF_INET && (type & 0xf) == SOCK_DGRAM) {
        errno = EACCES;
        return -1;
    }
    return next(domain, type, protocol);
}

int open(const char *path, int flags, ...)
{
    const char *busy = getenv("BADLUCK_SLEEP");
    va_list more;
    va_start(more, flags);
    const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
    va_end(more);
    NEXT((const char *, int, ...), "open64");
    if (busy != NULL && strstr(path, "switch.json") != NULL)
        sleep((unsigned)atoi(busy));
    return next(path, flags, mode);
}
