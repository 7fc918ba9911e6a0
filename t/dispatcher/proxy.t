#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# The operator's proxy: what goes by it, and whose fault is what.

use warnings;
use strict;

use IO::Socket::INET;
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Proxy;
use Test::Eventsync::Webhooks;

my $t = webhook_store();
my $recv = $t->receiver(200);
my $dir = $t->testdir;

certificate($t, 'DNS:tls.test');

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

# Names are the proxy's: what they say is where the tunnel ends, or its answer.
sub answer {
    my ($head, $target) = @_;
    return '127.0.0.1:' . $recv->port if $target eq 'plain.test:80';
    return '127.0.0.1:' . $t->port(0) if $target =~ /tls\.test:443\z/;
    return "HTTP/1.1 407 No\r\nContent-Length: 2\r\n\r\nno"
        if $target =~ /\Adenied/;
    return "HTTP/1.1 $1 No\r\nContent-Length: 2\r\nwebhook-delivery: disable"
        . "\r\n\r\nno" if $target =~ /\As(\d+)\./;
    return;
}
my $proxy = Test::Eventsync::Proxy->start(answer => \&answer, dir => $dir,
    port => Test::Eventsync::free_port());
my $by = '--proxy=' . $proxy->url;

put($t, 'orders', 1);
$t->ctl_ok('partner', 'create', 'closed', '--feeds=*');

my $got = outcomes($t, ['http://plain.test/x', 'https://tls.test/',
    'https://other-tls.test/', 'http://denied.test/', 'http://s403.test/',
    'http://s503.test/', 'http://10.0.0.1/', 'http://127.0.0.1./',
    'http://[::1]/', 'http://2130706433/', 'https://tls.test:25/'],
    '--allow-http', "--ca-file=$dir/cert.pem", $by);
is_deeply($got, {
    'http://plain.test/x' => 'ok 200', 'https://tls.test/' => 'ok 204',
    'https://other-tls.test/' => 'tls 0', 'http://denied.test/' => 'address 0',
    'http://s403.test/' => 'address 0', 'http://s503.test/' => 'connect 0',
    'http://10.0.0.1/' => 'address 0', 'http://127.0.0.1./' => 'address 0',
    'https://tls.test:25/' => 'address 0',
    'http://[::1]/' => 'address 0', 'http://2130706433/' => 'address 0',
}, 'outcomes by a proxy that works');
is(($recv->requests)[0]{path}, '/x', 'the request has come');
my @asked = $proxy->requests;
is_deeply([grep { !/\ACONNECT / } @asked], [], 'all by CONNECT');
is_deeply([grep { /webhook-|127\.|10\.|::1/i } @asked], [],
    'without what is for the receiver, and for no refused address');

is(outcomes($t, ['https://tls.test/'], '--allow-http', $by)
    ->{'https://tls.test/'}, 'tls 0',
    'the certificate of a receiver is verified through the tunnel');
is(outcomes($t, ['http://plain.test/'], $by)->{'http://plain.test/'},
    'address 0', 'plain http needs --allow-http still');
is(outcomes($t, ['http://plain.test/'], { allow_http => 'no',
    partner => 'closed' }, '--allow-http', $by)->{'http://plain.test/'},
    'address 0', 'and the record that allows it');

###############################################################################
# a proxy that does not work

my $many = 4;
my ($name) = $t->endpoint('acme', url => 'http://plain.test/late',
    feeds => 'orders', schedule => '0', ordering => 'none',
    disable_after => '1s');
my $late = sub { grep { $_->{path} eq '/late' } $recv->requests };
$proxy->stop;
put($t, 'orders', $many);
my $proc = $t->run_dispatcher('--allow-http', $by);
ok(wait_for(sub { (grep { $_->{class} eq 'proxy' } attempts($t, $name)) >= 3
    && (attempts($t, $name))[-1]{time_ms} - (attempts($t, $name))[0]{time_ms}
        > 1000 }, 30), 'it is tried again and again');
is_deeply([grep { $_->{class} ne 'proxy' } attempts($t, $name)], [],
    'each attempt is the proxy\'s');
my @first = grep { $_->{line} =~ /attempt=1\b/ } attempts($t, $name);
is(@first, attempts($t, $name), 'and the first of its event');
is(dead($t, $name), 0, 'a schedule of one attempt is not over');
unlike($t->ctl_ok('endpoint', 'status', $name), qr/circuit|stopped/,
    'nothing is held against the endpoint');

