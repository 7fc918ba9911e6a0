#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Answers that are sent in slices: the same bytes as in one piece, however
# slowly they are read; cut, and never completed wrongly, if the events change
# meanwhile.

use warnings;
use strict;

use IO::Select;
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Reader;

my $t = Test::Eventsync->new(workers => 1);
$t->store_init->feed('orders')->feed('huge');
my $key = $t->master_key;

my $openssl = $t->start('openssl', {}, qw(openssl req -x509 -newkey ec -pkeyopt
    ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=localhost -keyout),
    $t->testdir . '/key.pem', '-out', $t->testdir . '/cert.pem');
is($openssl->wait(20), 0, 'a certificate');

$t->slow_conf('eventsync_poll', '16k', location => <<'LOCATION',
            eventsync_backfill on;
            eventsync_snapshot on;
            eventsync_pages on;
            eventsync_sse on;
LOCATION
    server => <<'SERVER');
        listen 127.0.0.1:%%PORT_2%% ssl sndbuf=16k;
        ssl_certificate %%TESTDIR%%/cert.pem;
        ssl_certificate_key %%TESTDIR%%/key.pem;

        location /limit/ {
            eventsync_poll on;
            limit_rate 3m;
        }
SERVER
$t->write_file('included', '<!--#include virtual="/v1/feeds/orders/events'
    . '?limit=1000" -->,<!--#include virtual="/v1/feeds/orders/snapshot'
    . '?limit=1000" -->');
$t->run_nginx;

sub fill {
    my ($feed, $of) = @_;
    for my $commit (0 .. 4) {
        $t->publish($feed, map {
            my $n = $commit * 240 + $_;
            { subject => 's' . $n % $of, data => { n => $n, x => 'x' x (137 + $n) },
              type => $n % 3 ? 'test.most' : 'test.some' }
        } 1 .. 240)->{status} == 201 or die "cannot publish\n";
    }
}
fill('orders', 800);

sub get {
    my ($path, %headers) = @_;
    return $t->http(GET => $path, { authorization => "Bearer $key", %headers });
}

# The events of the feed, from an answer of another kind.
my @lines = split /\n/, get('/v1/feeds/orders/backfill')->{body};
pop @lines;
is(scalar @lines, 1200, 'the feed is filled');
my ($epoch) = $lines[0] =~ /"cursor":"([^-]+)-/;

my @some = do {
    my ($after, @got) = "$epoch-0";
    while (1) {
        my $page = get("/v1/feeds/orders/events?after=$after&limit=40"
            . '&types=test.some');
        push @got, $page->{body} =~ /^\{"events":\[(.*)\],"next"/s;
        ($after) = $page->{body} =~ /"next":"([^"]+)","has_more":true/ or last;
    }
    grep { length } @got;
};

###############################################################################
# bytes and header fields

my $frame = sub {
    my ($next, $more) = @_;
    return '{"events":[', qq(],"next":"$epoch-$next","has_more":$more,)
        . qq("oldest":"$epoch-0","latest":"$epoch-1200"});
};
my ($begin, $end) = $frame->(1000, 'true');
my $whole = $begin . join(',', @lines[0 .. 999]) . $end;

my @cases = (
    ['JSON', '?limit=1000', 'application/json', $whole],
    ['lines', '?limit=1000', 'application/x-ndjson',
        join '', map { "$_\n" } @lines[0 .. 999]],
    ['a batch', '?limit=1000', 'application/cloudevents-batch+json',
        '[' . join(',', @lines[0 .. 999]) . ']'],
    ['from the middle', "?limit=1000&after=$epoch-777", 'application/json',
        join(',', @lines[777 .. 1199]) =~ s/^/$begin/r
            . ($frame->(1200, 'false'))[1]],
    ['with a filter', '?limit=1000&types=test.some', 'application/json',
        join(',', @some) =~ s/^/$begin/r . ($frame->(1200, 'false'))[1]],
);

