#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# eventsyncctl listen --log: what it has processed is on disk before it says
# so, and is not processed again, whatever happens to the process.

use warnings;
use strict;

use Digest::SHA qw(hmac_sha256_base64);
use HTTP::Tiny;
use JSON::PP;
use MIME::Base64 qw(decode_base64);
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);

my $SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
my $t = Test::Eventsync->new;
my $log = $t->testdir . '/log';
my $port = $t->port(1);
my $listen;

sub start {
    my $opts = ref $_[0] ? shift : {};
    $listen = $t->ctl_start($opts, 'listen', "--port=$port",
        "--secret=$SECRET", "--log=$log", @_);
    ok(wait_for(sub { Test::Eventsync::port_open($port) }), 'listen starts')
        or diag($listen->stderr);
}

sub hook {
    my ($body, $secret) = @_;
    my $at = time;
    my $mac = hmac_sha256_base64("id.$at.$body",
        decode_base64(substr $secret // $SECRET, 6));
    $mac .= '=' while length($mac) % 4;
    return HTTP::Tiny->new->post("http://127.0.0.1:$port/", { content => $body,
        headers => { 'webhook-id' => 'id', 'webhook-timestamp' => $at,
        'webhook-signature' => "v1,$mac" } })->{status};
}

# A webhook that nobody stored.
sub made {
    my ($n) = @_;
    return sprintf '{"specversion":"1.0","id":"%d","source":"/s","type":"t",'
        . '"feed":"orders","sequence":"%020d","cursor":"abcd-%d",'
        . '"prevcursor":"abcd-%d","data":1}', $n, $n, $n, $n - 1;
}

sub processed { join ' ', map { my $e = decode_json($_);
    "$e->{how}:" . $e->{cursor} =~ s/.*-//r } split /\n/, $t->read_file('log') }

sub report { [$listen->stdout =~ /^report +(.*)/mg] }

###############################################################################
# webhooks

start();
is(join(' ', map { hook(made($_)) } 3, 1, 2, 2), '204 204 204 204', 'taken');
is(processed(), 'webhook:3 late:1 late:2', 'in the order of processing, once');
is_deeply({ %{ decode_json((split /\n/, $t->read_file('log'))[0]) },
    time => 1 }, { time => 1, how => 'webhook', feed => 'orders',
    cursor => 'abcd-3', prevcursor => 'abcd-2', type => 't', subject => '-' },
    'the members of a line');
is(hook('[' . join(',', map { made($_) } 4, 5, 8) . ']'), 204, 'a batch');
my $before = processed();
is($before, 'webhook:3 late:1 late:2 webhook:4 webhook:5 webhook:8', 'too');

my ($rc, undef, $err) = $t->ctl('listen', '--port='
    . Test::Eventsync::free_port(), "--secret=$SECRET", "--log=$log");
is($rc, 1, 'a log that another has open');
like($err, qr/\Aeventsyncctl: cannot lock [^\n]+\n\z/, 'is refused');

$listen->stop('KILL');
my $whole = $t->read_file('log');
$t->write_file('log', $whole . '{"time":"2026-11-23T12:00:00.123Z","how":"w');
start();
is($t->read_file('log'), $whole, 'half a line is cut off');
is(hook(made($_)), 204, "repeated: $_") for 1 .. 5, 8;
is(processed(), $before, 'what was processed is not processed again');
is(hook(made($_)), 204, "new: $_") for 7, 9, 6;
is(processed(), "$before late:7 webhook:9 late:6", 'but what was not');
is(hook('{"specversion":"1.0","id":"nudge-1","source":"/eventsync",'
    . '"type":"feed.poll","subject":"orders","data":{}}'), 503,
    'a nudge is not taken where what it stands for cannot be polled');
is(hook(made(10), 'whsec_' . 'A' x 32), 401, 'a wrong signature');
is($listen->stop('TERM'), 0, 'it ends');
is_deeply(report(), ['orders processed=3 duplicates=6 healed=0 late=2',
    'refused=1'], 'and reports');

###############################################################################
# polls

unlink $log;
$t->store_init->feed('orders');
my $key = $t->partner_key('acme', feeds => 'orders', publish => 'orders');
$t->default_conf;
$t->run_nginx;
my @poll = ('--poll=http://127.0.0.1:' . $t->port(0) . '/v1', "--key=$key");
my $nevent = 0;

sub put {
    $t->publish('orders', { key => $key },
        map { { id => 'e' . ++$nevent } } 1 .. $_[0]);
    return split /\n/, $t->ctl_ok('tail', 'orders');
}

start(@poll);
my @events = put(1);
is(hook($events[0]), 204, 'the first');
@events = put(150);
is(hook($events[150]), 204, 'after a gap');
is(processed(), join(' ', 'webhook:1', map { "polled:$_" } 2 .. 151),
    'what is polled is in the log, in the order of the feed');
is($listen->stop('INT'), 0, 'it ends');
is_deeply(report(), ['orders processed=151 duplicates=0 healed=150 late=0',
    'refused=0'], 'and reports what was healed');
@events = put(2);
start(@poll);
is(hook($events[$_]), 204, 'repeated') for 149 .. 152;
is(processed(), join(' ', 'webhook:1', map { "polled:$_" } 2 .. 153),
    'it goes on from its log');
@events = put(3);
is(hook('{"specversion":"1.0","id":"nudge-1","source":"/eventsync",'
    . '"type":"feed.poll","subject":"orders","data":{}}'), 204, 'a nudge');
is(processed(), join(' ', 'webhook:1', map { "polled:$_" } 2 .. 156),
    'is taken when everything is polled');
$listen->stop('KILL');

###############################################################################
# a disk that fails

SKIP: {
    my $preload = $t->build . '/fault.so';
    skip 'needs fault.so, and no sanitizer', 7
        if !-e $preload || $t->sanitized;
    unlink $log;
    start({ env => { LD_PRELOAD => $preload,
        ES_FAULT => $t->testdir . '/fault' } });
    is(hook(made(1)), 204, 'taken');
    $t->write_file('fault', 'sync /log');
    is(hook(made(2)), 503, 'not on disk, not taken');
    is(hook(made(1)), 204, 'what was, was');
    unlink $t->testdir . '/fault';
    is(hook(made(2)), 503, 'who knows what is in the file, until');
    $listen->stop('KILL');
    start();
    is(hook(made(3)), 204, 'it is read again');
    $listen->stop('KILL');
}

###############################################################################
# mistakes

$t->write_file('log', $whole . "{}\n");
($rc, undef, $err) = $t->ctl('listen', "--port=$port", "--secret=$SECRET",
    "--log=$log");
is($rc, 1, 'a line that is not of a log');
like($err, qr/\Aeventsyncctl: "[^"]+": line 7 is not an event of a log that listen wrote\n\z/,
    'is refused');
is($t->read_file('log'), "$whole\{}\n", 'and left alone');
($rc, undef, $err) = $t->ctl('listen', "--port=$port", "--secret=$SECRET",
    "--log=$log", "--state=$log.state");
is($rc, 2, 'a log and a state');
like($err, qr/\Aeventsyncctl: "--log" and "--state" exclude [^\n]+\n\z/,
    'exclude each other');

done_testing();
