#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""generate.py APPS_DIR SOURCE_DIR: switchyard-generate as a person uses it: where prompts come from, how tokens are chosen,
what a model's own generation_config.json changes, and what appears on a terminal when.

That the ids are transformers' is tests/decodings.c's business.
"""
import json
import os
import pty
import select
import subprocess
import sys
import time

from apps import Suite, config, refuse, text, train

PROMPTS = ['The <extra_id_0> stops.', 'a', '', 'Zug', 'A red signal over the yard']


def make_model(s):
    config(s.path('switch.json'), tie_word_embeddings=False)  # tied, a drawn model only repeats itself
    text(s.path('a.txt'))
    done = s.run('train', *train(s, 'one', '--steps', 1))
    s.ok(done.returncode == 0, 'a model', done.stderr)


def generate(s, *more, **kwargs):
    return s.run('generate', '--model', s.path('one', 'latest'), '--device', 'ref:0', '--precision', 'f32', *more, **kwargs)


def objects(done):
    return [json.loads(line) for line in done.stdout.splitlines()] if done.returncode == 0 else done.stderr


def write(s, name, data):
    with open(s.path(name), 'wb') as file:
        file.write(data if isinstance(data, bytes) else data.encode())
    return s.path(name)


def says(s, name, **keys):
    """A generation_config.json in the model's directory; None removes it."""
    path = s.path('one', 'latest', 'generation_config.json')
    with open(path, 'w', encoding='utf-8') as file:
        json.dump({'decoder_start_token_id': 0, 'eos_token_id': 1, 'pad_token_id': 0, **keys}, file)
    return name


def check_sources(s):
    lines = write(s, 'p.txt', '\n'.join(PROMPTS) + '\n')
    jsonl = write(s, 'p.jsonl', '\ufeff' + ''.join(json.dumps({'prompt': p, 'n': i}) + '\n\n' for i, p in enumerate(PROMPTS)))
    other = write(s, 'q.json', ''.join(json.dumps({'question': p}) + '\r\n' for p in PROMPTS))
    common = ('--max-tokens', 6, '--temperature', 2, '--seed', 3, '--json')
    want = objects(generate(s, *common, '--file', lines))
    s.ok([x['prompt'] for x in want] == PROMPTS and len({x['output'] for x in want}) > 3, 'prompts from lines', want)
    s.ok(objects(generate(s, *common, '--file', jsonl)) == want, 'prompts from lines of JSON, by name')
    s.ok(objects(generate(s, *common, '--file', other, '--field', 'question')) == want, 'prompts from lines of JSON, by --field')
    ids = [[b + 3 for b in p.encode()] + [1] for p in PROMPTS[1:]]
    given = write(s, 'ids.jsonl', ''.join(json.dumps({'prompt': p}) + '\n' for p in [PROMPTS[0], *ids]))
    got = objects(generate(s, *common, '--file', given))
    s.ok([x['ids'] for x in got] == [x['ids'] for x in want] and got[1]['prompt'] == ids[0] and
         all(len(x['ids']) == x['tokens'] for x in got),
         'prompts as ids', got)
    with open(lines, encoding='utf-8') as file:
        talk = generate(s, *common, '--interactive', stdin=file)
    s.ok(objects(talk) == want, '--interactive says the same, line by line', talk.stderr)
    with open(jsonl, encoding='utf-8') as file:
        talk = generate(s, *common, '--interactive', '--field', 'prompt', stdin=file)
    s.ok(objects(talk) == want, '… from lines of JSON', talk.stderr)
    long = 'over the long red yard ' * 8  # beyond the first session's room
    mixed = write(s, 'mixed.txt', '\n'.join(['a', long, 'a']) + '\n')
    with open(mixed, encoding='utf-8') as file:
        talk = generate(s, '--max-tokens', 6, '--json', '--interactive', stdin=file)
    s.ok(objects(talk) == objects(generate(s, '--max-tokens', 6, '--json', '--file', mixed)),
         '… a longer line among short ones', talk.stderr)


