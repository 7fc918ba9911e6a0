#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Every error of the contract's table, in the stated form: status, type,
# title, members and headers.  One row for each case.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);

my $t = Test::Eventsync->new;
$t->store_init;
$t->feed($_) for 'orders', 'secret', 'log', 'trimmed', 'busy';
$t->feed('checked', schema => 'enforce');
$t->ctl_ok({ stdin => '{"maximum":1}' }, qw(type register one 1.0.0));
my $key = $t->master_key;
my $acme = $t->partner_key('acme', feeds => 'orders', publish => 'log',
    scopes => 'read,publish');
my $reader = $t->partner_key('acme', scopes => 'read', key_feeds => 'orders');

# A store that is full very soon.
my $tiny = $t->testdir . '/tiny';
{
    local $t->{store} = $tiny;
    $t->ctl_ok('init');
    my $format = $t->read_file("$tiny/format");
    $format =~ s/^map_(initial|max) \d+$/map_$1 1048576/mg;
    $t->write_file('tiny/format', $format);
    $t->feed('orders');
}

$t->write_file_expand('nginx.conf', <<"CONF");
events { }
http {
    server {
        listen 127.0.0.1:%%PORT_0%%;
        listen 127.0.0.1:%%PORT_1%% http2;
        eventsync_store %%STORE%%;
        client_max_body_size 64k;
        location /v1/ {
            eventsync_poll on;
            eventsync_publish on;
            eventsync_feeds on;
            eventsync_max_event 4k;
        }
        location /quota/ {
            eventsync_poll on;
            eventsync_publish on;
            eventsync_limit poll rate=1r/h;
            eventsync_limit publish rate=1r/h burst=2;
        }
        location /small/ {
            eventsync_publish on;
            client_max_body_size 1k;
        }
        location /open/ {
            eventsync_poll on;
            eventsync_auth off;
        }
    }
    server {
        listen 127.0.0.1:%%PORT_2%%;
        eventsync_store $tiny;
        location /v1/ {
            eventsync_poll on;
            eventsync_publish on;
            eventsync_auth off;
            client_max_body_size 1m;
        }
    }
}
CONF
$t->run_nginx;

$t->publish('orders', map { { id => "o$_" } } 1 .. 3);
$t->publish('trimmed', map { { id => "t$_" } } 1 .. 9);
my ($epoch) = $t->poll('orders')->{next} =~ /^(.*)-3$/;
my ($trimmed) = $t->poll('trimmed')->{next} =~ /^(.*)-9$/;
$t->ctl_ok('feed', 'trim', 'trimmed', "--before=$trimmed-5");
$t->http(GET => '/quota/feeds/orders/events', bearer($acme));

sub bearer { return { authorization => "Bearer $_[0]" } }

my %title = (
    'invalid-parameter'      => 'Invalid request parameter',
    'invalid-cursor'         => 'Malformed cursor',
    'cursor-ahead'           => 'Cursor is ahead of the log',
    'invalid-event'          => 'Invalid event',
    'unauthorized'           => 'Missing or invalid credential',
    'forbidden'              => 'Permission denied',
    'not-found'              => 'Not found',
    'method-not-allowed'     => 'Method not allowed',
    'not-acceptable'         => 'No acceptable representation',
    'conflict'               => 'Event already exists with different content',
    'cursor-expired'         => 'Cursor has expired',
    'feed-reset'             => 'Feed was reset',
    'too-large'              => 'Content too large',
    'unsupported-media-type' => 'Unsupported media type',
    'schema-mismatch'        => 'Event does not match its schema',
    'quota-exceeded'         => 'Request cannot be satisfied as assigned quota'
        . ' has been exceeded',
    'unavailable'            => 'Service unavailable',
    'field-list'             => 'Field lists do not allow an answer now',
    'store-full'             => 'Store is full',
);
my %seen;

