#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# The wall clock is set while retries wait: none waits longer for that, or is
# made earlier, and nobody's endpoint is disabled by it.  After a start they
# follow the clock as it then is.

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
    return $request->{headers}{'eventsync-attempt'} < 5 ? 500 : 200;
});
my $name = $t->endpoint('acme', url => $recv->url, feeds => 'orders',
    start => 'oldest', schedule => '0,3s,3s,2h,30h', disable_after => '1h');
put($t, 'orders', 1);

sub clock { $t->replace_file('clock', "$_[0]\n") }

sub run {
    $t->run_dispatcher({ env => { LD_PRELOAD => $lib, FAKETIME_NO_CACHE => 1,
        FAKETIME_TIMESTAMP_FILE => $t->testdir . '/clock',
        FAKETIME_DONT_FAKE_MONOTONIC => 1 } });
}

sub waits {
    my ($attempts) = @_;
    return wait_for(sub {
        my ($retry) = retries($t, $name);
        return $retry && $retry->{attempts} == $attempts;
    });
}

# How often a thread of the dispatcher has gone to sleep.
sub sleeps {
    my ($thread) = @_;

    for (glob '/proc/' . $t->{dispatcher}->pid . '/task/*/status') {
        my $status = $t->read_file($_);
        next unless $status =~ /^Name:\s+\Q$thread\E$/m;
        return $status =~ /^voluntary_ctxt_switches:\s+(\d+)/m ? $1 : undef;
    }
    return;
}

clock('+0');
run();
ok(waits(1), 'a retry in three seconds');
clock('-1h');
ok($recv->wait_for(2, 30), 'comes, though the clock was put back an hour');
my @stamps = map { $_->{headers}{'webhook-timestamp'} } $recv->requests;
cmp_ok($stamps[1], '<', $stamps[0], 'with the time as it then is');

ok(waits(2), 'the next one');
clock('+3h');
ok($recv->wait_for(3, 30), 'comes, though it was put forward');
ok(waits(3), 'and fails');
unlike($t->ctl_ok('endpoint', 'status', $name), qr/stopped/,
    'that many hours are not those of which it may fail one');
sleep 1.5;
is($recv->count, 3, 'a retry in two hours is not due by that either');
for my $thread (qw(es-janitor es-notifier)) {
    cmp_ok(sleeps($thread), '<', 2000, "$thread waits by a clock that runs");
}

is($t->stop_dispatcher, 0, 'the dispatcher stops cleanly');
$t->ctl_ok('endpoint', 'change', $name, '--disable-after=0');
clock('-30d');
run();
ok($recv->wait_for(4), 'after a start none waits for longer than any delay');
ok(waits(4), 'one in thirty hours');
is($t->stop_dispatcher, 0, 'the dispatcher stops cleanly');

clock('+3d');
run();
ok($recv->wait_for(5), 'is made by a start after that');
is($t->stop_dispatcher, 0, 'the dispatcher stops cleanly');

done_testing();
