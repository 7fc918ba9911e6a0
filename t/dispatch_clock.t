#!/usr/bin/perl

# The wall clock jumps: retries follow it, and none waits for ever.  The last
# delay is the longest by more than the clock is put back and the jitter.

use warnings;
use strict;

use Test::More;
use Time::HiRes qw(sleep);

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my ($lib) = glob '/usr/lib/*/faketime/libfaketimeMT.so.1';
plan skip_all => 'needs faketime' unless $lib;
plan skip_all => 'not under a sanitizer'
    if Test::Eventsync->new->sanitized;

my $t = webhook_store();
my $recv = $t->receiver(sub {
    my ($request) = @_;
    return $request->{headers}{'eventsync-attempt'} < 4 ? 500 : 200;
});
my $name = $t->endpoint('acme', url => $recv->url, feeds => 'orders',
    start => 'oldest', schedule => '0,2h,20h,30h');
put($t, 'orders', 1);

sub clock { $t->write_file('clock', "$_[0]\n") }

clock('+0');
$t->run_dispatcher({ env => { LD_PRELOAD => $lib, FAKETIME_NO_CACHE => 1,
    FAKETIME_TIMESTAMP_FILE => $t->testdir . '/clock',
    FAKETIME_DONT_FAKE_MONOTONIC => 1 } });
ok(wait_for(sub { retries($t, $name) }), 'a retry in two hours');
sleep 0.3;
is($recv->count, 1, 'waits');

clock('+3h');
ok($recv->wait_for(2), 'until the clock says so');
ok(wait_for(sub {
    my ($retry) = retries($t, $name);
    return $retry && $retry->{attempts} == 2;
}), 'the next one in twenty');

clock('-1h');
sleep 1.5;
is($recv->count, 2, 'a clock that is put back a little makes it wait');

clock('-30d');
ok($recv->wait_for(3), 'but not for longer than any delay');
my @stamps = map { $_->{headers}{'webhook-timestamp'} } $recv->requests;
cmp_ok($stamps[2], '<', $stamps[0], 'with the time as it then is');

clock('+2d');
ok($recv->wait_for(4), 'and then goes on');
is($t->stop_dispatcher, 0, 'the dispatcher stops cleanly');

done_testing();
