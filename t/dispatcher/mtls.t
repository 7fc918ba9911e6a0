#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Client certificates and trust of an endpoint's own, and that no connection
# made with one is used by another endpoint.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

# For certificates that the system trusts, a view of its own of the files.
my $private = $ENV{ES_NAMESPACE};
if (!$private && $> == 0 && system('unshare -m true 2>/dev/null') == 0) {
    $ENV{ES_NAMESPACE} = 1;
    exec 'unshare', '-m', $^X, $0 or die "unshare: $!\n";
}

my $t = webhook_store();
my $dir = $t->testdir;

certificate($t, 'IP:127.0.0.1', file => $_) for qw(server acme other);
$t->write_file('both.pem', $t->read_file('acme.pem')
    . $t->read_file('acme.key'));

$t->write_file_expand('nginx.conf', <<'CONF');
events { }
http {
    log_format who '$uri $connection $ssl_client_s_dn';
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

my $n = 5;
my %names;

sub endpoint {
    my ($path, %opts) = @_;
    $names{$path} = $t->endpoint('acme', feeds => 'orders', start => 'oldest',
        schedule => '0', ordering => 'none', in_flight => 2,
        url => 'https://127.0.0.1:' . $t->port(0) . "/$path", %opts);
}

endpoint('none');
endpoint('acme', client_cert => 'acme.pem', client_key => 'acme.key');
endpoint('acme2', client_cert => 'acme.pem', client_key => 'acme.key');
endpoint('other', client_cert => 'other.pem', client_key => 'other.key');
endpoint('both', client_cert => 'both.pem', ca_file => 'server.pem');
endpoint('nofile', client_cert => 'nofile.pem');
endpoint('wrongkey', client_cert => 'acme.pem', client_key => 'other.key');
endpoint('noca', ca_file => 'nofile.pem');
endpoint('badca', ca_file => 'other.pem');

put($t, 'orders', $n);
$t->run_dispatcher("--tls-dir=$dir", "--ca-file=$dir/server.pem");

sub seen {
    my ($path) = @_;
    return map { [split ' ', $_, 3] } grep { m{^/$path } }
        split /\n/, $t->read_file('who.log');
}

my %conns;
for my $case (['none', '-'], ['acme', 'CN=acme'], ['acme2', 'CN=acme'],
    ['other', 'CN=other'], ['both', 'CN=acme'])
{
    my ($path, $who) = @$case;
    ok(wait_for(sub { seen($path) >= $n }, 30), "/$path: all have come");
    is_deeply([grep { $_->[2] ne $who } seen($path)], [], "each from $who");
    my %mine = map { $_->[1] => 1 } seen($path);
    cmp_ok(keys %mine, '<', $n, 'by connections that are kept');
    $conns{$_}{$path} = 1 for keys %mine;
}
is_deeply([grep { keys %$_ > 1 } values %conns], [],
    'and none is used by two endpoints');

for my $path (qw(nofile wrongkey noca badca)) {
    ok(wait_for(sub { attempts($t, $names{$path}) >= $n }, 30),
        "/$path: attempts");
    is_deeply([grep { $_->{class} ne 'tls' } attempts($t, $names{$path})], [],
        'fail');
    is(seen($path), 0, 'and nothing has come');
}

###############################################################################
# the system's certificates

SKIP: {
skip 'needs root and a namespace of its own', 6 unless $private;

mkdir "$dir/trusted";
$t->write_file('trusted/server.pem', $t->read_file('server.pem'));
$t->write_file('trusted/ca-certificates.crt', $t->read_file('acme.pem'));
is(system('openssl', 'rehash', "$dir/trusted"), 0, 'a trusted directory');
is(system('mount', '--bind', "$dir/trusted", '/etc/ssl/certs'), 0,
    'is the system\'s');
$t->stop_dispatcher;
endpoint('system');
endpoint('pinned', ca_file => 'other.pem');
$t->run_dispatcher("--tls-dir=$dir");
ok(wait_for(sub { seen('system') >= $n }, 30),
    'by default its directory is trusted');
ok(wait_for(sub { attempts($t, $names{pinned}) >= $n }, 30),
    'an endpoint with a ca_file of its own');
is(seen('pinned'), 0, 'trusts no other');
$t->stop_dispatcher;
endpoint('only');
$t->run_dispatcher("--tls-dir=$dir", "--ca-file=$dir/other.pem");
ok(wait_for(sub { attempts($t, $names{only}) >= $n }, 30),
    'nor does the dispatcher with --ca-file');
is(seen('only'), 0, 'nothing has come');
}

$t->stop_dispatcher;
$t->run_dispatcher("--tls-dir=$dir", "--ca-file=$dir/server.pem");
$t->ctl_ok('endpoint', 'change', $names{acme}, '--client-cert=other.pem',
    '--client-key=other.key');
put($t, 'orders', 1);
ok(wait_for(sub { seen('acme') > $n }, 30), 'after a change');
is((seen('acme'))[-1][2], 'CN=other', 'it is another certificate');

###############################################################################

for my $bad (['--client-cert=../acme.pem', '/client_cert: '],
    ['--client-cert=.pem', '/client_cert: '],
    ['--ca-file=/etc/ca.pem', '/ca_file: '],
    ['--client-key=a/b', '/client_key: '],
    ['--ca-file=' . 'a' x 129, '/ca_file: '])
{
    my ($rc, undef, $err) = $t->ctl('endpoint', 'change', $names{acme},
        $bad->[0]);
    is($rc, 1, 'a bad name is refused');
    like($err, qr/\Q$bad->[1]\E/, 'and it says which');
}
my ($rc, undef, $err) = $t->ctl('endpoint', 'change', $names{none},
    '--client-key=acme.key');
is($rc, 1, 'a key for no certificate');
like($err, qr{/client_key: .*requires "client_cert"}, 'is refused');

done_testing();
