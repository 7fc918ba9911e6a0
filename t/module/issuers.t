#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Tokens of external issuers: what they may do, when they end, and that each
# attack of RFC 8725 is refused.  The command openssl makes keys and signs.

use warnings;
use strict;

use Digest::SHA qw(hmac_sha256);
use JSON::PP;
use MIME::Base64 qw(encode_base64url decode_base64url);
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Issuer;

my $json = JSON::PP->new->canonical;
my $iss = 'https://login.example/';
my $aud = 'https://events.example';

my $t = Test::Eventsync->new;
$t->allow_errors(qr/eventsync: key file/);
$t->store_init;
$t->feed($_) for qw(prices orders-acme orders-bolt);
$t->partner('acme', feeds => 'prices,orders-acme', publish => 'orders-acme');
$t->partner('bolt', feeds => 'orders-bolt');
my $key = $t->partner_key('acme', scopes => 'read,manage');

my $issuer = Test::Eventsync::Issuer->new($t, iss => $iss, aud => $aud);
$issuer->key($_->[0], $_->[1]) for [ ec => 'ES256' ], [ other => 'ES256' ],
    [ rsa => 'RS256' ], [ pss => 'PS256' ], [ ed => 'EdDSA' ];
$issuer->key(weak => 'RS256', bits => 1024);
my %jwk = map { $_ => $issuer->jwk($_) } qw(ec other rsa pss ed weak);

$issuer->keys_are('jwks', qw(ec rsa pss ed));
$issuer->keys_are('two', 'other');
configure();
$t->run_nginx;
$t->publish('prices', { subject => 'a' });

accepted();
scopes();
attacks();
issuers();
partners();
writes();
replaced();
refusals();

done_testing();

###############################################################################

sub file { return $issuer->file($_[0]) }
sub token { return $issuer->token(@_) }

sub configure {
    my $all = join ' ', map { "eventsync_$_ on;" }
        qw(poll publish feeds checkpoints endpoints status);

    $t->write_file_expand('nginx.conf', <<"CONF");
events { }
http {
    log_format who '\$eventsync_partner \$eventsync_key \$eventsync_issuer \$status';
    access_log %%TESTDIR%%/access.log who;
    error_log %%TESTDIR%%/error.log info;
    large_client_header_buffers 4 32k;
    eventsync_store %%STORE%%;

    server {
        listen 127.0.0.1:%%PORT_0%%;
        eventsync_issuer $iss jwks=%%TESTDIR%%/jwks.json aud=$aud
            partner_claim=partner;
        eventsync_issuer urn:two jwks=%%TESTDIR%%/two.json aud=$aud typ=JWT
            partner=bolt scopes=read,manage,admin;
        location /v1/ { $all }
        location = /operator/metrics { eventsync_metrics on; }
        location = /ops/metrics { eventsync_metrics on; eventsync_auth off; }
    }
    server {
        listen 127.0.0.1:%%PORT_1%%;
        location /v1/ { $all }
    }
}
CONF
}

