#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# The certificates of verify-integration: those that the dispatcher would use
# for the endpoint.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync;
use Test::Eventsync::Webhooks;

my $t = webhook_store();
my $dir = $t->testdir;
certificate($t, 'IP:127.0.0.1', file => $_) for qw(server acme);
$t->write_file_expand('nginx.conf', <<'CONF');
events { }
http {
    log_format who '$uri $ssl_client_s_dn';
    access_log %%TESTDIR%%/who.log who;
    server {
        listen 127.0.0.1:%%PORT_0%% ssl;
        ssl_certificate %%TESTDIR%%/server.pem;
        ssl_certificate_key %%TESTDIR%%/server.key;
        ssl_verify_client optional_no_ca;
        location / { return 204; }
    }
}
CONF
$t->run_nginx;

my $url = 'https://127.0.0.1:' . $t->port(0);
my $secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';

sub valid {
    my ($rc, $out, $err) = $t->ctl('verify-integration', @_);
    return ($out =~ /^(?:pass|FAIL) valid +(.*)$/m)[0] // $err;
}

sub endpoint {
    return scalar $t->endpoint('acme', feeds => 'orders', url => "$url/$_[0]",
        @_[1 .. $#_]);
}

my $taken = 'expected 2xx, came 204';
like(valid("--url=$url/none", "--secret=$secret"), qr/certificate/i,
    'the receiver is not trusted by default');
is(valid("--url=$url/url", "--secret=$secret", "--ca-file=$dir/server.pem"),
    $taken, 'but with --ca-file');
is(valid(endpoint('own', ca_file => 'server.pem', client_cert => 'acme.pem',
    client_key => 'acme.key'), "--tls-dir=$dir"), $taken,
    'and with the ca_file of an endpoint');
is(valid(endpoint('plain'), "--ca-file=$dir/server.pem"), $taken,
    'an endpoint without one');
like(valid(endpoint('other', ca_file => 'acme.pem'), "--tls-dir=$dir",
    "--ca-file=$dir/server.pem"), qr/certificate/i,
    'one with another is not trusted');

my $log = $t->read_file('who.log');
like($log, qr{^/own CN=acme$}m, 'the certificate of the endpoint is presented');
like($log, qr{^/plain -$}m, 'and no other');

for my $case ([client_cert => 'none.pem'], [ca_file => 'none.pem'],
    [client_cert => 'acme.pem', client_key => 'none.pem'])
{
    my ($rc, undef, $err) = $t->ctl('verify-integration',
        endpoint('bad', @$case), "--tls-dir=$dir");
    is($rc, 1, "@$case: exit 1");
    is($err, qq(eventsyncctl: cannot open "$dir/none.pem": No such file or )
        . "directory\n", 'and the file is named');
}
is(valid("--url=$url/url", "--secret=$secret", "--ca-file=$dir/no"),
    qq(eventsyncctl: cannot open "$dir/no": No such file or directory\n),
    'a --ca-file that is missing');

done_testing();
