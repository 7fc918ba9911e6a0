#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Ordering: fifo and none, failures in between, many endpoints side by side.

use warnings;
use strict;

use List::Util qw(max);
use Test::More;
use Time::HiRes qw(sleep);

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store();
$t->feed('other');

# Some events fail at first: the path says which (every Nth, M times).
my $recv = $t->receiver(sub {
    my ($request) = @_;
    my ($every, $times) = $request->{path} =~ m{/fail-(\d+)-(\d+)$}
        or return { status => 200, delay => 0.002 };
    my ($n) = $request->{body} =~ /"sequence":"0*(\d+)"/;

    return { status => $n % $every == 0
        && $request->{headers}{'eventsync-attempt'} <= $times ? 503 : 200 };
});

sub endpoint {
    my ($path, %opts) = @_;
    return scalar $t->endpoint('acme', url => $recv->url($path),
        feeds => 'orders', start => 'oldest', schedule => '0,20ms,20ms',
        %opts);
}
sub came { my ($path) = @_; grep { $_->{path} eq $path } $recv->requests }
sub taken {
    my ($path, $every, $times) = @_;
    return grep {
        (sequences($_))[0] % $every
            || $_->{headers}{'eventsync-attempt'} > $times
    } came($path);
}

put($t, 'orders', 60);
my $fifo = endpoint('/fifo/fail-7-1');
my $none = endpoint('/none/fail-7-1', ordering => 'none', in_flight => 4);
my $dead = endpoint('/dead/fail-9-9');
my $both = endpoint('/both', feeds => 'orders,other');
put($t, 'other', 20);
$t->run_dispatcher;

###############################################################################

ok(wait_for(sub { came('/fifo/fail-7-1') == 68 }, 30), 'fifo: all are sent');
my @expected = map { $_ % 7 ? $_ : ($_, $_) } 1 .. 60;
is_deeply([sequences(came('/fifo/fail-7-1'))], \@expected,
    'strictly in order, each failing one until it succeeds');

ok(wait_for(sub { came('/none/fail-7-1') == 68 }, 30), 'none: all are sent');
my @none = sequences(taken('/none/fail-7-1', 7, 1));
is_deeply([sort { $a <=> $b } @none], [1 .. 60], 'each is taken once');
isnt("@none", join(' ', 1 .. 60), 'those that fail are passed');

ok(wait_for(sub { came('/dead/fail-9-9') == 60 + 2 * 6 }, 30),
    'fifo with events that nobody takes');
is_deeply([sequences(came('/dead/fail-9-9'))],
    [map { $_ % 9 ? $_ : ($_) x 3 } 1 .. 60], 'goes on after each');
ok(wait_for(sub { dead($t, $dead) == 6 }), 'which is a dead letter');
is_deeply([map { $_->{sequence} } dead($t, $dead)], [map { $_ * 9 } 1 .. 6],
    'by its sequence');

ok(wait_for(sub { came('/both') == 80 }, 30), 'an endpoint of two feeds');
for my $feed (qw(orders other)) {
    is_deeply([sequences(grep { $_->{headers}{'eventsync-feed'} eq $feed }
        came('/both'))], [1 .. ($feed eq 'orders' ? 60 : 20)],
        "has each in order: $feed");
}

###############################################################################
# one that does not answer keeps nobody waiting

my $silent = $t->receiver({ hang => 1 });
my @waiting = map { scalar $t->endpoint('acme', url => $silent->url("/$_"),
    feeds => 'orders', ordering => $_ % 2 ? 'fifo' : 'none',
    in_flight => 2) } 1 .. 20;
ok(wait_for(sub {
    put($t, 'orders', 1);
    return $silent->count >= 20;
}, 20), 'endpoints that hang');

my $before = came('/both');
put($t, 'orders', 50);
my $last = () = stored($t, 'orders');
ok(wait_for(sub {
    my @all = came('/both');
    return (sequences(grep { $_->{headers}{'eventsync-feed'} eq 'orders' }
        @all))[-1] == $last;
}, 20), 'do not hold up the others');

my %per;
$per{ $_->{path} }++ for $silent->requests;
cmp_ok(max(values %per), '<=', 2, 'and get no more than their places');
$t->ctl_ok('endpoint', 'remove', $_) for @waiting;

###############################################################################
# a change of ordering

my $path = '/turn/fail-5-1';
my $turn = endpoint($path, ordering => 'none', in_flight => 8);
ok(wait_for(sub { taken($path, 5, 1) == $last }, 20), 'none');
$t->ctl_ok('endpoint', 'change', $turn, '--ordering=fifo');
my $cut = came($path);
ok(wait_for(sub {
    put($t, 'orders', 1);
    return came($path) > $cut;
}), 'turned to fifo');
put($t, 'orders', 40);
$last = () = stored($t, 'orders');
ok(wait_for(sub { taken($path, 5, 1) == $last }, 20), 'all are sent');
my @tail = (sequences(came($path)))[-30 .. -1];
is_deeply(\@tail, [sort { $a <=> $b } @tail], 'in order');

is($t->stop_dispatcher, 0, 'the dispatcher stops cleanly');

done_testing();
