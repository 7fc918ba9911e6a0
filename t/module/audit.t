#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# The audit over HTTP.  The table below has each operation of openapi.json that
# writes: either a request that must leave one entry, or why it leaves none.

use warnings;
use strict;

use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my %none = (
    publishEvents => 'the log says who published',
    putCheckpoint => 'a partner moves its own position',
    removeCheckpoint => 'the same',
    createToken => 'nothing is stored',
);

my $t = webhook_store(workers => 1);
$t->ctl_ok(qw(partner change acme --feeds=orders));
my $key = $t->partner_key('acme', scopes => 'read,manage');
my ($id) = $key =~ /^esk_([a-z2-7]{10})/;
my $recv = $t->receiver(500);
$t->default_conf(location => <<'CONF');
eventsync_endpoints on;
            eventsync_dashboard on;
            eventsync_ratelimit_headers off;
CONF
$t->run_nginx;
put($t, 'orders', 3);
my ($cursor) = (stored($t, 'orders'))[0] =~ /"cursor":"([^"]+)"/;
$t->run_dispatcher;

my (%seen, $endpoint);

sub entries {
    return grep { $_->{kind} ne 'audit' && $_->{by} !~ /^(?:dispatcher|nginx)$/ }
        map { decode_json($_) } split /\n/, $t->ctl_ok(qw(audit list --json));
}

# A request that must leave one entry by the key.
sub one {
    my ($operation, $expected, $method, $path, $body) = @_;
    my $before = () = entries();

    $seen{$operation} = 1;
    my $r = $t->http($method => "/v1$path", { authorization => "Bearer $key",
        $body ? ('content-type' => 'application/json') : () },
        $body ? encode_json($body) : ());
    like($r->{status}, qr/^2/, "$operation: $r->{status}") or diag($r->{body});
    my @new = (entries())[$before .. 99];
    @new = grep { $_ } @new;
    is(join(' ', map { "$_->{action} $_->{kind}" } @new), $expected,
        'one entry');
    is("$new[-1]{by}, $new[-1]{from}, $new[-1]{partner}",
        "key $id, 127.0.0.1, acme", '... says who, from where and whose');
    return $r->{body} ? eval { decode_json($r->{body}) } : undef;
}

$endpoint = one('createEndpoint', 'create endpoint', POST => '/endpoints',
    { url => 'https://a.example/h', feeds => ['orders'] })->{name};
my $at = "/endpoints/$endpoint";
one('changeEndpoint', 'change endpoint', PATCH => $at, { timeout => '9s' });
one('pauseEndpoint', 'change endpoint', POST => "$at/pause");
one('resumeEndpoint', 'change endpoint', POST => "$at/resume");
my $secret = one('rotateSecret', 'change endpoint', POST => "$at/rotate"
    )->{secret};
one('simulateFailure', 'change endpoint', POST => "$at/simulate",
    { failure => 'status' });
one('replayEvents', 'replay endpoint', POST => "$at/replay",
    { feed => 'orders', from => 'oldest' });
one('resendEvent', 'resend endpoint', POST => "$at/resend",
    { feed => 'orders', cursor => $cursor });
one('redriveDeadLetters', 'redrive endpoint', POST => "$at/redrive");
one('sendTestEvent', 'test endpoint', POST => "$at/test");
one('removeEndpoint', 'remove endpoint', DELETE => $at);

# One that an operator made, whose receiver refuses, so that an event waits.
my ($to) = $t->endpoint('acme', url => $recv->url, feeds => 'orders',
    start => 'oldest', schedule => '0,1h');
$at = "/endpoints/$to";
ok(wait_for(sub { $recv->count }, 20), 'a webhook is refused');
ok(wait_for(sub { $t->ctl_ok('endpoint', 'status', $to, '--json')
    =~ /"statuses"/ }, 20), 'its event waits');
one('skipEvent', 'skip endpoint', POST => "$at/skip",
    { feed => 'orders', cursor => $cursor });
one('discardDeadLetters', 'discard endpoint', POST => "$at/discard",
    { expect => 1 });
