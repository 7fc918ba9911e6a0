#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Keys, scopes, feeds; and that what an operator changes is so at once in
# every worker.

use warnings;
use strict;

use POSIX qw(strftime);
use Test::More;
use Time::HiRes qw(sleep);

use lib 't/lib';
use Test::Eventsync qw(wait_for);

my $t = Test::Eventsync->new(workers => 2);
$t->store_init->feed('prices')->feed('orders-acme')->feed('orders-bolt');
my $acme = $t->partner_key('acme', feeds => 'prices,orders-acme',
    publish => 'orders-acme');
my $reader = $t->partner_key('acme', scopes => 'read');
my $writer = $t->partner_key('acme', scopes => 'publish');
my $narrow = $t->partner_key('acme', key_feeds => 'prices');
my $wild = $t->partner_key('bolt', feeds => 'orders-*');
my $old = $t->partner_key('acme', key_expires => '2020-01-01T00:00:00Z');

$t->default_conf(server => <<'CONF');
        location /open/ {
            eventsync_poll on;
            eventsync_publish on;
            eventsync_auth off;
        }
        location /xfeeds/feedsx/ {
            eventsync_poll on;
            eventsync_publish on;
        }
        location /v1/feeds/prices/ {
            eventsync_poll on;
            eventsync_auth off;
        }
        location /v1/event-types/ {
            eventsync_poll on;
            eventsync_catalogue on;
            eventsync_auth off;
        }
        location /v1/openapi.json {
            eventsync_poll on;
            eventsync_openapi on;
            eventsync_auth off;
        }
CONF
$t->run_nginx;

my $prices = '/xfeeds/feedsx/feeds/prices/events';
my $orders = '/v1/feeds/orders-acme/events';
my $bolt = '/v1/feeds/orders-bolt/events';

sub get {
    my ($path, $credential) = @_;
    return $t->http(GET => $path,
        { defined $credential ? (authorization => $credential) : () });
}

sub with { return get($_[0], "Bearer $_[1]") }

sub post {
    my ($path, $key) = @_;
    return $t->http(POST => $path, { 'content-type' => 'application/json',
        $key ? (authorization => "Bearer $key") : () }, $t->event);
}

