#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Tokens and client certificates together: tokens that are bound to a
# certificate (RFC 8705), issued here and by others, and tokens of an external
# issuer where a certificate is required, too.

use warnings;
use strict;

use MIME::Base64 qw(encode_base64url);
use Test::More;

use lib 't/lib';
use Test::Eventsync;
use Test::Eventsync::Issuer;

plan skip_all => 'IO::Socket::SSL is not installed'
    unless eval { require Test::Eventsync::Tls; 1 };

my $t = Test::Eventsync->new;
$t->store_init->feed('prices')->feed('orders');
my $key = $t->partner_key('acme', feeds => 'prices', publish => 'prices');
$t->partner('bolt', feeds => 'orders');

my $tls = Test::Eventsync::Tls->new($t);
$tls->authority('ca');
$tls->certificate('server', subject => '/CN=localhost', eku => 'serverAuth');
$tls->certificate($_) for qw(acme renewed bolt nobody);
my %id = map { my $c = $_; $c => ($t->ctl_ok(qw(key create), $c eq 'bolt' ? $c : 'acme',
    '--scopes=read', '--certificate=' . $tls->path("$c.pem")) =~ /^([a-z2-7]{10})$/m)[0] }
    qw(acme renewed bolt);
my $issuer = Test::Eventsync::Issuer->new($t, iss => 'i', aud => 'a');
$issuer->key(ec => 'ES256');
$issuer->keys_are('jwks', 'ec');
$t->secret_file('{"keys":[{"kty":"oct","alg":"HS256","kid":"one",'
    . '"k":"MTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTE"}]}', 'tokens.jwk');

my $serves = 'eventsync_poll on; eventsync_publish on;';
$t->write_file_expand('nginx.conf', <<"CONF");
events { }
http {
    eventsync_store %%STORE%%;
    ssl_protocols TLSv1.2 TLSv1.3;
    eventsync_token_keys %%TESTDIR%%/tokens.jwk;
    eventsync_issuer i jwks=%%TESTDIR%%/jwks.json aud=a partner_claim=partner;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        listen 127.0.0.1:%%PORT_1%% ssl;
        ssl_certificate %%TESTDIR%%/pki/server.pem;
        ssl_certificate_key %%TESTDIR%%/pki/server.key;
        ssl_client_certificate %%TESTDIR%%/pki/ca.pem;
        ssl_verify_client optional;
        location /v1/ { $serves eventsync_token on; }
        location /both/ { $serves eventsync_token on; eventsync_auth key_and_mtls; }
        location /either/ { $serves eventsync_token on; eventsync_auth key_or_mtls; }
        location /mtls/ { $serves eventsync_auth mtls; }
    }
    server {
        listen 127.0.0.1:%%PORT_2%% ssl;
        ssl_certificate %%TESTDIR%%/pki/server.pem;
        ssl_certificate_key %%TESTDIR%%/pki/server.key;
        location /v1/ { $serves }
    }
}
CONF
$t->run_nginx;

