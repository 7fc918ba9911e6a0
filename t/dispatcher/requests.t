#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# What an operator asks of the dispatcher: replay, resend, redrive.

use warnings;
use strict;

use POSIX ();
use Test::More;
use Time::HiRes qw(time);

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store();
my $broken = $t->testdir . '/broken';
my $recv = $t->receiver(sub {
    my ($request) = @_;
    my ($n) = $request->{body} =~ /"sequence":"0*(\d+)"/;
    return -e $broken && $n % 2 == 0 ? 500 : 200;
});
my $name = $t->endpoint('acme', url => $recv->url, feeds => 'orders',
    start => 'oldest', schedule => '0,10ms');
put_types($t, 'orders', map { $_ % 3 ? 'a' : 'b' } 1 .. 20);
my ($epoch) = (stored($t, 'orders'))[0] =~ /"cursor":"(\w+)-1"/;

sub came { my ($from) = @_; my @all = $recv->requests;
    return splice @all, $from }
sub ask { $t->ctl_ok('endpoint', @_) }

# Waits until nothing comes any more: the endpoint is at the head and idle.
sub idle {
    return wait_for(sub { $t->ctl_ok('endpoint', 'status', $_[0] // $name)
        =~ /pending=0 behind=0\b/ }, 30);
}

###############################################################################

is(ask('replay', $name, 'orders', '--from=oldest'),
    "waiting for the dispatcher\n", 'without a dispatcher it waits');
$t->run_dispatcher;
ok($recv->wait_for(20) && idle(), 'everything is sent');
is($recv->count, 20, 'once: there was nothing to go back to');

my $n = $recv->count;
is(ask('replay', $name, 'orders', "--after=$epoch-15"), "taken\n", 'replay');
ok($recv->wait_for($n + 5), 'after a cursor');
is_deeply([sequences(came($n))], [16 .. 20], 'what follows it, in order');

$n = $recv->count;
ask('replay', $name, 'orders', '--from=oldest');
ok($recv->wait_for($n + 20), 'from the oldest');
is_deeply([sequences(came($n))], [1 .. 20], 'all');
my ($first) = (came($n))[0]{body} =~ /"prevcursor":"(.*?)"/;
is($first, "$epoch-0", 'with prevcursor as before');

$t->feed('unsent');
put($t, 'unsent', 1);
for my $args (['replay', '--from=oldest'], ['resend',
    (stored($t, 'unsent'))[0] =~ /"cursor":"([^"]+)"/])
{
    my ($rc, $out, $err) = $t->ctl('endpoint', $args->[0], $name, 'unsent',
        $args->[1]);
    is($rc, 1, "$args->[0] of a feed that it is not sent fails");
    is($err, "eventsyncctl: the endpoint does not receive this feed or epoch\n",
        'in one line');
}

$n = $recv->count;
my $soon = POSIX::strftime('%Y-%m-%dT%H:%M:%SZ', gmtime(time() + 60));
ask('replay', $name, 'orders', "--from=$soon");
put($t, 'orders', 1);
ok($recv->wait_for($n + 1), 'from a time that is to come');
is_deeply([sequences(came($n))], [21], 'goes on where it was');

$n = $recv->count;
ask('resend', $name, 'orders', "$epoch-7");
ok($recv->wait_for($n + 1), 'resend');
is_deeply([sequences(came($n))], [7], 'one event');
is((came($n))[0]{headers}{'eventsync-attempt'}, 1, 'as a first attempt');
ok(idle(), 'and nothing else');

###############################################################################
# dead letters

$t->write_file('broken', '');
$n = $recv->count;
ask('replay', $name, 'orders', "--after=$epoch-11");
ok(wait_for(sub { dead($t, $name) == 5 }), 'dead letters');
ok(idle(), 'and the rest');
$n = $recv->count;
ask('redrive', $name);
ok($recv->wait_for($n + 10, 15), 'redrive tries each again, by its schedule');
ok(wait_for(sub { dead($t, $name) == 5 }), 'they are dead again');

unlink $broken;
$n = $recv->count;
ask('resend', $name, 'orders', "$epoch-14");
ok(wait_for(sub { dead($t, $name) == 4 }), 'a resent one is no dead letter');
ask('redrive', $name);
ok(wait_for(sub { dead($t, $name) == 0 }, 15), 'nor are those redriven');
ok($recv->wait_for($n + 5), 'all are sent');
is_deeply([sort { $a <=> $b } sequences(came($n))], [12, 14, 16, 18, 20],
    'each once');
ok(idle(), 'and nothing is left');

# A replay over dead letters takes them along.
$t->write_file('broken', '');
ask('replay', $name, 'orders', "--after=$epoch-17");
ok(wait_for(sub { dead($t, $name) == 2 }), 'dead letters');
unlink $broken;
ask('replay', $name, 'orders', "--after=$epoch-17");
ok(wait_for(sub { dead($t, $name) == 0 }), 'are none when they are replayed');

###############################################################################
# a request outlives the dispatcher

ok(idle(), 'idle');
is($t->stop_dispatcher, 0, 'stop');
$n = $recv->count;
ask('resend', $name, 'orders', "$epoch-3");
ask('resend', $name, 'orders', "$epoch-5");
$t->run_dispatcher;
ok($recv->wait_for($n + 2), 'requests are taken at the next start');
is_deeply([sequences(came($n))], [3, 5], 'in order');
ok(idle(), 'idle');
$t->stop_dispatcher;
$t->run_dispatcher;
ask('resend', $name, 'orders', "$epoch-9");
ok($recv->wait_for($n + 3), 'and once');
is_deeply([sequences(came($n))], [3, 5, 9], 'however often it starts');

# A filter's view.
my $some = $t->endpoint('acme', url => $recv->url('/some'), feeds => 'orders',
    types => 'b', start => 'latest');
ask('replay', $some, 'orders', '--from=oldest');
ok(wait_for(sub { grep({ $_->{path} eq '/some' } $recv->requests) == 6 }),
    'a replay sends what matches');

# Paused: it goes back when it is resumed.
ok(idle(), 'idle');
$t->ctl_ok('endpoint', 'pause', $name);
$n = $recv->count;
ask('replay', $name, 'orders', "--after=$epoch-19");
$t->ctl_ok('endpoint', 'resume', $name);
ok($recv->wait_for($n + 2), 'a replay of a paused endpoint');
is_deeply([sequences(came($n))], [20, 21], 'starts when it is resumed');

# One that has just died, and is in no commit yet.
is($t->stop_dispatcher, 0, 'the dispatcher stops');
$t->write_file('broken', '');
put($t, 'orders', 2);
my $slow = $t->run_dispatcher('--commit-interval=1s');
ok(wait_for(sub { $slow->stderr =~ /became a dead letter/ }), 'a dead letter');
unlink $broken;
$n = $recv->count;
ask('redrive', $name);
ok($recv->wait_for($n + 1, 15), 'is redriven before it is on disk');
ok(wait_for(sub { dead($t, $name) == 0 }, 15) && idle(), 'and none any more');
is($t->stop_dispatcher, 0, 'the dispatcher stops');
$t->run_dispatcher;

###############################################################################
# what cannot be asked

for (['no endpoint "ep_x"', 'redrive', 'ep_x'],
    ['either "--after" or "--from" is needed', 'replay', $name, 'orders'],
    ['"x" is not a cursor', 'resend', $name, 'orders', 'x'],
    ['there is no feed "none"', 'replay', $name, 'none', '--from=oldest'],
    ['cursor "a-1" of feed "orders"', 'resend', $name, 'orders', 'a-1'],
    ["cursor \"$epoch-99\"", 'replay', $name, 'orders', "--after=$epoch-99"],
    ["\"$epoch-0\" is before the first event", 'resend', $name, 'orders',
        "$epoch-0"],
    ['"x" is neither "oldest" nor an RFC 3339 time', 'replay', $name,
        'orders', '--from=x'])
{
    my ($error, @args) = @$_;
    my ($status, undef, $err) = $t->ctl('endpoint', @args);
    ok($status != 0 && $err =~ /\Q$error\E/, "refused: @args")
        or diag("$status: $err");
}

is($t->stop_dispatcher, 0, 'the dispatcher stops cleanly');

done_testing();
