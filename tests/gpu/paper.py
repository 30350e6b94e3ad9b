# SPDX-License-Identifier: Apache-2.0
"""paper.py: the report of a GPU run: NAME.json with everything, NAME.md for people."""
import datetime
import json
import os
import platform
import re
import statistics
import subprocess


def default_folder(source):
    return os.path.join(source, 'docs', 'gpus') if os.path.isdir(os.path.join(source, 'engine')) else os.path.join(source, 'report')


def first_line(path, pattern):
    try:
        with open(path, encoding='utf-8') as file:
            return next((m[1] for m in map(re.compile(pattern).match, file) if m), '')
    except OSError:
        return ''


def commit(source):
    """Of the tree, or the one that the pack was made from."""
    if not os.path.exists(os.path.join(source, '.git')):
        return first_line(os.path.join(source, 'COMMIT'), r'(\S+)') or 'unknown'
    done = subprocess.run(['git', '-C', source, 'describe', '--always', '--dirty', '--abbrev=12'], capture_output=True, text=True,
                          check=False)
    return done.stdout.strip() or 'unknown'


def machine(source):
    return {'date': datetime.date.today().isoformat(), 'commit': commit(source), 'kernel': platform.release(),
            'system': first_line('/etc/os-release', r'PRETTY_NAME="?([^"\n]*)'), 'libc': ' '.join(platform.libc_ver()),
            'cpu': first_line('/proc/cpuinfo', r'model name\s*:\s*(.*)') or platform.machine(), 'cores': os.cpu_count()}


def name_of(devices):
    """'nvidia-h200': a file name from the first device's."""
    name = re.sub(r'\(.*?\)', ' ', devices[0]['name']).lower()
    return re.sub(r'[^a-z0-9]+', '-', name).strip('-')[:60] or 'device'


def slim(device):
    """The device without what is the same on every one: of its ops the variants that are not `base`, in f32 and bf16."""
    kept = {key: value for key, value in device.items() if key not in ('ops', 'kernels')}
    told = {op: (what['variant'], what.get('bf16', what)['variant']) for op, what in device.get('ops', {}).items()}
    kept['variants'] = {op: wide if wide == narrow else f'{wide}, bf16 {narrow}' for op, (wide, narrow) in told.items()
                        if (wide, narrow) != ('base', 'base')}
    return kept


def totals(results):
    return [sum(result[key] for result in results) for key in ('passed', 'failed', 'skipped')]


def row(*cells):
    return '| ' + ' | '.join(str(cell).replace('|', '/') for cell in cells) + ' |'


def amount(figure, key, digits=1):
    return f'{figure[key]:,.{digits}f}' if figure.get(key) else ''


def line(figure):
    """One figure, for the terminal."""
    rates = [f'{amount(figure, key)} {unit}' for key, unit in (
        ('ms', 'ms'), ('gflops', 'GFLOP/s'), ('gbs', 'GB/s'), ('tokens_per_second', 'tokens/s')) if figure.get(key)]
    return f"{figure['what']}, {figure['by']}: " + ', '.join(rates)


def rival_best(rival, name, key):
    """The median of what the rival reached there, before ours and after."""
    values = [figure[key] for figure in rival.get('figures', []) if figure['name'] == name and key in figure]
    return statistics.median(values) if values else 0.0


def all_figures(results):
    return [(result, figure) for result in results for figure in result['figures']]


def vendor(results, rival):
    """Ours against the vendor's library: products and the copy."""
    if 'figures' not in rival:
        return []
    lines = ['', f"## Beside {rival['name']}'s own library, through PyTorch {rival['torch']}", '',
             '| what | device | variant | ours | theirs | ratio |', '|---|---|---|---|---|---|']
    for result, figure in all_figures(results):
        dtype = 'f32' if figure['what'].endswith(' f32') else 'bf16'
        key, ours, unit = ('gbs', 'gbs', 'GB/s') if result['part'] == 'copy' else (dtype, 'gflops', 'GFLOP/s')
        theirs = rival_best(rival, result['part'], key)
        if theirs and not figure['rival'] and figure.get(ours):
            lines.append(row(figure['what'], f"`{result['device']}`", figure['by'], amount(figure, ours) + ' ' + unit,
                             f'{theirs:,.1f} {unit}', f'{figure[ours] / theirs:.2f}'))
    return lines