sub type {
    return (Test::Eventsync::json($_[0]{body})->{type} // '')
        =~ s/^urn:eventsync:problem://r;
}

###############################################################################
# credentials

my $answer = get($prices);
is($answer->{status}, 401, 'no credential');
is(type($answer), 'unauthorized', 'no credential: type');
is($answer->{headers}{'www-authenticate'}, 'Bearer realm="eventsync"',
    'no credential: challenge');
is($answer->{headers}{'cache-control'}, 'no-store', 'no credential: no-store');

$answer = get($prices, 'Basic YTpi');
is($answer->{status}, 401, 'another scheme');
is($answer->{headers}{'www-authenticate'}, 'Bearer realm="eventsync"',
    'another scheme: challenge');

is(get($prices, 'Bearer ')->{headers}{'www-authenticate'},
    'Bearer realm="eventsync"', 'an empty key is none');

my $typo = $acme;
substr($typo, 30, 1) = substr($typo, 30, 1) eq 'a' ? 'b' : 'a';
my $unknown = do {
    my $other = Test::Eventsync->new;
    $other->store_init->partner_key('x', feeds => '*');
};

my %bad = (mistyped => $typo, truncated => substr($acme, 0, -1),
    longer => "${acme}a", garbage => 'esk_', expired => $old,
    'of another store' => $unknown, uppercase => uc $acme);
for my $name (sort keys %bad) {
    $answer = with($prices, $bad{$name});
    is($answer->{status}, 401, "key is $name");
    is($answer->{headers}{'www-authenticate'},
        'Bearer realm="eventsync", error="invalid_token"',
        "key is $name: challenge");
}

is(with($prices, $acme)->{status}, 200, 'a good key');
is(get($prices, "bearer   $acme")->{status}, 200, 'case of the scheme, spaces');
is(with($prices, $typo)->{status}, 401, 'mistyped after the good one');

###############################################################################
# what is granted

is(with($orders, $acme)->{status}, 200, 'a feed of its own');
is(with($bolt, $acme)->{status}, 404, 'a feed of somebody else');
is(with($bolt, $acme)->{body}, with('/v1/feeds/none/events', $acme)->{body},
    'the same bytes as for a feed that is not there');
is(with($orders, $wild)->{status}, 200, 'a pattern');
is(with($prices, $wild)->{status}, 404, 'a pattern that does not match');

is(post($orders, $acme)->{status}, 201, 'publish');
$answer = post($prices, $acme);
is($answer->{status}, 403, 'publish to what it may only read');
is(type($answer), 'forbidden', 'its type');
is(post($bolt, $acme)->{status}, 404, 'publish to what it may not know');
is(post($orders, $reader)->{status}, 403, 'scope publish is missing');
is(post($orders, $wild)->{status}, 403, 'scope, but no feed to publish to');
is(post($orders)->{status}, 401, 'publish without a key');
is(with($orders, $writer)->{status}, 403, 'scope read is missing');
is(post($orders, $writer)->{status}, 201, 'scope publish is enough');
is(with($prices, $narrow)->{status}, 200, 'narrowed to a feed');
is(with($orders, $narrow)->{status}, 404, 'narrowed: not another');
is(post($orders, $narrow)->{status}, 404, 'narrowed: nor to publish');

is(get('/open/feeds/prices/events')->{status}, 200, 'auth is off: poll');
is(post('/open/feeds/prices/events')->{status}, 201, 'auth is off: publish');
is(get('/open/feeds/none/events')->{status}, 404, 'auth is off: no feed');

###############################################################################
# one resource in the place of another's

is(get('/v1/feeds/prices/events')->{status}, 200, 'a feed without credential');
for my $before ('/v1/feeds/prices', '/v1/feeds/prices/x', '/v1/feeds',
    '/v1/event-types', '/v1/event-types/x', '/v1/openapi.json',
    '/open/endpoints')
{
    is(get("$before/feeds/orders-acme/events")->{status}, 404,
        "no other feed below $before");
}
is(get('/v1/feeds/prices/%2e%2e/orders-acme/events')->{status}, 401,
    'what the URI comes to is checked');
is(get("/v1/feeds/prices$_/events")->{status}, 404, "nor by $_")
    for '%2ffeeds%2forders-acme', '%2Ffeeds/orders-acme';
is(with('/xfeeds/feedsx/feeds/orders-acme/events', $acme)->{status}, 200,
    'a prefix that is only like it');

###############################################################################
# changes

# The same answer from each worker: on many connections, several at a time.
sub everywhere {
    my ($path, $key) = @_;
    my %seen;
    for my $round (1 .. 4) {
        my @calls = map { $t->http_start(GET => $path,
            { authorization => "Bearer $key" }) } 1 .. 8;
        $seen{ $t->http_end($_)->{status} }++ for @calls;
    }
    return join ' ', sort keys %seen;
}

is(everywhere($prices, $narrow), '200', 'before: all workers');
$t->ctl_ok('key', 'revoke', substr($narrow, 4, 10));
is(everywhere($prices, $narrow), '401', 'revoked: all workers at once');

my $fresh = $t->partner_key('acme');
is(everywhere($prices, $fresh), '200', 'a new key: all workers at once');
$t->ctl_ok('partner', 'change', 'acme', '--feeds=orders-acme');
is(everywhere($prices, $fresh), '404', 'a feed taken away');
$t->ctl_ok('partner', 'change', 'acme', '--feeds=prices,orders-acme');
is(everywhere($prices, $fresh), '200', 'and given again');
$t->ctl_ok('partner', 'change', 'acme', '--disabled');
is(everywhere($prices, $fresh), '401', 'partner disabled');
$t->ctl_ok('partner', 'change', 'acme', '--enabled');
is(everywhere($prices, $fresh), '200', 'and enabled');

sub ends_in {
    return strftime('%Y-%m-%dT%H:%M:%SZ', gmtime(time + $_[0]));
}

my $short = $t->partner_key('acme', key_expires => ends_in(3600));
is(with($prices, $short)->{status}, 200, 'before it expires');

# A waiting request loses what its key loses.
my $call = $t->http_start(GET => "$prices?from=latest&wait=60",
    { authorization => "Bearer $short" });
$t->waiting(1);
$t->ctl_ok('key', 'change', substr($short, 4, 10), '--expires=' . ends_in(2));
my $ended = $t->http_end($call);
is($ended->{status}, 401, 'a waiting request ends when its key now expires');
cmp_ok($ended->{seconds}, '<', 50, 'and not at its own end');
ok(wait_for(sub { with($prices, $short)->{status} == 401 }, 20), 'expired');

$call = $t->http_start(GET => "$prices?from=latest&wait=30",
    { authorization => "Bearer $fresh" });
$t->waiting(1);
$t->ctl_ok('key', 'revoke', substr($fresh, 4, 10));
$answer = $t->http_end($call);
is($answer->{status}, 401, 'a waiting request ends when its key is revoked');
cmp_ok($answer->{seconds}, '<', 20, 'and not at its own end');

# A slow upload is checked again when it is complete.
my $late = $t->partner_key('acme');
my $event = $t->event;
my $sock = $t->socket;
$t->send_all($sock, "POST $orders HTTP/1.1\r\nHost: localhost\r\n"
    . "Authorization: Bearer $late\r\nContent-Type: application/json\r\n"
    . 'Content-Length: ' . length($event) . "\r\nConnection: close\r\n\r\n"
    . substr($event, 0, 10));
sleep 0.3;
$t->ctl_ok('key', 'revoke', substr($late, 4, 10));
$t->send_all($sock, substr($event, 10));
like($t->read_all($sock), qr{^HTTP/1\.1 401 }, 'revoked while it uploaded');

###############################################################################
# a limit that is taken away from a request that waits

my $limited = $t->partner_key('carl', feeds => 'prices', limit_poll => '60r/m,burst=9');
my ($carl) = $limited =~ /^esk_([a-z2-7]{10})_/;
my $hold = sub {
    my $sock = $t->http_start(GET => "$prices?from=latest&wait=60",
        { authorization => "Bearer $limited" });
    wait_for(sub { $t->http(GET => '/ops/metrics')->{body}
        =~ /^eventsync_http_waiting_requests\{kind="poll"\} 1$/m }, 20) or die;
    return $sock;
};

my $held = $hold->();
$t->ctl_ok(qw(partner change carl --limit-poll=default));
is(post('/open/feeds/prices/events')->{status}, 201, 'published');
$answer = $t->http_end($held);
is($answer->{status}, 200, 'a held poll of a partner without a limit now');
is($answer->{headers}{ratelimit}, undef, '... is told none');

$t->ctl_ok(qw(partner change carl), '--limit-poll=60r/m,burst=9');
$held = $hold->();
$t->ctl_ok(qw(key revoke), $carl);
is($t->http_end($held)->{status}, 401,
    'a held poll of a limited partner whose key is revoked');

done_testing();
