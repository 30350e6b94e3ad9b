# SPDX-License-Identifier: Apache-2.0
"""theirs.py: PyTorch and Hugging Face at work, in a process of their own that a line of JSON starts and that then waits.

Requests are an object a line: {"open": NAME, "work": …} makes a piece of work ready and does it once, {"time": NAME} does it
and answers with its seconds. Between requests nothing runs here.
"""
import json
import os
import subprocess
import sys
import time


class Peer:
    """The process, seen from the harness."""

    def __init__(self, env, threads, clock):
        self.child = subprocess.Popen([sys.executable, os.path.abspath(__file__), str(threads), clock], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True, env=env)
        self.about = json.loads(self.child.stdout.readline() or '{}')

    def ask(self, **request):
        self.child.stdin.write(json.dumps(request) + '\n')
        self.child.stdin.flush()
        line = self.child.stdout.readline()
        if not line:
            raise RuntimeError(f'the process with PyTorch ended: exit status {self.child.wait()}')
        answer = json.loads(line)
        if 'error' in answer:
            raise RuntimeError(answer['error'])
        return answer

    def close(self):
        self.child.stdin.close()
        self.child.wait()


def product(torch, dtype, n):
    a, b = torch.randn(n, n, dtype=dtype), torch.randn(n, n, dtype=dtype)
    return lambda: torch.mm(a, b)


def expert_ffn(torch, dtype, experts, rows, d_model, d_ff, batched):
    """Forward and backward of relu(x·W₁)·W₂ for all experts: as batched products, or as a loop over the experts."""
    x = torch.randn(experts, rows, d_model, dtype=dtype, requires_grad=True)
    up = torch.randn(experts, d_model, d_ff, dtype=dtype, requires_grad=True)
    down = torch.randn(experts, d_ff, d_model, dtype=dtype, requires_grad=True)
    given = torch.randn(experts, rows, d_model, dtype=dtype)
    apart = [[t.detach().requires_grad_() for t in (x[e], up[e], down[e])] for e in range(experts)]

    def step():
        if batched:
            torch.autograd.grad(torch.bmm(torch.relu(torch.bmm(x, up)), down), (x, up, down), given)
        else:
            for e, (rows_of, first, second) in enumerate(apart):
                torch.autograd.grad(torch.relu(rows_of @ first) @ second, (rows_of, first, second), given[e])
    return step


def model_of(torch, dtype, config):
    import transformers
    with open(config, encoding='utf-8') as file:
        kind = 'SwitchTransformers' if json.load(file)['model_type'] == 'switch_transformers' else 'T5'
    torch.manual_seed(0)
    settings = getattr(transformers, kind + 'Config').from_json_file(config)
    return getattr(transformers, kind + 'ForConditionalGeneration')(settings).to(dtype)


def training(torch, dtype, config, batch, source, target):
    from transformers.optimization import Adafactor
    model = model_of(torch, dtype, config).train()
    optimizer = Adafactor(model.parameters(), lr=1e-3, relative_step=False, scale_parameter=True, warmup_init=False)
    ids = torch.randint(3, model.config.vocab_size, (batch, source))
    labels = torch.randint(3, model.config.vocab_size, (batch, target))
    mask = torch.ones_like(ids)

    def step():
        optimizer.zero_grad(set_to_none=True)
        model(input_ids=ids, attention_mask=mask, labels=labels).loss.backward()
        optimizer.step()
    return step


def decoding(torch, dtype, config, batch, source, tokens, beams):
    model = model_of(torch, dtype, config).eval()
    ids = torch.randint(3, 259, (batch, source))
    mask = torch.ones_like(ids)

    def generate():
        with torch.inference_mode():
            got = model.generate(input_ids=ids, attention_mask=mask, max_new_tokens=tokens, min_new_tokens=tokens,
                                 do_sample=False, num_beams=beams)
        if got.shape != (batch, tokens + 1):
            raise RuntimeError(f'generate() gave {tuple(got.shape)}, not {tokens} tokens for each of {batch}')
    return generate


WORK = {'product': product, 'expert_ffn': expert_ffn, 'training': training, 'decoding': decoding}


def serve():
    import torch
    torch.set_num_threads(int(sys.argv[1]))
    now = {'wall': time.perf_counter, 'cpu': time.process_time}[sys.argv[2]]
    import transformers
    transformers.logging.set_verbosity_error()
    ready = {}
    print(json.dumps({'torch': torch.__version__, 'transformers': transformers.__version__, 'threads': torch.get_num_threads(),
                      'capability': torch.backends.cpu.get_cpu_capability()}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if 'open' in request:
                dtype = {'f32': torch.float32, 'bf16': torch.bfloat16}[request['dtype']]
                ready[request['open']] = work = WORK[request['work']](torch, dtype, **request['sizes'])
                work()
                answer = {}
            elif 'close' in request:
                ready.clear()
                answer = {}
            else:
                work, begin = ready[request['time']], now()
                for _ in range(request['times']):
                    work()
                answer = {'seconds': (now() - begin) / request['times']}
        except (RuntimeError, ValueError, TypeError, KeyError, OSError) as error:
            answer = {'error': f'{type(error).__name__}: {error}'.split('\n', maxsplit=1)[0]}
        print(json.dumps(answer), flush=True)


if __name__ == '__main__':
    serve()
