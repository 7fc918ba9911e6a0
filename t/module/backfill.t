#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Backfill: ranges, times and filters as one stream of lines; resuming at any
# line; clients that read slowly, vanish or have their history trimmed; reload.

use warnings;
use strict;

use Digest::SHA qw(sha256 sha256_hex);
use IO::Select;
use Test::More;
use Time::HiRes qw(sleep time);

use lib 't/lib';
use Test::Eventsync qw(wait_for);

my $t = Test::Eventsync->new(workers => 1);
$t->store_init->feed('orders')->feed('empty')->feed('other');
my $key = $t->master_key;
my $reader = $t->partner_key('reader', feeds => 'orders', scopes => 'read');
my $producer = $t->partner_key('producer', publish => 'orders',
    scopes => 'publish');

$t->slow_conf('eventsync_backfill', '32k',
    main => 'worker_shutdown_timeout 6s;', location => 'eventsync_backfill on;',
    server => <<'SERVER');
        location /limited/ {
            eventsync_backfill on;
            eventsync_limit poll rate=1r/d;
        }

        location /quota/ {
            eventsync_backfill on;
            eventsync_limit backfill rate=1m/s burst=100k;
        }

        location /little/ {
            eventsync_backfill on;
            eventsync_limit backfill rate=1k/d burst=1k;
        }

        location /single/ {
            eventsync_backfill on;
            eventsync_limit waits max=1;
        }

        location /slow/ {
            eventsync_backfill on;
            limit_rate 2m;
        }

        location /off/ {
            eventsync_poll on;
        }
SERVER
$t->write_file('included',
    'one <!--#include virtual="/v1/feeds/orders/backfill?to=1" --> two '
    . '<!--#include virtual="/v1/feeds/orders/backfill" --> three');
$t->run_nginx;

# Sequences 1 .. 3000 in ten commits, some of 'odd' and 'rare' type.
my $n = 0;
for my $commit (1 .. 10) {
    $t->publish('orders', map {
        $n++;
        { id => "e$n", subject => 's' . $n % 7, data => { n => $n, x => 'y' x 100 },
          type => $n % 1000 == 500 ? 'rare.one' : $n % 2 ? 'test.odd'
              : 'test.even' }
    } 1 .. 300);
}
my ($kept) = $t->poll_all('orders');
is(scalar @$kept, 3000, 'the feed is filled');
my $epoch = $kept->[0]{cursor} =~ s/-.*//r;
my @text = map { $_ } lines('orders', '');

