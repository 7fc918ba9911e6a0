#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Quotas of a partner on the command line: what a refusal says, what is never
# refused, and how an operator raises a quota.

use warnings;
use strict;

use MIME::Base64 qw(encode_base64);
use Test::More;

use lib 't/lib';
use Test::Eventsync;

my $t = Test::Eventsync->new;
$t->store_init->feed('orders');
$t->partner($_, feeds => 'orders') for qw(acme bolt);
my @hook = ('--url=https://a.example/', '--feeds=orders');

sub quotas { return $t->ctl_ok('partner', 'change', 'acme', map { "--quota-$_" } @_) }
sub shown {
    return Test::Eventsync::json($t->ctl_ok('partner', 'show', 'acme'))->{quotas};
}

sub refused {
    my ($like, $hint, @command) = @_;
    my ($rc, $out, $err) = $t->ctl(@command);
    my $name = "$command[0] $command[1]";
    is($rc, 1, "$name is refused") or diag($out);
    like($err, $like, '... why');
    like($err, qr/\("partner change" raises it with --quota-$hint=N\)$/,
        '... and how to raise it');
    is($err =~ tr/\n//, 1, '... in one line');
}

###############################################################################
# endpoints and keys

quotas('endpoints=2', 'keys=1');
is_deeply(shown(), { endpoints => 2, keys => 1 }, 'the record has them');
my @mine = map { scalar $t->endpoint('acme', url => 'https://a.example/',
    feeds => 'orders') } 1, 2;
refused(qr/"acme" has 2 endpoints, and its quota is 2/, 'endpoints',
    'endpoint', 'create', 'acme', @hook);
$t->ctl_ok('key', 'create', 'acme', '--scopes=read');
refused(qr/"acme" has 1 keys, and its quota is 1/, 'keys',
    'key', 'create', 'acme', '--scopes=read');
is(($t->ctl('endpoint', 'create', 'bolt', @hook))[0], 0,
    'another partner has its own');

$t->ctl_ok('endpoint', 'remove', pop @mine);
push @mine, scalar $t->endpoint('acme', url => 'https://a.example/',
    feeds => 'orders');
pass('a removed endpoint does not count');
quotas('endpoints=1');
is_deeply(shown(), { endpoints => 1, keys => 1 }, 'one changes, the other stays');
is(scalar(() = $t->ctl_ok('endpoint', 'list') =~ /"acme"/g), 2,
    'what there is stays');
$t->ctl_ok('endpoint', 'change', $mine[0], '--timeout=20s');
pass('and can be changed');
refused(qr/has 2 endpoints, and its quota is 1/, 'endpoints',
    'endpoint', 'create', 'acme', @hook);

# The transaction counts, so that many at once do not exceed it.
quotas('endpoints=5');
my @all = map { $t->ctl_start('endpoint', 'create', 'acme', @hook) } 1 .. 8;
is(scalar(grep { $_->wait(30) == 0 } @all), 3, 'of eight at once three fit');

quotas('endpoints=default', 'keys=');
is(shown(), undef, 'by default the record has none');
$t->ctl_ok('key', 'create', 'acme', '--scopes=read');
push @mine, scalar $t->endpoint('acme', url => 'https://a.example/',
    feeds => 'orders');
pass('and the defaults are more');
quotas('endpoints=0');
refused(qr/quota is 0/, 'endpoints', 'endpoint', 'create', 'acme', @hook);
quotas('endpoints=default');

###############################################################################
# feeds

my @feeds = map { "f$_-*" } 1 .. 65;
refused(qr{/feeds: feeds has 65 items; 0 to 64 are allowed}, 'feeds',
    'partner', 'change', 'acme', '--feeds=' . join ',', @feeds);
refused(qr{/publish: publish has 65 items; 0 to 64 are allowed}, 'feeds',
    'partner', 'change', 'acme', '--publish=' . join ',', @feeds);
quotas('feeds=65');
$t->ctl_ok('partner', 'change', 'acme', '--feeds=' . join(',', @feeds, ),
    '--publish=' . join(',', @feeds));
refused(qr{feeds has 65 items; 0 to 64 are allowed}, 'feeds',
    'partner', 'change', 'acme', '--quota-feeds=64');
is($t->ctl_ok('partner', 'list') =~ /f65-\*/ ? 1 : 0, 1, 'it can be read');
$t->ctl_ok('partner', 'change', 'acme', '--feeds=orders', '--publish=',
    '--quota-feeds=default');

###############################################################################
# bytes

sub bytes {
    my $sum = 0;
    for my $kind (qw(key endpoint)) {
        for (split /\n/, $t->ctl_ok($kind, 'list', '--json')) {
            next if !/"partner": ?"acme"/;
            s/^\{"name": ?"[^"]*", ?/{/;
            $sum += length;
        }
    }
    return $sum;
}

my $bytes = bytes();
quotas('bytes=' . ($bytes + 300));
is(shown()->{bytes}, $bytes + 300, 'in bytes');
my $big = $t->secret_file('{"x-a":"' . 'y' x 600 . '"}', 'headers');
refused(qr/would take \d+ bytes, and its quota is @{[$bytes + 300]}/, 'bytes',
    'endpoint', 'create', 'acme', @hook, "--headers=\@$big");
refused(qr/would take \d+ bytes/, 'bytes',
    'endpoint', 'change', $mine[0], "--headers=\@$big");
quotas("bytes=$bytes");
refused(qr/would take \d+ bytes/, 'bytes', 'endpoint', 'rotate', $mine[0]);
refused(qr/would take \d+ bytes/, 'bytes',
    'endpoint', 'simulate', $mine[0], '--failure=drop');
refused(qr/would take \d+ bytes/, 'bytes',
    'key', 'create', 'acme', '--scopes=read');
$t->ctl_ok('endpoint', 'change', $mine[0], '--timeout=');
pass('a change that needs no more is admitted');
$t->ctl_ok('endpoint', 'pause', $mine[0]);
$t->ctl_ok('endpoint', 'resume', $mine[0]);
my ($id) = $t->ctl_ok('key', 'list') =~ /^(\w+) .*acme/m;
$t->ctl_ok('key', 'revoke', $id);
pass('a pause and a revocation are never refused');
quotas('bytes=1k');
$t->write_file('keyfile', encode_base64('k' x 32));
chmod 0600, $t->testdir . '/keyfile';
$t->ctl_ok('store', 'rekey', '--key-file', $t->testdir . '/keyfile');
pass('and so is the encryption of secrets');
quotas('bytes=2m');
is(shown()->{bytes}, 2 * 1024 * 1024, 'as a size');
$t->ctl_ok('--key-file', $t->testdir . '/keyfile', 'endpoint', 'change',
    $mine[0], "--headers=\@$big");
pass('raised, it admits');

###############################################################################
# consumers

$t->ctl_ok({ stdin => $t->event . "\n" }, 'publish', 'orders');
my ($epoch) = $t->ctl_ok('tail', 'orders') =~ /"cursor":"(\w+)-/;
my @set = ('checkpoint', 'set', 'acme', 'orders');
quotas('consumers=1');
$t->ctl_ok(@set, 'one', "$epoch-1");
refused(qr/the partner has 1 checkpoint already/, 'consumers',
    @set, 'two', "$epoch-1");
$t->ctl_ok(@set, 'one', "$epoch-0", '--rewind');
quotas('consumers=2');
$t->ctl_ok(@set, 'two', "$epoch-1");
pass('raised, it admits');

###############################################################################
# values

for (['endpoints=-1'], ['endpoints=x'], ['endpoints=1000001'], ['keys=1000001'],
    ['feeds=257'], ['consumers=1000001'], ['requests=10001'], ['bytes=2g'],
    ['bytes=1x'])
{
    my ($rc, undef, $err) = $t->ctl('partner', 'change', 'acme', "--quota-$_->[0]");
    is($rc, 2, "$_->[0] is refused");
    like($err, qr/--quota-\w+/, '... by its name');
}
is_deeply(shown(), { bytes => 2 * 1024 * 1024, consumers => 2 },
    'and nothing is changed');

is(($t->ctl('--key-file', $t->testdir . '/keyfile', 'verify'))[0], 0,
    'the store is sound');
done_testing();
