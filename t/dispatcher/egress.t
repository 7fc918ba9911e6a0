#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Where webhooks may be sent: addresses, schemes, ports, certificates.  What the
# rules forbid needs both the dispatcher and the record to allow it.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
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

# How addresses are spelled, and which are refused: addresses.t.
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

###############################################################################
# an exception needs the dispatcher and the record

$t->ctl_ok('partner', 'create', 'closed', '--feeds=*');
my @both = ('--allow-http', '--allow-address=127.0.0.0/8');

sub of_closed {
    my ($url, $record, @options) = @_;
    return outcomes($t, [$url], { partner => 'closed', %$record },
        @options)->{$url};
}

is(of_closed($loopback, {}, @both), 'address 0',
    'the options of the dispatcher open nothing by themselves');
is(of_closed($loopback, { allow_http => 'yes' }, @both), 'address 0',
    'plain http needs no less the address');
is(of_closed($loopback, { allow_addresses => '127.0.0.0/8' }, @both),
    'address 0', 'nor the address less than plain http');
is(of_closed($loopback, { allow_http => 'yes',
    allow_addresses => '10.0.0.0/8,127.0.0.2' }, @both), 'address 0',
    'another address of the range stays closed');
is(of_closed($loopback, { allow_http => 'yes', allow_addresses => '0.0.0.0/0' },
    '--allow-http', '--allow-address=127.0.0.2'), 'address 0',
    'a record opens no more than the dispatcher allows');
is($recv->count, $came, 'and nothing has come');
is(of_closed($loopback, { allow_http => 'yes',
    allow_addresses => '127.0.0.1' }, @both), 'ok 200',
    'with both sides the endpoint is sent to');
$came = $recv->count;

# A connection that is kept is no way around a change of the record.
{
    my $kept = $t->endpoint('closed', url => $loopback, feeds => 'orders',
        schedule => '0', allow_http => 'yes', allow_addresses => '127.0.0.1');
    local @Test::Eventsync::DISPATCHER_OPTS = @both;
    my $proc = $t->run_dispatcher;
    put($t, 'orders', 1);
    ok(wait_for(sub { $recv->count > $came }), 'the endpoint has a connection');
    ok(wait_for(sub { attempts($t, $kept) == 1 }), 'that is kept');
    $came = $recv->count;
    $t->ctl_ok('endpoint', 'change', $kept, '--allow-addresses=');
    put($t, 'orders', 1);
    ok(wait_for(sub { attempts($t, $kept) == 2 }), 'its record loses the address');
    is((attempts($t, $kept))[-1]{class}, 'address', 'and it is refused');

    # the same by the partner's record, which sets up nothing anew
    $t->ctl_ok('endpoint', 'change', $kept, '--allow-http=no');
    $t->ctl_ok('partner', 'change', 'closed', '--allow-http=yes',
        '--allow-addresses=127.0.0.0/8');
    my $n = 2;
    ok(wait_for(sub {
        put($t, 'orders', 1);
        wait_for(sub { attempts($t, $kept) > $n }, 5);
        $n = () = attempts($t, $kept);
        return (attempts($t, $kept))[-1]{status} == 200;
    }, 20), 'the partner opens it again');
    $t->ctl_ok('partner', 'change', 'closed', '--allow-addresses=');
    ok(wait_for(sub {
        put($t, 'orders', 1);
        wait_for(sub { attempts($t, $kept) > $n }, 5);
        $n = () = attempts($t, $kept);
        return (attempts($t, $kept))[-1]{class} eq 'address';
    }, 20), 'and closes it, with the connection still there');
    $came = $recv->count;
    put($t, 'orders', 1);
    ok(wait_for(sub { attempts($t, $kept) > $n }), 'one more');
    is($recv->count, $came, 'is not sent');
    $t->ctl_ok('partner', 'change', 'closed', '--allow-http=no');
    is($t->stop_dispatcher, 0, 'the dispatcher stops cleanly');
    $t->ctl_ok('endpoint', 'remove', $kept);
}

# The token server of an endpoint is under the same rules.
{
    my $oauth = $t->endpoint('closed', url => 'https://receiver.invalid/',
        feeds => 'orders', schedule => '0', start => 'oldest',
        oauth => '{"token_url":"' . $recv->url('/token')
            . '","client_id":"a","client_secret":"b"}');
    local @Test::Eventsync::DISPATCHER_OPTS = @both;
    $t->run_dispatcher;
    ok(wait_for(sub { attempts($t, $oauth) }), 'a token is asked for');
    is((attempts($t, $oauth))[0]{class}, 'token', 'in vain');
    is($recv->count, $came, 'because nothing is sent to its server');
    $t->stop_dispatcher;
    $t->ctl_ok('endpoint', 'remove', $oauth);
}

###############################################################################
# ports

my %open = (allow_http => 'yes', allow_addresses => '127.0.0.0/8');
my ($low, $web) = ('http://127.0.0.9:99/', 'http://127.0.0.9/');
is(of_closed($low, \%open, @both), 'address 0', 'a port below 1024 is refused');
is(of_closed($low, \%open, @both, '--allow-port=99'), 'address 0',
    'also when only the dispatcher allows it');
is(of_closed($low, { %open, allow_ports => 99 }, @both), 'address 0',
    'or only the record');
is(of_closed($low, { %open, allow_ports => '25,99' }, @both,
    '--allow-port=98'), 'address 0', 'or each another one');
isnt(of_closed($low, { %open, allow_ports => '25,99' }, @both,
    '--allow-port=25', '--allow-port=99'), 'address 0', 'but not when both do');
isnt(of_closed($web, \%open, @both), 'address 0', 'port 80 needs no more');
is(of_closed('https://127.0.0.9:80/', { allow_addresses => '127.0.0.9' },
    @both), 'address 0', 'than http');
isnt(of_closed('https://127.0.0.9/', { allow_addresses => '127.0.0.9' },
    '--allow-address=127.0.0.9'), 'address 0', 'nor does 443');

for my $bad (['--allow-addresses=10.0.0.0/33', 'allow_addresses/0'],
    ['--allow-addresses=10.0.0.1,localhost', 'allow_addresses/1'],
    ['--allow-ports=0', 'allow-ports=0'], ['--allow-ports=99,x', 'x'],
    ['--allow-http=perhaps', 'neither yes nor no'])
{
    my ($option, $why) = @$bad;
    for my $of (['endpoint', 'create', 'closed', '--url=https://a.example/',
        '--feeds=*'], ['partner', 'change', 'closed'])
    {
        my ($rc, undef, $err) = $t->ctl(@$of, $option);
        isnt($rc, 0, "$of->[0]: $option is refused");
        like($err, qr/$why/, 'and it says why');
    }
}

###############################################################################
# names and certificates

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
    ['--store=x', '--allow-port=0'], ['--store=x', '--allow-port=65536'],
    ['--store=x', '--nat64=64:ff9b::'], ['--store=x', '--nat64=10.0.0.0/8'],
    ['--store=x', '--nat64=64:ff9b::/95'], ['--store=x', '--nat64=fd00::/72'],
    ['--store=x', '--nat64=fd00::1/64'],
    ['--store=x', '--nat64=fd00::100:0:0:0/96'],
    ['--store=x', '--max-connections=0'],
    ['--store=x', '--max-per-host=0'], ['--store=x', '--max-per-host=many'],
    ['--store=x', '--max-waiting=0'],
    ['--store=x', '--commit-interval=soon'],
    ['--store=x', '--log-level=loud'], ['--store=x', '--log-format=xml'])
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
