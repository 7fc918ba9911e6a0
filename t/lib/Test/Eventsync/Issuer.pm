# SPDX-License-Identifier: BSD-2-Clause

package Test::Eventsync::Issuer;

# An external issuer: keys made by openssl, its file of public keys, and tokens,
# also such as no issuer would sign.
#
#     my $issuer = Test::Eventsync::Issuer->new($t, iss => $iss, aud => $aud);
#     $issuer->key(ec => 'ES256');
#     $issuer->keys_are('jwks', 'ec');        # jwks.json of the test
#     $issuer->token(claims => { scope => 'read' });

use warnings;
use strict;

use JSON::PP;
use MIME::Base64 qw(encode_base64url);

my $json = JSON::PP->new->canonical;

sub new {
    my ($class, $t, %opts) = @_;
    return bless { t => $t, %opts, alg => {}, jwk => {} }, $class;
}

sub file { return $_[0]{t}->testdir . "/$_[1]" }
sub jwk { return $_[0]{jwk}{ $_[1] } }
sub alg { return $_[0]{alg}{ $_[1] } }

sub run {
    my @command = @_;
    open my $fh, '-|', @command or die "$command[0]: $!\n";
    binmode $fh;
    local $/;
    my $out = <$fh>;
    close $fh or die "@command failed\n";
    return $out;
}

# A key in a file, and its public JWK.  Options: bits.
sub key {
    my ($self, $kid, $alg, %o) = @_;
    my ($type, @opts) = $alg eq 'EdDSA' ? ('ED25519')
        : $alg eq 'ES256' ? ('EC', '-pkeyopt', 'ec_paramgen_curve:P-256')
        : ('RSA', '-pkeyopt', 'rsa_keygen_bits:' . ($o{bits} // 2048));
    my $pem = $self->file("$kid.pem");
    run('sh', '-c', 'openssl genpkey -algorithm "$@" 2>/dev/null', 'sh', $type,
        @opts, '-out', $pem);
    my $der = run(qw(openssl pkey -pubout -outform DER -in), $pem);
    my %jwk = (kid => $kid, alg => $alg, use => 'sig');

    if ($type eq 'ED25519') {
        @jwk{qw(kty crv x)} = ('OKP', 'Ed25519', encode_base64url(substr $der, -32));
    } elsif ($type eq 'EC') {
        @jwk{qw(kty crv x y)} = ('EC', 'P-256', map { encode_base64url($_) }
            substr($der, -64, 32), substr $der, -32);
    } else {
        my ($n) = run(qw(openssl rsa -modulus -noout -in), $pem) =~ /Modulus=(\w+)/;
        @jwk{qw(kty n e)} = ('RSA', encode_base64url(pack 'H*', $n), 'AQAB');
    }
    $self->{alg}{$kid} = $alg;
    return $self->{jwk}{$kid} = \%jwk;
}

# The keys of a file, by their ids.
sub keys_are {
    my ($self, $name, @kids) = @_;
    $self->{t}->replace_file("$name.json",
        $json->encode({ keys => [ map { $self->jwk($_) } @kids ] }));
}

# A signature of the text by a key's file, as JOSE has it.
sub sign {
    my ($self, $kid, $alg, $text) = @_;
    $self->{t}->write_file('text', $text);
    my ($pem, $file) = ($self->file("$kid.pem"), $self->file('text'));
    return run(qw(openssl pkeyutl -sign -rawin -inkey), $pem, '-in', $file)
        if $alg eq 'EdDSA';
    my $out = run(qw(openssl dgst -sha256 -sign), $pem, $alg eq 'PS256'
        ? qw(-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32) : (), $file);
    return $out if $alg ne 'ES256';

    # two integers in DER
    my (undef, $r, $s) = unpack 'a2 x C/a x C/a', $out;
    return join '', map { substr "\0" x 32 . $_, -32 } $r, $s;
}

# A token; what is given replaces members, and undef removes one.
sub token {
    my ($self, %opts) = @_;
    my $kid = $opts{key} // 'ec';
    my %header = (alg => $self->alg($kid), kid => $kid, typ => 'at+jwt',
        %{ $opts{header} // {} });
    my %claims = (iss => $self->{iss}, aud => $self->{aud}, sub => 'x',
        partner => 'acme', scope => 'openid read publish ack', iat => time,
        exp => time + 600, %{ $opts{claims} // {} });
    for my $part (\%header, \%claims) {
        delete @{$part}{ grep { !defined $part->{$_} } keys %$part };
    }
    my $text = join '.', encode_base64url($opts{header_text} // $json->encode(\%header)),
        encode_base64url($opts{claims_text} // $json->encode(\%claims));
    return "$text." . encode_base64url($opts{signature} ? $opts{signature}->($text)
        : $self->sign($opts{signer} // $kid, $opts{sign_alg} // $self->alg($kid), $text));
}

1;
