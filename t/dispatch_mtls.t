#!/usr/bin/perl

# Client certificates and trust of an endpoint's own, and that no connection
# made with one is used by another endpoint.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store();
my $dir = $t->testdir;

sub certificate {
    my ($name) = @_;
    my $proc = $t->start('openssl', {}, qw(openssl req -x509 -newkey ec
        -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2), '-subj',
        "/CN=$name", '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout',
        "$dir/$name.key", '-out', "$dir/$name.pem");
    is($proc->wait(20), 0, "a certificate for $name") or diag($proc->stderr);
}
certificate($_) for qw(server acme other);
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
like($err, qr{/client_key: .*nothing without}, 'is nothing');

done_testing();