for my $case (@cases) {
    my ($name, $query, $type, $body) = @$case;
    my $path = "/v1/feeds/orders/events$query";
    my $answer = get($path, accept => $type);
    my %h = %{ $answer->{headers} };

    ok($answer->{body} eq $body, "$name: the bytes");
    is($h{'content-length'}, length $body, "$name: their number");
    is($h{'transfer-encoding'}, undef, "$name: not chunked");
    is($h{'content-type'}, $type, "$name: type");
    like($h{etag}, qr/^"\w{16}"$/, "$name: strong ETag");

    if ($type ne 'application/json') {
        is($h{'eventsync-next'}, "$epoch-1000", "$name: next");
        is($h{'eventsync-has-more'}, 'true', "$name: has more");
        like($h{link}, qr/^<\?after=$epoch-1000&.*>; rel="next"$/,
            "$name: link");
    }

    is(get($path, accept => $type, 'if-none-match' => $h{etag})->{status}, 304,
        "$name: not modified");

    my $head = $t->http(HEAD => $path, { authorization => "Bearer $key",
        accept => $type });
    delete @$_{qw(date)} for $head->{headers}, \%h;
    is_deeply($head->{headers}, \%h, "$name: HEAD has the same fields");
}

ok($t->logged('access.log', qr{/events 1-1000 200}), 'the log has the range');
ok($t->logged('access.log', qr{/events 778-1200 200}), 'of each answer');

###############################################################################
# slow readers

# Reads all of an answer, a little at a time; returns its body.
sub trickle {
    my ($sock) = @_;
    my ($text, $n) = ('', 0);
    while (1) {
        IO::Select->new($sock)->can_read(30) or last;
        sysread($sock, $text, 1 + $n++ * 769 % 4001, length $text) or last;
    }
    return ($text =~ /\r\n\r\n(.*)\z/s)[0];
}

# The same of a stream that does not end: so many bytes of its text.
sub trickle_stream {
    my ($path, $bytes) = @_;
    my $sock = stalled($path, accept => 'text/event-stream');
    my $text = '';
    while (length $text < $bytes) {
        IO::Select->new($sock)->can_read(30) or last;
        sysread($sock, $text, 1 + length($text) % 4001, length $text) or last;
    }
    $text =~ s/\A.*?\r\n\r\n//s;
    my $whole = '';
    while ($text =~ s/\A([0-9a-f]+)\r\n//) {
        my $n = hex $1;
        $whole .= substr $text, 0, $n, '';
        $text =~ s/\A\r\n//;
    }
    return $whole;
}

