#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# A publisher whose clock is wrong does not decide the times of a feed: neither
# ahead, which would hide the feed's events from all that goes by time, nor
# behind, which would have retention delete what has just come.

use warnings;
use strict;

use POSIX qw(strftime);
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);

my ($lib) = glob '/usr/lib/*/faketime/libfaketimeMT.so.1';
plan skip_all => 'needs faketime' unless $lib;

my $t = Test::Eventsync->new(workers => 1);
plan skip_all => 'not under a sanitizer' if $t->sanitized;

$t->store_init->feed('orders')->feed('late', retain_age => '30d')
    ->feed('brief', retain_age => '1s');
my $key = $t->master_key;
$t->default_conf(location => 'eventsync_backfill on; eventsync_checkpoints on;');
$t->run_nginx;
my $recv = $t->receiver(sub { 200 });

sub event { return $t->event(@_) . "\n" }
sub fake { return { LD_PRELOAD => $lib, FAKETIME => @_ } }

# One event by a process with this clock; what it says on stderr.
sub publish_at {
    my ($feed, $time, @env) = @_;
    my ($rc, undef, $err) = $t->ctl({ stdin => event(type => 'wrong'),
        env => fake($time, @env) }, 'publish', $feed);
    is($rc, 0, "an event is published with a clock $time");
    return $err;
}
sub rfc3339 { return strftime('%Y-%m-%dT%TZ', gmtime(time + $_[0])) }
sub count {
    my ($feed, $query) = @_;
    my $answer = $t->http(GET => "/v1/feeds/$feed/backfill?$query",
        { authorization => "Bearer $key" });
    return scalar(() = $answer->{body} =~ /"specversion"/g);
}
sub feed_show { Test::Eventsync::json($t->ctl_ok('feed', 'show', $_[0])) }

like(publish_at('orders', '+30d'),
    qr/warning: the clock of this process is (?:29|30)d [\d:]{8} ahead of the store's time/,
    'the publisher says so');
is($t->publish('orders', {})->{status}, 201, 'others publish') for 1 .. 10;

is(count('orders', 'to=' . rfc3339(60)), 11, 'all are of before a minute from now');
is(scalar @{ $t->poll('orders', from => rfc3339(2 * 86400))->{events} }, 0,
    'none is of the day after tomorrow');
my ($wrong) = @{ $t->poll('orders', from => 'oldest')->{events} };
like($wrong->{time}, qr/^\Q${\substr rfc3339(0), 0, 10}\E/,
    'a time that the store adds is right, too');

ok(wait_for(sub {
    $t->http(GET => '/ops/metrics')->{body}
        =~ /^eventsync_feed_last_event_age_seconds\{feed="orders"\} (\S+)/m
        and $1 > 0;
}), 'a producer that falls silent is seen at once');

my $endpoint = $t->endpoint('tester', url => $recv->url, feeds => 'orders',
    start => 'latest');
$t->run_dispatcher;
$t->publish('orders', { type => 'new' });
ok($recv->wait_for(1), 'an endpoint that begins now');
like(($recv->requests)[0]{body}, qr/"type":"new"/, 'is sent no older event');

publish_at('brief', '+30d');
ok(wait_for(sub { feed_show('brief')->{events} == 0 }, 20),
    'retention by age takes the event when it is old');

is($t->publish('late', {})->{status}, 201, 'a right publisher');
like(publish_at('late', '-40d'),
    qr/warning: the clock of this process is (?:39|40)d [\d:]{8} behind the store's time/,
    'a publisher behind says so');
publish_at('late', '-40d', FAKETIME_DONT_FAKE_MONOTONIC => 1);
publish_at('brief', '+1d');
ok(wait_for(sub { feed_show('brief')->{events} == 0 }, 20),
    'the janitor has looked');
is(feed_show('late')->{events}, 3, 'events of a clock that is behind are as '
    . 'new as those before them, and stay');
is(count('late', 'from=' . rfc3339(-60)), 3, 'by their times, too');
is(publish_at('orders', '+30s'), '', 'half a minute is nothing to speak of');

# A time namespace moves the clock since boot, which says nothing of the time.
SKIP: {
    my @in = qw(unshare --time --boottime 864000 --fork);
    skip 'needs time namespaces', 1 if system "@in true 2>/dev/null";

    $t->write_file('one', event());
    is(scalar(`@in \Q${\$t->build}\E/eventsyncctl --store=\Q${\$t->store}\E publish orders <\Q${\$t->testdir}\E/one 2>&1`),
        '', 'a container that says it has run for ten days longer is right');
}
ok($t->verify, 'the store is whole');

# A store that was never right goes on as it was, and its dispatcher waits.
my $log = $t->{dispatcher}->stderr;
unlike($log, qr/clock/, 'the dispatcher has nothing to say of its own clock');
is($t->stop_dispatcher, 0, 'stop');

done_testing();
