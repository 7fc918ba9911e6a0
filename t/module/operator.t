#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# The operator's view: GET {prefix}/partners, a partner's status, and the store.
# t/unit/partners.c has 2,000 partners in all orders.

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
    admin   => $t->partner_key('ops', scopes => 'admin'),
    partner => $t->partner_key('acme', scopes => 'read,manage,publish'),
    manage  => $t->partner_key('acme', scopes => 'read,manage'),
    quiet   => $t->partner_key('bolt', scopes => 'read', feeds => 'prices'),
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
        location /v1/ { eventsync_status on; eventsync_poll on; eventsync_limit poll rate=1r/h; }
        location /dry/ {
            eventsync_poll on;
            eventsync_limit poll rate=1r/h;
            eventsync_limit_dry_run on;
        }
        location /ops/ { eventsync_operator on; eventsync_metrics on; eventsync_token on; }
        location /open/ { eventsync_operator on; eventsync_auth off; }
        location /few/ { eventsync_operator on; eventsync_limit manage rate=1r/d burst=2; }
        location /off/ { eventsync_status on; }
    }
}
CONF
$t->run_nginx;

my $recv = $t->receiver(sub { $_[0]{body} =~ /"type":"bad"/ ? 404 : 200 });
my $fails = $t->endpoint('acme', url => $recv->url('/gone'), feeds => 'orders',
    types => 'bad', start => 'oldest', schedule => '0', ordering => 'none');
my $fine = $t->endpoint('acme', url => $recv->url, feeds => 'orders', types => 'good',
    start => 'oldest');