sub stalled {
    my ($path, %opts) = @_;
    return $t->stalled($path, { authorization => 'Bearer '
        . (delete $opts{key} // $key), connection => 'close', %opts });
}

for my $case (@cases) {
    my ($name, $query, $type, $body) = @$case;
    my $text = trickle(stalled("/v1/feeds/orders/events$query",
        accept => $type));
    ok($text eq $body, "$name: the bytes, read slowly");
}

is(get('/limit/feeds/orders/events?limit=1000')->{body}, $whole, 'limit_rate');

# A connection is kept after a transfer.
{
    my $sock = $t->socket;
    for my $round (1, 2) {
        my $answer = $t->http(GET => '/v1/feeds/orders/events?limit=1000',
            { authorization => "Bearer $key" }, undef, socket => $sock);
        ok($answer->{body} eq $whole, "keep-alive, request $round");
    }
}

# Events that exceed a slice, between small ones.
{
    my @sizes = (1, 65_000, 65_300, 65_536, 66_000, 2, 200_000, 131_072, 3);
    for my $n (0 .. $#sizes) {
        is($t->publish('huge', { subject => "s$n",
            data => { x => 'h' x $sizes[$n] } })->{status}, 201, "an event of $sizes[$n]");
    }
    my @huge = split /\n/, get('/v1/feeds/huge/backfill')->{body};
    pop @huge;

    for my $query ('', '?types=test.*') {
        my $path = "/v1/feeds/huge/events$query";
        ok(get($path)->{body} =~ /^\{"events":\[(.*)\],"next":"/
            && $1 eq join(',', @huge), "huge events, '$query'");
        my $sock = stalled($path, accept => 'application/x-ndjson');
        ok(trickle($sock) eq join('', map { "$_\n" } @huge),
            "huge events as lines, slowly, '$query'");
    }
    # As a stream, too; an event that comes meanwhile is the next one.
    for my $query ('', '?types=test.*') {
        my $reader = Test::Eventsync::Reader->new($t,
            "/v1/feeds/huge/events$query", $key, port => $t->port(0));
        $reader->await(sub { @{ $_[0]{got} } == @huge });
        my @events = map { $_->{data} } @{ $reader->{got} };
        ok(join("\n", @events) eq join("\n", @huge),
            "huge events in a stream, '$query'");
        is($reader->{id}, ($huge[-1] =~ /"cursor":"([^"]+)"/)[0], 'their ids');
        $reader->close;
    }
    my $stream = trickle_stream('/v1/feeds/huge/events', 470_000);
    is_deeply([map { length } $stream =~ /^data: (\{"specversion".*)\n\n/mg],
        [map { length } @huge[0 .. 6]], 'huge events in a stream, slowly');

    my $body = trickle(stalled('/v1/feeds/huge/snapshot'));
    ok($body =~ /^\{"events":\[(.*)\],"cursor":"[^"]+","next":null\}$/s
        && $1 eq join(',', @huge), 'huge events in a snapshot');
}

###############################################################################
# snapshots

# The latest event of each subject, in the order of the subjects' bytes.
my (%latest, @order);
$latest{ (/"subject":"([^"]+)"/)[0] } = $_ for @lines;
@order = map { $latest{$_} } sort keys %latest;
{
    my $body = '{"events":[' . join(',', @order)
        . qq(],"cursor":"$epoch-1200","next":null});
    my $answer = get('/v1/feeds/orders/snapshot?limit=1000');
    ok($answer->{body} eq $body, 'snapshot: the bytes');
    is($answer->{headers}{'content-length'}, length $body,
        'snapshot: their number');
    ok(trickle(stalled('/v1/feeds/orders/snapshot?limit=1000')) eq $body,
        'snapshot: read slowly');

    my $first = get('/v1/feeds/orders/snapshot?limit=500')->{body};
    ok($first =~ /^\{"events":\[(.*)\],"cursor":"$epoch-1200","next":"([^"]+)"\}$/s
        && $1 eq join(',', @order[0 .. 499]), 'snapshot: a page');
    $body = get("/v1/feeds/orders/snapshot?limit=500&page=$2")->{body};
    ok($body eq '{"events":[' . join(',', @order[500 .. 799])
        . qq(],"cursor":"$epoch-1200","next":null}), 'snapshot: the next one');

    # Publishing meanwhile changes nothing.
    my $sock = stalled("/v1/feeds/orders/snapshot?limit=500&page=$2");
    $t->publish('orders', map { { subject => "s$_", data => 'new' } } 0 .. 799);
    ok(trickle($sock) eq $body, 'snapshot: of its moment');
}

###############################################################################
# pages

# Text that hardly becomes shorter, so that encoded pages are large too.
$t->feed('noise');
{
    srand 4711;
    for my $commit (1 .. 4) {
        $t->publish('noise', map { { data => { x => join '',
            map { chr 97 + int rand 26 } 1 .. 3000 } } } 1 .. 50);
    }
}
my @noise = split /\n/, get('/v1/feeds/noise/backfill')->{body};
pop @noise;
my ($noisy) = $noise[0] =~ /"cursor":"([^-]+)-/;
my $pages = "/v1/feeds/noise/pages/$noisy";
my $page = '{"events":[' . join(',', @noise[0 .. 99]) . '],"feed":"noise",'
    . qq("epoch":"$noisy","page":1,"first":"$noisy-1","last":"$noisy-100",)
    . qq("next":"$noisy-100"});
{
    my $answer = get("$pages/1");
    ok($answer->{body} eq $page, 'page: the bytes');
    is($answer->{headers}{'content-length'}, length $page,
        'page: their number');
    ok(trickle(stalled("$pages/1")) eq $page, 'page: read slowly');
    is(get("$pages/1", 'if-none-match' => $answer->{headers}{etag})->{status},
        304, 'page: not modified');
    is(get("$pages/1", 'if-none-match' => '"x"')->{headers}{etag},
        $answer->{headers}{etag}, 'page: the same ETag');

    for my $range ([0, 9], [70_000, 140_000], [300_000, length($page) - 1]) {
        my ($from, $to) = @$range;
        my $part = get("$pages/1", range => "bytes=$from-$to");
        is($part->{status}, 206, "page: range from $from");
        ok($part->{body} eq substr($page, $from, $to - $from + 1),
            "page: range from $from: the bytes");
        my $text = trickle(stalled("$pages/1", range => "bytes=$from-$to"));
        ok($text eq $part->{body}, "page: range from $from, read slowly");
    }
    is(get("$pages/1", range => 'bytes=0-9,20-29')->{status}, 200,
        'page: several ranges are not served');
    is(get("$pages/1", range => 'bytes=999999999-')->{status}, 416,
        'page: none of it');

    $t->publish('noise', map { { data => { x => 'y' x 3000 } } } 1 .. 50);
    my $head = get("$pages/head")->{body};
    is(scalar(() = $head =~ /"specversion"/g), 50, 'a large head');
    ok(trickle(stalled("$pages/head")) eq $head, 'a large head, read slowly');

    for my $encoding (qw(gzip br zstd)) {
        my $encoded = get("$pages/1", 'accept-encoding' => $encoding);
        is($encoded->{headers}{'content-encoding'}, $encoding, "page, $encoding");
        cmp_ok(length $encoded->{body}, '>', 150_000, 'which is large');
        is(get("$pages/1", 'accept-encoding' => $encoding)->{headers}{etag},
            $encoded->{headers}{etag}, 'and has the same ETag again');
        ok(trickle(stalled("$pages/1", 'accept-encoding' => $encoding))
            eq $encoded->{body}, 'and is the same when read slowly');
    }
}