# A whole backfill: (answer, event lines, closing line decoded).
sub backfill {
    my ($path, $k, %opts) = @_;
    $path = "/v1/feeds/$path" unless $path =~ m{^/};
    my $answer = $t->http(GET => $path,
        { authorization => 'Bearer ' . ($k // $key) }, undef, %opts);
    my @lines = split /^/, $answer->{body};
    my $closing = $answer->{status} == 200
        ? Test::Eventsync::json(pop @lines) : undef;
    return ($answer, \@lines, $closing);
}

sub lines {
    my ($feed, $query) = @_;
    my (undef, $lines) = backfill("$feed/backfill?$query");
    return @$lines;
}

sub problem {
    my ($path, $status, $type, $name, $k) = @_;
    my ($answer) = backfill($path, $k);
    is($answer->{status}, $status, "$name: status");
    my $doc = Test::Eventsync::json($answer->{body}) // {};
    like($doc->{type}, qr/:\Q$type\E$/, "$name: type");
    return $doc;
}

# The chain over event lines, from D(n) in hexadecimal.
sub fold {
    my ($digest, @lines) = @_;
    $digest = pack 'H*', $digest;
    $digest = sha256($digest . sha256(s/\n\z//r)) for @lines;
    return unpack 'H*', $digest;
}

sub cursors { map { /"cursor":"([^"]+)"/ } @_ }
sub sequences { map { /"cursor":"[^"]+-(\d+)"/ } @_ }

###############################################################################
# the whole

{
    my ($answer, $lines, $closing) = backfill('orders/backfill');
    my %h = %{ $answer->{headers} };

    is($answer->{status}, 200, 'status');
    is($h{'content-type'}, 'application/x-ndjson', 'NDJSON');
    is($h{'cache-control'}, 'no-store', 'not to be cached');
    is($h{'transfer-encoding'}, 'chunked', 'chunked');
    is($h{'eventsync-events'}, 3000, 'how many are coming');
    is($h{'eventsync-from'}, "$epoch-0", 'from where');
    is($h{'eventsync-to'}, "$epoch-3000", 'and to where');
    is(scalar @$lines, 3000, 'so many come');
    is_deeply([sequences(@$lines)], [1 .. 3000], 'in order, none left out');

    my $m = $closing->{manifest};
    my $bytes = length join '', @$lines;
    is($h{'eventsync-bytes'}, $bytes, 'and how many bytes');
    is_deeply({ %$m, digest => 0 }, { complete => JSON::PP::true,
        from => "$epoch-0", to => "$epoch-3000", next => "$epoch-3000",
        first => "$epoch-1", last => "$epoch-3000", count => 3000,
        bytes => $bytes, algorithm => 'sha256-event-chain',
        digest_from => '0' x 64, digest => 0 }, 'the closing manifest');
    is($m->{digest}, fold($m->{digest_from}, @$lines), 'its digest');

    my $page = $t->http(GET => '/v1/feeds/orders/events?limit=1000',
        { authorization => "Bearer $key",
          accept => 'application/x-ndjson' })->{body};
    is(join('', @$lines[0 .. 999]), $page, 'byte for byte as polled');
    ok($t->logged('access.log', qr{/backfill 1-3000 200}),
        'the access log has the range');
}

###############################################################################
# ranges

for my $case (
    ["after=$epoch-0&to=$epoch-1", 1, 1],
    ["after=$epoch-2999", 3000, 3000],
    ["from=$epoch-10&to=$epoch-20", 11, 20],
    ["from=oldest&to=$epoch-7", 1, 7],
    ["from=oldest&to=latest", 1, 3000],
    ["after=$epoch-299&to=$epoch-301", 300, 301],
) {
    my ($query, $first, $last) = @$case;
    my ($answer, $lines, $closing) = backfill("orders/backfill?$query");
    is_deeply([sequences(@$lines)], [$first .. $last], $query);
    is($answer->{headers}{'eventsync-events'}, $last - $first + 1,
        "$query: count");
    my $m = $closing->{manifest};
    is($m->{next}, "$epoch-$last", "$query: next");
    is($m->{digest}, fold($m->{digest_from}, @$lines), "$query: digest");
    is($m->{bytes}, $answer->{headers}{'eventsync-bytes'}, "$query: bytes");
}

for my $query ("after=$epoch-5&to=$epoch-5", 'from=latest', 'to=oldest',
    'to=1999-01-01T00:00:00Z', 'from=2199-01-01T00:00:00Z')
{
    my ($answer, $lines, $closing) = backfill("orders/backfill?$query");
    is($answer->{headers}{'eventsync-events'}, 0, "$query: none");
    is_deeply([@{ $closing->{manifest} }{qw(complete count first last)}],
        [JSON::PP::true, 0, undef, undef], "$query: an empty manifest");
}

{
    my (undef, $lines, $closing) = backfill('empty/backfill');
    is(scalar @$lines, 0, 'an empty feed');
    like($closing->{manifest}{next}, qr/^[a-z2-7]+-0$/, 'has a next');
}

# Time is that of the commit: between two of them there is a second for each.
{
    my $stamp = sub {
        my @t = gmtime $_[0];
        sprintf '%04d-%02d-%02dT%02d:%02d:%02d%%2B00:00', $t[5] + 1900,
            $t[4] + 1, @t[3, 2, 1, 0];
    };
    $t->publish('other', {}) for 1 .. 3;
    my $now = int time() + 1;
    sleep 0.05 until time() > $now;
    $t->publish('other', {}) for 1 .. 2;
    my $time = $stamp->($now);
    is_deeply([sequences(lines('other', "from=$time"))], [4, 5], 'from a time');
    is_deeply([sequences(lines('other', "to=$time"))], [1 .. 3], 'to a time');
    is_deeply([sequences(lines('other', "from=$time&to=latest"))], [4, 5],
        'from a time to the end');
}

###############################################################################
# filters

{
    my ($answer, $lines, $closing) = backfill('orders/backfill?types=test.odd');
    is($answer->{headers}{'eventsync-events-max'}, 3000, 'at most so many');
    is($answer->{headers}{'eventsync-events'}, undef, 'exact is not known');
    is_deeply([sequences(@$lines)], [grep { $_ % 2 } 1 .. 3000], 'by type');

    my @prev = map { /"prevcursor":"([^"]+)"/ } @$lines;
    is_deeply(\@prev, ["$epoch-0", (cursors(@$lines))[0 .. $#$lines - 1]],
        'prevcursor is the event before in this stream, over slices too');
    is($closing->{manifest}{next}, "$epoch-3000", 'next is the range\'s end');
    is($closing->{manifest}{last}, "$epoch-2999", 'last is an event\'s');
    is($closing->{manifest}{algorithm}, 'sha256', 'the digest is another');
    is($closing->{manifest}{digest}, sha256_hex(join '', @$lines),
        'of what was sent');
    is($answer->{headers}{'eventsync-bytes'}, undef, 'nor are the bytes');

    is_deeply([sequences(lines('orders', 'types=rare.*'))], [500, 1500, 2500],
        'by a prefix');
    is_deeply([sequences(lines('orders', "types=rare.*&to=$epoch-1500"))],
        [500, 1500], 'to the one');
    is_deeply([sequences(lines('orders', "types=rare.*&to=$epoch-1499"))],
        [500], 'to the one before');
    is_deeply([sequences(lines('orders', "types=test.odd&to=$epoch-150"))],
        [grep { $_ % 2 } 1 .. 150], 'to the middle of a chunk');
    is_deeply([sequences(lines('orders', "subject=s3&to=$epoch-700"))],
        [grep { $_ % 7 == 3 } 1 .. 700], 'by subject');
    is_deeply([sequences(lines('orders', 'types=rare.one&subject=s3'))],
        [grep { $_ % 1000 == 500 && $_ % 7 == 3 } 1 .. 3000], 'by both');
    is_deeply([sequences(lines('orders', "types=none&types=rare.*&to=$epoch-1500"))],
        [500, 1500], 'by types that are given twice');
    is_deeply([sequences(lines('orders', 'types=none'))], [], 'by none');

    # Of one subject the number is known.
    for my $range ('', "&to=$epoch-700", "&after=$epoch-700", '&from=latest',
        map { "&after=$epoch-$_->[0]&to=$epoch-$_->[1]" } [ 3, 3 ], [ 2, 3 ],
        [ 3, 9 ], [ 3, 10 ], [ 9, 10 ], [ 500, 1700 ], [ 2998, 3000 ])
    {
        ($answer, $lines) = backfill("orders/backfill?subject=s3$range");
        is($answer->{headers}{'eventsync-events'}, scalar @$lines,
            "subject, '$range': how many are coming");
        is($answer->{headers}{'eventsync-events-max'}, undef, 'exactly');
        is($answer->{headers}{'eventsync-bytes'}, undef, 'not the bytes');
    }
    ($answer) = backfill('orders/backfill?subject=nobody');
    is($answer->{headers}{'eventsync-events'}, 0, 'subject: none');
    ($answer) = backfill('orders/backfill?subject=s3&types=test.odd');
    is($answer->{headers}{'eventsync-events-max'}, 3000, 'with types at most');
    is_deeply([sequences(lines('orders', 'types=rar.*,rare.o.*,tes.*'))], [],
        'by what types only begin with');
}

###############################################################################
# resuming at any line

for my $query ('', 'types=test.even') {
    my @whole = lines('orders', $query);
    for my $at (0, 1, 299, int(@whole / 2), $#whole) {
        my ($cursor) = cursors($whole[$at]);
        is(join('', lines('orders', "after=$cursor&to=$epoch-3000&$query")),
            join('', @whole[$at + 1 .. $#whole]),
            "resumed after line $at" . ($query && ', filtered'));
    }
}

###############################################################################
# large events, which are more than a slice

{
    $t->feed('large');
    my @sizes = (10, 70_000, 64_000, 64_500, 65_000, 200_000, 1, 130_000);
    for my $size (@sizes) {
        my $answer = $t->publish('large', { data => { x => 'z' x $size } });
        is($answer->{status}, 201, "an event of $size");
    }
    my ($answer, $lines, $closing) = backfill('large/backfill');
    is_deeply([map { length((/"x":"(z*)"/)[0] // '') } @$lines], \@sizes,
        'large events are whole');
    is($closing->{manifest}{digest},
        fold($closing->{manifest}{digest_from}, @$lines), 'and digested');
    my @filtered = lines('large', 'types=test.*');
    is(join('', @filtered), join('', @$lines), 'the same by a filter');
}

###############################################################################
# methods, protocols, other filters of nginx

{
    my $path = '/v1/feeds/orders/backfill';
    my $head = $t->http(HEAD => $path, { authorization => "Bearer $key" });
    is($head->{status}, 200, 'HEAD');
    is($head->{headers}{'eventsync-events'}, 3000, 'HEAD tells the count');

    my $sock = $t->socket;
    $t->send_all($sock, "GET $path HTTP/1.0\r\nAuthorization: Bearer $key\r\n"
        . "Connection: keep-alive\r\n\r\n");
    my $all = $t->read_all($sock, 20);
    my ($h, $body) = split /\r\n\r\n/, $all, 2;
    unlike($h, qr/chunked/i, 'HTTP/1.0 is not chunked');
    my @lines = split /^/, $body;
    like(pop @lines, qr/^\{"manifest":/, 'but closed, after the manifest');
    is(scalar @lines, 3000, 'and whole');

    $sock = $t->socket;
    for my $round (1, 2) {
        my ($answer, $lines) = backfill("orders/backfill?after=$epoch-2990",
            undef, socket => $sock);
        is(scalar @$lines, 10, "keep-alive, request $round");
    }

    my (undef, $slow) = backfill('/slow/feeds/orders/backfill');
    is(scalar @$slow, 3000, 'limit_rate');

    is($t->http(POST => $path, { authorization => "Bearer $key" }, '{}')
        ->{status}, 405, 'POST');
    is($t->http(GET => '/off/feeds/orders/backfill',
        { authorization => "Bearer $key" })->{status}, 404, 'off by default');

    my $ssi = $t->http(GET => '/included', { authorization => "Bearer $key" });
    like($ssi->{body}, qr/^one .*"invalid-parameter"|^one /s, 'as a subrequest');
    my $inside = () = $ssi->{body} =~ /"specversion"/g;
    is($inside, 3000, 'whole inside of another answer');
    like($ssi->{body}, qr/"manifest":.* three$/s, 'which goes on after it');

    SKIP: {
        my $out = $t->testdir . '/gzip.out';
        system('curl', '-s', '--compressed', '-o', $out, '-H',
            "Authorization: Bearer $key",
            'http://127.0.0.1:' . $t->port(0) . '/gzip/feeds/orders/backfill')
            == 0 or skip 'no curl', 1;
        my @all = split /^/, $t->read_file('gzip.out');
        is(scalar @all, 3001, 'compressed');
    }
}

SKIP: {
    skip 'no curl with HTTP/2', 3
        unless (`curl --version 2>/dev/null` // '') =~ /\bHTTP2\b/;
    my $url = 'http://127.0.0.1:' . $t->port(1) . '/v1/feeds/orders/backfill';
    my @curl = ('curl', '-sS', '--http2-prior-knowledge', '-H',
        "Authorization: Bearer $key");
    my $out = $t->testdir . '/h2.out';
    is(system(@curl, '-o', $out, $url), 0, 'HTTP/2');
    my @lines = split /^/, $t->read_file('h2.out');
    like(pop @lines, qr/"complete":true/, 'HTTP/2: complete');
    is(join('', @lines), join('', @text), 'HTTP/2: the same');
    is(system(@curl, '--limit-rate', '400k', '-o', $out, $url), 0,
        'HTTP/2, slowly');
    @lines = split /^/, $t->read_file('h2.out');
    like(pop @lines, qr/"complete":true/, 'HTTP/2, slowly: complete');
    is(join('', @lines), join('', @text), 'HTTP/2, slowly: the same');
}

###############################################################################
# errors

{
    my $doc = problem('orders/backfill?limit=3', 400, 'invalid-parameter',
        'unknown parameter');
    is($doc->{parameter}, 'limit', 'which');
    problem("orders/backfill?to=$epoch-1&to=$epoch-1", 400,
        'invalid-parameter', 'repeated');
    problem('orders/backfill?after=nonsense', 400, 'invalid-cursor',
        'no cursor');
    for my $name (qw(from to)) {
        $doc = problem("orders/backfill?$name=nonsense", 400,
            'invalid-parameter', "$name is nothing");
        is($doc->{parameter}, $name, "$name: which");
    }
    problem("orders/backfill?after=$epoch-1&from=oldest", 400,
        'invalid-parameter', 'after and from');
    $doc = problem("orders/backfill?after=$epoch-9&to=$epoch-8", 400,
        'invalid-parameter', 'to before after');
    is($doc->{parameter}, 'to', 'to before after: which');
    problem('orders/backfill?types=,', 400, 'invalid-parameter', 'types');
    for my $name (qw(after from to)) {
        problem("orders/backfill?$name=$epoch-3001", 400, 'cursor-ahead',
            "$name ahead");
        $doc = problem("orders/backfill?$name=abcd-1&types=test.odd", 410,
            'feed-reset', "$name of another epoch");
        is($doc->{restart}, "/v1/feeds/orders/backfill?after=$epoch-0"
            . '&types=test.odd', "$name: restart");
    }
    problem('orders/backfill', 401, 'unauthorized', 'no key', 'esk_x_y');
    problem('orders/backfill', 403, 'forbidden', 'publish only', $producer);
    problem('empty/backfill', 404, 'not-found', 'not granted', $reader);
    problem('absent/backfill', 404, 'not-found', 'no such feed');

    my $answer = $t->http(GET => '/v1/feeds/orders/backfill',
        { authorization => "Bearer $key", accept => 'application/json' });
    is($answer->{status}, 406, 'another format');

    my $one = "/limited/feeds/orders/backfill?after=$epoch-2999";
    is((backfill($one))[0]{status}, 200, 'within the limit of polls');
    is((backfill($one))[0]{status}, 429, 'over it');
}

###############################################################################
# clients that read nothing, or vanish

# A stream of which nothing is read.
sub stalled {
    my ($path, $k) = @_;
    return $t->stalled($path, { authorization => 'Bearer ' . ($k // $key),
        connection => 'close' });
}

sub rest {
    my ($s, $begun) = @_;
    my $all = ($begun // '') . $t->read_all($s, 30);
    my (undef, $body) = split /\r\n\r\n/, $all, 2;
    my $text = '';
    my $whole = 0;
    while ($body =~ s/^([0-9a-f]+)\r\n//) {
        my $size = hex $1;
        $whole = 1, last if $size == 0;
        $text .= substr $body, 0, $size, '';
        $body =~ s/^\r\n//;
    }
    return ($text, $whole);
}

sub rss {
    my ($pid) = $t->workers;
    return $t->read_file("/proc/$pid/status") =~ /^RssAnon:\s+(\d+)/m ? $1 : 0;
}

$t->feed('long');
for my $commit (1 .. 10) {
    $t->publish('long', map { { data => { x => 'w' x 300 } } } 1 .. 2000);
}

{
    my $before = rss();
    my @stalled = map { stalled('/v1/feeds/long/backfill') } 1 .. 50;
    cmp_ok(rss() - $before, '<', 50 * 256, 'memory of stalled streams is bounded');

    # A transaction that they held would keep pages from being used again:
    # the feed lives in as much room as it had, however often it is replaced.
    my $size = sub { -s $t->store . '/log/data.mdb' };
    my $trim = sub {
        my $last = $t->json_get('/v1/feeds/long', $key)->{latest};
        $t->ctl_ok("feed", "trim", "long", "--before=$last");
    };
    my $grown;
    for my $round (1 .. 6) {
        $trim->();
        $t->publish('long', map { { data => { x => 'w' x 300 } } } 1 .. 2000)
            for 1 .. 5;
        $grown = $size->() if $round == 2;
    }
    cmp_ok($size->(), '<=', $grown * 1.2, 'stalled streams pin no pages');

    my ($text, $whole) = rest(shift @stalled);
    my @lines = split /^/, $text;
    my $closing = Test::Eventsync::json(pop @lines);
    my @seen = sequences(@lines);
    ok($whole, 'overtaken by retention: the answer ends in order');
    like($closing->{error}{type}, qr/:cursor-expired$/, 'with an error');
    is($closing->{error}{status}, 410, 'its status');
    is_deeply(\@seen, [1 .. @seen], 'what came before is whole');
    my ($latest) = cursors($lines[-1]);
    is($closing->{next}, $latest, 'and up to where');
    is((backfill($closing->{error}{restart}))[0]{status}, 200,
        'one can restart');

    $t->reset_socket(shift @stalled) while @stalled > 20;
    close shift @stalled while @stalled;
    ok(wait_for(sub {
        my @left = grep { m{^/v1/feeds/long/backfill } } split /\n/,
            $t->read_file('access.log');
        @left >= 50;
    }, 20), 'streams of clients that vanish end');
}

{
    $t->feed('reset');
    $t->publish('reset', map { { data => { x => 'w' x 300 } } } 1 .. 2000);
    my $s = stalled('/v1/feeds/reset/backfill');
    $t->ctl_ok('feed', 'reset', 'reset');
    my ($text) = rest($s);
    like($text, qr/\n\{"error":\{"type":"[^"]*:feed-reset".*"next":"[^"]+"\}\n\z/,
        'a feed that is reset');

    $t->publish('reset', map { { data => { x => 'w' x 300 } } } 1 .. 2000);
    $s = stalled('/v1/feeds/reset/backfill');
    $t->ctl_ok('feed', 'remove', 'reset');
    ($text) = rest($s);
    like($text, qr/\n\{"error":\{"type":"[^"]*:not-found"/,
        'a feed that is removed');
}

{
    $t->feed('huge');
    $t->publish('huge', { data => { x => 'w' x 250_000 } });
    $t->publish('huge', { data => { x => 'w' x 250_000 } });
    my $s = stalled('/v1/feeds/huge/backfill');
    $t->ctl_ok('feed', 'reset', 'huge');
    my ($text, $whole) = rest($s);
    ok(!$whole, 'cut in the midst of a line: not ended in order');
    unlike($text, qr/manifest|"error"/, 'and without a closing line');
}

{
    my $mine = $t->partner_key('leaver', feeds => 'orders', scopes => 'read');
    my ($id) = $mine =~ /^esk_([^_]+)_/;
    my $s = stalled('/v1/feeds/orders/backfill', $mine);
    $t->ctl_ok('key', 'revoke', $id);
    my ($text) = rest($s);
    like($text, qr/\n\{"error":\{"type":"[^"]*:unauthorized"/,
        'a key that is revoked meanwhile');

    $mine = $t->partner_key('mover', feeds => 'orders', scopes => 'read');
    $s = stalled('/v1/feeds/orders/backfill', $mine);
    $t->ctl_ok(qw(partner change mover --allow-from=192.0.2.1));
    ($text) = rest($s);
    like($text, qr/\n\{"error":\{"type":"[^"]*:forbidden"/,
        'an address that is no longer allowed');
}

###############################################################################
# quotas

{
    my (undef, $lines, $closing) = backfill('/quota/feeds/orders/backfill');
    is(scalar @$lines, 3000, 'over the quota of bytes: slowed, and whole');
    is($closing->{manifest}{complete}, JSON::PP::true, 'to the end');
    like($t->read_file('error.log'), qr/slows partner "tester" by "backfill"/,
        'and the log says so');

    my $mine = $t->partner_key('slowed', feeds => 'orders', scopes => 'read');
    my ($id) = $mine =~ /^esk_([^_]+)_/;
    my $path = '/little/feeds/orders/backfill';
    my $s = stalled($path, $mine);
    my $begun = '';
    ok(wait_for(sub {
        sysread $s, $begun, 65536, length $begun
            if IO::Select->new($s)->can_read(0);
        $t->read_file('error.log') =~ /slows partner "slowed"/ }),
        'what is left is for one slice');
    $t->ctl_ok('key', 'revoke', $id);
    my ($text, $whole) = rest($s, $begun);
    my @got = split /^/, $text;

    SKIP: {
        skip 'a line had begun before the key was revoked', 4 unless $whole;
        my $error = Test::Eventsync::json(pop @got);
        ok($whole, 'revoked while slowed: it ends in order');
        like($error->{error}{type}, qr/:unauthorized$/, 'with an error');
        is($error->{next}, (cursors(@got))[-1], 'after what was sent');
        is_deeply([sequences(@got)], [1 .. @got], 'which is whole');
    }

    my $mean = $t->partner_key('mean', feeds => 'orders', scopes => 'read');
    my %mean = (authorization => "Bearer $mean");
    my $other = $t->http_start(GET => $path, \%mean);
    ok($t->logged('error.log', qr/slows partner "mean"/), 'nothing is left');
    is($t->http(HEAD => $path, \%mean)->{status}, 200, 'HEAD needs none');
    close $other->{sock};

    $s = stalled('/single/feeds/long/backfill');
    is((backfill('/single/feeds/long/backfill'))[0]{status}, 429,
        'one too many at once');
    is($t->http(HEAD => '/single/feeds/long/backfill',
        { authorization => "Bearer $key" })->{status}, 200,
        'but HEAD is over at once') for 1, 2;
    close $s;
    ok(wait_for(sub {
        (backfill('/single/feeds/empty/backfill'))[0]{status} == 200 }),
        'until one ends');
    is((backfill('/single/feeds/empty/backfill'))[0]{status}, 200,
        'which is before its client has the last line') for 1 .. 3;
}

{
    my $s = stalled('/impatient/feeds/long/backfill');
    ok($t->logged('access.log', qr{^/impatient/\S+ \S+ (?:200|408)$}m, 20),
        'send_timeout ends who takes nothing');
}

###############################################################################
# reload

for my $filter ('', 'types=test.event') {
    my $s = stalled("/v1/feeds/long/backfill?$filter");
    ok($t->reload, "reload, '$filter'");
    is((backfill("orders/backfill?after=$epoch-2999"))[0]{status}, 200,
        'new workers serve');

    # Slowly, so that the old worker's patience ends before the stream does.
    my ($all, $end) = ('', time() + 40);
    while (time() < $end) {
        IO::Select->new($s)->can_read(1) or next;
        my $got = sysread $s, $all, 4096, length $all;
        last if !$got || $all =~ /\r\n0\r\n\r\n\z/;
        sleep 0.05;
    }
    $all =~ s/^.*?\r\n\r\n[0-9a-f]+\r\n//s;
    $all =~ s/\r\n0\r\n.*\z//s;
    my @lines = split /^/, $all =~ s/\r\n[0-9a-f]+\r\n//gr;
    my $m = Test::Eventsync::json(pop @lines)->{manifest};
    is($m->{digest}, $filter ? sha256_hex(join '', @lines)
        : fold($m->{digest_from}, @lines), 'with the digest so far');
    is($m->{count}, scalar @lines, 'and the count');
    is($m->{complete}, JSON::PP::false, 'the old worker says: incomplete');
    my ($feed_epoch) = $m->{from} =~ /^(.*)-/;
    is($m->{next}, "$feed_epoch-" . ($m->{first} =~ s/.*-//r - 1 + $m->{count}),
        'and where to go on');
    my ($answer, $rest, $closing)
        = backfill("long/backfill?after=$m->{next}&to=$m->{to}&$filter");
    is($closing->{manifest}{complete}, JSON::PP::true, 'which one can');
    is($closing->{manifest}{digest_from}, $m->{digest}, 'with the same chain')
        unless $filter;
    is($closing->{manifest}{count} + $m->{count},
        ($m->{to} =~ s/.*-//r) - ($m->{from} =~ s/.*-//r),
        'and has every event');
}

###############################################################################
# a range whose beginning is gone goes on to the same end

my ($of) = $t->poll('other', from => 'latest')->{next} =~ /^(.*)-/;
$t->ctl_ok('feed', 'trim', 'other', "--before=$of-4");
for my $case (["to=$of-5", "&to=$of-5"], ["to=$of-2", ''],
    ["to=$of-6", ''], ["to=%${\sprintf '%x', ord $of}" . substr($of, 1) . '-5', ''],
    ['to=2999-01-01T00:00:00Z', ''])
{
    my ($to, $kept) = @$case;
    my $doc = problem("other/backfill?after=$of-1&$to", 410, 'cursor-expired',
        "expired, $to");
    is($doc->{restart}, "/v1/feeds/other/backfill?after=$of-3$kept",
        'its restart');
    is((backfill($doc->{restart}))[0]{status}, 200, 'is a way on');
}

ok($t->verify, 'the store is sound');

done_testing();
