#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Pages: aligned, immutable, the same bytes from every worker, after every
# restart and in every encoding; and every way in which one cannot be had.

use warnings;
use strict;

use File::Path qw(remove_tree);
use IO::Uncompress::Gunzip qw(gunzip);
use Test::More;
use Time::HiRes qw(time);

use lib 't/lib';
use Test::Eventsync qw(wait_for);

my $t = Test::Eventsync->new(workers => 2);
$t->store_init->feed('orders')->feed('empty')->feed('aged', retain_age => '1h')
    ->feed('counted', retain_count => 1000)->feed('big')->feed('many')
    ->feed('other')->feed('sized', retain_bytes => 1_000_000)
    ->feed('both', retain_age => '1h', retain_count => 1000);
my $key = $t->partner_key('tester', feeds => 'orders,empty,aged,counted,big,many',
    publish => '*', scopes => 'read,publish');
my $reader = $t->partner_key('reader', feeds => 'orders');
my $slow = $t->partner_key('slow', feeds => '*');
$t->{master_key} = $key;

$t->write_file_expand('nginx.conf', <<'CONF');
events { }

http {
    log_format events '$status $eventsync_feed '
                      '$eventsync_first-$eventsync_last';
    access_log %%TESTDIR%%/events.log events;
    eventsync_store %%STORE%%;

    gzip on;
    gzip_types application/json;
    gzip_min_length 1;
    gunzip on;

    server {
        listen 127.0.0.1:%%PORT_0%%;
        client_max_body_size 64m;

        location /v1/ {
            eventsync_feeds on;
            eventsync_poll on;
            eventsync_publish on;
            eventsync_pages on;
            eventsync_authorize on;
        }

        location /shared/ {
            eventsync_pages on;
            eventsync_cache shared;
            eventsync_limit poll rate=1r/h burst=3;
        }

        location /limited/ {
            eventsync_pages on;
            eventsync_limit poll rate=1r/h burst=2;
        }

        location /off/ {
            eventsync_poll on;
        }
    }
}
CONF
$t->run_nginx;

sub get {
    my ($path, %headers) = @_;
    return $t->http(GET => $path, { authorization => "Bearer $key", %headers });
}

sub json { return Test::Eventsync::json($_[0]{body}) }

