#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# An encrypted secret belongs to its store, record and partner, and to the
# origin that it is sent to.  Somebody who can write registry/ but has no key
# file can change a record, but nothing is sent by it: neither a secret nor an
# event.  A change by a program that has the key file encrypts anew.

use warnings;
use strict;

use JSON::PP;
use MIME::Base64 qw(encode_base64);
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store();
my $damage = $t->build . '/helper/damage';
plan(skip_all => 'the helper has no sanitizer') if !-x $damage;

my $key = $t->secret_file(encode_base64('k' x 32));
my ($here, $there) = map { $t->receiver(200) } 1 .. 2;
my $json = JSON::PP->new->canonical;
my $n = 0;                          # events, which go to $other and $name

sub record { $json->decode($t->ctl_ok('endpoint', 'show', $_[0])) }

# As somebody does who has no key file.
sub rewrite {
    my ($name, $record) = @_;
    system($damage, $t->store . '/registry', 'objects', "e$name",
        $json->encode($record)) == 0 or die "damage: $?\n";
}

sub made {
    my (%opts) = @_;
    return $t->endpoint('acme', feeds => 'orders', url => $here->url('/'),
        ordering => 'none', key_file => $key, %opts);
}

# A log line about an endpoint, from a dispatcher that has read this record.
sub says {
    my ($proc, $name, $what) = @_;
    my $before = length $proc->stderr;
    $proc->kill('HUP');
    return wait_for(sub { substr($proc->stderr, $before)
        =~ /error: endpoint $name: $what/ });
}

my ($other) = made(url => $here->url('/other'));
my ($name, $secret) = made(headers => '{"x-a":"value a","x-b":"value b"}');
my ($copied) = made(url => $here->url('/copied'));
$t->ctl_ok('endpoint', 'pause', $copied);
my $good = record($name);
my $proc = $t->run_dispatcher('--key-file', $key);
put($t, 'orders', 1);
ok($here->wait_for($n = 2), 'both endpoints are sent an event');

###############################################################################
# a record that was rewritten without the key file

$t->partner('bolt', feeds => '*');
my $else = qr/a secret cannot be decrypted, because it is damaged or was encrypted for another record or another origin; nothing is sent/;
$t->allow_errors(qr/cannot be decrypted|nothing is sent/);

my %swapped = %{ $good->{headers} };
@swapped{qw(x-a x-b)} = @swapped{qw(x-b x-a)};
my @cases = (
    ['another host or port', url => $there->url('/')],
    ['another scheme', url => $here->url('/') =~ s/^http:/https:/r],
    ['another partner', partner => 'bolt'],
    ['the secret of another endpoint', secrets => record($copied)->{secrets}],
    ['a header value under another name', headers => \%swapped],
    ['a secret that is cut short', secrets =>
        [map { substr $_, 0, -4 } @{ $good->{secrets} }]],
);
for (@cases) {
    my ($what, $member, $value) = @$_;
    my ($before, $sent) = ($there->count, $here->count);
    rewrite($name, { %$good, $member => $value,
        revision => $good->{revision} + ++$n });
    ok(says($proc, $name, $else), "$what: the dispatcher says why")
        or diag $proc->stderr;
    put($t, 'orders', 1);
    ok($here->wait_for($sent + 1), '... another endpoint goes on');
    my @new = map { $_->{path} } $here->requests;
    is_deeply([splice @new, $sent], ['/other'], '... nothing else is sent');
    is($there->count, $before, '... nor to any other place');
    ok(wait_for(sub { $t->ctl_ok('endpoint', 'status', $name)
        =~ /state=stalled.*reason=secret/s }), '... the status says so')
        or diag $t->ctl_ok('endpoint', 'status', $name);
    my ($rc, $out) = $t->ctl('verify', '--key-file', $key);
    is($rc, 1, '... verify finds it');
    like($out, qr/$name: a secret cannot be decrypted/, '... and names it');
    ($rc, undef, my $err) = $t->ctl('store', 'rekey', '--key-file',
        $t->secret_file(encode_base64('n' x 32) . encode_base64('k' x 32)));
    is($rc, 1, '... rekey changes nothing');
    like($err, qr/"$name": a secret cannot be decrypted/, '... and says why');
}

