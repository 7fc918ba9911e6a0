#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# A partner's own endpoints, managed by HTTP.

use warnings;
use strict;

use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store(workers => 2);
$t->feed('secret-feed');
$t->{partners}{acme} = 1;
$t->ctl_ok('partner', 'change', 'acme', '--feeds=orders');
my $key = $t->partner_key('acme', scopes => 'read,manage');
my $reader = $t->partner_key('acme', scopes => 'read');
my $theirs = $t->partner_key('other', feeds => '*', scopes => 'read,manage');
$t->default_conf(location => <<'CONF');
eventsync_endpoints on;
            eventsync_ratelimit_headers off;
CONF
$t->run_nginx;
my $broken = $t->testdir . '/broken';
my $recv = $t->receiver(sub {
    return -e $broken ? 500 : 200;
});
put($t, 'orders', 5);
my ($epoch) = (stored($t, 'orders'))[0] =~ /"cursor":"(\w+)-1"/;
$t->run_dispatcher;

# Method, path below /v1/endpoints, object or text; with `as` another key.
sub ask {
    my ($method, $path, $body, %opts) = @_;
    my $as = exists $opts{as} ? $opts{as} : $key;
    my %headers = $as ? (authorization => "Bearer $as") : ();

    $body = JSON::PP->new->encode($body) if ref $body;
    $headers{'content-type'} = $opts{type} // 'application/json'
        if defined $body;
    my $r = $t->http($method => "/v1/endpoints$path", \%headers, $body // ());
    $r->{json} = eval { Test::Eventsync::json($r->{body}) } if $r->{body};
    return $r;
}

sub refused {
    my ($r, $status, $type, $detail, $what) = @_;
    is($r->{status}, $status, $what);
    like($r->{json}{type}, qr/:\Q$type\E$/, "... $type");
    like($r->{json}{detail}, qr/\Q$detail\E/, '... with the reason');
    is($r->{headers}{'cache-control'}, 'no-store', '... not stored');
}

###############################################################################
# create, list, show, change, remove

is_deeply(ask(GET => '')->{json}, { endpoints => [], next => undef },
    'none at first');
my $r = ask(POST => '', { url => $recv->url('/a'), feeds => ['orders'],
    start => 'oldest', schedule => ['0', '10ms'], ordering => 'none' });
is($r->{status}, 201, 'create');
my $name = $r->{json}{name};
like($name, qr/^ep_[a-z2-7]{16}$/, 'gives a name');
like($r->{json}{secret}, qr/^whsec_/, 'and, once, the secret');
is($r->{headers}{location}, "/v1/endpoints/$name", 'and where it is');
is($r->{headers}{'cache-control'}, 'no-store', 'which nobody stores');
my $secret = $r->{json}{secret};
ok($recv->wait_for(5), 'the dispatcher sends at once');
ok(signature_ok(($recv->requests)[0], $secret), 'signed with it');

$r = ask(GET => "/$name");
is($r->{status}, 200, 'show');
is($r->{json}{url}, $recv->url('/a'), 'as it was made');
is_deeply($r->{json}{secrets}, [{ kind => 'v1' }], 'without secrets');
unlike($r->{body}, qr/whsec_|partner/, 'at all');
is(scalar @{ ask(GET => '')->{json}{endpoints} }, 1, 'in the list');
is(ask(HEAD => "/$name")->{status}, 200, 'HEAD');

$r = ask(PATCH => "/$name", { in_flight => 7, types => ['a.*'] });
is($r->{status}, 200, 'change');
is_deeply([@{ $r->{json} }{qw(in_flight types url)}],
    [7, ['a.*'], $recv->url('/a')], 'what is given, and no more');
is(ask(PATCH => "/$name", { types => undef })->{json}{types}, undef,
    'null takes away');

is(ask(POST => "/$name/pause")->{json}{paused}, JSON::PP::true(), 'pause');
put($t, 'orders', 1);
is(ask(POST => "/$name/resume")->{json}{paused}, JSON::PP::false(), 'resume');
ok($recv->wait_for(6), 'nothing is lost');

$r = ask(POST => "/$name/rotate", { overlap => '1h' });
is($r->{status}, 200, 'rotate');
isnt($r->{json}{secret}, $secret, 'a new secret');
is_deeply([map { exists $_->{expires} ? 1 : 0 } @{ $r->{json}{secrets} }],
    [0, 1], 'the old one expires');
put($t, 'orders', 1);
ok($recv->wait_for(7), 'the next');
my ($last) = reverse $recv->requests;
ok(signature_ok($last, $_), 'both sign') for $secret, $r->{json}{secret};

###############################################################################
# what became of deliveries

ok(wait_for(sub {
    @{ ask(GET => "/$name/attempts")->{json}{attempts} } == 7
}), 'attempts');
$r = ask(GET => "/$name/attempts?limit=2")->{json};
is_deeply([map { $_->{sequence} } @{ $r->{attempts} }], [7, 6],
    'the newest first');
ok($r->{has_more}, 'there are more');
ok(!ask(GET => "/$name/attempts?limit=7")->{json}{has_more}, 'or not');
is($r->{attempts}[0]{status}, 200, 'with the status');

$r = ask(GET => "/$name/status")->{json};
is($r->{name}, $name, 'status');
my ($progress) = grep { $_->{kind} eq 'progress' } @{ $r->{deliveries} };
is_deeply([@{$progress}{qw(feed cursor behind)}],
    ['orders', "$epoch-7", 0], 'says where it is');

my $n = $recv->count;
$r = ask(POST => "/$name/replay", { feed => 'orders', after => "$epoch-4" });
is($r->{status}, 202, 'replay');
like($r->{body}, qr/^\{"request":\d+\}$/, 'is a request');
ok($recv->wait_for($n + 3), 'that is taken');
is(ask(POST => "/$name/replay", { feed => 'orders', from => 'oldest' })
    ->{status}, 202, 'from the oldest');
ok($recv->wait_for($n + 10), 'as well');
is(ask(POST => "/$name/resend", { feed => 'orders', cursor => "$epoch-2" })
    ->{status}, 202, 'resend');
ok($recv->wait_for($n + 11), 'one');

$t->write_file('broken', '');
put($t, 'orders', 2);
ok(wait_for(sub {
    @{ ask(GET => "/$name/dead-letters")->{json}{dead_letters} } == 2
}), 'dead letters');
$r = ask(GET => "/$name/dead-letters?limit=1")->{json};
is_deeply([$r->{dead_letters}[0]{cursor}, $r->{has_more}],
    ["$epoch-8", JSON::PP::true()], 'from the oldest on');
unlink $broken;
is(ask(POST => "/$name/redrive")->{status}, 202, 'redrive');
ok(wait_for(sub {
    !@{ ask(GET => "/$name/dead-letters")->{json}{dead_letters} }
}, 15), 'leaves none');

###############################################################################
# others

refused(ask(GET => "/$name", undef, as => $theirs), 404, 'not-found',
    'The endpoint does not exist.', "another partner's");
is(ask(GET => "/$name", undef, as => $theirs)->{body},
    ask(GET => '/ep_none')->{body}, 'is told from none by nothing');
is_deeply(ask(GET => '', undef, as => $theirs)->{json},
    { endpoints => [], next => undef }, 'nor in their list');
{
    my $record = $t->ctl_ok('endpoint', 'show', $name);
    my ($n, $attempts) = ($recv->count, scalar attempts($t, $name));

    # As the owner may ask them, and so for all but who it is.
    for ([PATCH => '', { paused => JSON::PP::true() }], [DELETE => ''],
        [POST => '/pause'], [POST => '/resume'], [POST => '/rotate'],
        [POST => '/redrive'], [POST => '/test'],
        [POST => '/simulate', { failure => 'drop' }],
        [POST => '/replay', { feed => 'orders', from => 'oldest' }],
        [POST => '/resend', { feed => 'orders', cursor => "$epoch-1" }],
        [GET => '/status'], [GET => '/attempts'], [GET => '/dead-letters'],
        [GET => '/keys'])
    {
        my ($method, $path, @body) = @$_;
        my ($of, $none) = map {
            ask($method => "/$_$path", @body ? @body : undef, as => $theirs)
        } $name, 'ep_none';
        is($of->{status}, 404, "it is not there for another: $method $path");
        is($of->{body}, $none->{body}, '... as if there were none');
    }
    is($t->ctl_ok('endpoint', 'show', $name), $record, 'nothing has changed');

    # Requests are taken in order: after this one, none of the others is.
    is(ask(POST => "/$name/resend", { feed => 'orders',
        cursor => "$epoch-2" })->{status}, 202, 'what the owner asks for');
    ok($recv->wait_for($n + 1), 'is done');
    ok(wait_for(sub { attempts($t, $name) == $attempts + 1 }),
        'and nothing that another asked for');
    is($recv->count, $n + 1, 'is sent');
}
refused(ask(GET => '', undef, as => $reader), 403, 'forbidden',
    'The key lacks the scope "manage"', 'without the scope');
like(ask(GET => '', undef, as => $reader)->{headers}{'www-authenticate'},
    qr/error="insufficient_scope", scope="manage"$/, '... and which it is');
refused(ask(GET => '', undef, as => undef), 401, 'unauthorized', '',
    'without a key');

###############################################################################
# what is wrong

refused(ask(POST => '', $_->[0]), 400, 'invalid-body', $_->[1],
    "create: $_->[1]")
    for [{ feeds => ['orders'] }, 'url'], [{ url => 'x', feeds => ['*'] },
        'url is not a URI'],
        [{ url => 'https://e.org/', feeds => ['*'], partner => 'x' },
        '"partner" cannot be set'], ['[]', 'not a JSON object'], ['{', 'not a JSON'],
        [{ url => 'https://e.org/', feeds => ['*'], colour => 'red' },
        'unknown member'];
is(ask(POST => '', { url => 'https://e.org/', feeds => ['*'],
    colour => 1 })->{json}{pointer}, '/colour', 'with a pointer');
is_deeply([@{ ask(PATCH => "/$name", { rate => '10r/s', burst => 3,
    disable_after => '1d' })->{json} }{qw(rate burst disable_after)}],
    ['10r/s', 3, '1d'], 'deliveries are governed by the partner');
is(ask(PATCH => "/$name", { $_->[0] => $_->[1] })->{json}{pointer},
    "/$_->[0]", "a wrong $_->[0]")
    for ['rate', 'x'], ['burst', 0], ['disable_after', '1ms'], ['ack', 'A'];
is(ask(PATCH => "/$name", { ack => '*' })->{json}{ack}, '*', 'as is what is acknowledged');
is_deeply(ask(PATCH => "/$name", { headers => { 'x-key' => 'k' } })
    ->{json}{headers}, ['x-key'], 'of its header fields only names are shown');
is(ask(PATCH => "/$name", { headers => { Host => 'x' } })->{json}{pointer},
    '/headers/Host', 'a header field that is not to be set');
is(ask(PATCH => "/$name", { body => $_ })->{json}{body}, $_, "body $_")
    for qw(data binary);
for (['/batch', batch => 2], ['/content_type', content_type =>
    'application/json'], ['/headers/ce-a', headers => { 'ce-a' => '1' }])
{
    my ($pointer, %change) = @$_;
    is(ask(PATCH => "/$name", \%change)->{json}{pointer}, $pointer,
        "not with $pointer");
    is(ask(PATCH => "/$name", { body => 'whole', %change })->{status}, 200,
        '... which whole events may have');
    is(ask(PATCH => "/$name", { body => 'binary' })->{json}{pointer}, $pointer,
        '... and then they must stay whole');
    is(ask(GET => "/$name")->{json}{body}, 'whole', '... as they do');
    is(ask(PATCH => "/$name", { body => 'binary',
        map { $_ => undef } keys %change })->{json}{body}, 'binary',
        '... until that is gone');
}
is(ask(PATCH => "/$name", { body => undef })->{json}{body}, undef,
    'whole events are the default');
my %oauth = (token_url => 'https://e.org/token', client_id => 'me');
is_deeply(ask(PATCH => "/$name", { headers => undef,
    oauth => { %oauth, client_secret => 'hush', scope => 'a b' } })
    ->{json}{oauth}, { %oauth, scope => 'a b' },
    'client credentials are shown without the secret');
is_deeply(ask(GET => "/$name")->{json}{oauth}, { %oauth, scope => 'a b' },
    'also later');
is(ask(PATCH => "/$name", { oauth => $_->[1] })->{json}{pointer}, $_->[0],
    "bad client credentials: $_->[0]")
    for ['/oauth/client_secret', \%oauth], ['/oauth', 'x'],
        ['/oauth', { %oauth, client_secret => 'x', more => 1 }],
        ['/oauth/client_id', { %oauth, client_secret => 'x',
            client_id => '' }],
        ['/oauth/scope', { %oauth, client_secret => 'x', scope => "a\n" }],
        ['/oauth/audience', { %oauth, client_secret => 'x',
            audience => 'a' x 1025 }],
        ['/oauth/token_url', { %oauth, client_secret => 'x',
            token_url => 'ftp://x/' }];
is(ask(PATCH => "/$name", { headers => { Authorization => 'x' } })
    ->{json}{pointer}, '/oauth', 'nor with such a header field');
is(ask(PATCH => "/$name", { oauth => undef })->{json}{oauth}, undef,
    'without them again');
is(ask(PATCH => "/$name", { $_ => 'x.pem' })->{json}{pointer}, "/$_",
    "$_ is not a partner's to set")
    for qw(client_cert client_key ca_file);
refused(ask(POST => '', { url => 'https://e.org/', feeds => ['*'],
    client_cert => 'x.pem' }), 400, 'invalid-body', 'by an operator',
    'nor to begin with');
$t->ctl_ok('endpoint', 'change', $name, '--client-cert=x.pem');
is(ask(GET => "/$name")->{json}{client_cert}, undef, 'nor to see');
$t->ctl_ok('endpoint', 'change', $name, '--client-cert=');
is(ask(PATCH => "/$name", { $_->[0] => $_->[1] })->{json}{pointer}, "/$_->[0]",
    "$_->[0] is the operator's, too")
    for [allow_http => JSON::PP::true], [allow_addresses => ['127.0.0.1']],
        [allow_ports => [99]];
$t->ctl_ok('endpoint', 'change', $name, '--allow-http=yes',
    '--allow-addresses=127.0.0.1,fd00::/8', '--allow-ports=99,25');
is_deeply({ map { /^allow/ ? ($_ => 1) : () }
    keys %{ ask(GET => "/$name")->{json} } }, {}, 'and not shown');
my $stored = Test::Eventsync::json($t->ctl_ok('endpoint', 'show', $name));
is_deeply([ @$stored{qw(allow_addresses allow_ports)} ],
    [['127.0.0.1', 'fd00::/8'], [99, 25]], 'but stored');
$t->ctl_ok('endpoint', 'change', $name, "--allow-$_=")
    for qw(http addresses ports);
is(ask(PATCH => "/$name", { headers => undef })->{json}{headers}, undef,
    'none any more');
refused(ask(POST => ''), 400, 'invalid-body', 'must be a JSON object', 'nothing');
refused(ask(PATCH => "/$name", { number => 1 }), 400, 'invalid-body',
    'is read-only: set by the server', 'what the library gives');
refused(ask(POST => '', '{}', type => 'text/plain'), 415,
    'unsupported-media-type', 'application/json', 'another type');
refused(ask(POST => '', '{"url":"' . 'x' x 200000 . '"}'), 413, 'too-large',
    'too large for', 'too large');
refused(ask(POST => "/$name/rotate", { overlap => 'x' }), 400,
    'invalid-body', 'must be a time', 'a bad overlap');
refused(ask(POST => "/$name/rotate", { x => 'x' }), 400, 'invalid-body',
    'may have', 'an unknown member');
refused(ask(POST => "/$name/replay", { feed => 'none', from => 'oldest' }),
    400, 'invalid-body', 'the endpoint does not receive this feed',
    'replay of no feed');
refused(ask(POST => "/$name/replay", { feed => 'secret-feed',
    from => 'oldest' }), 400, 'invalid-body',
    'the endpoint does not receive this feed', 'or of one it is not sent');
refused(ask(POST => "/$name/replay", { feed => 'orders',
    after => "$epoch-99" }), 400, 'invalid-body', "$epoch-99", 'ahead');
refused(ask(POST => "/$name/resend", { feed => 'orders' }), 400,
    'invalid-body', 'must have "feed" and', 'resend of nothing');
refused(ask(GET => "/$name/attempts?limit=0"), 400, 'invalid-parameter',
    'between 1 and 1000', 'a bad limit');
refused(ask(GET => "/$name?limit=1"), 400, 'invalid-parameter', 'limit',
    'a parameter that is none');
is(ask(PATCH => "/$name", { types => ['b', 'a' x 255] })->{status}, 200,
    'types of the length that an event can have');
for my $type ('a' x 256, 'a' x 254 . '.*', 'a' x 600, 'a*') {
    $r = ask(PATCH => "/$name", { types => ['b', $type] });
    refused($r, 400, 'invalid-body', 'over 255 bytes', 'one that is longer');
    is($r->{json}{pointer}, '/types', 'says where');
}
is(ask(PATCH => "/$name", { types => undef })->{status}, 200, 'or of all');
for (1 .. 3) {
    $r = ask(POST => "/$name/rotate");
}
refused($r, 409, 'in-use', '4 secrets', 'too many secrets');
$r = ask(PUT => "/$name", {});
refused($r, 405, 'method-not-allowed', '', 'a method that is none');
is($r->{headers}{allow}, 'GET, HEAD, PATCH, DELETE, OPTIONS', 'Allow');

$r = ask(DELETE => "/$name");
is($r->{status}, 204, 'remove');
is($r->{body} // '', '', 'without a body');
is(ask(GET => "/$name")->{status}, 404, 'and gone');
is($t->stop_dispatcher, 0, 'the dispatcher stops cleanly');

done_testing();