def measurements(results, rival):
    figures = all_figures(results)
    if not figures:
        return []
    names = {figure['name'] for figure in rival.get('figures', [])}
    flops = max([figure.get('gflops', 0) for _, figure in figures] + [rival_best(rival, name, 'bf16') for name in names])
    copies = [figure['gbs'] for result, figure in figures if result['part'] == 'copy'] + [rival_best(rival, 'copy', 'gbs')]
    lines = ['', '## Measurements', '', f'The last columns are shares of the best of this run: {flops:,.0f} GFLOP/s in any product, '
             f'{max(copies):,.0f} GB/s in a copy. Each came from `switchyard-bench`; the JSON has its arguments.', '',
             row('what', 'device', 'variant', 'ms', 'GFLOP/s', 'GB/s', 'tokens/s', 'of GFLOP/s', 'of GB/s'), '|' + 9 * '---|']
    for result, figure in figures:
        if 'count' in figure and figure['ms'] < 0.01 * result['figures'][0].get('ms', 0):
            continue  # an op that takes next to nothing of a step
        shares = [f"{100 * figure[key] / best:.0f} %" if figure.get(key) and best else '' for key, best in (
            ('gflops', flops), ('gbs', max(copies)))]
        lines.append(row(figure['what'], f"`{result['device']}`", figure['by'], amount(figure, 'ms', 3), amount(figure, 'gflops'),
                         amount(figure, 'gbs'), amount(figure, 'tokens_per_second', 0), *shares))
    return lines


def markdown(report):
    machine_, results, rival = report['machine'], report['results'], report['rival']
    passed, failed, skipped = totals(results)
    lines = [f"# {report['devices'][0]['name']}", '',
             f"{machine_['date']}, commit {machine_['commit']}: {passed} passed, {failed} failed, {skipped} skipped, "
             f"{report['seconds']:.0f} s. Written by `./dev gpu` ([README](README.md)).", '',
             f"{machine_['system']}, kernel {machine_['kernel']}, {machine_['libc']}; {machine_['cpu']}, "
             f"{machine_['cores']} cores.", '',
             '| device | name | driver | API | memory | features | variants |', '|---|---|---|---|---|---|---|']
    for d in report['devices']:
        lines.append(row(f"`{d['id']}`", d['name'], d['driver'], d['api'], f"{d['memory_bytes'] / 2 ** 30:.1f} GiB",
                         ' '.join(d['features']), '; '.join(f'{op}: {v}' for op, v in d['variants'].items()) or 'base'))
    lines += ['', '## Checks', '', '| part | device | passed | failed | skipped | seconds | |', '|---|---|---|---|---|---|---|']
    for r in results:
        lines.append(row(r['part'], f"`{r['device']}`", r['passed'], r['failed'], r['skipped'], r['seconds'], r['note']))
    wrong = [r for r in results if r['failed']]
    if wrong:
        lines += ['', '## Failures']
        for r in wrong:
            lines += ['', f"{r['part']} on `{r['device']}`:", '', '```', *r['details'][:12], '```']
    lines += vendor(results, rival) + measurements(results, rival)
    if 'missing' in rival:
        lines += ['', f"The vendor's library was not measured: {rival['missing']}."]
    return '\n'.join(lines) + '\n'


def write(context, final=False):
    """After each part, so that a run that is ended from outside leaves what it had."""
    report = {'format': 1, 'machine': context.machine, 'devices': [slim(d) for d in context.devices], 'results': list(context.results),
              'rival': context.rival, 'seconds': round(context.elapsed(), 1), 'finished': final}
    path = os.path.join(context.out, name_of(context.devices))
    for suffix, text in (('.json', json.dumps(report, indent=1) + '\n'), ('.md', markdown(report))):
        with open(path + suffix + '.new', 'w', encoding='utf-8') as file:
            file.write(text)
        os.replace(path + suffix + '.new', path + suffix)
    return path


def finish(context):
    path = write(context, True)
    passed, failed, skipped = totals(context.results)
    print(f'{passed} passed, {failed} failed, {skipped} skipped; {path}.md, {path}.json and {context.logs} have the report')
    print('to send it in: an issue or a change with these two files under docs/gpus; docs/gpus/README.md says more')
    return 1 if failed or not passed else 0
