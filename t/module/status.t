#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# GET {prefix}/status: how the endpoints and feeds of a partner are doing, for
# each credential what it may see.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store(workers => 1);
$t->feed('prices', retain_age => '1h');
$t->{partners}{acme} = 1;
my %keys = (
    read    => $t->partner_key('acme', scopes => 'read'),
    manage  => $t->partner_key('acme', scopes => 'manage'),
    narrow  => $t->partner_key('acme', scopes => 'read,manage', key_feeds => 'orders'),
    publish => $t->partner_key('acme', scopes => 'publish'),
    other   => $t->partner_key('other', feeds => 'orders', scopes => 'read,manage'),
);
$t->write_file('keys', '{"keys":[{"kty":"oct","alg":"HS256","kid":"one","k":"' . 'A' x 43 . '"}]}');
chmod 0600, $t->testdir . '/keys';
$t->write_file_expand('nginx.conf', <<'CONF');
events { }
http {
    eventsync_store %%STORE%%;
    eventsync_token_keys keys;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /v1/ {
            eventsync_status on;
            eventsync_endpoints on;
            eventsync_token on;
            eventsync_limit manage rate=1000r/s burst=1000;
        }
        location /open/ { eventsync_status on; eventsync_auth off; }
        location /off/ { eventsync_feeds on; }
        location /few/ { eventsync_status on; eventsync_limit manage rate=1r/d burst=1; }
    }
}
CONF
$t->run_nginx;

my $recv = $t->receiver(sub { $_[0]{body} =~ /"type":"bad"/ ? 404 : 200 });
my $fine = $t->endpoint('acme', url => $recv->url('/in?secret=s3cret'),
    feeds => 'orders', types => 'good', start => 'oldest');
my $bad = $t->endpoint('acme', url => $recv->url, feeds => 'orders,prices',
    start => 'oldest', schedule => '0', ordering => 'none');
my $waits = $t->endpoint('acme', url => $recv->url, feeds => 'orders',
    start => 'oldest', schedule => '0,1h', ordering => 'key');
my $paused = $t->endpoint('acme', url => $recv->url, feeds => 'prices',
    start => 'oldest');
$t->ctl_ok('endpoint', 'pause', $paused);
my $theirs = $t->endpoint('other', url => $recv->url, feeds => 'orders',
    start => 'oldest');

