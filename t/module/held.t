#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# What is under way ends when its credential does: a poll and a stream that wait
# for events, and a backfill whose client reads slowly, with each kind of
# credential and each way to take it away.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Issuer;

plan skip_all => 'IO::Socket::SSL is not installed'
    unless eval { require Test::Eventsync::Tls; 1 };

my $t = Test::Eventsync->new;
$t->store_init->feed('orders');
my $tls = Test::Eventsync::Tls->new($t);
$tls->authority('ca');
$tls->certificate('server', subject => '/CN=localhost', eku => 'serverAuth');
$tls->certificate('client');
my $issuer = Test::Eventsync::Issuer->new($t, iss => 'one', aud => 'a');
$issuer->key($_ => 'ES256') for qw(ec next);
$issuer->keys_are($_, 'ec') for qw(one two);
$t->secret_file('{"keys":[{"kty":"oct","alg":"HS256","kid":"one",'
    . '"k":"MTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTE"}]}', 'tokens.jwk');

my $serves = 'eventsync_poll on; eventsync_sse on; eventsync_backfill on;';
$t->default_conf(listen => 'sndbuf=16k', location => 'eventsync_token on;
    eventsync_sse on; eventsync_backfill on;', http => <<'HTTP', server => <<"SERVER");
eventsync_token_keys %%TESTDIR%%/tokens.jwk;
    eventsync_issuer one jwks=%%TESTDIR%%/one.json aud=a partner_claim=partner;
    eventsync_issuer two jwks=%%TESTDIR%%/two.json aud=a partner_claim=partner;
HTTP
listen 127.0.0.1:%%PORT_1%% ssl sndbuf=16k;
        ssl_certificate %%TESTDIR%%/pki/server.pem;
        ssl_certificate_key %%TESTDIR%%/pki/server.key;
        ssl_client_certificate %%TESTDIR%%/pki/ca.pem;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_verify_client optional;
        location /mtls/ { $serves eventsync_auth mtls; }
        location /both/ { $serves eventsync_auth key_and_mtls; }
SERVER
$t->run_nginx;
my $events = 800;
$t->publish('orders', map { { data => 'x' x 2000 } } 1 .. $events / 4) for 1 .. 4;

my ($n, $partner, $key, $id, $cert) = (0);
my @revoke = sub { $t->ctl_ok(qw(key revoke), $id) };
my $uncertify = sub { $t->ctl_ok(qw(key revoke), $cert) };
my %ends = (
    'key, revoked' => [ \&key, 401, @revoke ],
    'key, removed' => [ \&key, 401, sub { $t->ctl_ok(qw(key remove), $id) } ],
    'key, not from this address' => [ \&key, 403, sub {
        $t->ctl_ok(qw(key change), $id, '--allow-from=192.0.2.1') } ],
    'key, partner not from this address' => [ \&key, 403, sub {
        $t->ctl_ok(qw(partner change), $partner, '--allow-from=192.0.2.1') } ],
    'key, partner disabled' => [ \&key, 401, sub {
        $t->ctl_ok(qw(partner change), $partner, '--disabled') } ],
    'key, feed taken away' => [ \&key, 404, sub {
        $t->ctl_ok(qw(partner change), $partner, '--feeds=others') } ],
    'token, its key revoked' => [ \&token, 401, @revoke ],
    'certificate, revoked' => [ \&certificate, 401, $uncertify ],
    'certificate, not from this address' => [ \&certificate, 403, sub {
        $t->ctl_ok(qw(key change), $cert, '--allow-from=192.0.2.1') } ],
    'both, certificate revoked' => [ \&both, 401, $uncertify ],
    'both, key revoked' => [ \&both, 401, @revoke ],
    'of an issuer whose key is replaced' => [ \&foreign, 401, sub { $issuer->keys_are('one', 'next') } ],
    'of an issuer whose file is gone' => [ \&second, 401, sub { unlink $t->testdir . '/two.json' } ],
    'issuer, partner disabled' => [ \&foreign, 401, sub {
        $t->ctl_ok(qw(partner change), $partner, '--disabled') } ],
);

for my $name (sort keys %ends) {
    my ($credential, $status, $end) = @{ $ends{$name} };
    prepare();
    my %with = $credential->();
    ok(wait_for(sub { $t->http_end(start('ask', %with))->{status} == 200 }, 20),
        "$name: at first");
    my %call = map { $_ => start($_, %with) } qw(poll stream backfill);
    $t->waiting(1, $_) for qw(poll stream);
    $end->();

    my $poll = $t->http_end($call{poll});
    is($poll->{status}, $status, "$name: a poll");
    my $stream = $t->http_end($call{stream});
    like($stream->{body}, qr/^event: end\ndata: .*"status":$status\b/m, "$name: a stream");

    # one whose line had begun is cut
    my $backfill = $t->http_end($call{backfill});
    my ($last) = $backfill->{body} =~ /^(.*)\n\z/m;
    ok($backfill->{status} == 0 || $last =~ /^\{"error":.*"status":$status\b/,
        "$name: a backfill") or diag("$backfill->{status} $last");
    cmp_ok(() = $backfill->{body} =~ /^\{"specversion"/mg, '<', $events, '... not to its end');
    $t->ctl_ok(qw(key remove), $cert);
}
done_testing();

# A partner with a key and a certificate.
sub prepare {
    $partner = 'p' . ++$n;
    $key = $t->partner_key($partner, feeds => 'orders', scopes => 'read');
    ($id) = $key =~ /^esk_(\w{10})_/;
    ($cert) = $t->ctl_ok(qw(key create), $partner, '--scopes=read',
        '--certificate=' . $tls->path('client.pem')) =~ /^([a-z2-7]{10})$/m;
}

sub bearer { return (headers => { authorization => "Bearer $_[0]" }) }
sub key { return bearer($key) }
sub foreign { return bearer($issuer->token(claims => { partner => $partner })) }
sub second { return bearer($issuer->token(claims => { iss => 'two', partner => $partner })) }
sub certificate { return (prefix => '/mtls', tls => 1) }
sub both { return (prefix => '/both', tls => 1, bearer($key)) }
sub token {
    my $answer = $t->http(POST => '/v1/token', { 'content-type' =>
        'application/x-www-form-urlencoded' },
        "grant_type=client_credentials&client_id=$id&client_secret=$key");
    return bearer(Test::Eventsync::json($answer->{body})->{access_token});
}

# Requests one; its client has little room for what it does not read.
sub start {
    my ($kind, %with) = @_;
    my $sock = $t->stalled_socket($with{tls} ? $t->port(1) : ());
    IO::Socket::SSL->start_SSL($sock, SSL_verify_mode => 0,
        SSL_cert_file => $tls->path('client.pem'), SSL_key_file => $tls->path('client.key'))
        or die "no TLS\n" if $with{tls};
    my $path = ($with{prefix} // '/v1') . '/feeds/orders/'
        . { ask => 'events?from=latest', poll => 'events?from=latest&wait=60', stream => 'events?from=latest',
            backfill => 'backfill?from=oldest' }->{$kind};
    return $t->http_start(GET => $path, { %{ $with{headers} // {} }, connection => 'keep-alive',
        $kind eq 'stream' ? (accept => 'text/event-stream') : () }, undef,
        socket => $sock, timeout => 50);
}