###############################################################################
# what overtakes an answer cuts it

# The answer is cut: what came is the beginning of the right one.
sub cut {
    my ($name, $sock, $right) = @_;
    my $text = trickle($sock);
    cmp_ok(length $text, '<', length $right, "$name: the answer is cut");
    ok(substr($right, 0, length $text) eq $text, "$name: and right so far");
}

my $n = 0;
my %paths = (events => '/events?limit=1000', filter =>
    '/events?limit=1000&types=test.most', snapshot => '/snapshot?limit=1000');
my %cuts = (
    trim => sub { $t->ctl_ok('feed', 'trim', $_[0], "--before=$_[1]-1100") },
    reset => sub { $t->ctl_ok('feed', 'reset', $_[0]) },
    remove => sub { $t->ctl_ok('feed', 'remove', $_[0]) },
    again => sub { $t->ctl_ok('feed', 'remove', $_[0]); $t->feed($_[0]);
        fill($_[0], 800) },
    revoke => sub { $t->ctl_ok('key', 'revoke', $_[2]) },
    address => sub { $t->ctl_ok('key', 'change', $_[2], '--allow-from=192.0.2.1') },
);
for my $cut (sort keys %cuts) {
    my $feed = 'cut' . $n++;
    $t->feed($feed);
    fill($feed, 800);
    my $mine = $t->partner_key("partner$n", feeds => $feed, scopes => 'read');
    my ($id) = $mine =~ /^esk_([^_]+)_/;
    my (%sock, %right);

    for my $kind (sort keys %paths) {
        my $path = "/v1/feeds/$feed$paths{$kind}";
        $right{$kind} = get($path)->{body};
        $sock{$kind} = stalled($path, key => $mine);
    }
    my ($of) = $right{events} =~ /"cursor":"([^-]+)-/;
    $cuts{$cut}->($feed, $of, $id);
    cut("$cut, $_", $sock{$_}, $right{$_}) for sort keys %paths;
}

# A page, and a stored one, which is deleted some seconds later.
{
    my $metas = sub {
        substr $t->read_file($t->store . '/pages/data.mdb'), 0, 8192 };
    my (%right, %sock);
    for my $encoding ('identity', 'br') {
        my @of = ("$pages/2", 'accept-encoding' => $encoding);
        $right{$encoding} = get(@of)->{body};
        $sock{$encoding} = stalled(@of);
    }
    my $before = $metas->();
    $t->ctl_ok('feed', 'trim', 'noise', "--before=$noisy-199");
    ok(wait_for(sub { $metas->() ne $before }, 20), 'stored pages are deleted');
    cut("trim, page, $_", $sock{$_}, $right{$_}) for sort keys %sock;
}