def check_refused(s):
    cases = (('an id outside the vocabulary', '{"prompt": [5, 384, 1]}', ['prompt 1', '384']),
             ('an id below 0', '{"prompt": [5, -1]}', ['line 1', 'entry 2']),
             ('an id beyond 32 bits', '{"prompt": [4294967296]}', ['entry 1']),
             ('an id in quotes', '{"prompt": ["5"]}', ['entry 1']), ('no ids', '{"prompt": []}', ['prompt 1', 'no ids']),
             ('no such key', '{"prompt": "a"}\n{"text": "a"}', ['line 2', '"prompt"', '--field']),
             ('a number', '{"prompt": 5}', ['line 1', '"prompt"']), ('no JSON', '{"prompt": "a"', ['line 1', 'not JSON']),
             ('a key twice', '{"prompt": "a", "prompt": "b"}', ['line 1']), ('a list', '["a"]', ['line 1', '"prompt"']),
             ('nothing', '', ['empty']), ('half a pair', '{"prompt": "\\ud800"}', ['line 1']))
    for name, content, words in cases:
        path = write(s, 'bad.jsonl', content)
        refuse(s, f'prompts with {name}', words, 'generate', '--model', s.path('one', 'latest'), '--device', 'ref:0',
               '--file', path)
    model = ('generate', '--model', s.path('one', 'latest'), '--text', 'a')
    for name, words, more in (('--beams and --temperature', ['--beams', '--temperature'], ('--beams', 2, '--temperature', 1)),
                              ('--field and --text', ['--field'], ('--field', 'x')),
                              ('--interactive and --text', ['--interactive'], ('--interactive',)),
                              ('--top-p without --temperature', ['--top-p'], ('--top-p', 0.5)),
                              ('--min-tokens above --max-tokens', ['--min-tokens'], ('--min-tokens', 5, '--max-tokens', 4)),
                              ('an unknown end', ['no, yes, never'], ('--early-stopping', 'soon'))):
        refuse(s, name, words, *model, *more, usage=True)
    refuse(s, '--length-penalty without beams', ['--length-penalty', '--beams'], *model, '--length-penalty', 2,
           '--device', 'ref:0')
    done = generate(s, '--max-tokens', 3, '--json', '--interactive', '--field', 'p', input='{"p": [999]}\n{"p": "a"}\n')
    s.ok(done.returncode == 1 and len(done.stdout.splitlines()) == 1 and '999' in done.stderr,
         '--interactive goes on behind a bad line',
         done.stdout + done.stderr)


