#!/usr/bin/perl

# What ends stays at its end: neither a worker's clock that is put back nor an
# operator's that is ahead lets a key or token live longer.  And a worker whose
# clock is ahead dates no events by it.

use warnings;
use strict;

use POSIX qw(strftime);
use Test::More;
use Time::HiRes qw(time);

use lib 't/lib';
use Test::Eventsync qw(wait_for);

my ($lib) = glob '/usr/lib/*/faketime/libfaketimeMT.so.1';
plan skip_all => 'needs faketime' unless $lib;

my $t = Test::Eventsync->new(workers => 1);
plan skip_all => 'not under a sanitizer' if $t->sanitized;

$t->store_init->feed('orders');
$t->partner_key('acme', feeds => 'orders', scopes => 'read');

sub rfc3339 { return strftime('%Y-%m-%dT%TZ', gmtime(time + $_[0])) }
sub key {
    my ($key) = $t->ctl_ok('key', 'create', 'acme', '--scopes=read', @_)
        =~ /(esk_\S+)/;
    return $key;
}
sub status { return $t->http(GET => '/v1/feeds', { authorization =>
    "Bearer $_[0]" })->{status} }
sub id { return $_[0] =~ /^esk_([^_]+)_/ ? $1 : die "no key: $_[0]\n" }
sub clock { $t->write_file('clock', "$_[0]\n") }

clock('+0');
$t->default_conf(main => join ' ', map { "env $_;" } qw(FAKETIME_NO_CACHE
    FAKETIME_TIMESTAMP_FILE FAKETIME_DONT_FAKE_MONOTONIC));
$t->run_nginx(env => { LD_PRELOAD => $lib, FAKETIME_NO_CACHE => 1,
    FAKETIME_TIMESTAMP_FILE => $t->testdir . '/clock',
    FAKETIME_DONT_FAKE_MONOTONIC => 1 });

my $short = key('--expires=' . rfc3339(3));
my $long = key();
is(status($short), 200, 'a key');
ok(wait_for(sub { status($short) == 401 }), 'expires');
clock('-1h');
ok(wait_for(sub { $t->http(GET => '/v1/feeds')->{headers}{date}
    =~ strftime(' %H:%M:', gmtime(time - 3600)) }),
    'a clock that is put back an hour');
for (1 .. 3) {
    is(status($short), 401, 'does not bring it back');
    is(status($long), 200, 'and takes no other away');
}
clock('+0');

is(status($long), 200, 'another key');
$t->ctl_ok({ env => { LD_PRELOAD => $lib, FAKETIME => '+30d' } },
    'key', 'revoke', id($long));
ok(wait_for(sub { status($long) == 401 }, 5),
    'is revoked at once by an operator whose clock is a month ahead');

# A worker whose clock is ahead publishes.

my $today = strftime('%Y-%m-%d', gmtime);
clock('+30d');
ok(wait_for(sub { $t->http(GET => '/v1/feeds')->{headers}{date}
    =~ strftime(' %d %b %Y ', gmtime(time + 30 * 86400)) }),
    'a clock that is put forward a month');
is($t->publish('orders', {})->{status}, 201, 'events are taken');
like($t->ctl_ok('tail', 'orders'), qr/"time":"$today/,
    'and get the right time');
ok($t->logged('error.log', qr/\[warn\] .*eventsync: the clock of this process is 30d [\d:]{8} ahead of the store's time/),
    'the log says why');

done_testing();
