#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Operational events: what becomes of an endpoint is told to its partner by a
# feed; an endpoint that only fails is disabled.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store();
my %answer;
my $recv = $t->receiver(sub {
    my ($request) = @_;
    my ($name) = $request->{path} =~ m{^/(\w+)};
    my $file = $t->testdir . "/$name";
    return -e $file ? { status => $t->read_file($name) } : 200;
});
sub answers { my ($name, $how) = @_; $t->write_file($name, $how) }
sub endpoint {
    my ($path, %opts) = @_;
    return scalar $t->endpoint('acme', url => $recv->url("/$path"),
        feeds => 'orders', start => 'oldest', schedule => '0,10ms', %opts);
}
sub came { my ($path) = @_; grep { $_->{path} eq "/$path" } $recv->requests }

sub stopped { $t->ctl_ok('endpoint', 'status', $_[0]) =~ /stopped: (.*)/;
    return $1 }

# Operational events of an endpoint so far, except stalls, which are
# states.t's.
sub told {
    my ($endpoint, $type) = @_;
    return grep { $_->{subject} eq $endpoint
        && (defined $type ? $_->{type} eq $type
            : $_->{type} !~ /stalled$/) }
        map { Test::Eventsync::json($_) } stored($t, 'ops');
}
sub types { join ' ', map { $_->{type} } told(@_) }

###############################################################################
# where they go

my ($rc, undef, $err) = $t->ctl('partner', 'change', 'acme',
    '--operations=ops');
like($err, qr{/operations: there is no feed "ops"}, 'the feed must exist');
($rc, undef, $err) = $t->ctl('partner', 'change', 'acme', '--operations=O p');
like($err, qr{/operations: operations must be the name of a}, 'and be one');

put($t, 'orders', 1);
answers(nobody => 410);
$t->run_dispatcher;
my $nobody = endpoint('nobody');
ok(wait_for(sub { grep { $_->{line} =~ /stopped/ } status_lines($t, $nobody) }),
    'without such a feed');
$t->feed('ops');
$t->ctl_ok('partner', 'change', 'acme', '--operations=ops');
is(types($nobody), '', 'nothing is told');

###############################################################################
# disabled by what it answers, recovered by a success

answers(gone => 410);
my $gone = endpoint('gone');
ok(wait_for(sub { told($gone) }), '410 is told');
my ($event) = told($gone);
is($event->{type}, 'endpoint.disabled', 'as endpoint.disabled');
is($event->{data}{endpoint}, $gone, 'with the endpoint');
is($event->{data}{reason}, '410 Gone', 'and the reason');
is($event->{data}{attempts}, 1, 'and the attempts since its last success');
cmp_ok(abs(time_ms($event->{data}{since}) - time_ms($event->{time})), '<',
    60_000, 'and since when');
is($event->{source}, '/eventsync', 'by us');

unlink $t->testdir . '/gone';
$t->ctl_ok('endpoint', 'resume', $gone);
ok(wait_for(sub { told($gone) == 2 }), 'a change starts it again');
is(types($gone), 'endpoint.disabled endpoint.recovered',
    'and its next success is told');

###############################################################################
# messages nobody took

answers(dead => 400);
my $dead = endpoint('dead');
ok(wait_for(sub { told($dead) }), 'a dead letter is told');
($event) = told($dead);
my ($first) = map { Test::Eventsync::json($_) } stored($t, 'orders');
is($event->{type}, 'message.exhausted', 'as message.exhausted');
is_deeply($event->{data}, { endpoint => $dead, feed => 'orders',
    cursor => $first->{cursor}, id => $first->{id}, attempts => 2,
    class => 'status', status => 400, reason => 'the schedule has ended' },
    'with all that is known');
unlink $t->testdir . '/dead';
put($t, 'orders', 1);
ok(wait_for(sub { came('dead') == 3 }), 'the next is taken');
is(types($dead), 'message.exhausted', 'which was never announced to fail');

# Names as long as they may be: an id is not as long as they are together.
my $long = 'f' . 'o' x 62;
$t->feed($long);
answers(dead => 400);
my $named = endpoint('dead', feeds => $long);
put($t, $long, 1);
ok(wait_for(sub { told($named) }), 'a dead letter of a feed with a long name');
($event) = told($named);
is($event->{data}{feed}, $long, 'is told as any other');
unlink $t->testdir . '/dead';

