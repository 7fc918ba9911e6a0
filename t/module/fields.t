#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Field lists over HTTP: what a partner may not see is in no channel, what it
# may see is there byte for byte, and no cache gives it the page of another.

use warnings;
use strict;

use Digest::SHA qw(sha256 sha256_hex);
use IO::Uncompress::Gunzip qw(gunzip);
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Fields qw(entries faults);
use Test::Eventsync::Reader;

my $t = Test::Eventsync->new(workers => 2);
$t->store_init->feed('orders')->feed('big')->feed('long')->feed('live');
my %key = map { $_ => $t->partner_key($_, feeds => '*') } qw(acme bolt cara);

$t->write_file_expand('nginx.conf', <<'CONF');
events { }
http {
    eventsync_store %%STORE%%;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        client_max_body_size 64m;
        location /v1/ {
            eventsync_feeds on;
            eventsync_poll on;
            eventsync_sse on;
            eventsync_publish on;
            eventsync_backfill on;
            eventsync_snapshot on;
            eventsync_pages on;
            eventsync_authorize on;
        }
        location /shared/ {
            eventsync_pages on;
            eventsync_cache shared;
        }
        location /gzip/ {
            eventsync_poll on;
            eventsync_backfill on;
            gzip on;
            gzip_types *;
        }
        location = /ops/metrics {
            eventsync_metrics on;
            eventsync_auth off;
        }
    }
}
CONF
$t->run_nginx;

sub get {
    my ($path, %opts) = @_;
    my $key = $key{ delete $opts{as} // 'acme' };
    return $t->http(GET => $path =~ m{^/} ? $path : "/v1/feeds/$path",
        { authorization => "Bearer $key", %opts });
}

sub lists {
    my ($partner, $lists) = @_;
    $t->ctl_ok('partner', 'change', $partner, '--fields='
        . (ref $lists ? Test::Eventsync::Fields::lists($lists) : $lists));
}

sub allow { return { orders => { allow => [@_] }, big => { allow => [@_] } } }

# What a reader has got so far, and waiting until that has a text.
sub got { return join '', map { "$_->{data}\n" } @{ $_[0]{all} } }
sub await { my ($reader, $like) = @_;
    return $reader->await(sub { got($_[0]) =~ $like }, 30) }

# The events that a stream sends until the last one.
sub stream {
    my ($feed, $as, $last) = @_;
    my $reader = Test::Eventsync::Reader->new($t,
        "/v1/feeds/$feed/events?from=oldest", $key{$as});
    await($reader, qr/"cursor":"\Q$last\E","prevcursor"/);
    $reader->close;
    return got($reader);
}

###############################################################################
# random documents and lists, in each channel

my $seed = $ENV{ES_FIELDS_SEED} // int rand 2**31;
my $random = Test::Eventsync::Fields->new($seed);
my (@leaves, @events);
for my $n (1 .. 120) {
    my ($data, $leaves) = $random->document;
    push @leaves, @$leaves;
    push @events, $t->event(subject => 's' . $n % 50, type => $n % 2 ? 'odd' : 'even',
        tag => "tag-$n", data => \$data);
}
is($t->publish('orders', @events)->{status}, 201, 'events are published');
my $latest = $t->poll('orders')->{latest};
my ($epoch) = $latest =~ /^(.*)-/;
my $pages = "orders/pages/$epoch";

# All text that the partner gets, by channel.
sub channels {
    my ($as) = @_;
    my $body = sub { my $answer = get(@_, as => $as);
        is($answer->{status}, 200, "$_[0] is answered") or diag($answer->{body});
        return $answer->{body} };
    my $unzipped = sub { my $in = $body->(@_, 'accept-encoding' => 'gzip');
        gunzip(\$in, \my $out); return $out // '' };
    return (
        poll => $body->('orders/events?from=oldest&limit=1000'),
        lines => $body->('orders/events?from=oldest&limit=1000',
            accept => 'application/x-ndjson'),
        batch => $body->('orders/events?from=oldest&limit=1000',
            accept => 'application/cloudevents-batch+json'),
        filtered => $body->('orders/events?from=oldest&limit=1000&types=odd')
            . $body->('orders/events?from=oldest&limit=1000&types=even'),
        gzip => $unzipped->('/gzip/feeds/orders/events?from=oldest&limit=1000'),
        pages => join('', map { $body->("$pages/$_") } 1, 'head'),
        'encoded pages' => $unzipped->("$pages/1") . $body->("$pages/2"),
        backfill => $body->('orders/backfill?from=oldest'),
        stream => stream('orders', $as, $latest),
    );
}

for my $round (1 .. 4) {
    my $list = $random->list;
    lists('acme', allow(entries($list)));
    my %text = channels('acme');
    for my $channel (sort keys %text) {
        is_deeply([ faults($text{$channel}, \@leaves, $list) ], [],
            "seed $seed, round $round: $channel")
            or diag(join ' ', entries($list));
        unlike($text{$channel}, qr/tag-/, '... without the attribute');
    }

    # the latest event of each subject, and no others
    my $snapshot = get('orders/snapshot?limit=1000')->{body};
    is_deeply([ grep { /^hidden/ } faults($snapshot, \@leaves, $list) ], [],
        "seed $seed, round $round: snapshot");
    my %line = map { /"cursor":"([^"]+)"/ ? ($1 => $_) : () }
        split /\n/, $text{lines};
    is(scalar(keys %line), 120, 'each event comes');
    my @shown = $snapshot =~ /"cursor":"([^"]+)","prevcursor"/g;
    is(scalar @shown, 50, 'one of each subject');
    is_deeply([ grep { index($snapshot, $line{$_}) < 0 } @shown ], [],
        'the snapshot has the same bytes');
    is_deeply([ grep { my $line = $line{$_};
        grep { index($text{$_}, $line) < 0 } qw(poll batch gzip pages backfill
            stream), 'encoded pages' } keys %line ], [],
        'so has every other channel');
    is($t->ctl_ok(qw(fields preview acme orders), $latest), "$line{$latest}\n",
        'and the preview');
}

