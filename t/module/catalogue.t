#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# The event catalogue: types are registered by eventsyncctl, read by HTTP, and
# judge what is published by every way there is.

use warnings;
use strict;

use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);

my $t = Test::Eventsync->new(workers => 2);
$t->store_init;
$t->feed('orders');
$t->feed('strict', schema => 'enforce');
$t->feed('lax', schema => 'warn');
my $key = $t->master_key;
my $none = $t->partner_key('nothing', scopes => 'manage');

$t->write_file_expand('nginx.conf', <<'CONF');
events { }

http {
    eventsync_store %%STORE%%;
    log_format warnings '$uri "$eventsync_warnings"';

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /v1/ {
            eventsync_poll on;
            eventsync_publish on;
            eventsync_catalogue on;
            access_log %%TESTDIR%%/warnings.log warnings;
        }

        location /limited/ {
            eventsync_catalogue on;
            eventsync_limit poll rate=1r/d;
        }

        location /off/ {
            eventsync_poll on;
        }
    }
}
CONF
$t->run_nginx;

# A schema of an order: options replace its members.
sub order {
    my (%members) = @_;
    return JSON::PP->new->canonical->encode({
        type => 'object',
        required => ['id'],
        properties => {
            id => { type => 'string' },
            qty => { type => 'integer', minimum => 1, maximum => 100 },
        },
        %members,
    });
}

sub register {
    my ($type, $version, $schema, @options) = @_;
    return $t->ctl({ stdin => $schema }, 'type', 'register', $type, $version,
        @options);
}

# Must succeed.
sub registers {
    my ($name, @args) = @_;
    my ($rc, $out, $err) = register(@args);
    is("$rc$out$err", '0', $name);
}

# Must fail, with one line.
sub refuses {
    my ($line, $name, @args) = @_;
    my ($rc, $out, $err) = register(@args);
    is($rc, 1, "$name: exit 1");
    like($err, qr/\Aeventsyncctl: type "[^\n]*$line[^\n]*\n\z/,
        "$name: one line says why");
}

sub get {
    my ($path, %headers) = @_;
    return $t->http(GET => "/v1/$path",
        { authorization => "Bearer $key", %headers });
}

# How many events a feed has.
sub stored { scalar @{ ($t->poll_all($_[0]))[0] } }

sub get_json { Test::Eventsync::json(get(@_)->{body}) }

###############################################################################
# registering

my $first = " " . order() . "\n";

registers('a version', 'order.updated', '1.0.0', $first,
    '--description=An order');
is($t->ctl_ok('type', 'show', 'order.updated', '1.0.0'), $first,
    'its document, byte for byte');

refuses('already exists', 'the same version once more', 'order.updated',
    '1.0.0', $first);
refuses('a version must be MAJOR', 'half a version', 'order.updated', '1.0',
    $first);
refuses('a version must be MAJOR', 'a zero in front', 'order.updated', '1.01.0',
    $first);
refuses('a type in the catalogue', 'a name that no URL has', 'order/updated',
    '1.0.0', $first);
refuses('not valid JSON', 'no JSON', 'order.new', '1.0.0', '{');
refuses('/properties/qty/maximun: ', 'a keyword that is misspelt',
    'order.new', '1.0.0', '{"properties":{"qty":{"maximun":1}}}');
refuses('/properties/qty/pattern: .*exponentially long', 'a pattern that could '
    . 'take for ever', 'order.new', '1.0.0',
    '{"properties":{"qty":{"pattern":"^([a-z]+\\\\s?)*$"}}}');
refuses('/patternProperties/\(x\|x\)\*y: .*exponentially long', 'nor for names',
    'order.new', '1.0.0', '{"patternProperties":{"(x|x)*y":true}}');
refuses('may have at most 262144 bytes', 'a large document', 'order.new',
    '1.0.0', '"' . 'x' x 262144 . '"');

registers('a member more', 'order.updated', '1.1.0', order(properties => {
    id => { type => 'string' },
    qty => { type => 'integer', minimum => 1, maximum => 1000 },
    note => { type => 'string' },
}));
refuses('/properties/qty: breaks what version 1.1.0 accepts: "maximum"',
    'a smaller maximum', 'order.updated', '1.2.0', order());