# The path is not part of the origin.
my $sent = () = grep { $_->{path} eq '/moved' } $here->requests;
rewrite($name, { %$good, url => $here->url('/moved'),
    revision => $good->{revision} + ++$n });
$proc->kill('HUP');
ok(wait_for(sub { $sent < grep { $_->{path} eq '/moved' } $here->requests }),
    'the record as it was, with another path: what waited is sent');
$t->stop_dispatcher;

###############################################################################
# the OAuth secret, and what it earns

my %oauth = (token_url => $here->url('/token'), client_id => 'us',
    client_secret => 'sesame');
my ($oauth) = made(url => $here->url('/oauth'), oauth => $json->encode(\%oauth));
$good = record($oauth);
$t->ctl_ok('endpoint', 'pause', $_) for $name, $other;
$proc = $t->run_dispatcher('--key-file', $key);
ok(wait_for(sub { $proc->stderr =~ /info: eventsync-dispatcher/ }), 'started');
for my $url (qw(token_url url)) {
    my $bad = { %$good, oauth => { %{ $good->{oauth} } },
        revision => $good->{revision} + ++$n };
    ($url eq 'url' ? $bad : $bad->{oauth})->{$url} = $there->url('/mine');
    rewrite($oauth, $bad);
    ok(says($proc, $oauth, $else), "another $url: the dispatcher says why");
}
put($t, 'orders', 1);
is($there->count, 0, 'nothing is sent there');
$t->stop_dispatcher;
rewrite($oauth, $good);
$t->ctl_ok('endpoint', 'remove', $oauth);

###############################################################################
# another store with the same key

my $format = $t->read_file($t->store . '/format');
my $identity = $format =~ s/^identity \K./0/mr;
$identity = $format =~ s/^identity \K./1/mr if $identity eq $format;
$t->write_file('store/format', $identity);
my ($rc, $out) = $t->ctl('verify', '--key-file', $key);
like($out, qr/$name: a secret cannot be decrypted/,
    'a secret is useless in another store');
$t->write_file('store/format', $format);
is(($t->ctl('verify', '--key-file', $key))[0], 0, 'in its own it is sound');

###############################################################################
# a change by those who may

my $before = record($name);
my @change = ('endpoint', 'change', $name, '--url', $there->url('/new'),
    '--headers={"x-a":"value a"}');
my $err;
($rc, undef, $err) = $t->ctl('endpoint', 'change', $copied, '--url',
    $there->url('/'));
is($rc, 1, 'another origin without the key file is refused');
like($err, qr/^eventsyncctl: endpoint "$copied": the secrets of the store are encrypted under the key \w+: a key file is needed\n\z/,
    '... and why');
($rc, undef, $err) = $t->ctl('endpoint', 'change', $copied, '--url',
    $here->url('/c'));
is($rc, 0, 'another path is not');
($rc, undef, $err) = $t->ctl(@change, '--key-file',
    $t->secret_file(encode_base64('o' x 32)));
is($rc, 1, 'with another key it is refused');
is_deeply(record($name), $before, 'and nothing is changed');

$t->ctl_ok(@change, '--key-file', $key);
isnt(record($name)->{secrets}[0], $before->{secrets}[0],
    'with the key file the signing secret is encrypted anew');
is(($t->ctl('verify', '--key-file', $key))[0], 0, 'and the store is sound');
$t->run_dispatcher('--key-file', $key);
$t->ctl_ok('endpoint', 'resume', $name);
ok($there->wait_for(1), 'events are sent to the new origin');
ok(signature_ok(($there->requests)[0], $secret), 'signed as before');

$t->finish;
done_testing();
