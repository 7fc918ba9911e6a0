#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Access tokens: how they are got, what they may, when they end, and that none
# is taken which was not given.

use warnings;
use strict;

use Digest::SHA qw(hmac_sha256);
use JSON::PP;
use MIME::Base64 qw(encode_base64 encode_base64url decode_base64url);
use Test::More;
use Time::HiRes qw(sleep);

use lib 't/lib';
use Test::Eventsync qw(wait_for);

my $json = JSON::PP->new->canonical;
my $form = 'application/x-www-form-urlencoded';

# Keys of tokens: what the file has, and what only others have.
my %jwk = (
    one => { kty => 'oct', alg => 'HS256', k => encode_base64url('1' x 32) },
    two => { kty => 'oct', alg => 'HS256', k => encode_base64url('2' x 48) },
    ec => { kty => 'EC', alg => 'ES256', crv => 'P-256',
        x => 'miysfMnLJZKp4z9Tto0I73Q7Zakoj8BAOu1dAIt5WuM',
        y => 'ZmEwgxg4xEiBIzuUGwWc3eJV4B4mnI4iKUXyeVB51mg',
        d => 'Ss-9y24xKwqFBKCaCz3RWsQxoo9KG_kLFqdfOslDFPI' },
    rsa => { kty => 'RSA', alg => 'RS256', e => 'AQAB',
        n => 'z5gwoxfqbimgZV_MMOV78a-Ar1m3B3SyjNNOybyeLq_ftUlYoRkojA2GrM48'
            . '5WOH8D3WV7rrbN2zbogkJziqB24w5IoiPahuLnJhuJy1Z1PvxkcO56PIJ3vB'
            . 'x3D5rfxmelbcJ4PKlY1dCleHBXTlU1QuSYvozIJuIbTWFgvKXMiBSGkyvw4Q'
            . 'SYeCCRV0HLzbEBgosbJnBBwD4-FWQsyS3qJ-vJ-4jXQUhBU1CrYLd2RJQtY6'
            . '7z_qIwO5-8XFWO06r2nuaWPhf8O6KXKyOcXL9UvD6CtCw3xnPytkbpHd5hr2'
            . '2iTd9VDIks0r9TjKSYI1Zv9ipcP_4I1ug18wAwo-jQ',
        d => 'KOkF2ro9k5CmAJxYpeEvpBExU70jJffAMSL6YaTHao1z0WrfKb5GwJTwz7DE'
            . 'DPOoqDZTfY4DU7y8HeH79_PBhD3Zqkwzk8GT1xjo-6P8VtzSgZlizVD4Qpmv'
            . 'tkFkHv7A5kakU7Az9fV6Gq3lmLRw9hM-nPVSvyzMDd3wm78eldp9vr70oG0g'
            . 'oNcHMdkVEmjcXDIqXGL3x7evZ_0juZVY2Jc6JcX1EeTlQQr4cbLdkThej9Pu'
            . '8Qd4xtg9u-Kb7cYXXSNOP8CmVUbjhidTzWLrREUEwk0wTpscLuvLqFpsTVY0'
            . 'zLojAi23Y4xdFu6Y9OvQillkKq7sLhOFckOgQ_4KGQ',
        p => '7tHwvRsrlRtIpTJpaeAXG4FndBaPuQgBrFSn-EoqtPdbW7tss4Lyu-NkelLR'
            . 'QdRaFXB_GFsvFIw4VNVDw9Izhl4-AVu7K-8VKhF0lttZaGsDxZfVgdWhvJW7'
            . 'nt9I_v_XzSVwKBYba1LFIEtJgURuGmFCm3V5AgW7d8WmQSyYs5U',
        q => '3oc0snwVPjcZBIib_v0ESB3e3R7Dg16pQ0D6Sm1_pDG8an74QwpvwvYle783'
            . 'cW8wIBXczRlJuJQz1pETkaz7BgMNNHHDw5DJWH-aSVxHPYD9OyKA8U18GjEo'
            . '9S7U3LQ7jwPZfVRnW5b7xLJmVeYEjSbKifLUXhBD0r1TFFZwoRk',
        dp => 'U5gxCECmdL7kIs8OjvzdmccmC0CKdl4TF9taIFL1t_qNhAKK_hrsFFB4L0kl'
            . '7kECd1a1ZjUkubCLV0Z_PeAqIPKECb2uOqapZdxOTy_gj-hFnbiUB6pbvsM6'
            . 'tVW7G2c6hpiANcfnOR3z2mYACLuHPrykr_3iqY6QHFCW7WFK4jE',
        dq => 'bN5bIsNgJTsRi01GfJ7OvHWYtje50Yi7aMLecRFXND58_uE1lp8BhLGmLv-j'
            . 'IWUTd28awmEP1zTyk5QQreGiQhO2HyVVcFVinGB5XFDALc_wlEDSMrwE7k-E'
            . 'yUdrLrsitFpeyllD4-RfMqFRPc82BNSonIrn6Ukt1Wl4vud3XOk',
        qi => 'ZS2_qKZ62woHpQH0t7uP5ZTe9A7CK3DbcrmvfZBoHwCzJUKG97md8PUiFvd8'
            . 'QEQeePd4t3NDWqXM_eBG_Wlh7eKTO3YAy3KbHiQF6ns5Xb9ILovL4vm1i_kz'
            . 'ViQMt6g-KNfBUSXiTClgVvtl43NrHvmyn22O-7zr6uhoPPp3VTE',
    },
);
$jwk{$_}{kid} = $_ for keys %jwk;