# Checks an answer against a row; anything that the row does not name must
# not be there.
sub is_error {
    my ($answer, $status, $type, $name, %want) = @_;

    my $doc = Test::Eventsync::json($answer->{body}) // {};
    my %members = %$doc;
    my %headers = %{ $answer->{headers} };
    my $uri = $type eq 'quota-exceeded'
        ? 'https://iana.org/assignments/http-problem-types#quota-exceeded'
        : "urn:eventsync:problem:$type";
    $seen{$type}++;

    is($answer->{status}, $status, "$name: $status");
    is_deeply([ delete @members{qw(type title status)} ],
        [ $uri, $title{$type}, $status ], "$name: $type");
    ok(length(delete $members{detail} // ''), "$name: detail");
    is_deeply(\%members, $want{members} // {}, "$name: members");

    is(delete $headers{'content-type'}, 'application/problem+json',
        "$name: media type");
    is(delete $headers{'cache-control'}, 'no-store', "$name: no-store");
    is(delete $headers{'content-length'}, length $answer->{body},
        "$name: length");
    delete @headers{qw(server date connection)};
    for my $header (sort keys %{ $want{headers} // {} }) {
        my $value = delete $headers{$header} // 'none';
        my $expected = $want{headers}{$header};
        ref $expected ? like($value, $expected, "$name: $header")
            : is($value, $expected, "$name: $header");
    }
    is_deeply(\%headers, {}, "$name: no other header");
    return $doc;
}

sub row {
    my ($status, $type, $request, %want) = @_;

    my ($method, $path, $headers, $body) = @$request;
    $headers = bearer($headers) unless ref $headers;
    my $answer = $t->http($method, $path, $headers, $body,
        %{ delete $want{http} // {} });
    is_error($answer, $status, $type, "$method " . substr($path, 0, 60), %want);
    return $answer;
}

sub publish {
    my ($path, $body, %headers) = @_;
    return [ POST => $path, { authorization => "Bearer $key",
        'content-type' => 'application/json', %headers }, $body ];
}

my $events = '/v1/feeds/orders/events';
my $limited = qr/^"(?:poll|publish)";/;
my %quota = (ratelimit => $limited, 'ratelimit-policy' => $limited);
my $event = sub { $t->event(@_) };
my $challenge = 'Bearer realm="eventsync"';

###############################################################################
# 400

row(400, 'invalid-parameter', [ GET => "$events?$_->[0]", $key ],
    members => $_->[1]) for
    [ 'foo=1', { parameter => 'foo' } ],
    [ 'After=1', { parameter => 'After' } ],
    [ '%61fter=1', { parameter => '%61fter' } ],
    [ 'limit=1&limit=1', { parameter => 'limit' } ],
    [ 'limit=1001', { parameter => 'limit', maximum => 1000 } ],
    [ 'limit=0', { parameter => 'limit', maximum => 1000 } ],
    [ 'wait=61', { parameter => 'wait', maximum => 60 } ],
    [ 'wait=-1', { parameter => 'wait', maximum => 60 } ],
    [ 'from=then', { parameter => 'from' } ],
    [ "from=oldest&after=$epoch-1", { parameter => 'from' } ],
    [ 'types=,', { parameter => 'types' } ],
    [ 'subject=%ff', { parameter => 'subject' } ],
    [ 'subject=%f', { parameter => 'subject' } ],
    [ 'x' x 100, { parameter => 'x' x 64 } ];
row(400, 'invalid-parameter', [ GET => '/v1/feeds?a=1', $key ],
    members => { parameter => 'a' });
row(400, 'invalid-parameter', publish("$events?a=1", $event->()),
    members => { parameter => 'a' });

row(400, 'invalid-cursor', [ GET => "$events?after=$_", $key ]) for
    '', 'x', "$epoch-01", "$epoch-4294967296000000", 'x' x 5000;
row(400, 'cursor-ahead', [ GET => "$events?after=$epoch-4", $key ],
    members => { latest => "$epoch-3" });
row(400, 'cursor-ahead', [ GET => "$events?after=$epoch-1099511627775&wait=9",
    $key ], members => { latest => "$epoch-3" });

row(400, 'invalid-event', publish($events, $_->[0], @$_[2 .. $#$_]),
    members => $_->[1]) for
    [ '', { index => 0, pointer => '' } ],
    [ '{', { index => 0, pointer => '' } ],
    [ '{}', { index => 0, pointer => '/specversion' } ],
    [ $event->(time => 'x'), { index => 0, pointer => '/time' } ],
    [ $event->() . "\n" . $event->(source => ''), { index => 1,
        pointer => '/source' }, 'content-type' => 'application/x-ndjson' ],
    [ '[' . $event->() . ',3]', { index => 1, pointer => '' },
        'content-type' => 'application/cloudevents-batch+json' ];

###############################################################################
# 401, 403, 404, 405, 406

row(401, 'unauthorized', [ GET => $events, $_->[0] ],
    headers => { 'www-authenticate' => $challenge . $_->[1] }) for
    [ {}, '' ],
    [ { authorization => 'Basic YTpi' }, '' ],
    [ { authorization => '' }, '' ],
    [ { authorization => 'Bearer' }, '' ],
    [ { authorization => 'Bearer !' }, ', error="invalid_token"' ],
    [ { authorization => 'Bearer esk_x' }, ', error="invalid_token"' ],
    [ bearer($key =~ s/.$/!/r), ', error="invalid_token"' ],
    [ bearer('x' x 3000), ', error="invalid_token"' ];

row(403, 'forbidden', [ POST => '/v1/feeds/orders/events', $acme, '{}' ],
    headers => { 'www-authenticate' => $challenge
        . ', error="insufficient_scope", scope="publish"' });
row(403, 'forbidden', [ GET => '/v1/feeds/log/events', $acme ],
    headers => { 'www-authenticate' => $challenge
        . ', error="insufficient_scope", scope="read"' });

my @same = map { row(404, 'not-found', [ GET => $_, $acme ]) }
    '/v1/feeds/none/events', '/v1/feeds/secret/events', '/v1/feeds/No/events',
    '/v1/feeds/none', '/v1/feeds/secret';
push @same, row(404, 'not-found', [ GET => '/v1/feeds/none/events', $key ]);
push @same, row(404, 'not-found', [ GET => '/v1/feeds/log/events', $reader ]);
push @same, row(404, 'not-found', [ POST => '/v1/feeds/secret/events', $acme,
    '{}' ]);
push @same, row(404, 'not-found',
    [ GET => "/v1/feeds/secret/events?after=abc-1", $acme ]);
is(keys %{ { map { $_->{body} => 1 } @same } }, 1,
    '404 has the same bytes for unknown and not granted');
is(keys %{ { map { $_->{head} =~ s/^Date:.*$//mr => 1 } @same } }, 1,
    'and the same head');
row(404, 'not-found', [ GET => '/v1/nothing', $key ]);
row(404, 'not-found', publish('/v1/feeds/none/events', $event->()));

row(405, 'method-not-allowed', [ $_->[0] => $_->[1], {} ],
    headers => { allow => $_->[2] }) for
    [ DELETE => $events, 'GET, HEAD, POST, OPTIONS' ],
    [ PUT => $events, 'GET, HEAD, POST, OPTIONS' ],
    [ BREW => $events, 'GET, HEAD, POST, OPTIONS' ],
    [ POST => '/v1/feeds', 'GET, HEAD, OPTIONS' ],
    [ POST => '/open/feeds/orders/events', 'GET, HEAD, OPTIONS' ];

row(406, 'not-acceptable', [ GET => $events, { %{ bearer($key) },
    accept => 'text/csv' } ], members => { available => [ 'application/json',
        'application/x-ndjson', 'application/cloudevents-batch+json' ] });

###############################################################################
# 409, 410

$t->publish('orders', { id => 'twice', type => 'a' });
row(409, 'conflict', publish($events, $event->(id => 'twice', type => 'b')),
    members => { index => 0, pointer => '/id' });
row(409, 'conflict', publish($events, $event->() . "\n"
        . $event->(id => 'twice', type => 'b'),
    'content-type' => 'application/x-ndjson'),
    members => { index => 1, pointer => '/id' });

for my $query ('', '&limit=2&types=a,b*c' =~ s/,b\*c/,b.*/r, '&subject=%22%3E') {
    my $path = '/v1/feeds/trimmed/events';
    my $answer = row(410, 'cursor-expired',
        [ GET => "$path?after=$trimmed-1$query", $key ],
        members => { oldest => "$trimmed-4", latest => "$trimmed-9",
            missed => 3, restart => "$path?after=$trimmed-4$query" });
    my $restart = Test::Eventsync::json($answer->{body})->{restart};
    is($t->http(GET => $restart, bearer($key))->{status}, 200,
        'restart is a way on');
    row(410, 'feed-reset', [ GET => "$path?after=abc-7$query", $key ],
        members => { oldest => "$trimmed-4", latest => "$trimmed-9",
            missed => undef, restart => "$path?after=$trimmed-4$query" });
}

###############################################################################
# 413, 415, 422, 429

my $big = $event->(id => 'big', data => 'x' x 5000);
row(413, 'too-large', publish($events, $big),
    members => { index => 0, pointer => '/data' });
row(413, 'too-large', publish($events, 'x' x 70000));
row(413, 'too-large', publish($events, sprintf("%x\r\n%s\r\n0\r\n\r\n", 70000,
    'x' x 70000), 'transfer-encoding' => 'chunked'));
row(413, 'too-large', publish('/quota/feeds/orders/events',
    join("\n", map { $event->() } 1 .. 3),
    'content-type' => 'application/x-ndjson'), members => { maximum => 2 },
    headers => \%quota);

row(415, 'unsupported-media-type', publish($events, $event->(),
    'content-type' => $_)) for 'text/plain', '', 'application/jsonx';

row(422, 'schema-mismatch', publish('/v1/feeds/checked/events',
    $event->(type => 'two')), members => { index => 0, pointer => '/type' });
row(422, 'schema-mismatch', publish('/v1/feeds/checked/events',
    $event->(type => 'one', data => 2)),
    members => { index => 0, pointer => '/data', keyword => 'maximum' });

row(429, 'quota-exceeded', [ GET => '/quota/feeds/orders/events', $acme ],
    members => { 'violated-policies' => ['poll'] },
    headers => { %quota, 'retry-after' => qr/^\d{4}$/ });
row(429, 'quota-exceeded', publish('/quota/feeds/orders/events', $event->()),
    members => { 'violated-policies' => ['publish'] },
    headers => { %quota, 'retry-after' => qr/^\d{4}$/ })
    for grep { $t->http(@{ publish('/quota/feeds/orders/events',
        $event->()) })->{status} == 429 } 1 .. 3;

###############################################################################
# 413 over HTTP/2, as far as it can be read without decompressing headers

for my $length (2000, undef) {
    my ($head, $body) = http2(POST => '/small/feeds/orders/events', {
        authorization => "Bearer $key", 'content-type' => 'application/json',
        defined $length ? ('content-length' => $length) : () }, 'x' x 2000);
    my $name = 'http/2, ' . ($length ? 'with a length' : 'without one');

    like($head, qr/\x{48}\x{03}413/, "$name: 413");
    my $doc = Test::Eventsync::json($body) // {};
    is(($doc->{type} // '') . " $doc->{status}",
        'urn:eventsync:problem:too-large 413', "$name: too-large");
}

# One request over a connection of its own; the head as it was compressed, and
# the body.
sub http2 {
    my ($method, $path, $headers, $body) = @_;

    my $text = sub { chr(length $_[0]) . $_[0] };
    my $frame = sub {
        my ($type, $flags, $stream, $payload) = @_;
        return substr(pack('N', length $payload), 1)
            . pack('CCN', $type, $flags, $stream) . $payload;
    };
    my $block = "\x83\x86\x04" . $text->($path) . "\x01" . $text->('localhost')
        . join '', map { "\0" . $text->($_) . $text->($headers->{$_}) }
            sort keys %$headers;

    my $call = { sock => $t->socket($t->port(1)), buf => '' };
    my $end = time + 20;
    $t->send_all($call->{sock}, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        . $frame->(4, 0, 0, '') . $frame->(1, 4, 1, $block)
        . $frame->(0, 1, 1, $body));

    my ($head, $answer) = ('', '');
    while (defined(my $intro = Test::Eventsync::read_bytes($call, 9, $end))) {
        my ($high, $low, $type, $flags) = unpack 'CnCC', $intro;
        my $payload = Test::Eventsync::read_bytes($call, $high << 16 | $low,
            $end) // last;
        $head .= $payload if $type == 1;
        $answer .= $payload if $type == 0;
        last if $type <= 1 && $flags & 1;
    }
    return ($head, $answer);
}

###############################################################################
# 507: nothing of the request is stored, and reading goes on

my ($full, $acked) = (undef, 0);
for (1 .. 200) {
    my $body = join "\n", map { $event->(data => 'x' x 2000) } 1 .. 10;
    $full = $t->http(POST => $events, { 'content-type' =>
        'application/x-ndjson' }, $body, port => $t->port(2));
    last if $full->{status} != 201;
    $acked += 10;
}
is_error($full, 507, 'store-full', 'a full store');
is(Test::Eventsync::json($t->http(GET => "$events?limit=1", {}, undef,
    port => $t->port(2))->{body})->{latest} =~ s/.*-//r, $acked,
    'and nothing of it is stored');

###############################################################################
# 503: no slot for a reader.  A worker keeps the slots that it has had, so
# new ones are to begin with.

$t->allow_errors(qr/eventsync store failed/);
my $readers = $t->start('readers', {}, $t->build . '/helper/readers',
    $t->store);
ok(wait_for(sub { $readers->stdout =~ /^full after \d+$/m }, 20),
    'the reader table is full');
ok($t->reload, 'workers that have no slot');
row(503, 'unavailable', [ GET => $_, $key ],
    headers => { 'retry-after' => qr/^[1-3]$/ }) for $events, '/v1/feeds',
    '/v1/feeds/orders', "$events?wait=5", "$events?after=$epoch-1";
$readers->stop('KILL');
$t->forget($readers);
ok(wait_for(sub { $t->http(GET => $events, bearer($key))->{status} == 200 },
    20), 'and all is well when it is not');

###############################################################################
# 503: the store is gone

my $log = $t->store . '/log';
rename $log, "$log.away" or die "rename: $!\n";
ok($t->reload, 'workers that find no store');
row(503, 'unavailable', [ GET => $_, $key ],
    headers => { 'retry-after' => qr/^[1-3]$/ }) for $events, '/v1/feeds';
row(503, 'unavailable', publish($events, $event->()),
    headers => { 'retry-after' => qr/^[1-3]$/ });
rename "$log.away", $log or die "rename: $!\n";
ok(wait_for(sub { $t->http(GET => $events, bearer($key))->{status} == 200 },
    20), 'and serve it when it is back');

###############################################################################
# 503: field lists that cannot be read

$t->allow_errors(qr/field lists cannot be applied/);
my $record = $t->ctl_ok('partner', 'show', 'acme');
$record =~ s/\{/{"fields":{"orders":{}},/;
is(system($t->build . '/helper/damage', $t->store . '/registry', 'objects',
    'pacme', $record), 0, 'a damaged record');
$t->partner('bell');
row(503, 'field-list', [ GET => $events, $acme ],
    headers => { 'retry-after' => qr/^[1-3]$/ });

is_deeply([ grep { !$seen{$_} } sort keys %title ], [],
    'every type but "internal" was seen');

done_testing();
