// SPDX-License-Identifier: Apache-2.0
#include "apps/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

// Runs at exit, behind everything that prints: a result that did not reach its file is no success.
static void close_output(void)
{
    bool earlier = ferror(stdout) != 0;
    errno = 0;
    if (fflush(stdout) == 0 && !earlier)
        return;
    fprintf(stderr, "%s: error: standard output could not be written: %s\n", program_invocation_short_name,
            errno != 0 ? strerror(errno) : "an earlier write failed");
    _exit(1);
}

void cli_start(void)
{
    for (int fd = 0; fd <= 2; ++fd) // the lowest free number is taken: a missing stream gets its own
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
            (void)!open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
    signal(SIGXFSZ, SIG_IGN); // a file size limit (ulimit -f) is then an error like a full disk
    atexit(close_output);
}

void cli_list_add(struct cli_list *list, const char *item)
{
    const char **bigger = realloc(list->items, (list->count + 1) * sizeof *bigger);
    if (bigger == NULL) {
        perror("switchyard");
        exit(1);
    }
    list->items = bigger;
    list->items[list->count++] = item;
}

uint64_t cli_count(struct argp_state *state, const char *option, const char *text, uint64_t least, uint64_t most,
                   bool binary)
{
    char *end;
    errno = 0;
    double value = strtod(text, &end);
    double unit = binary ? 1024.0 : 1000.0;
    if (*end == 'k' || *end == 'K')
        value *= unit;
    else if (*end == 'M')
        value *= unit * unit;
    else if (*end == 'G')
        value *= unit * unit * unit;
    end += *end != '\0' && strchr("kKMG", *end) != NULL;
    if (end == text || *end != '\0' || errno != 0 || !(value >= 0.0) || value != floor(value) ||
        value < (double)least || value > (double)most)
        argp_error(state, "%s: '%s' is not a whole number from %llu to %llu", option, text, (unsigned long long)least,
                   (unsigned long long)most);
    return (uint64_t)value;
}

const char *cli_text(struct argp_state *state, const char *option, const char *text)
{
    if (*text == '\0')
        argp_error(state, "%s: its value is empty", option);
    return text;
}

void cli_once(struct argp_state *state, const char *option, const char *text, const char **slot)
{
    (void)cli_text(state, option, text);
    if (*slot != NULL)
        argp_error(state, "%s is given twice: %.200s and %.200s", option, *slot, text);
    *slot = text;
}

double cli_real(struct argp_state *state, const char *option, const char *text, double least, double most)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= least) || !(value <= most))
        argp_error(state, "%s: '%s' is not a number from %g to %g", option, text, least, most);
    return value;
}

// ---- options of several programs ------------------------------------------------------------------------------------

static void unknown(struct argp_state *state, const char *option, const char *text, const char *known)
{
    argp_error(state, "%s: '%s' is unknown: choose %s", option, text, known);
}

static enum sy_precision choose_precision(struct argp_state *state, const char *text)
{
    for (int i = SY_PRECISION_F32; i <= SY_PRECISION_F64; ++i)
        if (strcmp(text, sy_precision_name((enum sy_precision)i)) == 0)
            return (enum sy_precision)i;
    unknown(state, "--precision", text, "selective, f32, bf16 or, on ref:0, f64");
    return SY_PRECISION_F32;
}

static enum sy_optimizer choose_optimizer(struct argp_state *state, const char *text)
{
    for (int i = SY_OPTIMIZER_ADAFACTOR; i <= SY_OPTIMIZER_ADAMW; ++i)
        if (strcmp(text, sy_optimizer_name((enum sy_optimizer)i)) == 0)
            return (enum sy_optimizer)i;
    unknown(state, "--optimizer", text, "adafactor or adamw");
    return SY_OPTIMIZER_ADAFACTOR;
}

bool cli_common_parse(struct argp_state *state, int key, const char *arg, struct cli_common *c)
{
    switch (key) {
    case CLI_MODEL: cli_once(state, "--model", arg, &c->model); break;
    case CLI_TOKENIZER: cli_once(state, "--tokenizer", arg, &c->tokenizer); break;
    case CLI_DEVICE: c->device = cli_text(state, "--device", arg); break;
    case CLI_PRECISION:
        c->precision = choose_precision(state, arg);
        c->precision_given = true;
        break;
    case CLI_OPTIMIZER: c->optimizer = choose_optimizer(state, arg); break;
    default: return false;
    }
    return true;
}

// ---- numbers for people ---------------------------------------------------------------------------------------------

void cli_human(double value, char out[16])
{
    static const char *const units[] = {"", " k", " M", " G", " T"};
    size_t u = 0;
    while (fabs(value) >= 1000.0 && u + 1 < SY_COUNT(units)) {
        value /= 1000.0;
        ++u;
    }
    snprintf(out, 16,
             fabs(value) < 10.0 && u > 0    ? "%.2f%s"
             : fabs(value) < 100.0 && u > 0 ? "%.1f%s"
                                            : "%.0f%s",
             value, units[u]);
}

void cli_duration(double seconds, char out[32])
{
    unsigned long s = seconds > 0.0 ? (unsigned long)(seconds + 0.5) : 0;
    if (s >= 3600)
        snprintf(out, 32, "%lu h %02lu min", s / 3600, s / 60 % 60);
    else if (s >= 60)
        snprintf(out, 32, "%lu min %02lu s", s / 60, s % 60);
    else
        snprintf(out, 32, "%lu s", s);
}

double cli_seconds(void) { return cli_clock(CLOCK_MONOTONIC); }

double cli_clock(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