sub get {
    my ($token, $path, $port) = @_;
    return $t->http(GET => $path // '/v1/feeds/prices/events',
        { authorization => "Bearer $token" }, undef, port => $t->port($port // 0));
}

sub status { return get(@_)->{status} }

sub refused {
    my ($name, $token, $reason) = @_;
    my $before = () = ($t->read_file('error.log') // '') =~ /is refused: /g;
    my $answer = get($token);
    is($answer->{status}, 401, "$name: 401");
    like($answer->{headers}{'www-authenticate'}, qr/error="invalid_token"/,
        "$name: says that the token is bad");
    unlike($answer->{body}, qr/signature|audience|kid|issuer/, "$name: but not why");
    return if !defined $reason;
    my @said = $t->read_file('error.log') =~ /is refused: (.*?), client/g;
    cmp_ok(scalar(@said), '>', $before, "$name: the log has it");
    like($said[-1], $reason, "$name: and why");
}

###############################################################################

sub accepted {
    is(status(token(key => $_)), 200, "a token of @{[ $issuer->alg($_) ]}") for qw(ec rsa pss ed);
    is(status(token(header => { typ => 'application/AT+JWT' })), 200,
        'a type in full, in any case');
    is(status(token(header => { x5t => 'AAAA', foo => 1 })), 200,
        'unknown members of a header are ignored');
    is(status(token(claims => { aud => [ 'other', $aud ] })), 200,
        'one audience of several');
    is(status(token(claims => { exp => time + 600.5, nbf => time - 1, iat => undef })),
        200, 'a time with a fraction, and no iat');

    my $token = token();
    is(status($token), 200, 'a token');
    is(status($token), 200, 'and once more, from the cache');
    is(status($token, undef, 1), 401, 'not in a server without the issuer');
    is(status($token, '/v1/feeds/orders-bolt/events'), 404,
        'nor for a feed of another partner');
    ok(wait_for(sub { $t->read_file('access.log') =~ /^acme - \Q$iss\E 200$/m }),
        'the access log has the partner and the issuer, and no key');
    is(scalar(@{ $json->decode(get($token, '/v1/feeds')->{body})->{feeds} }), 2,
        'it reads what its partner reads');
    is(status($token, '/v1/status'), 200, 'and its status');
}

sub scopes {
    my $may = sub {
        my ($token, $read, $publish, $name) = @_;
        is(status($token, '/v1/feeds/orders-acme/events'), $read, "$name: read");
        my $answer = $t->publish('orders-acme', { key => $token }, { subject => 'x' });
        is($answer->{status}, $publish, "$name: publish");
    };
    $may->(token(), 200, 201, 'all');
    $may->(token(claims => { scope => 'read' }), 200, 403, 'read');
    $may->(token(claims => { scope => undef, scp => 'publish x' }), 403, 201, 'scp');
    $may->(token(claims => { scope => undef, scp => [ 'x', 'read' ] }), 200, 403,
        'a list');
    $may->(token(claims => { scope => 'read', scp => 'publish' }), 200, 403,
        'scope before scp');
    $may->(token(claims => { scope => 'openid profile' }), 404, 404, 'others only');
    $may->(token(claims => { scope => undef }), 404, 404, 'none');
    $may->(token(claims => { scope => 'read feed:prices' }), 404, 404, 'other feeds');
    $may->(token(claims => { scope => 'read feed:orders-*' }), 200, 403, 'some feeds');
    refused("scope: $_", token(claims => { scope => $_ }), qr/scope is malformed/)
        for 'read feed:', 'read feed:*x*', { a => 1 }, 7;
    refused('scp: of numbers', token(claims => { scope => undef, scp => [ 1 ] }),
        qr/scope is malformed/);
    is(status(token(claims => { scope => 'read manage' }), '/v1/endpoints'), 403,
        'manage only where the directive has it');
}

sub attacks {
    my $public = Test::Eventsync::Issuer::run(qw(openssl pkey -pubout -in), file('rsa.pem'));
    my $not = qr/"alg" is not that of the key/;

    for my $none (qw(none None nOnE NONE)) {
        refused("alg $none", token(header => { alg => $none },
            signature => sub { '' }), $not);
    }
    refused('no alg', token(header => { alg => undef }), $not);
    refused('HMAC under the public key', token(key => 'rsa', header => { alg => 'HS256' },
        signature => sub { hmac_sha256($_[0], $public) }), $not);
    refused('RS256 for the key of PS256', token(key => 'pss', header => { alg => 'RS256' },
        sign_alg => 'RS256'), $not);
    refused('signed by RS256, said to be PS256', token(key => 'pss', sign_alg => 'RS256'),
        qr/signature is false/);
    refused('the key of another type', token(header => { kid => 'rsa' }), $not);
    refused('the key of another type, and its alg',
        token(header => { kid => 'rsa', alg => 'RS256' }), qr/signature is false/);
    refused('another key', token(signer => 'other'), qr/signature is false/);
    refused('no signature', token(signature => sub { '' }), qr/signature is false/);
    refused("a signature of $_ bytes for EdDSA",
        token(key => 'ed', signature => sub { 'x' x $_ }), qr/signature is false/)
        for 1, 63, 64, 65;

    my $kid = qr/"kid" is none/;
    refused("kid $_", token(header => { kid => $_ }), $kid)
        for '../../jwks.json', "ec' OR 1=1", '/dev/null', '', 'EC', 'other';
    refused('a kid with a NUL', token(header => { kid => "ec\0" }), qr/no JSON/);
    refused('no kid', token(header => { kid => undef }), $kid);
    refused('a kid that is a list', token(header => { kid => ['ec'] }), $kid);

    refused("typ $_", token(header => { typ => $_ }), qr/"typ" is another/)
        for qw(JWT at+jwtx id+jwt dpop+jwt logout+jwt);
    refused('no typ', token(header => { typ => undef }), qr/"typ" is another/);

    my $header = qr/header has a member that is refused/;
    my %leads = (jku => 'https://evil.example/jwks', x5u => 'https://evil.example/',
        jwk => $jwk{other}, x5c => ['AAAA'], crit => ['exp'], b64 => JSON::PP::false,
        enc => 'A256GCM', zip => 'DEF', cty => 'JWT');
    refused("$_ in the header", token(header => { $_ => $leads{$_} }), $header)
        for sort keys %leads;
    refused('a key in the header that signs', token(signer => 'other',
        header => { jwk => $jwk{other}, kid => 'other' }), $header);

    refused('another audience', token(claims => { aud => $_ }), qr/"aud"/)
        for 'https://other.example', "$aud/", [], [ 'x' ], { $aud => 1 }, uc $aud;
    refused('no audience', token(claims => { aud => undef }), qr/"aud"/);

    refused('expired', token(claims => { iat => time - 700, exp => time - 1 }));
    refused('not yet valid', token(claims => { nbf => time + 3600 }), qr/not valid yet/);
    refused('issued in the future', token(claims => { iat => time + 3600 }),
        qr/not valid yet/);
    refused('valid for two days', token(claims => { exp => time + 2 * 86400 }),
        qr/lives longer/);
    refused("exp $_", token(claims_text => qq({"iss":"$iss","aud":"$aud",)
        . qq("partner":"acme","scope":"read","exp":$_})))
        for '9223372036854775807', '99999999999999999999', '1e300', '-1', '0', 'null',
        '"' . (time + 600) . '"', 'true', '[]';
    refused('no exp', token(claims => { exp => undef }), qr/not a time/);

    my $twice = $json->encode({ iss => $iss, aud => $aud, partner => 'bolt',
        scope => 'read', exp => time + 600 });
    refused('a claim twice', token(claims_text => $twice =~ s/\}$/,"partner":"acme"}/r));
    refused('a member of the header twice',
        token(header_text => '{"alg":"ES256","alg":"none","kid":"ec","typ":"at+jwt"}'),
        qr/header is no JSON/);
    refused("claims: $_", token(claims_text => $_)) for '[]', '7', '"x"', '{', "\xff";
    refused("a header: $_", token(header_text => $_), qr/header is no JSON/)
        for '[]', 'null', '{"alg":"ES256"';

    my @part = split /\./, token();
    refused('a JWE of five parts', join('.', @part, 'AAAA', 'AAAA'));
    refused('two parts', join '.', @part[0, 1]);
    refused('padding', "$part[0]=.$part[1].$part[2]", qr/header is no JSON/);
    refused('a changed claim', join '.', $part[0],
        encode_base64url(decode_base64url($part[1]) =~ s/read/ack /r), $part[2]);
    refused('another token within', token(claims_text => token()));
    refused('oversized', token(claims => { x => 'x' x 7000 }));
    is(status(token(claims => { x => 'x' x 3000 })), 200, 'a large one is good');
}

# A key signs for its own issuer only, and each has its rules.
sub issuers {
    my %two = (iss => 'urn:two', partner => 'acme');
    my $two = token(key => 'other', header => { typ => 'JWT' }, claims => {
        %two, scope => 'read manage publish' });

    is(status($two, '/v1/feeds/orders-bolt/events'), 200, 'the other issuer');
    is(status($two), 404, 'has one partner, whatever its claims say');
    is(status($two, '/v1/endpoints'), 200, 'and may manage');
    is(status($two, '/operator/metrics'), 403, 'but not what its scope lacks');
    is(status(token(key => 'other', header => { typ => 'JWT' }, claims => {
        %two, scope => 'admin' }), '/operator/metrics'), 200, 'admin, where both have it');
    is(status(token(claims => { scope => 'read admin' }), '/operator/metrics'), 403,
        'not where the directive lacks it');
    refused('a key of the other issuer', token(signer => 'other',
        header => { kid => 'other' }), qr/"kid" is none/);
    refused('for the other issuer', token(claims => \%two), qr/"typ"/);
    refused("iss $_", token(claims => { iss => $_ }))
        for "${iss}x", 'https://login.example', uc $iss, '';
    refused('no iss', token(claims => { iss => undef }));
}

# A partner is looked up at each use.
sub partners {
    refused("partner: $_", token(claims => { partner => $_ }), qr/names a partner/)
        for '', 'A', '../acme', 'x' x 64, [ 'acme' ];
    refused('no partner', token(claims => { partner => undef }), qr/names a partner/);
    refused('a partner who does not exist', token(claims => { partner => 'ghost' }));

    my $token = token();
    is(status($token), 200, 'before');
    $t->ctl_ok('partner', 'change', 'acme', '--disabled');
    refused('a disabled partner', $token);
    $t->ctl_ok('partner', 'change', 'acme', '--enabled');
    is(status($token), 200, 'an enabled one');
    $t->ctl_ok('partner', 'change', 'acme', '--allow-from=192.0.2.1');
    is(status($token), 403, 'an address that the partner does not have');
    $t->ctl_ok('partner', 'change', 'acme', '--allow-from=any');
    is(status($token), 200, 'any address');
    $t->ctl_ok('partner', 'change', 'acme', '--feeds', 'orders-acme');
    is(status($token), 404, 'a feed that was taken');
    $t->ctl_ok('partner', 'change', 'acme', '--feeds', 'prices,orders-acme');
    is(status($token), 200, 'and given back');
    $t->ctl_ok('partner', 'change', 'acme', '--allow-from=192.0.2.1');
    is(status($token), 403, 'an address that is not in the list of the partner');
    $t->ctl_ok('partner', 'change', 'acme', '--allow-from=any');
    is(status($token), 200, 'any address again');
}

# What is written names no key.
sub writes {
    like($t->ctl_ok('feed', 'publishers', 'orders-acme'), qr/ acme issuer$/m,
        'the log names the partner');
    like($t->ctl_ok('verify'), qr/./, 'and is sound');

    my $two = token(key => 'other', header => { typ => 'JWT' }, claims => {
        iss => 'urn:two', scope => 'read manage' });
    my $answer = $t->http(POST => '/v1/endpoints', { authorization => "Bearer $two",
        'content-type' => 'application/json' }, $json->encode({
        url => 'https://hooks.example/', feeds => ['orders-bolt'] }));
    is($answer->{status}, 201, 'a token makes an endpoint') or diag($answer->{body});
    my $name = $json->decode($answer->{body})->{name}
        // $json->decode($answer->{body})->{id};
    like($t->ctl_ok('endpoint', 'show', $name), qr/"?made_by"?\W+@\w{9}/,
        'which remembers the partner in place of a key');
}

# The file is read again without a reload.
sub replaced {
    my %token = map { $_ => token(key => $_) } qw(ec ed);
    my $becomes = sub {
        my ($want, $token, $name) = @_;
        my $status;
        ok(wait_for(sub { ($status = status($token)) == $want }, 20), $name)
            or diag("status $status");
    };

    is(status($token{$_}), 200, "$_ is good") for qw(ec ed);
    my $call = $t->http_start(GET => '/v1/feeds/prices/events?from=latest&wait=60',
        { authorization => 'Bearer ' . token() });
    $t->waiting(1);
    $issuer->keys_are('jwks', qw(ed other));
    $becomes->(401, $token{ec}, 'a removed key ends its tokens');
    $t->publish('prices', { subject => 'b' });
    is($t->http_end($call)->{status}, 401, 'also that of a request that waits');
    is(status($token{ed}), 200, 'others stay');
    is(status(token(key => 'other')), 200, 'a new key is good');

    # damaged
    $t->replace_file('jwks.json', '{"keys":[');
    ok(wait_for(sub { status($token{ed});
        $t->read_file('error.log') =~ /is not JSON: .*; the keys from before stay/ }, 20),
        'a damaged file is logged');
    is(status($token{ed}), 200, 'and the keys from before stay');

    # missing
    unlink file('jwks.json');
    $becomes->(503, $token{ed}, 'without the file there is no token');
    is(status(token(key => 'other')), 503, 'for all its keys');
    like($t->read_file('error.log'), qr/cannot be opened: .*; its tokens are refused/,
        'which is logged');
    is(status($key), 200, 'keys are not concerned');
    $issuer->keys_are('jwks', 'ec');
    $becomes->(200, $token{ec}, 'until it is back');
    is(status($token{ed}), 401, 'with its keys, and no others');

    chmod 0666, file('jwks.json');
    $becomes->(503, $token{ec}, 'a file that all can write is refused');
    like($t->read_file('error.log'), qr/must be a file that not all users can write/,
        'and logged');
    chmod 0644, file('jwks.json');
    $becomes->(200, $token{ec}, 'a mended one is read');

    is(() = $t->read_file('error.log') =~ /its tokens are refused/g, 2,
        'each fault is logged once');
}

# A configuration that is not right stops nginx.
sub refusals {
    $issuer->keys_are('jwks', 'ec');
    my $file = 'jwks=' . file('jwks.json');
    my $good = "$file aud=a partner=acme";
    my %sets = (
        text => 'x', none => '{"keys":[]}',
        private => $json->encode({ keys => [ { %{ $jwk{ec} }, d => 'AAAA' } ] }),
        secret => $json->encode({ keys => [ { kty => 'oct', alg => 'HS256', kid => 'h',
            k => 'A' x 43 } ] }),
        weak => $json->encode({ keys => [ $jwk{weak} ] }),
        twice => $json->encode({ keys => [ @jwk{qw(ec ec)} ] }),
        nameless => $json->encode({ keys => [ { %{ $jwk{ec} }, kid => '' } ] }),
        type => $json->encode({ keys => [ { %{ $jwk{rsa} }, alg => 'ES256' } ] }),
        point => $json->encode({ keys => [ { %{ $jwk{ec} }, y => 'A' x 43 } ] }),
        encrypts => $json->encode({ keys => [ { %{ $jwk{ec} }, use => 'enc' } ] }),
        without => $json->encode({ keys => [ do { my %k = %{ $jwk{ec} };
            delete $k{alg}; \%k } ] }),
        many => $json->encode({ keys => [ map { { %{ $jwk{ec} }, kid => "k$_" } } 1 .. 17 ] }),
        large => ' ' x 65537,
    );
    $t->write_file("set-$_", $sets{$_}) for keys %sets;
    my $set = sub { return 'jwks=' . file("set-$_[0]") . ' aud=a partner=acme' };

    my $check = sub {
        my ($want, $args, $name) = @_;
        my ($rc, $out) = $t->check_conf(<<"CONF");
events { }
http {
    eventsync_store %%STORE%%;
    eventsync_issuer $args;
    server { listen 127.0.0.1:%%PORT_2%%; location /v1/ { eventsync_poll on; } }
}
CONF
        return is($rc, 0, $name) || diag($out) if !defined $want;
        isnt($rc, 0, "$name is refused");
        like($out, $want, "$name: why");
    };

    $check->(undef, "i $good", 'a good one');
    $check->(undef, "i $good; eventsync_issuer j $good", 'two');
    $check->(undef, 'i alg=ES256 ' . $set->('without'), 'keys without an algorithm');
    $check->(qr/at least one key/, 'i ' . $set->('without'), 'no algorithm');
    $check->(qr/"eventsync_issuer" directive is duplicate/,
        "i $good; eventsync_issuer i $good", 'one twice');
    $check->(qr/invalid number of arguments/, 'i', 'no file');
    $check->(qr/needs "jwks="/, 'i aud=a partner=b', 'no keys');
    $check->(qr/needs "aud="/, "i $file partner=b", 'no audience');
    $check->(qr/needs either "partner="/, "i $file aud=a", 'no partner');
    $check->(qr/needs either "partner="/, "i $good partner_claim=c", 'two partners');
    $check->(qr/is no partner's name/, "i $file aud=a partner=A", 'a wrong name');
    $check->(qr/that is not ES256/, "i $good alg=$_", "alg=$_")
        for qw(none HS256 ES256K RS512);
    $check->(qr/invalid or repeated parameter "\Q$_\E"/, "i $good $_", $_)
        for 'x=y', 'aud=b', 'typ=', 'scopes=reed', 'scopes=read,';
    $check->(qr/cannot be opened: No such file/, 'i jwks=none aud=a partner=b', 'no such file');
    $check->(qr/must be a file that not all/, 'i jwks=/ aud=a partner=b', 'a directory');

    my %why = (text => 'is not JSON', none => 'at least one key', private => 'public key',
        secret => 'public key', weak => '2048 to 4096 bits',
        twice => 'another key has this "kid"', nameless => '"kid" must be 1 to 64',
        type => '"kty" or "crv"', point => 'not a public key', encrypts => 'at least one key',
        many => 'more than 16 keys', large => 'larger than 65536 bytes');
    $check->(qr/$why{$_}/, 'i ' . $set->($_), "a set: $_") for sort keys %why;
}
