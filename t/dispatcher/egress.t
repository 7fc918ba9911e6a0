#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Where webhooks may be sent: addresses, schemes, certificates.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync;
use Test::Eventsync::Webhooks;

my $t = webhook_store();
my $recv = $t->receiver(200);
my $port = $recv->port;
my $dir = $t->testdir;

my @openssl = ('openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
    'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', '/CN=test',
    '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', "$dir/key.pem",
    '-out', "$dir/cert.pem");
my $made = $t->start('openssl', {}, @openssl);
is($made->wait(20), 0, 'a certificate') or diag($made->stderr);

$t->write_file_expand('nginx.conf', <<'CONF');
events { }
http {
    server {
        listen 127.0.0.1:%%PORT_0%% ssl;
        ssl_certificate %%TESTDIR%%/cert.pem;
        ssl_certificate_key %%TESTDIR%%/key.pem;
        location / { return 204; }
    }
}
CONF
$t->run_nginx;

put($t, 'orders', 1);

# How addresses are spelled, and which are refused: dispatch_addresses.t.
my $loopback = "http://127.0.0.1:$port/";
my $mapped = "http://[::ffff:127.0.0.1]:$port/";
my $private = 'http://10.0.0.1/';

my $got = outcomes($t, [$loopback, $mapped, $private], '--allow-http',
    '--allow-address=127.0.0.0/8');
is($got->{$loopback}, 'ok 200', 'a range that is allowed');
is($got->{$mapped}, 'ok 200', 'in its other spelling, too');
is($got->{$private}, 'address 0', 'and no more than that');
my $came = $recv->count;

$got = outcomes($t, [$loopback], '--allow-address=127.0.0.1',
    '--allow-address=::1');
is($got->{$loopback}, 'address 0', 'plain http is refused by itself');
is($recv->count, $came, 'and nothing has come');

my $name = "http://no-such-name.invalid/";
is(outcomes($t, [$name], '--allow-http')->{$name}, 'dns 0',
    'a name that is none');

my $tls = 'https://127.0.0.1:' . $t->port(0) . '/';
my $wrong = 'https://localhost:' . $t->port(0) . '/';
my @allow = ('--allow-address=127.0.0.0/8');
is(outcomes($t, [$tls], @allow)->{$tls}, 'tls 0',
    'a certificate that nobody vouches for');
$got = outcomes($t, [$tls, $wrong], @allow, "--ca-file=$dir/cert.pem");
is($got->{$tls}, 'ok 204', 'one that somebody does');
is($got->{$wrong}, 'tls 0', 'but not for another name');

{
    local $ENV{http_proxy} = "http://127.0.0.1:$port";
    local $ENV{all_proxy} = "http://127.0.0.1:$port";
    my $public = 'http://10.1.2.3/';
    is(outcomes($t, [$public], '--allow-http', @allow)->{$public}, 'address 0',
        'no proxy is taken from the environment');
}

###############################################################################
# options

for my $bad (['--store'], ['--nonsense'], ['extra'], [],
    ['--store=x', '--allow-address=10.0.0.0/33'],
    ['--store=x', '--allow-address=localhost'],
    ['--store=x', '--max-connections=0'],
    ['--store=x', '--max-waiting=0'],
    ['--store=x', '--commit-interval=soon'],
    ['--store=x', '--log-level=loud'])
{
    my $proc = $t->start('bad', {}, $t->build . '/eventsync-dispatcher',
        @$bad);
    is($proc->wait(10), 2, "\"@$bad\" is refused");
    like($proc->stderr, qr/\Aeventsync-dispatcher: [^\n]+\n\z/,
        'with one line');
}

my $none = $t->start('none', {}, $t->build . '/eventsync-dispatcher',
    "--store=$dir/nowhere");
is($none->wait(10), 1, 'a store that is none is refused');
like($none->stderr, qr/error: cannot open the store: /, 'and it says why');

done_testing();