sub get {
    my ($where, $token, $cert, %o) = @_;
    return $tls->request(GET => "/$where/feeds/" . ($o{feed} // 'prices') . '/events',
        cert => $cert, port => $t->port($o{port} // 1),
        headers => { authorization => "Bearer $token" });
}
sub status { return get(@_)->{status} }
sub refused {
    my ($answer, $name) = @_;
    is($answer->{status}, 401, $name);
    like(Test::Eventsync::json($answer->{body})->{detail},
        qr/^The token or its key is expired or revoked, or .* bound to another certificate\.$/,
        '... which may be for its certificate');
    like($answer->{headers}{'www-authenticate'}, qr/error="invalid_token"/,
        '... as RFC 6750 has it');
}
sub ask {
    my ($where, $cert) = @_;
    my $answer = $tls->request(POST => "/$where/token", cert => $cert,
        port => $t->port(1),
        headers => { 'content-type' => 'application/x-www-form-urlencoded' },
        body => 'grant_type=client_credentials&client_id=' . substr($key, 4, 10)
            . "&client_secret=$key");
    return Test::Eventsync::json($answer->{body})->{access_token} // die $answer->{body};
}
sub thumbprint {
    my ($cert) = @_;
    my $print = $tls->openssl(qw(x509 -noout -sha256 -fingerprint -in),
        $tls->path("$cert.pem")) =~ s/.*=//r;
    return encode_base64url(pack 'H*', $print =~ s/://gr);
}

others();
own();
together();
done_testing();

# Any token of an issuer that names a certificate, in every kind of location.
sub others {
    my $bound = $issuer->token(claims => { cnf => { 'x5t#S256' => thumbprint('acme') } });
    is(status('v1', $bound, 'acme'), 200, 'a bound token with its certificate');
    is(status('both', $bound, 'acme'), 200, '... where one is required');
    is(status('either', $bound, 'acme'), 200, '... or one of both');
    refused(get('v1', $bound, $_), "it with $_") for qw(renewed bolt nobody);
    refused(get('v1', $bound, undef), 'it without a certificate');
    refused(get('v1', $bound, undef, port => 2), 'it where nginx asks for none');
    refused($t->http(GET => '/v1/feeds/prices/events', { authorization => "Bearer $bound" }),
        'it without TLS');
    ok($t->logged('error.log', qr/\[info\].* token is refused: it is bound to another/, 20),
        'the log says why');

    # no registered certificate is needed to prove that the client has it
    my $strange = $issuer->token(claims => { cnf => { 'x5t#S256' => thumbprint('nobody') } });
    is(status('v1', $strange, 'nobody'), 200, 'a certificate that is not registered');

    for my $cnf ({ jkt => 'x' }, { 'x5t#S256' => thumbprint('acme'), jkt => 'x' },
        { 'x5t#S256' => 'short' }, {}, 'x')
    {
        is(status('v1', $issuer->token(claims => { cnf => $cnf }), 'acme'), 401,
            'bound in a way that is not known');
    }
    ok($t->logged('error.log', qr/is refused: its "cnf" is not a certificate/, 20),
        'the log says why');
}

# A token that is asked for where a certificate is required is bound to it.
sub own {
    my $bound = ask('both', 'acme');
    is(status('both', $bound, 'acme'), 200, 'with the certificate that asked for it');
    is(status('v1', $bound, 'acme'), 200, '... also where a key would do');
    refused(get('both', $bound, 'renewed'), 'with another of the partner');
    refused(get('v1', $bound, undef), 'without it');
    is(status('both', ask('both', 'renewed'), 'renewed'), 200,
        'another certificate is given another token');
    is(ask('both', 'acme'), $bound, 'and the same one the same');

    my $free = ask('v1', 'acme');
    isnt($free, $bound, 'where none is required, another token');
    is(status('v1', $free, undef), 200, '... is not bound');
    is(status('both', $free, 'renewed'), 200, '... and comes with any of the partner');
    is(status('v1', ask('either', 'acme'), undef), 200, 'nor is one of key_or_mtls');

    my $held = $tls->connect(cert => 'renewed', port => $t->port(1));
    $tls->send($held, GET => '/both/feeds/prices/events?from=latest&wait=60',
        { authorization => 'Bearer ' . ask('both', 'renewed') });
    $t->ctl_ok(qw(key revoke), $id{renewed});
    is($tls->answer($held)->{status}, 401, 'a held poll ends with the certificate');
}

# The token says what the request may do, the certificate only who sends it.
sub together {
    my $token = $issuer->token(claims => { scope => 'read publish' });
    is(status('both', $token, 'acme'), 200, 'a token of an issuer and a certificate');
    is($tls->request(POST => '/both/feeds/prices/events', cert => 'acme',
        port => $t->port(1), body => $t->event, headers => {
            authorization => "Bearer $token", 'content-type' => 'application/json' })
        ->{status}, 201, '... which has not the scope that the token has');
    my $answer = get('both', $token, 'bolt');
    is($answer->{status}, 401, 'the certificate of another partner');
    like($answer->{body}, qr/belongs to another partner/, '... and why');
    is(status('both', $token, undef), 401, 'no certificate');
    is(status('both', $token, 'nobody'), 401, 'one that is not registered');
    is(status('both', $issuer->token(claims => { partner => 'bolt' }), 'acme'), 401,
        'a token of another partner');
    is(status('mtls', $issuer->token(claims => { partner => 'bolt' }), 'acme'), 200,
        'where only certificates count, the token is nothing');

    $t->ctl_ok(qw(key change), $id{acme}, '--allow-from=192.0.2.1');
    is(status('both', $token, 'acme'), 403, 'a certificate from another address');
    $t->ctl_ok(qw(key change), $id{acme}, '--allow-from=any');
    $t->ctl_ok(qw(key revoke), $id{acme});
    is(status('both', $token, 'acme'), 401, 'a revoked certificate');

    $issuer->key(new => 'ES256');
    $issuer->keys_are('jwks', 'new');
    ok(Test::Eventsync::wait_for(sub { status('v1', $token, undef) == 401 }, 20),
        'a token whose key is gone');
}