def check_choosing(s):
    texts = [a for p in PROMPTS if p for a in ('--text', p)]

    def ids(*more):
        done = generate(s, '--json', '--max-tokens', 8, *more, *texts)
        if done.returncode != 0:
            s.ok(False, f'generate {more}', done.stderr)
        return [x['ids'] for x in objects(done)] if done.returncode == 0 else None
    greedy = ids()
    s.ok(greedy == ids('--beams', 1) == ids('--temperature', 1, '--top-p', 1e-9) == ids('--temperature', 1, '--top-k', 1),
         'greedy, four ways')
    beams = ids('--beams', 4)
    s.ok(beams == ids('--beams', 4, '--batch', 1) == ids('--beams', 4, '--batch', 3), 'beams, whatever --batch', beams)
    once = ids('--no-repeat-ngram', 1, '--min-tokens', 8)
    s.ok(all(len(x) == 8 == len({0, *x}) - 1 for x in once), 'no token twice, and eight of them', once)
    s.ok(ids('--repetition-penalty', 0.02) != greedy, 'a reward for repeating')
    # What the file says is what the options would.
    def same(name, keys, *options, more=()):
        options = ids(*options)  # before the file is there
        says(s, name, **keys)
        done = generate(s, '--json', '--max-tokens', 8, *more, *texts)
        got = [x['ids'] for x in objects(done)] if done.returncode == 0 else done.stderr
        said = [line for line in done.stderr.splitlines() if 'generation_config.json: ' in line]
        says(s, 'nothing')
        s.ok(got == options, f'generation_config.json: {name}', got)
        return said
    said = same('beams', {'num_beams': 3, 'length_penalty': 2.0, 'early_stopping': True, 'no_repeat_ngram_size': 2}, '--beams', 3,
                '--length-penalty', 2, '--early-stopping', 'yes', '--no-repeat-ngram', 2)
    s.ok(len(said) == 1 and 'num_beams 3, length_penalty 2, early_stopping true, no_repeat_ngram_size 2' in said[0],
         'it is told', said)
    same('samples', {'do_sample': True, 'temperature': 2.0, 'top_p': 0.9, 'top_k': 0}, '--temperature', 2, '--top-p', 0.9)
    same("samples among transformers' 50", {'do_sample': True}, '--temperature', 1, '--top-k', 50)
    same('no samples', {'do_sample': False, 'temperature': 2.0, 'top_k': 5})
    same('an option beats it', {'num_beams': 3, 'repetition_penalty': 9.0}, '--temperature', 1,
         more=('--temperature', 1, '--repetition-penalty', 1))
    says(s, 'length', max_length=5, min_length=4)
    got = objects(generate(s, '--json', '--text', 'a'))
    s.ok(isinstance(got, list) and 3 <= got[0]['tokens'] <= 4, 'generation_config.json: max_length counts the start token', got)
    says(s, 'others', bad_words_ids=[[5]], typical_p=1.0, eos_token_id=[1, 7])
    done = generate(s, '--json', '--text', 'a', '--max-tokens', 2)
    s.ok(done.returncode == 0 and 'ignored: bad_words_ids' in done.stderr and 'typical_p' not in done.stderr and
         'eos_token_id' in done.stderr,
         'what it asks for in vain is told', done.stderr)
    model = ('generate', '--model', s.path('one', 'latest'), '--text', 'a', '--device', 'ref:0')
    for name, keys, words in (('a text', {'num_beams': '4'}, ['num_beams']), ('a fraction', {'num_beams': 2.5}, ['num_beams']),
                              ('sampling beams', {'num_beams': 4, 'do_sample': True}, ['--beams 1', '--temperature 0']),
                              ('an odd end', {'num_beams': 4, 'early_stopping': 'soon'}, ['early_stopping']),
                              ('a start beyond', {'decoder_start_token_id': 384}, ['decoder_start_token_id'])):
        says(s, name, **keys)
        refuse(s, f'generation_config.json with {name}', ['generation_config.json', *words], *model)
    says(s, 'nothing')


def check_terminal(s):
    """On a terminal the output comes token by token, and is in the end what it is in a pipe."""
    want = generate(s, '--text', 'The <extra_id_0> stops.', '--max-tokens', 200, '--min-tokens', 200).stdout
    outer, inner = pty.openpty()
    with subprocess.Popen([os.path.join(s.apps, 'switchyard-generate'), '--model', s.path('one', 'latest'), '--device', 'ref:0',
                           '--precision', 'f32', '--max-tokens', '200', '--min-tokens', '200', '--text', 'The <extra_id_0> stops.'],
                          stdout=inner,
                          stderr=subprocess.DEVNULL, env=s.env) as child:
        os.close(inner)
        pieces, end = [], time.monotonic() + 60
        while time.monotonic() < end:
            try:
                if select.select([outer], [], [], 1)[0]:
                    pieces.append(os.read(outer, 65536))
            except OSError:  # the other side is closed
                break
        child.wait()
    os.close(outer)
    shown = b''.join(pieces).decode(errors='replace').replace('\r\n', '\n')
    filled, output = want.split('\n', 1)
    s.ok(shown == output + filled + '\n', 'a terminal shows the output, then the filled sentence',
         repr(shown) + '\n' + repr(want))
    s.ok(len(pieces) > 5, f'… in {len(pieces)} pieces')


def main():
    s = Suite(sys.argv[1])
    make_model(s)
    check_sources(s)
    check_refused(s)
    check_choosing(s)
    check_terminal(s)
    s.done()


if __name__ == '__main__':
    main()
