#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# How many an endpoint is sent, in a time and at a time: rate, window, places
# that are kept.

use warnings;
use strict;

use List::Util qw(max);
use Test::More;
use Time::HiRes qw(time);

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store();
my @busy;
my $recv = $t->receiver(sub {
    my ($request) = @_;
    my ($how) = $request->{path} =~ m{^/(\w+)};
    my ($n) = $request->{body} =~ /"sequence":"0*(\d+)"/;

    if ($how eq 'crowd') {

        # Four at a time are answered in 30 ms, each more costs 100 ms.
        my $now = time();
        @busy = grep { $_ > $now } @busy;
        my $over = @busy - 3;
        my $delay = 0.03 + ($over > 0 ? $over * 0.1 : 0);
        push @busy, $now + $delay;
        return { status => 200, delay => $delay, body => 'busy ' . @busy };
    }
    if ($how eq 'steady') {
        my $now = time();
        @busy = grep { $_ > $now } @busy;
        push @busy, $now + 0.03;
        return { status => 200, delay => 0.03, body => 'busy ' . @busy };
    }
    if ($how eq 'kept') {
        return { status => 200, delay => 5 } if $n > 1;
        return $request->{headers}{'eventsync-attempt'} == 1 ? 500 : 200;
    }
    return { status => 200, delay => 0.01 } if $how eq 'turns';
    return 200;
});
sub endpoint {
    my ($path, %opts) = @_;
    return scalar $t->endpoint('acme', url => $recv->url("/$path"),
        feeds => 'orders', start => 'oldest', %opts);
}
sub came { my ($path) = @_; grep { $_->{path} eq "/$path" } $recv->requests }

put($t, 'orders', map { { subject => "s$_" } } 1 .. 18);
$t->run_dispatcher;

###############################################################################
# rate: n + 1 attempts take the time of n + 1 - burst, in every mode

my %rated = map { $_ => endpoint("rate_$_", ordering => $_, rate => '10r/s',
    burst => 3) } qw(fifo key none);
for my $mode (sort keys %rated) {
    ok(wait_for(sub { attempts($t, $rated{$mode}) == 18 }, 30),
        "rate: all are sent, $mode");
    my @at = map { $_->{time_ms} } attempts($t, $rated{$mode});
    my $short = grep { $at[$_ + 5] - $at[$_] < 300 - 20 } 0 .. 12;
    is($short, 0, 'and never more than the rate and the burst');
    cmp_ok($at[-1] - $at[0], '>=', 1500 - 20, 'in all of the time');
}

my $slow = endpoint('slow', rate => '1r/h');
ok(wait_for(sub { came('slow') == 1 }), 'one an hour: the first');
$t->ctl_ok('endpoint', 'change', $slow, '--rate=1000r/s');
ok(wait_for(sub { came('slow') == 18 }), 'a change begins anew');
$t->ctl_ok('endpoint', 'change', $slow, '--rate=1r/h', '--burst=2');
put($t, 'orders', 3);
ok(wait_for(sub { came('slow') == 20 }), 'with a full bucket');
$t->ctl_ok('endpoint', 'remove', $_) for $slow, values %rated;

###############################################################################
# places that are kept for those that failed

my $kept = endpoint('kept', ordering => 'none', in_flight => 4,
    schedule => '0,300ms,300ms');
ok(wait_for(sub { came('kept') >= 5 }, 20), 'slow answers');
is_deeply([(map { "@{[sequences($_)]}:$_->{headers}{'eventsync-attempt'}" }
    came('kept'))[4]], ['1:2'], 'do not keep one that failed from its retry');
$t->ctl_ok('endpoint', 'remove', $kept);

###############################################################################
# feeds take turns at an endpoint's only place

$t->feed('other');
put($t, 'other', 20);
my $turns = endpoint('turns', feeds => 'orders,other', ordering => 'none',
    in_flight => 1);
ok(wait_for(sub { came('turns') >= 20 }, 20), 'two feeds, one place');
my %feeds;
$feeds{ $_->{headers}{'eventsync-feed'} }++ for (came('turns'))[0 .. 19];
cmp_ok($feeds{$_} // 0, '>=', 8, "take turns: $_") for qw(orders other);
$t->ctl_ok('endpoint', 'remove', $turns);

###############################################################################
# the window follows latency

$t->feed('many');
put($t, 'many', 300);
sub busy {
    my ($name) = @_;
    return map { Test::Eventsync::json($_)->{body} =~ /busy (\d+)/ ? $1 : () }
        split /\n/, $t->ctl_ok('endpoint', 'attempts', $name, '--json');
}
my $crowd = endpoint('crowd', feeds => 'many', ordering => 'none');
ok(wait_for(sub { came('crowd') == 300 && attempts($t, $crowd) == 300 }, 60),
    'a receiver that slows with concurrency');
my @at = busy($crowd);
cmp_ok(max(@at[0 .. 60]), '>', 20, 'is sent many at first');
cmp_ok(max(@at[200 .. 299]), '<', 11, 'and then as many as it can answer');

@busy = ();
my $steady = endpoint('steady', feeds => 'many', ordering => 'none');
ok(wait_for(sub { came('steady') == 300 && attempts($t, $steady) == 300 }, 60),
    'one that does not');
@at = busy($steady);
cmp_ok(max(@at[200 .. 299]), '>', 10, 'is sent many to the end');
is($t->stop_dispatcher, 0, 'the dispatcher stops cleanly');

done_testing();