###############################################################################
# an endpoint for the operational events themselves makes none about them

answers(ops => 400);
my $ops = endpoint('ops', feeds => 'ops', disable_after => '2s',
    schedule => '0,200ms,200ms,200ms,200ms');
ok(wait_for(sub { stopped($ops) }, 20), 'operational events that fail');
ok(scalar dead($t, $ops), 'and die');
ok(wait_for(sub { told($ops) }), 'are told');
is(types($ops), 'endpoint.disabled', 'by nothing but the stop');
$t->ctl_ok('endpoint', 'remove', $ops);

unlink $t->testdir . '/ops';
my $push = endpoint('ops', feeds => 'ops', types => 'endpoint.*');
ok(wait_for(sub {
    grep { $_->{body} =~ /endpoint\.recovered/ } came('ops')
}), 'but they are pushed as those of any feed');

###############################################################################
# disabled after only failing

my $schedule = '0,' . join ',', ('200ms') x 31;
answers(bad => 400);
my $bad = endpoint('bad', schedule => $schedule, disable_after => '5s');
my $never = endpoint('bad', schedule => $schedule, disable_after => '0');
ok(wait_for(sub { came('bad') >= 2 }), 'one that fails');
$t->stop_dispatcher('KILL');
$t->run_dispatcher;
ok(wait_for(sub { told($bad, 'endpoint.failing') }, 20),
    'is announced to be disabled, also after a restart');
($event) = told($bad, 'endpoint.failing');
is($event->{data}{reason},
    'half of the time until it is stopped has passed', 'at half of the time');
cmp_ok(time_ms($event->{data}{disable_at}) - time_ms($event->{data}{since}),
    '>=', 5000, 'which is said, without the time when no dispatcher ran');
ok(wait_for(sub { stopped($bad) }, 20), 'and is disabled');
is(stopped($bad), "no success since $event->{data}{since}",
    'for the reason given');
ok(wait_for(sub { told($bad, 'endpoint.disabled') }), 'which is told');
is(types($bad), 'endpoint.failing endpoint.disabled', 'and nothing twice');
is(scalar dead($t, $bad), 0, 'the event waits');
is(stopped($never), undef, 'with 0 it is never disabled');
is(types($never), '', 'and that is not announced');

unlink $t->testdir . '/bad';
$t->ctl_ok('endpoint', 'change', $bad, '--disable-after=1h');
ok(wait_for(sub { told($bad, 'endpoint.recovered') }, 20),
    'a change starts it again, and it is told that it has recovered');
is($t->stop_dispatcher, 0, 'the dispatcher stops cleanly');

###############################################################################
# killed between the cause and its event, while the log cannot be written

SKIP: {
    my $preload = $t->build . '/fault.so';
    skip 'needs fault.so, and no sanitizer', 9
        if !-e $preload || $t->sanitized;
    my $fault = $t->testdir . '/fault';

    $t->write_file('fault', "sync log/data\n");
    answers(crash => 410);
    $t->run_dispatcher({ env => { LD_PRELOAD => $preload,
        ES_FAULT => $fault } });
    my $crash = endpoint('crash');
    ok(wait_for(sub {
        $t->{dispatcher}->stderr =~ /cannot publish operational events/
    }, 30), 'an event that cannot be published');
    ok(wait_for(sub { stopped($crash) }), 'and its cause');
    $t->stop_dispatcher('KILL');
    $t->run_dispatcher;
    ok(wait_for(sub { told($crash) }), 'is published after the next start');
    is($t->stop_dispatcher, 0, 'stop');
    is(scalar told($crash), 1, 'and only once');

    $t->run_dispatcher({ env => { LD_PRELOAD => $preload,
        ES_FAULT => $fault } });
    $crash = endpoint('crash');
    ok(wait_for(sub {
        $t->{dispatcher}->stderr =~ /cannot publish operational events/
    }, 30), 'another one');
    unlink $fault;
    ok(wait_for(sub {
        $t->{dispatcher}->stderr =~ /events can be published again/
    }, 30), 'is tried again');
    is(scalar told($crash), 1, 'until it is there');
    is($t->stop_dispatcher, 0, 'the dispatcher stops cleanly');
}

my @ids = map { Test::Eventsync::json($_)->{id} } stored($t, 'ops');
my %seen;
ok(!grep({ $seen{$_}++ } @ids), 'each has an id of its own');
ok($t->verify, 'verify');

done_testing();
