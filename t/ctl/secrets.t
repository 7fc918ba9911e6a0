#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Secrets at rest: encrypted under a key file, and never stored, sent or
# guessed without it.

use warnings;
use strict;

use MIME::Base64 qw(encode_base64);
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store();
my $recv = $t->receiver(200);
my ($n, $nkey) = (0, 0);
my @key = map { encode_base64(chr(65 + $_) x 32, '') } 0 .. 2;
# Another kind: ed25519.
my $whsk = ed25519_secret();

sub key_file {
    my ($text, $mode) = @_;
    my $name = 'keys' . ++$nkey;
    $t->write_file($name, $text);
    chmod $mode // 0600, $t->testdir . "/$name";
    return $t->testdir . "/$name";
}

# Starts something that must not run; what it says.
sub dies {
    my ($what, @args) = @_;
    my $proc = $t->run_dispatcher(@args);
    my $rc = $proc->wait(20);
    is($rc, 1, "$what: exit 1");
    $t->allow_errors(qr/encrypted under|key file/);
    my $said = $proc->stderr;
    delete $t->{dispatcher};
    return $said;
}

sub registry {
    open my $fh, '<:raw', $t->store . '/registry/data.mdb' or die;
    local $/;
    return scalar <$fh>;
}

sub shown { Test::Eventsync::json($t->ctl_ok('endpoint', 'show', $_[0])) }
sub text { ref $_[0] ? $_[0]{secret} : $_[0] }

sub one_sent {
    my ($what, @secrets) = @_;
    put($t, 'orders', 1);
    $n++;
    ok($recv->wait_for($n), "$what: sent");
    my ($last) = reverse $recv->requests;
    ok(signature_ok($last, $_), '... and signed') for @secrets;
    my @tokens = split / /, $last->{headers}{'webhook-signature'};
    is(scalar @tokens, scalar @secrets, '... by no other');
}

###############################################################################
# the key file

