#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# A clock that has been wrong for ten minutes is taken for right.  What that
# leaves behind, events that are dated in the future, harms no reader, and one
# command mends it.  And a store whose machine was off for long.

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

$t->store_init->feed('orders')->feed('other');
my $key = $t->master_key;
$t->default_conf(location => 'eventsync_backfill on; eventsync_checkpoints on;');

sub rfc3339 { return strftime('%Y-%m-%dT%TZ', gmtime(time + $_[0])) }
sub ten_minutes {
    is(system($t->build . '/helper/ten_minutes', $t->store, @_), 0,
        @_ ? 'the machine starts anew' : 'ten minutes pass');
}

# (exit, stdout, stderr) of a command with this clock.
sub at {
    my ($time, @args) = @_;
    my $opts = ref $args[0] ? shift @args : {};
    return $t->ctl({ %$opts, env => { LD_PRELOAD => $lib, FAKETIME => $time } },
        @args);
}
sub publish_at {
    my ($time, $feed) = @_;
    my ($rc, undef, $err) = at($time, { stdin => $t->event . "\n" }, 'publish',
        $feed);
    is($rc, 0, "an event at $time");
    return $err;
}
sub count {
    my ($feed, $query) = @_;
    return scalar(() = $t->http(GET => "/v1/feeds/$feed/backfill?$query",
        { authorization => "Bearer $key" })->{body} =~ /"specversion"/g);
}

# A clock that stays wrong.

$t->run_nginx;
like(publish_at('+30d', 'orders'), qr/ahead of the store's time/, 'ahead');
ten_minutes();
like(publish_at('+30d', 'orders'),
    qr/warning: the store's time is now \S+, because the clock has shown it for ten minutes/,
    'the same clock is believed, which is said');
$t->publish('orders', {}) for 1 .. 200;
is(count('orders', 'from=' . rfc3339(86400)), 201,
    'later events of the feed are dated as that one');
ok($t->verify, 'which is no fault of the store');

$t->http(PUT => '/v1/feeds/orders/checkpoints/c', { authorization =>
    "Bearer $key" }, '{"cursor":"' . $t->poll('orders', from => 'oldest',
    limit => 1)->{next} . '"}');

# The endpoint begins after all of them, which the dispatcher has seen before.
my $recv = $t->receiver(sub { 200 });
$t->run_dispatcher;
ok(wait_for(sub { ($t->ctl('endpoint', 'status'))[2] eq '' }),
    'the dispatcher has written a heartbeat');
my $endpoint = $t->endpoint('tester', url => $recv->url, feeds => 'orders',
    start => 'latest');
ok(wait_for(sub { $t->ctl_ok('endpoint', 'status', $endpoint) =~ /behind=0/ }),
    'an endpoint that begins at the latest event');
$t->publish('orders', { type => 'new' });
ok($recv->wait_for(1), 'is sent the next one');
like(($recv->requests)[0]{body}, qr/"type":"new"/, 'and none before it');
$t->stop_dispatcher;

# Mending.

my ($rc, undef, $err) = $t->ctl('feed', 'retime', 'orders');
is($rc, 1, 'a clock that the store does not believe mends nothing');
like($err, qr/^eventsyncctl: the clock of this process is \d+d [\d:]+ behind the store's time: try again/,
    'and says why');
ten_minutes();
is($t->ctl_ok('feed', 'retime', 'orders'), "202 events\n",
    'ten minutes later events of the future get the present time');
is(count('orders', 'from=' . rfc3339(60)), 0, 'none is dated later');
is(count('orders', 'to=' . rfc3339(60)), 203, 'all are of before');
is($t->ctl_ok('feed', 'retime', 'orders'), "0 events\n", 'nothing is left');
ok($t->verify, 'the store is whole');
is($t->publish('orders', {})->{status}, 201, 'an event');
ok(wait_for(sub { $t->http(GET => '/ops/metrics')->{body}
    =~ /^eventsync_feed_last_event_age_seconds\{feed="orders"\} (\S+)/m
    && $1 > 0 }), 'is dated rightly');
($rc, undef, $err) = $t->ctl('feed', 'retime', 'none');
is("$rc $err", qq(1 eventsyncctl: no feed "none"\n), 'no such feed');

# A machine that was off for forty days.

$t->feed('age', retain_age => '30d');
$t->publish('age', {}) for 1 .. 3;
ten_minutes('reboot');
like(publish_at('+40d', 'age'), qr/40d [\d:]{8} ahead of the store's last time before the machine was started/,
    'its clock is taken at once');
is(count('age', 'from=' . rfc3339(39 * 86400)), 1, 'for what comes');
($rc, undef, $err) = at('+40d', 'feed', 'retime', 'age');
like($err, qr/the time has been in doubt since the machine started/, 'though it is in doubt');
publish_at('+40d', 'age');
is(Test::Eventsync::json($t->ctl_ok('feed', 'show', 'age'))->{events}, 5,
    'and nothing is too old by it');
ten_minutes();
publish_at('+40d', 'age');
is(Test::Eventsync::json($t->ctl_ok('feed', 'show', 'age'))->{events}, 3,
    'before ten minutes have passed');
ok($t->verify, 'the store is whole');

done_testing();
