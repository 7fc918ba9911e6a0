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
use Test::Eventsync::Pollers qw($PAGE %CODE lacks place verify judged);

my $t = Test::Eventsync->new;

# The same order as in the code, so that neither has what the other lacks.
my $list = decode_json($t->ctl_ok('verify-poller', '--list', '--json'));
my @tables = $PAGE =~ /^\| step \|.*?\n\|[-|]+\n(.*?)\n\n/msg;
for my $sse (0, 1) {
    is($tables[$sse], join("\n", map { "| `$_->{step}` | $_->{about} | "
        . "$_->{expected} |" } grep { !$_->{sse} == !$sse }
        @{ $list->{steps} }), $sse ? 'and those of streams' : 'the steps');
}

my $source = do { local (@ARGV, $/) = 'ctl/poller_mistakes.c'; <> };
my ($mistakes) = $PAGE =~ /^\| cause \|.*?\n\|[-|]+\n(.*?)\n\n/ms;
my $text = qr/(?:"(?:[^"\\]|\\.)*"\s*)+/;
my @rows;
while ($source =~ /^    \{ "([a-z0-9-]+)",\s*($text),\s*($text)\}/mg) {
    push @rows, sprintf '| `%s` | %s | %s. |', $1, map { ucfirst }
        map { join('', /"((?:[^"\\]|\\.)*)"/g) =~ s/\\"/"/gr } $2, $3;
}
is($mistakes, join("\n", @rows), 'the mistakes');

is_deeply([sort keys %CODE], ['Node.js', 'Python',
    'Streams in Node.js', 'Streams in Python'], 'the programs');

###############################################################################
# verify-poller

my (%run, %real);
for my $language (sort keys %CODE) {
    my $why = lacks($t, $language);
    if ($why) {
        diag("without $language: $why");
        next;
    }
    my $code = $CODE{$language} =~ s/\bWAIT = 20\b/WAIT = 2/r;
    my @options = ('--applied=events.ndjson',
        $language =~ /Streams/ ? '--sse' : ());
    $run{$language} = verify($t, [place($t, $language, $code)], @options);
    $run{"$language, eventsource 5"} = verify($t, [place($t, $language, $code,
        'eventsource5')], @options) if $language eq 'Streams in Node.js';
}

###############################################################################
# a real server

$t->store_init->feed('orders');
my $key = $t->partner_key('acme', feeds => 'orders');
$t->default_conf(location => 'eventsync_sse on;');
$t->run_nginx;
$t->ctl_ok({ stdin => join '', map { qq({"specversion":"1.0","id":"e$_",)
    . qq("source":"/s","type":"t","data":$_}\n) } 1 .. 250 }, 'publish',
    'orders');

for my $language (grep { $CODE{$_} } sort keys %run) {
    my ($id, $command) = place($t, $language, $CODE{$language});
    $real{$language} = { file => "$id/events.ndjson",
        proc => $t->start($id, { env => { EVENTSYNC_KEY => $key,
            EVENTSYNC_URL => 'http://127.0.0.1:' . $t->port . '/v1',
            EVENTSYNC_FEED => 'orders' } }, 'sh', '-c', "cd \"\$1\" && $command",
            'sh', $t->testdir . "/$id") };
}

# The data of the events that a poller has applied.
sub applied {
    my ($language) = @_;
    return map { decode_json($_)->{data} } grep { /\}$/ } split /\n/,
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
    my $sse = $language =~ /Streams/;
    is($report->{checks_passed} + $report->{checks_skipped},
        scalar(grep { !$_->{sse} == !$sse } @{ $list->{steps} }),
        'every step of it');
}

done_testing();
