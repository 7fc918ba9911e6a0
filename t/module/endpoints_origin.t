#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# A change of the origin of an endpoint's URL takes no secret elsewhere: it
# gives the secrets again or removes them, and what an operator has set pins the
# origin.

use warnings;
use strict;

use JSON::PP;
use MIME::Base64 qw(encode_base64);
use Test::More;

use lib 't/lib';
use Test::Eventsync;
use Test::Eventsync::Webhooks;

my $t = webhook_store();
$t->{partners}{acme} = 1;
my $key = $t->partner_key('acme', scopes => 'read,manage');
$t->write_file('keys', encode_base64('1' x 32));
chmod 0600, $t->testdir . '/keys';
my $file = $t->testdir . '/keys';
$t->default_conf(http => "eventsync_key_file $file;", location => <<'CONF');
eventsync_endpoints on;
            eventsync_ratelimit_headers off;
CONF
$t->run_nginx;

sub ask {
    my ($method, $path, $body) = @_;
    my $r = $t->http($method => "/v1/endpoints$path", {
        authorization => "Bearer $key", 'content-type' => 'application/json'
    }, $body ? JSON::PP->new->encode($body) : ());
    $r->{json} = Test::Eventsync::json($r->{body}) if $r->{body};
    return $r;
}

sub make {
    my $r = ask(POST => '', { url => 'https://a.example/x',
        feeds => ['orders'], @_ });
    is($r->{status}, 201, 'an endpoint') or diag $r->{body};
    return $r->{json}{name};
}

sub record { Test::Eventsync::json($t->ctl_ok('endpoint', 'show', $_[0])) }

sub refused {
    my ($what, $pointer, $name, %change) = @_;
    my $before = record($name);
    my $r = ask(PATCH => "/$name", \%change);
    is($r->{status}, 400, "$what: refused");
    like($r->{json}{type}, qr/:invalid-body$/, '... as a body');
    is($r->{json}{pointer}, $pointer, '... with the member');
    is_deeply(record($name), $before, '... and nothing has changed');
    return $r->{json}{detail};
}

sub allowed {
    my ($what, $name, %change) = @_;
    my $r = ask(PATCH => "/$name", \%change);
    is($r->{status}, 200, "$what: allowed") or diag $r->{body};
}

my %oauth = (token_url => 'https://t.example/token', client_id => 'acme',
    client_secret => 'once');

###############################################################################
# header values

my $name = make(headers => { 'X-Token' => 'once' });
like(refused('another host', '/headers', $name, url => 'https://b.example/x'),
    qr/another origin/, 'the reason');
refused($_, '/headers', $name, url => $_) for 'http://a.example/x',
    'https://a.example:8443/x', 'https://[2001:db8::1]/';
allowed("the same origin: $_", $name, url => $_) for 'https://a.example/y',
    'https://A.Example:443/x', 'https://a.example./x', 'HTTPS://a.example';
my $sealed = record($name)->{headers}{'X-Token'};
like($sealed, qr/^sealed:/, 'the value is encrypted');
refused('its encrypted text', '/headers/X-Token', $name,
    url => 'https://b.example/x', headers => { 'X-Token' => $sealed });
allowed('its value again', $name, url => 'https://b.example/x',
    headers => { 'X-Token' => 'again' });
allowed('no value any more', $name, url => 'https://c.example/x',
    headers => undef);
is(record($name)->{headers}, undef, 'it is gone');
allowed('nothing to give again', $name, url => 'https://d.example/x');

###############################################################################
# client credentials

$name = make(oauth => \%oauth);
refused('another host', '/oauth', $name, url => 'https://b.example/x');
allowed('with them', $name, url => 'https://b.example/x', oauth => \%oauth);
$sealed = record($name)->{oauth}{client_secret};
refused('another token server with the encrypted text',
    '/oauth/client_secret', $name, oauth => { %oauth,
    token_url => 'https://u.example/', client_secret => $sealed });
allowed('another path with it', $name, oauth => { %oauth,
    token_url => 'https://t.example/t', client_secret => $sealed });
allowed('another token server with the secret', $name, oauth => { %oauth,
    token_url => 'https://u.example/' });
allowed('without them', $name, url => 'https://c.example/', oauth => undef);

###############################################################################
# TLS files and exceptions are the operator's

for my $pin ([client_cert => 'acme.pem'], [ca_file => 'ca.pem'],
    [allow_http => 'yes'], [allow_addresses => '10.1.2.3'], [allow_ports => 99])
{
    my ($member, $value) = @$pin;
    (my $option = $member) =~ tr/_/-/;
    $name = make();
    $t->ctl_ok('endpoint', 'change', $name, "--$option=$value");
    like(refused("another host with $member", '/url', $name,
        url => 'https://b.example/x'), qr/only an operator/, 'the reason');
    refused('a token server', '/oauth/token_url', $name, oauth => \%oauth);
    allowed('another path', $name, url => 'https://a.example/z');
    my ($rc, undef, $err) = $t->ctl('--key-file', $file, 'endpoint',
        'change', $name, '--url=https://b.example/');
    is($rc, 0, 'an operator may');
    like($err, qr{^.*now uses its TLS files and exceptions for https://b\.example$}m,
        '... and is told');
    (undef, undef, $err) = $t->ctl('--key-file', $file, 'endpoint',
        'change', $name, '--url=https://b.example/y');
    unlike($err, qr/now uses/, 'but not without a change');
}

###############################################################################
# operators

$name = make(headers => { 'X-Token' => 'once' }, oauth => \%oauth);
my @change = ('--key-file', $file, 'endpoint', 'change', $name);
my ($rc, undef, $err) = $t->ctl(@change, '--url=https://b.example/');
is($rc, 1, 'an operator gives them again, too');
like($err, qr{\A[^\n]*/headers: [^\n]*--headers=\@FILE[^\n]*\n\z},
    '... in one line with the option');
(undef, undef, $err) = $t->ctl(@change, '--url=https://b.example/', '--headers=');
like($err, qr{\A[^\n]*/oauth: [^\n]*--oauth=\@FILE[^\n]*\n\z},
    '... one after another');
$t->ctl_ok(@change, '--url=https://b.example/', '--headers=', '--oauth=');
is(record($name)->{url}, 'https://b.example/', 'or removes them');

# An endpoint that is restored by its name has what the command gives.
$name = make(headers => { 'X-Token' => 'once' });
$sealed = record($name)->{headers}{'X-Token'};
is(ask(DELETE => "/$name")->{status}, 204, 'an endpoint is removed');
my @restore = ('--key-file', $file, 'endpoint', 'create', 'acme',
    '--feeds=orders', "--name=$name", '--url=https://b.example/');
$t->write_file('headers', qq({"X-Token":"$sealed"}));
chmod 0600, $t->testdir . '/headers';
($rc, undef, $err) = $t->ctl(@restore, '--headers=@' . $t->testdir
    . '/headers');
like($err, qr/encrypted secret is not one of/, 'it is not restored with the encrypted text');
$t->ctl_ok(@restore);
is(record($name)->{headers}, undef, 'nor does it keep the header');

done_testing();
