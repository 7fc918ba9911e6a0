#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Names in endpoints' URLs: what they resolve to is checked at each connection,
# whatever the resolver says at which time.  In namespaces of its own, with a
# resolver of its own, and public addresses that are this machine's, so that they
# are refused too unless they are allowed.

use warnings;
use strict;

use IO::Socket::INET;
use Socket qw(AF_INET AF_INET6 SOCK_DGRAM inet_aton inet_pton
    pack_sockaddr_in);
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

use constant { PUBLIC => '93.184.216.34', CLOSED => '93.184.216.35',
    SIOCSIFFLAGS => 0x8914, SIOCSIFADDR => 0x8916 };

unless ($ENV{ES_NAMESPACE}) {
    my $why = `unshare -rmn true 2>&1`;
    plan skip_all => "needs namespaces of its own: $why" if $?;
    $ENV{ES_NAMESPACE} = 1;
    exec 'unshare', '-rmn', $^X, $0 or die "unshare: $!\n";
}

my $t = webhook_store();
interfaces();
resolver_files(
    'resolv.conf' => "nameserver 127.0.0.1\noptions timeout:30 attempts:1\n",
    'nsswitch.conf' => "hosts: files dns\n",
    'hosts' => "127.0.0.1 localhost\n",
);

# What each name has; "then" is for every question after the first.
my %zone = (
    'public.test' => { A => [PUBLIC] },
    'rebind.test' => { A => [PUBLIC], then => ['127.0.0.1'] },
    'mixed.test' => { A => [CLOSED, '127.0.0.1'] },
    'mixed6.test' => { A => [CLOSED], AAAA => ['::1'] },
    'loopback.test' => { A => ['127.0.0.1'] },
    'any.test' => { A => ['0.0.0.0'] },
    'ten.test' => { A => ['10.0.0.1'] },
    'metadata.test' => { A => ['169.254.169.254'] },
    'alias.test' => { CNAME => 'loopback.test', A => ['127.0.0.1'] },
    'one.test' => { AAAA => ['::1'] },
    'mapped.test' => { AAAA => ['::ffff:127.0.0.1'] },
    'compatible.test' => { AAAA => ['::127.0.0.1'] },
    'nat64.test' => { AAAA => ['64:ff9b::7f00:1'] },
    'ula.test' => { AAAA => ['fd00::1'] },
    'sixtofour.test' => { AAAA => ['2002:7f00:1::1'] },
    'empty.test' => {},
    'servfail.test' => { error => 2 },
    'refused.test' => { error => 5 },
    'garbage.test' => { raw => "\x85\x80" . "\xff" x 40 },
    'silent.test' => { silent => 1 },
);

# Numbers that are no addresses, but names.
my @numbers = qw(127.0.0.1. localhost. 4294967296 0x100000000 127.0.0.256
    127.0.0.0.1 0400.0.0.1 127.0.0.1.test);