sub is_problem {
    my ($answer, $status, $type, $name) = @_;
    my $doc = json($answer) // {};
    is("$answer->{status} " . ($doc->{type} // ''),
        "$status urn:eventsync:problem:$type", $name);
    is($answer->{headers}{'cache-control'}, 'no-store', "$name: no-store");
    ok(!defined $answer->{headers}{'content-encoding'}, "$name: not encoded");
    return $doc;
}

sub publish {
    my ($feed, $from, $to) = @_;
    return $t->publish($feed, map { { id => "$feed-$_", type => 'order.made',
        data => { n => $_ } } } $from .. $to);
}

# The body of a page in one encoding, decoded.
sub decoded {
    my ($path, $encoding) = @_;
    my @cmd = ('curl', '-sS', '--fail', '--compressed',
        '-H', "Accept-Encoding: $encoding", '-H', "Authorization: Bearer $key",
        '-D', $t->testdir . '/head', 'http://127.0.0.1:' . $t->port(0) . $path);
    open my $fh, '-|', @cmd or die "curl: $!\n";
    binmode $fh;
    my $body = do { local $/; <$fh> };
    close $fh or die "@cmd failed\n";
    my ($got) = $t->read_file('head') =~ /^content-encoding: (\S+)/mi;
    is($got, $encoding, "$encoding is what came");
    return $body;
}

my $epoch = $t->json_get('/v1/feeds/orders', $key)->{epoch};
my $pages = "/v1/feeds/orders/pages/$epoch";

###############################################################################
# an empty feed

my $answer = get("$pages/1");
is($answer->{status}, 200, 'the first page of an empty feed');
is($answer->{body}, '{"events":[],"feed":"orders","epoch":"' . $epoch
    . '","page":1,"first":null,"last":null,"next":"' . $epoch . '-0"}',
    'has nothing, and the cursor to poll from');
is(get("$pages/head")->{body}, $answer->{body}, 'it is the head');
is($answer->{headers}{'cache-control'}, 'private, no-cache', 'may grow');
is($answer->{headers}{link}, '<head>; rel="current"', 'links of the only page');
is_problem(get("$pages/2"), 404, 'not-found', 'the page after it');

###############################################################################
# alignment

publish('orders', 1, 30);
publish('orders', 31, 250);

my @bodies = ('', map { get("$pages/$_")->{body} } 1 .. 3);
my @docs = map { length ? Test::Eventsync::json($_) : undef } @bodies;
for my $n (1 .. 3) {
    my ($first, $last) = (100 * $n - 99, $n < 3 ? 100 * $n : 250);
    is_deeply([ map { $_->{id} } @{ $docs[$n]{events} } ],
        [ map { "orders-$_" } $first .. $last ], "events of page $n");
    is_deeply([ @{ $docs[$n] }{qw(feed epoch page first last next)} ],
        [ 'orders', $epoch, $n, "$epoch-$first", "$epoch-$last",
          "$epoch-$last" ], "what page $n says of itself");
}
my $polled = $t->poll('orders', after => "$epoch-100", limit => 100);
is_deeply($docs[2]{events}, $polled->{events}, 'the events of a poll');
my ($events) = $bodies[2] =~ /\A\{"events":(\[.*\]),"feed"/;
like(get("/v1/feeds/orders/events?after=$epoch-100&limit=100")->{body},
    qr/\A\{"events":\Q$events\E,/, 'byte for byte');

$answer = get("$pages/2");
is($answer->{headers}{'content-type'}, 'application/json', 'type');
is($answer->{headers}{'cache-control'}, 'private, max-age=31536000, immutable',
    'a full page is for good');
is($answer->{headers}{vary}, 'Accept-Encoding', 'vary');
like($answer->{headers}{etag}, qr/\A"[0-9a-f]{32}"\z/, 'a strong etag');
is($answer->{headers}{link}, '<3>; rel="next", <1>; rel="prev-archive", '
    . '<head>; rel="current"', 'links');
is(get("$pages/1")->{headers}{link}, '<2>; rel="next", <head>; rel="current"',
    'links of the first');
is(get("$pages/3")->{headers}{link},
    '<2>; rel="prev-archive", <head>; rel="current"', 'links of the head');
ok(!defined $answer->{headers}{$_}, "no $_ unless asked for") for
    qw(cdn-cache-control surrogate-key x-accel-expires);

is(get("$pages/head")->{body}, $bodies[3], 'head is the page that is not full');
my $etag = get("$pages/3")->{headers}{etag};
publish('orders', 251, 299);
$answer = get("$pages/3");
isnt($answer->{headers}{etag}, $etag, 'which changes with each commit');
is(scalar @{ json($answer)->{events} }, 99, 'and grows');
is($answer->{headers}{'cache-control'}, 'private, no-cache', 'until it is full');
publish('orders', 300, 300);
$answer = get("$pages/3");
like($answer->{headers}{'cache-control'}, qr/immutable/, 'now it is');
is($answer->{headers}{link}, '<4>; rel="next", <2>; rel="prev-archive", '
    . '<head>; rel="current"', 'and has a next');
is(json(get("$pages/4"))->{next}, "$epoch-300", 'which is there, and empty');
is(get("$pages/head")->{body}, get("$pages/4")->{body}, 'and is the head');
is(get("$pages/$_")->{body}, $bodies[$_], "page $_ is as it was") for 1, 2;
$bodies[3] = $answer->{body};

# Following next from the first to a page without one meets each event once.
my ($at, @seen) = (1);
while (1) {
    $answer = get("$pages/$at");
    push @seen, map { $_->{id} } @{ json($answer)->{events} };
    ($at) = $answer->{headers}{link} =~ /<(\d+)>; rel="next"/ or last;
}
is_deeply(\@seen, [ map { "orders-$_" } 1 .. 300 ], 'a walk along next');

###############################################################################
# encodings

my %etags;
for my $encoding (qw(gzip zstd br)) {
    is(decoded("$pages/1", $encoding), $bodies[1], "$encoding: the same bytes");
    $answer = get("$pages/1", 'accept-encoding' => $encoding);
    $etags{$encoding} = $answer->{headers}{etag};
    like($etags{$encoding}, qr/\A"[0-9a-f]{32}"\z/, "$encoding: a strong etag");
    is($answer->{headers}{vary}, 'Accept-Encoding', "$encoding: vary, once");
    is($answer->{headers}{'content-length'}, length $answer->{body},
        "$encoding: length");
    ok(length $answer->{body} < length($bodies[1]) / 4, "$encoding: smaller");
    ok(!defined get("$pages/head", 'accept-encoding' => $encoding)
        ->{headers}{'content-encoding'}, "$encoding: not of the head");
}
$etags{identity} = get("$pages/1")->{headers}{etag};
is(keys %{ { reverse %etags } }, 4, 'an etag for each encoding');

my $unzipped;
gunzip(\get("$pages/1", 'accept-encoding' => 'gzip')->{body} => \$unzipped);
is($unzipped, $bodies[1], 'gzip by another decoder');

sub encoding {
    my ($accept, $expected) = @_;
    my $answer = $t->http(GET => "$pages/2", [ authorization => "Bearer $key",
        map { ('Accept-Encoding' => $_) } ref $accept ? @$accept
            : defined $accept ? $accept : () ]);
    my $got = $answer->{status} == 200
        ? $answer->{headers}{'content-encoding'} // 'identity'
        : $answer->{status};
    is($got, $expected, 'accept-encoding ' . join ' + ', map { "'$_'" }
        ref $accept ? @$accept : $accept // 'none');
    return $answer;
}

encoding(@$_) for
    [ undef, 'identity' ],                 [ '', 'identity' ],
    [ 'gzip', 'gzip' ],                    [ 'x-gzip', 'gzip' ],
    [ 'deflate', 'identity' ],             [ 'gzip, deflate, br', 'br' ],
    [ 'gzip, deflate, zstd', 'zstd' ],     [ 'gzip;q=1, br;q=0.9', 'gzip' ],
    [ 'gzip;q=0', 'identity' ],            [ 'br;q=0, gzip', 'gzip' ],
    [ '*', 'br' ],                         [ '*;q=0.1, gzip;q=0', 'br' ],
    [ 'identity', 'identity' ],            [ 'identity;q=1, *;q=0.5', 'identity' ],
    [ 'identity;q=0, *', 'br' ],           [ 'identity;q=0, gzip', 'gzip' ],
    [ [ 'gzip;q=0.2', 'zstd;q=0.3' ], 'zstd' ];

for my $accept ('identity;q=0, *;q=0', '*;q=0', 'identity;q=0',
    'identity;q=0, deflate')
{
    $answer = encoding($accept, 406);
    my $doc = is_problem($answer, 406, 'not-acceptable', $accept);
    is_deeply($doc->{available}, [qw(br zstd gzip identity)], 'says what there is');
}
my $doc = is_problem(get("$pages/head", 'accept-encoding' => 'gzip, identity;q=0'),
    406, 'not-acceptable', 'the head is identity only');
is_deeply($doc->{available}, ['identity'], 'says so');

###############################################################################
# conditions, HEAD, ranges

for my $encoding (sort keys %etags) {
    my @accept = ('accept-encoding' => $encoding);
    $answer = get("$pages/1", 'if-none-match' => $etags{$encoding}, @accept);
    is("$answer->{status}$answer->{body}", '304', "$encoding: not modified");
    is($answer->{headers}{etag}, $etags{$encoding}, "$encoding: etag of a 304");
    is($answer->{headers}{vary}, 'Accept-Encoding', "$encoding: vary of a 304");
    like($answer->{headers}{'cache-control'}, qr/immutable/,
        "$encoding: caching of a 304");
    my ($other) = grep { $_ ne $encoding } sort keys %etags;
    is(get("$pages/1", 'if-none-match' => $etags{$other}, @accept)->{status},
        200, "$encoding: not by the etag of $other");

    my $whole = get("$pages/1", @accept);
    $answer = $t->http(HEAD => "$pages/1", { authorization => "Bearer $key",
        @accept });
    is("$answer->{status} $answer->{headers}{'content-length'}",
        '200 ' . length $whole->{body}, "$encoding: head");
    is($answer->{headers}{etag}, $whole->{headers}{etag}, "$encoding: its etag");

    $answer = get("$pages/1", range => 'bytes=10-19', @accept,
        'if-range' => $etags{$encoding});
    is("$answer->{status} $answer->{body}", '206 '
        . substr($whole->{body}, 10, 10), "$encoding: a range");
    is($answer->{headers}{'content-range'}, 'bytes 10-19/'
        . length $whole->{body}, "$encoding: of what");
}
is(get("$pages/1", range => 'bytes=0-9', 'if-range' => '"x"')->{status}, 200,
    'if-range of another');
for my $encoding (qw(identity br)) {
    $answer = get("$pages/1", range => 'bytes=999999999-',
        'accept-encoding' => $encoding);
    is($answer->{status}, 416, "$encoding: a range beyond");
    is(Test::Eventsync::json($answer->{body})->{type},
        'urn:eventsync:problem:range-not-satisfiable', 'is a problem');
    my $headers = $answer->{headers};
    is($headers->{'content-type'}, 'application/problem+json', 'of its type');
    is($headers->{'cache-control'}, 'no-store', 'which nobody keeps');
    like($headers->{'content-range'}, qr{^bytes \*/[1-9]\d+$}, 'how many there are');
    is_deeply([ grep { defined $headers->{$_} } qw(content-encoding etag link
        vary cdn-cache-control x-accel-expires surrogate-key) ], [],
        'nothing of the page');
}
is(get("$pages/head", range => 'bytes=0-9')->{status}, 200,
    'no ranges of what changes');
is(get("$pages/head", 'if-none-match' => get("$pages/head")->{headers}{etag})
    ->{status}, 304, 'head, not modified');

###############################################################################
# what cannot be had

is_problem(get("/v1/feeds/orders/pages/$_"), 400, 'invalid-parameter', $_) for
    "$epoch/0", "$epoch/01", "$epoch/-1", "$epoch/1x", "$epoch/x",
    "$epoch/HEAD", "$epoch/1%2B", 'K3F9/1', 'a0/1', 'aaaaaaaaaaaaaaaa/1';
is_deeply([ map { json(get("/v1/feeds/orders/pages/$_"))->{parameter} }
    '0/1', 'a/x' ], [qw(epoch page)], 'says which');
is_problem(get("$pages/1?x=1"), 400, 'invalid-parameter', 'a parameter');
is_problem(get("$pages/$_"), 404, 'not-found', "page $_") for
    5, 99999999999, '9' x 40;
is_problem(get("/v1/feeds/orders/pages/$epoch"), 404, 'not-found', 'no number');
is_problem(get("$pages/"), 404, 'not-found', 'no page');
is_problem(get("/off/feeds/orders/pages/$epoch/1"), 404, 'not-found', 'off');
my @hidden = map { $t->http(GET => "/v1/feeds/$_/pages/$epoch/1",
    { authorization => "Bearer $reader" }) } qw(other none);
is_problem($hidden[0], 404, 'not-found', 'a feed that is not granted');
is($hidden[0]{body}, $hidden[1]{body}, 'as one that is not there');
is_problem(get("/v1/feeds/other/pages/$epoch/1"), 403, 'forbidden',
    'a feed of another scope');
is_problem($t->http(GET => "$pages/1"), 401, 'unauthorized', 'no key');
$answer = $t->http(POST => "$pages/1", { authorization => "Bearer $key" }, '');
is_problem($answer, 405, 'method-not-allowed', 'post');
is($answer->{headers}{allow}, 'GET, HEAD, OPTIONS', 'what is allowed');

$doc = is_problem(get('/v1/feeds/orders/pages/abc/1'), 410, 'feed-reset',
    'another epoch');
is_deeply([ @$doc{qw(oldest latest missed restart)} ], [ "$epoch-0",
    "$epoch-300", undef, "/v1/feeds/orders/events?after=$epoch-0" ],
    'how to go on');

###############################################################################
# may I?

sub may {
    my ($feed, %headers) = @_;
    my $answer = $t->http(GET => "/v1/feeds/$feed/authorize", \%headers);
    is($answer->{headers}{'cache-control'}, 'no-store', "$feed: no-store");
    return $answer;
}
my %bearer = (authorization => "Bearer $key");
is(may('orders', %bearer)->{status}, 204, 'may be read');
is(may('other', %bearer)->{status}, 403, 'not granted');
is(may('none', %bearer)->{body}, may('other', %bearer)->{body},
    'or not there: the same');
is(may('orders')->{status}, 401, 'no key');
ok(may('orders')->{headers}{'www-authenticate'}, 'challenge');
is(may('orders', authorization => 'Bearer esk_x')->{status}, 401, 'a bad key');

###############################################################################
# caching by others

my $asked = 0;
my $shared = "/shared/feeds/orders/pages/$epoch";
$answer = get("$shared/1");
is($answer->{headers}{'cache-control'}, 'private, max-age=31536000, immutable',
    'shared: for clients as before');
is($answer->{headers}{'cdn-cache-control'}, 'public, max-age=31536000',
    'shared: for CDNs');
is($answer->{headers}{'x-accel-expires'}, '31536000', 'shared: for nginx');
is($answer->{headers}{'surrogate-key'},
    "orders orders-$epoch orders-$epoch-1", 'shared: keys to purge by');
ok(!grep({ /ratelimit/ } keys %{ $answer->{headers} }), 'shared: no quota in it');
ok(defined get("$shared/1", 'if-none-match' => $answer->{headers}{etag})
    ->{headers}{'cdn-cache-control'}, 'shared: also in a 304');
$answer = get("$shared/head");
is($answer->{headers}{'cache-control'}, 'private, no-cache',
    'shared: not the head');
ok(!defined $answer->{headers}{$_}, "shared: no $_ of the head") for
    qw(cdn-cache-control surrogate-key x-accel-expires);
ok($answer->{headers}{'ratelimit'}, 'the quota is in the head');
ok(!defined get("$shared/99")->{headers}{'cdn-cache-control'},
    'shared: not of an error');
is(get("$shared/2")->{status}, 200, 'the last of the burst');
is(get("$shared/2")->{status}, 429, 'pages are charged');
is(get("$shared/2", 'if-none-match' => get("$pages/2")->{headers}{etag})
    ->{status}, 304, 'but no 304');
is_problem(get("$shared/99"), 404, 'not-found', 'nor an error');

publish('counted', 1, 100);
my $counted = $t->json_get('/v1/feeds/counted', $key)->{epoch};
publish('aged', 1, 100);
my $aged = $t->json_get('/v1/feeds/aged', $key)->{epoch};
my %slow = (authorization => "Bearer $slow");
$answer = $t->http(GET => "/shared/feeds/counted/pages/$counted/1", \%slow);
is($answer->{headers}{'cdn-cache-control'}, 'public, max-age=60',
    'trimmed by count: nobody knows when');
like($answer->{headers}{'cache-control'}, qr/max-age=31536000/,
    'which clients need not care for');
$answer = $t->http(GET => "/shared/feeds/aged/pages/$aged/1", \%slow);
my ($cdn) = $answer->{headers}{'cdn-cache-control'} =~ /^public, max-age=(\d+)$/;
my ($own) = $answer->{headers}{'cache-control'}
    =~ /^private, max-age=(\d+), immutable$/;
ok($cdn <= 3600 && $cdn > 3000, 'trimmed by age: until then') or diag($cdn);
is($own, $cdn, 'for clients as well');

sub cdn {
    my ($feed) = @_;
    my $e = $t->json_get("/v1/feeds/$feed", $slow)->{epoch};
    return $t->http(GET => "/shared/feeds/$feed/pages/$e/1", {
        authorization => 'Bearer ' . $t->partner_key("cdn$feed" . ++$asked,
            feeds => '*') })->{headers}{'cdn-cache-control'} =~ s/.*max-age=//r;
}
for my $feed (qw(sized both)) {
    publish($feed, 1, 100);
    is(cdn($feed), 60, "$feed: nobody knows when");
}

# Of a page that is remembered, as soon as it changes.
$t->ctl_ok(qw(feed change aged --retain-age=30m));
my $changed = cdn('aged');
ok($changed <= 1800 && $changed > 1500, 'retention is made shorter')
    or diag($changed);
$t->ctl_ok(qw(feed change aged --retain-count=1000));
is(cdn('aged'), 60, 'and by count too');
$t->ctl_ok(qw(feed change aged --retain-count=0 --retain-age=2h));
$changed = cdn('aged');
ok($changed <= 7200 && $changed > 6600, 'and longer') or diag($changed);
$t->ctl_ok(qw(feed change aged --retain-age=1h));

###############################################################################
# the quota of what a thread makes

my $limited = $t->partner_key('limited', feeds => '*');
publish('aged', 101, 200);
is($t->http(GET => "/limited/feeds/aged/pages/$aged/2", {
    authorization => "Bearer $limited", 'accept-encoding' => 'gzip' })->{status},
    200, 'made once');
is($t->http(GET => "/limited/feeds/aged/pages/$aged/2", {
    authorization => "Bearer $limited" })->{status}, 200, 'charged once');
is($t->http(GET => "/limited/feeds/aged/pages/$aged/2", {
    authorization => "Bearer $limited", 'accept-encoding' => 'zstd' })->{status},
    429, 'nothing is made for who has no quota');

###############################################################################
# many at once, two workers

publish('orders', 301, 400);
my @calls = map { $t->http_start(GET => "$pages/4", { authorization =>
    "Bearer $key", 'accept-encoding' => 'br' }) } 1 .. 24;
my %same = map { $t->http_end($_)->{body} => 1 } @calls;
is(keys %same, 1, 'who waits for a page gets the same one');
ok(!exists $same{''}, 'and does get it');

# Clients that leave while it is made do no harm.
publish('orders', 401, 500);
@calls = map { $t->http_start(GET => "$pages/5", { authorization =>
    "Bearer $key", 'accept-encoding' => 'br' }) } 1 .. 8;
$t->reset_socket($_->{sock}) for @calls;
is(get("$pages/5", 'accept-encoding' => 'br')->{status}, 200, 'after them');

###############################################################################
# large pages are made by a thread, and do not stay in memory

my $large = 'x' x 100_000;
$t->publish('big', map { { id => "b$_", data => { n => $_, text => $large } } }
    $_ .. $_ + 49) for 1, 51;
my $big = $t->json_get('/v1/feeds/big', $key)->{epoch};
$answer = get("/v1/feeds/big/pages/$big/1");
is(scalar(() = $answer->{body} =~ /"id":"b\d+"/g), 100, 'a page of 10 MB');
is(decoded("/v1/feeds/big/pages/$big/1", $_), $answer->{body}, "large, $_")
    for qw(gzip zstd br);
is(get("/v1/feeds/big/pages/$big/1", 'if-none-match' =>
    $answer->{headers}{etag})->{status}, 304, 'large, not modified');
# One connection, and so one worker, that knows the page.
my $frugal = $t->partner_key('frugal', feeds => '*');
my $kept = $t->socket;
my %frugal = (authorization => "Bearer $frugal");
my %known = (%frugal, 'if-none-match' => $answer->{headers}{etag});

sub frugal {
    return $t->http(GET => "/limited/feeds/big/pages/$big/1", { @_ }, undef,
        socket => $kept)->{status};
}

$t->http(GET => "/v1/feeds/big/pages/$big/1",
    { authorization => "Bearer $key" }, undef, socket => $kept);
is(frugal(%known), 304, 'for which nothing is charged') for 1 .. 5;
is(join(' ', map { frugal(%frugal) } 1 .. 3), '200 200 429', 'as one sees');
is(frugal(%known), 304, 'who has no quota is told what the worker knows');
close $kept;
$t->feed('fresh');
$t->publish('fresh', map { { data => { text => $large } } } 1 .. 50) for 1, 2;
my $fresh = $t->json_get('/v1/feeds/fresh', $frugal)->{epoch};
is($t->http(GET => "/limited/feeds/fresh/pages/$fresh/1", \%known)->{status},
    429, 'but nothing is made for who has no quota');
$t->publish('big', map { { id => "b$_", data => { n => $_, text => $large } } }
    101 .. 110);
$answer = get("/v1/feeds/big/pages/$big/head");
is(scalar @{ json($answer)->{events} }, 10, 'a large head');

# More than a worker remembers, twice and backwards.
my $middle = 'y' x 4500;
$t->publish('many', map { { id => "m$_", data => { n => $_, text => $middle } } }
    $_ .. $_ + 199) for map { 1 + 200 * $_ } 0 .. 19;
my $many = $t->json_get('/v1/feeds/many', $key)->{epoch};
my @all = map { get("/v1/feeds/many/pages/$many/$_")->{body} } 1 .. 40;
ok(length join('', @all) > 17_000_000, 'many pages');
is_deeply([ join('', @all) =~ /"id":"(m\d+)"/g ], [ map { "m$_" } 1 .. 4000 ],
    'each with its events');
is_deeply([ map { get("/v1/feeds/many/pages/$many/$_")->{body} }
    reverse 1 .. 40 ], [ reverse @all ], 'and the same again');

###############################################################################
# every worker, a restart, without what was kept

sub everything {
    my %all;
    for my $n (1 .. 5) {
        for my $encoding (qw(identity gzip zstd br)) {
            my %seen;
            for (1 .. 6) {
                my $answer = get("$pages/$n", 'accept-encoding' => $encoding);
                $seen{"$answer->{headers}{etag} $answer->{body}"} = 1;
            }
            is(keys %seen, 1, "page $n, $encoding: the same from all workers");
            ($all{"$n $encoding"}) = keys %seen;
        }
    }
    return \%all;
}

my $before = everything();
$t->stop_nginx;
$t->run_nginx;
is_deeply(everything(), $before, 'the same after a restart');
$t->stop_nginx;
ok(-e $t->store . '/pages/data.mdb', 'encoded pages were kept');
remove_tree($t->store . '/pages');
$t->run_nginx;
is_deeply(everything(), $before, 'the same after pages/ was deleted');
ok(-e $t->store . '/pages/data.mdb', 'which comes back');
is((stat $t->store . '/pages')[2] & 07777, 0770, 'for the group');
is((stat $t->store . '/pages/data.mdb')[2] & 07777, 0660, 'as the rest');
$t->stop_nginx;

# What is there but cannot be used.
remove_tree($t->store . '/pages');
$t->write_file('store/pages', 'not a directory');
$t->run_nginx;
is_deeply(everything(), $before, 'the same when nothing can be kept');
like($t->read_file('error.log'),
    qr/\[warn\].*eventsync cannot store encoded pages of "/, 'the log says so');
unlink $t->store . '/pages';

###############################################################################
# trims, resets

# What is trimmed is removed from pages/, though nobody asks for pages.
$t->stop_nginx;
$t->run_nginx;
everything();
sub metas { return substr $t->read_file($t->store . '/pages/data.mdb'), 0, 8192 }
my $metas = metas();
$t->ctl_ok('feed', 'trim', 'orders', "--before=$epoch-151");
ok(wait_for(sub { metas() ne $metas }, 20), 'pages that are trimmed are removed');
for my $n (1, 2) {
    $doc = is_problem(get("$pages/$n"), 410, 'cursor-expired',
        "page $n is trimmed");
    is_deeply([ @$doc{qw(oldest latest missed restart)} ], [ "$epoch-150",
        "$epoch-500", 150 - 100 * ($n - 1),
        "/v1/feeds/orders/events?after=$epoch-150" ], 'how to go on');
}
is(get("$pages/3")->{status}, 200, 'the one after is not');
$t->ctl_ok('feed', 'trim', 'orders', "--before=$epoch-501");
is_problem(get("$pages/5"), 410, 'cursor-expired', 'all is trimmed');
is(get("$pages/head")->{status}, 200, 'but the head');
publish('orders', 501, 550);
$t->ctl_ok('feed', 'trim', 'orders', "--before=$epoch-521");
is_problem(get("$pages/head"), 410, 'cursor-expired', 'a head that is trimmed');

$t->ctl_ok('feed', 'reset', 'orders');
is_problem(get("$pages/6"), 410, 'feed-reset', 'after a reset');
my $reborn = $t->json_get('/v1/feeds/orders', $key)->{epoch};
publish('orders', 1, 100);
is(json(get("/v1/feeds/orders/pages/$reborn/1"))->{last}, "$reborn-100",
    'and anew');
$t->ctl_ok('feed', 'remove', 'orders');
is_problem(get("/v1/feeds/orders/pages/$reborn/1"), 404, 'not-found',
    'a feed that was removed');

ok($t->logged('events.log', qr/^200 orders 101-200$/m, 5),
    'the log says what was sent');
ok($t->verify, 'the store is sound');

done_testing();
