#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Pages through nginx's proxy_cache, by the sample of docs/cdn.md: partners get
# what they are granted, from the cache, and not a byte of what they are not.

use warnings;
use strict;

use IO::Socket::INET;
use Test::More;

use lib 't/lib';
use Test::Eventsync;

my $t = Test::Eventsync->new(workers => 2);
$t->store_init->feed('prices')->feed('orders-acme')->feed('orders-bolt')
    ->feed('short', retain_age => '1h');

my %key = map { $_ => $t->partner_key($_,
    feeds => "prices,short,orders-$_") } qw(acme bolt);
my $writer = $t->master_key;
my ($ninth) = $t->ctl_ok('key', 'create', 'bolt', '--scopes=read')
    =~ /(esk_[a-z2-7]+_[a-z2-7]+)/;

###############################################################################
# the sample, with this test's addresses and a log of what the cache did

my $sample = do {
    open my $fh, '<', 'docs/cdn.md' or die "docs/cdn.md: $!\n";
    local $/;
    my ($conf) = <$fh> =~ /^```nginx\n(http \{\n.*?^\})\n```$/ms
        or die "no sample in docs/cdn.md\n";
    $conf;
};

sub replaced {
    my ($from, $to) = @_;
    $sample =~ s/\Q$from\E/$to/g or die "no $from in the sample\n";
}
replaced('/var/lib/eventsync', '%%STORE%%');
replaced('127.0.0.1:8081', '127.0.0.1:%%PORT_0%%');
replaced('127.0.0.1:8080', '127.0.0.1:%%PORT_1%%');
replaced('/var/cache/nginx/eventsync', '%%TESTDIR%%/cache');
replaced('eventsync_pages      on;',
    'eventsync_pages on; eventsync_publish on;
    eventsync_cors https://a.example; eventsync_poll_wait_max 5s;
    eventsync_limit address rate=1r/h burst=20;');

# The edge must not give up before the longest wait ends.
my ($patience) = $sample =~ /proxy_read_timeout\s+(\d+)s;/;
my ($longest) = do {
    local (@ARGV, $/) = 'docs/directives.md';
    <> =~ /`eventsync_poll_wait_max (\d+)s;`/;
};
cmp_ok($patience // 60, '>', $longest, 'the edge waits for the longest poll');
$sample =~ s/proxy_read_timeout\s+\d+s/proxy_read_timeout 8s/;

$sample =~ s/^http \{/http { log_format edge '\$status \$upstream_cache_status \$request_uri'; access_log %%TESTDIR%%\/edge.log edge;/;

$t->write_file_expand('nginx.conf', "events { }\n$sample\n");
$t->run_nginx;

# Through the edge unless `origin` is set.
sub get {
    my ($path, $who, %opts) = @_;
    return $t->http($opts{method} // 'GET', $path, {
        ($who ? (authorization => 'Bearer ' . ($key{$who} // $who)) : ()),
        %{ $opts{headers} // {} } }, undef,
        port => $t->port($opts{origin} ? 0 : 1),
        $opts{address} ? (socket => IO::Socket::INET->new(
            LocalAddr => $opts{address}, PeerAddr => '127.0.0.1',
            PeerPort => $t->port(1))) : ());
}

my %epoch;
for my $feed (qw(prices orders-acme orders-bolt short)) {
    for my $from (1, 151) {
        $t->publish($feed, map { { id => "$feed-$_", data => { of => $feed,
            n => $_ } } } $from .. $from + 149);
    }
    $epoch{$feed} = $t->json_get("/v1/feeds/$feed", $writer)->{epoch};
}

sub page { return "/v1/feeds/$_[0]/pages/$epoch{$_[0]}/$_[1]" }

###############################################################################
# hits and their bytes

my %rate;

sub cached {
    my ($path, $who, $expected, $name, %opts) = @_;
    my $answer = get($path, $who, %opts);
    my $did = $answer->{headers}{'x-cache'} // 'none';
    $rate{$did}++;
    is("$answer->{status} $did", "200 $expected", $name);
    return $answer;
}

my $origin = get(page('prices', 1), 'acme', origin => 1);

# nginx before 1.23 obeys the one of both that comes first, and would not store
# what is "private".
for my $case (
    [ 200, {} ], [ 304, { 'if-none-match' => $origin->{headers}{etag} } ],
    [ 206, { range => 'bytes=0-9' } ],
    map { [ 200, { 'accept-encoding' => $_ } ] } qw(gzip br zstd),
) {
    my ($status, $headers) = @$case;
    my $answer = get(page('prices', 1), 'acme', origin => 1,
        headers => $headers);
    is("$answer->{status} " . join(' ', map { lc } $answer->{head}
        =~ /^(X-Accel-Expires|Cache-Control):/mgi),
        "$status x-accel-expires cache-control",
        join ' ', 'X-Accel-Expires comes first:', $status, %$headers);
}
my $first = cached(page('prices', 1), 'acme', 'MISS', 'the first fills it');
my $second = cached(page('prices', 1), 'bolt', 'HIT', 'the other has it');
is($_->{body}, $origin->{body}, 'bytes of the origin') for $first, $second;
is($_->{headers}{etag}, $origin->{headers}{etag}, 'its etag')
    for $first, $second;
is($second->{headers}{'cache-control'},
    'private, max-age=31536000, immutable', 'what the client may do');
ok(!grep({ /^(?:ratelimit|x-ratelimit|set-cookie|x-accel)/ }
    keys %{ $second->{headers} }), 'nothing of who filled it');

for my $encoding (qw(gzip br zstd)) {
    my %opts = (headers => { 'accept-encoding' => $encoding });
    my $miss = cached(page('prices', 1), 'bolt', 'MISS', "$encoding: fills",
        %opts);
    my $hit = cached(page('prices', 1), 'acme', 'HIT', "$encoding: hits",
        %opts);
    is($hit->{headers}{'content-encoding'}, $encoding, "$encoding: is what it is");
    is($hit->{body}, get(page('prices', 1), 'acme', origin => 1, %opts)->{body},
        "$encoding: bytes of the origin");
    is(get(page('prices', 1), 'acme', headers => { 'accept-encoding' =>
        $encoding, 'if-none-match' => $hit->{headers}{etag} })->{status}, 304,
        "$encoding: not modified, from the cache");
}
cached(page('prices', 1), 'acme', 'HIT', 'identity is still there');

for my $origin ('https://a.example', 'https://b.example') {
    my %opts = (headers => { 'accept-encoding' => 'br', origin => $origin });
    cached(page('prices', 1), 'acme', 'MISS', "$origin: fills", %opts);
    my $hit = cached(page('prices', 1), 'bolt', 'HIT', "$origin: hits", %opts);
    is($hit->{headers}{'access-control-allow-origin'},
        $origin =~ /a\./ ? $origin : undef, 'may be read by its page');
    is($hit->{headers}{'content-encoding'}, 'br', 'in its encoding');
    is(cached(page('prices', 1), 'acme', 'MISS',
        "$origin: identity", headers => { origin => $origin })->{body},
        $first->{body}, 'is what it is');
}

is(get(page('prices', 1), 'acme', method => 'HEAD')->{headers}
    {'content-length'}, length $origin->{body}, 'head from the cache');
my $part = get(page('prices', 1), 'bolt', headers => { range => 'bytes=2-7' });
is("$part->{status} $part->{body}", '206 events', 'a range from the cache');

###############################################################################
# what is never kept

for my $path (page('prices', 'head'), page('prices', 4)) {
    isnt(get($path, 'acme')->{headers}{'x-cache'}, 'HIT', "$path: $_")
        for 1, 2;
}
$t->publish('prices', { id => 'prices-301' });
is(@{ Test::Eventsync::json(get(page('prices', 4), 'bolt')->{body})->{events} },
    1, 'the page that is not full is what it is now');
for my $n (1, 2) {
    my $answer = get(page('prices', 99), 'acme');
    is($answer->{status}, 404, 'a page that is not there yet');
    isnt($answer->{headers}{'x-cache'}, 'HIT', 'is not kept');
}
is(get("/v1/feeds/prices/events?after=$epoch{prices}-300", 'acme')->{status},
    200, 'polls pass through');
my $wait = $t->http_start(GET => "/v1/feeds/orders-bolt/events?after="
    . "$epoch{'orders-bolt'}-300&wait=5", { authorization =>
    "Bearer $key{bolt}" }, undef, port => $t->port(1));
$t->publish('orders-bolt', { id => 'orders-bolt-301' });
like($t->http_end($wait)->{body}, qr/"orders-bolt-301"/, 'and long polls');
is(get("/v1/feeds/prices/events?from=latest&wait=5", 'acme')->{status}, 200,
    'that wait as long as they may');

###############################################################################
# private feeds: not a foreign byte, whether it is in the cache or not

my %other = (acme => 'bolt', bolt => 'acme');
for my $who (sort keys %other) {
    my $own = "orders-$who";
    cached(page($own, 1), $who, 'MISS', "$who: own feed fills");
    my $hit = cached(page($own, 1), $who, 'HIT', "$who: own feed hits");
    my @of = map { $_->{data}{of} }
        @{ Test::Eventsync::json($hit->{body})->{events} };
    is_deeply([ grep { $_ ne $own } @of ], [], "$who: events of its feed only");
    is(@of, 100, "$who: all of them");

    for my $n (1, 2, 'head', 99) {
        my $foreign = get(page($own, $n), $other{$who});
        my $missing = get("/v1/feeds/none/pages/$epoch{$own}/$n", $other{$who});
        is($foreign->{status}, 404, "$own, page $n: not for $other{$who}");
        is($foreign->{body}, $missing->{body}, 'as if it were not there');
        is($foreign->{body}, get(page($own, $n), $other{$who}, origin => 1)
            ->{body}, 'as the origin says it');
        unlike($foreign->{body}, qr/specversion/, 'no event in it');
    }
}

# one feed is authorised, and that one is served
for my $between ('', '/x', '/x/y') {
    my $path = "/v1/feeds/prices/pages$between" . page('orders-acme', 1) =~ s{^/v1}{}r;
    for my $who (qw(acme bolt)) {
        my $answer = get($path, $who);
        is($answer->{status}, 404, "$who: another feed's page below a page");
        unlike($answer->{body}, qr/specversion/, 'no event in it');
    }
}

for my $who (undef, 'esk_nonsense', $key{acme} =~ s/.$/$& eq 'a' ? 'b' : 'a'/er) {
    my $answer = get(page('prices', 1), $who);
    is($answer->{status}, 401, 'no valid key, no page');
    ok($answer->{headers}{'www-authenticate'}, 'challenge');
    unlike($answer->{body}, qr/specversion/, 'no event in it');
}
is(get('/_authorize', 'acme')->{status}, 404, 'the location is internal');
is(get(page('prices', 1) . '?x=1', 'acme')->{status}, 400,
    'a query is not passed over');

###############################################################################
# limits of addresses are the clients'

{
    my ($answer, $refused);
    for (1 .. 30) {
        $answer = get(page('prices', 1), 'esk_nonsense',
            address => '127.0.0.9');
        last if ($refused = $answer)->{status} != 401;
    }
    is($refused->{status}, 429, 'an address that fails is refused');
    is($refused->{headers}{'content-type'}, 'application/problem+json',
        'and hears why');
    ok($refused->{headers}{'retry-after'}, 'and when to come again');
    is(get(page('prices', 1), 'acme', address => '127.0.0.9',
        headers => { 'x-forwarded-for' => '127.0.0.8' })->{status}, 429,
        'whatever it says that it is');
    is(get(page('prices', 1), 'acme', address => '127.0.0.8')->{status}, 200,
        'others are not');
}

###############################################################################
# revocation: each hit is authorised

is(get(page('prices', 1), $ninth)->{status}, 200, 'a key of its own');
my ($id) = $ninth =~ /^esk_([a-z2-7]+)_/;
$t->ctl_ok('key', 'revoke', $id);
is(get(page('prices', 1), $ninth)->{status}, 401, 'revoked: not even a hit');
$t->ctl_ok('partner', 'change', 'bolt', '--feeds=orders-bolt');
is(get(page('prices', 1), 'bolt')->{status}, 404, 'taken away: not even a hit');
cached(page('prices', 1), 'acme', 'HIT', 'it is still there for others');

###############################################################################
# freshness

cached(page('short', 1), 'acme', 'MISS', 'retention by age fills');
my $short = cached(page('short', 1), 'acme', 'HIT', 'and hits');
my ($age) = $short->{headers}{'cdn-cache-control'} =~ /max-age=(\d+)/;
ok($age > 0 && $age <= 3600, 'fresh until it would be trimmed');

for my $round (1 .. 3) {
    for my $who (qw(acme)) {
        cached(page('prices', $_), $who, $round == 1 && $_ > 1 ? 'MISS' : 'HIT',
            "walk $round, page $_") for 1 .. 3;
    }
}

my $all = 0;
$all += $_ for values %rate;
diag(sprintf 'of %d cacheable requests: %s', $all, join ', ', map {
    sprintf '%s %d (%.0f %%)', $_, $rate{$_}, 100 * $rate{$_} / $all }
    sort keys %rate);

done_testing();