sub get {
    my ($who, $prefix) = @_;
    return $t->http(GET => ($prefix // '/v1') . '/status',
        $who ? { authorization => "Bearer $keys{$who}" } : {});
}

# The status, and its endpoints by name.
sub status {
    my ($who) = @_;
    my $r = get($who);
    is($r->{status}, 200, "$who gets a status");
    my $status = Test::Eventsync::json($r->{body});
    return ($status, { map { $_->{name} => $_ } @{ $status->{endpoints} } });
}

# A worker gives an answer again for a second.
sub later {
    my ($who, $condition) = @_;
    return wait_for(sub {
        my $r = get($who);
        my $status = Test::Eventsync::json($r->{body});
        return $condition->({ map { $_->{name} => $_ } @{ $status->{endpoints} } });
    }, 20);
}

###############################################################################
# before a dispatcher has run

my ($status, $of) = status('manage');
is($status->{dispatcher}, undef, 'no dispatcher was seen');
is_deeply([sort keys %$of], [sort $fine, $bad, $waits, $paused], 'the endpoints of the partner');
is_deeply($of->{$fine}{deliveries}, [], 'nothing is under way');
is($of->{$paused}{state}, 'paused', 'one is paused');
is_deeply($status->{feeds}, [], 'a key that does not read gets no feeds');

###############################################################################
# with deliveries

put($t, 'orders', { type => 'good', subject => 'a' }, { type => 'bad', subject => 'b' },
    { type => 'good', subject => 'b' });
put($t, 'prices', { type => 'good' }, { type => 'good' });
$t->run_dispatcher;
ok(later('read', sub { my $e = shift->{$bad};
    $e->{dead_letters} == 1 && ($e->{figures}{day}{attempts} // 0) == 5 }), 'all were tried');
ok(later('read', sub { ($_[0]{$waits}{held} // 0) == 1 }), 'one waits for another');

($status, $of) = status('read');
like($status->{dispatcher}, qr/^\d{4}-.*Z$/, 'the dispatcher was seen');
is($of->{$fine}{origin}, $recv->url('') =~ s{/hook$}{}r, 'the origin of the URL');
unlike(get('read')->{body}, qr/s3cret/, 'and no more of it');
like(get('read')->{body}, qr/"success":0\.8[,}]/, 'numbers have no more digits than they need');
is_deeply([map { [@{$_}{qw(feed pending behind expires)}] } @{ $of->{$bad}{deliveries} }],
    [['orders', 0, 0, undef], ['prices', 0, 0, undef]], 'one is at the end of both feeds');
is_deeply([@{ $of->{$bad}{figures}{day} }{qw(attempts ok success dead)}], [5, 4, 0.8, 1],
    'its figures');
is_deeply([@{ $of->{$waits} }{qw(waiting held)}], [1, 1],
    'one retries an event and holds another');
like($of->{$waits}{next}, qr/^\d{4}-.*Z$/, 'at this time');
is($of->{$fine}{next}, undef, 'another has nothing to try');
my ($lag) = grep { $_->{feed} eq 'prices' } @{ $of->{$paused}{deliveries} };
is_deeply([@{$lag}{qw(pending behind)}], [0, 2], 'the paused one is behind');
cmp_ok($lag->{seconds}, '>', 0, 'by the age of its next event');
my $left = time_ms($lag->{expires}) - time_ms($status->{time});
ok($left > 3_000_000 && $left < 3_600_000, 'which retention deletes within the hour');

# The status of one endpoint says the same.
sub one {
    my $r = $t->http(GET => "/v1/endpoints/$_[0]/status",
        { authorization => "Bearer $keys{manage}" });
    return Test::Eventsync::json($r->{body});
}

my $one = one($paused);
my ($same) = grep { ($_->{feed} // '') eq 'prices' } @{ $one->{deliveries} };
cmp_ok($same->{seconds}, '>=', $lag->{seconds}, 'its own status has the age, too');
is($same->{expires}, $lag->{expires}, 'and when it is lost');
is($one->{next}, undef, 'and no next attempt');
is(one($waits)->{next}, $of->{$waits}{next}, 'which another one has');

is_deeply([map { $_->{name} } @{ $status->{feeds} }], [qw(orders prices)], 'the feeds');
like($status->{feeds}[0]{latest}, qr/-3$/, 'with their latest cursor');
like($status->{feeds}[0]{time}, qr/^\d{4}-.*Z$/, 'and its time');

###############################################################################
# who sees what

($status, $of) = status('narrow');
is_deeply([sort keys %$of], [sort $fine, $waits], 'a narrowed key sees endpoints of its feeds');
ok(!exists $of->{$fine}{figures} && !exists $of->{$waits}{held}, 'without figures of others');
is_deeply([map { $_->{name} } @{ $status->{feeds} }], ['orders'], 'and its feeds');

($status, $of) = status('other');
is_deeply([keys %$of], [$theirs], 'another partner sees its own');
unlike(get('other')->{body}, qr/$fine|$bad|prices/, 'and nothing else');

my $r = $t->http(POST => '/v1/token', { 'content-type' => 'application/x-www-form-urlencoded' },
    'grant_type=client_credentials&client_id=' . ($keys{read} =~ /^esk_([^_]+)/)[0]
    . "&client_secret=$keys{read}&scope=read%20feed:prices");
$keys{token} = Test::Eventsync::json($r->{body})->{access_token};
($status, $of) = status('token');
is_deeply([sort keys %$of], [$paused], 'a narrowed token sees those of its feeds');
is_deeply([map { $_->{name} } @{ $status->{feeds} }], ['prices'], 'of these only');

is(get('publish')->{status}, 403, 'a key that only publishes is refused');
like(get('publish')->{headers}{'www-authenticate'}, qr/insufficient_scope/, 'for its scope');
is(get(undef)->{status}, 401, 'and nobody');
is(get('read', '/open')->{status}, 403, 'without authentication there is no partner');
is(get('read', '/off')->{status}, 404, 'it must be switched on');

###############################################################################
# the same answer for a second, and no longer

is(get('read')->{headers}{'cache-control'}, 'no-store', 'no cache keeps it');
my %times = map { Test::Eventsync::json(get('read')->{body})->{time} => 1 } 1 .. 20;
cmp_ok(scalar keys %times, '<', 20, 'requests in quick succession get the same');
$t->ctl_ok('endpoint', 'pause', $fine);
ok(later('read', sub { $_[0]{$fine}{state} eq 'paused' }), 'a change is seen soon');

is(get('manage', '/few')->{status}, 200, 'it is charged');
is(get('manage', '/few')->{status}, 429, 'to the limit of endpoints');

$t->ctl_ok('key', 'revoke', $keys{read} =~ /^esk_([^_]+)/);
ok(wait_for(sub { get('read')->{status} == 401 }), 'a revoked key gets none');

$t->finish;
done_testing();