sub get {
    my ($who, $path, $prefix) = @_;
    return $t->http(GET => ($prefix // '/ops') . $path,
        $who ? { authorization => "Bearer " . ($keys{$who} // $who) } : {});
}

sub json { return Test::Eventsync::json(get(@_)->{body}) }

# A partner's line in the list.
sub line {
    my ($name) = @_;
    my ($line) = grep { $_->{name} eq $name } @{ json('admin', '/partners')->{partners} };
    return $line;
}

###############################################################################
# who may

is(get('admin', $_)->{status}, 200, "an admin's key gets $_")
    for '/partners', '/partners/acme/status', '/store';
for my $path ('/partners', '/partners/acme/status', '/partners/nobody/status', '/store') {
    my $r = get('partner', $path);
    is($r->{status}, 403, "another does not get $path");
    like($r->{headers}{'www-authenticate'}, qr/insufficient_scope.*scope="admin"/, 'for its scope');
    is(get(undef, $path)->{status}, 401, 'nor nobody');
    is(get('esk_wrong', $path)->{status}, 401, 'nor a wrong key');
    is($t->http(POST => "/ops$path", { authorization => "Bearer $keys{admin}" }, '')->{status},
        405, 'it is read only');
    is(get('admin', $path, '/off')->{status}, 404, 'and must be switched on');
}
is(get(undef, '/partners', '/open')->{status}, 200,
    'without authentication the location must be guarded otherwise');
my $r = $t->http(POST => '/ops/token', { 'content-type' => 'application/x-www-form-urlencoded' },
    'grant_type=client_credentials&client_id=' . ($keys{admin} =~ /^esk_([^_]+)/)[0]
    . "&client_secret=$keys{admin}");
is(get(Test::Eventsync::json($r->{body})->{access_token}, '/store')->{status}, 200,
    'a token will do');

###############################################################################
# before a dispatcher has run

my $store = json('admin', '/store');
is($store->{dispatcher}, undef, 'no dispatcher was seen');
is_deeply([map { $_->{name} } @{ $store->{environments} }], [qw(log registry delivery)],
    'the environments that the worker has open');
cmp_ok($_->{used}, '>', 0, "$_->{name} has a size") for @{ $store->{environments} };
cmp_ok($store->{map_limit}, '>=', $store->{environments}[0]{map}, 'each has a limit');
cmp_ok($store->{disk}{size}, '>', $store->{disk}{free}, 'so has the disk');
is($store->{clock}{off}, 0, 'the clock is right');
ok(exists $store->{clock}{synchronized}, 'and the kernel says whether that is sure');
is($store->{feeds}{total}, 2, 'there are two feeds');
is_deeply([@{ $store->{feeds}{listed}[0] }{qw(name events bytes time overdue_since held_since)}],
    ['orders', 0, 0, undef, undef, undef], 'which are empty');
is_deeply(line('acme'), {
    name => 'acme', disabled => JSON::PP::false, attention => undef,
    endpoints => { active => 2 }, lag => { events => 0, seconds => 0 },
    retention => { expires => undef, near => JSON::PP::false, missed => 0 }, dead_letters => 0,
    (map { $_ => { attempts => 0, ok => 0, dead => 0, success => undef } } qw(minute hour)),
    limited => [], refused => 0, polls => { last => undef, requests => 0, events => 0 },
}, 'a partner that has done nothing');

###############################################################################
# with deliveries

put($t, 'orders', { type => 'good' }, { type => 'bad' }, { type => 'good' });
put($t, 'prices', { type => 'good' });
$t->run_dispatcher;
ok(wait_for(sub { my $l = line('acme');
    $l->{dead_letters} == 1 && $l->{hour}{attempts} == 3 && $l->{hour}{dead} == 1 }, 30),
    'attempts of the last hour are counted');
is(line('acme')->{hour}{ok}, 2, 'and those that were accepted');
like(json('admin', '/store')->{dispatcher}, qr/^\d{4}-.*Z$/, 'the dispatcher was seen');

ok(wait_for(sub { json('admin', '/store')->{feeds}{events} == 4 }, 20), 'events are counted');

$t->ctl_ok('endpoint', 'pause', $fine);
put($t, 'orders', { type => 'good' }, { type => 'good' });
ok(wait_for(sub { line('acme')->{lag}{events} == 2 }, 20), 'one is behind');
is_deeply(line('acme')->{endpoints}, { active => 1, paused => 1 }, 'because it is paused');
cmp_ok(line('acme')->{lag}{seconds}, '>', 0, 'by the age of its next event');
is(line('acme')->{attention}, undef, 'which its partner wants');

###############################################################################
# limits

get('quiet', '/feeds/prices/events', '/dry') for 1 .. 3;
is(line('bolt')->{refused}, 0, 'a dry run refuses nothing');
ok(wait_for(sub { line('bolt')->{polls}{requests} == 3 }, 20), 'polls are counted');
is(line('bolt')->{polls}{events}, 3, 'with their events');
ok(wait_for(sub { get('partner', '/feeds/orders/events', '/v1')->{status} == 429 }, 20),
    'a partner is limited');
ok(wait_for(sub { @{ line('acme')->{limited} } > 0 }, 20), 'which is seen');
is_deeply(line('acme')->{limited}, ['poll'], 'with the policy');
is(line('acme')->{attention}, 'limited', 'and needs attention');
cmp_ok(line('acme')->{refused}, '>=', 1, 'its refusals are counted');
is_deeply(line('bolt')->{limited}, [], 'others are not limited');

###############################################################################
# orders, search and pages

my $list = json('admin', '/partners?limit=1');
is_deeply([map { $_->{name} } @{ $list->{partners} }], ['acme'],
    'who needs attention is first');
is_deeply([@{$list}{qw(total matching failing lagging limited)}], [3, 3, 0, 0, 1],
    'all are counted');
my @names = $list->{partners}[0]{name};
for (1, 2) {
    $list = json('admin', "/partners?limit=1&after=$list->{next}");
    push @names, map { $_->{name} } @{ $list->{partners} };
}
is_deeply(\@names, [qw(acme bolt ops)], 'the list goes on');
is($list->{next}, undef, 'to its end');
is_deeply([map { $_->{name} } @{ json('admin', '/partners?search=o')->{partners} }],
    [qw(bolt ops)], 'a part of a name is enough');
is(json('admin', '/partners?search=o')->{matching}, 2, 'with the number');
is_deeply([map { $_->{name} } @{ json('admin', "/partners?sort=$_")->{partners} }],
    [qw(acme bolt ops)], "by $_") for qw(name lag failures dead-letters attention);

for (['sort=size', 'sort'], ['sort=', 'sort'], ['after=zz', 'after'], ['limit=0', 'limit'],
    ['limit=1001', 'limit'], ['search=' . 'x' x 64, 'search'], ['who=acme', 'who'],
    ['search=a&search=b', 'search'], ["after=" . json('admin', '/partners?limit=1')->{next}
    . '&sort=name', 'after']) {
    my ($query, $name) = @$_;
    my $bad = get('admin', "/partners?$query");
    is($bad->{status}, 400, "?$query is refused");
    is(Test::Eventsync::json($bad->{body})->{parameter}, $name, 'with the parameter');
}
is(get('admin', '/store?limit=1')->{status}, 400, 'the store has no parameters');

###############################################################################
# a partner as it sees itself

my $own = json('manage', '/status', '/v1');
my $seen = json('admin', '/partners/acme/status');
is_deeply([map { $_->{name} } @{ $seen->{endpoints} }],
    [map { $_->{name} } @{ $own->{endpoints} }], 'a partner has its endpoints');
is_deeply([map { $_->{name} } @{ $seen->{feeds} }], [qw(orders prices)], 'and its feeds');
is(delete($seen->{overview})->{attention}, 'limited', 'with its line of the list');
is_deeply([sort keys %$seen], [sort keys %$own], 'and all else');
is_deeply([sort keys %{ $seen->{endpoints}[0] }], [sort keys %{ $own->{endpoints}[0] }],
    'as it sees them itself');
unlike(get('admin', '/partners/acme/status')->{body}, qr/gone/, 'without the path of a URL');
$r = get('admin', '/partners/nobody/status');
is($r->{status}, 404, 'another does not exist');
is(Test::Eventsync::json($r->{body})->{detail}, 'The partner does not exist.', 'which is said');

###############################################################################
# the view is kept, and requests are charged

is(get('admin', '/partners')->{headers}{'cache-control'}, 'no-store', 'no cache keeps it');
my %times = map { json('admin', '/partners')->{time} => 1 } 1 .. 20;
cmp_ok(scalar keys %times, '<', 20, 'requests in quick succession get the same view');
is_deeply([map { get('admin', '/store', '/few')->{status} } 1 .. 3], [200, 200, 429],
    'requests are charged as those that manage endpoints');
like(get('admin', '/metrics')->{body},
    qr/^eventsync_http_requests_total\{resource="operator",code="2xx"\} [1-9]/m,
    'and counted');

$t->finish;
done_testing();
