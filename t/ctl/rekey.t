#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Many secrets of many endpoints encrypted in one step: no other record, and
# nothing of a record but its secrets, is changed by it.

use warnings;
use strict;

use MIME::Base64 qw(encode_base64);
use Test::More;

use lib 't/lib';
use Test::Eventsync;

my $t = Test::Eventsync->new;
$t->store_init->feed('orders');

my @file = map {
    my $name = $t->testdir . "/key$_";
    $t->write_file("key$_", join '', map { encode_base64(chr(64 + $_) x 32) }
        reverse 1 .. $_);
    chmod 0600, $name;
    $name
} 1, 2;

for my $partner (qw(acme bolt cord)) {
    $t->partner_key($partner, feeds => '*') for 1 .. 3;
}
my @made = map {
    my ($name, $secret) = $t->endpoint((qw(acme bolt cord))[$_ % 3],
        url => "http://127.0.0.1/$_", feeds => 'orders',
        $_ % 2 ? (headers => '{"x-a":"' . 'y' x (1 + 100 * $_ % 700) . '"}') : ());
    [$name, $secret]
} 1 .. 30;
$t->ctl_ok('endpoint', 'rotate', $_->[0], '--overlap=1d') for @made[3, 9];

# Everything but secrets, which the values of header fields are, too.
sub records {
    return map {
        my $kind = $_;
        map { s/"secrets":\[.*?\]//r =~ s/"revision":\d+//r
            =~ s/"x-a":"[^"]*"//r } map { "$kind $_" } split /\n/, $t->ctl_ok($kind, 'list', '--json')
    } qw(partner key endpoint feed);
}

my @before = records();
cmp_ok(scalar @before, '>=', 3 + 9 + 30 + 1, 'records of each kind');
for my $case ([$file[0], 'plain ones'], [$file[1], 'with another key']) {
    my ($file, $what) = @$case;
    is($t->ctl_ok('store', 'rekey', '--key-file', $file),
        "47 secrets encrypted\n", "$what: all of them");
    is_deeply([records()], \@before, '... and nothing else is changed');
    is(scalar(grep { $t->ctl_ok('endpoint', 'show', $_->[0]) !~ /"sealed:/ }
        @made), 0, '... each is sealed');
    is(($t->ctl('verify', '--key-file', $file))[0], 0, '... and sound');
}

ok($t->verify, 'the store is sound without the key');

# What verify would have said of less.
my $damage = $t->build . '/helper/damage';
sub damaged_in {
    my ($database, @args) = @_;
    return if system($damage, $t->store . '/registry', $database, @args);
    my ($rc, $out) = $t->ctl('verify');
    return "$rc $out";
}
sub damaged { return damaged_in('objects', @_) }

SKIP: {
    skip 'the helper has no sanitizer', 11 if !-x $damage;

    # The index by partner, in both directions.
    my ($name) = grep { $t->ctl_ok('endpoint', 'show', $_)
        =~ /"partner":"acme"/ } map { $_->[0] } @made;
    like(damaged_in('bypartner', "eacme%$name"),
        qr/^1 .*endpoint $name: the index by partner lacks the record/s,
        'an entry that is none');
    like(damaged_in('bypartner', "eacme%$name", 'remove'),
        qr/^1 .*endpoint $name: the index by partner lacks the record/s,
        'an entry that is gone');
    like(damaged_in('bypartner', "ebolt%$name"),
        qr/^1 .*endpoint $name: the index by partner names another partner/s,
        'one of two partners');
    is(($t->ctl('endpoint', 'remove', $name))[0], 0, 'the record is removed');
    like(damaged_in('bypartner', 'kacme%aaaaaaaaaa'),
        qr/^1 .*key aaaaaaaaaa: the index .*or a record that does not exist/s,
        'an entry of no record');

    # Whose a damaged record was, is found by its entry.
    my ($id) = $t->ctl_ok('key', 'list') =~ /^(\w+) .*acme/m;
    like(damaged("k$id"), qr/^1 .*key $id: the record is damaged/s,
        'a damaged key');
    is(($t->ctl('key', 'remove', $id))[0], 0, 'is removed');
    unlike(($t->ctl('verify'))[1], qr/$id/, 'with its entry');

    like(damaged('pbolt', 'remove'), qr/^1 .*endpoint ep_\w+: there is no such partner/s,
        'a partner that is gone');
    like(damaged('pcord'), qr/^1 .*partner cord: the record is damaged/s,
        'a record that is none');
    unlike(damaged('pacme', 'remove'), qr/acme: the record/, 'each by itself');
}
done_testing();