refuses(': breaks what version 1.1.0 accepts: "required"', 'one more required',
    'order.updated', '1.1.1', order(required => ['id', 'qty'],
    properties => {}));
refuses('version 1.1.0 already exists, and a new version of a major must be '
    . 'above it', 'a version of the past', 'order.updated', '1.0.7', $first);
registers('what breaks is a new major', 'order.updated', '2.0.0',
    order(required => ['id', 'qty']));
registers('and the one before goes on', 'order.updated', '1.1.1',
    order(properties => {}));
registers('a draft', 'draft', '0.1.0', '{"type":"string"}');
registers('promises nothing', 'draft', '0.1.1', '{"type":"null"}');
registers('numbers, not texts', 'draft', '0.10.0', 'true');

my $type = decode_json($t->ctl_ok('type', 'show', 'order.updated'));
is(join(' ', map { $_->{version} } @{ $type->{versions} }),
    '1.0.0 1.1.0 1.1.1 2.0.0', 'the versions, ascending');
is($type->{latest}, '2.0.0', 'and the latest');
is($type->{versions}[0]{description}, 'An order', 'with its description');

is(scalar(my @lines = split /\n/, $t->ctl_ok('type', 'list')), 7,
    'a line for each version');
is(scalar(@lines = split /\n/, $t->ctl_ok('type', 'list', '--json')), 2,
    'or for each type its JSON');

my ($rc, $out, $err) = $t->ctl('type', 'show', 'order');
is("$rc $err", "1 eventsyncctl: type \"order\": not found\n",
    'a type that is the start of another');

###############################################################################
# reading by HTTP

my $answer = get('event-types/order.updated/1.0.0');
is($answer->{status}, 200, 'a version');
is($answer->{body}, $first, 'is its document, byte for byte');
is($answer->{headers}{'content-type'}, 'application/schema+json', 'its type');
is($answer->{headers}{'cache-control'}, 'private, max-age=31536000, immutable',
    'it never changes');
like($answer->{headers}{etag}, qr/^"[0-9a-f]{16}"$/, 'a strong tag');
ok(!exists $answer->{headers}{deprecation}, 'not deprecated');
ok(!exists $answer->{headers}{sunset}, 'without an end');

my $etag = $answer->{headers}{etag};
$answer = get('event-types/order.updated/1.0.0', 'if-none-match' => $etag);
is("$answer->{status}$answer->{body}", '304', 'known already');
is($answer->{headers}{etag}, $etag, 'by its tag');

$answer = $t->http(HEAD => '/v1/event-types/order.updated/1.0.0',
    { authorization => "Bearer $key" });
is("$answer->{status} $answer->{headers}{'content-length'}",
    '200 ' . length $first, 'only its head');

$answer = get('event-types/order.updated');
is($answer->{status}, 200, 'a type');
is_deeply(Test::Eventsync::json($answer->{body}), $type,
    'is what eventsyncctl shows');
is($answer->{headers}{'cache-control'}, 'private, no-cache', 'as it is now');
is(get('event-types/order.updated',
    'if-none-match' => $answer->{headers}{etag})->{status}, 304,
    'and if it is still the same');

my $list = get_json('event-types');
is(join(' ', map { $_->{type} } @{ $list->{types} }), 'draft order.updated',
    'all types');
is($list->{next}, undef, 'on one page');
$list = get_json('event-types?limit=1');
is($list->{types}[0]{type}, 'draft', 'a page of one');
unlike($list->{next}, qr/draft|6472616674/, 'its position shows no name');
$list = get_json("event-types?limit=1&after=$list->{next}");
is($list->{types}[0]{type}, 'order.updated', 'and the next one');
is($list->{next}, undef, 'is the last');

for (
    ['event-types/order.updated/1.0.1', 404, 'a version that is not there'],
    ['event-types/order.updated/1', 404, 'a version that is none'],
    ['event-types/order', 404, 'a type that is not there'],
    ['event-types/%2e%2e%2fx/1.0.0', 404, 'a name that is none'],
    ['event-types?limit=0', 400, 'no types at all'],
    ['event-types?limit=1001', 400, 'too many types'],
    ['event-types?after=%2f', 400, 'after what is no position'],
    ['event-types?after=draft', 400, 'after a name'],
    ['event-types/order.updated?limit=1', 400, 'a parameter of the list'],
) {
    my ($path, $status, $name) = @$_;
    $answer = get($path);
    is($answer->{status}, $status, $name);
    is($answer->{headers}{'content-type'}, 'application/problem+json',
        "$name: a problem");
}

