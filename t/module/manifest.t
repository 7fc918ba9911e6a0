#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Manifest: count, bytes and chained digest of any range, as a partner who
# holds the events computes them.

use warnings;
use strict;

use Digest::SHA qw(sha256);
use Test::More;

use lib 't/lib';
use Test::Eventsync;

my $t = Test::Eventsync->new(workers => 2);
$t->store_init->feed('orders')->feed('empty')->feed('trimmed');
my $key = $t->master_key;
my $reader = $t->partner_key('reader', feeds => 'orders', scopes => 'read');
my $producer = $t->partner_key('producer', publish => 'orders',
    scopes => 'publish');

$t->write_file_expand('nginx.conf', <<'CONF');
events { }

http {
    eventsync_store %%STORE%%;
    log_format first_last '$uri $eventsync_first-$eventsync_last $status';
    access_log %%TESTDIR%%/access.log first_last;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /v1/ {
            eventsync_poll on;
            eventsync_publish on;
            eventsync_backfill on;
        }

        location /limited/ {
            eventsync_backfill on;
            eventsync_limit poll rate=1r/d;
        }

        location /off/ {
            eventsync_poll on;
        }
    }
}
CONF
$t->run_nginx;

# Commits of many sizes, so that ranges begin and end within chunks.
for my $n (1, 2, 99, 100, 101, 250, 7) {
    $t->publish('orders', map { { data => { x => 'y' x rand 300 } } } 1 .. $n);
}
my @text = map { "$_" } split /\n/, $t->http(
    GET => '/v1/feeds/orders/events?limit=1000', { authorization =>
    "Bearer $key", accept => 'application/x-ndjson' })->{body};
my $all = @text;
is($all, 560, 'the feed is filled');
my ($epoch) = $text[0] =~ /"cursor":"([^-]+)-/;

# D(0) .. D(n)
my @chain = ("\0" x 32);
push @chain, sha256($chain[-1] . sha256($_)) for @text;
my @hex = map { unpack 'H*', $_ } @chain;

sub get {
    my ($path, $k) = @_;
    $path = "/v1/feeds/$path" unless $path =~ m{^/};
    my $answer = $t->http(GET => $path,
        { authorization => 'Bearer ' . ($k // $key) });
    return ($answer, Test::Eventsync::json($answer->{body}) // {});
}

sub expected {
    my ($after, $to) = @_;
    return { feed => 'orders', epoch => $epoch, from => "$epoch-$after",
        to => "$epoch-$to", count => $to - $after,
        bytes => length(join '', map { "$_\n" } @text[$after .. $to - 1]),
        algorithm => 'sha256-event-chain', digest_from => $hex[$after],
        digest => $hex[$to] };
}

{
    my ($answer, $doc) = get('orders/manifest');
    is($answer->{status}, 200, 'status');
    is($answer->{headers}{'content-type'}, 'application/json', 'type');
    is($answer->{headers}{'cache-control'}, 'no-store', 'not to be cached');
    is_deeply($doc, expected(0, $all), 'of the whole feed');
    is($doc->{digest_from}, '0' x 64, 'the chain begins with zeros');
    ok($t->logged('access.log', qr{/manifest 1-560 200}), 'in the log');

    my $head = $t->http(HEAD => '/v1/feeds/orders/manifest',
        { authorization => "Bearer $key" });
    is($head->{headers}{'content-length'}, length $answer->{body}, 'HEAD');
}

# Ranges that begin and end at, before and behind the ends of chunks.
my @ends = (0, 1, 2, 3, 4, 101, 102, 103, 201, 202, 203, 302, 303, 304, 399,
    400, 401, 552, 553, 554, 559, 560);
for my $after (@ends) {
    my @bad = grep {
        my (undef, $doc) = get("orders/manifest?after=$epoch-$after"
            . "&to=$epoch-$_");
        my $want = expected($after, $_);
        grep { ($doc->{$_} // '') ne $want->{$_} } keys %$want;
    } grep { $_ >= $after } @ends;
    is("@bad", '', "every range after $after");
}

is_deeply((get("orders/manifest?from=$epoch-300&to=latest"))[1],
    expected(300, 560), 'from a cursor');
is_deeply((get('orders/manifest?from=latest'))[1], expected(560, 560),
    'an empty range');
is_deeply((get('orders/manifest?to=1999-01-01T00:00:00Z'))[1],
    expected(0, 0), 'to a time');
is((get('empty/manifest'))[1]{count}, 0, 'an empty feed');

# What retention takes leaves the chain as it was.
{
    $t->publish('trimmed', map { {} } 1 .. 10) for 1 .. 30;
    my (undef, $before) = get('trimmed/manifest');
    my $cursor = $before->{to} =~ s/-.*/-155/r;
    my (undef, $middle) = get("trimmed/manifest?after=$cursor");
    $t->ctl_ok('feed', 'trim', 'trimmed', "--before=$cursor");
    my (undef, $after) = get('trimmed/manifest');
    is($after->{digest}, $before->{digest}, 'trimmed: the digest stays');
    isnt($after->{digest_from}, '0' x 64, 'but not where it begins');
    is_deeply((get("trimmed/manifest?after=$cursor"))[1], $middle,
        'trimmed: a range that is kept');
    my ($answer, $doc) = get('trimmed/manifest?after='
        . ($before->{from}));
    is($answer->{status}, 410, 'one that is not');
    like($doc->{type}, qr/:cursor-expired$/, 'its type');
}

{
    $t->stop_nginx;
    $t->run_nginx;
    is_deeply((get('orders/manifest'))[1], expected(0, $all),
        'after a restart');
}

for my $case (
    [ 'orders/manifest?types=a', 400, 'invalid-parameter' ],
    [ 'orders/manifest?limit=1', 400, 'invalid-parameter' ],
    [ 'orders/manifest?to=x', 400, 'invalid-parameter' ],
    [ 'orders/manifest?after=x', 400, 'invalid-cursor' ],
    [ "orders/manifest?after=$epoch-9&to=$epoch-8", 400, 'invalid-parameter' ],
    [ "orders/manifest?to=$epoch-561", 400, 'cursor-ahead' ],
    [ 'orders/manifest?to=abcd-1', 410, 'feed-reset' ],
    [ 'orders/manifest', 401, 'unauthorized', 'esk_x' ],
    [ 'orders/manifest', 403, 'forbidden', $producer ],
    [ 'empty/manifest', 404, 'not-found', $reader ],
    [ 'absent/manifest', 404, 'not-found' ],
    [ '/off/feeds/orders/manifest', 404, 'not-found' ],
) {
    my ($path, $status, $type, $k) = @$case;
    my ($answer, $doc) = get($path, $k);
    is($answer->{status}, $status, "$path: $status");
    like($doc->{type}, qr/:\Q$type\E$/, "$path: $type");
}

is($t->http(POST => '/v1/feeds/orders/manifest', {}, '')->{status}, 405,
    'POST');
is($t->http(GET => '/v1/feeds/orders/manifest', { authorization =>
    "Bearer $key", accept => 'text/html' })->{status}, 406, 'Accept');
is((get('/limited/feeds/orders/manifest'))[0]{status}, 200, 'in the limit');
is((get('/limited/feeds/orders/manifest'))[0]{status}, 429, 'over it');

ok($t->verify, 'the store is sound');

done_testing();
