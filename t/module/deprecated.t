#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# A location that is deprecated says so in every answer: pages, polls, streams,
# errors and answers without a body.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync;

my $t = Test::Eventsync->new;
$t->store_init->feed('prices');
my $key = $t->partner_key('acme', feeds => '*', scopes => 'read,publish', publish => 'prices');
$t->ctl_ok({ stdin => '{"type":"object"}' }, 'type', 'register', 'price', $_, '--feeds=prices')
    for '1.0.0', '1.1.0';
$t->ctl_ok(qw(type deprecate price 1.0.0 --from=2026-01-02T00:00:00Z));
$t->default_conf(location => 'eventsync_deprecated 2027-01-01T00:00:00Z '
    . 'sunset=2027-07-01T12:00:00.5Z link=https://events.example/v2; '
    . 'eventsync_catalogue on; eventsync_sse on; eventsync_pages on; eventsync_cors https://app.example;',
    server => 'location /v2/ { eventsync_poll on; } '
        . 'location /v3/ { eventsync_deprecated 2026-06-01T00:00:00Z; eventsync_poll on; }');
$t->run_nginx;
$t->publish('prices', map { { id => $_ } } 1 .. 150);

my $prices = '/v1/feeds/prices/events';
my %dates = (deprecation => '@1798761600', sunset => 'Thu, 01 Jul 2027 12:00:00 GMT');

sub get {
    my ($path, %fields) = @_;
    return $t->http(GET => $path, { authorization => "Bearer $key", %fields });
}

sub dated {
    my ($status, $answer, $name) = @_;
    is($answer->{status}, $status, $name);
    is_deeply({ map { $_ => $answer->{headers}{$_} } keys %dates }, \%dates, 'has the dates');
    like($answer->{headers}{link}, qr{<https://events\.example/v2>; rel="deprecation"},
        'and the link');
}

my $page = '/v1/feeds/prices/pages/' . $t->json_get('/v1/feeds/prices', $key)->{epoch} . '/1';
my $poll = get($prices);
dated(200, $poll, 'a poll');
dated(304, get($prices, 'if-none-match' => $poll->{headers}{etag}), 'a poll that matches');
dated(200, get($page), "a page, and from the cache") for 1, 2;
dated(200, get('/v1/feeds'), 'a list');
dated(401, $t->http(GET => $prices), 'no credential');
dated(404, get('/v1/feeds/none/events'), 'no feed');
dated(404, get('/v1/nothing'), 'no resource');
dated(405, $t->http(DELETE => $prices, { authorization => "Bearer $key" }), 'no such method');
dated(201, $t->http(POST => $prices, { authorization => "Bearer $key",
    'content-type' => 'application/cloudevents+json' }, $t->event), 'a publish');
dated(204, $t->http(OPTIONS => $prices, { origin => 'https://app.example',
    'access-control-request-method' => 'GET' }), 'a preflight');

my $sock = $t->socket;
$t->send_all($sock, "GET $prices?from=latest HTTP/1.1\r\nHost: x\r\n"
    . "Authorization: Bearer $key\r\nAccept: text/event-stream\r\n\r\n");
my $head = '';
while ($head !~ /\r\n\r\n/ && sysread $sock, my $buf, 4096) { $head .= $buf }
like($head, qr/^Deprecation: \@1798761600\r$/m, 'a stream');
like($head, qr/^Sunset: Thu, 01 Jul 2027/m, 'has both dates');
close $sock;

my $version = get('/v1/event-types/price/1.0.0');
is($version->{headers}{deprecation}, '@1767312000', 'a version with a date of its own');
is($version->{headers}{sunset}, undef, 'has no other');
dated(200, get('/v1/event-types/price/1.1.0'), 'a version without');

my $other = get('/v2/feeds/prices/events');
is($other->{status}, 200, 'another location');
is($other->{headers}{$_}, undef, "has no $_") for keys %dates;
$other = get('/v3/feeds/prices/events');
is($other->{headers}{deprecation}, '@1780272000', 'a location without a sunset');
is($other->{headers}{sunset}, undef, 'says no more');
unlike($other->{headers}{link} // '', qr/deprecation/, 'and has no link');

done_testing();
