#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# An event type may name the feeds it belongs to.  A key sees the types of the
# feeds that it may read or publish to, and those that name none.  It cannot
# tell any other type from one that does not exist.

use warnings;
use strict;

use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync;

my $t = Test::Eventsync->new(workers => 2);
$t->store_init;
$t->feed('orders-acme');
$t->feed('orders-bob', schema => 'enforce');
$t->feed('in-bob', schema => 'warn');
$t->feed('free-bob');
$t->partner('acme', feeds => 'orders-acme', publish => 'in-acme');
$t->partner('bob', feeds => 'orders-bob,prices',
    publish => 'in-bob,orders-bob,free-bob');

my %key = (
    acme => $t->partner_key('acme'),
    bob => $t->partner_key('bob'),
    read => $t->partner_key('bob', scopes => 'read'),
    publish => $t->partner_key('bob', scopes => 'publish'),
    narrow => $t->partner_key('bob', key_feeds => 'pri*'),
    ack => $t->partner_key('bob', scopes => 'ack'),
    manage => $t->partner_key('bob', scopes => 'manage,admin'),
);

my $jwk = { kty => 'oct', alg => 'HS256', kid => 'one', k => 'MTEx' x 11 };
chmod 0600, $t->write_file('keys.json', encode_json({ keys => [$jwk] }));

$t->write_file_expand('nginx.conf', <<'CONF');
events { }

http {
    eventsync_store %%STORE%%;
    eventsync_token_keys keys.json;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /v1/ {
            eventsync_publish on;
            eventsync_catalogue on;
            eventsync_token on;
        }

        location /open/ {
            eventsync_catalogue on;
            eventsync_auth off;
        }
    }
}
CONF
$t->run_nginx;

sub register {
    my ($type, @options) = @_;
    return $t->ctl({ stdin => '{"type":"integer"}' }, 'type', 'register',
        $type, '1.0.0', '--quiet', @options);
}

sub registers { is(join('', register(@_)), 0, "register @_") }

sub get {
    my ($credential, $path, %headers) = @_;
    return $t->http(GET => "/v1/event-types$path",
        { authorization => "Bearer $credential", %headers });
}

sub list { Test::Eventsync::json(get(@_)->{body}) }

