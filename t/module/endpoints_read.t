#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Webhooks have events in them, so that managing is not enough to have them
# sent: the scope "read" is needed, too.  An endpoint remembers the key that
# made it, and ends with the key if the operator says so.

use warnings;
use strict;

use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store();
$t->feed($_) for qw(a-one a-two);
$t->{partners}{acme} = 1;
my $key = $t->partner_key('acme', scopes => 'read,manage');
my $manager = $t->partner_key('acme', scopes => 'manage');
my $reader = $t->partner_key('acme', scopes => 'read');
my $narrow = $t->partner_key('acme', scopes => 'read,manage',
    key_feeds => 'a-*');
$t->write_file('token.jwk', JSON::PP->new->encode({ keys => [{
    kty => 'oct', kid => 'k1', alg => 'HS256',
    k => 'c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3JldA' }] }));
chmod 0600, $t->testdir . '/token.jwk';
my $jwk = $t->testdir . '/token.jwk';
$t->default_conf(http => "eventsync_token_keys $jwk;", location => <<'CONF');
eventsync_endpoints on;
            eventsync_token on;
            eventsync_ratelimit_headers off;
CONF
$t->run_nginx;
put($t, 'orders', 2);
my ($epoch) = (stored($t, 'orders'))[0] =~ /"cursor":"(\w+)-1"/;

