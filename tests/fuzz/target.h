// SPDX-License-Identifier: Apache-2.0
// target.h: a fuzz target: one input, no crash, no leak. Built with libFuzzer (-Dfuzz=true, clang) or with
// standalone.c.
#pragma once

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