# everything is there for who has no list
{
    my %text = channels('bolt');
    is_deeply([ map { faults($text{$_}, \@leaves, [[]]) } sort keys %text ], [],
        'a partner without a list sees all');
    is(scalar(() = $text{poll} =~ /tag-/g), 120, '... and the attributes');
    lists('acme', allow('tag'));
    my $body = get('orders/events?from=oldest&limit=1000')->{body};
    is(scalar(() = $body =~ /"tag":"tag-/g), 120, 'a listed attribute is sent');
    unlike($body, qr/canary|"data"/, '... and no data');
}

###############################################################################
# validators and caches

my $poll = 'orders/events?from=oldest';
{
    my %etag;
    for my $path ($poll, "$pages/1", "$pages/head") {
        lists('acme', allow('/a'));
        my $first = get($path);
        my $etag = $first->{headers}{etag};
        ok($etag, "$path: an ETag");
        is(get($path, 'if-none-match' => $etag)->{status}, 304, '... is good');
        is($first->{headers}{'cache-control'}, 'private, no-cache',
            '... for this partner only, to be revalidated');
        my $others = get($path, as => 'bolt');
        isnt($others->{headers}{etag}, $etag, '... and no other partner has it');
        isnt($others->{body}, $first->{body}, '... nor the bytes');
        is(get($path, as => 'bolt', 'if-none-match' => $etag)->{status}, 200,
            '... for whom it is not good');
        lists('cara', allow('/a'));
        is_deeply([ @{ get($path, as => 'cara') }{qw(status body)} ],
            [ 200, $first->{body} ], '... unless it has the same list');
        lists('acme', allow('/b'));
        my $changed = get($path, 'if-none-match' => $etag);
        is($changed->{status}, 200, '... nor after a change of the list');
        isnt($changed->{headers}{etag}, $etag, '... which has another');
        lists('acme', allow('/nowhere'));
        my $none = get($path);
        lists('acme', allow('/nowhere', '/neither'));
        my $neither = get($path);
        is($neither->{body}, $none->{body}, 'two lists that show the same');
        isnt($neither->{headers}{etag}, $none->{headers}{etag},
            '... have two ETags');
    }
    lists('cara', '');
    lists('acme', allow('/a'));
    {
        my $n = 1;
        my $page = get("/shared/feeds/$pages/$n");
        is_deeply([ grep { exists $page->{headers}{$_} } qw(cdn-cache-control
            x-accel-expires surrogate-key) ], [], 'no shared cache may have it');
        is($page->{headers}{'cache-control'}, 'private, no-cache', 'as it says');
        ok(get("/shared/feeds/$pages/$n", as => 'bolt')->{headers}
            {'cdn-cache-control'}, '... and may have that of another');
    }
    my $first = get("$pages/1", 'accept-encoding' => 'gzip');
    is($first->{headers}{'content-encoding'}, 'gzip', 'an encoded page');
    is(get("$pages/1", 'accept-encoding' => 'gzip')->{body}, $first->{body},
        '... is the same again');
    isnt(get("$pages/1", 'accept-encoding' => 'gzip', as => 'bolt')->{headers}
        {etag}, $first->{headers}{etag}, '... and not that of another');
    my $refused = get('orders/authorize');
    is($refused->{status}, 403, 'a shared cache must not answer');
    like($refused->{body}, qr/field list/, '... because of the list');
    is(get('orders/authorize', as => 'bolt')->{status}, 204, 'for others it may');
    is(get('live/authorize')->{status}, 204, 'on a feed without a list too');
}

###############################################################################
# long polls and streams that wait together

{
    lists('acme', { live => { allow => ['/a'] } });
    my $start = $t->poll('live')->{latest};
    my %call = map { $_ => $t->http_start(GET =>
        "/v1/feeds/live/events?after=$start&wait=20",
        { authorization => "Bearer $key{$_}" }) } qw(acme bolt cara);
    my %reader = map { $_ => Test::Eventsync::Reader->new($t,
        "/v1/feeds/live/events?after=$start", $key{$_}) } qw(acme bolt);
    $t->waiting(3);
    $t->waiting(2, 'stream');
    $t->publish('live', { data => { a => 'plain', b => 'secret' } });
    my %body = map { $_ => $t->http_end($call{$_})->{body} } sort keys %call;
    like($body{acme}, qr/"data":\{"a":"plain"\}\}/, 'a long poll under a list');
    unlike($body{acme}, qr/secret/, '... has nothing else');
    like($body{$_}, qr/"b":"secret"/, "that of $_ is whole") for qw(bolt cara);
    await($reader{$_}, qr/plain/) for sort keys %reader;
    my %text = map { $_ => got($reader{$_}) } sort keys %reader;
    unlike($text{acme}, qr/secret/, 'a stream under a list as well');
    like($text{bolt}, qr/secret/, 'the other stream is whole');

    lists('acme', { live => { allow => ['/b'] } });
    $t->publish('live', { data => { a => 'hidden', b => 'now' } });
    await($reader{acme}, qr/now/);
    unlike(got($reader{acme}), qr/hidden/,
        'a stream goes on under a changed list');
}

###############################################################################
# large events, which are sent in slices

{
    my @sizes = (100, 50_000, 70_000, 10, 120_000, 30_000, 1, 90_000, 5, 40_000);
    push @sizes, (2) x 90;
    my @data = map { { a => 'x' x $_, b => 'secret' x ($_ / 12 + 1),
        c => 'y' x ($_ / 4) } } @sizes;
    is($t->publish('big', map { { subject => "s$_", data => $data[$_] } } 0 .. 99)
        ->{status}, 201, 'large events');
    my $last = $t->poll('big')->{latest};
    my ($big) = $last =~ /^(.*)-/;
    lists('acme', allow('/c', '/a'));
    my %text = (
        poll => get('big/events?from=oldest&limit=100')->{body},
        filtered => get('big/events?from=oldest&limit=100&types=test.event')->{body},
        page => get("big/pages/$big/1")->{body},
        snapshot => get('big/snapshot?limit=100')->{body},
        backfill => get('big/backfill?from=oldest')->{body},
        stream => stream('big', 'acme', $last),
    );
    my $gzip = get("big/pages/$big/1", 'accept-encoding' => 'gzip')->{body};
    gunzip(\$gzip, \$text{encoded});
    for my $channel (sort keys %text) {
        unlike($text{$channel}, qr/secret/, "large: $channel hides");
        is_deeply([ grep { my $n = $_; index($text{$channel}, '"data":{"a":"'
            . 'x' x $n . '","c":"' . 'y' x ($n / 4) . '"}}') < 0 } @sizes ], [],
            '... and shows');
    }
    is(length get("big/pages/$big/1")->{body}, length $text{page}, 'again');
}

###############################################################################
# proofs are over what is sent

{
    lists('acme', allow('/a', '/b'));
    my @lines = grep { /"cursor"/ } split /\n/, get('orders/events?from=oldest'
        . '&limit=1000', accept => 'application/x-ndjson')->{body};
    my $chain = "\0" x 32;
    $chain = sha256($chain . sha256($_)) for @lines[3 .. 19];
    my $doc = Test::Eventsync::json(get("orders/manifest?after=$epoch-3"
        . "&to=$epoch-20")->{body});
    is_deeply($doc, { feed => 'orders', epoch => $epoch, from => "$epoch-3",
        to => "$epoch-20", count => 17, algorithm => 'sha256-shown-event-chain',
        bytes => length(join '', map { "$_\n" } @lines[3 .. 19]),
        digest_from => '0' x 64, digest => unpack 'H*', $chain },
        'a manifest is over what is sent, and says so');
    is(Test::Eventsync::json(get('orders/manifest', as => 'bolt')->{body})
        ->{algorithm}, 'sha256-event-chain', 'that of others is over the log');
    is(Test::Eventsync::json(get("orders/manifest?after=$latest")->{body})
        ->{digest}, '0' x 64, 'one of no event');

    my $answer = get('orders/backfill?from=oldest');
    my ($end) = $answer->{body} =~ /(\{"manifest".*)/;
    my $text = $answer->{body} =~ s/\{"manifest".*//sr;
    my $manifest = Test::Eventsync::json($end)->{manifest};
    is($manifest->{algorithm}, 'sha256', 'a backfill is over its text');
    is($manifest->{digest}, sha256_hex($text), '... as it is sent');
    is($answer->{headers}{'eventsync-events'}, 120, 'it says how many events come');
    ok(!exists $answer->{headers}{'eventsync-bytes'}, '... and no bytes');

    my $many = join '', map { qq({"specversion":"1.0","id":"$_","source":"/s",)
        . qq("type":"t"}\n) } 1 .. 20_001;
    $t->ctl_ok({ stdin => $many }, 'publish', 'long');
    lists('acme', { long => { allow => [] } });
    my $long = get('long/manifest');
    is($long->{status}, 400, 'a manifest of too many events');
    like($long->{body}, qr/at most 20000 events; this range has 20001/,
        '... says how many there may be');
    is(get('long/manifest?to=' . $t->poll('long')->{latest} =~ s/1$/0/r)->{status},
        200, 'one less is fine');
}

###############################################################################
# lists that cannot be read refuse

{
    lists('acme', allow('/a'));
    my $reader = Test::Eventsync::Reader->new($t,
        '/v1/feeds/orders/events?after=' . $latest, $key{acme});
    my $held = $t->http_start(GET => "/v1/feeds/orders/events?after=$latest&wait=20",
        { authorization => "Bearer $key{acme}" });
    $t->waiting(1);
    $t->waiting(1, 'stream');
    $t->allow_errors(qr/field lists cannot be applied/);
    my $record = $t->ctl_ok('partner', 'show', 'acme');
    $record =~ s/"allow"/"alow"/g;
    is(system($t->build . '/helper/damage', $t->store . '/registry', 'objects',
        'pacme', $record), 0, 'the lists are damaged');
    $t->ctl_ok(qw(partner change cara --publish=live));    # rings the bell

    for my $path ($poll, 'orders/backfill', 'orders/snapshot', 'orders/manifest',
        "$pages/1", "$pages/head", 'live/events')
    {
        my $answer = get($path);
        is($answer->{status}, 503, "$path is refused");
        is(Test::Eventsync::json($answer->{body})->{type},
            'urn:eventsync:problem:field-list', '... as a problem');
        ok($answer->{headers}{'retry-after'}, '... that may pass');
    }
    is(get('orders/authorize')->{status}, 403, 'authorize refuses as well');
    is($t->http_end($held)->{status}, 503, 'a held poll is refused');
    $reader->to_end(30);
    is(($reader->problem // {})->{type}, 'urn:eventsync:problem:field-list',
        'a stream ends with the problem');
    is(get($poll, as => 'bolt')->{status}, 200, 'others go on');
    like($t->http(GET => '/ops/metrics')->{body},
        qr/^eventsync_http_errors_total\{[^}]*field-list[^}]*\} [1-9]/m,
        'it is counted');
    ok($t->logged('error.log',
        qr/refuses events of feed "orders" to partner "acme"/), 'and logged');
    lists('acme', allow('/a'));
    is(get($poll)->{status}, 200, 'a new list mends it');
}

done_testing();
