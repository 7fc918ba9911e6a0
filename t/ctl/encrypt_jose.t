#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# What libjose encrypts, another implementation decrypts: npm jose, for keys of
# each curve that jose has made itself.

use warnings;
use strict;

use IPC::Open2;
use JSON::PP;
use MIME::Base64 qw(decode_base64 encode_base64url);
use Test::More;

use lib 't/lib';
use Test::Eventsync;

my $t = Test::Eventsync->new;
my $jose = $t->build . '/node_modules/jose';
plan skip_all => 'npm has not installed jose: make verifier' if !-d $jose;
$jose = "$ENV{PWD}/$jose" if $jose !~ m{^/};

my $json = JSON::PP->new->canonical->allow_nonref;
my $pid = open2(my $from, my $to, 'node', 't/node/decrypt.js', $jose);

for my $crv (qw(P-256 P-384 P-521)) {
    my $pair = ask({ make => $crv });
    my $other = ask({ make => $crv });
    $t->write_file('key.jwk', $json->encode($pair->{public}));

    for my $plain ('"a@b"', '{"n": 1.50, "\u0041":[]}', '1', 'x' x 100_000) {
        my $jwe = encrypt($plain);
        my $got = ask({ jwk => $pair->{private}, jwe => $jwe });

        is(decode_base64($got->{plain} // ''), $plain,
            "$crv: jose decrypts " . substr $plain, 0, 20);
        my $epk = delete $got->{header}{epk};
        is($epk->{crv}, $crv, 'with an ephemeral key of the curve');
        is($json->encode($got->{header}), $json->encode({
            alg => 'ECDH-ES+A256KW', enc => 'A256GCM', cty => 'json',
            kid => "k-$crv", feed => 'orders', event_source => '/shop',
            event_id => "evt-\xc3\xa9", field => '/data/mail' }),
            'and the header says where the text belongs');
    }

    my $jwe = encrypt('"a@b"');
    ok(ask({ jwk => $other->{private}, jwe => $jwe })->{error},
        "$crv: another key decrypts nothing");
    for my $member (qw(event_id event_source feed field kid)) {
        ok(ask({ jwk => $pair->{private}, jwe => moved($jwe, $member) })
            ->{error}, "$crv: nor with another $member");
    }
}

close $to;
waitpid $pid, 0;

done_testing();

sub ask {
    my ($request) = @_;
    print {$to} $json->encode($request), "\n";
    $to->flush;
    return $json->decode(scalar readline $from);
}

sub encrypt {
    my ($plain) = @_;
    my $pid = open2(my $out, my $in, $t->build . '/helper/encrypt',
        $t->testdir . '/key.jwk', 'orders', '/shop', "evt-\xc3\xa9",
        '/data/mail');
    print {$in} $plain;
    close $in;
    chomp(my $jwe = readline($out) // '');
    waitpid $pid, 0;
    return $jwe;
}

# The same text for another place.
sub moved {
    my ($jwe, $member) = @_;
    my ($head, $rest) = split /\./, $jwe, 2;
    my $header = $json->decode(decode_base64($head =~ tr{-_}{+/}r));
    $header->{$member} .= 'x';
    return encode_base64url($json->encode($header)) . ".$rest";
}
