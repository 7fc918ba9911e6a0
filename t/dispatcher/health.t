#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# What an endpoint is trusted with: circuits, and those that never answer.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store();
my $broken = $t->testdir . '/broken';
my $recv = $t->receiver(sub {
    my ($request) = @_;
    return { hang => 1 } if $request->{path} =~ m{^/silent};
    return 400 if $request->{path} eq '/picky';
    return -e $broken && $request->{path} eq '/broken' ? 500 : 200;
});
sub endpoint {
    my ($path, %opts) = @_;
    return scalar $t->endpoint('acme', url => $recv->url($path),
        feeds => 'orders', start => 'oldest', %opts);
}
sub came { my ($path) = @_; grep { $_->{path} eq $path } $recv->requests }
sub circuit { $t->ctl_ok('endpoint', 'status', $_[0]) =~ /^\S+ (circuit .*)/m;
    return $1 }

###############################################################################
# endpoints that never answer leave places to the others

my @silent = map { endpoint("/silent$_", ordering => 'none', in_flight => 16,
    timeout => '60s') } 1 .. 12;
my $good = endpoint('/good', ordering => 'none', in_flight => 4);
put($t, 'orders', 100);
$t->run_dispatcher('--max-connections=64');
ok(wait_for(sub { came('/good') == 100 }, 40),
    'an endpoint is sent everything beside twelve that never answer');
cmp_ok(scalar(grep { $_->{path} =~ /silent/ } $recv->requests), '<=', 12,
    'which have one place each');
$t->ctl_ok('endpoint', 'remove', $_) for @silent, $good;
$t->stop_dispatcher('KILL');

###############################################################################
# the circuit

$t->write_file('broken', '');
my $schedule = '0,' . join ',', ('900ms') x 31;
my $name = endpoint('/broken', ordering => 'none', in_flight => 2,
    schedule => $schedule);
my $picky = endpoint('/picky', ordering => 'none', schedule => $schedule);
$t->run_dispatcher;
ok(wait_for(sub { circuit($name) }, 60), 'a circuit opens');
like(circuit($name), qr/^circuit\ open:\ failures=\d+
    \ since=\S+Z\ next=\S+Z$/x, 'as status says');
my ($status) = grep { $_->{kind} eq 'circuit' } map {
    Test::Eventsync::json($_)
} split /\n/, $t->ctl_ok('endpoint', 'status', $name, '--json');
is($status->{endpoint}, $name, 'also as JSON');
cmp_ok($status->{failures}, '>=', 5, 'with its failures');
like($t->{dispatcher}->stderr, qr/warn: endpoint $name: circuit open after/,
    'and the log');
is(circuit($picky), undef, 'one that answers 400 is not broken');

# The state is on disk, and a probe opens it again or closes it.
is($t->stop_dispatcher, 0, 'stop');
ok(circuit($name), 'it stays open');
$t->run_dispatcher;
unlink $broken;
ok(wait_for(sub { !circuit($name) }, 60), 'a probe that succeeds closes it');
ok(wait_for(sub { came('/broken') > 100
    && !grep { /circuit|retry/ } map { $_->{line} } status_lines($t, $name) },
    60), 'and everything is sent');
is($t->stop_dispatcher, 0, 'the dispatcher stops cleanly');
$t->ctl_ok('endpoint', 'remove', $_) for $name, $picky;

###############################################################################
# silence between two failures is no time of failing

$t->feed('quiet');
my $quiet = endpoint('/picky', feeds => 'quiet', schedule => '0',
    disable_after => '2s');
my $busy = endpoint('/picky', feeds => 'quiet', disable_after => '2s',
    schedule => '0,' . join ',', ('200ms') x 31);
$t->run_dispatcher;
put($t, 'quiet', 1);
ok(wait_for(sub { dead($t, $quiet) == 1 }), 'an event fails, and ends');
ok(wait_for(sub { $t->ctl_ok('endpoint', 'status', $busy) =~ /stopped/ }, 30),
    'one that is tried again and again stops its endpoint in that time');
put($t, 'quiet', 1);
ok(wait_for(sub { dead($t, $quiet) == 2 }),
    'after that silence another event fails, and ends');
unlike($t->ctl_ok('endpoint', 'status', $quiet), qr/stopped/,
    '... which does not stop the endpoint');
is($t->stop_dispatcher, 0, 'the dispatcher stops cleanly');

done_testing();
