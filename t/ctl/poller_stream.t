#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# eventsyncctl verify-poller --sse tells a reader of streams what it does wrong:
# the reader in Python of docs/pollers.md with one usual mistake each.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync;
use Test::Eventsync::Pollers qw(%CODE lacks swap told mistakes);

my $t = Test::Eventsync->new;
my $why = lacks($t, 'Python');
plan(skip_all => $why) if $why;

my $stream = $CODE{'Streams in Python'};

my @cases = (
    ['bad-request', ['--sse'], $CODE{Python}],
    ['bad-request', [], $stream],
    ['no-last-id', ['--sse'], swap($stream, 'if cursor:',
        'if False:')],
    ['ignores-retry', ['--sse', '--only=retry'], swap($stream,
        'time.sleep(retry)', 'time.sleep(0.1)')],
    ['ignores-retry', ['--sse', '--only=limit'], swap($stream,
        'time.sleep(retry)', 'time.sleep(0.1)')],
    ['gives-up', ['--sse', '--only=limit'], swap($stream,
        'if name == "end"', 'if name == "end" and 429 in json.loads(data).values():
            raise SystemExit("end")
        elif name == "end"')],
    ['position', ['--sse', '--only=position'], swap($stream,
        'elif name == "position"', 'elif name == "positions"')],
    ['nothing', ['--sse', '--only=nothing'], swap($stream,
        'elif name is None and data', 'elif name not in ("end", "position") and data')],
    ['split', ['--sse', '--only=split'], swap(swap($stream,
        'for line in stream:', 'for line in pieces(stream):'), 'def blocks',
        q(def pieces(stream):
    text = ""
    while piece := stream.read1(4096):
        text += piece.decode()
        *lines, text = text.split("\n")
        yield from (line.encode() for line in lines)


def blocks))],
    ['short-timeout', ['--sse', '--only=slow'], swap($stream,
        'timeout=60', 'timeout=0.3')],
    ['takes-cut-answer', ['--sse', '--only=cut'], swap($stream,
        '            yield fields
            fields = {}', '            yield fields
            fields = {}
    if "id" in fields:
        yield {"event": "position", **fields}')],
    ['parses-cursor', ['--sse', '--only=opaque-cursor'], swap($stream,
        'cursor = fields["id"]
        elif', 'cursor = f"{fields[\'id\'].split(\'-\')[0]}-{int(json.loads(data)[\'sequence\'])}"
        elif')],
    ['unknown-type', ['--sse', '--only=unknown-type'], swap($stream,
        'apply(json.loads(data))', 'assert "order.updated" in data; apply(json.loads(data))')],
    ['forgets-cursor', ['--sse', '--only=restart'], swap($stream,
        'return json.load(file)["cursor"]', 'return None')],
    ['repeats-410', ['--sse', '--only=expired'], swap($stream,
        'cursor = json.loads(data)["oldest"]', 'pass')],
    ['repeats-410', ['--sse', '--only=gone'], swap(swap($stream,
        'if cursor:', 'if False:'), '"?from=oldest"',
        '("?after=" + cursor if cursor else "?from=oldest")')],
    ['hammers-401', ['--sse', '--only=revoked'], swap($stream,
        'raise SystemExit(f"{error.code}: {error.read().decode()}")', 'retry = 0.1')],
);

my %tried = told($t, @cases);
is_deeply([grep { !$tried{$_} } mistakes('reader')], [],
    'each mistake of a reader in docs/pollers.md is one of these');

done_testing();
