#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# The programs of docs/fields.md decrypt what is sent, and refuse a text that
# belongs to another place.

use warnings;
use strict;

use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync;

my $t = Test::Eventsync->new;
my $json = JSON::PP->new->canonical->allow_nonref;
my $page = do { open my $fh, '<', 'docs/fields.md' or die; local $/; <$fh> };
my $jose = $t->build . '/node_modules/jose';
my $dir = $t->testdir;

# Debian's own may not be the first of the path.
my ($python) = grep { system("$_ -c 'import jwcrypto' 2>/dev/null") == 0 }
    qw(python3 /usr/bin/python3);

my %try = (
    js => {
        missing => -d $jose ? 0 : 'npm has not installed jose: make verifier',
        file => 'decrypt.mjs',
        run => "node $dir/run.mjs",
        make => "node $dir/make.mjs",
    },
    python => {
        missing => $python ? 0
            : 'python3-jwcrypto is not there: ./install-deps.sh guides',
        file => 'decrypt.py',
        run => ($python // '') . " -B $dir/run.py",
        make => ($python // '') . " -B $dir/make.py",
    },
);

symlink $jose =~ m{^/} ? $t->build . '/node_modules'
    : "$ENV{PWD}/" . $t->build . '/node_modules', "$dir/node_modules";
$t->write_file('crypto.mjs', <<'JS');
import { webcrypto } from 'node:crypto';
globalThis.crypto ??= webcrypto;
JS
$t->write_file('make.mjs', <<'JS');
import './crypto.mjs';
const { exportJWK, generateKeyPair } = await import('jose');
const pair = await generateKeyPair('ECDH-ES+A256KW', { crv: process.argv[2],
  extractable: true });
console.log(JSON.stringify(await exportJWK(pair.privateKey)));
JS
$t->write_file('run.mjs', <<'JS');
import './crypto.mjs';
import { readFileSync } from 'node:fs';
const { decrypt } = await import('./decrypt.mjs');
const { text, keys, event, field } = JSON.parse(readFileSync(0));
console.log(JSON.stringify(await decrypt(text, keys, event, field)));
JS
$t->write_file('make.py', <<'PY');
import sys
from jwcrypto import jwk
print(jwk.JWK.generate(kty="EC", crv=sys.argv[1]).export())
PY
$t->write_file('run.py', <<'PY');
import json, sys
from decrypt import decrypt
a = json.load(sys.stdin)
print(json.dumps(decrypt(a["text"], a["keys"], a["event"], a["field"])))
PY

$t->store_init->feed('orders');
$t->partner('acme', feeds => 'orders');
$t->ctl_ok({ stdin => '{"specversion":"1.0","id":"e1","source":"/shop","type":"t",'
    . '"data":{"mail": "\u0061@b.example","items":[{"price":12.50},{"n":1}]}}' },
    'publish', 'orders');
my ($cursor) = $t->ctl_ok('tail', 'orders') =~ /"cursor":"([^"]+)"/;

for my $lang (sort keys %try) {
    my $try = $try{$lang};
    SKIP: {
        skip $try->{missing}, 1 if $try->{missing};
        my ($code) = $page =~ /^```$lang\n(.*?)^```/ms;
        ok($code, "$lang: the page has a program") or next;
        $t->write_file($try->{file}, $code);
        tries($lang, $_) for qw(P-256 P-384 P-521);
    }
}

done_testing();

sub tries {
    my ($lang, $crv) = @_;
    my $private = $json->decode(scalar `$try{$lang}{make} $crv`);
    my %public = (%$private, kid => "k-$lang-$crv");
    delete @public{qw(d ext key_ops)};
    $t->write_file('acme.jwk', $json->encode(\%public));
    $t->ctl_ok('partner', 'change', 'acme', "--encryption-key=$dir/acme.jwk",
        '--fields={"orders":{"encrypt":["/mail","/items/*/price"]}}');
    my $event = $json->decode($t->ctl_ok('fields', 'preview', 'acme', 'orders',
        $cursor));
    my $text = $event->{data}{mail};
    my %ask = (event => $event, keys => { $public{kid} => $private },
        text => $text, field => '/data/mail');

    is(run($lang, %ask), '"a@b.example"', "$lang: a value under $crv");
    is(run($lang, %ask, text => $event->{data}{items}[0]{price},
        field => '/data/items/0/price'), '12.5', '... and a number in an array');
    is(run($lang, %ask, field => '/data/name'), '', '... not at another field');
    is(run($lang, %ask, event => { %$event, id => 'e2' }), '',
        '... nor in another event');
    is(run($lang, %ask, event => { %$event, source => '/x' }), '',
        '... nor of another source');
    is(run($lang, %ask, keys => {}), '', '... nor without the key');
    substr $text, -6, 1, substr($text, -6, 1) eq 'A' ? 'B' : 'A';
    is(run($lang, %ask, text => $text), '', '... nor a changed text');
}

# What the program prints; nothing if it fails.
sub run {
    my ($lang, %ask) = @_;
    $t->write_file('ask.json', $json->encode(\%ask));
    my $out = `$try{$lang}{run} <$dir/ask.json 2>$dir/stderr`;
    chomp $out;
    return $out;
}
