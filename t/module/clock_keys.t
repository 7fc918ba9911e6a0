#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# What ends does so at its time: neither a worker's clock that is put back nor an
# operator's that is ahead lets a key or token live longer, and one that is
# behind ends nothing early.  And a worker whose clock is ahead dates no events
# by it.

use warnings;
use strict;

use JSON::PP qw(decode_json);
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
sub clock { $t->replace_file('clock', "$_[0]\n") }

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

# A worker asks for the store's time once a second.

my $until = time + 2.5;
my @came;
while (time < $until) {
    push @came, status($short), status($long);
    select undef, undef, undef, 0.1;
}
is_deeply([grep { $_ != 401 } @came[grep { $_ % 2 == 0 } 0 .. $#came]], [],
    'does not bring it back');
is_deeply([grep { $_ != 200 } @came[grep { $_ % 2 } 0 .. $#came]], [],
    'and takes no other away');
clock('+0');

is(status($long), 200, 'another key');
$t->ctl_ok({ env => { LD_PRELOAD => $lib, FAKETIME => '+30d' } },
    'key', 'revoke', id($long));
ok(wait_for(sub { status($long) == 401 }, 5),
    'is revoked at once by an operator whose clock is a month ahead');

# An operator whose clock is wrong ends nothing early, and sees who is alive.

my %behind = (env => { LD_PRELOAD => $lib, FAKETIME => '-40d' });
my %ahead = (env => { LD_PRELOAD => $lib, FAKETIME => '+40d' });

my $endpoint = $t->endpoint('acme', url => 'http://127.0.0.1:9/',
    feeds => 'orders');
sub shown { return decode_json($t->ctl_ok('endpoint', 'show', $endpoint)) }

$t->ctl_ok(\%behind, 'endpoint', 'rotate', $endpoint, '--overlap=1h');
my ($old) = grep { ref } @{ shown()->{secrets} };
cmp_ok($old->{expires}, 'gt', rfc3339(1800), 'the old secret of a rotation by '
    . 'a clock that is behind goes on signing');

$t->ctl_ok(\%behind, 'endpoint', 'simulate', $endpoint, '--failure=reset',
    '--for=1h');
cmp_ok(shown()->{simulate}{until}, 'gt', rfc3339(1800),
    'and a simulated failure lasts');

$t->run_dispatcher;
ok(wait_for(sub { ($t->ctl('endpoint', 'status', $endpoint))[2] eq '' }),
    'a dispatcher runs');
for my $case ([ahead => \%ahead], [behind => \%behind]) {
    my ($name, $options) = @$case;
    my (undef, undef, $err) = $t->ctl($options, 'endpoint', 'status',
        $endpoint);
    is($err, '', "and is alive to an operator whose clock is $name");
}

# A worker whose clock is ahead publishes.

my $today = strftime('%Y-%m-%d', gmtime);
clock('+30d');
ok(wait_for(sub { $t->http(GET => '/v1/feeds')->{headers}{date}
    =~ strftime(' %d %b %Y ', gmtime(time + 30 * 86400)) }),
    'a clock that is put forward a month');
is($t->publish('orders', {})->{status}, 201, 'events are taken');
like($t->ctl_ok('tail', 'orders'), qr/"time":"$today/,
    'and get the right time');
ok($t->logged('error.log', qr/\[warn\] .*eventsync: the clock of this process is (?:29|30)d [\d:]{8} ahead of the store's time/),
    'the log says why');

done_testing();
