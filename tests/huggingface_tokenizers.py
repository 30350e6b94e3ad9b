#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""huggingface_tokenizers.py APPS_DIR SOURCE_DIR: Hugging Face loads the tokenizer of our checkpoints as the vocabulary it is.

Run by hand where transformers (4 or 5) and sentencepiece are installed; no test of the suite needs them. For each checkpoint:
eos, padding and the ids of masks and added tokens, against its own config.json.
"""
import json
import os
import shutil
import sys

from transformers import AutoTokenizer, __version__

from apps import SMALL, Suite, config, text
from models import default_ids


def compare(s, out, name, masks, ids):
    folder = s.path(out, 'latest')
    with open(os.path.join(folder, 'config.json'), encoding='utf-8') as file:
        told = json.load(file)
    t = AutoTokenizer.from_pretrained(folder)
    got = t.convert_tokens_to_ids(list(masks))
    s.ok((t.eos_token_id, t.pad_token_id) == (told['eos_token_id'], told['pad_token_id']),
         f'{name}: eos {t.eos_token_id} and padding {t.pad_token_id} of transformers {__version__}', told)
    s.ok(got == ids, f'{name}: {masks} are {got}', ids)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    s = Suite(sys.argv[1])
    text(s.path('a.txt'))
    pieces = os.path.join(sys.argv[2], 'tests', 'data', 'tokenizer', 'seqio_test.model')
    os.mkdir(s.path('added'))
    shutil.copy(pieces, s.path('added', 'spiece.model'))
    with open(s.path('added', 'added_tokens.json'), 'w', encoding='utf-8') as file:
        json.dump({'<sep>': 126}, file)
    two = ('<extra_id_0>', '<extra_id_1>')
    for name, vocab, more, masks, ids in (
            ('bytes', 384, ['--tokenizer', 'bytes'], two, [383, 382]),
            ('bytes in 512 ids', 512, ['--tokenizer', 'bytes'], two, [511, 510]),
            ('bytes in 300 ids', 300, ['--tokenizer', 'bytes'], two, [299, 298]),
            ('pieces', 128, ['--tokenizer', pieces], two, [125, 124]),
            ('pieces, eos 2 and no padding', 128, ['--tokenizer', default_ids(pieces, s.path('default.model'))], two,
             [125, 124]),
            ('pieces and an added token', 128, ['--tokenizer', s.path('added')], (*two, '<sep>'), [125, 124, 126])):
        config(s.path('c.json'), False, vocab_size=vocab)
        done = s.run('train', '--model', s.path('c.json'), '--data', s.path('a.txt'), '--out', s.path(name), '--steps', 1,
                     *SMALL, *more)
        if s.ok(done.returncode == 0, f'{name}: trains', done.stderr):
            compare(s, name, name, masks, ids)
    s.done()


if __name__ == '__main__':
    main()
