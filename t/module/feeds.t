#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Feeds: what the caller may read.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync;

my $t = Test::Eventsync->new;
$t->store_init->feed('prices', retain_count => 100, retain_age => '7d')
    ->feed('orders-acme', retain_bytes => 1000000)->feed('orders-bolt')
    ->feed('drop');
my $acme = $t->partner_key('acme', feeds => 'prices,orders-acme,none',
    publish => 'drop');
my $narrow = $t->partner_key('acme', key_feeds => 'prices');
my $writer = $t->partner_key('acme', scopes => 'publish');
my $master = $t->master_key;

$t->default_conf(server => <<'CONF');
        location /open/ {
            eventsync_feeds on;
            eventsync_auth off;
        }
CONF
$t->run_nginx;

sub get {
    my ($path, $key) = @_;
    return $t->http(GET => $path,
        { $key ? (authorization => "Bearer $key") : () });
}

sub names {
    my $answer = get(@_);
    return join ' ', map { $_->{name} }
        @{ Test::Eventsync::json($answer->{body})->{feeds} };
}

is(names('/v1/feeds', $master), 'drop orders-acme orders-bolt prices',
    'all feeds, in order');
is(names('/v1/feeds', $acme), 'orders-acme prices', 'what a partner may read');
is(names('/v1/feeds', $narrow), 'prices', 'what a narrowed key may read');
is(get('/v1/feeds', $writer)->{body}, '{"feeds":[]}',
    'a key without the scope reads nothing');
is(names('/open/feeds'), 'drop orders-acme orders-bolt prices',
    'without authentication');
is(get('/v1/feeds')->{status}, 401, 'no key');

$t->publish('prices', {}, {}, {});
my $answer = get('/v1/feeds/prices', $acme);
is($answer->{status}, 200, 'one feed');
is($answer->{headers}{'content-type'}, 'application/json', 'type');
is($answer->{headers}{'cache-control'}, 'no-store', 'not to be stored');
my $feed = Test::Eventsync::json($answer->{body});
my $epoch = $feed->{epoch};
like($epoch, qr/^[a-z2-7]+$/, 'epoch');
ok($feed->{page_size} > 0, 'page size');
delete @$feed{qw(epoch page_size)};
is_deeply($feed, { name => 'prices', oldest => "$epoch-0",
    latest => "$epoch-3", retention => { count => 100, bytes => undef,
    seconds => 7 * 86400 }, event_rate => 0.05 }, 'what a feed says');
like($answer->{body}, qr/,"event_rate":0\.050\}$/, 'its rate in thousandths');
is($t->json_get('/v1/feeds/orders-acme', $acme)->{event_rate}, 0,
    'the rate of a feed without events');
$t->publish('prices', map { {} } 1 .. 50) for 1 .. 3;
is($t->json_get('/v1/feeds/prices', $acme)->{event_rate}, 2.55,
    'events of the last minute by its seconds');
is(Test::Eventsync::json(get('/v1/feeds/orders-acme', $acme)->{body})
    ->{retention}{bytes}, 1000000, 'retention by bytes');
is_deeply((grep { $_->{name} eq 'prices' } @{ $t->json_get('/v1/feeds', $acme)
    ->{feeds} })[0], $t->json_get('/v1/feeds/prices', $acme),
    'the list says the same');

SKIP: {
    my ($lib) = glob '/usr/lib/*/faketime/libfaketimeMT.so.1';
    skip 'needs faketime', 1 unless $lib;
    skip 'not under a sanitizer', 1 if $t->sanitized;

    $t->ctl_ok({ stdin => $t->event, env => { LD_PRELOAD => $lib,
        FAKETIME => '-2m' } }, 'publish', 'orders-bolt') for 1 .. 9;
    $t->publish('orders-bolt', map { {} } 1 .. 3);
    is($t->json_get('/v1/feeds/orders-bolt', $master)->{event_rate}, 0.05,
        'what is older is not part of it');
}

$t->ctl_ok('feed', 'trim', 'prices', "--before=$epoch-3");
is($t->json_get('/v1/feeds/prices', $acme)->{oldest}, "$epoch-2",
    'oldest after a trim');
$t->ctl_ok('feed', 'trim', 'prices', "--before=$epoch-154");
is($t->json_get('/v1/feeds/prices', $acme)->{event_rate}, 0,
    'a rate is of what is kept');

my $hidden = get('/v1/feeds/orders-bolt', $acme);
my $none = get('/v1/feeds/none', $acme);
my $nowhere = get('/v1/feeds/nowhere', $acme);
is($_->{status}, 404, 'not found')
    for $hidden, $none, $nowhere, get('/v1/feeds/', $acme);
is($hidden->{body}, $none->{body}, 'not granted and not there: the same');
is($nowhere->{body}, $none->{body}, 'granted or not');
is(get('/v1/feeds/drop', $acme)->{status}, 403, 'publish only');

$answer = $t->http(POST => '/v1/feeds', { authorization => "Bearer $acme" });
is($answer->{status}, 405, 'method');
is($answer->{headers}{allow}, 'GET, HEAD, OPTIONS', 'allowed');
$answer = $t->http(HEAD => '/v1/feeds', { authorization => "Bearer $acme" });
is("$answer->{status} $answer->{headers}{'content-length'}",
    '200 ' . length get('/v1/feeds', $acme)->{body}, 'head');
is(get('/v1/feeds?x=1', $acme)->{status}, 400, 'unknown parameter');
is(get('/v1/feeds/prices?x=1', $acme)->{status}, 400, 'unknown parameter');

$t->ctl_ok('feed', 'remove', 'orders-acme');
is(names('/v1/feeds', $acme), 'prices', 'a feed that was removed');

done_testing();
