#!/usr/bin/perl

# Where webhooks may be sent: addresses, schemes, certificates.

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

sub endpoint {
    my ($url) = @_;
    return scalar $t->endpoint('acme', url => $url, feeds => 'orders',
        start => 'oldest', schedule => '0', connect_timeout => '2s');
}

# The outcome of the one attempt at each URL.
sub outcomes {
    my ($urls, @options) = @_;

    my %names = map { endpoint($_) => $_ } @$urls;
    my $proc = $t->start('dispatcher', {}, $t->build
        . '/eventsync-dispatcher', '--store', $t->store, @options);
    my %got;
    for my $name (keys %names) {
        my @list;
        wait_for(sub { @list = attempts($t, $name) }, 20);
        $got{ $names{$name} } = @list
            ? "$list[0]{class} $list[0]{status}" : 'none';
    }
    is($proc->stop, 0, 'stops cleanly');
    $t->ctl_ok('endpoint', 'remove', $_) for keys %names;
    return \%got;
}

my @private = map { "http://$_/" } "127.0.0.1:$port", "localhost:$port",
    "[::1]:$port", "[::ffff:127.0.0.1]:$port", "0.0.0.0:$port", '10.0.0.1',
    '172.16.0.1', '192.168.1.1', '100.64.0.1', '169.254.169.254',
    '[fd00::1]', '[fe80::1]', '[64:ff9b::7f00:1]', '[2002:7f00:1::1]',
    '[2001::1]', '[::127.0.0.1]', '224.0.0.1', '255.255.255.255', '198.18.0.1';

my $got = outcomes(\@private, '--allow-http');
is($got->{$_}, 'address 0', "$_ is refused") for @private;
is($recv->count, 0, 'nothing has come');

$got = outcomes([@private[0, 3, 5]], '--allow-http',
    '--allow-address=127.0.0.0/8');
is($got->{$private[0]}, 'ok 200', 'a range that is allowed');
is($got->{$private[3]}, 'ok 200', 'in its other spelling, too');
is($got->{$private[5]}, 'address 0', 'and no more than that');

$got = outcomes([$private[0]], '--allow-address=127.0.0.1',
    '--allow-address=::1');
is($got->{$private[0]}, 'address 0', 'plain http is refused by itself');

my $name = "http://no-such-name.invalid/";
is(outcomes([$name], '--allow-http')->{$name}, 'dns 0', 'a name that is none');

my $tls = 'https://127.0.0.1:' . $t->port(0) . '/';
my $wrong = 'https://localhost:' . $t->port(0) . '/';
my @allow = ('--allow-address=127.0.0.0/8');
is(outcomes([$tls], @allow)->{$tls}, 'tls 0',
    'a certificate that nobody vouches for');
$got = outcomes([$tls, $wrong], @allow, "--ca-file=$dir/cert.pem");
is($got->{$tls}, 'ok 204', 'one that somebody does');
is($got->{$wrong}, 'tls 0', 'but not for another name');

{
    local $ENV{http_proxy} = "http://127.0.0.1:$port";
    local $ENV{all_proxy} = "http://127.0.0.1:$port";
    my $public = 'http://10.1.2.3/';
    is(outcomes([$public], '--allow-http', @allow)->{$public}, 'address 0',
        'no proxy is taken from the environment');
}

###############################################################################
# options

for my $bad (['--store'], ['--nonsense'], ['extra'], [],
    ['--store=x', '--allow-address=10.0.0.0/33'],
    ['--store=x', '--allow-address=localhost'],
    ['--store=x', '--max-connections=0'],
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
