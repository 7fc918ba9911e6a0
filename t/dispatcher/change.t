#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Endpoints that are changed while requests are in flight: what was sent by the
# old record says nothing of the new one, and what it left is within bounds.

use warnings;
use strict;

use Test::More;
use Time::HiRes qw(sleep);

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store();
my $fast = $t->testdir . '/fast';

# Old URLs answer when they are let.
my $recv = $t->receiver(sub {
    my ($request) = @_;
    my ($how) = $request->{path} =~ m{^/old/(\w+)};
    return 200 if !$how;
    my %answer = (gone => { status => 410 }, disable => { status => 500,
        headers => { 'Webhook-Delivery' => 'disable' } },
        busy => { status => 503, headers => { 'Retry-After' => 3600 } },
        throttle => { status => 429 }, slow => { status => 200 });
    return { %{ $answer{$how} },
        delay => -e $fast ? 0 : 2 + $request->{n} % 5 / 4 };
});

sub came { my ($path) = @_; grep { $_->{path} eq $path } $recv->requests }

###############################################################################
# late answers

my %name = map { $_ => scalar $t->endpoint('acme', feeds => 'orders',
    url => $recv->url("/old/$_"), start => 'oldest', schedule => '0,1h,1h') }
    qw(gone disable busy throttle);
put($t, 'orders', 2);
$t->run_dispatcher;
ok(wait_for(sub { 4 == grep { came("/old/$_") } keys %name }),
    'a request to each is in flight');
$t->ctl_ok('endpoint', 'change', $name{$_}, '--url=' . $recv->url("/new/$_"))
    for keys %name;
for my $how (sort keys %name) {
    ok(wait_for(sub { came("/new/$how") == 2 }, 20),
        "$how: both events come to the new URL");
    is_deeply([sequences(came("/new/$how"))], [1, 2], '... in order');
    wait_for(sub { attempts($t, $name{$how}) == 3 }, 20);
    is_deeply([map { "$_->{class} $_->{attempt}" } attempts($t, $name{$how})],
        ['status 1', $how =~ /busy|throttle/ ? 'ok 1' : 'ok 2', 'ok 1'],
        '... the first after an answer to the old one');
    unlike($t->ctl_ok('endpoint', 'status', $name{$how}), qr/stopped/,
        '... and nothing is stopped');
}
is($t->stop_dispatcher, 0, 'the dispatcher stops');
$t->ctl_ok('endpoint', 'remove', $_) for values %name;

###############################################################################
# from batches to single events: as many in flight as can be on record

for my $ordering ('none', 'fifo') {
    my $slow = $t->endpoint('acme', feeds => 'orders', start => 'oldest',
        url => $recv->url('/old/slow'), batch => 100, ordering => $ordering,
        $ordering eq 'none' ? (in_flight => 256) : ());
    my $before = came('/old/slow');
    $t->write_file('fast', '');
    my $proc = $t->run_dispatcher;
    ok(wait_for(sub { attempts($t, $slow) }), 'an endpoint that answers');
    unlink $fast;
    put($t, 'orders', 600);
    my $all = () = stored($t, 'orders');
    ok(wait_for(sub { came('/old/slow') > $before
        + ($ordering eq 'none' ? 3 : 1) }), "$ordering: batches are in flight");
    $t->ctl_ok('endpoint', 'change', $slow, '--batch=1', '--ordering=none',
        '--in-flight=256');
    ok(wait_for(sub {
        sleep 0.3;
        return !$proc->running
            || $all <= grep { $_->{class} eq 'ok' } attempts($t, $slow);
    }, 60), 'single events go on behind them');
    my %seen = map { $_ => 1 } map { $_->{body} =~ /"sequence":"(\d+)"/g }
        came('/old/slow');
    is(scalar keys %seen, $all, 'all are sent');
    ok($proc->running, 'and the dispatcher runs');
    is($t->stop_dispatcher, 0, 'until it stops');
    $t->ctl_ok('endpoint', 'remove', $slow);
}

ok($t->verify, 'the store is sound');
done_testing();
