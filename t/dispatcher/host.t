#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# --max-per-host: what all endpoints together may have in flight to one host.

use warnings;
use strict;

use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Metrics qw(parse_metrics);
use Test::Eventsync::Webhooks;

my $t = webhook_store();
$t->feed($_) for qw(bulk other);
$t->partner($_, feeds => '*') for qw(greedy small);

# The first answer to each path is quick, so that the endpoint is trusted.
my %first;
my $slow = sub {
    my ($request) = @_;
    return { body => '{"access_token":"x","token_type":"bearer"}', delay => 1 }
        if $request->{path} eq '/token';
    return { delay => $first{ $request->{path} }++ ? 1 : 0 };
};
my $busy = $t->receiver($slow);
my $free = $t->receiver(200);

sub endpoint {
    my ($partner, $url, %opts) = @_;
    return scalar $t->endpoint($partner, url => $url, feeds => 'bulk',
        start => 'oldest', ordering => 'none', in_flight => 16, %opts);
}
sub came { my ($path, $recv) = @_;
    return grep { $_->{path} eq $path } ($recv // $busy)->requests }
sub remove { $t->ctl_ok('endpoint', 'remove', $_) for @_ }

# The most requests of 1 s that were in flight at once, of those that match.
sub at_once {
    my ($pattern) = @_;
    my (%seen, $most);
    my @times = map { $_->{time} } grep { $_->{path} =~ $pattern
        && ($_->{path} eq '/token' || $seen{ $_->{path} }++) } $busy->requests;
    for my $time (@times) {
        my $n = grep { $_ <= $time && $_ > $time - 0.8 } @times;
        $most = $n if $n > ($most // 0);
    }
    return $most;
}

###############################################################################
# the bound, for all names of the host; in turn; and no other host waits

(my $short = $busy->url('/c')) =~ s/127\.0\.0\.1/127.1/;
my @busy = (endpoint('greedy', $busy->url('/a')),
    endpoint('greedy', $busy->url('/b')), endpoint('small', $short));
put($t, 'bulk', 40);
$t->run_dispatcher('--max-per-host=2');
ok($busy->wait_for(12, 30), 'three endpoints of a host');
is(at_once(qr/./), 2, 'have as many requests in flight as one may');
my $says = qr/endpoints wait for "127\.0\.0\.1:\d+": as many requests are in/;
like($t->{dispatcher}->stderr, qr/$says flight as --max-per-host=2 allows$/m,
    'the log says so');
my @lines = $t->{dispatcher}->stderr =~ /endpoints wait/g;
is(scalar @lines, 1, 'once a minute');

my $other = endpoint('greedy', $free->url('/other'), feeds => 'other');
put($t, 'other', 5);
ok(wait_for(sub { came('/other', $free) == 5 }), 'nobody else waits');
cmp_ok($busy->count, '<', 60, 'meanwhile');

ok($busy->wait_for(21, 30), 'the endpoints take turns');
cmp_ok(scalar came($_), '>=', 4, "also $_") for qw(/a /b /c);

# A test event has its turn, too.
my $late = endpoint('small', $busy->url('/late'), feeds => 'other');
my $test = $t->ctl_start(qw(endpoint test), $late);
ok(wait_for(sub { grep { $_->{headers}{'webhook-id'} =~ /^test-/ }
    came('/late') }, 10), 'a test event comes');
cmp_ok($busy->count, '<', 100, 'long before the backlog is sent');
$test->wait(20);

my $metrics = sub {
    my $nginx = $t->http(GET => '/metrics');
    my ($n) = $nginx->{body}
        =~ /^eventsync_delivery_host_waits_total (\d+)$/m;
    return $n;
};
remove(@busy, $other, $late);

###############################################################################
# a lane that waits for its host keeps the partner's slots free

@busy = map { endpoint('greedy', $busy->url("/more$_")) } 1 .. 6;
ok(wait_for(sub { 6 == grep { came("/more$_") } 1 .. 6 }, 30),
    'six endpoints of a partner');
$other = endpoint('greedy', $free->url('/second'), feeds => 'other');
put($t, 'other', 20);
ok(wait_for(sub { came('/second', $free) == 25 }, 5),
    'do not keep another of its hosts waiting');
remove(@busy, $other);

###############################################################################
# a token server is a host as well

my $key = $t->start('openssl', {}, 'openssl', 'rand', '-base64', '-out',
    $t->testdir . '/key', '32');
is($key->wait(20), 0, 'a key');
my $oauth = JSON::PP->new->encode({ token_url => $busy->url('/token'),
    client_id => 'a', client_secret => 'b' });
is($t->stop_dispatcher, 0, 'stop');
chmod 0600, $t->testdir . '/key';
my @key = ('--key-file=' . $t->testdir . '/key');
my @theirs = map { endpoint('small', $free->url("/t$_"), oauth => $oauth,
    key_file => $t->testdir . '/key') } 1 .. 6;
$t->run_dispatcher('--max-per-host=2', @key);
ok(wait_for(sub { 6 == grep { came("/t$_", $free) } 1 .. 6 }, 30),
    'endpoints get their tokens');
is(scalar came('/token'), 6, 'one each');
is(at_once(qr{^/token$}), 2, 'as many at a time as the host may be sent');

is($t->stop_dispatcher, 0, 'stop');
ok($t->verify(@key), 'verify');
$t->default_conf(server => <<'CONF');
        location = /metrics { eventsync_metrics on; eventsync_auth off; }
CONF
$t->run_nginx;
cmp_ok($metrics->(), '>', 10, 'the metric counts the waits');
done_testing();