my $t = Test::Eventsync->new(workers => 2);
$t->store_init;
$t->feed($_) for qw(prices orders-acme orders-bolt);
my $key = $t->partner_key('acme', feeds => 'prices,orders-*',
    publish => 'orders-acme', scopes => 'read,publish,ack,manage');
my $reader = $t->partner_key('acme', scopes => 'read', key_feeds => 'prices');
my $manager = $t->partner_key('acme', scopes => 'manage');

my $other = do {
    local $t->{store} = $t->testdir . '/other';
    $t->ctl_ok('init');
    $t->feed('prices');
    local $t->{partners} = {};
    $t->partner_key('acme', feeds => 'prices');
};

keys_are('keys', 'one', 'ec', 'rsa');
keys_are('rsa-first', 'rsa', 'one');
keys_are('two', 'two');
configure();
$t->run_nginx;
$t->publish('prices', { subject => 'a' }, { subject => 'b' });
$t->publish('orders-acme', { subject => 'a' });

my $store;

granted();
again();
mistaken();
narrowed();
managing();
ends();
waiting();
forged();
limited();
rotated();
logged();

done_testing();

###############################################################################

sub keys_are {
    my ($name, @names) = @_;
    $t->write_file("$name.json", $json->encode({ keys => [ @jwk{@names} ] }));
    chmod 0600, $t->testdir . "/$name.json";
}

sub configure {
    my $all = join ' ', map { "eventsync_$_ on;" } qw(poll publish feeds pages
        authorize backfill snapshot catalogue checkpoints endpoints metrics sse token);

    $t->write_file_expand('nginx.conf', <<"CONF");
events { }
http {
    log_format who '\$eventsync_partner \$status \$uri';
    access_log %%TESTDIR%%/access.log who;
    eventsync_store %%STORE%%;
    eventsync_token_keys keys.json;

    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /v1/ { $all client_max_body_size 4k; }
        location /short/ { $all eventsync_token_lifetime 2s; eventsync_sse_heartbeat 50s; }
        location /poor/ { $all eventsync_limit poll rate=1r/d burst=3; }
        location /strict/ { $all eventsync_limit address rate=1r/d burst=6; }
        location /open/ { eventsync_token on; eventsync_auth off; }
        location /nokey/ { eventsync_poll on; }
        location = /ops/metrics { eventsync_metrics on; eventsync_auth off; }
    }
    server {
        listen 127.0.0.1:%%PORT_1%%;
        eventsync_token_keys two.json;
        location /v1/ { $all }
    }
    server {
        listen 127.0.0.1:%%PORT_2%%;
        eventsync_store %%TESTDIR%%/other;
        location /v1/ { $all }
    }
    server {
        listen 127.0.0.1:%%PORT_3%%;
        eventsync_token_keys rsa-first.json;
        location /v1/ { $all }
    }
}
CONF
}

sub id { return substr $_[0], 4, 10 }

