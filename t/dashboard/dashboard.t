#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# The dashboard, by a browser: each view, each action, each refusal.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Browser;
use Test::Eventsync::Webhooks;

my $t = webhook_store(workers => 1);
browser($t->build);

# What a producer or a receiver wrote is never markup.
my $markup = '<img src=x onerror=alert(1)><script>alert(2)</script>';

$t->feed('prices', retain_age => '1h');
$t->{partners}{acme} = 1;
$t->write_file_expand('nginx.conf', <<'CONF');
events { }
http {
    eventsync_store %%STORE%%;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /v1/ {
            eventsync_dashboard on;
            eventsync_status on;
            eventsync_endpoints on;
            eventsync_poll on;
            eventsync_feeds on;
            eventsync_checkpoints on;
        }
        location /bare/ {
            eventsync_dashboard on;
            eventsync_status on;
            eventsync_poll on;
            eventsync_poll_wait_max 1s;
        }
        location /one/ {
            eventsync_dashboard on;
            eventsync_status on;
            eventsync_poll on;
            eventsync_limit waits max=1;
        }
        location /off/ { eventsync_status on; }
    }
}
CONF
$t->run_nginx;
my $recv = $t->receiver(sub { $_[0]{body} =~ /"type":"bad"/
    ? { status => 404, body => $markup } : 200 });
my %keys = (
    partner => $t->partner_key('acme', scopes => 'read,manage,ack'),
    read    => $t->partner_key('acme', scopes => 'read'),
    publish => $t->partner_key('acme', scopes => 'publish'),
    empty   => $t->partner_key('empty', feeds => 'none', scopes => 'read'),
    leaving => $t->partner_key('acme', scopes => 'read'),
);
my $endpoint = $t->endpoint('acme', url => $recv->url, feeds => 'orders',
    start => 'oldest', schedule => '0,1s');
my $paused = $t->endpoint('acme', url => $recv->url, feeds => 'prices', start => 'oldest');
$t->ctl_ok('endpoint', 'pause', $paused);
put($t, 'orders', { type => 'good' }, { type => 'bad', subject => '<i>s</i>', data => $markup },
    { type => 'good' });
put($t, 'prices', {}, {});
$t->ctl_ok('feed', 'change', $_, '--fresh-within=1h') for qw(orders prices);
$t->http(GET => '/v1/feeds/prices/events?limit=1', { authorization => "Bearer $keys{read}" });
$t->run_dispatcher;

my $base = 'http://127.0.0.1:' . $t->port(0) . '/v1';
ok(wait_for(sub {
    my $r = $t->http(GET => '/v1/status', { authorization => "Bearer $keys{read}" });
    my ($e) = grep { $_->{name} eq $endpoint } @{ Test::Eventsync::json($r->{body})->{endpoints} };
    return $e->{dead_letters} == 1 && $e->{figures}{day}{attempts} == 4
        && $e->{figures}{day}{dead} == 1;
}, 30), 'there is something to see');

###############################################################################
# the files

my $page = $t->http(GET => '/v1/dashboard');
is($page->{status}, 200, 'the page needs no key');
is($page->{headers}{'content-type'}, 'text/html; charset=utf-8', 'it is HTML');
like($page->{headers}{'content-security-policy'}, qr/\Adefault-src 'none';/, 'with a policy');
unlike($page->{headers}{'content-security-policy'}, qr/unsafe|\*|data:/, 'that is strict');
like($page->{headers}{'content-security-policy'}, qr/frame-ancestors 'none'/, 'and forbids frames');
is($page->{headers}{'x-content-type-options'}, 'nosniff', 'no type is guessed');
is($page->{headers}{'referrer-policy'}, 'no-referrer', 'no referrer is sent');
is($page->{headers}{'cache-control'}, 'no-cache', 'an upgrade is seen at once');
unlike($page->{body}, qr/<script(?! type="module" src=)|style=|\son\w+=/, 'nothing is inline');
is($t->http(GET => '/v1/dashboard', { 'if-none-match' => $page->{headers}{etag} })->{status},
    304, 'it is not sent twice');

for my $file (sort map { s{dashboard/}{}r } glob 'dashboard/*') {
    my $r = $t->http(GET => "/v1/dashboard/$file");
    is($r->{status}, 200, "$file is served");
    open my $fh, '<:raw', "dashboard/$file" or die "dashboard/$file: $!\n";
    is($r->{body}, do { local $/; <$fh> }, 'as it is in the repository');
    unlike($r->{body}, qr{https?://(?!www\.w3\.org/2000/svg)}, 'and loads nothing from elsewhere');
    unlike($r->{body}, qr/innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(/,
        'and makes no markup of texts');
}
is($t->http(GET => '/v1/dashboard/none.js')->{status}, 404, 'others are not');
is($t->http(GET => '/v1/dashboard/..%2fconfig')->{status}, 404, 'nor what is outside');
is($t->http(POST => '/v1/dashboard', {}, '')->{status}, 405, 'it is read only');
is($t->http(GET => '/off/dashboard')->{status}, 404, 'it must be switched on');

###############################################################################
# the browser

drive();
drive(shots => $ENV{ES_SHOTS}) if $ENV{ES_SHOTS};

$t->finish;
done_testing();

# Links as they are sent to people.
sub link_of {
    my ($kind) = @_;
    my $url = $t->ctl_ok('dashboard', 'link', 'acme', "--url=$base",
        $kind eq 'wide' ? '--scopes=read,manage' : $kind eq 'expired' ? '--for=1s' : ()) =~ s/\n//r;
    my ($id) = $url =~ m{#link/esl_([^_]+)};
    $t->ctl_ok('dashboard', 'revoke', $id) if $kind eq 'revoked';
    ok(wait_for(sub { $t->ctl_ok('dashboard', 'links') =~ /^$id .*state=expired/m }, 20),
        'a link expires') if $kind eq 'expired';
    return $url;
}

sub drive {
    browse('dashboard.js', base => $base, keys => \%keys, endpoint => $endpoint,
        markup => $markup, publish => [$t->build . '/eventsyncctl', '--store', $t->store,
        'publish'], links => { map { $_ => link_of($_) } qw(good wide late revoked expired) },
        end => [$t->build . '/eventsyncctl', '--store', $t->store, 'dashboard', 'revoke'],
        revoke => [$t->build . '/eventsyncctl', '--store', $t->store,
        'key', 'revoke', $keys{leaving} =~ /^esk_([^_]+)/], @_);
    return;
}