my $n = decode_json($t->ctl_ok('endpoint', 'cancel', $to, 'orders', '--dry-run',
    '--json'))->{count};
one('cancelEvents', 'cancel endpoint', POST => "$at/cancel",
    { feed => 'orders', expect => $n });

# A link that is opened becomes a key.
my $link = decode_json($t->ctl_ok(qw(dashboard link acme --json),
    '--url=https://x.example'));
my ($text) = $link->{url} =~ m{#link/(.*)};
my $before = () = entries();
my $r = $t->http(POST => '/v1/dashboard/session', { 'content-type' =>
    'application/json' }, encode_json({ link => $text }));
is($r->{status}, 200, 'createSession: 200') or diag($r->{body});
$seen{createSession} = 1;
my @new = (entries())[$before .. $before + 1];
is(join(' ', map { $_ ? "$_->{action} $_->{kind} $_->{by} $_->{from}" : () } @new),
    "change key link $link->{name} 127.0.0.1", 'one entry, by the link');

# A worker that may write the registry says once which configuration it has.
sub config {
    my ($digest) = $t->http(GET => '/ops/metrics')->{body}
        =~ /^eventsync_config_info\{digest="([0-9a-f]{32})"\} 1$/m;
    return $digest;
}

sub configures {
    return map { $_->{after}{digest} } grep { $_->{action} eq 'configure' }
        map { decode_json($_) } split /\n/, $t->ctl_ok(qw(audit list --json));
}

my $config = config();
is_deeply([ configures() ], [$config], 'the configuration has an entry');
ok($t->logged("error.log", qr/\[notice\].* eventsync configuration \Q$config\E$/m),
    'and the error log has it');

# Every directive counts, in each place; what is no directive of ours does not.
sub changed {
    my ($name, $same, %conf) = @_;
    $t->default_conf(location => $conf{location}, http => $conf{http} // '');
    $t->reload;
    my $now = config();
    ok(($now eq $config) == $same, $name);
    return $now;
}

my $location = "eventsync_endpoints on;\n            eventsync_dashboard on;\n"
    . "            eventsync_ratelimit_headers off;";
changed('another directive of nginx', 1, location => "$location\nexpires 1d;");
changed('a parameter', 0, location => "$location\neventsync_max_event 1m;");
changed('a place', 0, location => $location, http => 'eventsync_max_event 1m;');
my $now = changed('another one', 0, location => "$location\neventsync_sse on;");
$t->http(GET => '/v1/endpoints', { authorization => "Bearer $key" });
is_deeply([ configures() ], [$config], 'what only reads waits for no writer');
for ('a change has one entry', '... once') {
    $t->http(POST => '/v1/endpoints', { authorization => "Bearer $key",
        'content-type' => 'application/json' }, '{}');
    is_deeply([ configures() ], [$config, $now], $_);
}

# What is refused leaves none.
$before = () = entries();
is($t->http(POST => "/v1/endpoints/ep_aaaaaaaaaaaaaaaa/pause",
    { authorization => "Bearer $key" })->{status}, 404, 'a refused request');
is($t->http(PATCH => "/v1$at", { authorization => "Bearer $key",
    'content-type' => 'application/json' }, '{"timeout":"x"}')->{status}, 400,
    'and another one');
is(scalar(() = entries()), $before, 'leave no entry');

my $all = $t->ctl_ok(qw(audit list --json));
unlike($all, qr/\Q$_\E/, 'no secret is in the audit') for $secret, $text, $key;

open my $fh, '<', 'docs/openapi.json' or die;
my $paths = decode_json(do { local $/; <$fh> })->{paths};
is_deeply([ grep { !$seen{$_} && !$none{$_} } map { my $p = $_; map {
    $p->{$_}{operationId} } grep { /^(?:post|put|patch|delete)$/ } keys %$p }
    values %$paths ], [], 'each operation that writes is in one of the tables');

is($t->stop_dispatcher, 0, 'the dispatcher ends');
$t->ctl_ok(qw(audit verify --quiet));
$t->verify;

done_testing();