# A request for a token: by the key, with more parameters.
sub ask {
    my ($with, %opts) = @_;
    my $body = join '&', 'grant_type=client_credentials',
        defined $opts{scope} ? "scope=$opts{scope}" : (),
        $opts{basic} ? () : 'client_id=' . id($with) . "&client_secret=$with";
    my %headers = ('content-type' => $opts{type} // $form);
    $headers{authorization} = basic(id($with), $with) if $opts{basic};

    return $t->http(POST => ($opts{prefix} // '/v1') . '/token', \%headers,
        $opts{body} // $body, port => $t->port($opts{port} // 0));
}

sub basic { return 'Basic ' . encode_base64("$_[0]:$_[1]", '') }

sub token {
    my $answer = ask(@_);
    is($answer->{status}, 200, 'a token is given') or diag($answer->{body});
    return $json->decode($answer->{body})->{access_token};
}

# An answer of an error is of RFC 6749, and says so and why.
sub error {
    my ($answer, $status, $error, $why, $name) = @_;

    is($answer->{status}, $status, "$name: $status");
    is($answer->{headers}{'content-type'}, 'application/json', "$name: in JSON");
    is($answer->{headers}{'cache-control'}, 'no-store', "$name: not to be kept");
    my $body = eval { $json->decode($answer->{body}) } // {};
    is_deeply([ sort keys %$body ], [qw(error error_description)], "$name: members");
    is($body->{error}, $error, "$name: $error");
    like($body->{error_description}, $why, "$name: why");
    unlike($body->{error_description}, qr/[^ !#-\[\]-~]/, "$name: in its characters");
}

sub get {
    my ($path, $credential, %opts) = @_;
    return $t->http(GET => $path, { authorization => "Bearer $credential",
        %{ $opts{headers} // {} } }, undef, port => $t->port($opts{port} // 0));
}

sub call {
    my ($method, $path, $credential, $body) = @_;
    return $t->http($method => $path, { authorization => "Bearer $credential",
        'content-type' => 'application/json' }, $body)->{status};
}

sub problem {
    return ($json->decode($_[0]{body})->{type} // '')
        =~ s/^urn:eventsync:problem://r;
}

sub parts { return map { $json->decode(decode_base64url($_)) } (split /\./, $_[0])[0, 1] }

# A token of any header and claims, signed by HMAC under a name's bytes.
sub forge {
    my ($header, $claims, $secret) = @_;
    my $text = join '.', map { encode_base64url(ref ? $json->encode($_) : $_) }
        $header, $claims;
    return "$text." . encode_base64url(hmac_sha256($text, $secret // '1' x 32));
}

###############################################################################

sub granted {
    for my $basic (0, 1) {
        my $answer = ask($key, basic => $basic);
        is($answer->{status}, 200, 'by ' . ($basic ? 'Basic' : 'the form'));
        is($answer->{headers}{'content-type'}, 'application/json', 'in JSON');
        is($answer->{headers}{'cache-control'}, 'no-store', 'not to be kept');
        is($answer->{headers}{pragma}, 'no-cache', 'nor by the oldest');
        my $body = $json->decode($answer->{body});
        is_deeply([ sort keys %$body ],
            [qw(access_token expires_in scope token_type)], 'its members');
        is($body->{token_type}, 'Bearer', 'of its type');
        ok($body->{expires_in} <= 900 && $body->{expires_in} > 880,
            'for a quarter of an hour');
        is($body->{scope}, 'read publish ack manage', 'with all that the key has');
        is(get('/v1/feeds/prices/events', $body->{access_token})->{status}, 200,
            'it is good');
    }

    my $token = token($key, scope => 'read+feed:orders-*');
    my ($header, $claims) = parts($token);
    is_deeply($header, { alg => 'HS256', kid => 'one', typ => 'at+jwt' },
        'its header: the first key signs');
    ($store) = $t->read_file($t->store . '/format') =~ /identity (\w+)/;
    my $issuer = "urn:eventsync:store:$store";
    ok(abs($claims->{iat} - time) < 5, 'since now');
    is($claims->{exp}, $claims->{iat} + 900, 'until then');
    like($claims->{jti}, qr/^[a-z2-7]{20}$/, 'a number of its own');
    isnt((parts(token($key, scope => 'read')))[1]{jti}, $claims->{jti},
        'which no other has');
    delete @{$claims}{qw(iat exp jti)};
    is_deeply($claims, { iss => $issuer, aud => $issuer, sub => 'acme',
        client_id => id($key), scope => 'read feed:orders-*' }, 'its claims');

    my ($rs) = parts(token($key, port => 3));
    is($rs->{alg}, 'RS256', 'a key of RSA signs');
    is(get('/v1/feeds/prices/events', token($key, port => 3), port => 3)->{status},
        200, 'and verifies');
    is(token($key, prefix => '/open') ? 1 : 0, 1, 'where nobody needs a key, too');

    for my $type ("$form; charset=utf-8", uc $form) {
        is($t->http(POST => '/v1/token', { 'content-type' => $type,
            authorization => basic(id($key), $key) },
            'grant_type=client_credentials')->{status}, 200, $type);
    }
    is($t->http(POST => '/v1/token', { 'content-type' => $form,
        authorization => basic(id($key), $key =~ s/_/%5F/gr) },
        'grant_type=client%5fcredentials&scope=&more=1&more=2&client_id='
        . id($key))->{status}, 200, 'encoded, with more, and less');
}

# The tokens of some requests by their text.
sub tokens { my @with = @_; return { map { (token(@with) => 1) } 1 .. 12 } }

sub common { my ($one, $two) = @_; return grep { $two->{$_} } keys %$one }

# A worker gives a token again, but none that it would not give now.
sub again {
    my $mine = $t->partner_key('acme', scopes => 'read,publish');
    my $first = tokens($mine);
    cmp_ok(keys %$first, '<=', 2, 'each worker signs one');
    my $more = tokens($mine);
    is(scalar(common($first, $more)), scalar(keys %$more), 'and gives it again');
    is(scalar(common($first, tokens($mine, scope => 'read'))), 0,
        'but not for another scope');
    is(scalar(common($first, tokens($mine, prefix => '/short'))), 0,
        'nor for another life');
    is(scalar(common($first, tokens($mine, port => 3))), 0,
        'nor where another key signs');
    is(scalar(common($first, tokens($key, scope => 'read+publish'))), 0,
        'nor to another key');
    my ($token) = keys %$first;
    is(get('/v1/feeds/prices/events', $token)->{status}, 200, 'it is good');

    my $body = $json->decode(ask($mine)->{body});
    my (undef, $claims) = parts($body->{access_token});
    my $left = $claims->{exp} - time;
    ok(abs($body->{expires_in} - $left) <= 2, 'its life is what is left');

    $t->ctl_ok('partner', 'change', 'acme', '--enabled');
    is(scalar(common($first, tokens($mine))), 0, 'nor after a change of the partner');
    is(get('/v1/feeds/prices/events', $token)->{status}, 200,
        'though the change took nothing from it');

    # two seconds: given again within the first
    my (%issued, %left);
    ok(wait_for(sub {
        my $answer = $json->decode(ask($mine, prefix => '/short')->{body});
        $issued{ (parts($answer->{access_token}))[1]{iat} } = 1;
        $left{ $answer->{expires_in} } = 1;
        return keys %issued >= 3;
    }, 10), 'another is signed in the second half of its life');
    is_deeply([ keys %left ], [2], 'so each has more than half of its life');

    $t->ctl_ok('key', 'revoke', id($mine));
    error(ask($mine), 401, 'invalid_client', qr/revoked/,
        'a revoked key gets none again');
}

sub mistaken {
    my $good = 'grant_type=client_credentials';
    my $id = id($key);
    my $who = "client_id=$id&client_secret=$key";
    my $post = sub {
        my ($body, %headers) = @_;
        return $t->http(POST => '/v1/token', { 'content-type' => $form, %headers }, $body);
    };

    error($post->("$who"), 400, 'invalid_request', qr/grant_type.* is missing/, 'no grant');
    error($post->("grant_type=&$who"), 400, 'invalid_request', qr/missing/, 'an empty one');
    error($post->("grant_type=password&$who"), 400, 'unsupported_grant_type',
        qr/client_credentials/, 'another grant');
    for my $name (qw(grant_type scope client_id client_secret)) {
        error($post->("$good&$who&scope=read&$name=x"), 400, 'invalid_request',
            qr/'$name' is repeated/, "$name twice");
    }
    error($post->("$good&$who&scope=%2"), 400, 'invalid_request', qr/percent-encoding/, 'half a byte');
    error($post->("$good&$who", authorization => basic($id, $key)), 400, 'invalid_request',
        qr/two authentication/, 'both ways');
    error($post->("$good&client_id=aaaaaaaaaa", authorization => basic($id, $key)), 400,
        'invalid_request', qr/two authentication/, 'two clients');

    my %client = (nobody => '', 'no secret' => "client_id=$id",
        'no client' => "client_secret=$key", 'an empty secret' => "client_id=$id&client_secret=",
        'another client' => 'client_id=' . id($reader) . "&client_secret=$key",
        'a mistyped key' => "client_id=$id&client_secret=" . ($key =~ s/..$/zz/r),
        'a key of another store' => 'client_id=' . id($other) . "&client_secret=$other",
        'a token' => "client_id=$id&client_secret=" . token($key));
    for my $name (sort keys %client) {
        my $answer = $post->("$good&$client{$name}");
        error($answer, 401, 'invalid_client', qr/./, $name);
        is($answer->{headers}{'www-authenticate'}, 'Basic realm="eventsync"',
            "$name: challenge");
    }
    error($post->('', 'content-type' => 'text/plain'), 401, 'invalid_client', qr/./, 'nothing');
    for my $with ("Bearer $key", basic(id($reader), $key), basic($id, ''), 'Basic', 'Basic !',
        'Basic ' . encode_base64('x', ''), 'Negotiate x')
    {
        my $answer = $post->($good, authorization => $with);
        error($answer, 401, 'invalid_client', qr/./, $with);
        is($answer->{headers}{'www-authenticate'}, 'Basic realm="eventsync"',
            "$with: challenge");
    }

    my %scope = ('write' => qr/'write' is not a scope/, 'read+admin' => qr/'admin' is not granted/,
        'read++publish' => qr/'' is not a scope/, 'read+feed:secret' => qr/'feed:secret' is not/,
        'feed:*' => qr/'feed:\*' is not granted/, 'manage+feed:prices' => qr/cannot be narrowed/,
        '%00%ff%22%5c' => qr/is not a scope/, 'x' x 3000 => qr/is not a scope/);
    error($post->("$good&$who&scope=$_"), 400, 'invalid_scope', $scope{$_}, substr $_, 0, 40)
        for sort keys %scope;
    error(ask($reader, scope => 'publish'), 400, 'invalid_scope', qr/'publish'/,
        'a scope of another key');
    error(ask($reader, scope => 'feed:orders-acme'), 400, 'invalid_scope',
        qr/'feed:orders-acme'/, 'a feed of another key');
    error(ask($manager, scope => 'feed:prices'), 400, 'invalid_scope', qr/narrows/,
        'a feed for who manages');
    error(ask($key, scope => join '+', map { sprintf 'feed:orders-%056d', $_ } 1 .. 30), 400,
        'invalid_scope', qr/exceed/, 'more than a token holds');

    # What is no matter of OAuth is a problem as everywhere.
    my $answer = $t->http(GET => '/v1/token');
    is("$answer->{status} " . problem($answer), '405 method-not-allowed', 'GET');
    is($answer->{headers}{allow}, 'POST, OPTIONS', 'what is allowed');
    $answer = $t->http(POST => '/v1/token?scope=read', { 'content-type' => $form }, $good);
    is("$answer->{status} " . problem($answer), '400 invalid-parameter', 'a query');
    for my $type ('application/json', "${form}x", '') {
        $answer = $t->http(POST => '/v1/token', { $type ? ('content-type' => $type) : () }, '{}');
        is("$answer->{status} " . problem($answer), '415 unsupported-media-type',
            "as '$type'");
    }
    $answer = $post->('x' x 5000);
    is("$answer->{status} " . problem($answer), '413 too-large', 'too large');
    $answer = $post->('x' x 4000);
    is($answer->{status}, 401, 'as large as can be');
    is($t->http(POST => '/nokey/token')->{status}, 404, 'only where it is on');
    is(get('/nokey/feeds/prices/events', token($key))->{status}, 200,
        'and taken where it is not');
}

# On each resource: what the scope leaves out is as if the key had it not.
sub narrowed {
    my $read = token($key, scope => 'read+feed:prices');
    my $only = token($key, scope => 'read');
    my $write = token($key, scope => 'publish');
    my $feed = token($key, scope => 'feed:orders-acme');
    my ($epoch) = $t->poll('orders-acme')->{next} =~ /^(\w+)-/;
    my ($of) = $t->poll('prices')->{next} =~ /^(\w+)-/;

    my %paths = (poll => 'events', 'long poll' => 'events?from=latest&wait=1',
        backfill => 'backfill', manifest => 'manifest', snapshot => 'snapshot',
        checkpoints => 'checkpoints', feed => '');
    for my $name (sort keys %paths) {
        my $path = $paths{$name} ? "/$paths{$name}" : '';
        is(get("/v1/feeds/prices$path", $read)->{status}, 200, "$name of the feed");
        is(get("/v1/feeds/orders-acme$path", $read)->{status}, 404, "$name of another");
        is(get("/v1/feeds/prices$path", $write)->{status}, 404,
            "$name by who publishes elsewhere");
        is(get("/v1/feeds/orders-acme$path", $write)->{status}, 403,
            "$name by who publishes there");
    }
    is(get("/v1/feeds/prices/pages/$of/1", $read)->{status}, 200, 'page of the feed');
    is(get("/v1/feeds/orders-acme/pages/$epoch/1", $read)->{status}, 404, 'page of another');
    is(get('/v1/feeds/prices/authorize', $read)->{status}, 204, 'authorize');
    is(get('/v1/feeds/orders-acme/authorize', $read)->{status}, 403, 'authorize another');
    is(get('/v1/feeds/prices/authorize', $write)->{status}, 403, 'authorize without reading');
    is(get('/v1/feeds/orders-acme/events', $read, headers =>
        { accept => 'text/event-stream' })->{status}, 404, 'a stream of another');

    my $names = sub { return join ' ', map { $_->{name} }
        @{ $json->decode(get('/v1/feeds', $_[0])->{body})->{feeds} } };
    is($names->($read), 'prices', 'feeds');
    is($names->($only), 'orders-acme orders-bolt prices', 'feeds, all of them');
    is($names->($write), '', 'feeds, for who only publishes');
    is($names->(token($reader)), 'prices', "feeds, the key's");

    my $events = '/v1/feeds/orders-acme/events';
    is(call(POST => $events, $write, $t->event), 201, 'publish');
    is(call(POST => $events, $only, $t->event), 403, 'publish by who reads');
    like(get($events, $write)->{headers}{'www-authenticate'},
        qr/insufficient_scope.*scope="read"/, 'the scope that it would need');
    like(get($events, $write)->{body}, qr/The token lacks the scope/, 'it says who lacks it');
    is(call(POST => $events, $read, $t->event), 404, 'publish to another feed');
    is(call(POST => $events, $feed, $t->event), 201, 'a feed alone: publish');
    is(get($events, $feed)->{status}, 200, 'a feed alone: read');
    is(get('/v1/feeds/orders-bolt/events', $feed)->{status}, 404, 'and no other');

    my $at = '/v1/feeds/%s/checkpoints/one';
    my $body = $json->encode({ cursor => "$epoch-1" });
    is(call(PUT => sprintf($at, 'orders-acme'), $feed, $body), 201, 'a checkpoint');
    is(call(PUT => sprintf($at, 'orders-acme'), $read, $body), 404, 'a checkpoint of another');
    is(call(DELETE => sprintf($at, 'orders-acme'), $write), 403, 'nor without reading');

    is(get('/v1/event-types', $read)->{status}, 200, 'the catalogue is for any');
}

sub managing {
    my $body = $json->encode({ url => 'https://a.example/', feeds => ['prices'] });
    my ($all, $manage, $read) = (token($key), token($key, scope => 'manage'),
        token($key, scope => 'read+publish'));

    is(call(POST => '/v1/endpoints', $all, $body), 201, 'with all scopes: manage');
    is(call(GET => '/v1/endpoints', $manage), 200, 'with that scope');
    is(call(POST => '/v1/endpoints', $manage, $body), 403,
        'nor without reading, which a webhook is');
    is(call(POST => '/v1/endpoints', $read, $body), 403, 'not without');
    is(call(GET => '/v1/endpoints', $read), 403, 'not even look');
    is(call(POST => '/v1/endpoints', token($key, scope => 'feed:prices'), $body), 403,
        'nor for a feed');
    is(call(GET => '/v1/feeds/prices/events', $manage), 404, 'who manages does not read');

    my $admin = $t->partner_key('acme', scopes => 'read,admin');
    is(call(GET => '/v1/metrics', token($admin, scope => 'admin')), 200, 'an operator\'s token');
    is(call(GET => '/v1/metrics', token($admin, scope => 'read')), 403, 'one for less');
}

sub soon {
    my ($seconds) = @_;
    my @at = gmtime(time + $seconds);
    return sprintf '%04d-%02d-%02dT%02d:%02d:%02dZ', $at[5] + 1900, $at[4] + 1, @at[3, 2, 1, 0];
}

# In every worker, on connections of their own.
sub everywhere {
    my ($path, $token) = @_;
    my %seen;
    for my $round (1 .. 3) {
        my @calls = map { $t->http_start(GET => $path, { authorization => "Bearer $token" }) }
            1 .. 8;
        $seen{ $t->http_end($_)->{status} }++ for @calls;
    }
    return join ' ', sort keys %seen;
}

sub ends {
    my $path = '/v1/feeds/prices/events';
    my $mine = $t->partner_key('acme', scopes => 'read');
    my $token = token($mine);

    is(everywhere($path, $token), '200', 'a token in each worker');
    $t->ctl_ok('partner', 'change', 'acme', '--feeds=orders-*');
    is(everywhere($path, $token), '404', 'a feed is taken from the partner');
    $t->ctl_ok('partner', 'change', 'acme', '--feeds=prices,orders-*');
    $t->ctl_ok('partner', 'change', 'acme', '--disabled');
    is(everywhere($path, $token), '401', 'the partner is disabled');
    error(ask($mine), 401, 'invalid_client', qr/revoked/, 'and gets no other');
    $t->ctl_ok('partner', 'change', 'acme', '--enabled');
    is(everywhere($path, $token), '200', 'and enabled');
    $t->ctl_ok('key', 'revoke', id($mine));
    is(everywhere($path, $token), '401', 'the key is revoked');
    my $answer = get($path, $token);
    is($answer->{headers}{'www-authenticate'},
        'Bearer realm="eventsync", error="invalid_token"', 'its challenge');
    like($answer->{body}, qr/The token.* is expired or revoked/, 'it says so');
    error(ask($mine), 401, 'invalid_client', qr/revoked/, 'a revoked key');

    my $brief = $t->partner_key('acme', scopes => 'read', key_expires => soon(3));
    $answer = $json->decode(ask($brief)->{body});
    cmp_ok($answer->{expires_in}, '<=', 3, 'a token lives no longer than its key');
    is(get($path, $answer->{access_token})->{status}, 200, 'but lives');

    $token = token($key, prefix => '/short');
    is(get($path, $token)->{status}, 200, 'a short life');
    ok(wait_for(sub { get($path, $token)->{status} == 401 }, 5), 'ends');
    is(everywhere($path, $token), '401', 'in each worker');
    ok(wait_for(sub { get($path, $answer->{access_token})->{status} == 401 }, 5),
        'so does the one whose key has expired');
    error(ask($brief), 401, 'invalid_client', qr/expired/, 'and gets no other');
}

# Who waits ends with the token, and a slow upload is checked at its end.
sub waiting {
    my $poll = '/v1/feeds/prices/events?from=latest&wait=30';
    my $token = token($key, prefix => '/short');
    my $call = $t->http_start(GET => $poll, { authorization => "Bearer $token" });
    my $answer = $t->http_end($call);
    is($answer->{status}, 401, 'a long poll ends when its token expires');
    cmp_ok($answer->{seconds}, '<', 4, 'and then');
    cmp_ok($answer->{seconds}, '>', 0.5, 'not before');

    $token = token($key, prefix => '/short');
    $call = $t->http_start(GET => '/short/feeds/prices/events?from=latest',
        { authorization => "Bearer $token", accept => 'text/event-stream' });
    $answer = $t->http_end($call);
    is($answer->{status}, 200, 'a stream');
    cmp_ok($answer->{seconds}, '<', 4, 'ends when its token expires');

    my $brief = $t->partner_key('acme', scopes => 'read', key_expires => soon(3));
    $call = $t->http_start(GET => $poll, { authorization => "Bearer $brief" });
    $answer = $t->http_end($call);
    is($answer->{status}, 401, 'a key that expires ends a long poll, too');
    cmp_ok($answer->{seconds}, '<', 5, 'and then');

    my $mine = $t->partner_key('acme', scopes => 'read,publish');
    $token = token($mine);
    $call = $t->http_start(GET => $poll, { authorization => "Bearer $token" });
    $t->waiting(1);
    my $event = $t->event;
    my $sock = $t->socket;
    $t->send_all($sock, "POST /v1/feeds/orders-acme/events HTTP/1.1\r\nHost: localhost\r\n"
        . "Authorization: Bearer $token\r\nContent-Type: application/json\r\n"
        . 'Content-Length: ' . length($event) . "\r\nConnection: close\r\n\r\n"
        . substr($event, 0, 10));
    sleep 0.3;
    $t->ctl_ok('key', 'revoke', id($mine));
    $answer = $t->http_end($call);
    is($answer->{status}, 401, 'a long poll ends when the key of its token is revoked');
    cmp_ok($answer->{seconds}, '<', 3, 'and soon');
    $t->send_all($sock, substr($event, 10));
    like($t->read_all($sock), qr{^HTTP/1\.1 401 }, 'so does an upload');

    # A wait goes on with a token that nobody remembers any more.
    $token = token($key);
    $call = $t->http_start(GET => $poll, { authorization => "Bearer $token" });
    $t->waiting(1);
    my ($header, $claims) = parts($token);
    get('/v1/feeds', forge($header, { %$claims, jti => "n$_" })) for 1 .. 1500;
    $t->publish('prices', { subject => 'c' });
    is($t->http_end($call)->{status}, 200, 'a long poll, after many other tokens');
}

sub forged {
    my $path = '/v1/feeds/prices/events';
    my $issuer = "urn:eventsync:store:$store";
    my $now = time;
    my %header = (alg => 'HS256', kid => 'one', typ => 'at+jwt');
    my %claims = (iss => $issuer, aud => $issuer, sub => 'acme', client_id => id($key),
        scope => 'read', iat => $now, exp => $now + 900, jti => 'x');
    my $good = token($key);
    my @part = split /\./, $good;
    my $n = $jwk{rsa}{n};

    is(get($path, forge(\%header, \%claims))->{status}, 200, 'what the test can sign is good');

    my $with = sub { return forge({ %header, %{ $_[0] } }, { %claims, %{ $_[1] // {} } }, $_[2]) };
    my $payload = encode_base64url($json->encode({ %claims, scope => 'read publish manage' }));
    my %bad = (
        'alg none' => $with->({ alg => 'none' }),
        'alg none, unsigned' => ($with->({ alg => 'none' }) =~ s/[^.]+$//r),
        'alg None' => $with->({ alg => 'None' }),
        'unsigned' => "$part[0].$part[1].",
        'alg of another key' => $with->({ alg => 'HS512' }),
        'RSA by HMAC, of its modulus' => $with->({ kid => 'rsa' }, {}, decode_base64url($n)),
        'RSA by HMAC, of its text' => $with->({ kid => 'rsa' }, {}, $n),
        'HMAC for RSA' => $with->({ alg => 'RS256', kid => 'rsa' }, {}, $n),
        'HMAC for EC' => $with->({ alg => 'ES256', kid => 'ec' }),
        'an unknown key' => $with->({ kid => 'two' }, {}, '2' x 48),
        'a key of another' => $with->({}, {}, '2' x 32),
        'no key' => forge({ alg => 'HS256', typ => 'at+jwt' }, \%claims),
        'typ JWT' => $with->({ typ => 'JWT' }),
        'typ none' => forge({ alg => 'HS256', kid => 'one' }, \%claims),
        'crit' => $with->({ crit => ['exp'] }),
        'a key that it brings' => $with->({ jwk => $jwk{two} }),
        'another store' => $with->({}, { iss => 'urn:eventsync:store:0', aud => $issuer }),
        'for another store' => $with->({}, { aud => 'urn:eventsync:store:0' }),
        'of the future' => $with->({}, { iat => $now + 600, exp => $now + 900 }),
        'of too long a life' => $with->({}, { exp => $now + 90000 }),
        'expired' => $with->({}, { iat => $now - 900, exp => $now - 1 }),
        'without an end' => forge(\%header, { map { $_ eq 'exp' ? () : ($_ => $claims{$_}) }
            keys %claims }),
        'of no key of ours' => $with->({}, { client_id => 'aaaaaaaaaa' }),
        'of no scope' => $with->({}, { scope => '' }),
        'of changed claims' => "$part[0].$payload.$part[2]",
        'of a changed signature' => "$part[0].$part[1]." . ($part[2] =~ s/^./$& eq 'a' ? 'b' : 'a'/er),
        'padded' => "$good=", 'longer' => "${good}a", 'of four parts' => "$good.x",
        'too large' => $with->({}, { more => 'x' x 2000 }),
        'dots' => '..', 'one dot' => '.', 'many dots' => '.' x 2000,
        'no base64' => 'a.b!.c', 'bytes' => "\xff.\xfe.\xfd",
        'no JSON' => forge('x', 'y'), 'another JSON' => forge('[]', '1'),
    );
    for my $name (sort keys %bad) {
        my $answer = get($path, $bad{$name});
        is($answer->{status}, 401, "$name: 401");
        is($answer->{headers}{'www-authenticate'},
            'Bearer realm="eventsync", error="invalid_token"', "$name: challenge");
        is(problem($answer), 'unauthorized', "$name: a problem");
    }
    is(get($path, $good)->{status}, 200, 'the one that was given is still good');

    # Of servers of one store each has its keys, whatever the others remember.
    my $two = token($key, port => 1);
    for my $round (1 .. 4) {
        is(get($path, $good, port => 1)->{status}, 401, 'a server with other keys');
        is(get($path, $two)->{status}, 401, 'and back');
        is(get($path, $two, port => 1)->{status}, 200, 'where it was given');
    }
    is(get($path, $good, port => 2)->{status}, 401, 'another store with the same keys');
    is(get($path, token($other, port => 2))->{status}, 401, 'and back');
}

sub limited {
    my $answer = ask($key, prefix => '/poor');
    is($answer->{status}, 200, 'the first');
    like($answer->{headers}{ratelimit}, qr/^"poll";r=2;/, 'is charged as a poll');
    my $token = $json->decode($answer->{body})->{access_token};
    $answer = ask($key, prefix => '/poor', scope => 'x');
    error($answer, 400, 'invalid_scope', qr/./, 'a mistake');
    like($answer->{headers}{ratelimit}, qr/^"poll";r=1;/, 'which is charged, too');
    is(get('/poor/feeds/prices/events', $token)->{status}, 200, 'the last');
    $answer = ask($key, prefix => '/poor');
    is("$answer->{status} " . ($json->decode($answer->{body})->{status} // ''), '429 429',
        'over the limit: a problem');
    ok($answer->{headers}{'retry-after'}, 'it says until when');

    # Failures count for the address, but not what we have signed ourselves.
    my $short = token($key, prefix => '/short');
    my $path = '/strict/feeds/prices/events';
    ok(wait_for(sub { get('/v1/feeds/prices/events', $short)->{status} == 401 }, 5), 'expired');
    is(get($path, $short)->{status}, 401, 'an expired token is no guess') for 1 .. 8;
    is(ask($key, prefix => '/strict', body => "grant_type=$_")->{status}, 400,
        'a request that names no client as it should: its address is charged')
        for '%zz', 'a&grant_type=b';
    is(ask($key, prefix => '/strict', type => 'text/plain')->{status}, 415, 'of another type');
    is(ask($key, prefix => '/strict', body => 'x' x 100_000)->{status}, 413, 'too large');
    is(ask($key, prefix => '/strict', body => 'x=1')->{status}, 401, 'a client that fails');
    is(get($path, "$short.")->{status}, 401, 'a token that is none');
    is(ask($key, prefix => '/strict')->{status}, 429, 'is limited by its address');
    is(get($path, token($key))->{status}, 429, 'whatever it has');
}

sub rotated {
    my $path = '/v1/feeds/prices/events';
    my $old = token($key);

    keys_are('keys', 'ec', 'one');
    $t->reload;
    my $new = token($key);
    is((parts($new))[0]{alg}, 'ES256', 'after a reload the new key signs');
    is(get($path, $new)->{status}, 200, 'and verifies') for 1 .. 3;
    is(get($path, $old)->{status}, 200, 'as does the old one');

    keys_are('keys', 'ec');
    $t->reload;
    is(get($path, $new)->{status}, 200, 'a token of the key that stays');
    is(get($path, $old)->{status}, 401, 'one of a key that is gone');
}

sub logged {
    ok($t->logged('access.log', qr{^acme 200 /v1/token$}m), 'who got a token');
    ok($t->logged('access.log', qr{^- 401 /v1/token$}m),
        'and that somebody did not');
    ok($t->logged('access.log', qr{^acme 204 /v1/feeds/prices/authorize$}m),
        'who used one');
}
