#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Pages through Varnish, by the sample of docs/cdn.md: each hit is authorised,
# and only full pages are kept.
#
# It needs Debian's package varnish.  ES_CACHES names a directory into which it
# was unpacked instead of installed.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);

my $root = $ENV{ES_CACHES} // '';
my $varnishd = "$root/usr/sbin/varnishd";
plan skip_all => 'varnish is not installed' unless -x $varnishd;

my $t = Test::Eventsync->new;
$t->store_init->feed('prices')->feed('orders-acme')
    ->feed('short', retain_age => '1h');
my %key = map { $_ => $t->partner_key($_,
    feeds => $_ eq 'acme' ? 'prices,short,orders-acme' : 'prices') } qw(acme bolt);

$t->default_conf(location => 'eventsync_pages on; eventsync_authorize on;
    eventsync_cache shared; eventsync_sse on; eventsync_poll_wait_max 5s;
    eventsync_backfill on; eventsync_backfill_heartbeat 300ms;
    eventsync_limit backfill rate=1k/d burst=1k;');
$t->run_nginx;

my %epoch;
for my $feed (qw(prices orders-acme short)) {
    $t->publish($feed, map { { id => "$feed-$_" } } 1 .. 250);
    $epoch{$feed} = $t->json_get("/v1/feeds/$feed", $t->master_key)->{epoch};
}

my $sample = do {
    local (@ARGV, $/) = 'docs/cdn.md';
    <> =~ /^```vcl\n(.*?)^```$/ms ? $1 : die "no sample in docs/cdn.md\n";
};
my ($patience) = $sample =~ /first_byte_timeout = (\d+)s;/;
cmp_ok($patience, '>', 60, 'it waits for the longest poll');
$sample =~ s/"8081"/'"' . $t->port(0) . '"'/e or die "no port in the sample\n";
$t->write_file('edge.vcl', $sample);

{
    local $ENV{LD_LIBRARY_PATH} = "$root/usr/lib/x86_64-linux-gnu:"
        . "$root/usr/lib/x86_64-linux-gnu/varnish" if $root;
    $t->start('varnish', {}, $varnishd, '-F', '-j', 'none',
        '-n', $t->testdir . '/varnish', '-f', $t->testdir . '/edge.vcl',
        '-a', '127.0.0.1:' . $t->port(1), '-s', 'malloc,16m',
        '-p', "vmod_path=$root/usr/lib/varnish/vmods:"
        . "$root/usr/lib/x86_64-linux-gnu/varnish/vmods");
}
ok(wait_for(sub { Test::Eventsync::port_open($t->port(1)) }, 60),
    'Varnish compiles the sample and starts') or BAIL_OUT('no Varnish');

# Through Varnish unless `origin` is set.
sub get {
    my ($path, $who, %opts) = @_;
    return $t->http($opts{method} // 'GET', $path, {
        ($who ? (authorization => 'Bearer ' . ($key{$who} // $who)) : ()),
        %{ $opts{headers} // {} } }, undef, port => $t->port($opts{origin} ? 0 : 1));
}

sub page { return "/v1/feeds/$_[0]/pages/$epoch{$_[0]}/$_[1]" }

sub did { return "$_[0]{status} " . ($_[0]{headers}{'x-cache'} // 'none') }

# hits and their bytes

my $origin = get(page('prices', 1), 'acme', origin => 1);
my $first = get(page('prices', 1), 'acme');
my $second = get(page('prices', 1), 'bolt');
is(did($first), '200 MISS', 'the first fills it');
is(did($second), '200 HIT', 'the other has it');
is($_->{body}, $origin->{body}, 'bytes of the origin') for $first, $second;
is($second->{headers}{'cache-control'}, 'private, max-age=31536000, immutable',
    'what the client may do');
ok(!grep({ /^(?:ratelimit|x-ratelimit|x-page|x-authorized)/ }
    keys %{ $second->{headers} }), 'nothing of who filled it');

my $gzip = get(page('prices', 1), 'bolt', headers => { 'accept-encoding' => 'gzip' });
is(did($gzip) . " $gzip->{headers}{'content-encoding'}", '200 HIT gzip',
    'gzip is what is stored');
is(get(page('prices', 1), 'bolt', headers => { 'accept-encoding' => 'gzip',
    'if-none-match' => $gzip->{headers}{etag} })->{status}, 304,
    'not modified, from the cache');
is($second->{headers}{etag}, "W/$gzip->{headers}{etag}",
    'other clients get its tag as a weak one');
my $part = get(page('prices', 1), 'bolt', headers => { range => 'bytes=2-7' });
is("$part->{status} $part->{body}", '206 events', 'a range from the cache');
is(did(get(page('prices', 1), 'acme', method => 'HEAD')), '200 HIT', 'a head, too');

# who is refused gets what the origin says

for my $who (undef, 'esk_nonsense', $key{acme} =~ s/.$/$& eq 'a' ? 'b' : 'a'/er) {
    my $answer = get(page('prices', 1), $who);
    is($answer->{status}, 401, 'no valid key, no page');
    is($answer->{headers}{'content-type'}, 'application/problem+json', 'but why');
}

is(did(get(page('orders-acme', 1), 'acme')), '200 MISS', 'a private feed fills');
is(did(get(page('orders-acme', 1), 'acme')), '200 HIT', 'and hits');
my $foreign = get(page('orders-acme', 1), 'bolt');
is($foreign->{status}, 404, 'not for another partner');
is($foreign->{body}, get("/v1/feeds/none/pages/$epoch{'orders-acme'}/1", 'bolt')
    ->{body}, 'as if it were not there');

for my $forged ('x-authorized', 'x-page') {
    is(get(page('orders-acme', 1), 'bolt', headers => { $forged => page('prices', 1) })
        ->{status}, 404, "a client's $forged has no effect");
}

for my $path ('/v1/feeds/prices/pages/x' . page('orders-acme', 1) =~ s{^/v1}{}r,
    page('orders-acme', 1) =~ s{/pages}{/%70ages}r,
    '/v1/feeds/prices/../orders-acme' . page('orders-acme', 1) =~ s{^.*(?=/pages)}{}r)
{
    is(get($path, 'bolt')->{status}, 404, "no page by another path: $path");
}

# what is not kept

for my $path (page('prices', 'head'), page('prices', 3),
    '/v1/feeds/prices/events?from=oldest', '/v1/feeds/prices')
{
    is(did(get($path, 'acme')), '200 MISS', "$path is not kept") for 1, 2;
}
is(did(get(page('prices', 9), 'acme')), '404 MISS', 'nor an error') for 1, 2;
is(get(page('prices', 1) . '?x=1', 'acme')->{status}, 400, 'a query reaches the origin');

my $call = $t->http_start(GET => '/v1/feeds/prices/events', {
    authorization => "Bearer $key{acme}", accept => 'text/event-stream' }, undef,
    port => $t->port(1));
ok(defined Test::Eventsync::read_until($call, "\r\n\r\n", time + 20),
    'a stream begins at once');
$t->publish('prices', { id => 'live' });
ok(defined Test::Eventsync::read_until($call, '"live"', time + 20),
    'and its events come at once');
close $call->{sock};

# The first takes the whole quota.
is(get('/v1/feeds/prices/backfill', 'acme')->{status}, 200, 'a backfill');
$call = $t->http_start(GET => '/v1/feeds/prices/backfill',
    { authorization => "Bearer $key{acme}" }, undef, port => $t->port(1));
ok(defined Test::Eventsync::read_until($call, "\r\n\r\n", time + 20),
    'a slowed backfill begins');
1 until $call->{buf} =~ /\{.*?"/s || !Test::Eventsync::fill($call, time + 20);
like($call->{buf}, qr/^(?!.*specversion).*\{.*?"/s,
    'and each of its bytes comes at once');
close $call->{sock};

# retention and revocation

is(did(get(page('short', 1), 'acme')), '200 MISS', 'retention by age fills');
my $short = get(page('short', 1), 'acme');
is(did($short), '200 HIT', 'and hits');
my ($age) = $short->{headers}{'cdn-cache-control'} =~ /max-age=(\d+)/;
ok($age > 0 && $age <= 3600, 'fresh until it would be trimmed');

$t->ctl_ok('partner', 'change', 'bolt', '--feeds=short');
is(get(page('prices', 1), 'bolt')->{status}, 404, 'taken away: not even a hit');
is(did(get(page('prices', 1), 'acme')), '200 HIT', 'it is still there for others');
$t->ctl_ok('key', 'revoke', $key{acme} =~ /esk_([^_]+)/);
is(get(page('prices', 1), 'acme')->{status}, 401, 'revoked: not even a hit');

done_testing();
