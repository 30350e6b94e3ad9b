// SPDX-License-Identifier: Apache-2.0
// leave.h: signals that ask a run to save and leave.
#pragma once

#include "hostlib/status.h"

/// Before the first step there is nothing to save: only SIGUSR1 and SIGUSR2, which would end the program as a crash
/// does, wait. (mpirun passes SIGUSR2 on.)
void leave_catch_early(void);
/// From the first step on: SIGTERM and SIGINT too; a second SIGINT ends the program at once.
void leave_catch(void);
int leave_asked(void); ///< The signal that asked, or 0.
/// The program's exit status. After Ctrl-C it really dies of the signal: a shell only stops its own loop then.
int leave_end(enum sy_status status, int why);
