// SPDX-License-Identifier: Apache-2.0
#include "hostlib/group.h"

#include <stdlib.h>

uint32_t sy_group_launched(void)
{
    // Open MPI's mpirun; the process managers of MPICH and Slurm's srun --mpi=pmi2.
    static const char *const variables[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"};
    for (size_t i = 0; i < SY_COUNT(variables); ++i) {
        const char *text = getenv(variables[i]);
        unsigned long size = text != NULL ? strtoul(text, NULL, 10) : 0;
        if (size >= 1 && size <= UINT32_MAX)
            return (uint32_t)size;
    }
    return 1;
}
