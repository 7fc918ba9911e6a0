#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Signatures that anybody can verify: v1a key pairs, their public halves and
# their rotation.

use warnings;
use strict;

use JSON::PP;
use MIME::Base64 qw(encode_base64 decode_base64url);
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

# The key of RFC 8037, appendix A.
my $seed = decode_base64url('nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A');
my $x = '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo';
my $whsk = 'whsk_' . encode_base64($seed . decode_base64url($x), '');
my $whpk = 'whpk_' . encode_base64(decode_base64url($x), '');

my $t = webhook_store();
$t->{partners}{acme} = 1;
my $key = $t->partner_key('acme', scopes => 'read,manage');
my $theirs = $t->partner_key('other', feeds => '*', scopes => 'read,manage');
$t->default_conf(location => "eventsync_endpoints on;\n"
    . 'eventsync_ratelimit_headers off;');
$t->run_nginx;
my $recv = $t->receiver(200);
my $n = 0;

sub ask {
    my ($method, $path, $body, $as) = @_;
    my $r = $t->http($method => "/v1/endpoints$path", {
        authorization => 'Bearer ' . ($as // $key),
        'content-type' => 'application/json'
    }, $body ? JSON::PP->new->encode($body) : ());
    $r->{json} = Test::Eventsync::json($r->{body}) if $r->{body};
    return $r;
}

# What was sent last, once the next event has been.
sub next_request {
    put($t, 'orders', 1);
    ok($recv->wait_for(++$n), 'the next is sent');
    return ($recv->requests)[-1];
}

sub kinds { join ' ', $_[0]{headers}{'webhook-signature'} =~ /(v1a?),/g }

###############################################################################

my $made = ask(POST => '', { url => $recv->url('/hook'),
    feeds => ['orders'] })->{json};
my ($name, $secret) = @{$made}{qw(name secret)};
is_deeply(ask(GET => "/$name/keys")->{json}, { keys => [] }, 'none at first');
is(ask(GET => "/$name/keys", undef, $theirs)->{status}, 404,
    "nobody else's are shown");
$t->run_dispatcher;
is(kinds(next_request()), 'v1', 'signed by v1');

sub rotate {
    my ($body) = @_;
    return $t->in_effect($name, sub { ask(POST => "/$name/rotate", $body) });
}

my $r = rotate({ kind => 'v1a' });
is($r->{status}, 200, 'a key pair');
is($r->{json}{secret}, undef, 'of which nobody is told the private half');
unlike($r->{body}, qr/whsk_/, 'at all');
is_deeply([map { [@{$_}{qw(kind expires)}] } @{ $r->{json}{secrets} }],
    [['v1', undef], ['v1a', undef]], 'beside the secret, which stays');
my $keys = ask(GET => "/$name/keys");
is($keys->{status}, 200, 'the public half');
is($keys->{headers}{'content-type'}, 'application/json', 'JSON');
my ($first, $second) = @{ $keys->{json}{keys} };
is_deeply([@{$first}{qw(kty crv use alg status expires)}],
    ['OKP', 'Ed25519', 'sig', 'EdDSA', 'current', undef], 'is a JWK');
is($first->{whpk}, $r->{json}{secrets}[1]{public_key}, 'shown in both');
is('whpk_' . encode_base64(decode_base64url($first->{x}), ''),
    $first->{whpk}, 'which are the same');
my $request = next_request();
is(kinds($request), 'v1 v1a', 'both sign, v1 first');
ok(signature_ok($request, $secret), 'v1 verifies');
ok(v1a_ok($t, $request, $first->{x}), 'v1a verifies by openssl');
$request->{body} =~ s/orders/0rders/;
ok(!v1a_ok($t, $request, $first->{x}), 'and not if the body is changed');

# Each kind is rotated by itself.
$r = rotate({ kind => 'v1a', overlap => '1h' });
is_deeply([map { $_->{kind} . ($_->{expires} ? ' expires' : '') }
    @{ $r->{json}{secrets} }], ['v1', 'v1a expires', 'v1a'],
    'a new pair replaces the old one only');
($first, $second) = @{ ask(GET => "/$name/keys")->{json}{keys} };
is_deeply([map { $_->{status} } $first, $second], [qw(expiring current)],
    'both are published');
like($first->{expires}, qr/^\d{4}-\S+Z$/, 'with when it ends');
$request = next_request();
is(kinds($request), 'v1 v1a v1a', 'both sign');
ok(v1a_ok($t, $request, $_->{x}), "the $_->{status} one verifies")
    for $first, $second;
$r = rotate({ overlap => '0' });
is_deeply([map { $_->{kind} } @{ $r->{json}{secrets} }], [qw(v1 v1a v1a)],
    'a new secret replaces the old one only');
isnt($r->{json}{secret}, $secret, 'and is told');
$r = rotate({ kind => 'v1a', overlap => '0' });
is_deeply([map { $_->{kind} } @{ $r->{json}{secrets} }], [qw(v1 v1a)],
    'without an overlap the old pairs are gone');
is(scalar @{ ask(GET => "/$name/keys")->{json}{keys} }, 1, 'here, too');

# One's own, by eventsyncctl.
is($t->ctl_ok('endpoint', 'rotate', $name, "--secret=$whsk", '--overlap=0'),
    '', "one's own key is not printed");
my $said = Test::Eventsync::json($t->ctl_ok('endpoint', 'keys', $name));
is_deeply($said, ask(GET => "/$name/keys")->{json},
    'eventsyncctl shows what HTTP does');
is_deeply($said->{keys}[0], { kty => 'OKP', crv => 'Ed25519', x => $x,
    use => 'sig', alg => 'EdDSA', whpk => $whpk, status => 'current',
    kid => 'kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k' },
    'the key of RFC 8037, with its thumbprint');
my $printed = $t->ctl_ok('endpoint', 'rotate', $name, '--kind=v1a',
    '--overlap=1s');
like($printed, qr{^whpk_[\w+/]{43}=\n\z}, 'of a new pair, the public half is');
ok(wait_for(sub {
    @{ ask(GET => "/$name/keys")->{json}{keys} } == 1
}, 20), 'an expired key is not published');

# Public keys need no key file.
my $file = $t->write_file('keyfile', encode_base64('k' x 32));
chmod 0600, $t->testdir . '/keyfile';
$keys = ask(GET => "/$name/keys")->{json};
$t->ctl_ok('store', 'rekey', '--key-file', $t->testdir . '/keyfile');
is_deeply(ask(GET => "/$name/keys")->{json}, $keys,
    'they are the same when the secrets are encrypted');
like($t->ctl_ok('endpoint', 'show', $name), qr/"sealed:/, 'as they are');

###############################################################################
# what is wrong

for ([{ kind => 'v2' }, qr/must be "v1" or "v1a"/],
    [{ kind => 'v1a', secret => $whsk }, qr/"kind" cannot be used with "secret"/],
    [{ kind => 1 }, qr/all strings/])
{
    $r = ask(POST => "/$name/rotate", $_->[0]);
    is($r->{status}, 400, 'a bad rotation');
    like($r->{json}{detail}, $_->[1], '... why');
}
for ([['--kind=v2'], qr/kind must be "v1" or "v1a"/],
    [['--kind=v1', "--secret=$whsk"], qr/a secret states its kind/])
{
    my ($rc, undef, $err) = $t->ctl('endpoint', 'rotate', $name, @{ $_->[0] });
    is($rc, 2, "@{ $_->[0] }");
    like($err, $_->[1], '... why');
}
my ($rc, undef, $err) = $t->ctl('endpoint', 'keys', 'ep_none');
is($rc, 1, 'keys of no endpoint');
like($err, qr/^eventsyncctl: endpoint "ep_none": /, '... it says');
$r = ask(PATCH => "/$name", { secrets => [$whsk] });
is($r->{status}, 400, 'a pair alone is not enough');
like($r->{json}{detail}, qr/receivers verify v1/, '... why');

$t->finish;
done_testing();
