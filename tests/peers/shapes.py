# SPDX-License-Identifier: Apache-2.0
"""shapes.py: the models that are measured, as the config.json that both sides read."""
import json
import math
import os

SMALL = {'vocab_size': 8192, 'd_model': 256, 'd_kv': 64, 'd_ff': 1024, 'num_layers': 4, 'num_decoder_layers': 4, 'num_heads': 4}
T5_SMALL = {'vocab_size': 32128, 'd_model': 512, 'd_kv': 64, 'd_ff': 2048, 'num_layers': 6, 'num_decoder_layers': 6, 'num_heads': 8}
COMMON = {'relative_attention_num_buckets': 32, 'relative_attention_max_distance': 128, 'dropout_rate': 0.0, 'layer_norm_epsilon': 1e-6,
          'initializer_factor': 1.0, 'feed_forward_proj': 'relu', 'dense_act_fn': 'relu', 'is_encoder_decoder': True,
          'tie_word_embeddings': True, 'pad_token_id': 0, 'eos_token_id': 1, 'decoder_start_token_id': 0, 'use_cache': True}


def t5(widths):
    return {'model_type': 't5', **COMMON, **widths}


def switch(widths, experts, source, factor):
    """Every second layer is sparse. Theirs counts an expert's capacity for each sequence, ours for a step's tokens."""
    return {'model_type': 'switch_transformers', **COMMON, **widths, 'num_experts': experts,
            'expert_capacity': math.ceil(factor * source / experts), 'router_bias': False, 'router_jitter_noise': 0.0,
            'router_dtype': 'float32', 'router_z_loss_coef': 0.0, 'router_aux_loss_coef': 0.01,
            'num_sparse_encoder_layers': widths['num_layers'] // 2, 'num_sparse_decoder_layers': widths['num_decoder_layers'] // 2,
            'switchyard': {'router': 'switch', 'group_tokens': 4096, 'capacity_factor_train': factor, 'capacity_factor_eval': 2.0,
                           'min_expert_capacity': 1, 'expert_dropout_rate': 0.0, 'init_scale': 1.0}}


def write(folder, name, config):
    path = os.path.join(folder, name + '.json')
    with open(path, 'w', encoding='utf-8') as file:
        json.dump(config, file, indent=2)
    return path
