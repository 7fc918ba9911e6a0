#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# A dispatcher whose clock is wrong deletes and stops nothing by it.  When the
# clock has stayed as it is for ten minutes, as after a stop of 40 days, it is
# taken for right.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my ($lib) = glob '/usr/lib/*/faketime/libfaketimeMT.so.1';
plan skip_all => 'needs faketime' unless $lib;
plan skip_all => 'not under a sanitizer'
    if Test::Eventsync->new->sanitized;

my $t = webhook_store();
my $recv = $t->receiver(sub { 500 });

# The monotonic clock is false as well, as in a process for which the time has
# passed; `x100` makes ten minutes of it six seconds.
sub run {
    my ($time, %env) = @_;
    return $t->run_dispatcher({ env => { LD_PRELOAD => $lib,
        FAKETIME => $time, FAKETIME_NO_CACHE => 1, %env } },
        '--attempt-retention=1d', '--dead-retention=1d');
}
sub lines { return scalar(() = $t->ctl_ok('endpoint', @_) =~ /\n/g) }
sub events {
    return Test::Eventsync::json($t->ctl_ok('feed', 'show', $_[0]))->{events};
}
sub log_like { my ($re) = @_; return $t->{dispatcher}->stderr =~ $re }

# What the janitor does each two seconds tells that it has looked.
my $small = 0;
sub janitor_has_looked {
    my $feed = 'small' . ++$small;
    $t->feed($feed, retain_count => 1);
    put($t, $feed, 2);
    return wait_for(sub { events($feed) == 1 }, 30);
}

$t->feed('kept', retain_age => '30d');
put($t, 'kept', 100);
put($t, 'orders', 5);
my $dead = $t->endpoint('acme', url => $recv->url, feeds => 'orders',
    ordering => 'none', start => 'oldest', schedule => '0');
my $failing = $t->endpoint('acme', url => $recv->url, feeds => 'orders',
    ordering => 'none', start => 'oldest', schedule => '0,1s,1s,30d',
    disable_after => '5d');

$t->run_dispatcher;
ok(wait_for(sub { lines('dead', $dead) == 5 }), 'five dead letters');
ok(wait_for(sub { lines('attempts', $failing) == 15 }), 'fifteen attempts');
is($t->stop_dispatcher, 0, 'stop');

sub seen { return [events('kept'), lines('dead', $dead),
    lines('attempts', $dead)] }
is_deeply(seen(), [100, 5, 5], 'what there is');

for my $case (['+40d', 'ahead of', 'with all of its clocks'],
    ['+40d', 'ahead of', 'with its wall clock',
        FAKETIME_DONT_FAKE_MONOTONIC => 1],
    ['-40d', 'behind', 'with all of its clocks'],
    ['-40d', 'behind', 'with its wall clock',
        FAKETIME_DONT_FAKE_MONOTONIC => 1])
{
    my ($time, $where, $how, %env) = @$case;
    run($time, %env);
    ok(janitor_has_looked(), "a dispatcher $time $how");
    ok(janitor_has_looked(), 'that looks twice');
    is_deeply(seen(), [100, 5, 5], 'takes nothing that is not old');
    cmp_ok(lines('attempts', $failing), '>=', 15, 'nor attempts of retries');
    unlike($t->ctl_ok('endpoint', 'status', $failing), qr/stopped/,
        'and stops no endpoint');
    is(scalar(() = $t->{dispatcher}->stderr =~
        /the clock is (?:39|40)d [\d:]{8} $where the store's time: nothing/g), 1, 'it says so once, with the amount');
    is($t->stop_dispatcher, 0, 'stop');
}

run('+40d x100');
ok(wait_for(sub { events('kept') == 0 }, 30),
    'after ten minutes it is as if forty days had passed: events go');
ok(wait_for(sub { lines('dead', $dead) == 0 }), 'dead letters go');
ok(log_like(qr/ahead of the store's time for ten minutes: it is trusted now/),
    'which is said');
ok(wait_for(sub { log_like(qr/info: deleted 100 events of feed "kept": retention by age/) }), 'a line says how many events of which feed went');
is($t->stop_dispatcher, 0, 'stop');
ok($t->verify, 'the store is whole');

done_testing();
