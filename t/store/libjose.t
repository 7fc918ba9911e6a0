#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# A libjose without the algorithms of field encryption: each program says so in
# one line when it starts or is asked to use a key.

use warnings;
use strict;

use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync;

my $t = Test::Eventsync->new;
my $dir = $t->testdir;
my $says = 'libjose cannot encrypt by ECDH-ES+A256KW and A256GCM';

my $c = $t->write_file('nojose.c', <<'C');
#include <stdbool.h>
bool jose_jwe_enc_jwk(void *cfg, void *jwe, void *rcp, const void *jwk,
    void *cek);
bool
jose_jwe_enc_jwk(void *cfg, void *jwe, void *rcp, const void *jwk, void *cek)
{
    (void) cfg; (void) jwe; (void) rcp; (void) jwk; (void) cek;
    return false;
}
C
plan skip_all => 'no compiler'
    if system("cc -shared -fPIC -o $dir/nojose.so $c 2>/dev/null");
plan skip_all => 'a sanitizer must be loaded first'
    if `ldd @{[ $t->build ]}/eventsyncctl` =~ /asan/;

$t->store_init->feed('orders');
$t->partner('acme', feeds => 'orders');
$t->write_file('acme.jwk', encode_json({ kty => 'EC', crv => 'P-256', kid => 'k',
    x => 'MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4',
    y => '4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM' }));
my @change = ('partner', 'change', 'acme', "--encryption-key=$dir/acme.jwk");
my $conf = <<'CONF';
events { }
http {
    eventsync_store %%STORE%%;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /v1/ { eventsync_poll on; }
    }
}
CONF

{
    local $ENV{LD_PRELOAD} = "$dir/nojose.so";
    my ($rc, undef, $err) = $t->ctl(@change);
    isnt($rc, 0, 'a key is refused');
    like($err, qr{^eventsyncctl: partner "acme": /encryption_key: [^\n]+\n\z},
        '... in one line');
    my $proc = $t->start('dispatcher-nojose', {}, $t->build
        . '/eventsync-dispatcher', '--store', $t->store);
    isnt($proc->wait(30), 0, 'a dispatcher does not start');
    like($proc->stderr, qr/error: cannot start: \Q$says\E$/m, '... and says why');
    my ($bad, $said) = $t->check_conf($conf);
    isnt($bad, 0, 'nor does nginx');
    like($said, qr/\[emerg\] [^\n]*eventsync: \Q$says\E/, '... and says why');
}
$t->ctl_ok(@change);
my ($good, $said) = $t->check_conf($conf);
is($good, 0, 'with libjose it does') or diag($said);

done_testing();