$proxy->resume;
ok(wait_for(sub { $late->() >= $many }, 60), 'all come when it works again');
is($late->(), $many, 'each once');
is_deeply([grep { $_->{headers}{'eventsync-attempt'} != 1 } $late->()], [],
    'by a first attempt');
ok(wait_for(sub { $proc->stderr =~ /the proxy works again/ }, 10),
    'the log says so');
is(() = $proc->stderr =~ /the proxy does not work/g, 1, 'and once that not');

###############################################################################
# credentials

$t->stop_dispatcher;
$proxy->stop;
$proxy->resume(sub {
    my ($head) = @_;
    return '127.0.0.1:' . $recv->port
        if $head =~ /^proxy-authorization: Basic dTpwOnE=\r$/mi;
    return "HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=\"x\"\r\n"
        . "Content-Length: 0\r\n\r\n";
});
put($t, 'orders', 1);
$proc = $t->run_dispatcher('--allow-http', $by);
ok(wait_for(sub { $proc->stderr =~ /answers CONNECT with 407/ }, 30),
    'a proxy that wants credentials does not work without');
$t->stop_dispatcher;
is((attempts($t, $name))[-1]{class}, 'proxy', 'its attempt is the proxy\'s');

$t->secret_file("u:p:q\n", 'auth');
$proc = $t->run_dispatcher('--allow-http', $by, "--proxy-auth-file=$dir/auth");
ok(wait_for(sub { $late->() == $many + 1 }, 30), 'with them it does');
unlike($proc->stderr, qr/p:q/, 'they are not in the log');
$t->stop_dispatcher;

# A port whose backlog is full: no connection to it is ever made.
my $full = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1);
my @filling = map { IO::Socket::INET->new(PeerAddr => '127.0.0.1',
    PeerPort => $full->sockport, Blocking => 0) } 1 .. 4;
my $hasty = $t->endpoint('acme', url => 'http://late.test/hasty',
    feeds => 'orders', schedule => '0,1h', connect_timeout => '50ms');
my $lines = () = attempts($t, $name);
put($t, 'orders', 1);
$proc = $t->run_dispatcher('--allow-http',
    '--proxy=http://127.0.0.1:' . $full->sockport);
ok(wait_for(sub { attempts($t, $hasty) }, 30),
    'an attempt that had no time for the proxy');
is((attempts($t, $hasty))[0]{class}, 'timeout', 'is the endpoint\'s own');
unlike($proc->stderr, qr/the proxy does not work/, 'and says nothing of it');
$t->stop_dispatcher('KILL');
$t->ctl_ok(qw(endpoint remove), $hasty);
undef $_ for $full, @filling;

for my $case (['https://127.0.0.1:' . $t->port(0), 'a certificate'],
    ['http://no-such-proxy.invalid:3128', 'a name'],
    ['http://127.0.0.1:' . $recv->port, 'a server that is no proxy'])
{
    my ($url, $what) = @$case;
    $recv->stop;
    $recv->resume(405);
    my $before = attempts($t, $name);
    put($t, 'orders', 1);
    $proc = $t->run_dispatcher('--allow-http', "--proxy=$url");
    ok(wait_for(sub { attempts($t, $name) > $before }, 30),
        "$what that is not good");
    is((attempts($t, $name))[-1]{class}, 'proxy', 'is the proxy\'s fault');
    $t->stop_dispatcher;
}

for my $bad (['--proxy=ftp://a:1'], ['--proxy=a:1'], ['--proxy=http://a'],
    ['--proxy=http://a:1/x'], ['--proxy=http://u:hush@a:1/?x'],
    ['--proxy=http://u:hush@a:1'], ['--proxy=https://hush@a:1'],
    ['--proxy-auth-file=x'])
{
    my $p = $t->start('bad', {}, $t->build . '/eventsync-dispatcher',
        '--store=x', @$bad);
    is($p->wait(10), 2, "\"@$bad\" is refused");
    like($p->stderr, qr/\Aeventsync-dispatcher: [^\n]+\n\z/, 'in one line');
    unlike($p->stderr, qr/hush/, 'that has no password');
}
$t->secret_file("nothing\n", 'badauth');
$t->secret_file("u:p:q\n", 'openauth');
chmod 0644, "$dir/openauth";
for my $file ('badauth', 'openauth', 'nofile') {
    my $p = $t->run_dispatcher($by, "--proxy-auth-file=$dir/$file");
    is($p->wait(10), 1, "$file is no file of credentials");
    like($p->stderr, qr/error: .*$file/, 'and it says so');
    $t->stop_dispatcher;
}

done_testing();
