#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# The pollers of docs/pollers.md, as the page has them: each takes what a real
# server has, and passes verify-poller.  The tables of the page are those of the
# code.

use warnings;
use strict;

use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Pollers qw($PAGE %CODE lacks verify judged);

my $t = Test::Eventsync->new;

# The same order as in the code, so that neither has what the other lacks.
my $list = decode_json($t->ctl_ok('verify-poller', '--list', '--json'));
my ($steps) = $PAGE =~ /^\| step \|.*?\n\|[-|]+\n(.*?)\n\n/ms;
is($steps, join("\n", map { "| `$_->{step}` | $_->{about} | $_->{expected} |" }
    @{ $list->{steps} }), 'the steps');

my $source = do { local (@ARGV, $/) = 'ctl/poller_mistakes.c'; <> };
my ($mistakes) = $PAGE =~ /^\| cause \|.*?\n\|[-|]+\n(.*?)\n\n/ms;
my $text = qr/(?:"(?:[^"\\]|\\.)*"\s*)+/;
my @rows;
while ($source =~ /^    \{ "([a-z0-9-]+)",\s*($text),\s*($text)\}/mg) {
    push @rows, sprintf '| `%s` | %s | %s. |', $1, map { ucfirst }
        map { join('', /"((?:[^"\\]|\\.)*)"/g) =~ s/\\"/"/gr } $2, $3;
}
is($mistakes, join("\n", @rows), 'the mistakes');

is_deeply([sort keys %CODE], ['Node.js', 'Python'], 'the programs');

###############################################################################
# verify-poller

my (%run, %real);
for my $language (sort keys %CODE) {
    my $why = lacks($language);
    if ($why) {
        diag("without $language: $why");
        next;
    }
    my $code = $CODE{$language} =~ s/\bWAIT = 20\b/WAIT = 2/r;
    isnt($code, $CODE{$language}, "$language: waits for 20 seconds");
    $run{$language} = verify($t, $language, $code, '--applied=events.ndjson');
}

###############################################################################
# a real server

$t->store_init->feed('orders');
my $key = $t->partner_key('acme', feeds => 'orders');
$t->default_conf;
$t->run_nginx;
$t->ctl_ok({ stdin => join '', map { qq({"specversion":"1.0","id":"e$_",)
    . qq("source":"/s","type":"t","data":$_}\n) } 1 .. 250 }, 'publish',
    'orders');

for my $language (sort keys %run) {
    my ($program, $name) = $language =~ /Python/ ? ('python3', 'poller.py')
        : ('node', 'poller.mjs');
    mkdir $t->testdir . "/real-$program";
    $t->write_file("real-$program/$name", $CODE{$language});
    $real{$language} = { file => "real-$program/events.ndjson",
        proc => $t->start("real-$program", { env => { EVENTSYNC_KEY => $key,
            EVENTSYNC_URL => 'http://127.0.0.1:' . $t->port . '/v1',
            EVENTSYNC_FEED => 'orders' } },
            'sh', '-c', 'cd "$1" && exec "$2" "$3"', 'sh',
            $t->testdir . "/real-$program", $program, $name) };
}

# The data of the events that a poller has applied.
sub applied {
    my ($language) = @_;
    return map { decode_json($_)->{data} } split /\n/,
        $t->read_file($real{$language}{file});
}

for my $language (sort keys %real) {
    ok(wait_for(sub { applied($language) >= 250 }, 60),
        "$language: takes every event of a real server")
        or diag($real{$language}{proc}->stderr);
}
$t->ctl_ok({ stdin => qq({"specversion":"1.0","id":"last","source":"/s",)
    . qq("type":"t","data":251}\n) }, 'publish', 'orders');
for my $language (sort keys %real) {
    ok(wait_for(sub { applied($language) > 250 }, 60), 'also while it waits');
    is_deeply([applied($language)], [1 .. 251], 'once and in order');
    $real{$language}{proc}->stop('TERM');
}

for my $language (sort keys %run) {
    my ($rc, $report) = judged($t, $run{$language});
    is_deeply([$rc, map { "$_->{check}: $_->{came}" }
        grep { !$_->{pass} || $_->{skipped} && $_->{check} ne 'gzip' }
        @{ $report->{checks} }], [0], "$language: passes verify-poller")
        or diag($run{$language}{proc}->stderr);
    is($report->{checks_passed} + $report->{checks_skipped},
        scalar(grep { !$_->{sse} } @{ $list->{steps} }), 'every step of it');
}

done_testing();