# The types that a list has, all of its pages joined.
sub types {
    my ($credential, $limit) = @_;
    my (@types, $after);

    do {
        my $page = list($credential, '?limit=' . ($limit // 100)
            . (defined $after ? "&after=$after" : ''));
        push @types, map { $_->{type} } @{ $page->{types} };
        $after = $page->{next};
    } while (defined $after);

    return "@types";
}

# Status, header fields and body, without the time.
sub bytes {
    my ($answer) = @_;
    my %headers = %{ $answer->{headers} };
    delete $headers{date};
    return join "\n", $answer->{status},
        (map { "$_: $headers{$_}" } sort keys %headers), $answer->{body};
}

registers('acme.secret', '--feeds=orders-acme');
registers('all.orders', '--feeds=orders-*');
registers('any');
registers('both', '--feeds=orders-acme,in-acme,prices,orders-bob');
registers('in', '--feeds=in-bob');
registers('zz.secret', '--feeds=orders-acme');

###############################################################################
# operators

my $shown = decode_json($t->ctl_ok('type', 'show', 'both'));
is("@{ $shown->{feeds} }", 'orders-acme in-acme prices orders-bob',
    'an operator sees the feeds of a type');
ok(!exists decode_json($t->ctl_ok('type', 'show', 'any'))->{feeds},
    'or that it names none');
like($t->ctl_ok('type', 'list'), qr/^both +1\.0\.0 .* feeds=orders-acme,in-acme,prices,orders-bob$/m,
    'in the list, too');

for (
    ['Orders', 'feeds/0 must be a feed\'s name, or its start and \'*\''],
    ['a,b*c', 'feeds/1 must be a feed\'s name, or its start and \'*\''],
    [join(',', map { "f$_" } 0 .. 64),
        'feeds has 65 items; 0 to 64 are allowed'],
) {
    my ($feeds, $why) = @$_;

    my ($rc, $out, $err) = register('new', "--feeds=$feeds");
    is("$rc$out$err", "1eventsyncctl: type \"new\" 1.0.0: $why\n",
        "register with the feeds $feeds");
    ($rc, $out, $err) = $t->ctl('type', 'change', 'both', "--feeds=$feeds");
    is("$rc$out$err", "1eventsyncctl: type \"both\": $why\n",
        "change to the feeds $feeds");
}

is(($t->ctl('type', 'show', 'new'))[0], 1, 'nothing of them is registered');
is_deeply(decode_json($t->ctl_ok('type', 'show', 'both')), $shown,
    'and nothing is changed');

for (
    [['gone', '--feeds=a'], 1, 'type "gone": there is no such type'],
    [['bot', '--feeds=a'], 1, 'type "bot": there is no such type'],
    [['a/b', '--feeds=a'], 1, 'type "a/b": a type in the catalogue must be'],
    [['both'], 2, '"type change" requires "--feeds"'],
) {
    my ($args, $status, $line) = @$_;
    my ($rc, undef, $err) = $t->ctl('type', 'change', @$args);
    is($rc, $status, "type change @$args: exit $status");
    like($err, qr/\Aeventsyncctl: \Q$line\E[^\n]*\n\z/, "and $line");
}

###############################################################################
# lists

is(types($key{bob}), 'all.orders any both in', 'bob sees the types of his feeds');
is(types($key{acme}), 'acme.secret all.orders any both zz.secret',
    'acme those of hers');
is(types($key{read}), 'all.orders any both', 'who reads: of what it may read');
is(types($key{publish}), 'all.orders any both in',
    'who publishes: of what it may publish to');
is(types($key{narrow}), 'any both', 'a key with feeds: of those');
is(types($key{ack}), 'any', 'a key without read and publish: of no feed');
is(types($key{manage}), 'any', 'not with the other scopes either');

is(types($_, 1), types($_), 'pages of one are the same list') for values %key;
is(list($key{bob}, '?limit=4')->{next}, undef,
    'no next page for types that are hidden');
is($t->http(GET => '/v1/event-types?after=' . list($key{acme}, '?limit=1')->{next},
    { authorization => "Bearer $key{bob}" })->{status}, 400,
    'a position behind a type that is hidden is another partner\'s');

is($t->http(GET => '/open/event-types/acme.secret')->{status}, 200,
    'without keys there are no secrets');

my %feeds = map { $_->{type} => $_->{feeds} } @{ list($key{bob}, '')->{types} };
is_deeply(\%feeds, { any => undef, in => ['in-bob'],
    'all.orders' => ['orders-bob'], both => ['prices', 'orders-bob'] },
    'of the feeds of a type bob sees those that are his');

###############################################################################
# one type

for (
    ['acme.secret', 404, 200], ['all.orders', 200, 200], ['any', 200, 200],
    ['both', 200, 200], ['in', 200, 404],
) {
    my ($type, $bob, $acme) = @$_;

    for my $path ("/$type", "/$type/1.0.0") {
        is(get($key{bob}, $path)->{status}, $bob, "bob: $path");
        is(get($key{acme}, $path)->{status}, $acme, "acme: $path");
    }
}

my $etag = get($key{acme}, '/acme.secret/1.0.0')->{headers}{etag};
my $type_etag = get($key{acme}, '/acme.secret')->{headers}{etag};

for (
    ['', {}], ['', { 'if-none-match' => $type_etag }],
    ['/1.0.0', {}], ['/1.0.0', { 'if-none-match' => $etag }],
    ['/1.0.0', { 'if-none-match' => '*' }], ['/9.0.0', {}],
) {
    my ($rest, $headers) = @$_;

    for my $method ('GET', 'HEAD', 'POST') {
        my ($hidden, $missing) = map {
            bytes($t->http($method => "/v1/event-types/$_$rest",
                { authorization => "Bearer $key{bob}", %$headers }))
        } 'acme.secret', 'acme.sacred';
        is($hidden, $missing, "$method of acme's type$rest with "
            . join(' ', %$headers) . ': the same bytes as of none');
    }
}

for my $path ('', '/any', '/any/1.0.0') {
    my $answer = get($key{bob}, $path);
    like($answer->{headers}{'cache-control'}, qr/^private, /,
        "event-types$path: no shared cache may store it");
    is($answer->{headers}{vary}, 'Authorization',
        'and a private one keeps keys apart');
    $answer = get($key{bob}, $path,
        'if-none-match' => $answer->{headers}{etag});
    is("$answer->{status} $answer->{headers}{vary}", '304 Authorization',
        'a 304 says so, too');
}

isnt(get($key{bob}, '')->{headers}{etag}, get($key{acme}, '')->{headers}{etag},
    'two lists have two tags');
is(get($key{bob}, '', 'if-none-match' => get($key{acme}, '')->{headers}{etag})
    ->{status}, 200, 'and the one does not stand for the other');

###############################################################################
# tokens

sub token {
    my ($credential, $scope) = @_;
    my ($id) = $credential =~ /esk_([^_]+)_/;
    return Test::Eventsync::json($t->http(POST => '/v1/token',
        { 'content-type' => 'application/x-www-form-urlencoded' },
        "grant_type=client_credentials&client_id=$id"
        . "&client_secret=$credential"
        . (defined $scope ? '&scope=' . Test::Eventsync::escape($scope) : ''))
        ->{body})->{access_token};
}

is(types(token($key{bob})), types($key{bob}), 'a token sees what its key sees');
is(types(token($key{bob}, 'read')), 'all.orders any both', 'or less: to read');
is(types(token($key{bob}, 'publish feed:in-bob')), 'any in',
    'to publish to one feed');
is(types(token($key{bob}, 'ack')), 'any', 'to do neither');

###############################################################################
# what is published

my $n = 0;

sub publish {
    my ($feed, %event) = @_;
    return $t->publish($feed, { key => $key{bob} },
        { id => 'e' . ++$n, data => 1, %event });
}

# The answer to a publish of a type that is hidden, and of one that is not there.
sub both {
    my ($feed, %event) = @_;
    return map {
        my $answer = $t->publish($feed, { key => $key{bob} },
            { id => "same-$feed", data => 1, %event, type => $_,
                $event{dataschema} ? (dataschema => "x:/$_/1.0.0") : () });
        bytes($answer);
    } 'acme.sacred', 'acme.secret';
}

is(publish('orders-bob', type => 'all.orders')->{status}, 201,
    'a type in a feed of its own');
is(publish('orders-bob', type => 'any')->{status}, 201,
    'a type that names no feeds');

my $answer = publish('orders-bob', type => 'in');
is($answer->{status}, 422, 'a type in another feed than its own');
is("$answer->{json}{pointer}: $answer->{json}{detail}", '/type: Event 0: the '
    . 'catalogue does not have the event\'s type for this feed.', 'and why');
$answer = publish('orders-bob', type => 'in', dataschema => 'x:/in/1.0.0');
is("$answer->{json}{pointer}: $answer->{json}{detail}", '/dataschema: Event 0: '
    . 'the catalogue does not have that version of the event\'s type for this '
    . 'feed.', 'also with its schema');

is(publish('in-bob', type => 'in')->{status}, 201, 'in its own');
$answer = publish('in-bob', type => 'all.orders');
is("$answer->{status} $answer->{json}{results}[0]{warning}{pointer}",
    '201 /type', 'where the feed warns, only a warning');
is(publish('free-bob', type => 'in')->{status}, 201,
    'where it does not check, not even that');

for ([], [dataschema => 1]) {
    my ($missing, $hidden) = both('orders-bob', @$_);
    is($hidden, $missing, 'a hidden type is refused as one that is not there');
    like($hidden, qr/^422\n/, 'with a 422');
}

my ($missing, $hidden) = both('orders-bob', data => 'x');
is($hidden, $missing, 'before its schema says anything');

###############################################################################
# changes hold at once

$t->ctl_ok('type', 'change', 'in', '--feeds=orders-bob');
is(publish('orders-bob', type => 'in')->{status}, 201,
    'a type goes to another feed');
is(get($key{read}, '/in')->{status}, 200, 'and who may read that sees it');

$t->ctl_ok('type', 'change', 'acme.secret', '--feeds=');
is(get($key{bob}, '/acme.secret')->{status}, 200, 'a type for all');
is(publish('orders-bob', type => 'acme.secret')->{status}, 201,
    'in each feed');
is(join('', $t->ctl({ stdin => '{"type":"integer"}' }, 'type', 'register',
    'acme.secret', '1.1.0')), 0, 'a version more');
is(get($key{bob}, '/acme.secret/1.1.0')->{status}, 200,
    'leaves the feeds as they are');
is(join('', $t->ctl({ stdin => '{"type":"integer"}' }, 'type', 'register',
    'acme.secret', '1.2.0', '--feeds=orders-acme')), 0, 'or names others');
is(get($key{bob}, '/acme.secret/1.0.0')->{status}, 404,
    'which hides every version');
is(publish('orders-bob', type => 'acme.secret')->{status}, 422,
    'and forbids the type');

$t->ctl_ok('partner', 'change', 'bob', '--feeds=orders-acme');
ok(Test::Eventsync::wait_for(sub {
    get($key{read}, '/acme.secret')->{status} == 200 }),
    'a grant shows the types of its feed');

$t->verify;

done_testing();
