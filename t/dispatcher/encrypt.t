#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Encrypted fields in webhooks: the ciphertext of the preview in each form of
# the body, in batches and in resends, signed as sent; and an event whose fields
# cannot be encrypted is sent to nobody.

use warnings;
use strict;

use JSON::PP;
use MIME::Base64 qw(decode_base64url);
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store();
my $recv = $t->receiver(200);
my $json = JSON::PP->new->canonical;
my $file = $t->testdir . '/acme.jwk';
my %jwk = (kty => 'EC', crv => 'P-256', kid => 'k1',
    x => 'MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4',
    y => '4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM');
$t->partner('bolt', feeds => '*');

sub jwk {
    $t->write_file('acme.jwk', $json->encode({ %jwk, @_ }));
    $t->ctl_ok(qw(partner change acme), "--encryption-key=$file");
}
sub endpoint {
    my ($path, %opts) = @_;
    return $t->endpoint(delete $opts{partner} // 'acme', feeds => 'orders',
        url => $recv->url($path), start => 'oldest', %opts);
}
sub came { my ($path) = @_; grep { $_->{path} eq $path } $recv->requests }
sub bodies { join "\n", map { $_->{body} } came($_[0]) }
sub publish {
    $t->ctl_ok({ stdin => join '', map { $t->event(id => "e$_",
        data => { mail => "canary-$_", n => 1 }) . "\n" } @_ }, qw(publish orders));
}

# All ciphertexts in a text, sorted.
sub ciphertexts { join ' ', sort $_[0] =~ /"(eyJ[\w.-]+)"/g }

jwk();
$t->ctl_ok(qw(partner change acme), '--fields={"orders":{"encrypt":["/mail"]}}');
publish(1 .. 20);
my @cursors = map { /"cursor":"([^"]+)"/ } split /\n/, $t->ctl_ok('tail', 'orders');

my ($whole, $secret) = endpoint('/whole');
endpoint('/none', ordering => 'none');
endpoint('/batch', batch => 10);
endpoint('/data', body => 'data');
endpoint('/more', fields => '{"orders":{"encrypt":["/n"]}}');
endpoint('/bolt', partner => 'bolt');
my $proc = $t->run_dispatcher;
for my $path (qw(/whole /none /batch /data /more /bolt)) {
    my $n = $path eq '/more' ? 40 : 20;
    ok(wait_for(sub { my $text = bodies($path); $path eq '/bolt'
        ? ($text =~ s/canary//g) == 20 : (() = $text =~ /"eyJ/g) == $n }, 30),
        "$path: all came") or diag($proc->stderr);
}

my $preview = ciphertexts(join '', map {
    $t->ctl_ok(qw(fields preview acme orders), $_) } @cursors);
is(ciphertexts(bodies($_)), $preview, "$_ has the ciphertexts of the preview")
    for qw(/whole /none /batch /data);
unlike(bodies($_), qr/canary/, "$_ has no value") for qw(/whole /none /batch
    /data /more);
like(bodies('/more'), qr/"n":"eyJ/, 'an endpoint may encrypt more');
is_deeply([ grep { !signature_ok($_, $secret) } came('/whole') ], [],
    'what is sent is signed');

$t->ctl_ok(qw(endpoint resend), $whole, 'orders', $cursors[0]);
ok(wait_for(sub { came('/whole') > 20 }, 30), 'a resend');
is(ciphertexts((came('/whole'))[-1]{body}),
    ciphertexts((came('/whole'))[0]{body}), 'has the same ciphertext');

jwk(kid => 'k2');
publish(21);
ok(wait_for(sub { came('/whole') == 22 }, 30), 'after a new key');
my ($header) = (came('/whole'))[-1]{body} =~ /"mail":"(eyJ\w+)/;
is($json->decode(decode_base64url($header))->{kid}, 'k2',
    'events are encrypted to it');

###############################################################################
# nothing falls open

my $record = $t->ctl_ok(qw(partner show acme));
chomp $record;
my $n = 21;
sub damage {
    is(system($t->build . '/helper/damage', $t->store . '/registry', 'objects',
        'pacme', $_[0]), 0, '... the record is written');
    $t->ctl_ok(qw(partner change bolt --feeds=*));
}
for my $case (
    [ 'no key', qr/field lists cannot be applied/,
        sub { s/,"encryption_key":\{.*?\}//r } ],
    [ 'a point off the curve', qr/cannot encrypt fields of feed "orders" for endpoint ep_\w+: the partner's key cannot be used/,
        sub { s/"y":"[^"]+"/"y":"$jwk{x}"/r } ])
{
    my ($why, $says, $change) = @$case;
    my ($log, @before) = (length $proc->stderr, came('/whole'));
    damage($change->()) for $record;
    publish(++$n);
    ok(wait_for(sub { substr($proc->stderr, $log) =~ $says }, 30),
        "$why: the log says so") or diag(substr $proc->stderr, $log);
    ok(wait_for(sub { bodies('/bolt') =~ /canary-$n"/ }, 30),
        '... another partner is sent the event');
    like($t->ctl_ok(qw(endpoint status), $whole), qr/stuck|stall|unread|behind=1/,
        '... the status shows it') or diag($t->ctl_ok(qw(endpoint status), $whole));
    is(scalar came('/whole'), scalar @before, '... and the endpoint is not');
    damage($record);
    ok(wait_for(sub { came('/whole') > @before }, 30), '... until the key is back')
        or diag(substr $proc->stderr, $log);
}
unlike(bodies($_), qr/canary/, "$_ has no value") for qw(/whole /none /batch
    /data /more);
unlike($proc->stderr, qr/canary/, 'nor has the log');

$t->stop_dispatcher;
done_testing();
