#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# eventsyncctl as a client of the HTTP interface: publish and tail with --url
# do what they do on the store.

use warnings;
use strict;

use POSIX qw(strftime);
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);

my $t = Test::Eventsync->new(workers => 2);
$t->store_init->feed('orders')->feed('slow');
my $key = $t->partner_key('acme', feeds => '*', publish => '*');
my $limited = $t->partner_key('slow', feeds => '*', publish => '*',
    limit_publish => '2r/s,burst=1', limit_poll => '2r/s,burst=1');
my $reader = $t->partner_key('acme', scopes => 'read');

$t->default_conf(location => 'eventsync_poll_wait_max 2s;'
    . ' eventsync_limit poll rate=1000r/s burst=1000;');
$t->run_nginx;
my $url = 'http://127.0.0.1:' . $t->port(0) . '/v1/';
$ENV{EVENTSYNC_KEY} = $key;
$ENV{http_proxy} = 'http://127.0.0.1:1';

sub events { join '', map { $t->event(id => "$_", type => 't.' . $_ % 2,
    data => \'{"exact": 1.50}') . "\n" } @_ }
sub publish { $t->ctl({ stdin => shift }, 'publish', @_, "--url=$url") }
sub tail { $t->ctl_ok('tail', @_, "--url=$url") }

sub fails {
    my ($status, $line, $name, @args) = @_;
    my ($rc, $out, $err) = $t->ctl(@args);
    is($rc, $status, "$name: exit $status");
    like($err, qr/\Aeventsyncctl: $line[^\n]*\n\z/, "$name: one line says why");
}

###############################################################################
# publish

my ($rc, $out, $err) = publish(events(1 .. 2500) . "\n  \n", 'orders',
    '--results');
is($rc, 0, 'many lines, key from the environment') or diag($err);
my @lines = split /\n/, $out;
is(scalar @lines, 2500, 'a line for each event');
like($lines[2499], qr/^[a-z2-7]+-2500 2500$/, 'with its cursor');
(undef, $out) = publish(events(7), 'orders', '--results');
like($out, qr/^[a-z2-7]+-7 7 duplicate$/, 'a repeat is said to be one');
is((publish('[' . join(',', split /\n/, events(2501, 2502)) . ']', 'orders',
    '--format=batch'))[0], 0, 'a batch');
is((publish($t->event(id => '2503', data => 'ä'), 'orders',
    '--format=json'))[0], 0, 'one event');
is((publish(join('', map { $t->event(id => "large$_",
    data => 'x' x 100_000) . "\n" } 1 .. 25), 'orders'))[0], 0,
    'large ones in requests of a size that is taken');

fails(1, 'feed "orders": event 1003: answered 400: /id: ',
    'an event that is not right', { stdin => events(1 .. 1002)
    . qq({"specversion":"1.0","source":"/s","type":"t"}\n) }, 'publish',
    'orders', "--url=$url");
fails(1, 'feed "orders": event 1: answered 409: ', 'a conflict',
    { stdin => $t->event(id => '1', type => 'other') }, 'publish', 'orders',
    "--url=$url");
fails(1, 'feed "none": answered 404: ', 'no feed', { stdin => events(1) },
    'publish', 'none', "--url=$url");
fails(1, 'feed "orders": answered 401: ', 'a wrong key',
    { stdin => events(1) }, 'publish', 'orders', "--url=$url", '--key=esk_x');
fails(1, 'feed "orders": answered 403: ', 'a key to read',
    { stdin => events(1) }, 'publish', 'orders', "--url=$url",
    "--key=$reader");
fails(2, '"x/../y" is not a feed', 'a bad feed', { stdin => '' }, 'publish',
    'x/../y', "--url=$url");
fails(2, '"--key" needs "--url"', 'a key for nothing', 'publish', 'orders',
    '--key=x');
fails(2, '"--url=ftp://x" must begin', 'a bad URL', 'tail', 'orders',
    '--url=ftp://x');
fails(1, '"http://127.0.0.1:1/feeds/orders/events', 'nobody there', 'tail',
    'orders', '--url=http://127.0.0.1:1');

is((publish(events(1 .. 3), 'slow', '--batch=1', "--key=$limited"))[0], 0,
    'over the limit it waits and goes on');
is(scalar(split /\n/, $t->ctl_ok('tail', 'slow')), 3, 'all are there');

# A proxy may give the time as a date.
my $busy = $t->receiver(sub {
    return { status => 201, body => '{"results":[{"id":"1","cursor":"abc-1",'
        . '"duplicate":false}]}' } if $_[0]{n} > 1;
    return { status => 429, headers => { 'Retry-After' =>
        strftime('%a, %d %b %Y %H:%M:%S GMT', gmtime time + 3) } };
});
is(($t->ctl({ stdin => events(1) }, 'publish', 'orders', '--url='
    . $busy->url('/v1/')))[0], 0, 'it waits for a date, too');
my @at = map { $_->{time} } $busy->requests;
cmp_ok($at[1] - $at[0], '>=', 1, 'and no less') if is(scalar @at, 2, 'once');

###############################################################################
# tail

my $stored = $t->ctl_ok('tail', 'orders');
is(tail('orders'), $stored, 'tail prints what the store has, byte for byte');
my ($cursor) = (split /\n/, $stored)[2400] =~ /"cursor":"([^"]+)"/;
for (["--after=$cursor"], ['--from=latest'], ['--from=oldest', '--limit=150'],
    ['--limit=3'], ["--after=$cursor", '--limit=100'], ['--from=2001-01-01T'
    . '00:00:00+01:00', '--limit=1'])
{
    is(tail('orders', @$_), $t->ctl_ok('tail', 'orders', @$_), "the same: @$_");
}
is(scalar(split /\n/, tail('orders', '--types=t.1', "--after=$cursor")), 50,
    'of one type');
is(tail('orders', '--subject=none & none'), '', 'of no subject');

fails(1, 'orders: answered 410: ', 'another epoch', 'tail', 'orders',
    '--after=abcdefgh-1', "--url=$url");
fails(1, 'orders: answered 400: ', 'ahead', 'tail', 'orders',
    '--after=' . $cursor . '0', "--url=$url");

# From the last cursor, so that it does not matter who is first.
($cursor) = $t->ctl_ok('feed', 'show', 'slow') =~ /"latest":"([^"]+)"/;
my $tail = $t->ctl_start('tail', 'slow', "--after=$cursor", '--follow',
    '--limit=3', "--url=$url");
for my $n (11 .. 13) {
    publish(events($n), 'slow');
    ok(wait_for(sub { $tail->stdout =~ /"id":"$n"/ }, 10), 'tail follows');
    wait_for(sub { 0 }, 2.2) if $n == 12;    # over the location's longest wait
}
is($tail->wait(10), 0, 'and ends at its limit');
is($tail->stderr, '', 'with nothing to complain about');

my @limited = split /\n/, tail('orders', "--key=$limited", '--limit=250');
is(scalar @limited, 250, 'over the limit it waits and goes on');

done_testing();