$zone{$_} = { A => ['127.0.0.1'] } for map { s/\.$//r } @numbers;

$t->ctl_ok('partner', 'create', 'bolt', '--feeds=*');

my $dns = $t->background('dns', \&resolver);
ok(wait_for(sub { $dns->stdout =~ /^ready/ }), 'a resolver')
    or diag($dns->stderr);

# The two public addresses; the record allows the loopback too, but not the
# dispatcher.
my @allow = ('--allow-http', map { "--allow-address=$_" } PUBLIC, CLOSED);
$t->ctl_ok('partner', 'change', 'acme',
    '--allow-addresses=' . join ',', PUBLIC, CLOSED, '127.0.0.0/8', '::1');

my $private = $t->receiver(200);
my $port = $private->port;
my $public = $t->receiver(200, addr => PUBLIC, port => $port);
sub url { "http://$_[0]:$port/" }

put($t, 'orders', 1);

###############################################################################
# one look

my $v6 = socket(my $probe, AF_INET6, SOCK_DGRAM, 0);
my %outcome = (
    'public.test' => 'ok 200',
    (map { $_ => 'address 0' } qw(mixed.test loopback.test any.test ten.test
        metadata.test alias.test)),
    (map { $_ => $v6 ? 'address 0' : 'dns 0' } qw(one.test mapped.test
        compatible.test nat64.test ula.test sixtofour.test)),
    'mixed6.test' => $v6 ? 'address 0' : 'connect 0',
    (map { $_ => 'dns 0' } qw(empty.test servfail.test refused.test
        none.test)),
    (map { $_ => 'timeout 0' } qw(garbage.test silent.test)),
);

my $got = outcomes($t, [map { url($_) } sort keys %outcome], @allow);
is($got->{ url($_) }, $outcome{$_}, "$_ is $outcome{$_}")
    for sort keys %outcome;
is($public->count, 1, 'the public one has come');

$got = outcomes($t, [map { url($_) } @numbers], @allow);
like($got->{ url($_) }, qr/^(?:address|dns) 0$/, "$_ is not sent to")
    for @numbers;
is($private->count, 0, 'nothing has come to the private listener');

###############################################################################
# a name that changes its mind

my $rebind = url('rebind.test');
is(outcomes($t, [$rebind], @allow)->{$rebind}, 'ok 200',
    'a name is public when it is first looked up');
is(asked('rebind.test'), 1, 'by one question');
is(outcomes($t, [$rebind], @allow)->{$rebind}, 'address 0',
    'and refused when it has become private');
is(asked('rebind.test'), 2, 'by another one');
is($private->count, 0, 'nothing has come to the private listener');

###############################################################################
# beside the ranges that are refused: there is no route to any of these

my @beside = map { url($_) } qw(1.0.0.0 9.255.255.255 11.0.0.0 100.63.255.255
    100.128.0.0 126.255.255.255 128.0.0.0 169.253.255.255 169.255.0.0
    172.15.255.255 172.32.0.0 191.255.255.255 192.0.1.0 192.0.3.0
    192.88.98.255 192.88.100.0 192.167.255.255 192.169.0.0 198.17.255.255
    198.20.0.0 198.51.99.255 198.51.101.0 203.0.112.255 203.0.114.0
    223.255.255.255 168.63.129.15 168.63.129.17 [2000::] [2001:200::]
    [2001:db7:ffff::] [2001:db9::] [2003::] [3ffe:ffff::] [3fff:1000::]
    [3fff:ffff::] [::ffff:8.8.8.8]);
$got = outcomes($t, \@beside, @allow);
is($got->{$_}, 'connect 0', "$_ is not refused") for @beside;

###############################################################################
# public, but this machine's own

is(outcomes($t, [url(PUBLIC)], '--allow-http')->{ url(PUBLIC) }, 'address 0',
    'an address of an own interface is refused');
is(outcomes($t, [url('public.test')], { partner => 'bolt',
    allow_http => 'yes' }, @allow)->{ url('public.test') }, 'address 0',
    'also with a dispatcher that allows it to another record');
my $inner = url('[64:ff9b::' . PUBLIC . ']');
is(outcomes($t, [$inner], '--allow-http')->{$inner}, 'address 0',
    'and within NAT64');
is(outcomes($t, [$inner], @allow)->{$inner}, 'connect 0',
    'unless it is allowed, by its IPv4 address');

###############################################################################
# NAT64: the IPv4 address inside counts (RFC 6052, 2.2)

my @nat64 = ('64:ff9b::/96', '64:ff9b:1::/48', 'fd32:1::/32', 'fd40:1:200::/40',
    'fd48:1:2::/48', 'fd56:1:2:300::/56', 'fd64:1:2:3::/64', 'fd96:1:2:3::/96');
my @own = map { "--nat64=$_" } @nat64[2 .. $#nat64];
my @opened = map { "--allow-address=$_" } @nat64;
$t->ctl_ok('partner', 'change', 'acme', '--allow-addresses=' . join ',',
    @nat64, '10.1.1.1');

my %inner = ('8.8.8.8' => 'connect 0', '10.0.0.1' => 'address 0',
    '127.0.0.1' => 'address 0', '169.254.169.254' => 'address 0',
    '0.0.0.0' => 'address 0', '10.1.1.1' => 'connect 0');
my %nat64 = map { my $prefix = $_; map { url(nat64($prefix, $_)) => $inner{$_} }
    keys %inner } @nat64;
is(nat64('fd48:1:2::/48', '192.0.2.33'), '[fd48:1:2:c000:2:2100:0:0]',
    'an address as RFC 6052 has it');

# Bits that must be zero are not, so another translator may read another address.
$nat64{ url($_) } = 'address 0' for '[fd48:1:2:808:108:800::]',
    '[fd48:1:2:808:8:800:0:1]', '[64:ff9b:1:808:8:808::]', '[fd32:1:808:808::1]';

$got = outcomes($t, [sort keys %nat64], '--allow-http', @own, @opened,
    '--allow-address=10.1.1.1');
is($got->{$_}, $nat64{$_}, "$_ is $nat64{$_}") for sort keys %nat64;

my $unknown = url(nat64('fd48:1:2::/48', '8.8.8.8'));
is(outcomes($t, [$unknown], '--allow-http')->{$unknown}, 'address 0',
    'a prefix that is not given is one of unique local addresses');
$t->ctl_ok('partner', 'change', 'acme',
    '--allow-addresses=' . join ',', PUBLIC, CLOSED);

my $azure = url('168.63.129.16');
is(outcomes($t, [$azure], @allow)->{$azure}, 'address 0',
    'what a cloud answers at is refused, though it is no special range');

###############################################################################
# a resolver that does not answer holds up nobody else

my $silent = $t->endpoint('acme', url => url('silent.test'), feeds => 'orders',
    start => 'oldest', schedule => '0', connect_timeout => '100ms');
my $healthy = $t->endpoint('acme', url => url(PUBLIC), feeds => 'orders',
    start => 'oldest');
{
    local @Test::Eventsync::DISPATCHER_OPTS = @allow;
    $t->run_dispatcher;
}
my @list;
ok(wait_for(sub { @list = attempts($t, $silent) }, 20),
    'the attempt ends before the resolver does');
is("$list[0]{class} $list[0]{status}", 'timeout 0', 'by its own time');
for my $n (2, 3) {
    put($t, 'orders', 1);
    ok(wait_for(sub { attempts($t, $healthy) == $n }, 20),
        'another endpoint is sent to meanwhile');
}
is($t->stop_dispatcher, 0, 'the dispatcher stops cleanly');

$dns->stop;

done_testing();

###############################################################################

# Loopback, with two addresses that are not: the second one listens nowhere.
sub interfaces {
    socket(my $s, AF_INET, SOCK_DGRAM, 0) or die "socket: $!\n";
    my $up = pack 'a16 s x22', 'lo', 1;
    ioctl $s, SIOCSIFFLAGS, $up or die "lo: $!\n";

    my $n = 0;
    for my $addr (PUBLIC, CLOSED) {
        my $req = pack 'a16 a24', 'lo:' . ++$n,
            pack_sockaddr_in(0, inet_aton($addr));
        ioctl $s, SIOCSIFADDR, $req or die "$addr: $!\n";
    }
}

# Covers this machine's files by others, in this namespace.
sub resolver_files {
    my (%files) = @_;

    for my $name (sort keys %files) {
        next if !-e "/etc/$name";
        my $file = $t->write_file($name, $files{$name});
        system('mount', '--bind', $file, "/etc/$name") == 0
            or die "mount: $?\n";
    }
}

# The IPv4 address within a prefix, as an URL has it.
sub nat64 {
    my ($prefix, $v4) = @_;
    my ($base, $bits) = split m{/}, $prefix;
    my @bytes = unpack 'C16', inet_pton(AF_INET6, $base);
    my $at = $bits / 8;

    for my $byte (unpack 'C4', inet_aton($v4)) {
        $at++ if $at == 8;
        $bytes[$at++] = $byte;
    }
    return '[' . join(':', map { sprintf '%x', $_ }
        unpack 'n8', pack 'C16', @bytes) . ']';
}

sub asked {
    my ($name) = @_;
    my @questions = $dns->stdout =~ /^1 \Q$name\E$/mg;
    return scalar @questions;
}

# Answers questions from the zone and prints each: its type and name.
sub resolver {
    my $s = IO::Socket::INET->new(Proto => 'udp', LocalAddr => '127.0.0.1',
        LocalPort => 53) or die "port 53: $!\n";
    my %count;

    print "ready\n";
    while (defined(my $peer = $s->recv(my $query, 4096))) {
        my ($name, $at) = ('', 12);
        while (my $len = ord substr $query, $at, 1) {
            $name .= ($at > 12 ? '.' : '') . lc substr $query, $at + 1, $len;
            $at += 1 + $len;
        }
        my $question = substr $query, 12, $at + 5 - 12;
        my $type = unpack 'n', substr $query, $at + 1, 2;
        print "$type $name\n";

        my $has = $zone{$name} // { error => 3 };
        next if $has->{silent};
        my $answer = substr($query, 0, 2) . ($has->{raw} // '');
        if (!$has->{raw}) {
            my @records = records($has, $type, $count{"$type $name"}++);
            $answer = pack 'a2 n n n n n a* a*', $query, 0x8580
                | ($has->{error} // 0), 1, scalar @records, 0, 0, $question,
                join '', @records;
        }
        $s->send($answer, 0, $peer);
    }
}

sub records {
    my ($has, $type, $again) = @_;
    my $owner = "\xc0\x0c";     # the name that was asked for
    my @records;

    if ($has->{CNAME}) {
        my $alias = join '', map({ pack 'C/a*', $_ }
            split /\./, $has->{CNAME}), "\0";
        push @records, record($owner, 5, $alias);
        $owner = $alias;
    }
    my $a = $again && $has->{then} ? $has->{then} : $has->{A};
    push @records, map { record($owner, 1, inet_aton($_)) } @{ $a // [] }
        if $type == 1;
    push @records, map { record($owner, 28, inet_pton(AF_INET6, $_)) }
        @{ $has->{AAAA} // [] } if $type == 28;
    return @records;
}

# Without a life: not to be kept.
sub record {
    my ($owner, $type, $data) = @_;
    return pack 'a* n n N n/a*', $owner, $type, 1, 0, $data;
}