my @bad = (
    ['', 0600, qr/is empty/, 'an empty file'],
    ["# nothing\n\n", 0600, qr/has no key/, 'comments alone'],
    ["c2hvcnQ=\n", 0600, qr/line 1 is not 32 bytes in base64/, 'a short key'],
    ["$key[0]\n!$key[0]\n", 0600, qr/line 2 is not/, 'not base64'],
    ["$key[0]\n" x 17, 0600, qr/more than 16 keys/, 'too many'],
    ['#' x 5000, 0600, qr/is too large/, 'a large file'],
    ["$key[0]\n", 0644, qr/mode 0600 or 0640, not 0644/, 'readable by others'],
    ["$key[0]\n", 0660, qr/mode 0600 or 0640, not 0660/,
        'writable by the group'],
);
for (@bad) {
    my ($text, $mode, $says, $what) = @$_;
    my ($rc, undef, $err) = $t->ctl('store', 'rekey', '--key-file',
        key_file($text, $mode));
    is($rc, 1, "$what is refused");
    like($err, qr/^eventsyncctl: key file ".*$says[^\n]*\n\z/s, '... why');
}
my ($rc, undef, $err) = $t->ctl('store', 'rekey', '--key-file=/nonexistent');
is($rc, 1, 'no file');
like($err, qr/cannot be opened: No such file/, '... why');
($rc, undef, $err) = $t->ctl('store', 'rekey', '--key-file', $t->testdir);
like($err, qr/must be a file of mode/, 'a directory is none');
is(($t->ctl('store', 'rekey'))[0], 2, 'rekey needs a key file');

###############################################################################
# without a key

my ($plain, $old) = $t->endpoint('acme', url => $recv->url('/plain'),
    feeds => 'orders');
is(shown($plain)->{secrets}[0], $old, 'without a key file it is plain');
my $dispatcher = $t->run_dispatcher;
ok(wait_for(sub { $dispatcher->stderr =~ /no --key-file.*plain text/ }),
    'the dispatcher warns of that');
one_sent('a plain secret', $old);
$t->stop_dispatcher;

###############################################################################
# encrypted

my $file = key_file("# the first\n\n$key[0]\n", 0640);
# What is kept beside the records is left alone.
$t->ctl_ok({ stdin => '{"type":"object"}' }, 'type', 'register', 'order.made',
    '1.0.0');
my ($out) = $t->ctl_ok('store', 'rekey', '--key-file', $file);
is($out, "1 secret encrypted\n", 'what was plain is encrypted');
is($t->ctl_ok('store', 'rekey', '--key-file', $file),
    "0 secrets encrypted\n", 'once');
my ($kid) = text(shown($plain)->{secrets}[0])
    =~ m{^sealed:([a-z2-7]{8}):[\w+/]{16}:[\w+/=]+:[\w+/]{22}==\z};
ok($kid, 'as key id, nonce, ciphertext and tag');
ok($t->verify, 'the store is good without the key');
is(($t->ctl('verify', '--key-file', $file))[0], 0, 'and with it');

my ($name, $secret) = $t->endpoint('acme', url => $recv->url('/both'),
    feeds => 'orders', key_file => $file);
like(text(shown($name)->{secrets}[0]), qr/^sealed:$kid:/,
    'a new secret is encrypted');
unlike(registry(), qr/\Q$secret\E/, 'and not to be found in the store');
isnt(text(shown($name)->{secrets}[0]), text(shown($plain)->{secrets}[0]),
    'no two are alike');

$t->ctl_ok('endpoint', 'pause', $plain);
ok(shown($plain)->{paused}, 'what is no secret can be changed without a key');
for my $args (
    ['endpoint', 'create', 'acme', '--url', $recv->url, '--feeds=orders'],
    ['endpoint', 'rotate', $name],
    ['endpoint', 'change', $name, "--secret=$secret"])
{
    ($rc, undef, $err) = $t->ctl(@$args);
    is($rc, 1, "$args->[1] needs the key");
    like($err, qr/encrypted under the key $kid: a key file is needed/,
        '... and says so');
}
my $other = key_file("$key[1]\n");
($rc, undef, $err) = $t->ctl('endpoint', 'rotate', $name, '--key-file',
    $other);
is($rc, 1, 'another key will not do');
like($err, qr/key $kid; the key file does not contain it/, '... and says so');

my $stolen = text(shown($plain)->{secrets}[0]);
($rc, undef, $err) = $t->ctl('endpoint', 'change', $name,
    "--secret=$stolen", '--key-file', $file);
is($rc, 1, 'the secret of another endpoint is not taken');
like($err, qr/an encrypted secret is not one of the endpoint's own/, '... why');

like(dies('no key file'), qr/encrypted under the key $kid: a key file/,
    '... and why');
like(dies('the wrong key', '--key-file', $other),
    qr/key $kid; the key file does not contain it/, '... and why');
like(dies('no such file', '--key-file=/nonexistent'),
    qr{"/nonexistent" cannot be opened}, '... and why');

$t->run_dispatcher('--key-file', $file);
one_sent('an encrypted secret', $secret);
my $next = $t->ctl_ok('endpoint', 'rotate', $name, '--key-file', $file);
chomp $next;
one_sent('rotated', $next, $secret);

$t->ctl_ok('endpoint', 'change', $name, "--secret=$secret,$whsk",
    '--key-file', $file);
like(text(shown($name)->{secrets}[1]), qr/^sealed:$kid:.*:whpk_[\w+\/]{43}=\z/,
    'the public half of a v1a key is public');
put($t, 'orders', 1);
ok($recv->wait_for(++$n), 'v1a');
like(($recv->requests)[-1]{headers}{'webhook-signature'},
    qr{^v1,\S+ v1a,[\w+/]{86}==\z}, '... signs as well');
$t->ctl_ok('endpoint', 'change', $name, "--secret=$secret", '--key-file',
    $file);

###############################################################################
# another key

# The dispatcher has the file and looks at it again when it needs another key.
my $two = "$key[1]\n$key[0]\n";
write_keys($file, $two);
is($t->ctl_ok('store', 'rekey', '--key-file', $file),
    "2 secrets encrypted\n", 'all are encrypted under the new key');
unlike(text(shown($_)->{secrets}[0]), qr/^sealed:$kid:/, 'by its id')
    for $plain, $name;
one_sent('by a dispatcher that still runs', $secret);
write_keys($file, "$key[1]\n");
is(($t->ctl('verify', '--key-file', $file))[0], 0,
    'the old key is needed no more');
$t->stop_dispatcher;
$t->run_dispatcher('--key-file', $file);
one_sent('with the new key alone', $secret);
$t->stop_dispatcher;

# A key that comes into the dispatcher's file only later.
my $late = key_file("$key[1]\n");
my $proc = $t->run_dispatcher('--key-file', $late);
one_sent('as ever', $secret);
write_keys($file, "$key[2]\n$key[1]\n");
$t->ctl_ok('store', 'rekey', '--key-file', $file);
ok(wait_for(sub { $proc->stderr =~ /$name: a secret cannot be decrypted/ }),
    'without the key the dispatcher says so');
$t->allow_errors(qr/cannot be decrypted|key file does not contain/);
put($t, 'orders', 1);
is(($t->ctl('endpoint', 'test', $name))[0], 1, 'not even a test event is sent');
is($recv->count, $n, 'nor anything else');
write_keys($late, "$key[2]\n");
$proc->kill('HUP');
ok($recv->wait_for(++$n), 'with it, what waited is sent');
one_sent('and what is new', $secret);
$t->stop_dispatcher;
$key[1] = $key[2];

my $raw = key_file('C' x 32);
is(($t->ctl('verify', '--key-file', $raw))[0], 0, 'a file of 32 raw bytes');

($rc, undef, $err) = $t->ctl('store', 'rekey', '--key-file',
    key_file("$key[0]\n"));
is($rc, 1, 'rekey needs the old key as well');
like($err, qr/key file does not contain/, '... and says so');

ok($t->verify, 'nothing is wrong after all that');
$t->finish;
done_testing();

###############################################################################

sub write_keys {
    my ($path, $text) = @_;
    open my $fh, '>', $path or die "$path: $!\n";
    print $fh $text;
    close $fh or die;
}

sub ed25519_secret {
    my $pem = qx(openssl genpkey -algorithm ed25519 -outform DER);
    my $seed = substr $pem, -32;
    open my $fh, '>:raw', $t->testdir . '/ed.der' or die;
    print $fh $pem;
    close $fh or die;
    my $file = $t->testdir . '/ed.der';
    my $pub = qx(openssl pkey -inform DER -in $file -pubout -outform DER);
    return 'whsk_' . encode_base64($seed . substr($pub, -32), '');
}