is($t->http(GET => '/v1/event-types', {})->{status}, 401, 'without a key');
is($t->http(GET => '/v1/event-types',
    { authorization => "Bearer $none" })->{status}, 200, 'with any key');
is($t->http(GET => '/off/event-types',
    { authorization => "Bearer $key" })->{status}, 404, 'off by default');
is($t->http(POST => '/v1/event-types', { authorization => "Bearer $key" },
    '{}')->{status}, 405, 'nothing is registered by HTTP');

my @limited = map {
    $t->http(GET => '/limited/event-types/order.updated/1.0.0',
        { authorization => "Bearer $key",
            $_ ? ('if-none-match' => $_) : () })->{status}
} ($etag, undef, $etag);
is("@limited", '304 429 429', 'a request counts, also when it is a 304');

###############################################################################
# dates

$t->ctl_ok('type', 'deprecate', 'order.updated', '1.0.0',
    '--from=2026-01-01T00:00:00Z', '--sunset=2027-01-01T00:00:00+01:00');
$answer = get('event-types/order.updated/1.0.0');
is($answer->{headers}{deprecation}, '@1767225600', 'deprecated since');
is($answer->{headers}{sunset}, 'Thu, 31 Dec 2026 23:00:00 GMT', 'ends at');
is($answer->{headers}{etag}, $etag, 'the document is the same');
$answer = get('event-types/order.updated/1.0.0', 'if-none-match' => $etag);
is("$answer->{status} $answer->{headers}{deprecation}", '304 @1767225600',
    'also said to who has it');

my $version = get_json('event-types/order.updated')->{versions}[0];
is("$version->{deprecated} $version->{sunset}",
    '2026-01-01T00:00:00.000Z 2026-12-31T23:00:00.000Z',
    'and among the versions');
like($t->ctl_ok('type', 'list'), qr/1\.0\.0 .* deprecated=2026-01-01T\S+ sunset=2026-12/,
    'and listed');

$t->ctl_ok('type', 'deprecate', 'order.updated', '1.0.0', '--cancel');
ok(!exists get('event-types/order.updated/1.0.0')->{headers}{deprecation},
    'taken back');
$t->ctl_ok('type', 'deprecate', 'order.updated', '1.0.0');
like(get('event-types/order.updated/1.0.0')->{headers}{deprecation},
    qr/^\@\d{10}$/, 'from now unless told');

for (
    [['9.9.9'], 1, 'there is no such version', 'a version that is not there'],
    [['1.0.0', '--from=2027-01-01T00:00:00Z', '--sunset=2026-01-01T00:00:00Z'],
        1, 'the sunset must not be before the deprecation', 'an end before'],
    [['1.0.0', '--sunset=soon'], 2, 'is not an RFC 3339 time', 'no time'],
    [['1.0.0', '--cancel', '--from=2026-01-01T00:00:00Z'], 2,
        '"--cancel" excludes all other options', 'two things at once'],
) {
    my ($args, $status, $line, $name) = @$_;
    my ($got, undef, $why) = $t->ctl('type', 'deprecate', 'order.updated',
        @$args);
    is($got, $status, "$name: exit $status");
    like($why, qr/\Aeventsyncctl: [^\n]*$line\n\z/, "$name: one line");
}

###############################################################################
# enforced

my $schema = 'https://example.com/schemas/order.updated';
my $n = 0;

# An event of the type with the data given; others are attributes.
sub order_event {
    my ($data, %attributes) = @_;
    return { id => 'e' . ++$n, type => 'order.updated', data => $data,
        %attributes };
}

my $good = { id => 'a', qty => 5 };

for (
    ['strict', order_event($good), 'as its type\'s latest says'],
    ['strict', order_event($good, dataschema => "$schema/1.0.0"),
        'as the version named says'],
    ['strict', order_event({ id => 'a', qty => 1000 },
        dataschema => "$schema/1.1.0"), 'as that one alone says'],
    ['strict', { id => 'd' . ++$n, type => 'draft', data => 5 },
        'a type without rules'],
    ['orders', order_event(5), 'a feed that does not ask'],
) {
    my ($feed, $event, $name) = @$_;
    $answer = $t->publish($feed, $event);
    is($answer->{status}, 201, $name) or diag($answer->{body});
    ok(!exists $answer->{json}{results}[0]{warning}, "$name: no warning");
}

