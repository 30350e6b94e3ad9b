#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""scores.py vectors OUT.json [FILE…]: cases with the scores that the field's own scorers give them, for tests/scores.c. Texts
    are lines of the FILEs, changed at random; without one, those of tests/data/tokenizer/inputs.txt.
scores.py check PREDICTIONS.jsonl METRIC,… [POSITIVE]: scores what switchyard-eval --predictions wrote.

Needs scikit-learn, scipy, rouge-score, sacrebleu and transformers 4 (whose SQuAD functions stand for evaluate's):
python3 -m venv scorers && scorers/bin/pip install scikit-learn rouge-score sacrebleu 'transformers<5'
"""
import json
import pathlib
import random
import sys

import numpy
import sacrebleu
import scipy.stats
import sklearn.metrics
from rouge_score import rouge_scorer
from transformers.data.metrics import squad_metrics

ROUGES = ['rouge1', 'rouge2', 'rougeL', 'rougeLsum']


def gold_of(answer):
    return answer['said'] if answer['said'] in answer['golds'] else answer['golds'][0]


def number(text):
    try:
        return float(text)
    except ValueError:
        return -1.0


def squad_f1(gold, said):
    """SQuAD v1.1's: what has no word left shares none (v2 takes two such texts for equal)."""
    return squad_metrics.compute_f1(gold, said) if squad_metrics.get_tokens(gold) else 0.0


def references(answers):
    most = max(len(a['golds']) for a in answers)
    return [[a['golds'][i] if i < len(a['golds']) else None for a in answers] for i in range(most)]


def score(metric, answers, classes=None, positive=None):
    said, gold = [a['said'] for a in answers], [gold_of(a) for a in answers]
    if metric == 'accuracy':
        return {metric: sklearn.metrics.accuracy_score(gold, said)}
    if metric == 'f1':
        positive = positive or (classes[-1] if classes else '1')
        return {metric: sklearn.metrics.f1_score(gold, said, labels=[positive], average=None, zero_division=0)[0]}
    if metric == 'macro_f1':
        return {metric: sklearn.metrics.f1_score(gold, said, labels=classes, average='macro', zero_division=0)}
    if metric == 'matthews':
        return {metric: sklearn.metrics.matthews_corrcoef(gold, said)}
    if metric in ('pearson', 'spearman'):
        call = scipy.stats.pearsonr if metric == 'pearson' else scipy.stats.spearmanr
        return {metric: float(call([number(x) for x in said], [number(a['golds'][0]) for a in answers])[0])}
    if metric == 'squad':
        best = [[max(f(g, a['said']) for g in a['golds']) for f in (squad_metrics.compute_exact, squad_f1)] for a in answers]
        return dict(zip(('em', 'squad_f1'), (100 * numpy.mean(best, axis=0)).tolist()))
    if metric in ('rouge', 'rouge_stem'):
        scorer = rouge_scorer.RougeScorer(ROUGES, use_stemmer=metric == 'rouge_stem')
        each = [scorer.score_multi(a['golds'], a['said']) for a in answers]
        return {k + metric[5:]: float(numpy.mean([e[k].fmeasure for e in each])) for k in ROUGES}
    call = {'bleu': sacrebleu.corpus_bleu, 'chrf': sacrebleu.corpus_chrf}[metric]
    return {metric: call(said, references(answers)).score}


# ---- vectors ---------------------------------------------------------------------------------------------------------

def change(rng, line, more=()):
    """A line as a model might have it: words dropped, doubled, swapped, cut off, in another case, with other marks."""
    words = line.split(' ')
    for _ in range(rng.randint(0, 1 + len(words) // 6)):
        i = rng.randrange(len(words))
        kind = rng.randrange(7)
        if kind == 0 and len(words) > 1:
            del words[i]
        elif kind == 1:
            words.insert(i, words[i])
        elif kind == 2:
            k = rng.randrange(len(words))
            words[i], words[k] = words[k], words[i]
        elif kind == 3:
            words[i] = words[i].swapcase()
        elif kind == 4:
            words[i] += rng.choice(['.', ',', '!', '?', '-', '"', '。', ' -', '&amp;', '\n', '…'])
        elif kind == 5 and len(words[i]) > 2:
            words[i] = words[i][:-1]
        else:
            words.insert(i, rng.choice(['the', 'a', 'an', 'THE', '1,000.5', '3-4', 'running', 'İ', 'ΣΑΣ', 'x', '\u3000', *more]))
    return ' '.join(words)


def texts(rng, lines, count, several):
    out = []
    for _ in range(count):
        line = rng.choice(lines)
        golds = [line] + [change(rng, line) for _ in range(rng.randint(0, 2) if several else 0)]
        out.append({'said': change(rng, rng.choice(lines) if rng.random() < 0.1 else line), 'golds': golds})
    return out


def cases(lines):
    rng = random.Random(1)
    out = []

    def add(name, metrics, answers, **more):
        out.append({'name': name, 'answers': answers, **more, 'metrics': {m: score(m, answers, **more) for m in metrics}})

    generated = ['rouge', 'rouge_stem', 'bleu', 'chrf', 'squad']
    add('lines', generated, texts(rng, lines, 60, False))
    add('several golds', generated, texts(rng, lines, 40, True))
    short = [' '.join(w[:rng.randint(1, 4)]) for w in (line.split() for line in lines) if w]
    add('short answers', generated, texts(rng, short, 80, True))
    add('one line', generated, texts(rng, lines, 1, False))
    add('nothing shared', generated, [{'said': 'x', 'golds': ['y z']}, {'said': '', 'golds': ['y']}])
    summaries = [{'said': '\n'.join(change(rng, x) for x in rng.sample(lines, 3)), 'golds': ['\n'.join(rng.sample(lines, 3))]}
                 for _ in range(20)]
    summaries += [{'said': '\n'.join(change(rng, x) for x in s['golds'][0].split('\n')), 'golds': s['golds']} for s in summaries[:10]]
    add('summaries of several lines', ['rouge', 'rouge_stem'], summaries)
    for name, classes, wrong in (('two classes', ['no', 'yes'], 0), ('four, and what is none', ['a', 'b', 'c', 'dé'], 0.1)):
        answers = []
        for _ in range(100):
            gold = rng.choice(classes)
            said = 'none' if rng.random() < wrong else gold if rng.random() < 0.6 else rng.choice(classes)
            answers.append({'said': said, 'golds': [gold]})
        add(name, ['accuracy', 'f1', 'macro_f1', 'matthews'], answers, classes=classes)
        add(name + ', unnamed', ['macro_f1'], answers)
        add(name + ', the first is positive', ['f1'], answers, positive=classes[0])
    add('always the same class', ['accuracy', 'f1', 'matthews'], [{'said': 'yes', 'golds': [g]} for g in ('no', 'yes', 'yes')],
        classes=['no', 'yes'])
    scores = [{'said': f'{rng.random() * 5:.1f}', 'golds': [f'{rng.random() * 5:.2f}']} for _ in range(50)]
    scores += [{'said': x['golds'][0][:3], 'golds': x['golds']} for x in scores] + [{'said': 'none', 'golds': ['2']}]
    add('numbers', ['pearson', 'spearman'], scores)
    return out


def main():
    if len(sys.argv) < 3 or sys.argv[1] not in ('vectors', 'check'):
        sys.exit(__doc__)
    if sys.argv[1] == 'vectors':
        files = sys.argv[3:] or [pathlib.Path(__file__).parent.parent / 'data/tokenizer/inputs.txt']
        lines = [x.rstrip('\n') for f in files for x in open(f, encoding='utf-8') if 20 < len(x) < 2000 and '\0' not in x]
        with open(sys.argv[2], 'w', encoding='utf-8') as file:
            file.write('[\n' + ',\n'.join(json.dumps(c, ensure_ascii=False) for c in cases(lines)) + '\n]\n')
        return
    with open(sys.argv[2], encoding='utf-8') as file:
        rows = [json.loads(x) for x in file]
    answers = [{'said': r['prediction'], 'golds': r['targets']} for r in rows]
    for metric in sys.argv[3].split(','):
        positive = sys.argv[4] if len(sys.argv) > 4 else None
        print(json.dumps({k: round(v, 6) for k, v in score(metric, answers, rows[0].get('options'), positive).items()}))


if __name__ == '__main__':
    main()
