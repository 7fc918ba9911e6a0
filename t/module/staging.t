#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Two environments: a store for trials has keys with a prefix of their own, and
# no credential of one store is valid on the other, not even on a copy of it.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);

my $t = Test::Eventsync->new;
$t->store_init->feed('prices');
my $live = $t->partner_key('acme', feeds => 'prices', scopes => 'read');
$t->write_file('tokens.jwk', '{"keys":[{"kty":"oct","alg":"HS256","kid":"one",'
    . '"k":"MTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTE"}]}');
chmod 0600, $t->testdir . '/tokens.jwk';

# A copy of the real store, as a backup that is restored for trials.
my $real = $t->store;
my $trial = $t->testdir . '/trial';
$t->ctl_ok('backup', $t->testdir . '/backup');
$t->ctl_ok('restore', '--keep-epochs', $t->testdir . '/backup', $trial);
$t->ctl_ok("--store=$trial", qw(store mark staging));
$t->default_conf(http => "eventsync_token_keys @{[ $t->testdir ]}/tokens.jwk;"
        . server($trial),
    location => 'eventsync_token on; eventsync_dashboard on; eventsync_status on;');
$t->run_nginx;

sub server {
    my ($store) = @_;
    return "server { listen 127.0.0.1:%%PORT_1%%; eventsync_store $store; location /v1/ { "
        . 'eventsync_poll on; eventsync_token on; eventsync_dashboard on; '
        . 'eventsync_status on; eventsync_endpoints on; } }';
}

my %port = (real => $t->port(0), trial => $t->port(1));
my %store = (real => $real, trial => $trial);

sub get {
    my ($where, $credential) = @_;
    return $t->http(GET => '/v1/feeds/prices/events',
        { authorization => "Bearer $credential" }, undef, port => $port{$where})->{status};
}

sub token {
    my ($where, $key) = @_;
    my $answer = $t->http(POST => '/v1/token',
        { 'content-type' => 'application/x-www-form-urlencoded' },
        'grant_type=client_credentials&client_id=' . substr($key, 4, 10)
        . "&client_secret=$key", port => $port{$where});
    return $answer->{status} == 200
        ? Test::Eventsync::json($answer->{body})->{access_token} : $answer->{status};
}

sub create {
    my ($where) = @_;
    return $t->ctl_ok("--store=$store{$where}", qw(key create acme --scopes=read)) =~ s/\s+//r;
}

like($live, qr/^esk_/, 'the prefix of a real key');
my $staging = create('trial');
like($staging, qr/^est_[a-z2-7]{10}_[a-z2-7]{38}$/, 'that of a key for trials');
is(get(real => $live), 200, 'a real key on the real store');
is(get(trial => $live), 401, 'and on the copy, which has its record');
is(get(trial => $staging), 200, 'a key for trials on the copy');
is(get(real => $staging), 401, 'and on the real store');

# A token is judged by the record of its key.
my %token = (real => token(real => $live), trial => token(trial => $staging));
is(get($_ => $token{$_}), 200, "a token on the $_ store") for qw(real trial);
is(get(trial => $token{real}), 401, 'a real token on the copy');
is(get(real => $token{trial}), 401, 'a token for trials on the real store');
is(token(trial => $live), 401, 'nor does the copy give a token for a real key');

# A link and its session.
my ($link) = $t->ctl_ok("--store=$trial", 'dashboard', 'link', 'acme',
    '--url=https://x.example/v1') =~ /(esl_\S+)/;
my $redeemed = $t->http(POST => '/v1/dashboard/session',
    { 'content-type' => 'application/json' }, qq({"link":"$link"}),
    port => $port{trial});
my $session = Test::Eventsync::json($redeemed->{body})->{access_token};
like($session, qr/^est_|\./, 'a session for trials');
is($t->http(GET => '/v1/status', { authorization => "Bearer $session" }, undef,
    port => $port{trial})->{status}, 200, 'works where its link was made');

# A key cannot be moved by hand, and the mark decides at the next request.
my ($rc, undef, $err) = $t->ctl("--store=$trial", qw(store mark production));
is($rc, 0, 'the mark is taken away');
is(get(trial => $staging), 401, 'keys for trials end with it');
is(get(trial => $live), 200, 'and real keys are valid again');
$t->ctl_ok("--store=$trial", qw(store mark staging));
is(get(trial => $staging), 200, 'and back');
my ($listed) = grep { $_->{name} eq substr $staging, 4, 10 } map { Test::Eventsync::json($_) }
    split /\n/, $t->ctl_ok("--store=$trial", qw(key list --json));
ok($listed->{staging}, 'key list says where a key is valid');

done_testing();