for (
    [order_event({ id => 'a' }), '/data', 'required',
        'order.updated/2.0.0: "required" needs the member "qty"',
        'the latest version wants more'],
    [order_event({ id => 'a', qty => 101 }), '/data/qty', 'maximum',
        'order.updated/2.0.0: "maximum":100 does not allow it',
        'too many'],
    [order_event({ id => 'a', qty => 101 }, dataschema => "$schema/1.0.0"),
        '/data/qty', 'maximum',
        'order.updated/1.0.0: "maximum":100 does not allow it',
        'too many for the version named'],
    [order_event($good, dataschema => "$schema/7.0.0"), '/dataschema', undef,
        'the catalogue does not have that version of the event\'s type for this '
        . 'feed', 'a version that is not there'],
    [order_event($good, dataschema => 'https://example.com/draft/0.1.0'),
        '/dataschema', undef, '"dataschema" does not end with the event\'s '
        . 'type and a version of it', 'a version of another type'],
    [order_event($good, dataschema => 'https://example.com/x'),
        '/dataschema', undef, '"dataschema" does not end with the event\'s '
        . 'type and a version of it', 'a schema from elsewhere'],
    [{ id => 'x', type => 'order.unknown', data => {} }, '/type', undef,
        'the catalogue does not have the event\'s type for this feed',
        'a type unknown'],
    [{ id => 'x', type => 'order/updated', data => {} }, '/type', undef,
        'the catalogue does not have the event\'s type for this feed',
        'a type that cannot be'],
    [order_event(undef), '/data', 'type',
        'order.updated/2.0.0: "type":"object" does not allow it',
        'no data is null'],
    [$t->event(id => 'y', type => 'order.updated',
        data_base64 => 'AAAA'), '/data_base64', undef,
        'order.updated/2.0.0 validates JSON, and the data is not JSON',
        'binary data'],
    [order_event(\'{"id":"a","qty":5,"qty":6}'), '/data', undef,
        'order.updated/2.0.0: the text cannot be validated: duplicate object key '
        . 'near \'"qty"\'', 'a name twice'],
) {
    my ($event, $pointer, $keyword, $detail, $name) = @$_;

    $answer = $t->publish('strict', order_event($good), $event);
    is($answer->{status}, 422, $name) or diag($answer->{body});

    my $problem = $answer->{json};
    is($problem->{type}, 'urn:eventsync:problem:schema-mismatch',
        "$name: the problem's type");
    is("$problem->{index} $problem->{pointer}", "1 $pointer",
        "$name: which event, and where");
    is($problem->{keyword}, $keyword, "$name: the keyword");
    is($problem->{detail}, "Event 1: $detail.", "$name: why");
}

is(stored('strict'), 4, 'nothing of what was refused is stored');

my $many = join '', map {
    $t->event(%{ order_event({ id => 'a', qty => $_ }) }) . "\n"
} (1) x 999, 0;
$answer = $t->http(POST => '/v1/feeds/strict/events',
    { authorization => "Bearer $key",
        'content-type' => 'application/x-ndjson' }, $many);
is($answer->{status}, 422, 'a thousand events');
is(Test::Eventsync::json($answer->{body})->{index}, 999,
    'of which the last is wrong');

$answer = $t->http(POST => '/v1/feeds/strict/events',
    { authorization => "Bearer $key", 'content-type' => 'application/json',
        'ce-specversion' => '1.0', 'ce-id' => 'bin', 'ce-source' => '/s',
        'ce-type' => 'order.updated',
        'ce-dataschema' => "$schema/2.0.0" }, '{"id":"a","qty":0}');
is($answer->{status}, 422, 'binary mode');
is(Test::Eventsync::json($answer->{body})->{pointer}, '/data/qty',
    'is checked as well');

$answer = $t->publish('nowhere', order_event(5));
is($answer->{status}, 404, 'a feed that is not there');

# the other ways in

($rc, $out, $err) = $t->ctl({ stdin => $t->event(
    id => 'c1', type => 'order.updated', data => { id => 5, qty => 1 }) },
    'publish', 'strict', '--format=json');