sub ask {
    my ($as, $method, $path, $body) = @_;

    $body = JSON::PP->new->encode($body) if $body;
    my $r = $t->http($method => "/v1/endpoints$path", {
        authorization => "Bearer $as",
        ($body ? ('content-type' => 'application/json') : ()) }, $body // ());
    $r->{json} = eval { Test::Eventsync::json($r->{body}) } if $r->{body};
    return $r;
}

sub token {
    my ($as, $scope) = @_;
    my ($id) = $as =~ /^esk_([a-z2-7]+)_/;
    my $r = $t->http(POST => '/v1/token',
        { 'content-type' => 'application/x-www-form-urlencoded' },
        "grant_type=client_credentials&client_id=$id&client_secret=$as"
        . "&scope=$scope");
    return Test::Eventsync::json($r->{body})->{access_token}
        // die "no token: $r->{body}\n";
}

sub make {
    my ($as, %members) = @_;
    return ask($as, POST => '', { url => 'https://a.example/x',
        feeds => ['orders', 'a-*'], types => ['order.*'], subject => 's',
        body => 'thin', %members });
}

sub refused {
    my ($r, $what) = @_;
    is($r->{status}, 403, $what);
    like($r->{json}{type} // '', qr/:forbidden$/, '... as out of scope');
    like($r->{json}{detail} // '', qr/"read"/, '... which says the scope');
    like($r->{headers}{'www-authenticate'} // '', qr/scope="read"/,
        '... also in the challenge');
}

###############################################################################
# what needs both scopes

my $r = make($key);
is($r->{status}, 201, 'with both scopes an endpoint is created');
my $name = $r->{json}{name};
my $before = $t->ctl_ok('endpoint', 'show', $name);

for ([$manager, 'a key'], [token($key, 'manage'), 'a token']) {
    my ($as, $who) = @$_;
    refused(make($as), "$who that only manages creates none");
    refused(ask($as, PATCH => "/$name", $_->[0]), "$who changes no $_->[1]")
        for [{ url => 'https://b.example/' }, 'host'],
        [{ url => 'https://a.example/y' }, 'path'],
        [{ feeds => ['orders', 'a-*', 'b'] }, 'list to more feeds'],
        [{ feeds => ['*'] }, 'list to all feeds'],
        [{ types => ['order.*', 'price'] }, 'list to more types'],
        [{ types => undef }, 'list to all types'],
        [{ subject => 't' }, 'subject'],
        [{ subject => undef }, 'subject to all'],
        [{ start => 'oldest' }, 'start'],
        [{ body => 'whole' }, 'body to the whole'],
        [{ body => undef }, 'body to its default'];
    refused(ask($as, POST => "/$name/replay",
        { feed => 'orders', from => 'oldest' }), "$who replays nothing");
    refused(ask($as, POST => "/$name/resend",
        { feed => 'orders', cursor => "$epoch-1" }), "$who resends nothing");
    refused(ask($as, POST => "/$name/redrive"), "$who redrives nothing");
}
is($t->ctl_ok('endpoint', 'show', $name), $before, 'nothing has changed');

is(make($reader)->{status}, 403, 'reading alone is not enough either');
my $both = token($key, 'read%20manage');
is(make($both)->{status}, 201, 'a token with both scopes is');
is(make($narrow)->{status}, 403, 'a narrowed key needs all feeds');
is(make($narrow, feeds => ['a-one'])->{status}, 201, '... or names its own');
is(ask($both, POST => "/$name/replay", { feed => 'orders',
    from => 'oldest' })->{status}, 202, 'with both scopes events are replayed');

###############################################################################
# what needs none

is(ask($manager, @$_)->{status}, 200, "$_->[0] $_->[1] needs no read")
    for [GET => "/$name"], [GET => "/$name/status"],
    [PATCH => "/$name", { feeds => ['orders', 'a-one'] }],
    [PATCH => "/$name", { types => ['order.paid', 'order.x.*'] }],
    [PATCH => "/$name", { url => 'https://a.example/x', start => 'latest',
        body => 'thin', subject => 's', timeout => '3s' }],
    [POST => "/$name/pause"], [POST => "/$name/resume"],
    [POST => "/$name/rotate"];
is(ask($manager, PATCH => "/" . make($key, subject => undef,
    types => undef)->{json}{name}, { subject => 's', types => ['a'] })
    ->{status}, 200, 'a filter where there was none narrows');

###############################################################################
# keys with what they made

sub record { Test::Eventsync::json($t->ctl_ok('endpoint', 'show', $_[0])) }
sub id { $_[0] =~ /^esk_([a-z2-7]+)_/ ? $1 : die }

my $leaked = $t->partner_key('acme', scopes => 'read,manage');
my @made = sort map { make($leaked)->{json}{name} } 1 .. 3;
push @made, make(token($leaked, 'read%20manage'))->{json}{name};
@made = sort @made;
my $mine = $t->endpoint('acme', url => 'https://a.example/', feeds => 'orders');

is(record($_)->{made_by}, id($leaked), 'an endpoint remembers its key')
    for @made;
is(record($mine)->{made_by}, undef, '... but none that an operator made');
is(ask($leaked, GET => "/$made[0]")->{json}{made_by}, undef,
    '... and shows it to operators only');
$r = make($key, made_by => 'aaaaaaaaaa');
is($r->{status}, 400, 'nobody sets it');
is($r->{json}{pointer}, '/made_by', '... says the pointer');
is(ask($key, PATCH => "/$name", { made_by => undef })->{status}, 400,
    'nor takes it away');
is(ask($key, PATCH => "/$made[1]", { timeout => '5s' })->{status}, 200,
    'another key changes one');
is(record($made[1])->{made_by}, id($leaked), '... and it was still made so');

$t->ctl_ok('endpoint', 'pause', $made[0]);
my @said = split /\n/, $t->ctl_ok('key', 'revoke', id($leaked),
    '--with-endpoints');
is_deeply([sort @said], [@made[1 .. $#made]],
    'a key is revoked with its endpoints');
is(ask($leaked, GET => '')->{status}, 401, 'it is not valid any more');
ok(record($_)->{paused}, 'an endpoint of it is paused') for @made;
ok(!record($_)->{paused}, 'others are not') for $name, $mine;
is(make($leaked)->{status}, 401, 'it makes no more');
is($t->ctl_ok('key', 'revoke', id($leaked), '--with-endpoints'), '',
    'there is nothing left to pause');

my $other = $t->partner_key('acme', scopes => 'read,manage');
my $kept = make($other)->{json}{name};
$t->ctl_ok('key', 'revoke', id($other));
ok(!record($kept)->{paused}, 'without the option endpoints stay');

done_testing();
