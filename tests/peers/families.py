# SPDX-License-Identifier: Apache-2.0
"""families.py: the model directories that models.py tries: kinds found on the hub, small, and drawn ones."""
from dataclasses import dataclass, field

BASE = {'vocab_size': 391, 'd_model': 24, 'd_kv': 8, 'd_ff': 40, 'num_layers': 4, 'num_decoder_layers': 4, 'num_heads': 3,
        'decoder_start_token_id': 0, 'dropout_rate': 0.0}
SPARSE = {**BASE, 'num_experts': 4, 'expert_capacity': 64, 'num_sparse_encoder_layers': 2, 'num_sparse_decoder_layers': 2,
          'router_jitter_noise': 0.0, 'router_z_loss_coef': 0.0, 'router_aux_loss_coef': 0.0}
GATED = {**BASE, 'feed_forward_proj': 'gated-gelu', 'tie_word_embeddings': False}
# As transformers wrote them before 5: neither scale_decoder_outputs nor dtype, and the tie that the file has.
OLD = {'scale_decoder_outputs': None, 'dtype': None, 'torch_dtype': 'float32', 'tie_word_embeddings': False}


@dataclass
class Row:
    name: str
    kind: str
    config: dict
    edit: dict = field(default_factory=dict)  # of config.json, once it is written; None: the key goes
    dtype: str = 'f32'
    form: str = 'safetensors'
    shards: int = 1


def changed(base, **changes):
    return {**base, **changes}


T5, MT5, UMT5, SWITCH = 'T5', 'MT5', 'UMT5', 'SwitchTransformers'
ROWS = (
    Row('T5 1.0', T5, BASE),
    Row('T5 1.0, 2020: no feed_forward_proj', T5, BASE, {'feed_forward_proj': None, 'is_gated_act': None, 'dense_act_fn': None,
                                                         'scale_decoder_outputs': None, 'num_decoder_layers': None,
                                                         'relative_attention_max_distance': None, 'dtype': None,
                                                         'n_positions': 512, 'output_past': True,
                                                         'task_specific_params': {'summarization': {'num_beams': 4}}}),
    Row('T5 1.0, f16', T5, BASE, dtype='f16'),
    Row('T5 1.0, bf16, .bin', T5, BASE, dtype='bf16', form='bin'),
    Row('T5 1.0, f16, .bin in 3 shards', T5, BASE, dtype='f16', form='bin', shards=3),
    Row('T5 1.0, gelu', T5, changed(BASE, feed_forward_proj='gelu')),
    Row('T5 1.0, gated-relu', T5, changed(BASE, feed_forward_proj='gated-relu')),
    Row('T5 1.1: gated, untied', T5, GATED),
    Row('T5 1.1, as the hub has it', T5, GATED, OLD),
    Row('T5 1.1, as the hub has it, .bin', T5, GATED, OLD, form='bin'),
    Row('T5 1.1, gated and tied', T5, changed(GATED, tie_word_embeddings=True)),
    Row('LM-adapted T5 1.1, shards', T5, changed(GATED, d_kv=5, num_heads=7), OLD, shards=3),
    Row('FLAN-T5, bf16', T5, changed(GATED, num_layers=2, num_decoder_layers=3), {**OLD, 'torch_dtype': 'bfloat16', 'n_positions': 512},
        dtype='bf16'),
    Row('UL2: gated-silu', T5, changed(GATED, feed_forward_proj='gated-silu', num_heads=5, d_kv=4), OLD),
    Row('FLAN-UL2: gated-silu, bf16, shards', T5, changed(GATED, feed_forward_proj='gated-silu', tie_word_embeddings=False),
        {**OLD, 'torch_dtype': 'bfloat16'}, dtype='bf16', shards=4),
    Row('ByT5', T5, changed(GATED, vocab_size=384, num_layers=6, num_decoder_layers=2), {**OLD, 'tokenizer_class': 'ByT5Tokenizer'}),
    Row('mT5', MT5, GATED),
    Row('mT5, as the hub has it, .bin in 2 shards', MT5, GATED, OLD, form='bin', shards=2),
    Row('UMT5', UMT5, GATED),
    Row('UMT5, as the hub has it', UMT5, GATED, {**OLD, 'scalable_attention': True}),
    Row('UMT5, tied, f16', UMT5, changed(GATED, tie_word_embeddings=True), dtype='f16'),
    Row('Switch', SWITCH, SPARSE),
    Row('Switch-Base-8: 12 layers, 6 sparse', SWITCH, changed(SPARSE, num_layers=12, num_decoder_layers=12, num_sparse_encoder_layers=6,
                                                              num_sparse_decoder_layers=6, num_experts=8)),
    Row('Switch, tokens dropped', SWITCH, changed(SPARSE, expert_capacity=2)),
    Row('Switch, bf16', SWITCH, SPARSE, dtype='bf16'),
    Row('Switch, f16, shards', SWITCH, SPARSE, dtype='f16', shards=5),
    Row('Switch, .bin', SWITCH, SPARSE, form='bin'),
    Row('Switch, bf16, .bin in 4 shards', SWITCH, SPARSE, dtype='bf16', form='bin', shards=4),
    Row('Switch, untied', SWITCH, changed(SPARSE, tie_word_embeddings=False)),
    Row('Switch, no sparse layer in the decoder', SWITCH, changed(SPARSE, num_sparse_decoder_layers=0)),
    Row('Switch, no sparse layer', SWITCH, changed(SPARSE, num_sparse_decoder_layers=0, num_sparse_encoder_layers=0)),
    Row('Switch, every layer sparse', SWITCH, changed(SPARSE, num_sparse_encoder_layers=4, num_sparse_decoder_layers=4)),
    Row('Switch, 3 of 4 sparse (which makes 4)', SWITCH, changed(SPARSE, num_sparse_encoder_layers=3, num_sparse_decoder_layers=3)),
    Row('Switch, one layer each', SWITCH, changed(SPARSE, num_layers=1, num_decoder_layers=1, num_sparse_encoder_layers=1,
                                                  num_sparse_decoder_layers=1)),
    Row('Switch, 5 encoder and 3 decoder layers', SWITCH, changed(SPARSE, num_layers=5, num_decoder_layers=3)),
    Row('Switch, one expert', SWITCH, changed(SPARSE, num_experts=1)),
    Row('Switch, the hub\'s older keys', SWITCH, SPARSE, {'feed_forward_proj': 'relu', 'router_type': 'tokens_masked', 'd_kv': 8,
                                                         'is_gated_act': False, 'dtype': None, 'torch_dtype': 'float32',
                                                         'num_selected_experts': 1, 'batch_prioritized_routing': False,
                                                         'encoder_sparse_step': 2, 'decoder_sparse_step': 2}),
    Row('Switch, add_router_probs', SWITCH, changed(SPARSE, add_router_probs=True)),
    Row('odd sides: V 389, d 9, 5 heads of 3', T5, changed(BASE, vocab_size=389, d_model=9, num_heads=5, d_kv=3, d_ff=11)),
    Row('one layer, one head of one', T5, changed(BASE, num_layers=1, num_decoder_layers=1, num_heads=1, d_kv=1)),
    Row('16 buckets, distance 64', T5, changed(BASE, relative_attention_num_buckets=16, relative_attention_max_distance=64)),
    Row('6 buckets, distance 10, eps 1e-3', UMT5, changed(GATED, relative_attention_num_buckets=6, relative_attention_max_distance=10,
                                                         layer_norm_epsilon=1e-3)),
    Row('start token 3, pad 2', T5, changed(BASE, decoder_start_token_id=3, pad_token_id=2)),
)