is($rc, 1, 'eventsyncctl is refused');
is($err, 'eventsyncctl: feed "strict": event 1: /data/id: '
    . "order.updated/2.0.0: \"type\":\"string\" does not allow it\n",
    'with the same words');

###############################################################################
# warned of

$answer = $t->publish('lax', order_event($good), order_event({ qty => 5 }),
    order_event({ id => 'a', qty => 0 }));
is($answer->{status}, 201, 'stored with warnings');
is_deeply([map { $_->{warning} } @{ $answer->{json}{results} }],
    [undef,
        { pointer => '/data',
            detail => 'order.updated/2.0.0: "required" needs the member "id"' },
        { pointer => '/data/qty',
            detail => 'order.updated/2.0.0: "minimum":1 does not allow it' }],
    'one for each event that is wrong');
is(stored('lax'), 3, 'all of them are there');

ok($t->logged('warnings.log', qr{/feeds/lax/events "2"}),
    'the access log has their number');
ok($t->logged('warnings.log', qr{/feeds/strict/events "-"}),
    'which is none otherwise');
like($t->read_file('error.log'), qr{\[warn\].*2\ of\ 3\ events\ do\ not\ match\ their
    \ schemas;\ event\ 1,\ "/data":\ order\.updated/2\.0\.0:\ "required"}x,
    'the error log has one line');

($rc, $out, $err) = $t->ctl({ stdin => join "\n",
    map { $t->event(%$_) } order_event($good), order_event(1) },
    'publish', 'lax', '--results');
is($rc, 0, 'eventsyncctl publishes as well');
like($out, qr/\A\S+ e\d+\n\S+ e\d+ warning\n\z/, 'and marks the event');
is($err, 'eventsyncctl: warning: feed "lax": event 2: /data: '
    . 'order.updated/2.0.0: "type":"object" does not allow it '
    . "(1 of these 2 events)\n", 'and says why');

($rc, $out, $err) = $t->ctl({ stdin => join "\n",
    map { $t->event(%$_) } order_event($good), order_event(1) },
    'publish', 'lax', '--results', "--key=$key", '--url',
    'http://127.0.0.1:' . $t->port . '/v1');
is($rc, 0, 'by HTTP too');
like($out, qr/\A\S+ e\d+\n\S+ e\d+ warning\n\z/, 'it marks the event');
like($err, qr/\Aeventsyncctl: warning: feed "lax": event 2: \/data: .*1 of /,
    'and says why');

###############################################################################
# changing it while nginx runs

is(decode_json($t->ctl_ok('feed', 'show', 'lax'))->{schema}, 'warn',
    'a feed shows its rule');
is(decode_json($t->ctl_ok('feed', 'show', 'orders'))->{schema}, 'off',
    'which is off by default');
$t->ctl_ok('feed', 'change', 'lax', '--schema=enforce');
is($t->publish('lax', order_event(5))->{status}, 422, 'enforced from now on');
$t->ctl_ok('feed', 'change', 'lax', '--schema=off');
is($t->publish('lax', order_event(5))->{status}, 201, 'and now no more');

($rc, $out, $err) = $t->ctl('feed', 'change', 'lax', '--schema=maybe');
is("$rc $err", "2 eventsyncctl: \"--schema=maybe\" is not off, warn or "
    . "enforce\n", 'there is nothing else');

is($t->publish('strict', { id => 'new1', type => 'order.new', data => 5 })
    ->{status}, 422, 'a type not known yet');
registers('it becomes known', 'order.new', '1.0.0', '{"type":"integer"}');
is($t->publish('strict', { id => 'new1', type => 'order.new', data => 5 })
    ->{status}, 201, 'and its events are stored');
is($t->publish('strict', { id => 'new2', type => 'order.new', data => 5.5 })
    ->{status}, 422, 'if they are so');
registers('a wider version', 'order.new', '1.1.0', '{"type":"number"}');
is($t->publish('strict', { id => 'new2', type => 'order.new', data => 5.5 })
    ->{status}, 201, 'is the one that judges now');

$t->ctl_ok('feed', 'remove', 'lax');
$t->feed('lax');
is(decode_json($t->ctl_ok('feed', 'show', 'lax'))->{schema}, 'off',
    'a rule ends with its feed');

$t->verify;

done_testing();
