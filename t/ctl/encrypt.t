#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Encryption keys on the command line: what a write refuses, what a preview
# prints, and keys that cannot be read or used.

use warnings;
use strict;

use JSON::PP;
use MIME::Base64 qw(decode_base64url);
use Test::More;

use lib 't/lib';
use Test::Eventsync;

my $t = Test::Eventsync->new;
$t->store_init->feed('orders');
$t->partner('acme', feeds => 'orders');
my $json = JSON::PP->new->canonical;
my $file = $t->testdir . '/acme.jwk';
my $store = $t->store;

my %key = (kty => 'EC', crv => 'P-256', kid => 'k1',
    x => 'MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4',
    y => '4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM');

$t->ctl_ok({ stdin => '{"specversion":"1.0","id":"e1","source":"\\/s","type":'
    . '"t","data":{ "id" : 1, "mail":"canary@a.example","items":[{"p":"canary"},'
    . '{"q":2}]}}' }, 'publish', 'orders');
my ($cursor) = $t->ctl_ok('tail', 'orders') =~ /"cursor":"([^"]+)"/;

sub key {
    $t->write_file('acme.jwk', $json->encode({ %key, @_ }));
    return "--encryption-key=$file";
}
sub change { return $t->ctl_ok('partner', 'change', 'acme', @_) }
sub preview { return $t->ctl('fields', 'preview', 'acme', 'orders', $cursor) }

# The protected headers of the ciphertexts in a text, by field.
sub headers {
    my ($text) = @_;
    return map { ($_->{field} => $_) } map {
        $json->decode(decode_base64url($_)) }
        $text =~ /"(eyJ[\w-]+)(?:\.[\w-]+){4}"/g;
}

sub refused {
    my ($like, $name, @command) = @_;
    my ($rc, $out, $err) = $t->ctl(@command);
    isnt($rc, 0, "$name is refused");
    is($out, '', '... and nothing is printed');
    like($err, $like, '... with the reason');
    is($err =~ tr/\n//, 1, '... in one line');
    unlike($err, qr/canary/, '... which does not have the value');
}

###############################################################################
# keys that a write refuses

my $before = $t->ctl_ok('partner', 'show', 'acme');
my $other = 'Kcxr_lqPDpZKDmlGGCjhNPZcrdZnVWyzDJlPP4IYMLc';
for (
    [ RSA => 'kty: .*"EC"', kty => 'RSA' ],
    [ OKP => 'kty: .*"EC"', kty => 'OKP', crv => 'X25519' ],
    [ 'secp256k1' => 'crv: .*P-384', crv => 'secp256k1' ],
    [ 'a private key' => 'd: .*public', d => $other ],
    [ 'a key without a name' => 'kid: ', kid => '' ],
    [ 'a signing key (alg)' => 'alg: .*ECDH-ES\+A256KW', alg => 'ES256' ],
    [ 'a signing key (use)' => 'use: .*"enc"', use => 'sig' ],
    [ 'a signing key (key_ops)' => 'key_ops: .*deriveKey', key_ops => ['verify'] ],
    [ 'half a point' => 'y: .*32 bytes', y => 'AAAA' ],
    [ 'a point off the curve' => ': .*not on the curve', y => $key{x} ],
) {
    my ($name, $like, @members) = @$_;
    refused(qr{^eventsyncctl: partner "acme": /encryption_key/?$like}, $name,
        'partner', 'change', 'acme', key(@members));
}
refused(qr{"\Q$file\E" is no JSON object: line 1}, 'a file that is not JSON',
    'partner', 'change', 'acme', '--encryption-key='
    . ($t->write_file('acme.jwk', '{"kty"'), $file)[1]);
refused(qr{cannot read "$file-x": No such}, 'a missing file',
    'partner', 'change', 'acme', "--encryption-key=$file-x");
refused(qr{/fields/orders/encrypt: .*"encryption_key"}, 'a list without a key',
    'partner', 'change', 'acme', '--fields={"orders":{"encrypt":["/mail"]}}');
is($t->ctl_ok('partner', 'show', 'acme'), $before, 'nothing has changed');

###############################################################################
# what is sent

change(key());
change('--fields={"orders":{"allow":["/mail","/items"],"encrypt":["/mail",'
    . '"/items/*/p"]}}');
refused(qr{/fields/orders/encrypt: .*"encryption_key"}, 'the key is needed',
    'partner', 'change', 'acme', '--encryption-key=');

my ($rc, $out, $err) = preview();
is($rc, 0, 'a preview') or diag($err);
my %first = headers($out);
is_deeply([sort keys %first], ['/data/items/0/p', '/data/mail'],
    'has the ciphertexts');
unlike($out, qr/canary|"id" : 1/, 'and nothing else of the values');
like($out, qr/"data":\{"mail":"eyJ[^"]+","items":\[\{"p":"eyJ[^"]+"\},\{"q":2\}\]\}\}$/,
    'in their places');
delete $first{'/data/mail'}{epk};
is_deeply($first{'/data/mail'}, { alg => 'ECDH-ES+A256KW', enc => 'A256GCM',
    cty => 'json', kid => 'k1', feed => 'orders', event_source => '/s',
    event_id => 'e1', field => '/data/mail' }, 'the header binds the text');
is((preview())[1], $out, 'it is the same again');

change(key(kid => 'k2'));
my %second = headers((preview())[1]);
is($second{'/data/mail'}{kid}, 'k2', 'a new key has another ciphertext');
change(key());
is((preview())[1], $out, 'and the first key that which was kept');

###############################################################################
# nothing falls open

my $record = $t->ctl_ok('partner', 'show', 'acme');
chomp $record;
for (
    [ 'no key', 'cannot be read', sub { $_[0] =~ s/,"encryption_key":\{.*?\}//r } ],
    [ 'another type', 'cannot be read', sub { $_[0] =~ s/"EC"/"RSA"/r } ],
    [ 'a cut key', 'cannot be read', sub { $_[0] =~ s/"y":"..../"y":"/r } ],
    [ 'a point off the curve', 'cannot be used',
        sub { $_[0] =~ s/"y":"[^"]+"/"y":"$key{x}"/r } ],
    [ 'another list', 'cannot be read',
        sub { $_[0] =~ s/"encrypt":\[/"encrypt":[1,/r } ],
) {
    my ($name, $like, $damage) = @$_;
    my $damaged = $damage->($record);
    isnt($damaged, $record, "a damaged record: $name");
    is(system($t->build . '/helper/damage', "$store/registry", 'objects',
        'pacme', $damaged), 0, '... is written');
    refused(qr{sent to nobody: .*$like}, 'the event', 'fields', 'preview',
        'acme', 'orders', $cursor);
    is(system($t->build . '/helper/damage', "$store/registry", 'objects',
        'pacme', $record), 0, '... and mended');
    is((preview())[1], $out, '... the event is as before');
}

rename "$store/encrypted", "$store/kept";
{ open my $fh, '>', "$store/encrypted" or die $! }
refused(qr{sent to nobody: .*encrypted}, 'without a place to keep it', 'fields',
    'preview', 'acme', 'orders', $cursor);
unlink "$store/encrypted";
is((preview())[0], 0, 'a lost environment is made anew');
isnt((preview())[1], $out, '... with other ciphertexts');

done_testing();
