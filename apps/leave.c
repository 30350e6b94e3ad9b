// SPDX-License-Identifier: Apache-2.0
// leave.c: signals that ask a run to save and leave.
#include "apps/leave.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static volatile sig_atomic_t asked; // a signal handler has nowhere else to write

static void on_signal(int number)
{
    static const char again[] = "\nsaving after this step; Ctrl-C once more leaves without\n";
    if (number == SIGINT && write(STDERR_FILENO, again, sizeof again - 1) < 0)
        asked = number; // nobody to tell
    asked = number;
}

void leave_catch_early(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART}; // no write may fail of it
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGUSR2, &action, NULL);
    signal(SIGPIPE, SIG_IGN); // who read the progress has gone; the run has not
}

void leave_catch(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART}, old; // no write may fail of it
    sigaction(SIGTERM, &action, NULL);
    action.sa_flags |= SA_RESETHAND;
    if (sigaction(SIGINT, NULL, &old) == 0 && old.sa_handler != SIG_IGN) // ignored: started in the background
        sigaction(SIGINT, &action, NULL);
}

int leave_asked(void) { return asked; }

int leave_end(enum sy_status status, int why)
{
    if (why == SIGINT && status == SY_OK && fflush(stdout) == 0) {
        signal(SIGINT, SIG_DFL);
        raise(SIGINT);
    }
    return status == SY_OK ? 0 : 1;
}
