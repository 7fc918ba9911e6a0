#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Conditions of requests (RFC 9110, section 13): they are the resource's own,
# or they are passed over; nginx never judges them, least of all those of what
# has been done already.

use warnings;
use strict;

use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync;

my $t = Test::Eventsync->new;
$t->store_init->feed('orders');
my $key = $t->partner_key('acme', feeds => '*', publish => '*',
    scopes => 'read,publish,manage');
$t->default_conf(location => join ' ', map { "eventsync_$_ on;" }
    qw(sse backfill snapshot pages checkpoints catalogue endpoints openapi));
$t->run_nginx;

$t->publish('orders', map { { id => "o$_", subject => "s$_" } } 1 .. 3);
my $coder = JSON::PP->new->canonical;

sub ask {
    my ($method, $path, $body, @headers) = @_;
    return $t->http($method => "/v1$path", [ authorization => "Bearer $key",
        $body ? ('content-type' => 'application/json') : (), @headers ],
        $body ? $coder->encode($body) : ());
}

my $long_ago = 'Thu, 01 Jan 1970 00:00:00 GMT';
my @conditions = (
    [ 'if-match' => '"x"' ], [ 'if-none-match' => '*' ],
    [ 'if-unmodified-since' => $long_ago ],
    [ 'if-modified-since' => 'Fri, 01 Jan 2100 00:00:00 GMT' ],
);

###############################################################################
# what has no ETag has no conditions

for my $path (qw(/feeds /feeds/orders /feeds/orders/backfill
    /feeds/orders/manifest /feeds/orders/snapshot /feeds/orders/checkpoints
    /endpoints))
{
    my $plain = ask(GET => $path);
    is($plain->{status}, 200, $path);
    for my $condition (@conditions) {
        my $answer = ask(GET => $path, undef, @$condition);
        is("$answer->{status} $answer->{body}", "200 $plain->{body}",
            "$path: as it is without @$condition");
    }
}

# What has been done is not answered as if it had not.
{
    my $made = ask(POST => '/endpoints', { url => 'https://a.example/',
        feeds => ['orders'] }, 'if-match' => '"x"');
    is($made->{status}, 201, 'made, whatever it was to match');
    my $path = '/endpoints/' . Test::Eventsync::json($made->{body})->{name};
    for my $condition (grep { $_->[0] =~ /since/ } @conditions) {
        my $answer = ask(PATCH => $path, { timeout => '9s' }, @$condition);
        is($answer->{status}, 200, "changed, and said so: @$condition");
    }
    my $secret = ask(POST => "$path/rotate", { overlap => '0' },
        'if-unmodified-since' => $long_ago);
    ok(Test::Eventsync::json($secret->{body})->{secret},
        'a new secret reaches whom it was made for');
}

###############################################################################
# what has one has If-None-Match

for my $path (qw(/feeds/orders/events /event-types /openapi.json)) {
    my $plain = ask(GET => $path);
    my $etag = $plain->{headers}{etag};
    is(ask(GET => $path, undef, 'if-none-match' => $_)->{status}, 304,
        "$path: 304 by $_") for $etag, "\"x\", W/$etag", '*';
    my $answer = ask(GET => $path, undef, 'if-none-match' => '"x"');
    is("$answer->{status} $answer->{body}", "200 $plain->{body}",
        "$path: another");
    is(ask(GET => $path, undef, @$_)->{status}, 200,
        "$path: as it is without @$_") for @conditions[0, 2, 3];
}

done_testing();