def drawn(rng):
    """The parts of a Row behind its name."""
    kind = rng.choice((T5, T5, MT5, UMT5, SWITCH, SWITCH, SWITCH))
    layers, decoder = rng.randint(1, 5), rng.randint(1, 5)
    buckets = rng.choice((4, 6, 8, 12, 16, 31, 32, 64))
    config = {**(SPARSE if kind == SWITCH else BASE), 'vocab_size': rng.randint(384, 500), 'd_model': rng.randint(3, 40),
              'd_kv': rng.randint(1, 12), 'd_ff': rng.randint(1, 60), 'num_heads': rng.randint(1, 7), 'num_layers': layers,
              'num_decoder_layers': decoder, 'relative_attention_num_buckets': buckets,
              'relative_attention_max_distance': max(buckets, rng.choice((buckets, 20, 64, 128, 1000))),
              'layer_norm_epsilon': rng.choice((1e-6, 1e-5)), 'tie_word_embeddings': rng.random() < 0.6,
              'initializer_factor': rng.choice((1.0, 0.7))}
    if kind == SWITCH:
        config |= {'num_experts': rng.randint(1, 9), 'expert_capacity': rng.choice((1, 2, 3, 5, 64)),
                   'num_sparse_encoder_layers': rng.randint(0, layers), 'num_sparse_decoder_layers': rng.randint(0, decoder),
                   'router_jitter_noise': rng.choice((0.0, 0.01)), 'router_z_loss_coef': 0.0, 'router_aux_loss_coef': 0.0,
                   'add_router_probs': rng.random() < 0.3,
                   'dense_act_fn': rng.choice(('relu', 'relu', 'gelu', 'gelu_new', 'silu', 'quick_gelu'))}
    else:
        function = rng.choice(('relu', 'gelu', 'gelu_new', 'silu', 'swish', 'gelu_fast'))
        config['feed_forward_proj'] = rng.choice(('', 'gated-')) + function
    dispensable = ('use_cache', 'dtype', 'initializer_factor', 'architectures', 'transformers_version')
    edit = {key: None for key in dispensable if rng.random() < 0.3}
    if kind == T5 and rng.random() < 0.3:
        edit |= {'is_gated_act': None, 'dense_act_fn': None}
    form = rng.choice(('safetensors', 'safetensors', 'bin'))
    return kind, config, edit, rng.choice(('f32', 'f32', 'f16', 'bf16')), form, rng.choice((1, 1, 3))
