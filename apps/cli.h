// SPDX-License-Identifier: Apache-2.0
// cli.h: what the command-line programs share: option values, opening a device, printing numbers.
//
// Options are parsed by the C library's argp; every program's --help is its manual page.
#pragma once

#include <argp.h>

#include <time.h>

#include "engine/bundle.h"
#include "engine/session.h"

#define SY_VERSION_TEXT "switchyard " SY_VERSION

/// First call of every program: what is written to standard output is checked when the program ends (--help too), and a
/// closed standard stream is replaced by one that refuses, so that no file of ours is opened in its place.
void cli_start(void);

/// A growing list of borrowed strings (files given on the command line).
struct cli_list {
    const char **items;
    size_t count;
};
void cli_list_add(struct cli_list *list, const char *item);

/// Parses a whole number with an optional suffix k, M, G (×1024 for bytes when `binary`). Ends the program with a usage
/// message through `state` on nonsense.
uint64_t cli_count(struct argp_state *state, const char *option, const char *text, uint64_t least, uint64_t most,
                   bool binary);
/// A path or name: an empty one ("$VARIABLE" that is unset) would silently mean the root or the current directory.
const char *cli_text(struct argp_state *state, const char *option, const char *text);
/// The same for what is used once: given twice, the first would be ignored in silence.
void cli_once(struct argp_state *state, const char *option, const char *text, const char **slot);
double cli_real(struct argp_state *state, const char *option, const char *text, double least, double most);

/// The options that several programs have, in one wording and with one check; a program's table takes the rows it
/// needs.
struct cli_common {
    const char *model, *tokenizer, *device;
    enum sy_precision precision;
    enum sy_optimizer optimizer;
    bool precision_given;
};
#define CLI_COMMON ((struct cli_common){.device = "auto", .precision = SY_PRECISION_SELECTIVE}) ///< Nothing given.

enum { CLI_MODEL = 0x4300, CLI_TOKENIZER, CLI_DEVICE, CLI_PRECISION, CLI_OPTIMIZER };

/// Rows of an argp table, in its group `group`; `before` and `more` are what the program adds to the text.
#define CLI_MODEL_OPTION(before, more, group)                                      \
    {                                                                              \
        "model", CLI_MODEL, "PATH", 0, before "Hugging Face directory" more, group \
    }
#define CLI_TOKENIZER_OPTION(group)                                                                        \
    {                                                                                                      \
        "tokenizer", CLI_TOKENIZER, "FILE", 0,                                                             \
            "SentencePiece model, its directory, or 'bytes' (default: the model's own, else bytes)", group \
    }
#define CLI_DEVICE_OPTION(group)                                                                                       \
    {                                                                                                                  \
        "device", CLI_DEVICE, "ID", 0, "auto (default), opencl:0, vulkan:0, ref:0, … (switchyard-devices lists them)", \
            group                                                                                                      \
    }
#define CLI_PRECISION_OPTION(more, group)                                                                          \
    {                                                                                                              \
        "precision", CLI_PRECISION, "NAME", 0,                                                                     \
            "selective (default: bf16 storage, f32 sums and router" more "), f32, bf16; f64 on ref:0, to compare", \
            group                                                                                                  \
    }
#define CLI_OPTIMIZER_OPTION(group)                                                               \
    {                                                                                             \
        "optimizer", CLI_OPTIMIZER, "NAME", 0, "adafactor (default, the paper's) or adamw", group \
    }
/// Whether `key` is one of these options; it is then in `c`. Nonsense ends the program with a usage message.
bool cli_common_parse(struct argp_state *state, int key, const char *arg, struct cli_common *c);

/// Before the first look at a device: gives PoCL, whose devices are otherwise missing, a private folder for its kernels
/// where neither HOME nor XDG_CACHE_HOME can be written (POCL_CACHE_DIR).
void cli_drivers_prepare(struct sy_ctx *ctx);
/// Opens a device and says which: id, name, driver, memory. `results`: standard output is for results, so it is said on
/// standard error.
enum sy_status cli_device_open(struct sy_ctx *ctx, const char *id, bool results, struct sy_device **out);
/// Refuses a session (and the validation that borrows from it) that the device's memory cannot hold, naming what fits.
/// `option` sets the sequences of `params`, a divisor of `all` (0: any number). Errors: NOMEM.
enum sy_status cli_check_fits(struct sy_ctx *ctx, const struct sy_caps *caps, const struct sy_session_params *params,
                              bool validates, uint32_t all, const char *option);

/// "1.23 M", "456 k": at most 8 characters.
void cli_human(double value, char out[16]);
/// "1 h 02 min", "3 min 20 s", "12 s".
void cli_duration(double seconds, char out[32]);
double cli_seconds(void); ///< Monotonic clock.
double cli_clock(clockid_t clock);