# A stream within an event: nothing follows the part that was sent.
{
    my $mine = $t->partner_key('streamer', feeds => 'huge', scopes => 'read');
    my ($id) = $mine =~ /^esk_([^_]+)_/;
    my $sock = stalled("/v1/feeds/huge/events?types=test.*", key => $mine,
        accept => 'text/event-stream');
    $t->ctl_ok('key', 'revoke', $id);
    my $text = trickle($sock);
    unlike($text, qr/event: end/, 'revoke, stream within an event: no end');
    unlike($text, qr/\n0\r\n\r\n\z/, 'and no last chunk');
}

# What retention trims before the place of the answer does not matter.
{
    $t->feed('behind');
    fill('behind', 800);
    my $path = '/v1/feeds/behind/events?limit=1000';
    my $right = get($path)->{body};
    my ($of) = $right =~ /"cursor":"([^-]+)-/;
    my $sock = stalled($path);
    my $text = '';
    while (length $text < 0.6 * length $right) {
        sysread $sock, $text, 4096, length $text or last;
    }
    my ($last) = $text =~ /.*"cursor":"[^-]+-(\d+)"/s;
    $t->ctl_ok('feed', 'trim', 'behind', "--before=$of-" . ($last - 100));
    1 while sysread $sock, $text, 65536, length $text;
    ok($text =~ /\r\n\r\n(.*)\z/s && $1 eq $right, 'trimmed behind it: whole');
}

{
    my $sock = stalled('/impatient/feeds/orders/events?limit=1000');
    ok($t->logged('access.log', qr{^/impatient/\S+ \S+ (?:200|408)$}m, 20),
        'send_timeout ends an answer that nobody takes');
}

{
    my $sock = stalled('/v1/feeds/orders/events?limit=1000');
    ok($t->reload, 'reload');
    my $text = trickle($sock);
    like($text, qr/^\{"events":\[.*"next":"$epoch-1000","has_more":true,.*\}$/s,
        'an old worker ends its answers');
}

###############################################################################
# long polls

{
    $t->feed('wait');
    my @calls = map { $t->http_start(GET => '/v1/feeds/wait/events?limit=1000'
            . '&wait=30' . ($_ % 2 ? '&types=test.*' : ''),
        { authorization => "Bearer $key" }) } 1 .. 8;
    my $slow = $t->stalled_socket;
    $t->http_start(GET => '/v1/feeds/wait/events?limit=1000&wait=30',
        { authorization => "Bearer $key", connection => 'close' }, undef,
        socket => $slow);
    ok($t->waiting(9), 'they wait');
    $t->publish('wait', map { { data => { x => 'w' x 3000 } } } 1 .. 300);
    my $right = get('/v1/feeds/wait/events?limit=1000')->{body};
    cmp_ok(length $right, '>', 900_000, 'one large commit');
    is(scalar(grep { $t->http_end($_)->{body} ne $right } @calls), 0,
        'all waiters get it');
    ok(trickle($slow) eq $right, 'a slow one too');
}

###############################################################################
# other ways through nginx

{
    my $text = get('/included')->{body};
    my ($poll, $snapshot) = map { get("/v1/feeds/orders/$_?limit=1000")->{body} }
        qw(events snapshot);
    ok($text eq "$poll,$snapshot", 'in subrequests');
}

my $right = get('/v1/feeds/orders/events?limit=1000')->{body};
my %ways = (
    'HTTP/2' => ['--http2-prior-knowledge',
        'http://127.0.0.1:' . $t->port(1) . '/v1'],
    'TLS' => ['-k', 'https://127.0.0.1:' . $t->port(2) . '/v1'],
    'gzip' => ['--compressed', 'http://127.0.0.1:' . $t->port(0) . '/gzip'],
);
for my $way (sort keys %ways) {
    my ($option, $url) = @{ $ways{$way} };
    for my $rate ('100m', '2m') {
        SKIP: {
            my $code = system 'curl', '-sS', $option, '--limit-rate', $rate,
                '-H', "Authorization: Bearer $key", '-o',
                $t->testdir . '/curl.out', "$url/feeds/orders/events?limit=1000";
            skip "no curl, or without $way", 1 if $code < 0 || $code == 2 << 8;
            ok($code == 0 && $t->read_file('curl.out') eq $right,
                "$way, at $rate a second");
        }
    }
}

ok($t->verify, 'the store is sound');
done_testing();
