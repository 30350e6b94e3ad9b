// SPDX-License-Identifier: Apache-2.0
// weights_adapt.c: where a file of weights and its config.json tell different stories.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/graph_private.h"
#include "engine/weights.h"

/// A stored head wins over tying, unless it is a copy of the embedding.
static void adapt_head(struct sy_ctx *ctx, const struct sy_tensors *tensors, struct sy_config *config)
{
    const struct sy_tensor_view *head = sy_tensors_find(tensors, "lm_head.weight");
    const struct sy_tensor_view *shared = sy_tensors_find(tensors, sy_weights_stored_name(tensors, "shared.weight"));
    if (!config->tied || head == NULL || head == shared)
        return;
    if (shared != NULL && shared->bytes == head->bytes && memcmp(shared->data, head->data, head->bytes) == 0)
        return;
    sy_log(ctx, SY_LOG_WARN, "%s has its own lm_head.weight: tie_word_embeddings true is overruled",
           sy_tensors_path(tensors));
    config->tied = false;
}

/// With num_sparse_*_layers 0 Hugging Face still makes one layer sparse, the one that 1 would name: its file then has
/// experts there and no dense weights.
static void adapt_sparse(struct sy_ctx *ctx, const struct sy_tensors *tensors, struct sy_config *config, bool decoder)
{
    uint32_t *sparse = decoder ? &config->sparse_decoder_layers : &config->sparse_encoder_layers;
    const char *stack = decoder ? "decoder" : "encoder";
    uint32_t layers = decoder ? config->decoder_layers : config->layers, block = layers > 1;
    char router[112], dense[112];
    snprintf(router, sizeof router, "%s.block.%u.layer.%d.mlp.router.classifier.weight", stack, block, decoder ? 2 : 1);
    snprintf(dense, sizeof dense, "%s.block.%u.layer.%d.mlp.wo.weight", stack, block, decoder ? 2 : 1);
    if (!config->is_switch || *sparse != 0 || sy_tensors_find(tensors, router) == NULL)
        return;
    bool both = sy_tensors_find(tensors, dense) != NULL;
    sy_log(ctx, SY_LOG_WARN, "%s: num_sparse_%s_layers is 0 but layer %u has a router (a Hugging Face quirk): %s",
           sy_tensors_path(tensors), stack, block,
           both ? "its dense weights are used" : "it is read as the sparse layer it is, and written as 1");
    *sparse = !both;
}

void sy_weights_adapt_config(struct sy_ctx *ctx, const struct sy_tensors *tensors, struct sy_config *config)
{
    adapt_head(ctx, tensors, config);
    adapt_sparse(ctx, tensors, config, false);
    adapt_sparse(ctx, tensors, config, true);
}

// Writers that store a shared tensor once keep any one of its names.
static const char *const copies[] = {"encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight"};

const char *sy_weights_stored_name(const struct sy_tensors *tensors, const char *name)
{
    if (strcmp(name, "shared.weight") != 0 || sy_tensors_find(tensors, name) != NULL)
        return name;
    for (size_t i = 0; i < 2; ++i) // not the head: an untied one is another tensor
        if (sy_tensors_find(tensors, copies[i]) != NULL)
            return copies[i];
    return name;
}

static int by_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/// Tensors that need no place of their own: copies of the embedding, and a bias that old T5 checkpoints carry unused.
static bool superfluous(const char *name)
{
    for (size_t i = 0; i < SY_COUNT(copies); ++i)
        if (strcmp(name, copies[i]) == 0)
            return true;
    return strcmp(name, "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight") == 0;
}

enum sy_status sy_weights_check_unused(const struct sy_graph *g, const struct sy_tensors *tensors)
{
    size_t total = g->foreign_count, unused = 0, n = 0;
    for (size_t i = 0; i < g->param_count; ++i)
        total += g->params[i].parts;
    const char **names = malloc((total + 1) * sizeof *names), *first = NULL;
    if (names == NULL)
        return sy_fail(g->ctx, SY_NOMEM, "out of host memory: list of %zu tensors", total);
    for (size_t i = 0; i < g->param_count; ++i)
        for (uint32_t e = 0; e < g->params[i].parts; ++e)
            names[n++] = g->params[i].names[e];
    for (size_t i = 0; i < g->foreign_count; ++i)
        names[n++] = g->foreign[i].name;
    qsort(names, n, sizeof *names, by_text);
    for (size_t i = 0; i < sy_tensors_count(tensors); ++i) {
        const char *name = sy_tensors_at(tensors, i)->name;
        if (superfluous(name) || bsearch(&name, names, n, sizeof *names, by_text) != NULL)
            continue;
        first = first == NULL ? name : first;
        ++unused;
    }
    free(names);
    if (unused > 0)
        sy_log(
            g->ctx, SY_LOG_WARN,
            "%s: %zu of its tensors are no part of this model and stay unused, the first is %.200s: does config.json "
            "belong to it?",
            sy_tensors_path(tensors), unused, first);
    return SY_OK;
}
